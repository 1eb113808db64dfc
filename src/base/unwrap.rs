//! Extends counters of a few bits, which wrap, to 64 bits, which do not.

/// Unwraps a counter of `BITS` bits by the signed distance from the last value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwrap<const BITS: u32> {
    last: Option<i64>,
}

impl<const BITS: u32> Unwrap<BITS> {
    /// The value next to the last one that has these low bits.
    pub fn next(&mut self, wrapped: u64) -> i64 {
        let value = self.peek(wrapped);
        self.last = Some(value);
        value
    }

    /// What [`next`](Unwrap::next) would say, remembering nothing.
    pub fn peek(&self, wrapped: u64) -> i64 {
        let low = wrapped & ((1u64 << BITS) - 1);
        match self.last {
            None => low as i64,
            Some(last) => last.wrapping_add(Self::distance(low, last as u64)),
        }
    }

    /// `a - b` as a signed number of `BITS` bits.
    pub fn distance(a: u64, b: u64) -> i64 {
        ((a.wrapping_sub(b) << (64 - BITS)) as i64) >> (64 - BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_forth_and_back() {
        let mut seq = Unwrap::<16>::default();
        assert_eq!([65534, 65535, 0, 1, 65535, 2].map(|n| seq.next(n)), [65534, 65535, 65536, 65537, 65535, 65538]);
        let mut pts = Unwrap::<33>::default();
        let top = (1u64 << 33) - 1;
        assert_eq!([top, 0, top, 90].map(|n| pts.next(n)), [top as i64, top as i64 + 1, top as i64, top as i64 + 91]);
        let mut below = Unwrap::<32>::default();
        assert_eq!([5, u64::from(u32::MAX)].map(|n| below.next(n)), [5, -1]);
    }
}

//! Reads bit fields and Exp-Golomb codes; never past the end, never for long.

use super::malformed::Malformed;

/// A bit reader. Every error names `what`, the structure that is being read.
#[derive(Debug, Clone)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Bits<'a> {
    /// Reads `bytes` from the first byte's highest bit on.
    pub fn new(bytes: &'a [u8], what: &'static str) -> Bits<'a> {
        Bits { bytes, at: 0, what }
    }

    /// The bits left.
    pub fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    /// The bits read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next `n` bits, at most 32.
    pub fn u(&mut self, n: u32) -> Result<u32, Malformed> {
        debug_assert!(n <= 32);
        let n = n.min(32) as usize;
        if n > self.left() {
            return Err(Malformed::Short(self.what));
        }
        let mut value = 0u64;
        let first = self.at / 8;
        let last = (self.at + n).div_ceil(8);
        for byte in &self.bytes[first..last] {
            value = value << 8 | u64::from(*byte);
        }
        let below = last * 8 - (self.at + n);
        self.at += n;
        Ok(((value >> below) & ((1u64 << n) - 1)) as u32)
    }

    /// The next bit.
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        self.u(1).map(|bit| bit == 1)
    }

    /// Leaves out `n` bits.
    pub fn skip(&mut self, n: usize) -> Result<(), Malformed> {
        if n > self.left() {
            return Err(Malformed::Short(self.what));
        }
        self.at += n;
        Ok(())
    }

    /// An unsigned Exp-Golomb code, ue(v) of ITU-T H.264 clause 9.1; at most 32 leading zeros.
    pub fn ue(&mut self) -> Result<u32, Malformed> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Malformed::Range { field: "exp-golomb prefix", value: zeros });
            }
        }
        let rest = self.u(zeros as u32)?;
        Ok(((1u64 << zeros) - 1 + u64::from(rest)) as u32)
    }

    /// An unsigned Exp-Golomb code of at most `max`; the error names `field`.
    pub fn ue_to(&mut self, max: u32, field: &'static str) -> Result<u32, Malformed> {
        match self.ue()? {
            value if value <= max => Ok(value),
            value => Err(Malformed::Range { field, value: value.into() }),
        }
    }

    /// A signed Exp-Golomb code, se(v).
    pub fn se(&mut self) -> Result<i32, Malformed> {
        let code = i64::from(self.ue()?);
        Ok((if code & 1 == 1 { (code + 1) / 2 } else { -(code / 2) }) as i32)
    }
}

/// Takes the emulation prevention bytes (the 3 of 00 00 03) out of a NAL unit, reading at most `max` bytes of it.
pub fn unescape(nal: &[u8], max: usize) -> Vec<u8> {
    let nal = &nal[..nal.len().min(max)];
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cross_bytes_and_stop_at_the_end() {
        let mut bits = Bits::new(&[0b1010_0101, 0xff, 0, 0, 0x12, 0x34], "test");
        assert_eq!((bits.u(3), bits.u(6)), (Ok(0b101), Ok(0b001011)));
        assert_eq!(bits.u(7), Ok(0x7f));
        assert_eq!(bits.u(32), Ok(0x1234));
        assert_eq!(bits.u(0), Ok(0));
        assert_eq!(bits.u(1), Err(Malformed::Short("test")));
        assert_eq!(bits.skip(1), Err(Malformed::Short("test")));
    }

    #[test]
    fn exp_golomb_codes() {
        // 1 | 010 | 011 | 00100 | 00101 → 0 1 2 3 4
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes, "test");
        assert_eq!([(); 5].map(|()| bits.ue().unwrap()), [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&bytes, "test");
        assert_eq!([(); 5].map(|()| bits.se().unwrap()), [0, 1, -1, 2, -2]);
        assert!(Bits::new(&[0; 64], "test").ue().is_err());
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff], "test").ue(), Ok(u32::MAX - 1));
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        assert_eq!(unescape(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3], 100), [0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(unescape(&[1, 0, 3, 0, 0, 3], 5), [1, 0, 3, 0, 0]);
    }
}

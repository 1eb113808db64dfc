//! Which SSRC a call gets: ten decimal digits with a meaning (annex C.2.1), handed out and given back.

use std::collections::BTreeMap;
use std::fmt;

/// An SSRC; printed as the ten digits of `y=`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ssrc(pub u32);

impl Ssrc {
    /// Reads `y=`: a decimal number of any length; an empty one or one over 32 bits is none.
    pub fn parse(text: &str) -> Option<Ssrc> {
        text.trim().parse().ok().map(Ssrc)
    }

    /// Whether its first digit says live.
    pub fn is_live(self) -> bool {
        self.0 < 1_000_000_000
    }
}

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

impl fmt::Debug for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

/// How many a domain code has for live, and again for history.
const PER_CODE: u32 = 10_000;
/// How many further codes are used when a domain's own are out.
const CODES: u32 = 20;

/// All that are in use.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    blocks: BTreeMap<(bool, u32), Block>,
}

#[derive(Debug, Clone)]
struct Block {
    used: Vec<u64>,
    count: u32,
    next: u32,
}

impl Pool {
    /// The next free one for a platform's id; `None` if 200,000 are in use. A number just given back is not given out again soon:
    /// its sender may still be sending.
    pub fn take(&mut self, platform: &str, live: bool) -> Option<Ssrc> {
        // digits 4 to 8 of the domain
        let code: u32 = platform.get(3..8).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        (0..CODES).find_map(|step| {
            let code = (code + step) % 100_000;
            let block = self.blocks.entry((live, code)).or_insert_with(Block::new);
            let number = block.take()?;
            Some(Ssrc(u32::from(!live) * 1_000_000_000 + code * PER_CODE + number))
        })
    }

    /// Gives one back.
    pub fn give(&mut self, ssrc: Ssrc) {
        let code = ssrc.0 % 1_000_000_000 / PER_CODE;
        if let Some(block) = self.blocks.get_mut(&(ssrc.is_live(), code)) {
            block.give(ssrc.0 % PER_CODE);
        }
    }

    /// How many are in use.
    pub fn in_use(&self) -> usize {
        self.blocks.values().map(|block| block.count as usize).sum()
    }
}

impl Block {
    fn new() -> Block {
        Block { used: vec![0; PER_CODE.div_ceil(64) as usize], count: 0, next: 1 }
    }

    fn take(&mut self) -> Option<u32> {
        if self.count == PER_CODE {
            return None;
        }
        let free = |n: &u32| self.used[*n as usize / 64] >> (n % 64) & 1 == 0;
        let number = (0..PER_CODE).map(|step| (self.next + step) % PER_CODE).find(free)?;
        self.used[number as usize / 64] |= 1 << (number % 64);
        self.count += 1;
        self.next = (number + 1) % PER_CODE;
        Some(number)
    }

    fn give(&mut self, number: u32) {
        let bit = 1 << (number % 64);
        let word = &mut self.used[number as usize / 64];
        if *word & bit != 0 {
            *word &= !bit;
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_as_the_standard_has_them() {
        let mut pool = Pool::default();
        let live = pool.take("34020000002000000001", true).unwrap();
        assert_eq!((live.to_string().as_str(), live.0), ("0200000001", 0x0BEB_C201));
        pool.take("34020000002000000001", false).unwrap();
        let history = pool.take("34020000002000000001", false).unwrap();
        assert_eq!((history.to_string().as_str(), history.0), ("1200000002", 0x4786_8C02));
        assert_eq!(pool.take("13010000002000000001", true).unwrap().to_string(), "0100000001");
        assert_eq!(Ssrc::parse("200000777"), Some(Ssrc(200_000_777)));
        for text in ["", " ", "x", "99999999999"] {
            assert_eq!(Ssrc::parse(text), None);
        }
    }

    #[test]
    fn all_are_different_and_come_back() {
        let mut pool = Pool::default();
        let taken: std::collections::HashSet<_> = (0..25_000).map(|_| pool.take("34020000002000000001", true).unwrap()).collect();
        assert_eq!((taken.len(), pool.in_use()), (25_000, 25_000));
        for ssrc in &taken {
            pool.give(*ssrc);
            pool.give(*ssrc);
        }
        assert_eq!(pool.in_use(), 0);
        pool.give(Ssrc(u32::MAX));
    }

    #[test]
    fn one_given_back_is_not_the_next() {
        let mut pool = Pool::default();
        let first = pool.take("3402", true).unwrap();
        pool.give(first);
        assert_ne!(pool.take("3402", true), Some(first));
    }

    #[test]
    fn an_empty_pool_says_so() {
        let mut pool = Pool::default();
        assert!((0..200_000).all(|_| pool.take("34020000002000000001", false).is_some()));
        assert_eq!(pool.take("34020000002000000001", false), None);
    }
}

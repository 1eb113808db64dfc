//! Tags, branches, Call-IDs: unique, unguessable, and the same again in a test that gives the same seed.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Makes identifiers out of a secret seed and a counter.
#[derive(Clone)]
pub struct Ids {
    seed: [u8; 32],
    count: u64,
}

impl Ids {
    /// The seed comes from the operating system in production.
    pub fn new(seed: [u8; 32]) -> Ids {
        Ids { seed, count: 0 }
    }

    /// The next number; it tells nothing about the one after.
    pub fn number(&mut self) -> u64 {
        self.count += 1;
        keyed(&self.seed, &self.count)
    }

    /// The next tag, 16 hexadecimal digits.
    pub fn tag(&mut self) -> String {
        format!("{:016x}", self.number())
    }

    /// A 128-bit key of any value, for tables whose keys a peer chooses.
    pub fn key(&self, value: &impl Hash) -> u128 {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (self.seed, salt).hash(&mut hasher);
            value.hash(&mut hasher);
            hasher.finish()
        };
        u128::from(half(1)) << 64 | u128::from(half(2))
    }

    /// A secret for another purpose.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        use sha2::Digest;
        let mut hash = sha2::Sha256::new();
        hash.update(self.seed);
        hash.update(purpose.as_bytes());
        hash.finalize().into()
    }
}

fn keyed(seed: &[u8; 32], value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    value.hash(&mut hasher);
    hasher.finish()
}

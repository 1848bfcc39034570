//! The bytes of a witness page and the register values of a spinner, from a seed.

/// Bytes of one page of the guest (x86_64).
pub const PAGE: usize = 4096;

/// The splitmix64 sequence: every 64-bit seed, zero included, gives a full-period stream.
#[derive(Debug, Clone)]
pub struct SplitMix(u64);

impl SplitMix {
    /// Starts the sequence at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next value of the sequence.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

/// The content of witness page `index` under `seed`.
#[must_use]
pub fn page(seed: u64, index: u64) -> [u8; PAGE] {
    let mut words = SplitMix::new(seed ^ index.wrapping_mul(0xd605_1309_4be2_c9bd));
    let mut bytes = [0; PAGE];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&words.draw().to_le_bytes());
    }
    bytes
}

/// What the spinner pinned to `cpu` keeps in r12; r13 to r15 hold its complement and rotations.
#[must_use]
pub fn spinner_magic(cpu: u32) -> u64 {
    // "kdump" in ASCII, above the number of the CPU.
    0x6b64_756d_7000_0000 | u64::from(cpu)
}

#[cfg(test)]
mod tests {
    use super::{page, spinner_magic};

    #[test]
    fn pages_differ_by_seed_and_by_index() {
        assert_eq!(page(7, 3), page(7, 3));
        assert_ne!(page(7, 3), page(7, 4));
        assert_ne!(page(7, 3), page(8, 3));
        assert!(page(0, 0).iter().any(|&byte| byte != 0));
    }

    #[test]
    fn magic_names_its_cpu() {
        assert_eq!(spinner_magic(5), 0x6b64_756d_7000_0005);
    }
}

//! The generator of random numbers.

use std::convert::Infallible;

use rand::rand_core::utils::{fill_bytes_via_next_word, read_words};
use rand::{Rng, SeedableRng, TryRng};

/// The generator xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), as
/// [`seeded`](crate::seeded) makes it: the numbers of the type of this name in `rand`, with a state that can be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xoshiro256PlusPlus {
    words: [u64; 4],
}

impl Xoshiro256PlusPlus {
    /// The state, from which [`from_state`](Self::from_state) makes a generator that goes on with the same numbers.
    pub fn state(&self) -> [u64; 4] {
        self.words
    }

    /// The generator of a state; `None` if all words are 0, which would give nothing but 0.
    pub fn from_state(words: [u64; 4]) -> Option<Self> {
        (words != [0; 4]).then_some(Self { words })
    }
}

impl SeedableRng for Xoshiro256PlusPlus {
    type Seed = [u8; 32];

    fn from_seed(seed: [u8; 32]) -> Self {
        Self::from_state(read_words(&seed)).unwrap_or_else(|| Self::seed_from_u64(0))
    }

    /// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    fn seed_from_u64(mut state: u64) -> Self {
        let words = [(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self { words }
    }
}

impl TryRng for Xoshiro256PlusPlus {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // The lowest bits are the weakest ones.
        Ok((self.next_u64() >> 32) as u32)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let [mut a, mut b, mut c, mut d] = self.words;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let shifted = b << 17;
        c ^= a;
        d ^= b;
        b ^= c;
        a ^= d;
        self.words = [a, b, c ^ shifted, d.rotate_left(45)];
        Ok(result)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill_bytes_via_next_word(bytes, || self.try_next_u64())
    }
}

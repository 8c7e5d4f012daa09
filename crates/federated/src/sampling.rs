//! Which clients take part in a round.

use gradus_autograd::{Rng, Tensor};

use crate::error::FederatedError;

/// Which clients take part in a round.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Sampling {
    /// All of them.
    #[default]
    All,
    /// This number of them, each set of this size equally likely; all if there are fewer.
    Number(usize),
    /// Each with this probability, independently, as accountants of privacy assume: rounds have different sizes.
    Poisson(f64),
}

impl Sampling {
    pub(crate) fn check(self) -> Result<(), FederatedError> {
        match self {
            Self::Number(0) => {
                Err(FederatedError::argument("sampling", "number", 0, "at least 1: a round needs a client"))
            }
            Self::Poisson(rate) if !(rate > 0.0 && rate <= 1.0) => {
                Err(FederatedError::argument("sampling", "rate", rate, "more than 0 and at most 1"))
            }
            _ => Ok(()),
        }
    }

    /// The probability that a client takes part.
    pub(crate) fn rate(self, clients: usize) -> f64 {
        match self {
            Self::All => 1.0,
            Self::Number(number) => (number as f64 / clients as f64).min(1.0),
            Self::Poisson(rate) => rate,
        }
    }

    /// The clients of a round, in order.
    pub(crate) fn draw(self, clients: usize, rng: &mut impl Rng) -> Vec<usize> {
        match self {
            Self::All => (0..clients).collect(),
            Self::Number(number) => {
                let order = Tensor::randperm(clients, rng);
                let mut drawn: Vec<usize> = order.iter().take(number).map(|i| i as usize).collect();
                drawn.sort_unstable();
                drawn
            }
            Self::Poisson(rate) => coins(clients, rate, rng),
        }
    }
}

/// Each number below `count` with this probability.
pub(crate) fn coins(count: usize, probability: f64, rng: &mut impl Rng) -> Vec<usize> {
    let draws = Tensor::<f64>::rand([count], rng);
    (0..count).filter(|&i| draws[[i]] < probability).collect()
}

/// One seed of three numbers, by the steps of SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn mix(numbers: [u64; 3]) -> u64 {
    numbers.into_iter().fold(0, |seed, number| {
        let mut z = (seed ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

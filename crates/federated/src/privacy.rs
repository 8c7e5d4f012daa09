//! Differential privacy of updates: a bound on what one client may change, and noise over the sum.

use chacha20::ChaCha20Rng;
use gradus_autograd::{Tensor, seeded};
use rand::SeedableRng;

use crate::error::FederatedError;

/// Differential privacy for clients (McMahan, Ramage, Talwar and Zhang, "Learning differentially private recurrent language
/// models", 2018): each update is scaled down to a norm of at most `clip`, all updates have the same weight, their sum gets
/// Gaussian noise of standard deviation `noise_multiplier * clip`, and is divided by the *expected* number of clients.
///
/// So the sum of a round is one Gaussian mechanism of sensitivity `clip` with respect to adding or removing one client with
/// all of its data; an accountant of the sampled Gaussian mechanism turns [`PrivacyRecord`] into epsilon and delta. The noise
/// covers trainable parameters and buffers, which it can make negative: a variance of batch normalisation, for one. Counters
/// stay as they are.
///
/// The probability of taking part helps only against those who do not know who did: with noise of the server
/// [`Simulation`](crate::Simulation) draws clients from the operating system's generator, and the server itself knows them.
///
/// What it does not cover: the metrics and numbers of examples of a [`RoundReport`](crate::RoundReport), which are for
/// experiments; and who took part. Noise in floating-point numbers is not exactly Gaussian (Mironov, "On significance of the
/// least significant bits for differential privacy", 2012).
///
/// ```
/// use gradus_federated::Privacy;
///
/// let privacy = Privacy::new(0.5, 1.1)?;
/// let mut update = [3.0, 4.0];
/// assert_eq!(privacy.clip(&mut update), 5.0);
/// assert_eq!(update, [0.3, 0.4]);
/// # Ok::<(), gradus_federated::FederatedError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Privacy {
    clip: f64,
    noise_multiplier: f64,
    by_clients: Option<usize>,
    seed: Option<u64>,
}

/// The numbers of a simulation that an accountant needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivacyRecord {
    /// The number of rounds in which a noisy sum was used.
    pub rounds: u64,
    /// The probability with which each client takes part in a round; 1 with [noise of the clients](Privacy::noise_by_clients).
    pub sampling_rate: f64,
    /// The standard deviation of the noise of a sum, divided by the norm that an update is clipped to.
    pub noise_multiplier: f64,
}

impl Privacy {
    /// A bound on the norm of an update, and the noise as a multiple of it. With noise of 0 updates are only clipped, and
    /// nothing is private.
    ///
    /// # Errors
    /// If `clip` is not positive and finite, or `noise_multiplier` is negative or not finite.
    pub fn new(clip: f64, noise_multiplier: f64) -> Result<Self, FederatedError> {
        if !(clip > 0.0 && clip.is_finite()) {
            return Err(FederatedError::argument("Privacy::new", "clip", clip, "positive and finite"));
        }
        if !(noise_multiplier >= 0.0 && noise_multiplier.is_finite()) {
            let expected = "at least 0 and finite";
            return Err(FederatedError::argument(
                "Privacy::new",
                "noise_multiplier",
                noise_multiplier,
                expected,
            ));
        }
        Ok(Self { clip, noise_multiplier, by_clients: None, seed: None })
    }

    /// Lets each client add its share of the noise before anything leaves it, in place of the server: the noise multiplier
    /// divided by the root of `minimum`. The sum of at least `minimum` updates then has the noise that was asked for, and a
    /// round with fewer is refused. Together with secure aggregation the server sees nothing but that sum.
    ///
    /// More participants bring more noise, so the sum tells how many they are. What is hidden is therefore the update of a
    /// client in a round whose participants are known: neighbours have an update of zeros there in its place, and the
    /// sampling gives nothing. To hide which of two updates it was takes up to twice the epsilon.
    ///
    /// # Errors
    /// If `minimum` is 0.
    pub fn noise_by_clients(mut self, minimum: usize) -> Result<Self, FederatedError> {
        if minimum == 0 {
            let expected = "the least number of updates that a round uses, at least 1";
            return Err(FederatedError::argument("noise_by_clients", "minimum", minimum, expected));
        }
        self.by_clients = Some(minimum);
        Ok(self)
    }

    /// Draws noise from a generator with a seed, for tests and repeatable experiments. Whoever knows the seed can take the
    /// noise away: this is not private.
    #[must_use]
    pub fn seeded_noise_for_tests(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Scales an update down to the norm `clip` if it is longer, and returns its norm before.
    pub fn clip(&self, update: &mut [f64]) -> f64 {
        let largest = update.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        if largest == 0.0 {
            return 0.0;
        }
        // Divided first, as squares of large numbers are infinite.
        let norm = largest * update.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt();
        if norm > self.clip {
            for x in update {
                *x = *x / norm * self.clip;
            }
        }
        norm
    }

    /// The standard deviation of the noise of the whole sum.
    pub fn deviation(&self) -> f64 {
        self.noise_multiplier * self.clip
    }

    /// The noise as a multiple of the norm of an update.
    pub fn noise_multiplier(&self) -> f64 {
        self.noise_multiplier
    }

    /// Whether the noise follows from a seed.
    pub(crate) fn is_seeded(&self) -> bool {
        self.seed.is_some()
    }

    /// The least number of updates of a round, if clients add the noise.
    pub fn minimum(&self) -> Option<usize> {
        self.by_clients
    }

    /// Adds the server's noise to a sum of clipped updates, if the clients do not add it.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub(crate) fn noise_of_server(&self, round: u64, sum: &mut [f64]) -> Result<(), FederatedError> {
        if self.by_clients.is_some() {
            return Ok(());
        }
        self.add_noise(self.deviation(), [round, u64::MAX], sum)
    }

    /// A client's part: clips its update, and adds its share of the noise if the clients add it.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub(crate) fn protect(&self, round: u64, client: u64, update: &mut [f64]) -> Result<(), FederatedError> {
        self.clip(update);
        let Some(minimum) = self.by_clients else { return Ok(()) };
        self.add_noise(self.deviation() / (minimum as f64).sqrt(), [round, client], update)
    }

    fn add_noise(&self, deviation: f64, place: [u64; 2], numbers: &mut [f64]) -> Result<(), FederatedError> {
        if deviation == 0.0 {
            return Ok(());
        }
        let shape = [numbers.len()];
        let noise = match self.seed {
            Some(seed) => {
                Tensor::<f64>::randn(shape, &mut seeded(crate::sampling::mix([seed, place[0], place[1]])))
            }
            None => Tensor::<f64>::randn(shape, &mut secure_generator().map_err(FederatedError::Randomness)?),
        };
        for (x, noise) in numbers.iter_mut().zip(noise.iter()) {
            *x += deviation * noise;
        }
        Ok(())
    }
}

/// ChaCha20 with a key from the operating system.
pub(crate) fn secure_generator() -> Result<ChaCha20Rng, getrandom::Error> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    Ok(ChaCha20Rng::from_seed(key))
}

//! Random numbers that nobody can foretell.

use std::convert::Infallible;
use std::fmt::{self, Debug, Formatter};

use rand::rngs::{ChaCha20Rng, SysRng};
use rand::{Rng, SeedableRng, TryCryptoRng, TryRng};

use crate::error::{PrivacyError, Result};

/// A cryptographically secure generator: ChaCha with 20 rounds (Bernstein, "ChaCha, a variant of Salsa20", 2008), its key from
/// the operating system.
///
/// Privacy rests on noise that nobody knows. So the generator can neither be cloned nor saved, prints nothing of its state, and
/// takes a seed under a name alone that says what this is for.
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_privacy::SecureRng;
///
/// let noise = |rng: &mut SecureRng| Tensor::<f64>::randn([4], rng);
/// assert_ne!(noise(&mut SecureRng::new()?), noise(&mut SecureRng::new()?));
/// assert_eq!(noise(&mut SecureRng::seeded_for_tests(0)), noise(&mut SecureRng::seeded_for_tests(0)));
/// # Ok::<(), gradus_privacy::PrivacyError>(())
/// ```
pub struct SecureRng(ChaCha20Rng);

impl SecureRng {
    /// With a key from the operating system.
    ///
    /// # Errors
    /// If the system has no random numbers to give.
    pub fn new() -> Result<Self> {
        let rng = ChaCha20Rng::try_from_rng(&mut SysRng);
        Ok(Self(rng.map_err(|error| PrivacyError::NoRandomness(error.to_string()))?))
    }

    /// The same numbers in each run. Whoever knows the seed can take the noise away again: what is trained with it is not
    /// private.
    pub fn seeded_for_tests(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }
}

impl TryRng for SecureRng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }
    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SecureRng {}

/// Nothing of the state.
impl Debug for SecureRng {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SecureRng")
    }
}

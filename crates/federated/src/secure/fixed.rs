//! Numbers in fixed point, whose sums are exact.

use super::SecureError;

/// Numbers as whole multiples of `2^-fraction_bits`, in words of 64 bits that are added modulo `2^64`. The range is checked
/// when a number is written, so that a sum of as many vectors as there are clients cannot overflow.
///
/// ```
/// use gradus_federated::secure::FixedPoint;
///
/// let fixed = FixedPoint::new(8, 3)?;
/// let words = fixed.encode(&[0.5, -1.25])?;
/// assert_eq!(words, [128, (-320_i64).cast_unsigned()]);
/// assert_eq!(fixed.decode(&words), [0.5, -1.25]);
/// # Ok::<(), gradus_federated::secure::SecureError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedPoint {
    fraction_bits: u32,
    limit: i64,
}

impl FixedPoint {
    /// Numbers with this many bits after the point, of which at most `clients` are added.
    ///
    /// # Errors
    /// If there are more than 52 bits, as many as an `f64` has, or no clients.
    pub fn new(fraction_bits: u32, clients: usize) -> Result<Self, SecureError> {
        let refuse = |argument, got, expected| {
            Err(SecureError::Argument { operation: "FixedPoint::new", argument, got, expected })
        };
        if fraction_bits > 52 {
            return refuse("fraction_bits", fraction_bits as usize, "at most 52");
        }
        match i64::try_from(clients) {
            Ok(clients) if clients > 0 => Ok(Self { fraction_bits, limit: i64::MAX / clients }),
            _ => refuse("clients", clients, "at least 1"),
        }
    }

    /// The words of numbers, each rounded toward zero: no vector gets longer than it was clipped to.
    ///
    /// # Errors
    /// If a number is not finite, or so large that a sum could overflow.
    pub fn encode(&self, numbers: &[f64]) -> Result<Vec<u64>, SecureError> {
        let word = |(index, &value): (usize, &f64)| {
            let scaled = (value * self.scale()).trunc();
            // As `f64` the limit may be rounded up; so it is itself refused.
            if scaled.abs() < self.limit as f64 {
                Ok((scaled as i64).cast_unsigned())
            } else {
                Err(SecureError::Range { index, value, limit: self.limit as f64 / self.scale() })
            }
        };
        numbers.iter().enumerate().map(word).collect()
    }

    /// The numbers of words.
    pub fn decode(&self, words: &[u64]) -> Vec<f64> {
        words.iter().map(|word| word.cast_signed() as f64 / self.scale()).collect()
    }

    fn scale(&self) -> f64 {
        2_f64.powi(self.fraction_bits as i32)
    }
}

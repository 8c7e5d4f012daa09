//! Affine maps of [`Packing::Single`](crate::Packing::Single).

use std::sync::Arc;

use fhe::bfv::{BfvParameters, Ciphertext, Encoding, Plaintext};
use fhe_math::rq::traits::TryConvertFrom;
use fhe_math::rq::{Poly, Representation};
use fhe_traits::FheEncoder;

use crate::error::EncryptedError;
use crate::network::AffineMap;
use crate::plan::Step;
use crate::server::EvaluationKeys;

/// An affine map, its weights in slots.
pub(crate) struct Encoded {
    /// Factors of the ciphertexts, or of the rotations of one.
    factors: Vec<Poly>,
    /// Whether the sum is rotated by one before a product is added.
    rotated: bool,
    folds: Vec<usize>,
    bias: Plaintext,
    engine: Arc<BfvParameters>,
}

impl Encoded {
    /// The slots of a map; `Step` says which weight belongs where.
    pub(crate) fn new(
        step: Step,
        map: &AffineMap,
        engine: &Arc<BfvParameters>,
    ) -> Result<Self, EncryptedError> {
        let row = engine.degree() / 2;
        let (count, stride) = match step {
            Step::Spread { ciphertexts, .. } => (ciphertexts, 1),
            Step::Diagonals { inputs, outputs } => (inputs.min(outputs), 1),
            Step::Strided { inputs } => (1, inputs),
        };
        // The weight of a slot of a factor.
        let weight = |factor: usize, slot: usize| match step {
            Step::Spread { outputs, chunk, .. } => {
                // The inputs are repeated in the rest of the row; a sum runs over one period.
                map.weight(slot % outputs, factor * chunk + slot / outputs % chunk)
            }
            Step::Diagonals { inputs, outputs } => {
                // Diagonal k, rotated back by k: the rotations that follow bring it to its place.
                map.weight((slot + outputs - factor % outputs) % outputs, slot % inputs)
            }
            Step::Strided { inputs } => map.weight(slot / inputs, slot % inputs),
        };
        let slots = |value: &dyn Fn(usize) -> i64| -> Vec<i64> {
            (0..2 * row).map(|slot| value(slot % row)).collect()
        };
        let factors = (0..count).map(|factor| centred(&slots(&|slot| weight(factor, slot)), engine));
        let bias = slots(&|slot| {
            let output = if stride > 1 { slot / stride } else { slot % map.rows.len().next_power_of_two() };
            map.bias.get(output).copied().unwrap_or(0)
        });
        Ok(Self {
            factors: factors.collect::<Result<_, _>>()?,
            rotated: matches!(step, Step::Diagonals { .. }),
            folds: step.folds(),
            bias: encode(&bias, engine)?,
            engine: Arc::clone(engine),
        })
    }

    /// The map of the values of ciphertexts.
    pub(crate) fn apply(
        &self,
        values: &[Ciphertext],
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext, EncryptedError> {
        let mut sum: Option<Ciphertext> = None;
        // The last diagonal first: with each step all that came before are rotated once more.
        for (place, factor) in self.factors.iter().enumerate().rev() {
            let value = if self.rotated { &values[0] } else { &values[place] };
            let products = value.iter().map(|polynomial| polynomial * factor).collect();
            let product = Ciphertext::new(products, &self.engine)?;
            sum = Some(match sum {
                None => product,
                Some(sum) if self.rotated => keys.rotated(&sum, 1)? + &product,
                Some(sum) => sum + &product,
            });
        }
        let mut sum = sum.expect("a map has factors");
        for &by in &self.folds {
            let rotated = keys.rotated(&sum, by)?;
            sum += &rotated;
        }
        sum += &self.bias;
        Ok(sum)
    }
}

fn encode(slots: &[i64], engine: &Arc<BfvParameters>) -> Result<Plaintext, EncryptedError> {
    let modulus = engine.plaintext() as i64;
    let reduced: Vec<u64> = slots.iter().map(|value| value.rem_euclid(modulus) as u64).collect();
    Ok(Plaintext::try_encode(&reduced[..], Encoding::simd(), engine)?)
}

/// The polynomial with these slots and coefficients from -t/2 to t/2: noise grows half as much as with those from 0 to t.
fn centred(slots: &[i64], engine: &Arc<BfvParameters>) -> Result<Poly, EncryptedError> {
    let (context, t) = (engine.context_at_level(0)?, engine.plaintext() as i64);
    let whole = Poly::try_convert_from(&encode(slots, engine)?, context, true, Representation::PowerBasis)?;
    // Every modulus of a ciphertext is larger than t: the first row has the coefficients themselves.
    let coefficients: Vec<i64> =
        whole.coefficients().iter().take(engine.degree()).map(|&c| c as i64).collect();
    let centred: Vec<i64> = coefficients.into_iter().map(|c| if c > t / 2 { c - t } else { c }).collect();
    let mut factor = Poly::try_convert_from(&centred, context, true, Representation::PowerBasis)?;
    factor.change_representation(Representation::Ntt);
    Ok(factor)
}

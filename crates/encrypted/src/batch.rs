//! Affine maps of [`Packing::Batch`](crate::Packing::Batch).

use std::sync::Arc;

use fhe::bfv::{BfvParameters, Ciphertext};
use fhe_math::rq::traits::TryConvertFrom;
use fhe_math::rq::{Poly, Representation};

use crate::error::EncryptedError;

/// The sum of ciphertexts times integers. A product with an integer is one of every number of the ciphertext, so a whole
/// sum is one pass of 64-bit arithmetic and one reduction; encoded as plaintexts, weights would cost a reduction each.
pub(crate) fn weighted_sum(
    values: &[Ciphertext],
    row: &[(usize, i64)],
    engine: &Arc<BfvParameters>,
) -> Result<Ciphertext, EncryptedError> {
    let (first, degree) = (&values[0], engine.degree());
    let norm: u128 = row.iter().map(|&(_, weight)| u128::from(weight.unsigned_abs())).sum();
    let mut polynomials = Vec::with_capacity(first.len());
    for (part, polynomial) in first.iter().enumerate() {
        let context = polynomial.ctx();
        let mut numbers = Vec::with_capacity(context.moduli().len() * degree);
        for (place, &modulus) in context.moduli().iter().enumerate() {
            let terms = row.iter().map(|&(input, weight)| {
                let all = values[input][part].coefficients().to_slice().expect("contiguous");
                (&all[place * degree..][..degree], weight)
            });
            if norm * u128::from(modulus) < 1 << 63 {
                let mut sums = vec![0_i64; degree];
                for (numbers, weight) in terms {
                    sums.iter_mut().zip(numbers).for_each(|(sum, &x)| *sum += weight * x as i64);
                }
                numbers.extend(sums.into_iter().map(|sum| sum.rem_euclid(modulus as i64) as u64));
            } else {
                let mut sums = vec![0_i128; degree];
                for (numbers, weight) in terms {
                    sums.iter_mut()
                        .zip(numbers)
                        .for_each(|(sum, &x)| *sum += i128::from(weight) * i128::from(x));
                }
                numbers.extend(sums.into_iter().map(|sum| sum.rem_euclid(i128::from(modulus)) as u64));
            }
        }
        polynomials.push(Poly::try_convert_from(numbers, context, true, Representation::Ntt)?);
    }
    Ok(Ciphertext::new(polynomials, engine)?)
}

//! Parameters of the scheme, and how noise grows under them.

use std::sync::Arc;

use fhe::bfv::{BfvParameters, BfvParametersBuilder};
use fhe_util::is_prime;

use crate::error::EncryptedError;

/// Degrees and ciphertext moduli of 109, 218 and 438 bits: for these degrees the largest that have a security of 128 bits
/// in the table of the homomorphic encryption standard (Albrecht et al., 2018, table 1, classical attacks). The primes come
/// from `fhe`'s `default_parameters_128`. A network may use the first few of a row: a smaller modulus is more secure.
const TABLE: [(usize, &[u64]); 3] = [
    (4096, &[0xf_fffe_e001, 0xf_fffc_4001, 0x1f_fffe_0001]),
    (8192, &[0x7ff_fffd_8001, 0x7ff_fffc_8001, 0xfff_ffff_c001, 0xfff_fff6_c001, 0xfff_ffeb_c001]),
    (
        16384,
        &[
            0xffff_fffd_8001,
            0xffff_fffa_0001,
            0xffff_fff0_0001,
            0x1_ffff_fff6_8001,
            0x1_ffff_fff5_0001,
            0x1_ffff_ffee_8001,
            0x1_ffff_ffea_0001,
            0x1_ffff_ffe8_8001,
            0x1_ffff_ffe4_8001,
        ],
    ),
];

/// The largest coefficient of an error or a secret key: both are differences of two sums of 20 bits, with variance 10.
const LARGEST_ERROR: f64 = 20.0;

/// A client draws its key again until the absolute values of its coefficients sum to at most this times the degree. They
/// do nearly always: 2.52 is expected, and for 4,096 coefficients 0.03 the standard deviation.
pub(crate) const KEY_NORM: f64 = 2.75;

/// Degree, moduli of ciphertexts and of plaintexts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) degree: usize,
    pub(crate) moduli: &'static [u64],
    pub(crate) plaintext: u64,
}

impl Parameters {
    /// Degrees and moduli, cheapest first.
    pub(crate) fn choices() -> impl Iterator<Item = (usize, usize)> {
        TABLE.iter().flat_map(|&(degree, moduli)| (2..=moduli.len()).map(move |count| (degree, count)))
    }

    /// The largest bound on values that a degree has a plaintext modulus for.
    pub(crate) fn largest_bound(degree: usize) -> f64 {
        TABLE.iter().find(|row| row.0 == degree).map_or(0.0, |row| row.1[0] as f64 / 16.0)
    }

    /// Parameters for values from `-bound` to `bound`: the plaintext modulus is the least prime above `2 bound` with slots.
    pub(crate) fn for_bound(degree: usize, count: usize, bound: i64) -> Option<Self> {
        let moduli = TABLE.iter().find(|row| row.0 == degree)?.1.get(..count)?;
        if bound as f64 > Self::largest_bound(degree) {
            return None;
        }
        let step = 2 * degree as u64;
        // At least 2^10, as the engine has no smaller primes with slots.
        let least = (2 * bound as u64).max(1 << 10);
        let plaintext = (least / step + 1..u64::MAX / step).map(|k| k * step + 1).find(|&p| is_prime(p))?;
        Some(Self { degree, moduli, plaintext })
    }

    /// Parameters that a message names, if they are of the table.
    pub(crate) fn named(degree: usize, count: usize, plaintext: u64) -> Option<Self> {
        let moduli = TABLE.iter().find(|row| row.0 == degree)?.1.get(..count)?;
        let fits = count >= 2
            && plaintext > 1 << 10
            && plaintext < moduli[0] / 4
            && plaintext % (2 * degree as u64) == 1
            && is_prime(plaintext);
        fits.then_some(Self { degree, moduli, plaintext })
    }

    /// Those of the engine.
    pub(crate) fn engine(&self) -> Result<Arc<BfvParameters>, EncryptedError> {
        let builder = &mut BfvParametersBuilder::new();
        let builder = builder.set_degree(self.degree).set_plaintext_modulus(self.plaintext);
        Ok(builder.set_moduli(self.moduli).build_arc()?)
    }

    /// The number of slots of a row; a plaintext has two rows.
    pub(crate) fn row(&self) -> usize {
        self.degree / 2
    }

    /// The product of the first `count` moduli.
    pub(crate) fn modulus(&self, count: usize) -> f64 {
        self.moduli[..count].iter().map(|&q| q as f64).product()
    }

    /// The largest noise with which a ciphertext of `count` moduli surely decrypts, and at which the client still knows that
    /// it does: half of what decryption bears.
    pub(crate) fn tolerated(&self, count: usize) -> f64 {
        self.modulus(count) / (4.0 * self.plaintext as f64)
    }

    /// The bits between a noise and what decryption bears.
    pub(crate) fn budget(&self, noise: f64, count: usize) -> f64 {
        1.0 + (self.tolerated(count) / noise).log2()
    }

    // The bounds below are on the largest coefficient of the noise v, for which the phase c0 + c1 s + .. of a ciphertext is
    // (q / t) (m + t k) + v with integer polynomials m and k. They hold for every message, key and error, as a product of
    // polynomials is at most the largest coefficient of one times the sum of absolute coefficients of the other.

    /// An encryption with the secret key: an error, and a message rounded to a multiple of q / t.
    pub(crate) fn fresh() -> f64 {
        LARGEST_ERROR + 1.0
    }

    /// After adding a plaintext, which is rounded as above.
    pub(crate) fn add_plain(noise: f64) -> f64 {
        noise + 1.0
    }

    /// After the product with a plaintext of arbitrary slots, whose coefficients are then up to t / 2.
    pub(crate) fn multiply_plain(&self, noise: f64) -> f64 {
        noise * (self.degree as f64 * self.plaintext as f64 / 2.0)
    }

    /// The noise of a key switch, a rotation or the way back to two polynomials: digits up to the moduli times errors of the key.
    pub(crate) fn key_switch(&self) -> f64 {
        let digits: f64 = self.moduli.iter().map(|&q| q as f64).sum();
        LARGEST_ERROR * self.degree as f64 * digits
    }

    /// After a square. With the phase P = (q / t) (m + t k) + v, `(t / q) P^2 = (q / t) (m + t k)^2 + 2 (m + t k) v + (t / q) v^2`,
    /// and |m + t k| is at most (t / q) |P| + 1, where |P| <= q (1 + |s|) / 2. Three polynomials are rounded.
    pub(crate) fn square(&self, noise: f64) -> f64 {
        let (n, t) = (self.degree as f64, self.plaintext as f64);
        let factor = n * (t * (1.0 + self.key_norm()) + 3.0);
        // The engine scales with fixed-point fractions of 127 bits; a hundredth covers them amply.
        1.01 * noise * factor + self.rounding(3)
    }

    /// After dropping the last of `count` moduli from a ciphertext of `parts` polynomials.
    pub(crate) fn switch_down(&self, noise: f64, count: usize, parts: usize) -> f64 {
        noise / self.moduli[count - 1] as f64 + self.rounding(parts)
    }

    /// The sum of absolute coefficients of a secret key.
    fn key_norm(&self) -> f64 {
        KEY_NORM * self.degree as f64
    }

    /// Rounding the polynomials of a ciphertext, each times a power of the key.
    fn rounding(&self, parts: usize) -> f64 {
        let norm = self.key_norm();
        1.01 * (1.0 + norm + if parts == 3 { norm * norm } else { 0.0 }) / 2.0
    }
}

//! Secrets in shares (Shamir, "How to share a secret", 1979), over the field of the prime `2^61 - 1`.

use rand::Rng;

const PRIME: u64 = (1 << 61) - 1;
/// A secret of 32 bytes as numbers of 7 bytes, which are less than the prime.
pub(super) const LIMBS: usize = 5;

/// One share of a secret of 32 bytes: values of five polynomials at one point.
pub(super) type Share = [u64; LIMBS];

fn add(x: u64, y: u64) -> u64 {
    let sum = x + y;
    if sum >= PRIME { sum - PRIME } else { sum }
}

fn multiply(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    // 2^61 is 1 modulo the prime.
    add((product as u64) & PRIME, (product >> 61) as u64)
}

/// By Fermat's little theorem; 0 has no inverse.
fn inverse(x: u64) -> u64 {
    let (mut result, mut base, mut exponent) = (1, x, PRIME - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, base);
        }
        base = multiply(base, base);
        exponent >>= 1;
    }
    result
}

/// Uniform in the field: a draw of 61 bits, repeated for the one number that is not in it.
fn element(rng: &mut impl Rng) -> u64 {
    loop {
        let draw = rng.next_u64() >> 3;
        if draw < PRIME {
            return draw;
        }
    }
}

/// Whether a share, which may come from outside, has elements of the field.
pub(super) fn is_share(share: &Share) -> bool {
    share.iter().all(|&x| x < PRIME)
}

/// Shares at the points 1 to `count`, of which any `threshold` give the secret, and fewer say nothing.
pub(super) fn split(secret: &[u8; 32], threshold: usize, count: usize, rng: &mut impl Rng) -> Vec<Share> {
    let mut shares = vec![[0; LIMBS]; count];
    for (limb, bytes) in secret.chunks(7).enumerate() {
        let number = bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let mut coefficients = vec![number];
        coefficients.extend((1..threshold).map(|_| element(rng)));
        for (share, point) in shares.iter_mut().zip(1..) {
            share[limb] = coefficients.iter().rev().fold(0, |value, &c| add(multiply(value, point), c));
        }
    }
    shares
}

/// The secret, from shares with their points, which are different and not 0; nothing if they are of no secret of 32 bytes.
pub(super) fn join(shares: &[(u64, Share)]) -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    for (limb, bytes) in secret.chunks_mut(7).enumerate() {
        let mut number = 0;
        for &(point, share) in shares {
            // Lagrange's polynomial of this point, at 0.
            let (mut above, mut below) = (1, 1);
            for &(other, _) in shares.iter().filter(|(other, _)| *other != point) {
                above = multiply(above, other);
                below = multiply(below, add(other, PRIME - point));
            }
            number = add(number, multiply(share[limb], multiply(above, inverse(below))));
        }
        for byte in bytes.iter_mut() {
            *byte = number as u8;
            number >>= 8;
        }
        if number != 0 {
            return None;
        }
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn any_threshold_of_shares_is_enough_and_fewer_are_not() {
        let rng = &mut ChaCha20Rng::seed_from_u64(0);
        let mut secret = [0xff; 32];
        for round in 0..20 {
            let shares: Vec<(u64, Share)> = (1..).zip(split(&secret, 3, 5, rng)).collect();
            for skipped in 0..5_usize {
                let others: Vec<_> = (0..5).filter(|i| *i != skipped).map(|i| shares[i]).collect();
                assert_eq!(join(&others), Some(secret));
                assert_eq!(join(&others[1..]), Some(secret));
                assert_ne!(join(&others[2..]), Some(secret));
            }
            secret = std::array::from_fn(|i| secret[i].wrapping_mul(31).wrapping_add(i as u8 + round));
        }
    }

    #[test]
    fn arithmetic_of_the_field() {
        assert_eq!(multiply(PRIME - 1, PRIME - 1), 1);
        assert_eq!(add(PRIME - 1, 1), 0);
        for x in [1, 2, 3, 1 << 40, PRIME - 1] {
            assert_eq!(multiply(x, inverse(x)), 1);
        }
    }

    /// With fewer shares than the threshold every secret is equally likely: a share of two different secrets has the same
    /// distribution. Here its top bits over many draws, by the chi-square statistic.
    #[test]
    fn a_share_says_nothing() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for secret in [[0; 32], [0xff; 32]] {
            let mut counts = [0_u32; 64];
            for _ in 0..6400 {
                counts[(split(&secret, 2, 1, rng)[0][0] >> 55) as usize] += 1;
            }
            let chi: f64 = counts.iter().map(|&count| (f64::from(count) - 100.0).powi(2) / 100.0).sum();
            // 63 degrees of freedom: 63 +- 11.2; five deviations.
            assert!(chi < 63.0 + 56.0, "{chi}");
        }
    }
}

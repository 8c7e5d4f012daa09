//! Intermediate results kept between the smallest and the largest number.

use crate::element::{Float, Number};

/// Whether a number is neither infinite nor NaN; always for an integer.
#[inline(always)]
#[allow(clippy::eq_op, reason = "infinity less infinity is NaN")]
pub(crate) fn is_finite<T: Number>(x: T) -> bool {
    x - x == T::ZERO
}

/// Sums of numbers times the first factor do not overflow; the second one undoes it.
pub(crate) fn headroom<T: Number>() -> [T; 2] {
    [-64, 64].map(|exponent| T::from_f64(two_to(exponent)))
}

/// Two to a power from -1022 to 1023.
fn two_to(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// The largest power of two that is not larger than the magnitude; 1 for 0, infinity and NaN.
pub(crate) fn power_of_two<T: Float>(x: T) -> T {
    if x == T::ZERO || !is_finite(x) {
        return T::ONE;
    }
    let wide = x.to_f64();
    // A subnormal number has no exponent of its own until it is a normal one.
    let lift = if wide.abs() < f64::MIN_POSITIVE { 100 } else { 0 };
    let power = f64::from_bits((wide * two_to(lift)).to_bits() & f64::INFINITY.to_bits());
    T::from_f64(power * two_to(-lift))
}

/// The smallest positive number that has all its digits.
#[inline(always)]
pub(crate) fn smallest_normal<T: Number>() -> T {
    T::from_f64(if size_of::<T>() == 4 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE })
}

/// Whether a product of two numbers has overflowed, or lost digits for being too small.
#[inline(always)]
#[allow(clippy::needless_bitwise_bool, reason = "a loop without branches is made of vectors")]
fn out_of_range<T: Number>(x: T, y: T, product: T) -> bool {
    let underflow = (product.abs() < smallest_normal()) & (x != T::ZERO) & (y != T::ZERO);
    let overflow = !is_finite(product) & is_finite(x) & is_finite(y);
    !T::INTEGER & (underflow | overflow)
}

/// Whether no partial product of these factors, taken in order, overflows or loses digits for being too small.
pub(crate) fn product_in_range<T: Number>(factors: impl Iterator<Item = T>) -> bool {
    let mut product = T::ONE;
    let mut lost = false;
    for x in factors {
        lost |= product != T::ONE && out_of_range(product, x, product * x);
        product *= x;
    }
    !lost
}

/// A product that may be larger than the largest number, or smaller than the smallest one, for as long as it has not
/// got all its factors.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    /// Its magnitude is in [1, 2), unless it is 0, infinite or NaN.
    mantissa: f64,
    exponent: i64,
}

impl Product {
    pub(crate) const EMPTY: Self = Self { mantissa: 1.0, exponent: 0 };

    #[must_use]
    pub(crate) fn times<T: Number>(self, factor: T) -> Self {
        let mut product = Self { mantissa: 1.0, ..self };
        for part in [factor.to_f64(), self.mantissa] {
            let part = product.mantissa * part;
            let power = power_of_two(part);
            product.mantissa = part / power;
            product.exponent += i64::from(exponent_of(power));
        }
        product
    }

    /// The nearest number.
    pub(crate) fn value<T: Number>(self) -> T {
        // In two steps, as two to the whole exponent may be out of range.
        let exponent = self.exponent.clamp(-2000, 2000) as i32;
        let half = exponent / 2;
        T::from_f64(self.mantissa * two_to(half) * two_to(exponent - half))
    }
}

/// The exponent of a power of two.
fn exponent_of(power: f64) -> i32 {
    let (power, lift) = if power < f64::MIN_POSITIVE { (power * two_to(100), 100) } else { (power, 0) };
    (power.to_bits() >> 52) as i32 - 1023 - lift
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// For all numbers of all sizes, subnormal ones too.
        #[test]
        fn powers_of_two_are_below_and_near(bits: u32) {
            let x = f32::from_bits(bits);
            let power = power_of_two(x);
            if x == 0.0 || !x.is_finite() {
                prop_assert_eq!(power, 1.0);
            } else {
                prop_assert!(power <= x.abs() && f64::from(x.abs()) < 2.0 * f64::from(power));
                prop_assert_eq!(f64::from(power).to_bits() << 12, 0);
            }
        }

        /// In any order of factors, and rounded as a product without bounds is.
        #[test]
        fn products_do_not_depend_on_bounds(exponents in prop::collection::vec(-1000..1000_i32, 0..12)) {
            let back = exponents.iter().map(|e| -e / 2).flat_map(|e| [e, e]);
            let all = exponents.iter().copied().chain(back);
            let rest: i32 = all.clone().sum();
            let product = all.fold(Product::EMPTY, |product, e| product.times(2.0_f64.powi(e)));
            prop_assert_eq!(product.value::<f64>(), 2.0_f64.powi(rest));
        }
    }

    #[test]
    fn products_round_once() {
        let product =
            |factors: &[f64]| factors.iter().fold(Product::EMPTY, |p, &x| p.times(x)).value::<f64>();
        assert!((product(&[1e200, 1e200, 1e-200, 1e-200, 3.0]) - 3.0).abs() < 1e-14);
        assert_eq!(product(&[1e200, 1e200]), f64::INFINITY);
        assert_eq!(product(&[1e200, 1e200, 0.0]), 0.0);
        assert!(product(&[f64::INFINITY, 0.0]).is_nan());
        assert_eq!(product(&[-f64::MIN_POSITIVE, 0.75]), -0.75 * f64::MIN_POSITIVE);
    }
}

//! The discrete Fourier transform.

use std::f64::consts::TAU;

/// A complex number.
pub(crate) type Complex = [f64; 2];

pub(crate) fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

/// `x` to an integer power, by squaring.
pub(crate) fn power(mut x: Complex, mut exponent: usize) -> Complex {
    let mut product = [1.0, 0.0];
    while exponent > 0 {
        if exponent % 2 == 1 {
            product = times(product, x);
        }
        x = times(x, x);
        exponent /= 2;
    }
    product
}

/// The transform of a number of elements that is a power of two, in place (Cooley and Tukey, "An algorithm for the machine
/// calculation of complex Fourier series", 1965). Twice, it gives the elements in reverse order but for the first, times
/// their number.
pub(crate) fn transform(x: &mut [Complex]) {
    let n = x.len();
    assert!(n.is_power_of_two(), "transform: there are {n} elements: their number must be a power of two");
    let shift = usize::BITS - n.trailing_zeros();
    for i in (0..n).filter(|_| n > 1) {
        let j = i.reverse_bits() >> shift;
        if i < j {
            x.swap(i, j);
        }
    }
    let roots: Vec<Complex> = (0..n / 2)
        .map(|k| {
            let (sin, cos) = (-TAU * k as f64 / n as f64).sin_cos();
            [cos, sin]
        })
        .collect();
    let mut half = 1;
    while half < n {
        for block in x.chunks_exact_mut(2 * half) {
            let (left, right) = block.split_at_mut(half);
            for ((a, b), root) in left.iter_mut().zip(right).zip(roots.iter().step_by(n / 2 / half)) {
                let turned = times(*b, *root);
                *b = [a[0] - turned[0], a[1] - turned[1]];
                *a = [a[0] + turned[0], a[1] + turned[1]];
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_sums_say() {
        for n in [1, 2, 8, 32] {
            let x: Vec<Complex> = (0..n).map(|i| [f64::from(i * i % 7), f64::from(i % 3)]).collect();
            let mut got = x.clone();
            transform(&mut got);
            for (k, got) in got.into_iter().enumerate() {
                let term = |(j, &x): (usize, &Complex)| {
                    let (sin, cos) = (-TAU * (j * k) as f64 / f64::from(n)).sin_cos();
                    times(x, [cos, sin])
                };
                let want = x.iter().enumerate().map(term).fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
                assert!((got[0] - want[0]).hypot(got[1] - want[1]) < 1e-11, "{got:?} {want:?}");
            }
        }
        let cube = power([1.0, 2.0], 3);
        assert_eq!(cube, [-11.0, -2.0]);
    }
}

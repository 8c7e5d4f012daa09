//! Results that are ordinary numbers although squares, sums or partial products on the way are not.

use gradus_tensor::{Float, Pool, Tensor};
use proptest::prelude::*;

/// A function and the power of a scale that its result has.
type Homogeneous<T> = (&'static str, i32, fn(&Tensor<T>) -> Tensor<T>);

fn functions<T: Float>() -> Vec<Homogeneous<T>> {
    vec![
        ("mean", 1, |x| x.mean(1)),
        ("mean across", 1, |x| x.mean(0)),
        ("sum", 1, |x| x.sum(1)),
        ("cumsum", 1, |x| x.cumsum(1)),
        ("norm 0.5", 1, |x| x.norm(0.5, 1)),
        ("norm 2", 1, |x| x.norm(2.0, 1)),
        ("norm 2 across", 1, |x| x.norm(2.0, 0)),
        ("norm 3", 1, |x| x.norm(3.0, ..)),
        ("norm 90", 1, |x| x.norm(90.0, 1)),
        ("norm -1", 1, |x| x.norm(-1.0, 1)),
        ("norm -7", 1, |x| x.norm(-7.0, 0)),
        ("var", 2, |x| x.var(1, 1)),
        ("std", 1, |x| x.std(1, 1)),
        ("std across", 1, |x| x.std(0, 0)),
        ("layer_norm", 0, |x| x.layer_norm([x.shape()[1]], None, None, 0.0)),
        ("rms_norm", 0, |x| x.rms_norm([x.shape()[1]], None, 0.0)),
        ("avg_pool", 1, |x| {
            let x = x.unsqueeze(0);
            x.pooled_mean(&Pool::new([2, 2]).over_means("avg_pool2d", 2, x.shape()).unwrap())
        }),
    ]
}

/// Equal but for rounding, of numbers of the size of the largest; a number that is too large is infinite.
fn check(
    name: &str,
    got: &[f64],
    expected: &[f64],
    [smallest, largest, epsilon]: [f64; 3],
) -> Result<(), TestCaseError> {
    let size = expected.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    for (got, &expected) in got.iter().zip(expected) {
        let infinite = expected.abs() > largest && !got.is_finite();
        let near = (got - expected).abs() <= 64.0 * epsilon * size + smallest * epsilon;
        // Just at the edge both are right.
        let edge = expected.abs() > 0.999 * largest;
        prop_assert!(infinite || near || edge, "{name}: {got:e} instead of {expected:e}");
    }
    Ok(())
}

/// Numbers of either sign that do not cancel.
fn rows() -> impl Strategy<Value = Vec<f64>> {
    (prop::collection::vec(0.6..1.0_f64, 12), any::<bool>(), 1e-3..0.1_f64).prop_map(
        |(mut x, negative, apart)| {
            x[0] = if negative { -x[0] } else { x[0] };
            // Not all equal, anywhere.
            (0..12).for_each(|i| x[i] += apart * f64::from((i % 4 + i / 4) as u32));
            x
        },
    )
}

proptest! {
    /// Single precision at any scale, against double precision.
    #[test]
    fn single_precision_has_no_hidden_bounds(x in rows(), exponent in prop_oneof![-140..128_i32, Just(127), Just(64)]) {
        let x = Tensor::from_vec(x, [3, 4]).unwrap().map(|x| x * 2.0_f64.powi(exponent)).cast::<f32>();
        let limits = [f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX), f64::from(f32::EPSILON)];
        for ((name, _, narrow), (_, _, wide)) in functions::<f32>().into_iter().zip(functions::<f64>()) {
            check(name, &narrow(&x).cast::<f64>().to_vec(), &wide(&x.cast()).to_vec(), limits)?;
        }
    }

    /// Double precision at any scale, against the same at scale 1.
    #[test]
    fn scales_go_through(x in rows(), exponent in prop_oneof![-1015..1024_i32, Just(1023), Just(512), Just(-537)]) {
        let x = Tensor::from_vec(x, [3, 4]).unwrap();
        // In two steps, as 2^1023 squared is too large.
        let half = 2.0_f64.powi(exponent / 2);
        let rest = 2.0_f64.powi(exponent - exponent / 2);
        let limits = [f64::MIN_POSITIVE, f64::MAX, f64::EPSILON];
        for (name, power, function) in functions::<f64>() {
            let expected = function(&x).map(|y| (0..power).fold(y, |y, _| y * half * rest)).to_vec();
            check(name, &function(&(&x * half * rest)).to_vec(), &expected, limits)?;
        }
    }

    /// A product that goes out of range and back, in any order.
    #[test]
    fn products_come_back(exponents in prop::collection::vec(-300..300_i32, 1..12), axis in 0..2_isize) {
        let factors: Vec<f64> = exponents.iter().map(|&e| 2.0_f64.powi(e * 3)).collect();
        let back: Vec<f64> = factors.iter().rev().map(|x| 1.0 / x).collect();
        let lane = Tensor::from([&factors[..], &back].concat());
        let count = lane.len();
        let x = lane.unsqueeze(1 - axis).expand(if axis == 0 { [count, 2] } else { [2, count] }).contiguous();
        prop_assert_eq!(x.prod(axis), Tensor::from([1.0, 1.0]));
        prop_assert_eq!(x.cumprod(axis).select(axis, -1), Tensor::from([1.0, 1.0]));
    }
}

/// Each would be infinite, 0 or NaN if its squares, sums or products were in range only.
#[test]
fn ordinary_results() {
    let close = |got: f32, expected: f32| {
        assert!((got - expected).abs() <= 4.0 * f32::EPSILON * expected.abs(), "{got:e}");
    };
    close(Tensor::from([1e20_f32, 0.0]).norm(2.0, ..).item(), 1e20);
    close(Tensor::from([1e-30_f32, 0.0]).norm(2.0, ..).item(), 1e-30);
    close(Tensor::from([3e-45_f32, 0.0]).norm(90.0, ..).item(), 3e-45);
    // Half of their distance times the root of two: 1e-30 sqrt(2).
    close(Tensor::from([1e-30_f32, 3e-30]).std(.., 1).item(), 1.414_213_6e-30);
    close(Tensor::full([1000], f32::MAX / 2.0).mean(..).item(), f32::MAX / 2.0);
    close(Tensor::from([f32::MAX, f32::MAX, -f32::MAX]).sum(..).item(), f32::MAX);
    close(Tensor::from([f32::MAX, f32::MAX, -f32::MAX]).cumsum(0).to_vec()[2], f32::MAX);
    close(Tensor::from([1e30_f32, 1e30, 1e-30, 1e-30]).prod(..).item(), 1.0);
    close(Tensor::from([1e-30_f32, 1e-30, 1e30, 1e30]).cumprod(0).to_vec()[3], 1.0);
    let diagonal = Tensor::<f64>::from([1e200, 1e200, 1e-200, 1e-200]);
    assert!((diagonal.diag(0).det().item() - 1.0).abs() < 1e-15);
    assert_eq!(Tensor::from([1e20_f32, -1e20]).layer_norm([2], None, None, 1e-5), Tensor::from([1.0, -1.0]));
    assert_eq!(Tensor::from([1e-30_f32, -1e-30]).rms_norm([2], None, 0.0), Tensor::from([1.0, -1.0]));
}

/// Zeros, infinities and NaN are what they were.
#[test]
fn special_lanes() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let x = Tensor::from([[0.0, 0.0], [inf, 1.0], [nan, 1.0], [1e300, 1e300]]);
    let got = x.norm(2.0, 1).to_vec();
    assert_eq!(got[..2], [0.0, inf]);
    assert!(got[2].is_nan() && (got[3] / 1e300 - 2.0_f64.sqrt()).abs() < 1e-15);
    assert_eq!(x.std(1, 1).to_vec()[0], 0.0);
    assert_eq!(x.norm(-1.0, 1).to_vec()[..2], [0.0, 1.0]);
    assert!(Tensor::from([inf, 0.0]).prod(..).item().is_nan());
    assert_eq!(Tensor::from([1e200, 1e200, 0.0]).prod(..).item(), 0.0);
}

//! The functions of `f32` that are computed here, against those of `f64`.

use gradus_tensor::Tensor;
use std::f32::consts::{E, FRAC_PI_2, LN_2};

type Lifted = fn(&Tensor<f32>) -> Tensor<f32>;

/// Every so many bit patterns; a prime, so that all low bits occur.
const STEP: usize = 2039;

/// The floats nearest to a multiple of pi/2, worst first: convergents of 2^e * 2/pi below 2^24, for each e.
const NEAR_QUADRANTS: [u32; 16] = [
    0x6f79be45, 0x50a3e87f, 0x6ff9be45, 0x5123e87f, 0x437ce5f1, 0x7079be45, 0x6a1976f1, 0x53b146a6,
    0x65898498, 0x51a3e87f, 0x43fce5f1, 0x77584625, 0x4c2332e9, 0x4096cbe4, 0x6c55da58, 0x70f9be45,
];

/// Where something changes: signs, overflow, underflow, saturation, branches of the common algorithms.
const PLACES: [f32; 24] = [
    0.0,
    f32::MIN_POSITIVE,
    1e-20,
    f32::EPSILON,
    0.3,
    0.6,
    0.8,
    LN_2 / 2.0,
    1.0,
    FRAC_PI_2,
    3.92,
    5.0,
    // Where `gelu_tanh` becomes its argument, and the tail of `gelu` is 0.
    5.125,
    14.5,
    9.01,
    11.0,
    16.7,
    87.3,
    88.7,
    103.97,
    E,
    8388608.0,
    1e20,
    f32::MAX,
];

/// Floats as integers, in order and without gaps; both zeros are 0.
fn rank(x: f32) -> i64 {
    let magnitude = i64::from(x.to_bits() & 0x7fff_ffff);
    if x.is_sign_negative() { -magnitude } else { magnitude }
}

/// How many floats lie between; 0 for two NaNs. Zeros of different signs are far apart.
fn distance(x: f32, y: f32) -> u64 {
    if x.is_nan() && y.is_nan() {
        0
    } else if x.is_nan() || y.is_nan() || (x == 0.0 && y == 0.0 && x.to_bits() != y.to_bits()) {
        u64::MAX
    } else {
        rank(x).abs_diff(rank(y))
    }
}

/// Numbers all over the range, and all numbers around the hard places and their negatives.
fn arguments() -> impl Iterator<Item = f32> {
    let hard = PLACES.into_iter().chain(NEAR_QUADRANTS.map(f32::from_bits));
    let around = hard.flat_map(|x| {
        let bits = x.to_bits();
        (bits.saturating_sub(1000)..bits.saturating_add(1000)).flat_map(|bits| [bits, bits | 0x8000_0000])
    });
    let special = [f32::INFINITY, -f32::INFINITY, f32::NAN, -f32::NAN].map(f32::to_bits);
    (0..=u32::MAX).step_by(STEP).chain(around).chain(special).map(f32::from_bits)
}

/// Fails where the function is more than `bound` floats from the exact result; with `normal`, where a result
/// that should be subnormal is not even small.
#[track_caller]
fn check(function: Lifted, exact: fn(f64) -> f64, bound: u64, normal: bool) {
    let arguments: Vec<f32> = arguments().collect();
    for chunk in arguments.chunks(1 << 12) {
        let results = function(&Tensor::from(chunk.to_vec())).to_vec();
        for (&x, y) in chunk.iter().zip(results) {
            let expected = exact(f64::from(x)) as f32;
            if normal && expected.abs() < f32::MIN_POSITIVE {
                assert!((y - expected).abs() <= f32::MIN_POSITIVE, "{y} instead of {expected} at {x}");
                continue;
            }
            let error = distance(y, expected);
            assert!(error <= bound, "{y} instead of {expected} at {x} ({:#x}): {error}", x.to_bits());
        }
    }
}

macro_rules! accurate {
    ($($name:ident within $bound:literal: $exact:expr;)*) => {$(
        #[test]
        fn $name() {
            check(Tensor::$name, $exact, $bound, false);
        }
    )*};
}

accurate! {
    exp within 2: f64::exp;
    log within 2: f64::ln;
    tanh within 2: f64::tanh;
    sigmoid within 2: |x| 1.0 / (1.0 + (-x).exp());
    erf within 2: libm::erf;
    sin within 2: f64::sin;
    cos within 2: f64::cos;
    tan within 3: f64::tan;
    exp2 within 2: f64::exp2;
    expm1 within 2: f64::exp_m1;
    log1p within 2: f64::ln_1p;
    softplus within 2: |x| if x < 0.0 { x.exp().ln_1p() } else { x + (-x).exp().ln_1p() };
    sinh within 2: f64::sinh;
    cosh within 2: f64::cosh;
}

#[test]
fn gelu() {
    let exact = |x: f64| {
        let x = if x < -38.0 { -38.0 } else { x };
        0.5 * x * libm::erfc(-x / 2.0_f64.sqrt())
    };
    check(Tensor::gelu, exact, 8, true);
}

#[test]
fn gelu_tanh() {
    let exact = |x: f64| {
        let x = if x < -40.0 { -40.0 } else { x };
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        x / (1.0 + (-2.0 * u).exp())
    };
    check(Tensor::gelu_tanh, exact, 6, true);
}

/// Functions of the other sign, bit by bit.
#[test]
fn symmetries() {
    let x = Tensor::from(arguments().filter(|x| !x.is_nan()).collect::<Vec<_>>());
    let bits =
        |x: Tensor<f32>| x.iter().map(|x| if x.is_nan() { 0 } else { x.to_bits() }).collect::<Vec<_>>();
    let odd: [Lifted; 5] = [Tensor::sin, Tensor::tan, Tensor::tanh, Tensor::erf, Tensor::sinh];
    for function in odd {
        assert!(bits(function(&-&x)) == bits(-function(&x)));
    }
    let even: [Lifted; 2] = [Tensor::cos, Tensor::cosh];
    for function in even {
        assert!(bits(function(&-&x)) == bits(function(&x)));
    }
}

/// No result lies outside of the range of the function, not by one bit.
#[test]
fn ranges() {
    let x = Tensor::from(arguments().filter(|x| x.is_finite()).collect::<Vec<_>>());
    let symmetric: [Lifted; 4] = [Tensor::sin, Tensor::cos, Tensor::tanh, Tensor::erf];
    for function in symmetric {
        assert!(function(&x).abs().le(1.0).all(..).item());
    }
    let sigmoid = x.sigmoid();
    assert!(sigmoid.ge(0.0).all(..).item() && sigmoid.le(1.0).all(..).item());
    assert!(x.exp().ge(0.0).all(..).item());
}

/// Larger numbers have results that are not smaller, [`STEP`] floats apart.
#[test]
fn monotone() {
    let positive = (0..f32::INFINITY.to_bits()).step_by(STEP).map(f32::from_bits);
    let negative = positive.clone().map(|x| -x).collect::<Vec<_>>().into_iter().rev();
    let x = Tensor::from(negative.chain(positive).collect::<Vec<_>>());
    let functions: [(&str, Lifted); 3] =
        [("exp", Tensor::exp), ("sigmoid", Tensor::sigmoid), ("erf", Tensor::erf)];
    for (name, function) in functions {
        assert!(function(&x).to_vec().is_sorted(), "{name}");
    }
    let positive = x.slice(0, x.len() / 2..);
    assert!(positive.log().to_vec().is_sorted(), "log");
}

#[test]
fn special_values() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let x = Tensor::from([-inf, -1.0, -0.0, 0.0, 1.0, inf, nan]);
    let check = |function: Lifted, expected: [f32; 7]| {
        for (y, expected) in function(&x).to_vec().into_iter().zip(expected) {
            assert!(distance(y, expected) == 0, "{y} instead of {expected}");
        }
    };
    let one = |x: f64| x as f32;
    check(Tensor::exp, [0.0, one((-1.0_f64).exp()), 1.0, 1.0, one(1.0_f64.exp()), inf, nan]);
    check(Tensor::log, [nan, nan, -inf, -inf, 0.0, inf, nan]);
    check(Tensor::sin, [nan, one((-1.0_f64).sin()), -0.0, 0.0, one(1.0_f64.sin()), nan, nan]);
    check(Tensor::cos, [nan, one(1.0_f64.cos()), 1.0, 1.0, one(1.0_f64.cos()), nan, nan]);
    check(|x| x.sign().tanh().sign(), [-1.0, -1.0, 0.0, 0.0, 1.0, 1.0, nan]);
    let ends = Tensor::from([-inf, -0.0, inf]);
    let bits = |x: Tensor<f32>| x.iter().map(f32::to_bits).collect::<Vec<_>>();
    for function in [Tensor::tanh, Tensor::erf] {
        assert_eq!(bits(function(&ends)), [-1.0_f32, -0.0, 1.0].map(f32::to_bits));
    }
    assert_eq!(bits(ends.sigmoid()), [0.0_f32, 0.5, 1.0].map(f32::to_bits));
    for function in [Tensor::gelu, Tensor::gelu_tanh] {
        assert_eq!(bits(function(&ends)), [-0.0_f32, -0.0, inf].map(f32::to_bits));
        // Half of the argument, where that is subnormal.
        for exponent in 1..23 {
            let x = f32::from_bits((1 << exponent) | 2);
            for x in [0.0, x, -x] {
                assert!(distance(function(&Tensor::from([x])).item(), x / 2.0) <= 1, "{x}");
            }
        }
    }
}

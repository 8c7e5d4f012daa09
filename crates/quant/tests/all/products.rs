//! Products of 8-bit integers are exact, whatever the sizes, the instruction set and the threads are.

use gradus_autograd::int8::{Codes, Levels, Weights};
use gradus_autograd::{Conv, InstructionSet, Tensor, seeded};
use proptest::prelude::*;

const SIGNED: Levels = Levels { low: -128, high: 127, zero_point: -7 };
const UNSIGNED: Levels = Levels { low: 0, high: 255, zero_point: 131 };
/// Of 7 bits, for which there are other instructions.
const FEW: Levels = Levels { low: -64, high: 63, zero_point: 5 };

/// Random levels of a shape, all of them likely, the extremes most.
fn levels(shape: &[usize], range: std::ops::RangeInclusive<i64>, seed: u64) -> Tensor<i64> {
    let (low, high) = (*range.start(), *range.end());
    Tensor::randint(shape, low - 40..high + 41, &mut seeded(seed)).map(move |x| x.clamp(low, high))
}

/// Numbers whose codes are these levels, with scale 0.5.
fn numbers(levels: &Tensor<i64>, of: Levels) -> Tensor<f64> {
    levels.map(move |level| (level - i64::from(of.zero_point)) as f64 / 2.0)
}

fn bytes(levels: &Tensor<i64>) -> Vec<i8> {
    levels.iter().map(|level| i8::try_from(level).unwrap()).collect()
}

/// The sums in floating point, which holds them exactly.
fn difference(x: &Tensor<i64>, of: Levels) -> Tensor<f64> {
    x.map(move |level| (level - i64::from(of.zero_point)) as f64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn products_are_exact(
        rows in prop::sample::select(vec![0, 1, 2, 5, 6, 7, 12, 13, 96, 97, 200]),
        terms in prop::sample::select(vec![0, 1, 3, 4, 5, 16, 63, 300]),
        columns in prop::sample::select(vec![0, 1, 7, 8, 15, 16, 17, 33, 40]),
        of in prop::sample::select(vec![SIGNED, UNSIGNED, FEW]),
        biased: bool,
        seed: u64,
    ) {
        let x = levels(&[rows, terms], of.low.into()..=of.high.into(), seed);
        let w = levels(&[columns, terms], -128..=127, seed ^ 1);
        let bias = levels(&[columns], -100_000..=100_000, seed ^ 2);
        let bias_bytes: Vec<i32> = bias.iter().map(|b| i32::try_from(b).unwrap()).collect();
        let codes = Codes::new(&numbers(&x, of), &[0.5], of);
        prop_assert_eq!(codes.to_tensor(), x.clone());
        let weights = Weights::new(&bytes(&w), &[columns, terms], 1);
        prop_assert_eq!(weights.to_levels(), bytes(&w));
        let mut expected = difference(&x, of).matmul(&w.cast::<f64>().t()).cast::<i64>();
        if biased {
            expected += bias;
        }
        let best = InstructionSet::current();
        for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
            set.select();
            let sums = weights.linear(&codes, biased.then_some(&bias_bytes));
            prop_assert_eq!(sums.to_tensor(), expected.clone(), "{:?}", set);
        }
        best.select();
    }

    #[test]
    fn convolutions_are_exact(
        (batch, groups, inputs, outputs) in (0..3_usize, 1..3_usize, 1..4_usize, 1..10_usize),
        size in (5..9_usize, 5..9_usize),
        kernel in (1..6_usize, 1..6_usize),
        (stride, padding, dilation) in (1..3_isize, 0..3_isize, 1..3_isize),
        of in prop::sample::select(vec![SIGNED, UNSIGNED, FEW]),
        seed: u64,
    ) {
        // Taps must lie within the image.
        let dilation = if kernel.0.max(kernel.1) > 3 { 1 } else { dilation };
        let conv = Conv::new().stride(stride).padding(padding).dilation(dilation).groups(groups);
        let x = levels(&[batch, groups * inputs, size.0, size.1], of.low.into()..=of.high.into(), seed);
        let shape = [groups * outputs, inputs, kernel.0, kernel.1];
        let w = levels(&shape, -127..=127, seed ^ 1);
        let (weights, codes) = (Weights::new(&bytes(&w), &shape, groups), Codes::new(&numbers(&x, of), &[0.5], of));
        let sums = weights.conv2d(&codes, &conv, None);
        let expected = difference(&x, of).conv2d(&w.cast(), None, conv.clone());
        prop_assert_eq!(sums.to_tensor(), expected.cast::<i64>());
        let scales: Vec<f64> = (0..shape[0]).map(|i| i as f64 + 1.0).collect();
        let bias = Tensor::<f64>::randn([shape[0]], &mut seeded(seed));
        let scaled = sums.scaled(&[0.25], &scales, Some(&bias));
        prop_assert_eq!(&weights.conv2d_scaled(&codes, &conv, (0.25, &scales), Some(&bias)), &scaled);
        let factors = Tensor::from(scales.clone()).reshape([shape[0], 1, 1]);
        prop_assert_eq!(scaled, &expected * factors * 0.25 + bias.reshape([shape[0], 1, 1]));
        let factors: Vec<f64> = scales.iter().map(|scale| scale * 1e-3).collect();
        let want = (&expected * Tensor::from(factors.clone()).reshape([shape[0], 1, 1])).round() + f64::from(of.zero_point);
        let want = want.clamp(of.low.into(), of.high.into()).cast::<i64>();
        prop_assert_eq!(sums.requantized(&factors, of), want);
    }

    /// Halves go to even before the zero point is added, and levels are cut.
    #[test]
    fn codes_are_rounded_to_even(halves in prop::collection::vec(-600..600_i32, 1..40), of in prop::sample::select(vec![SIGNED, UNSIGNED, FEW])) {
        let x: Tensor<f32> = halves.iter().map(|&half| half as f32 / 4.0).collect();
        let expected: Vec<i64> = halves.iter().map(|&half| {
            ((f64::from(half) / 2.0).round_ties_even() as i64 + i64::from(of.zero_point)).clamp(of.low.into(), of.high.into())
        }).collect();
        prop_assert_eq!(Codes::new(&x, &[0.5], of).to_tensor().to_vec(), expected);
    }
}

/// The byte outside of images may be larger than every level.
#[test]
fn a_zero_point_above_the_levels() {
    let of = Levels { low: 0, high: 5, zero_point: 200 };
    let (x, conv) = (levels(&[1, 4, 3, 3], 0..=5, 0), Conv::new().padding(1));
    let w = Tensor::full([8, 4, 3, 3], 127_i64);
    let sums = Weights::new(&bytes(&w), &[8, 4, 3, 3], 1).conv2d(
        &Codes::new(&numbers(&x, of), &[0.5], of),
        &conv,
        None,
    );
    let expected = difference(&x, of).conv2d(&w.cast(), None, conv);
    assert_eq!(sums.to_tensor(), expected.cast::<i64>());
}

#[test]
fn rows_have_scales_of_their_own_and_nan_is_seen() {
    let x = Tensor::from([[1.0_f32, -2.0], [10.0, 20.0]]);
    let of = Levels { low: -127, high: 127, zero_point: 0 };
    let codes = Codes::new(&x, &[0.5, 5.0], of);
    assert_eq!(codes.to_tensor(), Tensor::from([[2, -4], [2, 4]]));
    assert!(!codes.has_nan());
    assert!(Codes::new(&Tensor::from([f32::NAN]), &[1.0], of).has_nan());
    let sums = Weights::new(&[1, 1], &[1, 2], 1).linear(&codes, None);
    assert_eq!(sums.scaled::<f32>(&[0.5, 5.0], &[1.0], None), Tensor::from([[-1.0], [30.0]]));
}

//! Running sums and additions to places: as accurate as sums, however long.

use gradus_tensor::Tensor;
use proptest::prelude::*;

/// A unit in the last place of 1, halved.
const HALF_ULP: f64 = f32::EPSILON as f64 / 2.0;

/// The bound that sums of floats are held to, for numbers of this sum of magnitudes: it does not know the length.
fn bound(magnitude: f64) -> f64 {
    24.0 * HALF_ULP * magnitude
}

/// `[outer, length, inner]`, with elements of either sign or one.
fn lanes() -> impl Strategy<Value = Tensor<f32>> {
    let inner = prop_oneof![Just(1_usize), 1..4_usize, 1000..1100_usize];
    (1..3_usize, inner, any::<bool>()).prop_flat_map(|(outer, inner, positive)| {
        let length = 1..(6000 / inner).max(8);
        length.prop_flat_map(move |length| {
            let range = if positive { 0.0..1.0_f32 } else { -1.0..1.0 };
            prop::collection::vec(range, outer * length * inner)
                .prop_map(move |data| Tensor::from_vec(data, [outer, length, inner]).unwrap())
        })
    })
}

/// Holds each place along axis 1 to what `step` makes of the exact result before it and the element.
fn hold(
    x: &Tensor<f32>,
    got: &Tensor<f32>,
    step: impl Fn(f64, f64, usize) -> f64,
) -> Result<(), TestCaseError> {
    let &[outer, length, inner] = x.shape() else { unreachable!() };
    let (x, got) = (x.to_vec(), got.to_vec());
    for (o, k) in (0..outer).flat_map(|o| (0..inner).map(move |k| (o, k))) {
        let (mut exact, mut magnitude) = (0.0, 0.0);
        for i in 0..length {
            let place = (o * length + i) * inner + k;
            exact = step(exact, f64::from(x[place]), place);
            magnitude = step(magnitude, f64::from(x[place].abs()), place);
            let error = (f64::from(got[place]) - exact).abs();
            prop_assert!(error <= bound(magnitude), "{} instead of {} at {}", got[place], exact, i);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn running_sums_are_as_accurate_as_sums(x in lanes()) {
        hold(&x, &x.cumsum(1), |sum, x, _| sum + x)?;
    }

    /// Whatever the layout, and along the last axis as across rows, bit by bit.
    #[test]
    fn running_sums_do_not_depend_on_the_layout(x in lanes()) {
        let turned = x.transpose(1, 2);
        prop_assert_eq!(turned.cumsum(2).transpose(1, 2), x.cumsum(1));
        prop_assert_eq!(turned.contiguous().cumsum(2).transpose(1, 2), x.cumsum(1));
    }

    /// Factors near 1 let errors live long.
    #[test]
    fn recurrences_are_as_accurate_as_sums(x in lanes(), factor in prop_oneof![Just(1.0_f32), 0.99..1.0_f32]) {
        let got = x.linear_recurrence(1, &Tensor::from(factor));
        hold(&x, &got, |y, x, _| f64::from(factor) * y + x)?;
    }

    /// Many additions to few places.
    #[test]
    fn additions_are_as_accurate_as_sums(
        (index, source) in (1..4000_usize).prop_flat_map(|count| {
            (prop::collection::vec(0..5_i64, count), prop::collection::vec(0.0..1.0_f32, 2 * count))
        }),
    ) {
        let count = index.len();
        let (index, source) = (Tensor::from(index), Tensor::from_vec(source, [count, 2]).unwrap());
        let by_slices = Tensor::<f32>::zeros([5, 2]).index_add(0, &index, &source);
        let wide = index.unsqueeze(1).expand([count, 2]).contiguous();
        let by_elements = Tensor::<f32>::zeros([5, 2]).scatter_add(0, &wide, &source);
        prop_assert_eq!(&by_slices, &by_elements);
        for (place, column) in (0..5).flat_map(|place| [(place, 0), (place, 1)]) {
            let added = index.iter().zip(source.to_vec().chunks(2).map(|row| row[column]).collect::<Vec<_>>());
            let exact: f64 = added.filter(|(to, _)| *to == place).map(|(_, x)| f64::from(x)).sum();
            let got = by_slices.to_vec()[place as usize * 2 + column];
            prop_assert!((f64::from(got) - exact).abs() <= bound(exact), "{} instead of {}", got, exact);
        }
    }
}

/// One after another, the products would end at 1.1192.
#[test]
fn a_million_factors() {
    let x = Tensor::<f32>::full([1_000_000], 1.0 + f32::EPSILON);
    let exact = (1.0 + f64::from(f32::EPSILON)).powi(1_000_000);
    let close = |product: f32| (f64::from(product) - exact).abs() <= 2.0 * f64::from(f32::EPSILON) * exact;
    assert!(close(x.cumprod(0).to_vec()[999_999]));
    assert!(close(x.reshape([1_000_000, 1]).expand([1_000_000, 2]).cumprod(0).to_vec()[1_999_999]));
}

/// Added one after another, these would be 100958.34.
#[test]
fn a_million_tenths() {
    let x = Tensor::<f32>::full([1_000_000], 0.1);
    let exact = f64::from(0.1_f32) * 1e6;
    let close = |sum: f32| (f64::from(sum) - exact).abs() <= 2.0 * f64::from(f32::EPSILON) * exact;
    assert!(close(x.cumsum(0).to_vec()[999_999]));
    assert!(close(x.reshape([1_000_000, 1]).expand([1_000_000, 2]).cumsum(0).to_vec()[1_999_999]));
    assert!(close(x.linear_recurrence(0, &Tensor::from(1.0)).to_vec()[999_999]));
    let places = Tensor::<i64>::zeros([1_000_000]);
    assert!(close(Tensor::zeros([1]).index_add(0, &places, &x).item()));
    assert!(close(Tensor::zeros([1]).scatter_add(0, &places, &x).item()));
}

/// In double precision, against integers that are exact.
#[test]
fn a_million_tenths_in_double_precision() {
    let x = Tensor::<f64>::full([1_000_000], 0.1);
    // A tenth is this many units of 2^-56, a number of 53 bits.
    let units = 0.1 * 2.0_f64.powi(56);
    let exact = (units as i128 * 1_000_000) as f64 * 2.0_f64.powi(-56);
    for sums in [x.cumsum(0), x.linear_recurrence(0, &Tensor::from(1.0))] {
        assert!((sums.to_vec()[999_999] - exact).abs() <= 2.0 * f64::EPSILON * exact);
    }
}

#[test]
fn infinities_and_integers_run_on() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let sums = Tensor::from([1.0, inf, 2.0, -inf, 3.0]).cumsum(0).to_vec();
    assert_eq!(sums[..3], [1.0, inf, inf]);
    assert!(sums[3].is_nan() && sums[4].is_nan());
    assert!(Tensor::from([nan, 1.0]).cumsum(0).iter().all(f64::is_nan));
    let large = i64::MAX - 2;
    assert_eq!(Tensor::from([large, 1, 1]).cumsum(0), Tensor::from([large, large + 1, large + 2]));
}

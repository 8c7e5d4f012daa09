//! Sums of floats: accurate, and the same for every layout.

use crate::common::*;
use gradus_tensor::Tensor;
use gradus_tensor::fused::Reduction;
use proptest::prelude::*;

/// A shape with lanes long enough for every branch of the summation, and axes to sum.
fn long() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    prop_oneof![
        (1..1100_usize).prop_map(|n| (vec![n], vec![0])),
        (1..4_usize, 100..1100_usize, 1..4_usize).prop_map(|(a, b, c)| (vec![a, b, c], vec![1])),
        (1..20_usize, 1..4_usize, 1..20_usize).prop_map(|(a, b, c)| (vec![a, b, c], vec![0, 2])),
        shape(0..=4).prop_map(|shape| {
            let axes = (0..shape.len()).collect();
            (shape, axes)
        }),
    ]
}

fn summable<T: Value>() -> impl Strategy<Value = (Laid<T>, Vec<usize>)> {
    long().prop_flat_map(|(shape, axes)| (laid_of(&shape, &T::tame()), Just(axes)))
}

law! {
    /// No layout changes a bit of a sum, a mean or a log-sum-exp.
    [f32 f64]
    fn sums_do_not_depend_on_the_layout((x, axes) in summable::<T>()) {
        let plain = x.naive.tensor();
        let model = |y: Tensor<T>| Naive { shape: y.shape().to_vec(), data: y.to_vec() };
        check(&x.tensor.sum(&axes[..]), &model(plain.sum(&axes[..])));
        check(&x.tensor.mean(&axes[..]), &model(plain.mean(&axes[..])));
        check(&x.tensor.logsumexp(&axes[..]), &model(plain.logsumexp(&axes[..])));
        check(&x.tensor.prod(&axes[..]), &model(plain.prod(&axes[..])));
    }
}

law! {
    /// A reduction over memory that was prepared has the bits of a new one, whatever was there.
    [f32 f64]
    fn prepared_reductions_are_new_ones((x, axes) in summable::<T>()) {
        let x = x.tensor;
        for reduction in [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min] {
            let is_extreme = matches!(reduction, Reduction::Max | Reduction::Min);
            if is_extreme && axes.iter().any(|&axis| x.shape()[axis] == 0) {
                continue;
            }
            let expected = match reduction {
                Reduction::Sum => x.sum(&axes[..]),
                Reduction::Mean => x.mean(&axes[..]),
                Reduction::Max => x.max(&axes[..]),
                Reduction::Min => x.min(&axes[..]),
            };
            let mut out = Tensor::full(expected.shape(), T::NAN);
            x.reduce_into(reduction, &axes, &mut out);
            prop_assert_eq!(bits(&out), bits(&expected));
        }
    }
}

/// The lanes of a model along axes, each with all the elements of its output.
fn lanes<T: Copy>(x: &Naive<T>, axes: &[usize]) -> Vec<Vec<T>> {
    let mut lanes: Vec<(Vec<usize>, Vec<T>)> = vec![];
    for index in indices(&x.shape) {
        let kept: Vec<usize> =
            (0..index.len()).filter(|axis| !axes.contains(axis)).map(|axis| index[axis]).collect();
        match lanes.iter_mut().find(|(key, _)| *key == kept) {
            Some((_, lane)) => lane.push(x.at(&index)),
            None => lanes.push((kept, vec![x.at(&index)])),
        }
    }
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

/// The sum of a few hundred f32, exactly enough in f64.
fn exact(lane: &[f32]) -> f64 {
    lane.iter().copied().map(f64::from).sum()
}

proptest! {
    /// The error of a sum is a few units in the last place of the sum of magnitudes, however long the lane.
    #[test]
    fn sums_are_accurate((x, axes) in summable::<f32>()) {
        let lanes = lanes(&x.naive, &axes);
        let sums = x.tensor.sum(&axes[..]);
        if lanes.is_empty() {
            prop_assert!(sums.iter().all(|sum| sum == 0.0));
            return Ok(());
        }
        prop_assert_eq!(sums.len(), lanes.len());
        for ((sum, mean), lane) in sums.iter().zip(&x.tensor.mean(&axes[..])).zip(&lanes) {
            let magnitude: f64 = lane.iter().map(|x| f64::from(x.abs())).sum();
            // 8 additions within a block of 128, 4 between blocks, 4 to join partial sums.
            let bound = 24.0 * f64::from(f32::EPSILON) / 2.0 * magnitude;
            prop_assert!((f64::from(sum) - exact(lane)).abs() <= bound);
            let count = lane.len() as f64;
            prop_assert!((f64::from(mean) - exact(lane) / count).abs() <= bound / count * 1.1);
        }
    }

    /// log(sum(e^x)) is its definition where that does not overflow, and moves with its argument.
    #[test]
    fn logsumexp_is_its_definition((x, axes) in summable::<f64>(), shift in -1e6..1e6_f64) {
        let lanes = lanes(&x.naive, &axes);
        let got = x.tensor.logsumexp(&axes[..]);
        if lanes.is_empty() {
            prop_assert!(got.iter().all(|sum| sum == -f64::INFINITY));
            return Ok(());
        }
        let moved = (&x.tensor + shift).logsumexp(&axes[..]);
        prop_assert_eq!(got.len(), lanes.len());
        for ((got, moved), lane) in got.iter().zip(&moved).zip(&lanes) {
            let expected = lane.iter().map(|x| x.exp()).sum::<f64>().ln();
            prop_assert!((got - expected).abs() <= 1e-13 * (1.0 + expected.abs()));
            prop_assert!((moved - (got + shift)).abs() <= 1e-9);
        }
    }
}

#[test]
fn errors_do_not_grow_with_the_length() {
    let x = Tensor::<f32>::full([1 << 22], 0.1);
    let expected = f64::from(0.1_f32) * f64::from(1 << 22);
    assert!((f64::from(x.sum(..).item()) - expected).abs() / expected < 4.0 * f64::from(f32::EPSILON));
    assert!((x.mean(..).item() - 0.1).abs() < 4.0 * f32::EPSILON * 0.1);
}

#[test]
fn extreme_values_of_logsumexp() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cases = [
        ([1000.0, 1000.0], 1000.0 + 2.0_f64.ln()),
        ([-1000.0, -1000.0], -1000.0 + 2.0_f64.ln()),
        ([1e300, 0.0], 1e300),
        ([-1e300, -1e300], -1e300),
        ([inf, 0.0], inf),
        ([inf, -inf], inf),
        ([inf, inf], inf),
        ([-inf, -inf], -inf),
        ([-inf, 3.0], 3.0),
        ([nan, 0.0], nan),
        ([inf, nan], nan),
        ([nan, -inf], nan),
    ];
    for (lane, expected) in cases {
        check(&Tensor::from(lane).logsumexp(0), &Naive { shape: vec![], data: vec![expected] });
    }
    assert_eq!(Tensor::from([88.0_f32, 88.0]).logsumexp(..).item(), 88.0 + 2.0_f32.ln());
}

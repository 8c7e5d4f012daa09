//! Sorting, and elements at a place of the order, against loops that count.

use crate::caught::panics;
use crate::common::*;
use gradus_tensor::{Number, Tensor, keepdim};
use proptest::prelude::*;
use proptest::sample::subsequence;

/// Whether the first comes before the second in the rising order, NaN last.
fn before<T: Number>(x: T, y: T) -> bool {
    x < y || !x.is_nan() && y.is_nan()
}

/// The elements of each lane over the axes, one lane for each index of the rest.
fn lanes<T: Value>(x: &Naive<T>, axes: &[usize]) -> Vec<Vec<T>> {
    let rest: Vec<usize> = (0..x.shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let sizes: Vec<usize> = rest.iter().map(|&axis| x.shape[axis]).collect();
    let is_of = |index: &[usize], lane: &[usize]| rest.iter().zip(lane).all(|(&axis, &i)| index[axis] == i);
    let all = indices(&x.shape);
    let of =
        |lane: &Vec<usize>| all.iter().filter(|index| is_of(index, lane)).map(|index| x.at(index)).collect();
    indices(&sizes).iter().map(of).collect()
}

/// A tensor without an axis of size 0, and some of its axes.
fn reductions<T: Value>(element: BoxedStrategy<T>) -> impl Strategy<Value = (Laid<T>, Vec<usize>)> {
    full_shape(0..=3).prop_flat_map(move |shape| {
        let axes = subsequence((0..shape.len()).collect::<Vec<_>>(), 0..=shape.len());
        (laid_of(&shape, &element), axes)
    })
}

/// The element that exactly `place` others come before, of equal ones in the order of the lane.
fn ranked<T: Number>(lane: &[T], place: usize) -> T {
    let rank = |i: usize| {
        let smaller = lane.iter().filter(|&&x| before(x, lane[i])).count();
        smaller + lane[..i].iter().filter(|&&x| !before(x, lane[i]) && !before(lane[i], x)).count()
    };
    lane[(0..lane.len()).find(|&i| rank(i) == place).unwrap()]
}

law! {
    /// The indices bring the elements into order, and equal ones stay in theirs.
    [f32 f64 i64]
    fn argsort_sorts(x in laid::<T>(1..=3), axis in 0..3_isize, descending: bool) {
        let axis = axis % x.naive.shape.len() as isize;
        let order = x.tensor.argsort(axis, descending);
        let (sorted, indices) = x.tensor.sort(axis, descending);
        prop_assert_eq!(&order, &indices);
        prop_assert_eq!(bits(&x.tensor.gather(axis, &order)), bits(&sorted));
        let order: Naive<i64> = Naive { shape: order.shape().to_vec(), data: order.to_vec() };
        let lanes = lanes(&x.naive, &[axis as usize]);
        for (lane, order) in lanes.iter().zip(super::super::lanes(&order, &[axis as usize])) {
            for pair in order.windows(2) {
                let (x, y) = (lane[pair[0] as usize], lane[pair[1] as usize]);
                let wrong = if descending { before(x, y) } else { before(y, x) };
                let equal = !before(x, y) && !before(y, x);
                prop_assert!(!wrong && (!equal || pair[0] < pair[1]));
            }
        }
    }
}

law! {
    /// As many elements come before a median as after it, or one less.
    [f32 f64 i64]
    fn medians_are_in_the_middle((x, axes) in reductions(T::any()), keep: bool) {
        let median = if keep { x.tensor.median(keepdim(axes.clone())) } else { x.tensor.median(axes.clone()) };
        let like = if keep { x.tensor.max(keepdim(axes.clone())) } else { x.tensor.max(axes.clone()) };
        prop_assert_eq!(median.shape(), like.shape());
        for (lane, median) in lanes(&x.naive, &axes).iter().zip(&median) {
            let nan = lane.iter().copied().find(|x| Number::is_nan(*x));
            let expected = nan.unwrap_or_else(|| ranked(lane, (lane.len() - 1) / 2));
            prop_assert_eq!(Value::bits(median), Value::bits(expected));
        }
    }
}

law! {
    /// A quantile is the element at its place, or on the line between two.
    [f32 f64]
    fn quantiles_are_on_a_line((x, axes) in reductions(T::tame()), q in prop_oneof![Just(0.0), Just(0.5), Just(1.0), 0.0..=1.0]) {
        let quantile = x.tensor.quantile(q, axes.clone());
        let like = x.tensor.max(axes.clone());
        prop_assert_eq!(quantile.shape(), like.shape());
        for (lane, quantile) in lanes(&x.naive, &axes).iter().zip(&quantile) {
            let place = q * (lane.len() - 1) as f64;
            let lower = f64::from(ranked(lane, place.floor() as usize));
            let upper = f64::from(ranked(lane, place.ceil() as usize));
            let expected = lower * (1.0 - place.fract()) + upper * place.fract();
            prop_assert!((f64::from(quantile) - expected).abs() <= 20.0 * f64::from(T::EPSILON));
        }
        let extremes = (x.tensor.quantile(0.0, axes.clone()), x.tensor.quantile(1.0, axes.clone()));
        prop_assert_eq!(extremes, (x.tensor.min(axes.clone()), x.tensor.max(axes)));
    }
}

#[test]
fn quantiles_at_the_ends_of_the_range() {
    let inf = f64::INFINITY;
    let quantile = |x: &[f64], q| Tensor::from(x).quantile(q, ..).item();
    assert_eq!(quantile(&[-inf, -inf, 1.0], 0.25), -inf);
    assert_eq!(quantile(&[1.0, inf], 0.5), inf);
    assert_eq!(quantile(&[1.0, inf], 0.0), 1.0);
    assert!(quantile(&[-inf, 1.0], 0.5).is_nan() && quantile(&[1.0, f64::NAN, 2.0], 0.0).is_nan());
    assert_eq!(quantile(&[-f64::MAX, f64::MAX], 0.5), 0.0);
    assert!((quantile(&[-f64::MAX, f64::MAX], 0.75) / f64::MAX - 0.5).abs() < 1e-15);
    assert_eq!(Tensor::<f64>::zeros([0, 3]).quantile(0.5, 1).shape(), [0]);
    assert_eq!(Tensor::<i64>::zeros([2, 0, 3]).median(2).shape(), [2, 0]);
    // Of two zeros in the middle, the first.
    assert!(Tensor::from([0.0_f64, -0.0]).median(..).item().is_sign_positive());
}

#[test]
fn messages() {
    let x = Tensor::<f64>::zeros([2, 3]);
    let axis = |operation: &str| {
        format!("{operation}: axis 2 is out of range for shape [2, 3]: allowed are -2 to 1")
    };
    panics(|| x.argsort(2, false), &axis("argsort"));
    panics(|| x.median(2), &axis("median"));
    panics(|| x.quantile(0.5, [0, 2]), &axis("quantile"));
    panics(|| x.quantile(1.5, 0), "quantile: q is 1.5 for shape [2, 3]: it must be between 0 and 1");
    let nothing = Tensor::<f64>::zeros([0, 3]);
    let empty = |operation: &str| {
        format!("{operation}: axis is 0 for shape [0, 3]: it has size 0 and nothing to choose from")
    };
    panics(|| nothing.median(..), &empty("median"));
    panics(|| nothing.quantile(0.5, 0), &empty("quantile"));
}

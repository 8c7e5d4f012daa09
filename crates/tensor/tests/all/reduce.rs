//! Reductions over any axes.

use crate::common::*;
use gradus_tensor::{Axes, Tensor, keepdim};
use proptest::prelude::*;

/// The axes of a reduction as a caller writes them, and what they mean.
#[derive(Debug, Clone)]
struct Reduction {
    axes: Axes,
    list: Vec<usize>,
}

/// Any axes of a tensor of this rank, in any order, some counted from the end, with and without `keepdim`.
fn reduction(rank: usize) -> impl Strategy<Value = Reduction> {
    let order = Just((0..rank).collect::<Vec<_>>()).prop_shuffle();
    (order, 0..=rank, any::<[bool; 4]>(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        move |(order, count, negative, keep, all)| {
            let list = if all { (0..rank).collect() } else { order[..count].to_vec() };
            let signed =
                |(&axis, negative)| if negative { axis as isize - rank as isize } else { axis as isize };
            let axes: Axes = match &list[..] {
                _ if all => (..).into(),
                [axis] => signed((axis, negative[0])).into(),
                list => list.iter().zip(negative).map(signed).collect::<Vec<_>>().into(),
            };
            Reduction { axes: if keep { keepdim(axes) } else { axes }, list }
        },
    )
}

/// The model of a reduction: the elements along the axes, in logical order, through a function of a lane.
fn reduced<T: Copy, U: Copy>(x: &Naive<T>, reduction: &Reduction, kernel: impl Fn(&[T]) -> U) -> Naive<U> {
    let rank = x.shape.len();
    let is_reduced = |axis: &usize| reduction.list.contains(axis);
    let kept: Vec<usize> = (0..rank).filter(|axis| !is_reduced(axis)).collect();
    let lane_shape: Vec<usize> = (0..rank).filter(is_reduced).map(|axis| x.shape[axis]).collect();
    let kept_shape: Vec<usize> = kept.iter().map(|&axis| x.shape[axis]).collect();
    let mut result = Naive::build(&kept_shape, |outer| {
        let lane: Vec<T> = indices(&lane_shape)
            .iter()
            .map(|inner| {
                let (mut outer, mut inner) = (outer.iter(), inner.iter());
                let mut next = |axis| *if is_reduced(&axis) { inner.next() } else { outer.next() }.unwrap();
                x.at(&(0..rank).map(&mut next).collect::<Vec<_>>())
            })
            .collect();
        kernel(&lane)
    });
    if reduction.axes.keeps_dims() {
        result.shape = (0..rank).map(|axis| if is_reduced(&axis) { 1 } else { x.shape[axis] }).collect();
    }
    result
}

/// A tensor and axes to reduce.
fn reducible<T: Value>(element: BoxedStrategy<T>) -> impl Strategy<Value = (Laid<T>, Reduction)> {
    shape(0..=4).prop_flat_map(move |shape| (laid_of(&shape, &element), reduction(shape.len())))
}

law! {
    /// The loop of all reductions hands over each lane in logical order.
    [f32 i64 bool]
    fn lanes_are_in_logical_order((x, reduction) in reducible(T::any())) {
        // A number that depends on every element and on the order.
        let digest = |lane: &[T]| lane.iter().fold(7_i64, |sum, &x| sum.wrapping_mul(31).wrapping_add(x.bits() as i64));
        check(&x.tensor.reduce("digest", reduction.axes.clone(), digest), &reduced(&x.naive, &reduction, digest));
    }
}

proptest! {
    /// Sums and products of integers are exact.
    #[test]
    fn integers_add_up((x, reduction) in reducible((-2..=2_i64).boxed())) {
        check(&x.tensor.sum(reduction.axes.clone()), &reduced(&x.naive, &reduction, |lane| lane.iter().sum::<i64>()));
        let product = |lane: &[i64]| lane.iter().product::<i64>();
        // 2^62 is the largest product that fits.
        let twos = x.naive.map(|x| i64::from(x.abs() == 2));
        if twos.data.iter().sum::<i64>() <= 62 {
            check(&x.tensor.prod(reduction.axes.clone()), &reduced(&x.naive, &reduction, product));
        }
    }

    /// Truth values.
    #[test]
    fn all_and_any((x, reduction) in reducible(prop::bool::weighted(0.7).boxed())) {
        check(&x.tensor.all(reduction.axes.clone()), &reduced(&x.naive, &reduction, |lane| !lane.contains(&false)));
        check(&x.tensor.any(reduction.axes.clone()), &reduced(&x.naive, &reduction, |lane| lane.contains(&true)));
        let count = |lane: &[bool]| lane.iter().filter(|x| **x).count() as i64;
        check(&x.tensor.count(reduction.axes.clone()), &reduced(&x.naive, &reduction, count));
    }
}

/// A number as one from 1 to below 2 in double precision, and a power of two.
fn split(x: f64) -> (f64, i32) {
    let (mut mantissa, mut exponent) = (x, 0);
    while mantissa.abs() >= 2.0 && mantissa.is_finite() {
        (mantissa, exponent) = (mantissa / 2.0, exponent + 1);
    }
    while mantissa.abs() < 1.0 && mantissa != 0.0 {
        (mantissa, exponent) = (mantissa * 2.0, exponent - 1);
    }
    (mantissa, exponent)
}

law! {
    /// Products of floats are made from first to last, without bounds for the exponents of partial products.
    [f32 f64]
    fn products_go_in_order((x, reduction) in reducible(T::any())) {
        let product = |lane: &[T]| {
            let (mut product, mut lost) = (1.0, false);
            for (i, &x) in lane.iter().enumerate() {
                let next: T = product * x;
                let overflow = product.is_finite() && x.is_finite() && !next.is_finite();
                let underflow = product != 0.0 && x != 0.0 && next.abs() < T::MIN_POSITIVE;
                lost |= i > 0 && (overflow || underflow);
                product = next;
            }
            if !lost {
                return product;
            }
            let (mut mantissa, mut exponent) = (1.0, 0);
            for &x in lane {
                let (factor, of_factor) = split(f64::from(x));
                let (next, of_next) = split(mantissa * factor);
                (mantissa, exponent) = (next, exponent + of_factor + of_next);
            }
            let exponent = exponent.clamp(-2000, 2000);
            let half = exponent / 2;
            (mantissa * 2.0_f64.powi(half) * 2.0_f64.powi(exponent - half)) as T
        };
        check(&x.tensor.prod(reduction.axes.clone()), &reduced(&x.naive, &reduction, product));
    }
}

law! {
    /// The largest and smallest element: NaN if there is one, an error if there is nothing to choose from.
    [f32 f64 i64]
    fn extremes_are_found((x, reduction) in reducible(T::any())) {
        let is_nan = |x: T| x != x;
        // Of equals (0 and -0), the first.
        let search = |lane: &[T], beats: fn(&T, &T) -> bool| match lane.iter().find(|&&x| is_nan(x)) {
            Some(&nan) => Some(nan),
            None => lane.iter().copied().find(|x| !lane.iter().any(|y| beats(y, x))),
        };
        for (largest, beats) in [(true, T::gt as fn(&T, &T) -> bool), (false, T::lt)] {
            let model = reduced(&x.naive, &reduction, |lane| search(lane, beats));
            let axes = reduction.axes.clone();
            let got = std::panic::catch_unwind(|| if largest { x.tensor.max(axes) } else { x.tensor.min(axes) });
            if model.data.iter().all(Option::is_some) {
                check(&got.unwrap(), &model.map(Option::unwrap));
            } else {
                prop_assert!(got.is_err());
            }
        }
    }
}

law! {
    /// The place of the extreme: the first of several, or of a NaN.
    [f32 i64]
    fn places_of_extremes_are_found(
        x in laid::<T>(1..=4), axis in any::<prop::sample::Index>(), negative in any::<bool>(),
    ) {
        let rank = x.tensor.rank();
        let list = vec![axis.index(rank)];
        let axis = if negative { list[0] as isize - rank as isize } else { list[0] as isize };
        let search = |lane: &[T], beats: fn(&T, &T) -> bool| {
            let nan = lane.iter().position(|x| x != x);
            nan.or_else(|| lane.iter().position(|x| !lane.iter().any(|y| beats(y, x)))).map(|i| i as i64)
        };
        let reduction = Reduction { axes: axis.into(), list };
        for (largest, beats) in [(true, T::gt as fn(&T, &T) -> bool), (false, T::lt)] {
            let model = reduced(&x.naive, &reduction, |lane| search(lane, beats));
            let got = std::panic::catch_unwind(|| if largest { x.tensor.argmax(axis) } else { x.tensor.argmin(axis) });
            if model.data.iter().all(Option::is_some) {
                check(&got.unwrap(), &model.map(Option::unwrap));
            } else {
                prop_assert!(got.is_err());
            }
        }
    }
}

law! {
    /// With `keepdim`, and then squeezed, a reduction is the one without.
    [i64]
    fn keepdim_then_squeeze_is_nothing((x, reduction) in reducible(T::tame())) {
        let kept = x.tensor.sum(keepdim(reduction.axes.clone()));
        prop_assert_eq!(kept.rank(), x.tensor.rank());
        prop_assert_eq!(kept.squeeze(&reduction.list[..]), x.tensor.sum(&reduction.list[..]));
    }
}

law! {
    /// A reduction over some axes and then the others is the reduction over all.
    [i64]
    fn reductions_compose((x, reduction) in reducible(T::tame())) {
        let partly = x.tensor.sum(&reduction.list[..]);
        prop_assert_eq!(partly.sum(..), x.tensor.sum(..));
        if !x.tensor.is_empty() {
            prop_assert_eq!(x.tensor.max(&reduction.list[..]).max(..), x.tensor.max(..));
            let list = || keepdim(&reduction.list[..]);
            prop_assert_eq!(x.tensor.max_with_indices(list()), (x.tensor.max(list()), x.tensor.argmax(list())));
            prop_assert_eq!(x.tensor.min_with_indices(list()), (x.tensor.min(list()), x.tensor.argmin(list())));
        }
    }
}

#[test]
fn nothing_at_all() {
    let x = Tensor::<f64>::zeros([0, 3]);
    assert_eq!(x.sum(0), Tensor::from([0.0, 0.0, 0.0]));
    assert_eq!(x.prod(0), Tensor::from([1.0, 1.0, 1.0]));
    check(&x.mean(..), &Naive { shape: vec![], data: vec![f64::NAN] });
    assert_eq!(x.logsumexp(..).item(), -f64::INFINITY);
    assert_eq!(x.max(1).shape(), [0]);
    assert_eq!(x.argmin(1).shape(), [0]);
    assert!(x.gt(0.0).all(..).item() && !x.gt(0.0).any(..).item());
}

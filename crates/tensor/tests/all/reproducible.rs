//! The bits of a reduction or a copy depend on the elements and their shape, and on nothing else.

use crate::common::*;
use gradus_tensor::{Float, InstructionSet, Slice, Tensor, seeded, set_num_threads};
use proptest::prelude::*;

/// Sizes on both sides of what the loops treat in one go: 16 partial sums, blocks of 128, units of 1024, strips.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 1..20_usize,
        2 => prop::sample::select(vec![31, 32, 33, 63, 64, 65, 127, 128, 129, 130, 255, 256, 257]),
        1 => 300..1500_usize,
    ]
}

/// A shape of at most 300 000 elements and the axes to reduce.
fn problem() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    prop::collection::vec(size(), 1..=4).prop_flat_map(|mut shape| {
        while shape.iter().product::<usize>() > 300_000 {
            let largest = shape.iter_mut().max().unwrap();
            *largest = (*largest / 3).max(1);
        }
        let axes = prop::sample::subsequence((0..shape.len()).collect::<Vec<_>>(), 0..=shape.len());
        (Just(shape), axes)
    })
}

/// The same elements in another layout: the axes in memory as `order` says, or with gaps between elements; some
/// of them backwards.
pub(crate) fn laid_out<T: Float>(
    x: &Tensor<T>,
    order: &[usize],
    stepped: &[bool],
    flipped: &[bool],
) -> Tensor<T> {
    let mut back = vec![0; order.len()];
    for (place, &axis) in order.iter().enumerate() {
        back[axis] = place;
    }
    let mut y = x.permute(order).contiguous().permute(&back[..]);
    for axis in 0..x.rank() {
        if stepped[axis] {
            let gaps = Tensor::full(y.shape(), T::NAN);
            let pair = Tensor::stack(&[&y, &gaps], axis as isize + 1);
            let mut doubled = y.shape().to_vec();
            doubled[axis] *= 2;
            y = pair.reshape(&doubled[..]).slice(axis as isize, Slice::new(None, None, 2));
        }
        if flipped[axis] {
            y = y.flip(axis).contiguous().flip(axis);
        }
    }
    y
}

/// Every reduction, as bits.
fn reductions<T: Value + Float>(x: &Tensor<T>, axes: &[usize]) -> Vec<Vec<u64>> {
    let mut all = vec![
        bits(&x.sum(axes)),
        bits(&x.mean(axes)),
        bits(&x.prod(axes)),
        bits(&x.max(axes)),
        bits(&x.min(axes)),
        bits(&x.logsumexp(axes)),
        bits(&x.gt(T::ZERO).any(axes)),
        bits(&x.gt(T::ZERO).all(axes)),
    ];
    for &axis in axes {
        let axis = axis as isize;
        all.push(bits(&x.argmax(axis)));
        all.push(bits(&x.argmin(axis)));
        all.push(bits(&x.softmax(axis)));
        all.push(bits(&x.log_softmax(axis)));
    }
    all
}

law! {
    /// Neither the layout, nor the number of threads, nor the instructions change a bit.
    [f32 f64]
    fn nothing_changes_a_bit(
        (shape, axes) in problem(),
        seed in any::<u64>(),
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
        stepped in prop::collection::vec(prop::bool::weighted(0.2), 4),
        flipped in prop::collection::vec(prop::bool::weighted(0.2), 4),
        rounded in any::<bool>(),
        set in prop::sample::select(vec![InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512]),
        asked in 1..=3_usize,
    ) {
        let _settings = settings();
        let x = Tensor::<T>::randn(&shape[..], &mut seeded(seed));
        // With many equal elements and zeros of both signs.
        let x = if rounded { x.round() } else { x };
        let order: Vec<usize> = order.into_iter().filter(|&axis| axis < shape.len()).collect();
        let y = laid_out(&x, &order, &stepped, &flipped);
        prop_assert_eq!(bits(&y.contiguous()), bits(&x));
        set_num_threads(1);
        let expected = reductions(&x, &axes);
        set.select();
        set_num_threads(asked);
        let got = [reductions(&x, &axes), reductions(&y, &axes)];
        prop_assert!(got.iter().all(|got| *got == expected));
    }
}

/// Lanes so long that threads share them.
#[test]
fn long_lanes() {
    let _settings = settings();
    for length in [65_536, 65_537, 131_072, 300_001, 1_000_000] {
        let x = Tensor::<f32>::randn([length], &mut seeded(0));
        let y = Tensor::stack(&[&x, &x], 1).select(1, 1);
        set_num_threads(1);
        let expected = reductions(&x, &[0]);
        for threads in 1..=3 {
            set_num_threads(threads);
            assert_eq!(reductions(&x, &[0]), expected, "{length} elements, {threads} threads");
            assert_eq!(reductions(&y, &[0]), expected, "{length} elements, {threads} threads");
        }
        let exact: f64 = x.iter().map(f64::from).sum();
        assert!((f64::from(x.sum(..).item()) - exact).abs() < 1e-3);
        // Side by side with itself, so across rows.
        let columns = Tensor::stack(&[&x, &-&x], 1).sum(0);
        assert_eq!(bits(&columns), bits(&Tensor::stack(&[&x.sum(..), &-x.sum(..)], 0)));
    }
}

/// The first of several, the first NaN, the sign of zero: wherever in a long lane they are.
#[test]
fn extremes_in_long_lanes() {
    for length in [5, 33, 100, 4097, 70_000, 300_000] {
        for first in [0, 1, length / 2, length - 2] {
            let mut x = Tensor::<f32>::full([length], -1.0);
            for place in [first, first + 1] {
                x[[place]] = if place == first { -0.0 } else { 0.0 };
            }
            assert_eq!(x.argmax(0).item(), first as i64);
            assert_eq!(x.max(0).item().to_bits(), (-0.0_f32).to_bits());
            assert_eq!((-&x).min(0).item().to_bits(), 0);
            x[[first + 1]] = f32::NAN;
            assert_eq!((x.argmax(0).item(), x.argmin(0).item()), (first as i64 + 1, first as i64 + 1));
            assert!(x.max(..).item().is_nan() && x.min(..).item().is_nan());
        }
    }
}

law! {
    /// Softmax is e^x / sum(e^x), and its logarithm is that.
    [f32 f64]
    fn softmax_is_its_definition((shape, _) in problem(), seed in any::<u64>(), axis in any::<prop::sample::Index>()) {
        let axis = axis.index(shape.len());
        let x = Tensor::<T>::randn(&shape[..], &mut seeded(seed)) * 3.0;
        let expected = (&x - x.logsumexp(gradus_tensor::keepdim(axis))).exp();
        let epsilon = f64::from(T::EPSILON);
        prop_assert!(x.softmax(axis as isize).allclose(&expected, 50.0 * epsilon, 0.0));
        prop_assert!(x.log_softmax(axis as isize).exp().allclose(&expected, 100.0 * epsilon, 0.0));
    }
}

#[test]
fn softmax_of_extreme_values() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    for lane in [[-inf, -inf], [inf, 0.0], [inf, inf], [nan, 0.0], [0.0, nan], [inf, -inf]] {
        let x = Tensor::from(lane);
        assert!(x.softmax(0).iter().all(f64::is_nan), "{lane:?}");
    }
    assert_eq!(Tensor::from([-inf, 3.0]).softmax(0), Tensor::from([0.0, 1.0]));
    assert_eq!(Tensor::from([-inf, 3.0]).log_softmax(0), Tensor::from([-inf, 0.0]));
    for shape in [[0, 3], [3, 0]] {
        assert_eq!(Tensor::<f64>::zeros(shape).softmax(0).shape(), shape);
        assert_eq!(Tensor::<f64>::zeros(shape).log_softmax(1).shape(), shape);
    }
}

//! `reshape` and `flatten`: a view wherever strides can express the result.

use crate::common::*;
use gradus_tensor::Tensor;
use proptest::prelude::*;

/// All shapes of this rank with `count` elements.
fn factorisations(count: usize, rank: usize) -> Vec<Vec<usize>> {
    if rank == 0 {
        return if count == 1 { vec![vec![]] } else { vec![] };
    }
    let divisors = (1..=count).filter(|&size| count.is_multiple_of(size));
    divisors
        .flat_map(|size| {
            factorisations(count / size, rank - 1).into_iter().map(move |rest| [&[size], &rest[..]].concat())
        })
        .collect()
}

/// Shapes of at most four axes with as many elements as `shape`.
fn same_count(shape: &[usize]) -> BoxedStrategy<Vec<usize>> {
    let count: usize = shape.iter().product();
    if count == 0 {
        let with_zero = |(mut shape, at): (Vec<usize>, prop::sample::Index)| {
            let at = at.index(shape.len());
            shape[at] = 0;
            shape
        };
        return (crate::common::shape(1..=4), any::<prop::sample::Index>()).prop_map(with_zero).boxed();
    }
    let all: Vec<Vec<usize>> = (0..=4).flat_map(|rank| factorisations(count, rank)).collect();
    prop::sample::select(all).boxed()
}

/// Whether strides can express `positions`, the places of consecutive elements, under a shape: the place of
/// every element must be the sum of what one step along each axis alone would add.
fn expressible(positions: &[i64], shape: &[usize]) -> bool {
    let places = Naive { shape: shape.to_vec(), data: positions.to_vec() };
    let origin = vec![0; shape.len()];
    if shape.contains(&0) {
        return true;
    }
    let step = |axis: usize| {
        let mut next = origin.clone();
        next[axis] = 1;
        if shape[axis] > 1 { places.at(&next) - places.at(&origin) } else { 0 }
    };
    let steps: Vec<i64> = (0..shape.len()).map(step).collect();
    indices(shape).iter().all(|index| {
        let sum: i64 = index.iter().zip(&steps).map(|(&i, &step)| i as i64 * step).sum();
        places.at(index) == places.at(&origin) + sum
    })
}

law! {
    /// The elements stay in order, and there is a copy only where there must be one.
    [f32 i64 bool]
    fn reshape_copies_only_if_it_must(
        (x, target) in shape(0..=4).prop_flat_map(|shape| (laid_of(&shape, &T::any()), same_count(&shape))),
    ) {
        let y = x.tensor.reshape(&target[..]);
        check(&y, &Naive { shape: target.clone(), data: x.naive.data.clone() });
        let positions: Vec<i64> = indices(&x.naive.shape)
            .iter()
            .map(|index| index.iter().zip(x.tensor.strides()).map(|(&i, &stride)| i as i64 * stride as i64).sum())
            .collect();
        prop_assert_eq!(y.shares_buffer(&x.tensor), expressible(&positions, &target));
    }
}

law! {
    /// One size may be left out, and comes from the others.
    [f64]
    fn one_size_is_inferred(
        (x, target) in full_shape(1..=4).prop_flat_map(|shape| (laid_of(&shape, &T::any()), same_count(&shape))),
        place in any::<prop::sample::Index>(),
    ) {
        let target = if target.is_empty() { vec![1] } else { target };
        let place = place.index(target.len());
        let mut requested: Vec<isize> = target.iter().map(|&size| size as isize).collect();
        requested[place] = -1;
        check(&x.tensor.reshape(requested), &Naive { shape: target, data: x.naive.data.clone() });
    }
}

law! {
    /// `flatten` is a reshape to one axis.
    [f32 i64]
    fn flatten_keeps_the_order(x in laid::<T>(0..=4)) {
        let flat = x.tensor.flatten();
        check(&flat, &Naive { shape: vec![x.naive.data.len()], data: x.naive.data.clone() });
        if x.tensor.is_contiguous() {
            prop_assert!(flat.shares_buffer(&x.tensor));
        }
    }
}

#[test]
fn typical_reshapes_of_strided_tensors() {
    let x = Tensor::arange(0, 24, 1).reshape([2, 3, 4]);
    let shares = |y: Tensor<i64>, sizes: &[usize]| y.reshape(sizes).shares_buffer(&x);
    assert!(shares(x.t(), &[2, 2, 2, 3]), "an axis is split");
    assert!(!shares(x.t(), &[24]), "transposed axes cannot be merged");
    assert!(shares(x.permute([2, 0, 1]), &[4, 6]), "neighbours are merged");
    assert!(shares(x.flip(..), &[24]), "a reversed whole is one run");
    assert!(!shares(x.flip(1), &[24]), "a reversed part is not");
    assert!(shares(x.slice(2, ..2), &[6, 2]), "gaps stay between the axes they were between");
    assert!(!shares(x.slice(2, ..2), &[12]), "gaps cannot be merged");
    assert!(shares(x.slice(1, 1..2).expand([2, 5, 4]), &[2, 5, 2, 2]), "a repeated axis stays repeated");
    assert!(
        shares(Tensor::expand(&x.slice(0, ..1).slice(1, ..1).slice(2, ..1), [2, 3, 4]), &[24]),
        "all one"
    );
}

//! `cat`, `stack` and `split`.

use crate::common::*;
use gradus_tensor::Tensor;
use proptest::prelude::*;

/// Tensors whose shapes are equal except along one axis, and that axis.
fn parts<T: Value>() -> impl Strategy<Value = (Vec<Laid<T>>, usize)> {
    (shape(1..=4), any::<prop::sample::Index>(), prop::collection::vec(size(), 1..5)).prop_flat_map(
        |(shape, axis, sizes)| {
            let axis = axis.index(shape.len());
            let part = |size: usize| {
                let mut shape = shape.clone();
                shape[axis] = size;
                laid_of(&shape, &T::any())
            };
            (sizes.into_iter().map(part).collect::<Vec<_>>(), Just(axis))
        },
    )
}

/// The model: go along the axis through one part after the other.
fn joined<T: Value>(parts: &[Laid<T>], axis: usize) -> Naive<T> {
    let mut shape = parts[0].naive.shape.clone();
    shape[axis] = parts.iter().map(|part| part.naive.shape[axis]).sum();
    Naive::build(&shape, |index| {
        let mut index = index.to_vec();
        for part in parts {
            if index[axis] < part.naive.shape[axis] {
                return part.naive.at(&index);
            }
            index[axis] -= part.naive.shape[axis];
        }
        unreachable!("the sizes add up")
    })
}

law! {
    /// `cat` joins, and `split` takes apart again, without a copy.
    [f32 i64 bool]
    fn split_undoes_cat((parts, axis) in parts::<T>(), negative in any::<bool>()) {
        let signed = if negative { axis as isize - parts[0].tensor.rank() as isize } else { axis as isize };
        let tensors: Vec<&Tensor<T>> = parts.iter().map(|part| &part.tensor).collect();
        let whole = Tensor::cat(&tensors, signed);
        check(&whole, &joined(&parts, axis));
        let sizes: Vec<usize> = parts.iter().map(|part| part.naive.shape[axis]).collect();
        let again = whole.split(sizes, signed);
        prop_assert_eq!(again.len(), parts.len());
        for (part, expected) in again.iter().zip(&parts) {
            check(part, &expected.naive);
            prop_assert!(part.shares_buffer(&whole));
        }
    }
}

law! {
    /// `split` and then `cat` is nothing at all, for every layout and every way to split.
    [f64 i64]
    fn cat_undoes_split(x in laid::<T>(1..=4), axis in any::<prop::sample::Index>(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..3)) {
        let axis = axis.index(x.tensor.rank());
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(x.naive.shape[axis] + 1)).collect();
        ends.push(x.naive.shape[axis]);
        ends.sort_unstable();
        let sizes: Vec<usize> =
            ends.iter().enumerate().map(|(i, end)| end - if i == 0 { 0 } else { ends[i - 1] }).collect();
        let parts = x.tensor.split(sizes, axis as isize);
        check(&Tensor::cat(&parts.iter().collect::<Vec<_>>(), axis as isize), &x.naive);
    }
}

law! {
    /// `split` by one size gives parts of this size, and the rest.
    [f64 bool]
    fn split_by_a_size(x in laid::<T>(1..=4), axis in any::<prop::sample::Index>(), size in 1..=6_usize) {
        let axis = axis.index(x.tensor.rank());
        let whole = x.naive.shape[axis];
        let mut sizes = vec![size; whole / size];
        if whole % size > 0 || whole == 0 {
            sizes.push(whole % size);
        }
        prop_assert_eq!(x.tensor.split(size, axis as isize).len(), sizes.len());
        for (part, expected) in x.tensor.split(size, axis as isize).iter().zip(x.tensor.split(sizes, axis as isize)) {
            prop_assert_eq!((part.shape(), bits(part)), (expected.shape(), bits(&expected)));
        }
    }
}

law! {
    /// `stack` puts each tensor at its own index of a new axis.
    [f32 bool]
    fn stack_adds_an_axis(
        parts in shape(0..=3).prop_flat_map(|shape| prop::collection::vec(laid_of(&shape, &T::any()), 1..4)),
        place in any::<prop::sample::Index>(), negative in any::<bool>(),
    ) {
        let rank = parts[0].tensor.rank() + 1;
        let place = place.index(rank);
        let tensors: Vec<&Tensor<T>> = parts.iter().map(|part| &part.tensor).collect();
        let whole = Tensor::stack(&tensors, if negative { place as isize - rank as isize } else { place as isize });
        let mut shape = parts[0].naive.shape.clone();
        shape.insert(place, parts.len());
        let expected = Naive::build(&shape, |index| {
            let mut inner = index.to_vec();
            let part = inner.remove(place);
            parts[part].naive.at(&inner)
        });
        check(&whole, &expected);
        for (i, part) in parts.iter().enumerate() {
            check(&whole.select(place as isize, i as isize), &part.naive);
        }
    }
}

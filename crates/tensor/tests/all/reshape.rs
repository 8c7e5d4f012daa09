//! `reshape`, `flatten`, `unflatten` and `rearrange`: a view wherever strides can express the result.

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
        let flat = x.tensor.flatten(..);
        check(&flat, &Naive { shape: vec![x.naive.data.len()], data: x.naive.data.clone() });
        if x.tensor.is_contiguous() {
            prop_assert!(flat.shares_buffer(&x.tensor));
        }
    }
}

law! {
    /// `flatten` merges the axes of a range, however it is written, and `unflatten` splits them again.
    [f32 i64]
    fn unflatten_undoes_flatten(x in shape(1..=4).prop_flat_map(|shape| laid_of(&shape, &T::any())), ends in any::<[prop::sample::Index; 2]>()) {
        let (shape, rank) = (&x.naive.shape, x.naive.shape.len());
        let start = ends[0].index(rank);
        let stop = start + 1 + ends[1].index(rank - start);
        let merged = shape[start..stop].iter().product();
        let expected = Naive {
            shape: [&shape[..start], &[merged], &shape[stop..]].concat(),
            data: x.naive.data.clone(),
        };
        let flat = x.tensor.flatten(start..stop);
        check(&flat, &expected);
        check(&x.tensor.flatten(start..=stop - 1), &expected);
        check(&x.tensor.flatten(start as isize - rank as isize..stop as isize), &expected);
        if stop == rank {
            check(&x.tensor.flatten(start..), &expected);
        } else {
            check(&x.tensor.flatten(start as isize..stop as isize - rank as isize), &expected);
        }
        check(&flat.unflatten(start as isize, &shape[start..stop]), &x.naive);
        if !x.naive.data.is_empty() {
            let mut sizes: Vec<isize> = shape[start..stop].iter().map(|&size| size as isize).collect();
            sizes[0] = -1;
            check(&flat.unflatten(start as isize - flat.rank() as isize, sizes), &x.naive);
        }
    }
}

/// Labels, each split from an axis of the operand, in the order of the result, and the ends of its axes.
fn arrangement(labels: usize) -> impl Strategy<Value = (Vec<usize>, Vec<bool>)> {
    let order = Just((0..labels).collect::<Vec<_>>()).prop_shuffle();
    (order, prop::collection::vec(any::<bool>(), labels))
}

law! {
    /// `rearrange` splits axes in two, puts the parts in any order and merges neighbours.
    [f32 i64]
    fn rearrange_moves_names(
        (x, (order, ends)) in prop::collection::vec(0..=3_usize, 2..=6).prop_flat_map(|mut sizes| {
            if sizes.len() % 2 == 1 { sizes.pop(); }
            let split = Naive { data: vec![(); sizes.iter().product()], shape: sizes.clone() };
            (laid_of(&split.shape, &T::any()), arrangement(sizes.len()))
        }),
    ) {
        // The operand has the labels of two neighbours in one axis.
        let sizes = &x.naive.shape;
        let whole: Vec<usize> = sizes.chunks(2).map(|pair| pair[0] * pair[1]).collect();
        let whole = x.tensor.reshape(&whole[..]);
        let names = ["a", "b", "c1", "d_", "e", "x"];
        let left: Vec<String> = names[..sizes.len()].chunks(2).map(|pair| format!("({} {})", pair[0], pair[1])).collect();
        let (mut right, mut shape) = (String::from("("), vec![1]);
        for (place, (&label, &end)) in order.iter().zip(&ends).enumerate() {
            right += &format!("{} ", names[label]);
            *shape.last_mut().unwrap() *= sizes[label];
            if end && place + 1 < order.len() {
                right += ") 1 (";
                shape.extend([1, 1]);
            }
        }
        let pattern = format!("{}->{right})", left.join(" "));
        let inner: Vec<usize> = order.iter().map(|&label| sizes[label]).collect();
        let moved = Naive::build(&inner, |index| {
            let mut source = vec![0; order.len()];
            for (&i, &label) in index.iter().zip(&order) {
                source[label] = i;
            }
            x.naive.at(&source)
        });
        // The second name of each axis follows from the first, if that is not 0.
        let given = |place: &usize| place.is_multiple_of(2) || sizes[place - 1] == 0;
        let given: Vec<(&str, usize)> = (0..sizes.len()).filter(given).map(|place| (names[place], sizes[place])).collect();
        check(&whole.rearrange(&pattern, &given), &Naive { shape, data: moved.data });
    }
}

/// Sizes of several types, and patterns, against the calls that they stand for.
#[test]
fn spellings() {
    let x = Tensor::arange(0, 24, 1).reshape([2, 3, 4]);
    let (two, four) = (x.shape()[0], 4_i64);
    assert_eq!(x.reshape((two, -1)), x.reshape([2, -1]));
    assert_eq!(x.reshape((-1, two, four)), x.reshape([3, 2, 4]));
    assert_eq!(x.permute((2, 0, -2)), x.permute([2, 0, 1]));
    assert_eq!(x.flatten(1..).shape(), [2, 12]);
    assert_eq!(Tensor::from(7).flatten(..), Tensor::from([7]));
    assert_eq!(x.rearrange("a b c -> c (b a)", &[]), x.permute([2, 1, 0]).reshape([4, 6]));
    assert_eq!(x.rearrange("... c -> c ...", &[]), x.permute([2, 0, 1]));
    assert_eq!(x.rearrange("a ... -> 1 (... a)", &[]), x.permute([1, 2, 0]).reshape([1, 24]));
    assert_eq!(x.rearrange("... -> (...)", &[]), x.flatten(..));
    assert_eq!(Tensor::from(7).rearrange(" ->1 ()", &[]).shape(), [1, 1]);
    assert!(x.rearrange("a b (c d) -> d b c a", &[("d", 2)]).shares_buffer(&x));
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

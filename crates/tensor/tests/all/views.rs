//! Views show the right elements, and share the buffer.

use crate::common::*;
use gradus_tensor::{Slice, Tensor};
use proptest::prelude::*;

/// Bounds and steps around a small axis, a few of them extreme.
pub(crate) fn bound() -> impl Strategy<Value = isize> {
    prop_oneof![12 => -7..=7_isize, 1 => Just(isize::MIN), 1 => Just(isize::MAX)]
}

/// The indices that Python's `range(length)[start:stop:step]` yields, from the text of its reference.
pub(crate) fn python_slice(
    length: usize,
    start: Option<isize>,
    stop: Option<isize>,
    step: isize,
) -> Vec<usize> {
    let (length, step) = (length as i128, step as i128);
    // "Ends", inclusive below and above, by the direction of the walk.
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let resolve = |bound: isize| {
        let bound = bound as i128;
        let bound = if bound < 0 { bound + length } else { bound };
        bound.max(low).min(high)
    };
    let (from, to) = if step > 0 { (low, high) } else { (high, low) };
    let (mut index, stop) = (start.map_or(from, resolve), stop.map_or(to, resolve));
    let mut indices = vec![];
    while if step > 0 { index < stop } else { index > stop } {
        indices.push(index as usize);
        index += step;
    }
    indices
}

/// `axis` counted from the end, if `negative`.
fn signed(axis: usize, rank: usize, negative: bool) -> isize {
    if negative { axis as isize - rank as isize } else { axis as isize }
}

/// The model of taking some indices of one axis.
pub(crate) fn take<T: Copy>(x: &Naive<T>, axis: usize, taken: &[usize]) -> Naive<T> {
    let mut shape = x.shape.clone();
    shape[axis] = taken.len();
    Naive::build(&shape, |index| {
        let mut source = index.to_vec();
        source[axis] = taken[index[axis]];
        x.at(&source)
    })
}

law! {
    /// `slice` follows Python on every axis, for every mix of bounds and step.
    [f32 i64]
    fn slices_are_pythons(
        x in laid::<T>(1..=4), axis in any::<prop::sample::Index>(), negative in any::<bool>(),
        start in prop::option::of(bound()), stop in prop::option::of(bound()),
        step in bound().prop_filter("a step is not 0", |&step| step != 0),
    ) {
        let axis = axis.index(x.tensor.rank());
        let taken = python_slice(x.naive.shape[axis], start, stop, step);
        let slice = Slice::new(start, stop, step);
        let y = x.tensor.slice(signed(axis, x.tensor.rank(), negative), slice);
        check(&y, &take(&x.naive, axis, &taken));
        prop_assert!(y.shares_buffer(&x.tensor));
        let resolved = slice.resolve(x.naive.shape[axis]);
        prop_assert_eq!(resolved, (taken.first().copied().unwrap_or(0), taken.len()));
    }
}

proptest! {
    /// Ranges of every integer type are slices with step 1, and `step` changes only the step.
    #[test]
    fn ranges_are_slices(length in 0..6_usize, start in -7..=7_i64, stop in -7..=7_i64, step in 1..4_isize) {
        let x = Tensor::arange(0, length as i64, 1);
        let expected = |start: Option<i64>, stop: Option<i64>, step: isize| {
            let indices = python_slice(length, start.map(|i| i as isize), stop.map(|i| i as isize), step);
            Tensor::from(indices.into_iter().map(|i| i as i64).collect::<Vec<_>>())
        };
        prop_assert_eq!(x.slice(0, start..stop), expected(Some(start), Some(stop), 1));
        prop_assert_eq!(x.slice(0, start as i32..stop as i32), expected(Some(start), Some(stop), 1));
        prop_assert_eq!(x.slice(0, start as isize..), expected(Some(start), None, 1));
        prop_assert_eq!(x.slice(0, ..stop), expected(None, Some(stop), 1));
        prop_assert_eq!(x.slice(0, ..), x.clone());
        let (low, high) = (start.unsigned_abs() as usize, stop.unsigned_abs() as usize);
        prop_assert_eq!(x.slice(0, low..high), expected(Some(low as i64), Some(high as i64), 1));
        prop_assert_eq!(x.slice(0, low..usize::MAX), expected(Some(low as i64), None, 1));
        for step in [step, -step] {
            prop_assert_eq!(x.slice(0, Slice::from(start..stop).step(step)), expected(Some(start), Some(stop), step));
            prop_assert_eq!(x.slice(0, Slice::from(..).step(step)), expected(None, None, step));
        }
    }
}

law! {
    /// `select` drops the axis and shows one index of it.
    [f64 bool]
    fn select_shows_one_index(
        x in full_shape(1..=4).prop_flat_map(|shape| laid_of(&shape, &T::any())), axis in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(),
        negative in any::<[bool; 2]>(),
    ) {
        let rank = x.tensor.rank();
        let axis = axis.index(rank);
        let place = place.index(x.naive.shape[axis]);
        let mut expected = take(&x.naive, axis, &[place]);
        expected.shape.remove(axis);
        let place = signed(place, x.naive.shape[axis], negative[0]);
        let y = x.tensor.select(signed(axis, rank, negative[1]), place);
        check(&y, &expected);
        prop_assert!(y.shares_buffer(&x.tensor));
    }
}

/// The model of `permute`.
fn permuted<T: Copy>(x: &Naive<T>, order: &[usize]) -> Naive<T> {
    let shape: Vec<usize> = order.iter().map(|&axis| x.shape[axis]).collect();
    Naive::build(&shape, |index| {
        let mut source = vec![0; order.len()];
        for (&i, &axis) in index.iter().zip(order) {
            source[axis] = i;
        }
        x.at(&source)
    })
}

law! {
    /// `permute` moves axes, the inverse moves them back, and `transpose` and `t` are special cases.
    [f32 i64]
    fn permutations_move_axes(
        (x, order) in (0..=4_usize).prop_flat_map(|rank| {
            (laid::<T>(rank..=rank), Just((0..rank).collect::<Vec<_>>()).prop_shuffle())
        }),
        (a, b) in any::<(prop::sample::Index, prop::sample::Index)>(),
        negative in any::<[bool; 4]>(),
    ) {
        let rank = order.len();
        let axes: Vec<isize> = order.iter().zip(negative).map(|(&axis, negative)| signed(axis, rank, negative)).collect();
        let y = x.tensor.permute(axes);
        check(&y, &permuted(&x.naive, &order));
        prop_assert!(y.shares_buffer(&x.tensor));
        let inverse: Vec<usize> = (0..rank).map(|axis| order.iter().position(|&o| o == axis).unwrap()).collect();
        check(&y.permute(inverse), &x.naive);
        if rank > 0 {
            let (a, b) = (a.index(rank), b.index(rank));
            let mut swapped: Vec<usize> = (0..rank).collect();
            swapped.swap(a, b);
            let y = x.tensor.transpose(signed(a, rank, negative[0]), signed(b, rank, negative[1]));
            check(&y, &permuted(&x.naive, &swapped));
            prop_assert!(y.shares_buffer(&x.tensor));
        }
        if rank > 1 {
            let mut swapped: Vec<usize> = (0..rank).collect();
            swapped.swap(rank - 2, rank - 1);
            check(&x.tensor.t(), &permuted(&x.naive, &swapped));
            prop_assert!(x.tensor.t().shares_buffer(&x.tensor));
        }
    }
}

law! {
    /// `unsqueeze` inserts an axis of size 1, which `squeeze` takes away again.
    [f64 i64]
    fn unsqueeze_inserts_an_axis(
        x in laid::<T>(0..=3), place in any::<prop::sample::Index>(), negative in any::<bool>(),
    ) {
        let rank = x.tensor.rank();
        let place = place.index(rank + 1);
        let mut expected = x.naive.clone();
        expected.shape.insert(place, 1);
        let y = x.tensor.unsqueeze(signed(place, rank + 1, negative));
        check(&y, &expected);
        prop_assert!(y.shares_buffer(&x.tensor));
        check(&y.squeeze(place), &x.naive);
    }
}

law! {
    /// `squeeze` drops those of the named axes that have size 1.
    [f32 i64]
    fn squeeze_drops_axes_of_size_1(x in laid::<T>(0..=4), named in any::<[bool; 4]>(), all in any::<bool>()) {
        let rank = x.tensor.rank();
        let axes: Vec<usize> = (0..rank).filter(|&axis| named[axis] || all).collect();
        let kept = |axis: &usize| x.naive.shape[*axis] != 1 || !axes.contains(axis);
        let expected = Naive {
            shape: (0..rank).filter(kept).map(|axis| x.naive.shape[axis]).collect(),
            data: x.naive.data.clone(),
        };
        let reversed: Vec<usize> = axes.iter().copied().rev().collect();
        let y = if all { x.tensor.squeeze(..) } else { x.tensor.squeeze(reversed) };
        check(&y, &expected);
        prop_assert!(y.shares_buffer(&x.tensor));
    }
}

law! {
    /// `expand` repeats without a copy.
    [f64 bool]
    fn expand_repeats(
        (x, target) in (shape(0..=4), any::<[bool; 4]>(), 0..=4_usize).prop_flat_map(|(target, ones, dropped)| {
            let mut own: Vec<usize> =
                target.iter().zip(ones).map(|(&size, one)| if one { 1 } else { size }).collect();
            own.drain(..dropped.min(target.len()));
            (laid_of(&own, &T::any()), Just(target))
        }),
    ) {
        let y = x.tensor.expand(&target);
        check(&y, &x.naive.broadcast_to(&target));
        prop_assert!(y.shares_buffer(&x.tensor));
    }
}

law! {
    /// `flip` reverses the named axes, and twice is not at all.
    [f32 i64]
    fn flip_reverses(x in laid::<T>(0..=4), named in any::<[bool; 4]>(), all in any::<bool>()) {
        let rank = x.tensor.rank();
        let axes: Vec<usize> = (0..rank).filter(|&axis| named[axis] || all).collect();
        let expected = Naive::build(&x.naive.shape, |index| {
            let flip = |(axis, &i): (usize, &usize)| {
                if axes.contains(&axis) { x.naive.shape[axis] - 1 - i } else { i }
            };
            x.naive.at(&index.iter().enumerate().map(flip).collect::<Vec<_>>())
        });
        let flip = |x: &Tensor<T>| if all { x.flip(..) } else { x.flip(&axes[..]) };
        let y = flip(&x.tensor);
        check(&y, &expected);
        prop_assert!(y.shares_buffer(&x.tensor));
        check(&flip(&y), &x.naive);
    }
}

proptest! {
    /// In views of a buffer that holds its own positions, each element is where strides and offset say.
    #[test]
    fn strides_and_offset_address_the_buffer(
        sizes in prop::collection::vec(1..5_usize, 3),
        steps in prop::collection::vec((0..3_isize, bound(), prop::option::of(0..3_isize), any::<bool>()), 0..4),
    ) {
        let count: usize = sizes.iter().product();
        let mut x = Tensor::arange(0, count as i64, 1).reshape(sizes);
        for (axis, step, start, swap) in steps {
            x = if swap { x.transpose(axis, 0) } else { x.slice(axis, Slice::new(start, None, step | 1)) };
        }
        let positions = Naive::build(x.shape(), |index| {
            let steps: isize = index.iter().zip(x.strides()).map(|(&i, &stride)| i as isize * stride).sum();
            (x.offset() as isize + steps) as i64
        });
        check(&x, &positions);
    }
}

proptest! {
    /// Any layout that the buffer can hold shows the elements that its strides say, and no other is let through.
    #[test]
    fn strides_say_where_elements_are(
        axes in prop::collection::vec((0..4_usize, -5..=5_isize), 0..=3),
        offset in 0..24_usize,
        length in 0..24_usize,
    ) {
        let (shape, strides): (Vec<usize>, Vec<isize>) = axes.iter().copied().unzip();
        let buffer = Tensor::arange(0, length as i64, 1);
        let mut places = vec![offset as isize];
        for (&size, &stride) in shape.iter().zip(&strides) {
            let steps = |place: isize| (0..size as isize).map(move |i| place + i * stride);
            places = places.into_iter().flat_map(steps).collect();
        }
        let inside = places.iter().all(|&place| (0..length as isize).contains(&place));
        let view = buffer.as_strided(&shape, &strides, offset);
        prop_assert_eq!(view.is_ok(), inside);
        if let Ok(view) = view {
            prop_assert_eq!(view.shape(), &shape[..]);
            prop_assert!(view.shares_buffer(&buffer));
            prop_assert_eq!(view.to_vec(), places.iter().map(|&place| place as i64).collect::<Vec<_>>());
        }
        prop_assert!(buffer.as_strided(&shape, [&strides[..], &[1]].concat(), 0).is_err());
    }
}

//! Subscripts read and write the right elements.

use crate::common::*;
use crate::views::{bound, python_slice, take};
use gradus_tensor::{Ellipsis, NewAxis, Slice, Subscript, Subscripts, Tensor, step};
use proptest::prelude::*;
use proptest::sample::Index as Place;

/// Subscripts, and the model of the part that they name: for each axis the indices taken, and the shape in the end.
#[derive(Debug, Clone)]
struct Part {
    subscripts: Vec<Subscript>,
    taken: Vec<Vec<usize>>,
    shape: Vec<usize>,
}

impl Part {
    fn of<T: Copy>(&self, x: &Naive<T>) -> Naive<T> {
        let mut part = x.clone();
        for (axis, taken) in self.taken.iter().enumerate() {
            part = take(&part, axis, taken);
        }
        Naive { shape: self.shape.clone(), data: part.data }
    }
}

/// The choice for an axis: a place, bounds, a step and the kind.
type Choice = (Place, Option<isize>, Option<isize>, isize, u8);

fn choice() -> impl Strategy<Value = Choice> {
    let steps = bound().prop_filter("a step is not 0", |&step| step != 0);
    (any::<Place>(), prop::option::of(bound()), prop::option::of(bound()), steps, 0..8_u8)
}

fn subscript(size: usize, (place, start, stop, step, kind): Choice) -> (Subscript, Vec<usize>) {
    match kind {
        0 | 1 if size > 0 => {
            let place = place.index(size);
            let index = if kind == 0 { place as isize } else { place as isize - size as isize };
            (Subscript::At(index), vec![place])
        }
        2 => ((..).into(), (0..size).collect()),
        _ => (Slice::new(start, stop, step).into(), python_slice(size, start, stop, step)),
    }
}

/// Any subscripts that fit a shape.
fn part(shape: &[usize]) -> impl Strategy<Value = Part> + use<> {
    let shape = shape.to_vec();
    let choices = prop::collection::vec(choice(), 4);
    (choices, 0..=4_usize, prop::option::of(0..=4_usize), prop::collection::vec(0..7_usize, 0..=2)).prop_map(
        move |(choices, named, ellipsis, new)| {
            let rank = shape.len();
            let named = named.min(rank);
            // The axes that the ellipsis, or the end of the list, leaves as they are.
            let front = ellipsis.map_or(named, |front| front.min(named));
            let left = front..front + rank - named;
            let mut list: Vec<(Subscript, Option<usize>)> = vec![];
            let mut taken: Vec<Vec<usize>> = vec![];
            for (axis, (&size, choice)) in shape.iter().zip(choices).enumerate() {
                let (subscript, indices) = subscript(size, choice);
                if left.contains(&axis) {
                    taken.push((0..size).collect());
                } else {
                    list.push((subscript, Some(indices.len())));
                    taken.push(indices);
                }
            }
            if ellipsis.is_some() {
                list.insert(front, (Ellipsis, None));
            }
            for place in new {
                list.insert(place.min(list.len()), (NewAxis, Some(1)));
            }
            let mut result = vec![];
            for (subscript, size) in &list {
                match subscript {
                    Subscript::At(_) => {}
                    Ellipsis => result.extend(&shape[left.clone()]),
                    Subscript::Slice(_) | NewAxis => result.extend(size),
                }
            }
            if ellipsis.is_none() {
                result.extend(&shape[left]);
            }
            Part { subscripts: list.iter().map(|(subscript, _)| *subscript).collect(), taken, shape: result }
        },
    )
}

fn laid_and_part<T: Value>(element: BoxedStrategy<T>) -> impl Strategy<Value = (Laid<T>, Part)> {
    shape(0..=4).prop_flat_map(move |shape| (laid_of(&shape, &element), part(&shape)))
}

/// A tensor, subscripts, and a value that broadcasts to the part.
fn writing<T: Value>(element: BoxedStrategy<T>) -> impl Strategy<Value = (Laid<T>, Part, Laid<T>)> {
    laid_and_part(element.clone()).prop_flat_map(move |(x, part)| {
        let (rank, shape) = (part.shape.len(), part.shape.clone());
        let element = element.clone();
        let value = (any::<[bool; 6]>(), 0..=rank).prop_flat_map(move |(ones, dropped)| {
            let size = |(&size, &one): (&usize, &bool)| if one { 1 } else { size };
            let all: Vec<usize> = shape.iter().zip(ones.iter().cycle()).map(size).collect();
            laid_of(&all[dropped..], &element)
        });
        (Just(x), Just(part), value)
    })
}

/// The model of writing: `f` of each element of the part and its partner in the value.
fn written<T: Value>(x: &Naive<T>, part: &Part, value: &Naive<T>, f: impl Fn(T, T) -> T) -> Naive<T> {
    let places = Naive { shape: x.shape.clone(), data: (0..x.data.len()).collect() };
    let (places, values) = (part.of(&places), value.broadcast_to(&part.shape));
    let mut result = x.clone();
    for (&place, &value) in places.data.iter().zip(&values.data) {
        result.data[place] = f(result.data[place], value);
    }
    result
}

law! {
    /// `index` reads the part, without a copy.
    [f32 i64 bool]
    fn index_reads((x, part) in laid_and_part(T::any())) {
        let y = x.tensor.index(&part.subscripts[..]);
        check(&y, &part.of(&x.naive));
        prop_assert!(y.shares_buffer(&x.tensor));
    }
}

law! {
    /// `index_put` writes the part and nothing else, and leaves the tensor alone.
    [f32 i64 bool]
    fn index_put_writes((x, part, value) in writing(T::any())) {
        let expected = written(&x.naive, &part, &value.naive, |_, value| value);
        check(&x.tensor.index_put(&part.subscripts[..], &value.tensor), &expected);
        check(&x.tensor, &x.naive);
        let mut own = x.tensor.contiguous();
        own.index_put_inplace(part.subscripts, value.tensor);
        check(&own, &expected);
    }
}

law! {
    /// `index_put_add` adds to the part and to nothing else.
    [f32 f64 i64]
    fn index_put_add_adds((x, part, value) in writing(T::tame())) {
        let expected = written(&x.naive, &part, &value.naive, |x, value| x + value);
        check(&x.tensor.index_put_add(&part.subscripts[..], &value.tensor), &expected);
        check(&x.tensor, &x.naive);
        let mut own = x.tensor.contiguous();
        own.index_put_add_inplace(part.subscripts, value.tensor);
        check(&own, &expected);
    }
}

law! {
    /// `unbind` and `rows` are `select` at every index, from either end.
    [f32 bool]
    fn parts_are_selected(x in shape(1..=4).prop_flat_map(|shape| laid_of(&shape, &T::any())), axis in any::<Place>()) {
        let axis = axis.index(x.tensor.rank());
        let selected = |axis: usize| {
            (0..x.tensor.shape()[axis] as isize).map(|i| x.tensor.select(axis as isize, i)).collect::<Vec<_>>()
        };
        let same = |parts: &[Tensor<T>], expected: &[Tensor<T>]| {
            assert_eq!(parts.len(), expected.len());
            for (part, expected) in parts.iter().zip(expected) {
                assert_eq!((part.shape(), bits(part)), (expected.shape(), bits(expected)));
                assert!(part.shares_buffer(&x.tensor));
            }
        };
        same(&x.tensor.unbind(axis as isize), &selected(axis));
        same(&x.tensor.unbind(axis as isize - x.tensor.rank() as isize), &selected(axis));
        assert_eq!(x.tensor.rows().len(), x.tensor.shape()[0]);
        same(&x.tensor.rows().collect::<Vec<_>>(), &selected(0));
        let mut backwards = selected(0);
        backwards.reverse();
        same(&x.tensor.rows().rev().collect::<Vec<_>>(), &backwards);
    }
}

/// The spellings, each against the items it stands for; and `index` is the method also where the trait of this name is in
/// scope.
#[test]
fn spellings() {
    #[allow(unused_imports, reason = "the trait must not be chosen")]
    use std::ops::Index;
    let x = Tensor::arange(0, 720, 1).reshape([2, 3, 4, 5, 6]);
    let same = |part: Tensor<i64>, list: &[Subscript]| assert_eq!(part, x.index(list));
    let (all, at): (Subscript, fn(isize) -> Subscript) = ((..).into(), Subscript::At);
    let slice = |start, stop, step| Subscript::Slice(Slice::new(start, stop, step));
    let (size, long): (usize, i64) = (2, -1);
    same(x.index(1), &[at(1)]);
    same(x.index(-1), &[at(1)]);
    same(x.index((1_isize,)), &[at(1)]);
    same(x.index((1, size)), &[at(1), at(2)]);
    same(x.index((.., long, ..)), &[all, at(2), all]);
    same(x.index((0, .., 1..3, 2)), &[at(0), all, slice(Some(1), Some(3), 1), at(2)]);
    same(
        x.index((1..=2, ..=-2, -3.., ..size, step(1..5, 2))),
        &[
            slice(Some(1), Some(3), 1),
            slice(None, Some(-1), 1),
            slice(Some(-3), None, 1),
            slice(None, Some(2), 1),
            slice(Some(1), Some(5), 2),
        ],
    );
    same(
        x.index((NewAxis, 0, Ellipsis, NewAxis, step(.., -2), 3)),
        &[NewAxis, at(0), Ellipsis, NewAxis, slice(None, None, -2), at(3)],
    );
    same(x.index(Slice::from(1..)), &[slice(Some(1), None, 1)]);
    same(x.index(Ellipsis), &[]);
    same(x.index([at(1), all]), &[at(1)]);
    same(x.index(vec![at(1)]), &[at(1)]);
    let subscripts = Subscripts::from((1, 2));
    same(x.index(&subscripts), subscripts.as_slice());
    assert_eq!(Index::index(&x, [1, 2, 3, 4, 5]), &719);
}

proptest! {
    /// An inclusive range has its last index, in the direction of the step, and then the rules are Python's.
    #[test]
    fn inclusive_ranges_end_with_their_bound(
        length in 0..6_usize, start in -7..=7_isize, stop in -7..=7_isize, step in 1..4_isize,
    ) {
        let x = Tensor::arange(0, length as i64, 1);
        for step in [step, -step] {
            // An inclusive bound is an exclusive one, a step further. A descending range to index 0 has no such bound.
            let from_front = if stop < 0 { stop + length as isize } else { stop };
            let next = from_front + step.signum();
            let end = if step < 0 && next < 0 { None } else { Some(next.max(0)) };
            let expected = |start| {
                let indices = python_slice(length, start, end, step);
                Tensor::from(indices.into_iter().map(|i| i as i64).collect::<Vec<_>>())
            };
            prop_assert_eq!(x.slice(0, Slice::from(start..=stop).step(step)), expected(Some(start)));
            prop_assert_eq!(x.slice(0, Slice::from(..=stop).step(step)), expected(None));
        }
    }
}

#[test]
fn subscripts_print_as_written() {
    let print = |subscripts: Subscripts| format!("{subscripts:?}");
    assert_eq!(print((.., 1..=3, -1).into()), "(.., 1..=3, -1)");
    assert_eq!(print((NewAxis, Ellipsis, step(-4.., 2)).into()), "(NewAxis, Ellipsis, step(-4.., 2))");
    assert_eq!(print((..2).into()), "(..2)");
    assert_eq!(print([].into()), "()");
}

//! `gather`, `scatter_add`, `index_select` and `index_add`.

use crate::common::*;
use gradus_tensor::Tensor;
use proptest::prelude::*;

/// What is read from or added to, an axis, indices of that axis, and one value for each index.
#[derive(Debug, Clone)]
struct Case<T: gradus_tensor::Element> {
    x: Laid<T>,
    axis: usize,
    index: Laid<i64>,
    source: Laid<T>,
}

/// For `gather`: the index has the rank of `x` and is nowhere larger, except along the axis.
fn gathering<T: Value>(element: BoxedStrategy<T>) -> impl Strategy<Value = Case<T>> {
    (shape(1..=4), any::<prop::sample::Index>(), size(), any::<[prop::sample::Index; 4]>()).prop_flat_map(
        move |(shape, axis, along, smaller)| {
            let axis = axis.index(shape.len());
            let mut index: Vec<usize> = shape
                .iter()
                .zip(smaller)
                .map(|(&size, smaller)| smaller.index(2 * size + 1).min(size))
                .collect();
            index[axis] = if shape[axis] == 0 { 0 } else { along };
            case(&shape, axis, &index, &index, &element)
        },
    )
}

/// For `index_select`: the index is a list, the source has as many slices.
fn selecting<T: Value>(element: BoxedStrategy<T>) -> impl Strategy<Value = Case<T>> {
    (shape(1..=4), any::<prop::sample::Index>(), size()).prop_flat_map(move |(shape, axis, along)| {
        let axis = axis.index(shape.len());
        let along = if shape[axis] == 0 { 0 } else { along };
        let mut source = shape.clone();
        source[axis] = along;
        case(&shape, axis, &[along], &source, &element)
    })
}

fn case<T: Value>(
    shape: &[usize],
    axis: usize,
    index: &[usize],
    source: &[usize],
    element: &BoxedStrategy<T>,
) -> impl Strategy<Value = Case<T>> + use<T> {
    let indices = (0..shape[axis].max(1) as i64).boxed();
    (laid_of(shape, element), laid_of(index, &indices), laid_of(source, element))
        .prop_map(move |(x, index, source)| Case { x, axis, index, source })
}

/// The index with its entry for `axis` replaced.
fn moved(index: &[usize], axis: usize, to: i64) -> Vec<usize> {
    let mut index = index.to_vec();
    index[axis] = to as usize;
    index
}

/// The model of adding: go through the source in order.
fn added<T: Value + std::ops::Add<Output = T>>(
    x: &Naive<T>,
    source: &Naive<T>,
    target: impl Fn(&[usize]) -> Vec<usize>,
) -> Naive<T> {
    let mut sums = x.clone();
    let places = indices(&x.shape);
    for index in indices(&source.shape) {
        let target = target(&index);
        let place = places.iter().position(|place| *place == target).expect("within the shape");
        sums.data[place] = sums.data[place] + source.at(&index);
    }
    sums
}

law! {
    /// `gather` reads where the index points.
    [f32 i64 bool]
    fn gather_reads(c in gathering(T::any()), negative in any::<bool>()) {
        let axis = c.axis as isize - if negative { c.x.tensor.rank() as isize } else { 0 };
        let expected = Naive::build(&c.index.naive.shape, |index| {
            c.x.naive.at(&moved(index, c.axis, c.index.naive.at(index)))
        });
        check(&c.x.tensor.gather(axis, &c.index.tensor), &expected);
    }
}

law! {
    /// `scatter_add` adds where the index points, in logical order: the same bits as a loop.
    [f32 f64 i64]
    fn scatter_add_adds(c in gathering(T::tame())) {
        let expected = added(&c.x.naive, &c.source.naive, |index| moved(index, c.axis, c.index.naive.at(index)));
        check(&c.x.tensor.scatter_add(c.axis as isize, &c.index.tensor, &c.source.tensor), &expected);
        check(&c.x.tensor, &c.x.naive);
    }
}

law! {
    /// `index_select` takes whole slices.
    [f32 i64 bool]
    fn index_select_takes_slices(c in selecting(T::any())) {
        let expected = Naive::build(&c.source.naive.shape, |index| {
            c.x.naive.at(&moved(index, c.axis, c.index.naive.at(&[index[c.axis]])))
        });
        check(&c.x.tensor.index_select(c.axis as isize, &c.index.tensor), &expected);
    }
}

law! {
    /// `index_add` adds whole slices, in order.
    [f32 f64 i64]
    fn index_add_adds_slices(c in selecting(T::tame())) {
        let target = |index: &[usize]| moved(index, c.axis, c.index.naive.at(&[index[c.axis]]));
        let expected = added(&c.x.naive, &c.source.naive, target);
        check(&c.x.tensor.index_add(c.axis as isize, &c.index.tensor, &c.source.tensor), &expected);
        check(&c.x.tensor, &c.x.naive);
    }
}

proptest! {
    /// Reading and adding are adjoint: <gather(x), u> = <x, scatter_add(0, u)>, exact for integers.
    #[test]
    fn gather_and_scatter_add_are_adjoint(c in gathering(i64::tame())) {
        let axis = c.axis as isize;
        let zero = Tensor::<i64>::zeros(c.x.tensor.shape());
        let read = (c.x.tensor.gather(axis, &c.index.tensor) * &c.source.tensor).sum(..);
        let scattered = (&c.x.tensor * zero.scatter_add(axis, &c.index.tensor, &c.source.tensor)).sum(..);
        prop_assert_eq!(read, scattered);
    }

    /// So are taking and adding slices.
    #[test]
    fn index_select_and_index_add_are_adjoint(c in selecting(i64::tame())) {
        let axis = c.axis as isize;
        let zero = Tensor::<i64>::zeros(c.x.tensor.shape());
        let read = (c.x.tensor.index_select(axis, &c.index.tensor) * &c.source.tensor).sum(..);
        let added = (&c.x.tensor * zero.index_add(axis, &c.index.tensor, &c.source.tensor)).sum(..);
        prop_assert_eq!(read, added);
    }

    /// Selecting a list of slices is gathering with the list repeated over the other axes.
    #[test]
    fn index_select_is_a_gather(c in selecting(i64::any())) {
        let mut column = vec![1; c.x.tensor.rank()];
        column[c.axis] = c.index.tensor.len();
        let repeated = c.index.tensor.reshape(column).expand(c.source.tensor.shape());
        prop_assert_eq!(
            c.x.tensor.index_select(c.axis as isize, &c.index.tensor),
            c.x.tensor.gather(c.axis as isize, &repeated)
        );
    }
}

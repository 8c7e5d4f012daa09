//! A naive model of tensors, and strategies for shapes, values and layouts.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gradus_tensor::{Element, InstructionSet, Slice, Tensor, num_threads, set_num_threads};
use proptest::prelude::*;

/// What a tensor should be: its elements in logical order, found by counting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Naive<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<T>,
}

/// All indices of a shape, the last axis running fastest.
pub(crate) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &size in shape {
        all = all.iter().flat_map(|index| (0..size).map(|i| [&index[..], &[i]].concat())).collect();
    }
    all
}

impl<T: Copy> Naive<T> {
    /// Each element from its index.
    pub(crate) fn build(shape: &[usize], element: impl FnMut(&[usize]) -> T) -> Self {
        let mut element = element;
        Self { shape: shape.to_vec(), data: indices(shape).iter().map(|index| element(index)).collect() }
    }

    pub(crate) fn at(&self, index: &[usize]) -> T {
        assert_eq!(index.len(), self.shape.len());
        let mut position = 0;
        for (&i, &size) in index.iter().zip(&self.shape) {
            assert!(i < size);
            position = position * size + i;
        }
        self.data[position]
    }

    pub(crate) fn map<U: Copy>(&self, f: impl Fn(T) -> U) -> Naive<U> {
        Naive { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    /// The element that broadcasting puts at `index` of a larger shape.
    pub(crate) fn broadcast_at(&self, index: &[usize]) -> T {
        let tail = &index[index.len() - self.shape.len()..];
        let own: Vec<usize> =
            tail.iter().zip(&self.shape).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect();
        self.at(&own)
    }

    pub(crate) fn broadcast_to(&self, shape: &[usize]) -> Self {
        Self::build(shape, |index| self.broadcast_at(index))
    }

    /// `f` on the elements of two models broadcast to one shape.
    pub(crate) fn zip<U: Copy, V: Copy>(&self, other: &Naive<U>, f: impl Fn(T, U) -> V) -> Naive<V> {
        let shape = common_shape(&self.shape, &other.shape).expect("the shapes broadcast");
        Naive::build(&shape, |index| f(self.broadcast_at(index), other.broadcast_at(index)))
    }
}

impl<T: Element> Naive<T> {
    /// The contiguous tensor.
    pub(crate) fn tensor(&self) -> Tensor<T> {
        Tensor::from_vec(self.data.clone(), &self.shape).unwrap()
    }
}

/// The shape that two shapes broadcast to, straight from the rule.
pub(crate) fn common_shape(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    let pad = |shape: &[usize]| [&vec![1; rank - shape.len()][..], shape].concat();
    let pair = |(a, b)| match (a, b) {
        (1, size) | (size, 1) => Some(size),
        _ => (a == b).then_some(a),
    };
    pad(left).into_iter().zip(pad(right)).map(pair).collect()
}

/// An element type as the tests need it.
pub(crate) trait Value: Element {
    /// What lies in the gaps of a buffer, where nobody may look.
    const FILLER: Self;
    /// A number that differs wherever the value does; the same for every NaN.
    fn bits(self) -> u64;
    /// Ordinary and special values, with many repetitions.
    fn any() -> BoxedStrategy<Self>;
    /// Values that arithmetic on a few hundred of them leaves in range.
    fn tame() -> BoxedStrategy<Self>;
}

macro_rules! float_value {
    ($($type:ident)*) => {$(
        impl Value for $type {
            const FILLER: Self = $type::NAN;
            fn bits(self) -> u64 {
                if self.is_nan() { u64::MAX } else { self.to_bits().into() }
            }
            fn any() -> BoxedStrategy<Self> {
                prop_oneof![
                    6 => (-4..=4_i8).prop_map(Self::from),
                    6 => -10.0..10.0 as Self,
                    1 => prop::sample::select(vec![
                        -0.0, 1e-30, -1e-30, 1e30, $type::MIN_POSITIVE, $type::EPSILON, $type::MAX,
                        $type::INFINITY, -$type::INFINITY, $type::NAN,
                    ]),
                ]
                .boxed()
            }
            fn tame() -> BoxedStrategy<Self> {
                (-10.0..10.0 as Self).boxed()
            }
        }
    )*};
}
float_value!(f32 f64);

impl Value for i64 {
    const FILLER: Self = i64::MIN;
    fn bits(self) -> u64 {
        self as u64
    }
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![8 => -4..=4_i64, 4 => -1000..1000_i64, 1 => (i64::MIN + 1)..i64::MAX].boxed()
    }
    fn tame() -> BoxedStrategy<Self> {
        (-1000..1000_i64).boxed()
    }
}

impl Value for bool {
    const FILLER: Self = true;
    fn bits(self) -> u64 {
        self.into()
    }
    fn any() -> BoxedStrategy<Self> {
        any::<bool>().boxed()
    }
    fn tame() -> BoxedStrategy<Self> {
        any::<bool>().boxed()
    }
}

/// Fails unless the tensor has the model's shape and, bit by bit, its elements.
#[track_caller]
pub(crate) fn check<T: Value>(tensor: &Tensor<T>, expected: &Naive<T>) {
    assert_eq!(tensor.shape(), expected.shape, "shape");
    let bits = |data: Vec<T>| data.into_iter().map(Value::bits).collect::<Vec<_>>();
    let same = bits(tensor.to_vec()) == bits(expected.data.clone());
    assert!(same, "elements: {:?} instead of {:?}", tensor.to_vec(), expected.data);
}

/// A tensor in some layout, and its model.
#[derive(Debug, Clone)]
pub(crate) struct Laid<T: Element> {
    pub(crate) tensor: Tensor<T>,
    pub(crate) naive: Naive<T>,
}

/// How one axis lies in the buffer.
#[derive(Debug, Clone)]
struct AxisLayout {
    step: isize,
    before: usize,
    after: usize,
    expanded: bool,
}

fn axis_layout() -> impl Strategy<Value = AxisLayout> {
    let step = prop_oneof![4 => Just(1), 2 => Just(-1), 1 => Just(2), 1 => Just(-3)];
    let gap = || prop_oneof![2 => Just(0), 1 => 1..3_usize];
    (step, gap(), gap(), prop::bool::weighted(0.15)).prop_map(|(step, before, after, expanded)| AxisLayout {
        step,
        before,
        after,
        expanded,
    })
}

/// Sizes biased towards 0, 1 and small ones that do not divide each other.
pub(crate) fn size() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0_usize), 3 => Just(1), 3 => Just(2), 3 => Just(3), 1 => Just(4), 2 => Just(5)]
}

/// Shapes of a rank in the range; often all sizes are equal.
pub(crate) fn shape(rank: RangeInclusive<usize>) -> impl Strategy<Value = Vec<usize>> {
    (prop::collection::vec(size(), rank), prop::bool::weighted(0.2)).prop_map(|(mut shape, equal)| {
        if equal {
            let first = shape.first().copied().unwrap_or(1);
            shape.fill(first);
        }
        shape
    })
}

/// Shapes without a 0.
pub(crate) fn full_shape(rank: RangeInclusive<usize>) -> impl Strategy<Value = Vec<usize>> {
    shape(rank).prop_map(|shape| shape.into_iter().map(|size| size.max(1)).collect())
}

/// The smallest buffer that holds `data` (of `shape`, 1 where an axis is expanded) as the layouts say.
fn realise<T: Value>(logical: &Naive<T>, axes: &[AxisLayout], order: &[usize]) -> Tensor<T> {
    let kept = |axis: usize| if axes[axis].expanded { 1 } else { logical.shape[axis] };
    let extent = |axis: usize| match kept(axis) {
        0 => axes[axis].before + axes[axis].after,
        size => axes[axis].before + (size - 1) * axes[axis].step.unsigned_abs() + 1 + axes[axis].after,
    };
    // Where index `i` of an axis lies in the axis of the buffer.
    let place = |axis: usize, i: usize| {
        let from_start = if axes[axis].step > 0 { i } else { kept(axis) - 1 - i };
        axes[axis].before + from_start * axes[axis].step.unsigned_abs()
    };
    let sizes: Vec<usize> = order.iter().map(|&axis| extent(axis)).collect();
    let mut buffer = Naive::build(&sizes, |_| T::FILLER);
    for index in indices(&(0..axes.len()).map(kept).collect::<Vec<_>>()) {
        let position = order.iter().fold(0, |sum, &axis| sum * extent(axis) + place(axis, index[axis]));
        buffer.data[position] = logical.at(&index);
    }
    let back: Vec<usize> =
        (0..order.len()).map(|axis| order.iter().position(|&o| o == axis).unwrap()).collect();
    let mut tensor = buffer.tensor().permute(back);
    for (axis, layout) in axes.iter().enumerate().filter(|&(axis, _)| kept(axis) > 0) {
        let (first, last) = (place(axis, 0) as isize, place(axis, kept(axis) - 1) as isize);
        let stop = last + layout.step.signum();
        let slice = Slice::new(Some(first), (stop >= 0).then_some(stop), layout.step);
        tensor = tensor.slice(axis as isize, slice);
    }
    for (axis, layout) in axes.iter().enumerate().filter(|&(axis, _)| kept(axis) == 0) {
        tensor = tensor.slice(axis as isize, layout.before..layout.before);
    }
    tensor.expand(&logical.shape)
}

/// A tensor of the shape with elements from a strategy, in any layout: contiguous, permuted, sliced out of
/// a larger buffer whose gaps hold `T::FILLER`, stepped, reversed, expanded.
pub(crate) fn laid_of<T: Value>(shape: &[usize], element: &BoxedStrategy<T>) -> BoxedStrategy<Laid<T>> {
    let count = shape.iter().product::<usize>();
    let data = prop::collection::vec(element.clone(), count);
    let axes = prop::collection::vec(axis_layout(), shape.len());
    let order = Just((0..shape.len()).collect::<Vec<_>>()).prop_shuffle();
    let shape = shape.to_vec();
    (data, axes, order, prop::bool::weighted(0.25))
        .prop_map(move |(data, axes, order, contiguous)| {
            let mut naive = Naive { shape: shape.clone(), data };
            if contiguous {
                return Laid { tensor: naive.tensor(), naive };
            }
            // Along an expanded axis, all elements are the first one.
            let source = naive.clone();
            naive = Naive::build(&shape, |index| {
                let first = |(axis, &i): (usize, &usize)| if axes[axis].expanded { 0 } else { i };
                source.at(&index.iter().enumerate().map(first).collect::<Vec<_>>())
            });
            // An empty axis cannot be repeated from one element.
            let mut axes = axes;
            for (axis, layout) in axes.iter_mut().enumerate() {
                layout.expanded &= !naive.shape.contains(&0) || naive.shape[axis] == 1;
            }
            Laid { tensor: realise(&naive, &axes, &order), naive }
        })
        .boxed()
}

/// Any shape of a rank in the range, any values, any layout.
pub(crate) fn laid<T: Value>(rank: RangeInclusive<usize>) -> impl Strategy<Value = Laid<T>> {
    shape(rank).prop_flat_map(|shape| laid_of(&shape, &T::any()))
}

/// Like [`laid`], with values for arithmetic.
pub(crate) fn laid_tame<T: Value>(rank: RangeInclusive<usize>) -> impl Strategy<Value = Laid<T>> {
    shape(rank).prop_flat_map(|shape| laid_of(&shape, &T::tame()))
}

/// Two shapes of at most this rank that broadcast to one.
pub(crate) fn broadcasting_shapes(rank: usize) -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let role = || prop::collection::vec(0..4_u8, 4);
    (shape(0..=rank), role(), 0..=rank, any::<bool>()).prop_map(|(shape, roles, dropped, left_shorter)| {
        let side = |one: u8| -> Vec<usize> {
            shape.iter().zip(&roles).map(|(&size, &role)| if role == one { 1 } else { size }).collect()
        };
        let (left, mut right) = (side(0), side(1));
        right.drain(..dropped.min(shape.len()));
        if left_shorter { (right, left) } else { (left, right) }
    })
}

/// Two tensors whose shapes broadcast, in any layouts.
pub(crate) fn laid_pair<T: Value>(element: BoxedStrategy<T>) -> impl Strategy<Value = (Laid<T>, Laid<T>)> {
    broadcasting_shapes(4)
        .prop_flat_map(move |(left, right)| (laid_of(&left, &element), laid_of(&right, &element)))
}

/// The number of threads and the instructions are settings of the whole process. Whoever compares them holds
/// this meanwhile; when it goes, they are as before.
pub(crate) struct Settings {
    before: (InstructionSet, usize),
    _lock: MutexGuard<'static, ()>,
}

pub(crate) fn settings() -> Settings {
    static LOCK: Mutex<()> = Mutex::new(());
    // A test that has failed leaves nothing behind.
    let lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    Settings { before: (InstructionSet::current(), num_threads()), _lock: lock }
}

impl Drop for Settings {
    fn drop(&mut self) {
        self.before.0.select();
        set_num_threads(self.before.1);
    }
}

/// All elements as they lie in memory, NaN made one.
pub(crate) fn bits<T: Value>(x: &Tensor<T>) -> Vec<u64> {
    x.iter().map(Value::bits).collect()
}

/// One property for several element types, `T` in its text.
macro_rules! law {
    ($(#[$doc:meta])* [$($type:ident)+] fn $name:ident $arguments:tt $body:tt) => {
        $(#[$doc])*
        mod $name {
            $(#[allow(clippy::useless_conversion, reason = "one text for several types")]
            #[allow(clippy::bool_comparison, reason = "one text for several types")]
            #[allow(clippy::eq_op, reason = "one text for several types")]
            #[allow(clippy::unnecessary_cast, reason = "one text for several types")]
            #[allow(clippy::cast_lossless, reason = "one text for several types")]
            mod $type {
                use super::super::*;
                type T = $type;
                proptest! {
                    #[test]
                    fn holds $arguments $body
                }
            })+
        }
    };
}
pub(crate) use law;

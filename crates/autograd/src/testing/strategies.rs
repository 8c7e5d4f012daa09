//! Random shapes, attributes and tensors, biased to what breaks gradients: sizes 0 and 1, equal sizes and
//! sizes that do not divide each other.

use std::ops::{Range, RangeInclusive};

use gradus_tensor::{Axes, Conv, Pool, Slice, Subscript, Subscripts, Tensor, keepdim};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Random shapes: the number of axes from `rank`, their sizes from `sizes`.
pub fn shapes(
    rank: RangeInclusive<usize>,
    sizes: RangeInclusive<usize>,
) -> impl Strategy<Value = Vec<usize>> + Clone {
    // Size 0 leaves nothing to check, so it is rare; 1 broadcasts, so it is not.
    let size = {
        let sizes = sizes.clone();
        prop_oneof![
            1 => Just(0),
            3 => Just(1),
            8 => sizes.clone(),
        ]
        .prop_map(move |size| size.clamp(*sizes.start(), *sizes.end()))
    };
    rank.prop_flat_map(move |rank| {
        let equal = size.clone().prop_map(move |size| vec![size; rank]);
        prop_oneof![4 => vec(size.clone(), rank), 1 => equal]
    })
}

/// Random tensors: their shape from `shapes`, their elements from a range.
pub fn tensors(
    shapes: impl Strategy<Value = Vec<usize>>,
    range: Range<f64>,
) -> impl Strategy<Value = Tensor<f64>> {
    shapes.prop_flat_map(move |shape| {
        let count: usize = shape.iter().product();
        vec(range.clone(), count).prop_map(move |data| Tensor::from(data).reshape(shape.as_slice()))
    })
}

/// Two shapes that broadcast.
pub fn broadcast_pair() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> + Clone {
    let operand = |shape: &Vec<usize>, ones: Vec<bool>, dropped: usize| {
        let size = |(&size, one): (&usize, bool)| if one { 1 } else { size };
        shape.iter().zip(ones).map(size).skip(dropped).collect::<Vec<usize>>()
    };
    (shapes(0..=3, 0..=4), vec(prop::bool::weighted(0.3), 6), 0..=3_usize, any::<bool>()).prop_map(
        move |(shape, ones, dropped, swap)| {
            let left = operand(&shape, ones[..3].to_vec(), 0);
            let right = operand(&shape, ones[3..].to_vec(), dropped.min(shape.len()));
            if swap { (right, left) } else { (left, right) }
        },
    )
}

/// A shape whose sizes are at least `smallest`, and any set of its axes, kept or not.
pub fn reductions(smallest: usize) -> impl Strategy<Value = (Vec<usize>, Axes)> + Clone {
    shapes(0..=4, smallest..=4).prop_flat_map(|shape| {
        let axes = subsequence((0..shape.len()).collect::<Vec<_>>(), 0..=shape.len());
        let axes = prop_oneof![1 => Just(Axes::from(..)), 3 => axes.prop_map(Axes::from)];
        let axes = (axes, any::<bool>()).prop_map(|(axes, keep)| if keep { keepdim(axes) } else { axes });
        (Just(shape), axes)
    })
}

/// A shape whose sizes are at least `smallest`, and one of its axes, counted from either end.
pub fn axes_of(smallest: usize) -> impl Strategy<Value = (Vec<usize>, isize)> + Clone {
    shapes(1..=4, smallest..=4).prop_flat_map(|shape| {
        let rank = shape.len() as isize;
        (Just(shape), -rank..rank)
    })
}

/// A shape and its axes in any order.
pub fn permutations() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> + Clone {
    shapes(0..=4, 0..=4).prop_flat_map(|shape| {
        let axes = Just((0..shape.len()).collect::<Vec<_>>()).prop_shuffle();
        (Just(shape), axes)
    })
}

/// Two shapes with the same number of elements.
pub fn reshapes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> + Clone {
    shapes(0..=4, 0..=4).prop_flat_map(|shape| {
        let count = shape.iter().product();
        let merged = match &shape[..] {
            [first, second, rest @ ..] => [&[first * second], rest].concat(),
            _ => shape.clone(),
        };
        let shuffled = Just([&shape[..], &[1]].concat()).prop_shuffle();
        let to = prop_oneof![Just(vec![count]), Just(merged), shuffled];
        (Just(shape), to)
    })
}

/// A shape, one of its axes, and a slice of it: any bounds, any step but 0.
pub fn slices() -> impl Strategy<Value = (Vec<usize>, isize, Slice)> + Clone {
    let bound = || prop::option::of(-5..=5_isize);
    let slice = (bound(), bound(), select(vec![1, 2, 3, -1, -2]));
    (axes_of(0), slice)
        .prop_map(|((shape, axis), (start, stop, step))| (shape, axis, Slice::new(start, stop, step)))
}

/// A shape whose sizes are at least 1, and subscripts that fit it: indices, slices, new axes, perhaps an ellipsis.
pub fn subscripts() -> impl Strategy<Value = (Vec<usize>, Subscripts)> + Clone {
    let slice = slices().prop_map(|(_, _, slice)| slice);
    let axis = (any::<prop::sample::Index>(), slice, 0..6_u8);
    (shapes(0..=4, 1..=4), vec(axis, 4), 0..=4_usize, any::<bool>(), vec(0..=6_usize, 0..=2)).prop_map(
        |(shape, choices, named, ellipsis, new)| {
            let named = named.min(shape.len());
            let subscript = |(&size, (index, slice, kind)): (&usize, &(prop::sample::Index, Slice, u8))| {
                let index = index.index(size) as isize;
                match kind {
                    0 => Subscript::At(index),
                    1 => Subscript::At(index - size as isize),
                    2 => Subscript::from(..),
                    _ => Subscript::Slice(*slice),
                }
            };
            // An ellipsis after the first axes leaves the last ones to the others.
            let front = if ellipsis { named / 2 } else { named };
            let back = shape.len() - (named - front);
            let chosen: Vec<Subscript> = shape.iter().zip(&choices).map(subscript).collect();
            let dots = ellipsis.then_some(Subscript::Ellipsis);
            let mut list: Vec<Subscript> =
                chosen[..front].iter().copied().chain(dots).chain(chosen[back..].iter().copied()).collect();
            for place in new {
                list.insert(place.min(list.len()), Subscript::NewAxis);
            }
            (shape, list.into())
        },
    )
}

/// Two shapes that differ at most in one axis, and that axis.
pub fn joinable() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, isize)> + Clone {
    (axes_of(0), 0..=4_usize).prop_map(|((shape, axis), size)| {
        let mut other = shape.clone();
        other[axis.rem_euclid(shape.len() as isize) as usize] = size;
        (shape, other, axis)
    })
}

/// The shapes of two operands of a matrix product: vectors, matrices or stacks of them.
pub fn matrix_pair() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> + Clone {
    let size = || prop_oneof![1 => Just(0), 2 => Just(1), 8 => 2..=4_usize];
    let matrices = (broadcast_pair(), size(), size(), size())
        .prop_map(|((left, right), m, k, n)| ([&left[..], &[m, k]].concat(), [&right[..], &[k, n]].concat()));
    (matrices, any::<[bool; 2]>(), prop::bool::weighted(0.3)).prop_map(
        |((left, right), [row, column], vector)| {
            let (k, last) = (left[left.len() - 1..].to_vec(), left.len() - 1);
            match (vector && row, vector && column) {
                (true, true) => (k.clone(), k),
                (true, false) => (left[last..].to_vec(), right),
                (false, true) => (left, k),
                (false, false) => (left, right),
            }
        },
    )
}

/// A shape, one of its axes, and an index for `gather`: of the same rank and nowhere larger, except along
/// the axis.
pub fn gathers() -> impl Strategy<Value = (Vec<usize>, isize, Tensor<i64>)> + Clone {
    let cuts = vec(0..=2_usize, 4);
    (axes_of(1), cuts, 0..=4_usize, any::<u64>()).prop_map(|((shape, axis), cuts, length, seed)| {
        let along = axis.rem_euclid(shape.len() as isize) as usize;
        let mut index: Vec<usize> =
            shape.iter().zip(cuts).map(|(size, cut)| size.saturating_sub(cut)).collect();
        index[along] = length;
        let indices = random_indices(&index, shape[along], seed);
        (shape, axis, indices)
    })
}

/// A shape, one of its axes, and an index for `index_select`.
pub fn index_selects() -> impl Strategy<Value = (Vec<usize>, isize, Tensor<i64>)> + Clone {
    (shapes(1..=4, 1..=4), any::<prop::sample::Index>(), 0..=4_usize, any::<u64>()).prop_map(
        |(shape, axis, length, seed)| {
            let axis = axis.index(shape.len());
            let indices = random_indices(&[length], shape[axis], seed);
            (shape, axis as isize, indices)
        },
    )
}

fn random_indices(shape: &[usize], below: usize, seed: u64) -> Tensor<i64> {
    (Tensor::<f64>::rand(shape, &mut gradus_tensor::seeded(seed)) * below as f64).cast()
}

/// The attributes of a convolution, and shapes of input, weight and output that fit.
#[derive(Debug, Clone)]
pub struct Convolution {
    /// The attributes.
    pub conv: Conv,
    /// `[batch, channels, ...]`.
    pub x: Vec<usize>,
    /// `[out_channels, channels / groups, ...]`.
    pub weight: Vec<usize>,
    /// `[batch, out_channels, ...]`.
    pub y: Vec<usize>,
}

/// Convolutions along a number of axes; their transposes are possible, too.
pub fn convolutions(axes: usize) -> impl Strategy<Value = Convolution> + Clone {
    // Kernel, stride, dilation, padding, output padding and more places than one window.
    let axis = (1..=3_usize, 1..=3_usize, 1..=3_usize, 0..=2_usize, 0..=2_usize, 0..=3_usize);
    let channels = (prop_oneof![1 => Just(0_usize), 8 => 1..=2_usize], 1..=2_usize, 1..=2_usize, 1..=2_usize);
    (channels, vec(axis, axes)).prop_map(|((batch, groups, inputs, outputs), axes)| {
        let mut problem = Convolution {
            conv: Conv::new(),
            x: vec![batch, groups * inputs],
            weight: vec![groups * outputs, inputs],
            y: vec![batch, groups * outputs],
        };
        let (mut strides, mut dilations, mut paddings, mut extras) = (vec![], vec![], vec![], vec![]);
        for (kernel, stride, dilation, padding, extra, more) in axes {
            let span = dilation * (kernel - 1) + 1;
            // The transposed convolution of even one place leaves something.
            let padding = padding.min((span - 1) / 2);
            let size = span.saturating_sub(2 * padding) + more;
            problem.x.push(size);
            problem.weight.push(kernel);
            problem.y.push((size + 2 * padding - span) / stride + 1);
            strides.push(stride);
            dilations.push(dilation);
            paddings.push(padding);
            extras.push(extra.min(stride.max(dilation) - 1));
        }
        problem.conv = problem
            .conv
            .stride(strides)
            .dilation(dilations)
            .padding(paddings)
            .output_padding(extras)
            .groups(groups);
        problem
    })
}

/// A shape and a pooling over a number of its last axes, with dilations up to `dilation`.
pub fn poolings(axes: usize, dilation: usize) -> impl Strategy<Value = (Vec<usize>, Pool)> + Clone {
    // Kernel, stride, dilation, padding and more places than one window.
    let axis = (1..=3_usize, 1..=3_usize, 1..=dilation, 0..=1_usize, 0..=4_usize);
    let front = prop_oneof![Just(vec![2]), Just(vec![2, 1]), Just(vec![0, 2]), Just(vec![1, 3])];
    (front, vec(axis, axes), any::<[bool; 3]>()).prop_map(|(mut shape, axes, [beside, ceil, count])| {
        let (mut kernels, mut strides, mut dilations, mut paddings) = (vec![], vec![], vec![], vec![]);
        for (kernel, stride, dilation, padding, more) in axes {
            let padding = padding.min(kernel / 2);
            // No window may see padding alone: the largest of that is -inf.
            shape.push((dilation * (kernel - 1) + 1).saturating_sub(2 * padding).max(dilation) + more);
            kernels.push(kernel);
            strides.push(stride);
            dilations.push(dilation);
            paddings.push(padding);
        }
        let pool = Pool::new(kernels).dilation(dilations).padding(paddings).ceil_mode(ceil);
        let pool = pool.count_include_pad(count);
        (shape, if beside { pool } else { pool.stride(strides) })
    })
}

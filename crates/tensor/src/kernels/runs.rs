//! Several layouts of one shape, walked side by side.

use smallvec::SmallVec;

use crate::layout::Layout;

/// One axis after merging: its size and each operand's stride.
#[derive(Clone, Copy)]
struct Axis<const N: usize> {
    size: usize,
    strides: [isize; N],
}

/// Drops axes of size 1 and merges neighbours that every operand walks as one.
fn coalesce<const N: usize>(shape: &[usize], layouts: [&Layout; N]) -> SmallVec<[Axis<N>; 4]> {
    let mut axes: SmallVec<[Axis<N>; 4]> = SmallVec::new();
    for (i, &size) in shape.iter().enumerate().filter(|(_, size)| **size != 1) {
        let strides = layouts.map(|layout| layout.strides[i]);
        match axes.last_mut() {
            Some(outer) if (0..N).all(|k| outer.strides[k] == strides[k] * size as isize) => {
                *outer = Axis { size: outer.size * size, strides };
            }
            _ => axes.push(Axis { size, strides }),
        }
    }
    axes
}

/// Calls `run(starts, length, strides)` for consecutive stretches of the common shape, in logical order:
/// operand `k`'s elements lie at `starts[k] + i * strides[k]` for `i` below `length`.
pub(crate) fn for_each_run<const N: usize>(
    shape: &[usize],
    layouts: [&Layout; N],
    mut run: impl FnMut([usize; N], usize, [isize; N]),
) {
    if shape.contains(&0) {
        return;
    }
    let mut axes = coalesce(shape, layouts);
    let inner = axes.pop().unwrap_or(Axis { size: 1, strides: [1; N] });
    let mut starts = layouts.map(|layout| layout.offset);
    let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, axes.len());
    'next: loop {
        run(starts, inner.size, inner.strides);
        for (i, axis) in axes.iter().enumerate().rev() {
            index[i] += 1;
            let carry = index[i] == axis.size;
            let steps = if carry { 1 - axis.size as isize } else { 1 };
            for (start, stride) in starts.iter_mut().zip(axis.strides) {
                *start = start.wrapping_add_signed(steps * stride);
            }
            if !carry {
                continue 'next;
            }
            index[i] = 0;
        }
        return;
    }
}

//! The places of the elements of a tensor in its buffer.

use std::ops::Range;

use smallvec::SmallVec;

use crate::shape::Shape;
use crate::slice::Slice;

/// Steps in the buffer from one element to the next, per axis; negative for reversed, 0 for repeated.
pub(crate) type Strides = SmallVec<[isize; 4]>;

/// The element at `[i0, i1, ...]` lies at `offset + i0 * strides[0] + i1 * strides[1] + ...`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    pub(crate) strides: Strides,
    pub(crate) offset: usize,
}

/// Elements seen through a layout, as a kernel reads them.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a, T> {
    /// The whole buffer, of which the layout may use a part.
    pub(crate) data: &'a [T],
    pub(crate) layout: &'a Layout,
}

impl<'a, T> Strided<'a, T> {
    pub(crate) fn shape(&self) -> &'a [usize] {
        &self.layout.shape
    }

    /// The elements in logical order, if they are neighbours in memory.
    #[inline]
    pub(crate) fn as_slice(&self) -> Option<&'a [T]> {
        self.layout.neighbours().map(|places| &self.data[places])
    }
}

impl<'a, T> Strided<'a, T> {
    /// The elements in logical order, if this is their shape and they are neighbours in memory.
    #[inline]
    pub(crate) fn slice_of(&self, shape: &[usize]) -> Option<&'a [T]> {
        if same(self.shape(), shape) { self.as_slice() } else { None }
    }
}

/// Whether two lists are equal that are nearly always short: `==` would call `memcmp`.
#[inline]
pub(crate) fn same<N: PartialEq>(a: &[N], b: &[N]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

impl Clone for Layout {
    fn clone(&self) -> Self {
        let (shape, strides) = match (&self.shape[..], &self.strides[..]) {
            // The usual ranks, with one look at both lists.
            (&[a], &[s]) => {
                (Shape::from_buf_and_len([a, 0, 0, 0], 1), Strides::from_buf_and_len([s, 0, 0, 0], 1))
            }
            (&[a, b], &[s, t]) => {
                (Shape::from_buf_and_len([a, b, 0, 0], 2), Strides::from_buf_and_len([s, t, 0, 0], 2))
            }
            (shape, strides) => (copied(shape), copied(strides)),
        };
        Self { shape, strides, offset: self.offset }
    }
}

/// A copy of a list that is nearly always short: in registers, where `SmallVec::from_slice` would call `memcpy`.
#[inline]
pub fn copied<T: Copy + Default>(list: &[T]) -> SmallVec<[T; 4]> {
    let zero = T::default();
    match *list {
        [] => SmallVec::new(),
        [a] => SmallVec::from_buf_and_len([a, zero, zero, zero], 1),
        [a, b] => SmallVec::from_buf_and_len([a, b, zero, zero], 2),
        [a, b, c] => SmallVec::from_buf_and_len([a, b, c, zero], 3),
        [a, b, c, d] => SmallVec::from_buf_and_len([a, b, c, d], 4),
        _ => SmallVec::from_slice(list),
    }
}

/// Strides of a row-major buffer.
pub(crate) fn row_major(shape: &[usize]) -> Strides {
    let step = |size: usize| size.max(1) as isize;
    match *shape {
        // The usual ranks, without a loop.
        [] => return Strides::new(),
        [_] => return Strides::from_buf_and_len([1, 0, 0, 0], 1),
        [_, b] => return Strides::from_buf_and_len([step(b), 1, 0, 0], 2),
        _ => {}
    }
    let mut strides = Strides::from_elem(0, shape.len());
    let mut step = 1;
    for (stride, &size) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step *= size.max(1) as isize;
    }
    strides
}

/// The index of the element that is `number` in logical order.
#[doc(hidden)]
pub fn place_of(number: usize, shape: &[usize]) -> Shape {
    row_major(shape).iter().zip(shape).map(|(&stride, &size)| number / stride as usize % size).collect()
}

impl Layout {
    pub(crate) fn contiguous(shape: &[usize]) -> Self {
        Self { strides: row_major(shape), shape: copied(shape), offset: 0 }
    }

    #[inline]
    pub(crate) fn rank(&self) -> usize {
        self.shape.len()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The places of the elements in the buffer, if the elements in logical order are neighbours, first to last.
    ///
    /// A call, as many small operations look several times: inlined into generic functions, it is compiled in each.
    #[inline(never)]
    pub(crate) fn neighbours(&self) -> Option<Range<usize>> {
        let mut len = 1;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size != 1 && stride != len as isize {
                // Without elements, strides do not matter.
                return self.shape.contains(&0).then_some(0..0);
            }
            len *= size;
        }
        // The offset of an empty layout may lie beyond the buffer.
        let start = if len == 0 { 0 } else { self.offset };
        Some(start..start + len)
    }

    /// Whether another layout has the same shape and strides.
    #[inline]
    pub(crate) fn is_parallel_to(&self, other: &Self) -> bool {
        self.has(&other.shape, &other.strides)
    }

    /// Whether these are the shape and the strides.
    #[inline]
    pub(crate) fn has(&self, shape: &[usize], strides: &[isize]) -> bool {
        match (&self.shape[..], &self.strides[..], shape, strides) {
            // The usual ranks, without a loop.
            (&[a], &[s], &[b], &[t]) => a == b && s == t,
            (&[a, b], &[s, t], &[c, d], &[u, v]) => a == c && b == d && s == u && t == v,
            (shape, strides, others, steps) => same(shape, others) && same(strides, steps),
        }
    }

    /// The number of elements, if another layout has the same shape and order of elements, and neither has gaps: in
    /// row-major or, of a matrix, column-major order. It may give `None` where axes of size 1 have odd strides.
    #[inline]
    pub(crate) fn dense_len_as(&self, other: &Self) -> Option<usize> {
        match (&self.shape[..], &self.strides[..], &other.shape[..], &other.strides[..]) {
            (&[size], &[1], &[others], &[1]) => (size == others).then_some(size),
            (&[rows, columns], &[row, column], &[others, of_others], &[next, step]) => {
                let is_same = rows == others && columns == of_others && row == next && column == step;
                let is_dense = column == 1 && row == columns as isize || row == 1 && column == rows as isize;
                (is_same && is_dense).then_some(rows * columns)
            }
            _ => {
                let is_dense =
                    same(&self.shape, &other.shape) && self.is_contiguous() && other.is_contiguous();
                is_dense.then(|| self.len())
            }
        }
    }

    /// Whether the elements in logical order are neighbours in the buffer, first to last.
    #[inline]
    pub(crate) fn is_contiguous(&self) -> bool {
        self.neighbours().is_some()
    }

    /// Whether this is row-major, with the strides of a new tensor even along axes of size 1.
    #[inline]
    pub(crate) fn is_row_major(&self) -> bool {
        let mut step = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let is_step = stride == step;
            step *= size.max(1) as isize;
            is_step
        })
    }

    /// The order of axes in which the elements are neighbours, if in logical order they are not.
    pub(crate) fn memory_order(&self) -> Option<Shape> {
        if self.is_contiguous() {
            return None;
        }
        let mut order: Shape = (0..self.rank()).collect();
        order.sort_by_key(|&axis| std::cmp::Reverse(self.strides[axis]));
        self.permute(&order).is_contiguous().then_some(order)
    }

    /// The place in the buffer of the element at `index`, which must be within the shape.
    pub(crate) fn position(&self, index: &[usize]) -> usize {
        let steps: isize = index.iter().zip(&self.strides).map(|(&i, &stride)| i as isize * stride).sum();
        self.offset.wrapping_add_signed(steps)
    }

    pub(crate) fn permute(&self, axes: &[usize]) -> Self {
        Self {
            shape: axes.iter().map(|&axis| self.shape[axis]).collect(),
            strides: axes.iter().map(|&axis| self.strides[axis]).collect(),
            offset: self.offset,
        }
    }

    /// Two axes swapped.
    pub(crate) fn swap_axes(&self, a: usize, b: usize) -> Self {
        let mut layout = self.clone();
        layout.shape.swap(a, b);
        layout.strides.swap(a, b);
        layout
    }

    pub(crate) fn insert_axis(&self, axis: usize, size: usize, stride: isize) -> Self {
        let mut layout = self.clone();
        layout.shape.insert(axis, size);
        layout.strides.insert(axis, stride);
        layout
    }

    pub(crate) fn remove_axis(&self, axis: usize) -> Self {
        let mut layout = self.clone();
        layout.shape.remove(axis);
        layout.strides.remove(axis);
        layout
    }

    /// Repeats axes of size 1, and new axes in front, without a copy; this shape must broadcast to `shape`.
    pub(crate) fn expand(&self, shape: &[usize]) -> Self {
        let added = shape.len() - self.rank();
        let strides = (0..shape.len())
            .map(|i| match i.checked_sub(added) {
                Some(axis) if self.shape[axis] == shape[i] => self.strides[axis],
                _ => 0,
            })
            .collect();
        Self { shape: copied(shape), strides, offset: self.offset }
    }

    /// Every `step`-th index of one axis, within Python's clamped bounds.
    pub(crate) fn slice(&self, axis: usize, slice: Slice) -> Self {
        let (start, count) = slice.resolve(self.shape[axis]);
        let mut layout = self.clone();
        layout.shape[axis] = count;
        if count > 1 {
            // With fewer indices the stride is not used, and a step beyond the axis might overflow.
            layout.strides[axis] = self.strides[axis] * slice.step;
        }
        if count > 0 {
            layout.offset = self.offset.wrapping_add_signed(start as isize * self.strides[axis]);
        }
        layout
    }

    /// The same elements in the same order under another shape, if strides can express it.
    pub(crate) fn reshape(&self, shape: &[usize]) -> Option<Self> {
        if self.is_contiguous() {
            return Some(Self { offset: self.offset, ..Self::contiguous(shape) });
        }
        // Axes of size 1 do not matter; the others form blocks that are merged or split as one.
        let old: SmallVec<[(usize, isize); 4]> = self
            .shape
            .iter()
            .zip(&self.strides)
            .filter(|(size, _)| **size != 1)
            .map(|(&size, &stride)| (size, stride))
            .collect();
        let mut strides = Strides::from_elem(0, shape.len());
        let (mut from, mut to) = (old.len(), shape.len());
        while from > 0 {
            let (mut size, stride) = old[from - 1];
            from -= 1;
            let (mut new_size, mut step) = (1, stride);
            while to > 0 && (new_size < size || shape[to - 1] == 1) {
                to -= 1;
                strides[to] = step;
                step *= shape[to] as isize;
                new_size *= shape[to];
                while new_size > size && from > 0 && old[from - 1].1 == size as isize * stride {
                    from -= 1;
                    size *= old[from].0;
                }
            }
            if new_size != size {
                return None;
            }
        }
        Some(Self { shape: copied(shape), strides, offset: self.offset })
    }
}

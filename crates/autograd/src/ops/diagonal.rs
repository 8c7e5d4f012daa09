//! Diagonals and triangles of matrices.

use gradus_tensor::shapes::{diag_shape, diagonal_shape, trace_shape, triangle_shape};
use gradus_tensor::{Dims, Float, OrPanic, Shape, Tensor};

use super::index::{add_at, zeros};
use super::operations::operations;
use super::view::inverse;
use crate::tape::{Var, apply};

operations! {
    Linear Diagonal { offset: isize, axes: [usize; 2] }: "diagonal",
        shape |x| diagonal_shape(x[0], *offset, axes[0] as isize, axes[1] as isize),
        forward |x| x[0].diagonal(*offset, axes[0] as isize, axes[1] as isize),
        vjp |context, _| {
            // The cotangent is added where it was taken from, in matrices that lie along one last axis.
            let shape = context.shape(0);
            let order: Shape = (0..shape.len()).filter(|axis| !axes.contains(axis)).chain(*axes).collect();
            let turned: Shape = order.iter().map(|&axis| shape[axis]).collect();
            let (outer, matrix) = turned.split_at(shape.len() - 2);
            let flat = [outer, &[matrix[0] * matrix[1]]].concat();
            let so_far = context.gradient_so_far(0).permute(order.clone()).reshape(flat);
            let places = places([matrix[0], matrix[1]], *offset);
            let sum = add_at(so_far, outer.len() as isize, &places.into(), context.cotangent());
            sum.reshape(turned).permute(inverse(&order))
        },
        batched |batch| batch.apply(Self { offset: *offset, axes: axes.map(|axis| axis + 1) });

    Linear Triangle { lower: bool, diagonal: isize }: if *lower { "tril" } else { "triu" },
        shape |x| triangle_shape(if *lower { "tril" } else { "triu" }, x[0]),
        forward |x| if *lower { x[0].tril(*diagonal) } else { x[0].triu(*diagonal) },
        vjp |context, _| {
            let g = context.cotangent();
            if *lower { g.tril(*diagonal) } else { g.triu(*diagonal) }
        },
        batched |batch| batch.apply(Self { lower: *lower, diagonal: *diagonal });
}

/// Where the elements of a diagonal lie in a matrix, counted row by row.
fn places([rows, columns]: [usize; 2], offset: isize) -> Tensor<i64> {
    let (down, right) = (offset.min(0).unsigned_abs(), offset.max(0).unsigned_abs());
    let count = rows.saturating_sub(down).min(columns.saturating_sub(right));
    // Beyond the matrix, where there are none, a start might overflow.
    let start = if count == 0 { 0 } else { down * columns + right };
    let step = columns as i64 + 1;
    Tensor::arange(start as i64, start as i64 + count as i64 * step, step)
}

impl<T: Float> Var<T> {
    /// The elements of two axes at `[i, i + offset]` as a last axis, in place of these two; see
    /// [`Tensor::diagonal`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let y = x.diagonal(0, 0, 1);
    /// assert_eq!(y.value(), &Tensor::from([1.0, 4.0]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([[1.0, 0.0], [0.0, 1.0]])));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range, or both are the same.
    #[track_caller]
    pub fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> Self {
        let axes = Dims::from([axis1, axis2]).resolve("diagonal", self.shape()).or_panic();
        apply(Diagonal { offset, axes: [axes[0], axes[1]] }, &[self])
    }

    /// A square matrix with these elements on a diagonal and zeros elsewhere; of a matrix, that diagonal.
    ///
    /// See [`Tensor::diag`](gradus_tensor::Tensor::diag) for shapes and panics.
    #[track_caller]
    pub fn diag(&self, diagonal: isize) -> Self {
        if self.rank() == 2 {
            return self.diagonal(diagonal, 0, 1);
        }
        let shape = diag_shape(self.shape(), diagonal).or_panic();
        let places = places([shape[0], shape[1]], diagonal);
        zeros(&[shape[0] * shape[1]]).index_add(0, &places, self).reshape(shape)
    }

    /// The sum of the main diagonal of a matrix.
    ///
    /// See [`Tensor::trace`](gradus_tensor::Tensor::trace) for shapes and panics.
    #[track_caller]
    pub fn trace(&self) -> Self {
        trace_shape(self.shape()).or_panic();
        self.diagonal(0, 0, 1).sum(..)
    }

    /// The elements of the last two axes on a diagonal and below it, the others 0.
    ///
    /// See [`Tensor::tril`](gradus_tensor::Tensor::tril) for shapes and panics.
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Self {
        apply(Triangle { lower: true, diagonal }, &[self])
    }

    /// The elements of the last two axes on a diagonal and above it, the others 0.
    ///
    /// See [`Tensor::triu`](gradus_tensor::Tensor::triu) for shapes and panics.
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Self {
        apply(Triangle { lower: false, diagonal }, &[self])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, permutations, shapes};
    let matrices = || shapes(2..=4, 0..=4);
    let offsets = || -5..=5_isize;
    vec![
        case!("diagonal", ((shape, axes), offset) in (permutations(), offsets()), [shape], |x| {
            if axes.len() < 2 { x.clone() } else { x.diagonal(offset, axes[0] as isize, axes[1] as isize) }
        }),
        case!("diag", (shape, offset) in (shapes(1..=2, 0..=4), offsets()), [shape], |x| x.diag(offset)),
        case!("trace", shape in shapes(2..=2, 0..=4), [shape], |x| x.trace()),
        case!("tril", (shape, offset) in (matrices(), offsets()), [shape], |x| x.tril(offset)),
        case!("triu", (shape, offset) in (matrices(), offsets()), [shape], |x| x.triu(offset)),
    ]
}

//! Embeddings: rows of a table.

use gradus_tensor::shapes::embedding_shape;
use gradus_tensor::{Float, Shape, Tensor, TensorError};

use super::index::add_at;
use super::operations::operations;
use crate::tape::{Batch, DiscreteOperation, Indices, Inputs, Mask, Operand, Saves, Var, apply, decide};

operations! {
    /// The inputs are the table and the index.
    Nonlinear Embedding { padding_idx: Option<usize> }: "embedding", saves Saves::NOTHING,
        shape |x| embedding_shape(x[0], x[1]),
        forward |x| x[0].embedding(x.indices(1)),
        vjp |context, _| {
            let index = context.indices(1);
            let mut rows = Shape::from_slice(context.shape(0));
            rows[0] = index.len();
            let g = trained(context.cotangent(), &index, *padding_idx).reshape(rows);
            add_at(context.gradient_so_far(0), 0, &index.reshape([index.len()]), &g)
        },
        jvp |context, _| {
            let index = context.indices(1);
            trained(&context.tangent().embedding(&index, None), &index, *padding_idx)
        },
        batched |batch| {
            if !batch.is_batched(0) {
                let (table, index) = (batch.given(0), batch.indices(1));
                return Some(apply(Self { padding_idx: *padding_idx }, &[Operand::Var(&table), Operand::Indices(&index)]));
            }
            // For each example the rows of its own table.
            let (table, index) = (batch.var(0), batch.indices(1));
            let mut list = Shape::from_slice(table.shape());
            list[1] = batch.shape(1).iter().product();
            let mut column = Shape::from_elem(1, table.rank());
            column[..2].copy_from_slice(&list[..2]);
            let all = batch.raised(batch.output_shape());
            let rows = table.gather(1, index.reshape(column).expand(list)).reshape(all);
            // The row of the padding has no gradient.
            padding_idx.map_or(rows.clone(), |padding_idx| {
                let mut column = Shape::from_slice(index.shape());
                column.resize(rows.rank(), 1);
                let is_padding = decide(IsPadding { padding_idx }, &[&index]).reshape(column);
                Var::where_(is_padding, rows.detach(), &rows)
            })
        };
}

/// Rows, with zeros in place of the row that gets no gradient.
fn trained<T: Float>(rows: &Var<T>, index: &Indices<T>, padding_idx: Option<usize>) -> Var<T> {
    let Some(padding_idx) = padding_idx else { return rows.clone() };
    let mut column = Shape::from_slice(index.shape());
    column.resize(rows.rank(), 1);
    rows.masked_fill(decide(IsPadding { padding_idx }, &[index]).reshape(column), T::ZERO)
}

#[derive(Debug)]
struct IsPadding {
    padding_idx: usize,
}

impl<T: Float> DiscreteOperation<T, bool> for IsPadding {
    fn name(&self) -> &'static str {
        "is_padding"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[0].into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<bool> {
        inputs.indices(0).eq(self.padding_idx as i64)
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Mask<T>> {
        Some(batch.decide_each(Self { padding_idx: self.padding_idx }))
    }
}

impl<T: Float> Var<T> {
    /// The rows of this table that `index`, of any shape, names: its axes come first in the result. Row
    /// `padding_idx`, if it is given, gets no gradient; a negative number counts from the end.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let table = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    /// let rows = table.embedding(&Tensor::from([2, 0, 2]), Some(0));
    /// assert_eq!(rows.value(), &Tensor::from([[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]));
    /// let gradients = rows.sum(..).backward();
    /// assert_eq!(gradients.get(&table), Some(&Tensor::from([[0.0, 0.0], [0.0, 0.0], [2.0, 2.0]])));
    /// ```
    ///
    /// # Panics
    /// If the table is 0-d, or an index or `padding_idx` is out of range.
    #[track_caller]
    pub fn embedding(&self, index: impl Into<Indices<T>>, padding_idx: Option<isize>) -> Self {
        let rows = self.shape().first().copied().unwrap_or(0) as isize;
        if let Some(row) = padding_idx {
            assert!(
                (-rows..rows).contains(&row),
                "embedding: padding_idx is {row} for a table of shape {:?}: allowed are -{rows} to {}",
                self.shape(),
                rows - 1
            );
        }
        let padding_idx = padding_idx.map(|row| row.rem_euclid(rows) as usize);
        apply(Embedding { padding_idx }, &[Operand::Var(self), Operand::Indices(&index.into())])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    use proptest::prelude::*;
    vec![case!(
        "embedding", (index, row, seed) in (shapes(0..=3, 0..=3), shapes(0..=2, 0..=3), any::<u64>()),
        [[&[4], &row[..]].concat()],
        |x| {
            let index = (Tensor::<f64>::rand(&index, &mut gradus_tensor::seeded(seed)) * 4.0).cast::<i64>();
            x.embedding(&index, None)
        }
    )]
}

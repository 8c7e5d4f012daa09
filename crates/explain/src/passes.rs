//! Running a model on rows, a chunk of them in each pass.

use std::fmt::{self, Debug, Formatter};
use std::ops::Range;
use std::sync::Arc;

use gradus_autograd::{Float, Tensor, Var, no_grad, vjp};

use crate::error::{ExplainError, Result};

/// A model: a function of a batch, which gives `[batch, classes]`.
pub(crate) type Model<'a, T> = &'a dyn Fn(&Var<T>) -> Var<T>;

/// A backward pass: the gradient for an input, from the output and its cotangent.
pub(crate) type Backward<'a, T> = &'a dyn Fn(&Var<T>, &Var<T>, &Tensor<T>) -> Option<Var<T>>;

/// The number of rows in a pass, and who is told of each.
#[derive(Clone)]
pub(crate) struct Passes {
    chunk: usize,
    progress: Option<Progress>,
}

/// A function of the rows that are done and of all.
type Progress = Arc<dyn Fn(usize, usize) + Send + Sync>;

impl Default for Passes {
    fn default() -> Self {
        Self { chunk: 256, progress: None }
    }
}

impl Debug for Passes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passes").field("chunk", &self.chunk).finish_non_exhaustive()
    }
}

/// Methods that set the options of passes, in a field of a method of explanation.
macro_rules! pass_options {
    ($($field:ident).+) => {
        /// Sets the most rows that the model sees in one pass; 256 at first. More are faster, and take more memory; the
        /// results are the same.
        ///
        /// # Panics
        /// If it is 0.
        #[must_use]
        #[track_caller]
        pub fn chunk(mut self, rows: usize) -> Self {
            self.$($field).+.set_chunk(rows);
            self
        }

        /// Sets a function that is told, after each pass, the number of rows that are done and of all: for a bar in the
        /// terminal, `Progress::counter` of `gradus-train`.
        #[must_use]
        pub fn progress(mut self, tell: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
            self.$($field).+.set_progress(tell);
            self
        }
    };
}
pub(crate) use pass_options;

/// Rows that a model is run on: made one by one, so that only a chunk of them is in memory.
pub(crate) struct Rows<'a, T> {
    /// The shape of a row.
    pub(crate) shape: &'a [usize],
    pub(crate) count: usize,
    /// Appends a row to a list of numbers.
    pub(crate) fill: &'a dyn Fn(usize, &mut Vec<T>),
}

impl<T: Float> Rows<'_, T> {
    fn batch(&self, range: Range<usize>) -> Tensor<T> {
        let shape: Vec<usize> = std::iter::once(range.len()).chain(self.shape.iter().copied()).collect();
        let mut data = Vec::with_capacity(shape.iter().product());
        range.for_each(|row| (self.fill)(row, &mut data));
        Tensor::from_vec(data, shape).expect("each row has its numbers")
    }
}

impl Passes {
    #[track_caller]
    pub(crate) fn set_chunk(&mut self, rows: usize) {
        assert!(rows > 0, "chunk: there must be a row in each pass");
        self.chunk = rows;
    }

    pub(crate) fn set_progress(&mut self, tell: impl Fn(usize, usize) + Send + Sync + 'static) {
        self.progress = Some(Arc::new(tell));
    }

    /// The same chunks, in silence.
    pub(crate) fn silent(&self) -> Self {
        Self { progress: None, ..self.clone() }
    }

    /// One row in each pass.
    pub(crate) fn one_by_one(self) -> Self {
        Self { chunk: 1, ..self }
    }

    /// Calls a function with each chunk of the rows.
    pub(crate) fn each(&self, rows: usize, mut run: impl FnMut(Range<usize>) -> Result<()>) -> Result<()> {
        for start in (0..rows).step_by(self.chunk) {
            let end = rows.min(start + self.chunk);
            run(start..end)?;
            if let Some(tell) = &self.progress {
                tell(end, rows);
            }
        }
        Ok(())
    }

    /// All outputs `[rows, classes]`.
    pub(crate) fn outputs<T: Float>(&self, model: Model<T>, rows: &Rows<T>) -> Result<Tensor<T>> {
        let mut parts = Vec::new();
        self.each(rows.count, |range| {
            let output = no_grad(|| model(&Var::constant(rows.batch(range.clone()))));
            check_output(&output, range)?;
            parts.push(output.into_value());
            Ok(())
        })?;
        Ok(Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0))
    }

    /// The output of each row for its class.
    pub(crate) fn values<T: Float>(
        &self,
        model: Model<T>,
        rows: &Rows<T>,
        class: &dyn Fn(usize) -> usize,
    ) -> Result<Vec<f64>> {
        let outputs = self.outputs(model, rows)?;
        let classes = outputs.shape()[1];
        let outputs = outputs.to_vec();
        Ok((0..rows.count).map(|row| outputs[row * classes + class(row)].to_f64()).collect())
    }

    /// Hands the gradient of each row, for its class, to `take`.
    pub(crate) fn gradients<T: Float>(
        &self,
        model: Model<T>,
        rows: &Rows<T>,
        class: &dyn Fn(usize) -> usize,
        take: &mut dyn FnMut(usize, &[T]),
    ) -> Result<()> {
        self.gradients_by(model, rows, class, take, &derivative)
    }

    /// As [`gradients`](Self::gradients), by another backward pass.
    pub(crate) fn gradients_by<T: Float>(
        &self,
        model: Model<T>,
        rows: &Rows<T>,
        class: &dyn Fn(usize) -> usize,
        take: &mut dyn FnMut(usize, &[T]),
        backward: Backward<T>,
    ) -> Result<()> {
        let size: usize = rows.shape.iter().product();
        self.each(rows.count, |range| {
            let (x, y) = run(model, rows.batch(range.clone()), &range)?;
            let cotangent = one_hot(&y, range.clone().map(class));
            let gradient =
                backward(&x, &y, &cotangent).ok_or(ExplainError::NoGradient { to: "its input" })?;
            let gradient = gradient.into_value().to_vec();
            for (row, numbers) in range.zip(gradient.chunks_exact(size)) {
                check_finite("gradient", row, numbers)?;
                take(row, numbers);
            }
            Ok(())
        })
    }
}

/// The backward pass that gives derivatives.
pub(crate) fn derivative<T: Float>(x: &Var<T>, y: &Var<T>, cotangent: &Tensor<T>) -> Option<Var<T>> {
    vjp(y, cotangent, &[x]).remove(0)
}

/// Runs a model on a batch that gradients can be asked for; gives the variable and the output.
pub(crate) fn run<T: Float>(
    model: Model<T>,
    batch: Tensor<T>,
    rows: &Range<usize>,
) -> Result<(Var<T>, Var<T>)> {
    // One step from the leaf: a walk for its gradient does then not compute those of the weights, which are leaves.
    let x = Var::leaf(&batch).reshape(batch.shape());
    let y = model(&x);
    check_output(&y, rows.clone())?;
    if !y.is_tracked() {
        return Err(ExplainError::NoGradient { to: "its input" });
    }
    Ok((x, y))
}

/// 1 at the class of each row, else 0.
pub(crate) fn one_hot<T: Float>(y: &Var<T>, classes: impl Iterator<Item = usize>) -> Tensor<T> {
    let columns = y.shape()[1];
    let mut numbers = vec![T::ZERO; y.len()];
    for (row, class) in classes.enumerate() {
        numbers[row * columns + class] = T::ONE;
    }
    Tensor::from_vec(numbers, y.shape()).expect("it has the shape of the output")
}

/// Checks the shape of an output, and that its numbers are finite.
pub(crate) fn check_output<T: Float>(y: &Var<T>, rows: Range<usize>) -> Result<()> {
    let shape = y.shape();
    if shape.len() != 2 || shape[0] != rows.len() || shape[1] == 0 {
        return Err(ExplainError::Output { shape: shape.to_vec(), rows: rows.len() });
    }
    if y.value().isfinite().all(..).item() {
        return Ok(());
    }
    let numbers = y.value().to_vec();
    rows.zip(numbers.chunks_exact(shape[1]))
        .try_for_each(|(row, numbers)| check_finite("output", row, numbers))
}

pub(crate) fn check_finite<T: Float>(kind: &'static str, row: usize, numbers: &[T]) -> Result<()> {
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(number) => Err(ExplainError::NotFinite { kind, row, value: number.to_f64() }),
        None => Ok(()),
    }
}

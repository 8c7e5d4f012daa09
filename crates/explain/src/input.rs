//! The rows to explain, and the baseline that they are held against.

use gradus_autograd::{Float, Tensor};

use crate::error::{ExplainError, Result};
use crate::passes::{Backward, Model, Passes, Rows};
use crate::target::Target;

/// The rows of an input, each with its class and the output for it.
pub(crate) struct Input<T> {
    data: Vec<T>,
    /// `[rows, ...]`.
    pub(crate) shape: Vec<usize>,
    pub(crate) classes: Vec<usize>,
    pub(crate) outputs: Vec<f64>,
}

impl<T: Float> Input<T> {
    pub(crate) fn new(model: Model<T>, x: &Tensor<T>, target: &Target, passes: &Passes) -> Result<Self> {
        let shape = x.shape().to_vec();
        if shape.is_empty() || x.is_empty() {
            return Err(ExplainError::Empty { shape });
        }
        let (data, size) = (x.to_vec(), x.len() / shape[0]);
        let fill = |row: usize, to: &mut Vec<T>| to.extend(&data[row * size..][..size]);
        let rows = Rows { shape: &shape[1..], count: shape[0], fill: &fill };
        let outputs = passes.silent().outputs(model, &rows)?;
        let classes = target.classes(&outputs)?;
        let columns = outputs.shape()[1];
        let outputs = outputs.to_vec();
        let of_row = |(row, &class): (usize, &usize)| outputs[row * columns + class].to_f64();
        let outputs = classes.iter().enumerate().map(of_row).collect();
        Ok(Self { data, shape, classes, outputs })
    }

    pub(crate) fn rows(&self) -> usize {
        self.shape[0]
    }

    /// The shape of a row.
    pub(crate) fn row_shape(&self) -> &[usize] {
        &self.shape[1..]
    }

    /// The number of numbers in a row.
    pub(crate) fn size(&self) -> usize {
        self.data.len() / self.rows()
    }

    pub(crate) fn row(&self, row: usize) -> &[T] {
        let size = self.size();
        &self.data[row * size..][..size]
    }

    /// Numbers of the shape of the input, as a tensor.
    pub(crate) fn tensor(&self, numbers: impl IntoIterator<Item = f64>) -> Tensor<T> {
        tensor(numbers, &self.shape)
    }

    /// One number for each row, as a tensor.
    pub(crate) fn column(&self, numbers: &[f64]) -> Tensor<T> {
        tensor(numbers.iter().copied(), &[self.rows()])
    }

    /// The gradients of all rows, in the shape of the input.
    pub(crate) fn gradients(
        &self,
        model: Model<T>,
        passes: &Passes,
        backward: Backward<T>,
    ) -> Result<Tensor<T>> {
        let fill = |row: usize, to: &mut Vec<T>| to.extend(self.row(row));
        let rows = Rows { shape: self.row_shape(), count: self.rows(), fill: &fill };
        let mut all = Vec::with_capacity(self.data.len());
        let mut take = |_, gradient: &[T]| all.extend(gradient);
        passes.gradients_by(model, &rows, &|row| self.classes[row], &mut take, backward)?;
        Ok(Tensor::from_vec(all, &self.shape).expect("each row has its gradient"))
    }
}

pub(crate) fn tensor<T: Float>(numbers: impl IntoIterator<Item = f64>, shape: &[usize]) -> Tensor<T> {
    let numbers = numbers.into_iter().map(T::from_f64).collect();
    Tensor::from_vec(numbers, shape).expect("the shape has this number of elements")
}

/// The baseline: zeros, one row for all, or one for each row.
#[derive(Debug, Clone)]
pub(crate) struct Baseline<T: Float>(pub(crate) Option<Tensor<T>>);

/// A baseline that fits an input.
pub(crate) struct Reference<T> {
    data: Vec<T>,
    size: usize,
}

impl<T: Float> Baseline<T> {
    pub(crate) fn of(&self, input: &Input<T>) -> Result<Reference<T>> {
        let size = input.size();
        let Some(baseline) = &self.0 else { return Ok(Reference { data: vec![T::ZERO; size], size }) };
        let expected: Vec<usize> = std::iter::once(1).chain(input.row_shape().iter().copied()).collect();
        if baseline.shape() != expected && baseline.shape() != input.shape {
            let (shape, expected) = (baseline.shape().to_vec(), vec![expected, input.shape.clone()]);
            return Err(ExplainError::Shape { kind: "baseline", shape, expected });
        }
        Ok(Reference { data: baseline.to_vec(), size })
    }
}

impl<T> Reference<T> {
    pub(crate) fn row(&self, row: usize) -> &[T] {
        let rows = self.data.len() / self.size;
        &self.data[row % rows * self.size..][..self.size]
    }
}

impl<T: Float> Reference<T> {
    /// The output for each row's class on its baseline.
    pub(crate) fn outputs(&self, model: Model<T>, passes: &Passes, input: &Input<T>) -> Result<Vec<f64>> {
        let fill = |row: usize, to: &mut Vec<T>| to.extend(self.row(row));
        let rows = Rows { shape: input.row_shape(), count: input.rows(), fill: &fill };
        passes.silent().values(model, &rows, &|row| input.classes[row])
    }
}

/// The method that sets the baseline, in a field of a method of explanation.
macro_rules! baseline_option {
    ($($field:ident).+) => {
        /// Sets the baseline, an input that means "nothing": `[1, ...]` for all rows, or `[batch, ...]`. Without it, zeros.
        #[must_use]
        pub fn baseline(mut self, baseline: impl Into<gradus_autograd::Tensor<T>>) -> Self {
            self.$($field).+ = crate::input::Baseline(Some(baseline.into()));
            self
        }
    };
}
pub(crate) use baseline_option;

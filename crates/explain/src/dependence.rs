//! Partial dependence.

use gradus_autograd::{Float, Tensor, Var};

use crate::error::Result;
use crate::input::Input;
use crate::passes::{Passes, Rows, pass_options};
use crate::target::Target;

/// The outputs of a model as a function of one feature.
#[derive(Debug, Clone)]
pub struct Dependence<T: Float> {
    /// The values of the feature, `[values]`.
    pub grid: Tensor<T>,
    /// The mean output over all rows, `[values, classes]`.
    pub mean: Tensor<T>,
    /// The output for each row, `[values, rows, classes]`: curves of single cases, whose mean hides how they differ (Goldstein
    /// et al., "Peeking inside the black box", 2015).
    pub each: Tensor<T>,
}

/// Partial dependence: the mean output over all rows if a feature had the same value in each (Friedman, "Greedy function
/// approximation", 2001). It explains a model on a whole data set; where features depend on each other, some of the rows are
/// none that could occur.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::PartialDependence;
///
/// let model = |x: &Var<f64>| (x.select(1, 0).square() + x.select(1, 1)).unsqueeze(1);
/// let x = Tensor::from([[0.0, 1.0], [1.0, 3.0]]);
/// let dependence = PartialDependence::new(0).grid([0.0, 1.0, 2.0]).explain(model, &x)?;
/// assert_eq!(dependence.mean, Tensor::from([[2.0], [3.0], [6.0]]));
/// assert_eq!(dependence.each.shape(), [3, 2, 1]);
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PartialDependence<T: Float = f32> {
    feature: usize,
    grid: Option<Tensor<T>>,
    passes: Passes,
}

impl<T: Float> PartialDependence<T> {
    /// Of a column of a table; of a row with more axes, the place among all its numbers. The values are 20 quantiles of the
    /// column.
    pub fn new(feature: usize) -> Self {
        Self { feature, grid: None, passes: Passes::default() }
    }

    /// Sets the values of the feature, `[values]`.
    ///
    /// # Panics
    /// If there are none, or they have several axes.
    #[must_use]
    #[track_caller]
    pub fn grid(mut self, values: impl Into<Tensor<T>>) -> Self {
        let values = values.into();
        let is_list = values.rank() == 1 && !values.is_empty();
        assert!(
            is_list,
            "grid: the values have shape {:?}: it must be [n], with n from 1 up",
            values.shape()
        );
        self.grid = Some(values);
        self
    }

    pass_options! { passes }

    /// The outputs over the rows of `x` `[rows, ...]`.
    ///
    /// # Errors
    /// If the input is empty, or the model does not give finite `[rows, classes]`.
    ///
    /// # Panics
    /// If a row has no such feature.
    #[track_caller]
    pub fn explain(&self, model: impl Fn(&Var<T>) -> Var<T>, x: &Tensor<T>) -> Result<Dependence<T>> {
        let input = Input::new(&model, x, &Target::All(0), &self.passes)?;
        let (feature, n) = (self.feature, input.rows());
        let size = input.size();
        assert!(feature < size, "PartialDependence: there is no feature {feature} in rows of {size} numbers");
        let quantiles = || {
            let column = Tensor::from((0..n).map(|row| input.row(row)[feature]).collect::<Vec<T>>());
            let values = (0..20).map(|i| column.quantile(f64::from(i) / 19.0, 0).item());
            Tensor::from(values.collect::<Vec<T>>())
        };
        let grid = self.grid.clone().unwrap_or_else(quantiles);
        let values = grid.to_vec();
        let fill = |job: usize, to: &mut Vec<T>| {
            let start = to.len();
            to.extend(input.row(job % n));
            to[start + feature] = values[job / n];
        };
        let rows = Rows { shape: input.row_shape(), count: values.len() * n, fill: &fill };
        let each = self.passes.outputs(&model, &rows)?.unflatten(0, [values.len(), n]);
        Ok(Dependence { grid, mean: each.mean(1), each })
    }
}

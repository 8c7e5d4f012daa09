//! Missing numbers filled in, by statistics that are saved with the model.

use gradus_autograd::{AsVar, Float, Tensor, Var};
use gradus_nn::{Buffer, Layer, Module, layer_scope};

use crate::error::DataError;

/// Missing numbers, which are NaN, replaced by the mean or the median that their feature has in the data of the fit: fitted on
/// training data, it fills test data with numbers of the training data.
///
/// It is a module, so that a model that has it as a field or a layer saves and loads it.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// use gradus::Tensor;
/// use gradus::data::Impute;
///
/// # fn main() -> Result<(), gradus::data::DataError> {
/// let nan = f64::NAN;
/// let train = Tensor::from([[1.0, nan], [3.0, 5.0], [8.0, 7.0]]);
/// let impute = Impute::mean(&train)?;
/// assert_eq!(impute.transform(&Tensor::from([[nan, 2.0], [9.0, nan]])), Tensor::from([[4.0, 2.0], [9.0, 6.0]]));
/// assert_eq!(Impute::median(&train)?.fill.value(), Tensor::from([3.0, 6.0]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Module)]
pub struct Impute<T: Float = f32> {
    /// The number of each feature, `[features]`.
    pub fill: Buffer<T>,
}

impl<T: Float> Impute<T> {
    /// One that fills with zeros, to load a state into.
    pub fn new(features: usize) -> Self {
        Self { fill: Buffer::new(Tensor::zeros([features])) }
    }

    /// Fills with the means of data `[..., features]`.
    ///
    /// # Errors
    /// [`DataError::NotFinite`] if a number is infinite, [`DataError::NoValue`] if a feature has nothing but NaN.
    ///
    /// # Panics
    /// If there is no axis.
    #[track_caller]
    pub fn mean(x: &Tensor<T>) -> Result<Self, DataError> {
        Self::fit(x, |values| values.mean(..).item())
    }

    /// Fills with the medians of data `[..., features]`; with an even number of values, the mean of the middle two.
    ///
    /// # Errors
    /// As [`mean`](Self::mean).
    ///
    /// # Panics
    /// If there is no axis.
    #[track_caller]
    pub fn median(x: &Tensor<T>) -> Result<Self, DataError> {
        Self::fit(x, |values| values.quantile(0.5, ..).item())
    }

    #[track_caller]
    fn fit(x: &Tensor<T>, statistic: fn(&Tensor<T>) -> T) -> Result<Self, DataError> {
        assert!(x.rank() > 0, "fit: the data have no axis: they must be [..., features]");
        let features = x.unbind(-1);
        let mut fill = Vec::with_capacity(features.len());
        for (feature, numbers) in features.iter().enumerate() {
            let values: Tensor<T> = numbers.iter().filter(|value| !value.is_nan()).collect();
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(DataError::NotFinite { index: vec![feature], value: value.to_f64() });
            }
            if values.is_empty() {
                return Err(DataError::NoValue { feature });
            }
            fill.push(statistic(&values));
        }
        Ok(Self { fill: Buffer::new(fill) })
    }

    /// The features of a model's input, filled. Nothing flows back to what was missing.
    ///
    /// # Panics
    /// If the last axis has another size than in the data of the fit.
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        let (scope, x) = (layer_scope(self), x.as_var());
        // NaN alone differs from itself.
        scope.gives(Var::where_(x.ne(&*x), self.fill(x.shape()), &*x))
    }

    /// The features filled, as numbers.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    #[track_caller]
    pub fn transform(&self, x: &Tensor<T>) -> Tensor<T> {
        x.isnan().where_(self.fill(x.shape()), x)
    }

    #[track_caller]
    fn fill(&self, shape: &[usize]) -> Tensor<T> {
        let fill = self.fill.value();
        assert!(
            shape.last() == Some(&fill.len()),
            "Impute: the input has shape {shape:?}; its last axis must have size {}, as in the data of the fit",
            fill.len()
        );
        fill
    }
}

impl<T: Float> Layer<T> for Impute<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        Self::forward(self, x)
    }
}

//! Steps that are learnt.

use gradus_autograd::{AsVar, Float, Tensor, Var};
use gradus_nn::{Layer, Module, Parameter};

/// Quantisation with a step that is learnt with the weights (LSQ; Esser et al., "Learned step size quantization", 2020); see
/// [`Var::lsq`].
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_quant::LearnedStep;
///
/// let x = Tensor::from([0.3_f32, -0.8, 1.2, 0.1]);
/// let layer = LearnedStep::of(&x, -8..=7);
/// let gradients = layer.forward(&x).square().sum(..).backward();
/// assert!(gradients.get(&layer.step).is_some());
/// ```
#[derive(Debug, Clone, Module)]
pub struct LearnedStep<T: Float = f32> {
    /// The step, `[]`.
    pub step: Parameter<T>,
    /// The lowest level.
    #[module(skip)]
    pub low: i64,
    /// The highest level.
    #[module(skip)]
    pub high: i64,
}

impl<T: Float> LearnedStep<T> {
    /// With the paper's initial step for numbers such as these, `2 mean|x| / sqrt(high)`.
    ///
    /// # Panics
    /// If there are fewer than two levels, or none above 0.
    #[track_caller]
    pub fn of(x: &Tensor<T>, levels: std::ops::RangeInclusive<i64>) -> Self {
        let (low, high) = levels.into_inner();
        assert!(low < high && high > 0, "learned step: levels {low} to {high}: there must be one above 0");
        let step = x.abs().mean(..).item() * T::from_f64(2.0 / (high as f64).sqrt());
        Self { step: Parameter::new(Tensor::scalar(step)), low, high }
    }

    /// The numbers, rounded to multiples of the step; in any shape. The gradient of the step is divided by the square root of the
    /// number of elements times the highest level, as in the paper.
    ///
    /// # Panics
    /// As [`Var::lsq`].
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        let x = &*x.as_var();
        let scale = T::from_f64(1.0 / ((x.len() as f64) * self.high as f64).sqrt());
        let step = self.step.map_gradient(move |gradient| gradient * scale);
        x.lsq(step, self.low..=self.high)
    }
}

impl<T: Float> Layer<T> for LearnedStep<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}

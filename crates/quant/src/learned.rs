//! Steps that are learnt.

use std::ops::RangeInclusive;

use gradus_autograd::{AsVar, Float, Tensor, Var};
use gradus_nn::{Layer, LayerId, Member, MemberMut, Module, Parameter, Path};

use crate::error::QuantError;
use crate::fixed::Fixed;
use crate::observer::check_finite;
use crate::params::LEAST_SCALE;

/// Quantisation with a step that is learnt with the weights (LSQ; Esser et al., "Learned step size quantization", 2020); see
/// [`Var::lsq`].
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_quant::LearnedStep;
///
/// let x = Tensor::from([0.3_f32, -0.8, 1.2, 0.1]);
/// let layer = LearnedStep::of(&x, -8..=7)?;
/// let gradients = layer.forward(&x).square().sum(..).backward();
/// assert!(gradients.get(&layer.step).is_some());
/// # Ok::<(), gradus_quant::QuantError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LearnedStep<T: Float = f32> {
    /// The step, `[]`.
    pub step: Parameter<T>,
    /// The lowest and the highest level.
    levels: Fixed,
    activations: bool,
}

impl<T: Float> LearnedStep<T> {
    /// With the paper's initial step for numbers such as these, `2 mean|x| / sqrt(high)`: for weights, unless
    /// [`activations`](Self::activations) says otherwise.
    ///
    /// # Errors
    /// If the tensor is empty, or a number is NaN or infinite.
    ///
    /// # Panics
    /// If there are fewer than two levels, or none above 0.
    #[track_caller]
    pub fn of(x: &Tensor<T>, levels: RangeInclusive<i64>) -> Result<Self, QuantError> {
        let (low, high) = levels.into_inner();
        assert!(low < high && high > 0, "learned step: levels {low} to {high}: there must be one above 0");
        if x.is_empty() {
            return Err(QuantError::NoData("learned step".into()));
        }
        check_finite("learned step", x)?;
        let step = x.abs().mean(..).item() * T::from_f64(2.0 / (high as f64).sqrt());
        let step = if step > T::ZERO { step } else { T::from_f64(LEAST_SCALE) };
        Ok(Self {
            step: Parameter::new(Tensor::scalar(step)),
            levels: Fixed(vec![low, high]),
            activations: false,
        })
    }

    /// The step for batches of activations, `[batch, ...]`: the size of the batch has no influence on the factor of its gradient.
    #[must_use]
    pub fn activations(self) -> Self {
        Self { activations: true, ..self }
    }

    /// The levels.
    pub fn levels(&self) -> RangeInclusive<i64> {
        self.levels.0[0]..=self.levels.0[1]
    }

    /// The numbers, rounded to multiples of the step; in any shape. As in the paper (section 2.2) the gradient of the step is divided
    /// by `sqrt(n high)`, where n is the number of weights, or of features: of the elements of one sample.
    ///
    /// # Panics
    /// As [`Var::lsq`].
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        let (x, levels) = (&*x.as_var(), self.levels());
        let samples = if self.activations { x.shape().first().copied().unwrap_or(1) } else { 1 };
        let count = (x.len() / samples.max(1)).max(1);
        let scale = T::from_f64(1.0 / (count as f64 * *levels.end() as f64).sqrt());
        let step = self.step.map_gradient(move |gradient| gradient * scale);
        x.lsq(step, levels)
    }
}

/// Members are `step` and `levels`, the lowest and the highest.
impl<T: Float> Module<T> for LearnedStep<T> {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path, Member::Layer(LayerId::of(self)));
        visitor(path.field("step"), Member::Parameter(&self.step));
        visitor(path.field("levels"), Member::Packed(&self.levels));
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
        visitor(path.field("step"), MemberMut::Parameter(&mut self.step));
        visitor(path.field("levels"), MemberMut::Packed(&mut self.levels));
    }
}

impl<T: Float> Layer<T> for LearnedStep<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}

//! The loss of a model that learns from another one.

use gradus_autograd::{AsVar, Float, Var};

use super::{Reduction, loss};
use crate::inside;

loss! {
    /// The divergence of a model's soft predictions from a teacher's, for logits `[classes]` or `[rows, classes, ...]` (Hinton et
    /// al., "Distilling the knowledge in a neural network", 2015): of each row `T^2 KL(softmax(t / T), softmax(x / T))`
    /// for logits x, logits t of the teacher and the temperature T. The factor keeps gradients of one size at all temperatures.
    #[derive(Debug, Clone, Copy, PartialEq)]
    DistillationLoss {
        /// The temperature: the higher, the more the small probabilities count.
        temperature: f64 = 2.0,
    }
}

impl DistillationLoss {
    /// Sets the temperature.
    ///
    /// # Panics
    /// If it is not positive and finite.
    #[must_use]
    #[track_caller]
    pub fn temperature(self, temperature: f64) -> Self {
        assert!(
            temperature > 0.0 && temperature.is_finite(),
            "distillation_loss: `temperature` is {temperature}: it must be positive and finite"
        );
        Self { temperature, ..self }
    }

    /// The loss of logits; `teacher` has the other model's, a variable or tensor of the same shape. A gradient flows to both,
    /// to a teacher only if it is tracked.
    ///
    /// # Panics
    /// If the shapes differ, there is no axis of classes, or the temperature is not positive and finite.
    #[track_caller]
    pub fn forward<T: Float>(&self, logits: &Var<T>, teacher: impl AsVar<T>) -> Var<T> {
        let _scope = inside::open_named("distillation_loss");
        let Self { temperature, reduction } = self.temperature(self.temperature);
        let (teacher, shape) = (teacher.as_var(), logits.shape());
        assert!(
            shape == teacher.shape() && !shape.is_empty(),
            "distillation_loss: the logits have shape {shape:?} and the teacher's {:?}: they must be equal, with an axis of \
             classes",
            teacher.shape()
        );
        let axis = isize::from(shape.len() > 1);
        let soft = |logits: &Var<T>| (logits / T::from_f64(temperature)).log_softmax(axis);
        let (x, t) = (soft(logits), soft(&teacher));
        let divergence = (&t - x).multiply_no_nan(t.exp()).sum(axis);
        reduction.reduce(divergence * T::from_f64(temperature * temperature), shape, None)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<gradus_autograd::testing::Case> {
    use gradus_autograd::testing::{case, shapes};

    use super::reductions;
    vec![case!(
        "distillation_loss", (shape, reduction, temperature) in (shapes(1..=3, 1..=4), reductions(), 0.5..4.0_f64),
        [shape.clone(), shape],
        |x, t| DistillationLoss::new().temperature(temperature).reduction(reduction).forward(x, t)
    )]
}

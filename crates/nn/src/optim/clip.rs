//! Clipping of gradients.

use gradus_autograd::{
    DiscreteOperation, Float, Gradients, Indices, Inputs, Operand, Operation, Tensor, Var, apply, compile,
    decide, watch,
};

use super::non_negative;
use crate::module::Module;

/// Scales the gradients of a model's parameters so that their norm, as one vector, is at most `max_norm`; returns the
/// norm before.
///
/// Each gradient is multiplied by `min(1, max_norm / (norm + 1e-6))` (Pascanu, Mikolov and Bengio, "On the difficulty
/// of training recurrent neural networks", 2013). If one is infinite or NaN, so is the norm, and all stay as they are:
/// the caller can skip the step. In a compiled step the clipping is done in each call, and the number that is returned is
/// the norm of the first one: no branch may depend on it.
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_nn::{Parameter, clip_grad_norm};
///
/// let p = Parameter::new([1.0_f64, 1.0]);
/// let mut gradients = (&p * Tensor::from([3.0, 4.0])).sum(..).backward();
/// let norm = clip_grad_norm(&mut gradients, &p, 1.0);
/// assert_eq!(norm, 5.0);
/// assert!(gradients.get(&p).unwrap().allclose(&Tensor::from([0.6, 0.8]), 1e-6, 0.0));
/// ```
///
/// # Panics
/// If `max_norm` is negative or NaN. Infinity changes nothing.
#[track_caller]
pub fn clip_grad_norm<T: Float>(
    gradients: &mut Gradients<T>,
    model: &(impl Module<T> + ?Sized),
    max_norm: f64,
) -> f64 {
    assert!(max_norm >= 0.0, "clip_grad_norm: max_norm is {max_norm}: it must be 0 or larger");
    let _frame = watch::update("clip_grad_norm");
    let operation = ClipFactor { max_norm };
    let parameters = model.parameters();
    let reached = || parameters.iter().filter_map(|parameter| gradients.var(parameter));
    let factor = operation.of(&reached().map(Var::numbers).collect::<Vec<_>>());
    if compile::is_tracing() {
        let inputs: Vec<&Var<T>> = reached().collect();
        let bits: Indices<T> = decide(operation, &inputs);
        for parameter in parameters {
            gradients.map(parameter, |g| apply(Clip, &[Operand::Var(g), Operand::Indices(&bits)]));
        }
    } else if factor.clips {
        for parameter in parameters {
            gradients.update(parameter, |gradient| factor.clip(gradient));
        }
    }
    factor.norm
}

/// The operation that gives the [`Factor`] of some gradients, as three integers.
#[derive(Debug, Clone, Copy)]
struct ClipFactor {
    max_norm: f64,
}

/// A factor for gradients whose norm is too large.
struct Factor {
    /// Of all gradients, as one vector.
    norm: f64,
    clips: bool,
    /// For gradients in units of a power of two.
    scale: f64,
    unit: f64,
}

impl ClipFactor {
    fn of<T: Float>(self, gradients: &[&Tensor<T>]) -> Factor {
        let norms = |p: f64, unit: f64| -> f64 {
            let norms = gradients
                .iter()
                .filter(|gradient| !gradient.is_empty())
                .map(|gradient| gradient.map(|g| g.to_f64() / unit).norm(p, ..).item());
            Tensor::from(norms.collect::<Vec<f64>>()).norm(p, ..).item()
        };
        let norm = norms(2.0, 1.0);
        // Where the norm overflows, the gradients are measured in units of a power of two.
        let unit = if norm == f64::INFINITY { norms(f64::INFINITY, 1.0).power_of_two() } else { 1.0 };
        let length = if unit == 1.0 { norm } else { norms(2.0, unit) };
        let factor = self.max_norm / (length + 1e-6 / unit);
        Factor { norm, clips: length.is_finite() && factor / unit < 1.0, scale: factor, unit }
    }
}

impl Factor {
    fn clip<T: Float>(&self, gradient: &mut Tensor<T>) {
        let Self { scale: factor, unit, .. } = *self;
        let narrow = T::from_f64(factor / unit);
        if narrow >= T::MIN_POSITIVE {
            *gradient *= narrow;
        } else {
            gradient.map_inplace(|g| T::from_f64(g.to_f64() / unit * factor));
        }
    }
}

impl<T: Float> DiscreteOperation<T, i64> for ClipFactor {
    fn name(&self) -> &'static str {
        "clip_factor"
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        let Factor { clips, scale, unit, .. } = self.of(&inputs.numbers().collect::<Vec<_>>());
        Tensor::from([i64::from(clips), scale.to_bits() as i64, unit.to_bits() as i64])
    }
}

/// The operation that scales a gradient by a [`Factor`].
#[derive(Debug)]
struct Clip;

impl<T: Float> Operation<T> for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        let bits = inputs.indices(1).to_vec();
        let [scale, unit] = [bits[1], bits[2]].map(|bits| f64::from_bits(bits as u64));
        let mut gradient = inputs[0].clone();
        if bits[0] != 0 {
            Factor { norm: f64::NAN, clips: true, scale, unit }.clip(&mut gradient);
        }
        gradient
    }
}

/// Clamps every element of the gradients of a model's parameters to `-max..=max`; NaN stays NaN.
///
/// # Panics
/// If `max` is negative or not finite.
#[track_caller]
pub fn clip_grad_value<T: Float>(gradients: &mut Gradients<T>, model: &(impl Module<T> + ?Sized), max: f64) {
    let max = T::from_f64(non_negative("clip_grad_value: max", max));
    let _frame = watch::update("clip_grad_value");
    if compile::is_tracing() {
        for parameter in model.parameters() {
            gradients.map(parameter, |gradient| apply(ClipValue { max }, &[gradient]));
        }
        return;
    }
    for parameter in model.parameters() {
        gradients.update(parameter, |gradient| clamp(gradient, max));
    }
}

/// The elements, none of which is larger than `max` or less than `-max`.
fn clamp<T: Float>(gradient: &mut Tensor<T>, max: T) {
    gradient.map_inplace(
        #[inline(always)]
        |g| {
            if g > max {
                max
            } else if g < -max {
                -max
            } else {
                g
            }
        },
    );
}

/// The operation of [`clip_grad_value`].
#[derive(Debug)]
struct ClipValue<T> {
    max: T,
}

impl<T: Float> Operation<T> for ClipValue<T> {
    fn name(&self) -> &'static str {
        "clip_value"
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        let mut gradient = inputs[0].clone();
        clamp(&mut gradient, self.max);
        gradient
    }
}

//! Clipping of gradients.

use gradus_autograd::{Float, Gradients, Tensor, watch};

use super::non_negative;
use crate::module::Module;

/// Scales the gradients of a model's parameters so that their norm, as one vector, is at most `max_norm`; returns the
/// norm before.
///
/// Each gradient is multiplied by `min(1, max_norm / (norm + 1e-6))` (Pascanu, Mikolov and Bengio, "On the difficulty
/// of training recurrent neural networks", 2013). If one is infinite or NaN, so is the norm, and all stay as they are:
/// the caller can skip the step.
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
    let parameters = model.parameters();
    let norms = |p: f64, unit: f64| -> f64 {
        let gradients = parameters.iter().filter_map(|parameter| gradients.get(parameter));
        let norms = gradients
            .filter(|gradient| !gradient.is_empty())
            .map(|gradient| gradient.map(|g| g.to_f64() / unit).norm(p, ..).item());
        Tensor::from(norms.collect::<Vec<f64>>()).norm(p, ..).item()
    };
    let norm = norms(2.0, 1.0);
    // Where the norm overflows, the gradients are measured in units of a power of two.
    let unit = if norm == f64::INFINITY { norms(f64::INFINITY, 1.0).power_of_two() } else { 1.0 };
    let length = if unit == 1.0 { norm } else { norms(2.0, unit) };
    let factor = max_norm / (length + 1e-6 / unit);
    if length.is_finite() && factor / unit < 1.0 {
        let narrow = T::from_f64(factor / unit);
        for parameter in parameters {
            gradients.update(parameter, |gradient| {
                if narrow >= T::MIN_POSITIVE {
                    *gradient *= narrow;
                } else {
                    gradient.map_inplace(|g| T::from_f64(g.to_f64() / unit * factor));
                }
            });
        }
    }
    norm
}

/// Clamps every element of the gradients of a model's parameters to `-max..=max`; NaN stays NaN.
///
/// # Panics
/// If `max` is negative or not finite.
#[track_caller]
pub fn clip_grad_value<T: Float>(gradients: &mut Gradients<T>, model: &(impl Module<T> + ?Sized), max: f64) {
    let max = T::from_f64(non_negative("clip_grad_value: max", max));
    let _frame = watch::update("clip_grad_value");
    for parameter in model.parameters() {
        gradients.update(parameter, |gradient| {
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
        });
    }
}

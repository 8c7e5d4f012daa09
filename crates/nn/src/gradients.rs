//! The gradients of a model, by name.

use gradus_autograd::{Float, Gradients, Tensor};

use crate::module::Module;

/// Gradients that no step should be made with: some numbers are infinite or NaN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the gradients are not finite: {}", .parameters.join(", "))]
pub struct NonFiniteGradients {
    /// The parameters, with the number of elements that are NaN or infinite.
    pub parameters: Vec<String>,
}

pub(crate) fn check_finite<T: Float>(
    model: &(impl Module<T> + ?Sized),
    gradients: &Gradients<T>,
) -> Result<(), NonFiniteGradients> {
    let describe = |(name, gradient): (String, &Tensor<T>)| {
        if gradient.isfinite().all(..).item() {
            return None;
        }
        let (nan, finite) = (gradient.isnan().count(..).item(), gradient.isfinite().count(..).item());
        let all = gradient.len() as i64;
        Some(format!("`{name}` ({nan} NaN and {} infinite of {all})", all - nan - finite))
    };
    let parameters: Vec<String> = model.named_gradients(gradients).into_iter().filter_map(describe).collect();
    if parameters.is_empty() { Ok(()) } else { Err(NonFiniteGradients { parameters }) }
}

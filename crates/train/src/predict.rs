//! Predictions for a whole data set.

use gradus_autograd::{AsVar, Float, Tensor, no_grad};
use gradus_nn::Module;

/// The outputs of a model for all batches, one after another along the first axis: in evaluation mode, and with nothing
/// recorded, so that the outputs and one batch are all that is in memory.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::{Linear, Tensor, seeded};
/// use gradus::train::predict;
///
/// let (mut model, x) = (Linear::new(3, 2, &mut seeded(0)), Tensor::<f32>::ones([10, 3]));
/// // Or `Batches::of(&x, 4)`; batches of features and targets with `|model, (x, _)|`.
/// let y = predict(&mut model, x.split(4, 0), |model, x| model.forward(x));
/// assert!(y.allclose(model.forward(&x).value(), 1e-6, 1e-6));
/// assert_eq!(y.argmax(1).shape(), [10]);
/// ```
///
/// # Panics
/// If there are no batches, or their outputs differ in more than the size of the first axis; and as `forward` does.
#[track_caller]
pub fn predict<M: Module<T>, T: Float, B, V: AsVar<T>>(
    model: &mut M,
    batches: impl IntoIterator<Item = B>,
    mut forward: impl FnMut(&M, B) -> V,
) -> Tensor<T> {
    let outputs: Vec<Tensor<T>> = model.evaluate(|model| {
        no_grad(|| batches.into_iter().map(|batch| forward(model, batch).as_var().value().clone()).collect())
    });
    assert!(
        !outputs.is_empty(),
        "predict: there are no batches, from whose outputs the result would have its shape"
    );
    Tensor::cat(&outputs.iter().collect::<Vec<_>>(), 0)
}

//! The gradients of each example of a batch for all parameters of a model.

use gradus_autograd::{Examples, Float, Operand, PerExampleGradients, Var, gradients_per_example};

use crate::module::Module;

/// The gradients of a loss for each example of a batch, with respect to all parameters of a model that are trained, in one
/// pass; see [`gradients_per_example`]. `loss` gets one example: layers that expect a batch get one of size 1.
///
/// A layer that mixes the examples of a batch, such as `BatchNorm2d` in training, has no gradients of single examples.
/// [`Dropout`](crate::Dropout) drops the same elements of each example.
///
/// ```
/// use gradus_autograd::{Indices, Operand, Tensor, Var, seeded};
/// use gradus_nn::{Linear, Losses, Optimizer, Relu, Sequential, Sgd, per_example_gradients};
///
/// let rng = &mut seeded(0);
/// let mut model = Sequential::new().push(Linear::new(4, 8, rng)).push(Relu).push(Linear::new(8, 3, rng));
/// let (x, y) = (Var::constant(Tensor::randn([16, 4], rng)), Indices::constant(Tensor::arange(0, 16, 1).map(|i| i % 3)));
/// let inputs = [Operand::Var(&x), Operand::Indices(&y)];
/// let gradients = per_example_gradients(
///     &model,
///     |model, x| model.forward(x[0].unsqueeze(0)).cross_entropy(x.indices(1).reshape([1])),
///     &inputs,
///     &[Some(0), Some(0)],
/// );
/// // One step of training, where no example has more influence than a gradient of norm 1.
/// let weights = gradients.norms().map(|norm: f32| 1.0 / norm.max(1.0) / 16.0);
/// Sgd::new(0.1).step(&mut model, &gradients.weighted(&weights));
/// ```
///
/// # Panics
/// Like `gradients_per_example`.
#[track_caller]
pub fn per_example_gradients<'a, T: Float, M: Module<T>, A: Copy + Into<Operand<'a, T>>>(
    model: &M,
    loss: impl Fn(&M, &Examples<T>) -> Var<T>,
    inputs: &[A],
    in_axes: &[Option<isize>],
) -> PerExampleGradients<T> {
    let parameters = model.parameters().into_iter().map(|parameter| -> &Var<T> { parameter });
    let trained: Vec<&Var<T>> = parameters.filter(|parameter| parameter.is_tracked()).collect();
    gradients_per_example(|x| loss(model, x), &trained, inputs, in_axes)
}

//! Batch normalisation, folded into the convolution before it.

use gradus_autograd::{Float, Tensor};
use gradus_nn::{BatchNorm2d, Conv2d, Parameter, Sequential};

/// The convolution that does what a convolution and the batch normalisation behind it do in evaluation mode: normalising is an
/// affine map of each channel, which the weight and the bias take in (Jacob et al., 2018, section 3.2).
///
/// # Panics
/// If they have different numbers of channels.
#[track_caller]
pub fn fold_batch_norm<T: Float>(conv: &Conv2d<T>, norm: &BatchNorm2d<T>) -> Conv2d<T> {
    let (mean, var) = (norm.running_mean.value(), norm.running_var.value());
    let outputs = conv.weight.shape()[0];
    assert!(
        mean.shape() == [outputs],
        "fold_batch_norm: the convolution has {outputs} channels and the normalisation {:?}: they must be equal",
        mean.shape()
    );
    let mut factor = (var + T::from_f64(norm.eps)).rsqrt();
    if let Some(weight) = &norm.weight {
        factor = factor * weight.value();
    }
    let shift = norm.bias.as_ref().map_or_else(|| Tensor::zeros([outputs]), |bias| bias.value().clone());
    let bias = conv.bias.as_ref().map_or_else(|| Tensor::zeros([outputs]), |bias| bias.value().clone());
    let weight = conv.weight.value() * factor.reshape([outputs, 1, 1, 1]);
    Conv2d {
        weight: Parameter::new(weight),
        bias: Some(Parameter::new((bias - mean) * factor + shift)),
        conv: conv.conv.clone(),
    }
}

/// Folds every batch normalisation that follows a convolution into it, and removes it; the number of those that were. The model
/// does what it did in evaluation mode.
///
/// ```
/// use gradus_autograd::{Conv, Tensor, seeded};
/// use gradus_nn::{BatchNorm2d, Conv2d, Module, Relu, Sequential};
/// use gradus_quant::fold_batch_norms;
///
/// let rng = &mut seeded(0);
/// let mut model: Sequential =
///     Sequential::new().push(Conv2d::new(1, 4, 3, Conv::new(), rng)).push(BatchNorm2d::new(4)).push(Relu);
/// let x = Tensor::randn([2, 1, 8, 8], rng);
/// model.forward(&x); // changes the running statistics
/// let before = model.evaluate(|model| model.forward(&x));
/// assert_eq!((fold_batch_norms(&mut model), model.len()), (1, 2));
/// assert!(model.forward(&x).value().allclose(before.value(), 1e-5, 1e-6));
/// ```
pub fn fold_batch_norms<T: Float>(model: &mut Sequential<T>) -> usize {
    let mut folded = 0;
    let mut place = 0;
    while place < model.layers.len() {
        if let Some(inner) = model.layers[place].as_any_mut().downcast_mut::<Sequential<T>>() {
            folded += fold_batch_norms(inner);
        }
        let conv = model.layers[place].as_any().downcast_ref::<Conv2d<T>>();
        let norm =
            model.layers.get(place + 1).and_then(|layer| layer.as_any().downcast_ref::<BatchNorm2d<T>>());
        if let (Some(conv), Some(norm)) = (conv, norm) {
            model.layers[place] = Box::new(fold_batch_norm(conv, norm));
            model.layers.remove(place + 1);
            folded += 1;
        }
        place += 1;
    }
    folded
}

//! The dense layer.

use gradus_autograd::{AsVar, Float, Tensor, Var};
use rand::Rng;

use super::sequential::Layer;
use crate::init;
use crate::inside;
use crate::parameter::Parameter;

/// A dense layer: `x weight^T + bias`.
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::Linear;
///
/// let mut layer = Linear::new(2, 1, &mut seeded(0));
/// layer.weight.set([[1.0, 10.0]]);
/// layer.bias.as_mut().unwrap().set([5.0]);
/// let y = layer.forward(&Var::constant(Tensor::from([[1.0, 2.0], [3.0, 4.0]])));
/// assert_eq!(y.value(), &Tensor::from([[26.0], [48.0]]));
/// ```
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct Linear<T: Float = f32> {
    /// `[out_features, in_features]`.
    pub weight: Parameter<T>,
    /// `[out_features]`.
    pub bias: Option<Parameter<T>>,
}

/// The number of elements from which the layout of a weight matters for speed.
const LARGE: usize = 1024;

/// A weight, laid out transposed in memory, as products read it; changes in place keep the layout.
pub(crate) fn laid_out<T: Float>(weight: Tensor<T>) -> Tensor<T> {
    if weight.len() >= LARGE { weight.t().contiguous().t() } else { weight }
}

impl<T: Float> Linear<T> {
    /// A layer from `in_features` to `out_features` with a bias.
    ///
    /// The weight and then the bias are drawn uniformly between `-1 / sqrt(in_features)` and `1 / sqrt(in_features)`,
    /// so that outputs vary less than inputs (`LeCun` et al., "Efficient `BackProp`", 1998). For another initial
    /// value, set [`weight`](Self::weight); see [`init`].
    #[track_caller]
    #[inline(never)]
    pub fn new(in_features: usize, out_features: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let bound = 1.0 / (in_features.max(1) as f64).sqrt();
        let weight = init::uniform([out_features, in_features], -bound, bound, rng);
        Self {
            weight: Parameter::new(laid_out(weight)),
            bias: Some(Parameter::new(init::uniform([out_features], -bound, bound, rng))),
        }
    }

    /// The layer without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// `[..., in_features]` to `[..., out_features]`.
    ///
    /// # Panics
    /// If the size of the last axis of `x` is not `in_features`.
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        let scope = inside::open(self);
        let x = &*x.as_var();
        let in_features = self.weight.shape()[1];
        assert!(
            x.shape().last() == Some(&in_features),
            "linear: the input has shape {:?} and the weight {:?}: the last axis of the input must have size {in_features}",
            x.shape(),
            self.weight.shape()
        );
        scope.gives(x.linear(&self.weight, self.bias.as_deref()))
    }
}

impl<T: Float> Layer<T> for Linear<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}

//! Normalisation over the last axes.

use gradus_tensor::{Axes, Float, Shape, Tensor, keepdim};

use crate::operation::{Context, Operation, apply};
use crate::saves::Saves;
use crate::var::Var;

/// The inputs are x, then the weight and the bias, whichever there are.
#[derive(Debug)]
struct LayerNorm {
    normalized_shape: Shape,
    weight: bool,
    eps: f64,
}

impl<T: Float> Operation<T> for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let (weight, bias) = if self.weight { (inputs.get(1), inputs.get(2)) } else { (None, inputs.get(1)) };
        inputs[0].layer_norm(&self.normalized_shape, weight.copied(), bias.copied(), self.eps)
    }
    fn saves(&self) -> Saves {
        Saves::INPUTS.of_first(1 + usize::from(self.weight))
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let g = context.cotangent();
        if input > usize::from(self.weight) {
            return Some(g.clone());
        }
        let x = context.input(0);
        let axes =
            || keepdim(Axes::from((x.rank() - self.normalized_shape.len()..x.rank()).collect::<Shape>()));
        let centred = &x - x.mean(axes());
        let scale = (centred.square().mean(axes()) + T::from_f64(self.eps)).rsqrt();
        let normal = centred * &scale;
        if input == 1 {
            return Some(g * normal);
        }
        let g = if self.weight { g * context.input(1) } else { g.clone() };
        // What shifts or stretches a whole block does not change its result.
        let along = normal.clone() * (&g * normal).mean(axes());
        Some((&g - g.mean(axes()) - along) * scale)
    }
}

impl<T: Float> Var<T> {
    /// Every block of the last axes, of which `normalized_shape` is the shape, less its mean and divided by the
    /// square root of its (biased) variance plus `eps`; then times the weight, plus the bias, each of that shape
    /// (Ba et al., "Layer normalization", 2016).
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::constant([[1.0, 3.0], [-8.0, 8.0]]);
    /// let (weight, bias) = (Var::leaf(Tensor::from([1.0, 10.0])), Var::leaf(Tensor::from([0.0, 5.0])));
    /// let y = x.layer_norm([2], Some(&weight), Some(&bias), 0.0);
    /// assert_eq!(y.value(), &Tensor::from([[-1.0, 15.0], [-1.0, 15.0]]));
    /// ```
    ///
    /// # Panics
    /// If `normalized_shape` is empty or not the end of this variable's shape, or if weight or bias have another.
    #[track_caller]
    pub fn layer_norm(
        &self,
        normalized_shape: impl AsRef<[usize]>,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        let normalized_shape = Shape::from_slice(normalized_shape.as_ref());
        let inputs: Vec<&Self> = [Some(self), weight, bias].into_iter().flatten().collect();
        apply(LayerNorm { normalized_shape, weight: weight.is_some(), eps }, &inputs)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    use proptest::prelude::*;
    vec![case!(
        "layer_norm",
        (front, last, weight, bias, eps) in
            (shapes(0..=2, 0..=3), shapes(1..=2, 0..=4), any::<bool>(), any::<bool>(), 0.01..1.0),
        [[&front[..], &last].concat() => -2.0..2.0, last.clone() => -2.0..2.0, last => -2.0..2.0],
        |x, w, b| x.layer_norm(&last, weight.then_some(w), bias.then_some(b), eps)
    )]
}

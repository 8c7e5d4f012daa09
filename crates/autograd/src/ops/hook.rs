//! Functions that change a gradient on its way back.

use std::fmt::{self, Debug, Formatter};

use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::tape::{Context, Inputs, Operation, Saves, Var, apply};

/// The same numbers; the gradient goes through a function.
struct MapGradient<F>(F);

impl<F> Debug for MapGradient<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("MapGradient")
    }
}

impl<T: Float, F: Fn(&Var<T>) -> Var<T> + Send + Sync + 'static> Operation<T> for MapGradient<F> {
    fn name(&self) -> &'static str {
        "map_gradient"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[0].into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].clone()
    }
    fn saves(&self) -> Saves {
        Saves::NOTHING
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        Some((self.0)(context.cotangent()))
    }
    fn jvp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        Some(context.tangent().clone())
    }
}

impl<T: Float> Var<T> {
    /// The same numbers, whose gradient goes through `f` on its way back: a hook. Only a backward pass calls `f`, with the
    /// whole gradient of the result; forward mode takes no notice of it.
    ///
    /// To look at the gradient of an intermediate variable, no hook is needed: [`grad`](crate::grad) gives it.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([0.1, 5.0]));
    /// let y = x.map_gradient(|gradient| gradient.clamp(-1.0, 1.0)).square().sum(..);
    /// assert_eq!(y.backward().get(&x), Some(&Tensor::from([0.2, 1.0])));
    /// ```
    ///
    /// # Panics
    /// The backward pass panics if the result of `f` does not reduce to the shape of this variable.
    #[track_caller]
    pub fn map_gradient(&self, f: impl Fn(&Self) -> Self + Send + Sync + 'static) -> Self {
        apply(MapGradient(f), &[self])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    vec![case!("map_gradient", shape in shapes(0..=3, 0..=4), [shape], |x| x.map_gradient(Clone::clone))]
}

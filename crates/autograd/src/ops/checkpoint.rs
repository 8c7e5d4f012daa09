//! Memory for time: values that are computed again for the backward pass, in place of being kept.

use std::fmt::{self, Debug, Formatter};

use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::engine::{forward_of_composition, gradients_of_composition};
use crate::tape::{Context, Inputs, Operation, Var, apply_computed, watch};

/// A function of variables that runs again for its gradient.
struct Checkpoint<F> {
    function: F,
    /// The shape of its result.
    shape: Shape,
}

impl<F> Debug for Checkpoint<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Checkpoint")
    }
}

impl<T: Float, F: Fn(&[Var<T>]) -> Var<T> + Send + Sync + 'static> Operation<T> for Checkpoint<F> {
    fn name(&self) -> &'static str {
        "checkpoint"
    }
    fn shape(&self, _inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(self.shape.clone()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        forward_of_composition(inputs, &self.function)
    }
    fn vjps(&self, context: &Context<T>) -> Option<Vec<Option<Var<T>>>> {
        Some(gradients_of_composition(context, |inputs| {
            let y = (self.function)(inputs);
            check_repeated(&y, context.output().value());
            y
        }))
    }
}

/// Panics unless a second run gave the same result. Infinities and NaN are equal to everything.
fn check_repeated<T: Float>(y: &Var<T>, first: &Tensor<T>) {
    let largest = first.abs().masked_fill(&first.isfinite().logical_not(), T::ZERO).sum(..).item().to_f64();
    let bound = T::from_f64(largest * 1e-3);
    let differs = y.shape() != first.shape() || (y.value() - first).abs().gt(bound).any(..).item();
    assert!(
        !differs,
        "checkpoint: the function gave another result when it ran again for the backward pass; it must depend on \
         nothing but its inputs: draw random numbers outside and give them as inputs, and checkpoint layers with \
         `checkpoint_layer`"
    );
}

/// A function of variables as one node of the tape, which keeps the inputs and the result and no value in between. For the
/// backward pass the function runs a second time (Chen et al., "Training deep nets with sublinear memory cost", 2016).
///
/// The function must give the same result each time, and all variables that it differentiates must be `inputs`. For a
/// layer with parameters there is `checkpoint_layer` of `gradus-nn`.
///
/// ```
/// use gradus_autograd::{Tape, Tensor, Var, checkpoint};
///
/// let x = Var::leaf(Tensor::<f64>::ones([100]));
/// let plain = x.exp().sin().exp().sin();
/// let thrifty = checkpoint(&[&x], |inputs| inputs[0].exp().sin().exp().sin());
/// assert_eq!((Tape::of(&plain).len(), Tape::of(&thrifty).len()), (5, 2));
/// assert_eq!(plain.sum(..).backward().get(&x), thrifty.sum(..).backward().get(&x));
/// ```
///
/// # Panics
/// If the function reads a tracked variable that is not among the inputs. The backward pass panics if the second run gives
/// another result.
#[track_caller]
pub fn checkpoint<T: Float>(
    inputs: &[&Var<T>],
    function: impl Fn(&[Var<T>]) -> Var<T> + Send + Sync + 'static,
) -> Var<T> {
    let constants: Vec<Var<T>> = inputs.iter().map(|input| Var::constant(input.numbers())).collect();
    let frame = watch::begin(|| "checkpoint");
    let y = function(&constants);
    assert!(
        !y.is_tracked(),
        "checkpoint: the function reads a variable that is not among its {} inputs, whose gradient would be lost: \
         make it an input, or `detach` it",
        inputs.len()
    );
    let shape = y.shape().into();
    apply_computed(Checkpoint { function, shape }, inputs, y.into_value(), frame)
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case};
    vec![case!(
        "checkpoint", (x, y) in broadcast_pair(), [x, y],
        |x, y| crate::checkpoint(&[x, y], |inputs| (inputs[0].sin() * &inputs[1]).exp() + &inputs[1])
    )]
}

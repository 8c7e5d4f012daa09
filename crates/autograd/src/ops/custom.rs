//! A function with a gradient of its own.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::engine::{Examples, forward_of_composition, vmap};
use crate::tape::{Batch, Context, InputGradients, Inputs, Operation, Var, apply_computed, watch};

/// A function of variables.
type Forward<T> = Arc<dyn Fn(&[Var<T>]) -> Var<T> + Send + Sync>;

/// The gradients from inputs, output and cotangent.
type Rule<T> = Arc<dyn Fn(&[Var<T>], &Var<T>, &Var<T>) -> Vec<Var<T>> + Send + Sync>;

struct CustomVjp<T: Float> {
    forward: Forward<T>,
    rule: Rule<T>,
    /// The shape of its result.
    shape: Shape,
}

impl<T: Float> Debug for CustomVjp<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("CustomVjp")
    }
}

impl<T: Float> Operation<T> for CustomVjp<T> {
    fn name(&self) -> &'static str {
        "custom_vjp"
    }
    fn shape(&self, _inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(self.shape.clone()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        forward_of_composition(inputs, &*self.forward)
    }
    fn vjps(&self, context: &Context<T>) -> Option<InputGradients<T>> {
        let inputs: Vec<Var<T>> = (0..context.inputs()).map(|input| context.input(input)).collect();
        let gradients = (self.rule)(&inputs, &context.output(), context.cotangent());
        assert!(
            gradients.len() == inputs.len(),
            "custom_vjp: the rule gives {} gradients for {} inputs: there must be one for each",
            gradients.len(),
            inputs.len()
        );
        for (i, (gradient, input)) in gradients.iter().zip(&inputs).enumerate() {
            assert!(
                gradient.shape() == input.shape(),
                "custom_vjp: the rule gives a gradient of shape {:?} for input {i} of shape {:?}: they must be equal",
                gradient.shape(),
                input.shape()
            );
        }
        Some(gradients.into_iter().map(Some).collect())
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Var<T>> {
        let axes: Vec<Option<isize>> =
            (0..batch.len()).map(|input| batch.is_batched(input).then_some(0)).collect();
        let (forward, rule) = (Arc::clone(&self.forward), Arc::clone(&self.rule));
        let (axes_of_rule, count) = ([&axes[..], &[Some(0), Some(0)]].concat(), batch.len());
        let batched = axes.clone();
        let forward: Forward<T> = Arc::new(move |inputs| {
            vmap(|x: &Examples<T>| forward(x), &inputs.iter().collect::<Vec<_>>(), &axes)
        });
        let rule: Rule<T> = Arc::new(move |inputs, output, cotangent| {
            let all: Vec<&Var<T>> = inputs.iter().chain([output, cotangent]).collect();
            let gradients =
                vmap(|x: &Examples<T>| rule(&x[..count], &x[count], &x[count + 1]), &all, &axes_of_rule);
            // An input that is the same for all examples has the sum of its gradients.
            let total = |(gradient, axis): (Var<T>, &Option<isize>)| {
                if axis.is_some() { gradient } else { gradient.sum(0) }
            };
            gradients.into_iter().zip(&batched).map(total).collect()
        });
        let inputs: Vec<Var<T>> = (0..batch.len()).map(|input| batch.given(input)).collect();
        Some(custom(&inputs.iter().collect::<Vec<_>>(), forward, rule))
    }
}

#[track_caller]
fn custom<T: Float>(inputs: &[&Var<T>], forward: Forward<T>, rule: Rule<T>) -> Var<T> {
    let constants: Vec<Var<T>> = inputs.iter().map(|input| Var::constant(input.raw())).collect();
    let frame = watch::begin(|| "custom_vjp");
    let y = forward(&constants);
    assert!(
        !y.is_tracked(),
        "custom_vjp: the function reads a variable that is not among its {} inputs, whose gradient would be lost: make it \
         an input, or `detach` it",
        inputs.len()
    );
    apply_computed(CustomVjp { forward, rule, shape: y.shape().into() }, inputs, y.into_value(), frame)
}

/// A function with a gradient of its own, as one node of the tape: `rule` gives the gradients for all inputs from inputs,
/// output and cotangent, each in the shape of its input. What it computes can itself be differentiated; forward mode and
/// [`vmap`] follow from both.
///
/// It is for a derivative that is more accurate or cheaper than what the function is made of would give, or that is another
/// one on purpose (Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013). An operation that
/// many programs use is an [`Operation`], which also says its shapes.
///
/// ```
/// use gradus_autograd::{Tensor, Var, custom_vjp};
///
/// // A step, whose gradient passes as if it were not there.
/// let x = Var::leaf(Tensor::from([0.2, 0.7]));
/// let y = custom_vjp(&[&x], |x| x[0].round(), |_, _, cotangent| vec![cotangent.clone()]);
/// assert_eq!(y.value(), &Tensor::from([0.0, 1.0]));
/// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([1.0, 1.0])));
/// ```
///
/// # Panics
/// If the function reads a tracked variable that is not among the inputs. The backward pass panics if the rule gives another
/// number of gradients, or one of another shape.
#[track_caller]
pub fn custom_vjp<T: Float>(
    inputs: &[&Var<T>],
    forward: impl Fn(&[Var<T>]) -> Var<T> + Send + Sync + 'static,
    rule: impl Fn(&[Var<T>], &Var<T>, &Var<T>) -> Vec<Var<T>> + Send + Sync + 'static,
) -> Var<T> {
    custom(inputs, Arc::new(forward), Arc::new(rule))
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    vec![case!("custom_vjp", shape in shapes(0..=3, 0..=4), [shape.clone(), shape], |x, y| {
        crate::custom_vjp(
            &[x, y],
            |x| x[0].sin() * &x[1],
            |x, _, cotangent| vec![x[0].cos() * &x[1] * cotangent, x[0].sin() * cotangent],
        )
    })]
}

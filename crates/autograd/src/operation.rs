//! The contract of an operation, built-in or a user's own.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::sync::Arc;

use gradus_tensor::{Float, Shape, Tensor};
use smallvec::SmallVec;

use crate::backward::{vjp, vjp_create_graph};
use crate::entry::{Entry, Input, Saved, address};
use crate::mode;
use crate::saves::Saves;
use crate::var::Var;
use crate::walk::Found;

/// A differentiable operation: a value with its attributes, which can compute and differentiate.
///
/// Built-in operations use nothing else. An example of a user's own, `x^3`:
///
/// ```
/// use gradus_autograd::{Context, Float, Operation, Saves, Tensor, Var, apply};
///
/// #[derive(Debug)]
/// struct Cube;
///
/// impl<T: Float> Operation<T> for Cube {
///     fn name(&self) -> &'static str {
///         "cube"
///     }
///     fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
///         inputs[0].map(|x| x * x * x)
///     }
///     fn saves(&self) -> Saves {
///         Saves::INPUTS
///     }
///     fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
///         let x = context.input(0);
///         Some(context.cotangent() * &x * &x * T::from_f64(3.0))
///     }
/// }
///
/// let x = Var::leaf(Tensor::from([1.0, 2.0]));
/// let y = apply(Cube, &[&x]);
/// assert_eq!(y.value(), &Tensor::from([1.0, 8.0]));
/// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([3.0, 12.0])));
/// ```
pub trait Operation<T: Float>: Debug + Send + Sync + 'static {
    /// The name shown on the tape and in messages.
    fn name(&self) -> &'static str;

    /// The result for these inputs. It must depend on nothing but them and the attributes.
    #[track_caller]
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T>;

    /// What the rule reads, and the tape therefore keeps. Everything, unless said otherwise.
    fn saves(&self) -> Saves {
        Saves::ALL
    }

    /// The rule: the gradient of <cotangent, output> with respect to one input, in differentiable
    /// operations, so that it can itself be differentiated.
    ///
    /// What varies with the inputs must be rebuilt from [`Context::input`] or [`Context::output`], never be
    /// carried along as a number: that would drop a term of the second derivative. The result may have any
    /// shape that the input's broadcasts to; the engine sums over the axes that were added or repeated, adds
    /// up contributions, and asks only for inputs that need a gradient.
    ///
    /// `None`, the default, says that there is no rule: a backward pass that needs it panics with the
    /// operation's name.
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let _ = (context, input);
        None
    }

    /// What the operation is as a function of its inputs. If it is linear, its derivative in a direction is
    /// the operation itself, applied to the direction, and forward mode needs no rule.
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }

    /// The rule of forward mode: what a change of one input by [`Context::tangent`] changes the output by, in
    /// differentiable operations; of any shape that broadcasts to the output's.
    ///
    /// `None`, the default, derives it from [`linearity`](Self::linearity), or else from [`vjp`](Self::vjp),
    /// which is linear in its cotangent: the gradient of the gradient with respect to the cotangent.
    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let _ = (context, input);
        None
    }
}

/// What an operation is as a function of its inputs; see [`Operation::linearity`].
///
/// ```
/// use gradus_autograd::{Linearity, Operation, Saves, Tensor, Var, apply, jvp};
///
/// #[derive(Debug)]
/// struct Reversed;
///
/// impl Operation<f64> for Reversed {
///     fn name(&self) -> &'static str {
///         "reversed"
///     }
///     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
///         inputs[0].index_select(0, &Tensor::from([2, 1, 0]))
///     }
///     fn saves(&self) -> Saves {
///         Saves::NOTHING
///     }
///     fn linearity(&self) -> Linearity {
///         Linearity::Linear
///     }
/// }
///
/// let x = Var::leaf(Tensor::from([1.0, 2.0, 3.0]));
/// let y = apply(Reversed, &[&x]);
/// assert_eq!(jvp(&y, &[&x], &[Tensor::from([4.0, 5.0, 6.0])]), Tensor::from([6.0, 5.0, 4.0]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linearity {
    /// Not linear, or nothing is said about it.
    Nonlinear,
    /// Linear in all inputs together, as a sum, a reordering or a selection is.
    Linear,
    /// Linear in each input while the others are fixed, as a product is.
    Multilinear,
}

/// Runs an operation, and writes it to the tape if an input is tracked and this thread is recording.
///
/// ```
/// use gradus_autograd::{Operation, Tape, Tensor, Var, apply};
///
/// #[derive(Debug)]
/// struct Double;
///
/// impl Operation<f64> for Double {
///     fn name(&self) -> &'static str {
///         "double"
///     }
///     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
///         inputs[0] * 2.0
///     }
/// }
///
/// let (x, c) = (Var::leaf(Tensor::from(3.0)), Var::constant(Tensor::from(3.0)));
/// assert_eq!(Tape::of(&apply(Double, &[&x])).to_string(), "\
/// %0 = leaf : [] f64
/// %1 = double %0 : [] f64
/// ");
/// assert!(!apply(Double, &[&c]).is_tracked());
/// ```
///
/// # Panics
/// As the operation does, at the caller's line.
#[track_caller]
pub fn apply<T: Float>(operation: impl Operation<T>, inputs: &[&Var<T>]) -> Var<T> {
    let value = forward(&operation, inputs);
    if is_recorded(inputs) { record(Arc::new(operation), inputs, value) } else { Var::constant(value) }
}

/// Runs the operation of an entry again, on other inputs.
#[track_caller]
pub(crate) fn apply_again<T: Float>(operation: &Arc<dyn Operation<T>>, inputs: &[&Var<T>]) -> Var<T> {
    let value = forward(&**operation, inputs);
    if is_recorded(inputs) { record(Arc::clone(operation), inputs, value) } else { Var::constant(value) }
}

/// Like [`apply`] for an operation that keeps nothing of its inputs, in the memory of the first one, if nobody else
/// needs it.
pub(crate) fn apply_inplace<T: Float>(
    operation: impl Operation<T>,
    first: Var<T>,
    second: &Var<T>,
    compute: impl FnOnce(&mut Tensor<T>, &Tensor<T>),
) -> Var<T> {
    let recorded = is_recorded(&[&first, second]);
    if recorded && mode::is_keeping_values() {
        return apply(operation, &[&first, second]);
    }
    let (mut value, entry) = first.into_parts();
    compute(&mut value, second.value());
    if !recorded {
        return Var::constant(value);
    }
    // Only the shape of the first input is recorded, and the result has the same shape.
    let first = Var::from_parts(value.clone(), entry);
    record(Arc::new(operation), &[&first, second], value)
}

#[track_caller]
fn forward<T: Float>(operation: &(impl Operation<T> + ?Sized), inputs: &[&Var<T>]) -> Tensor<T> {
    match inputs {
        // Most operations, without a list that might grow.
        [x] => operation.forward(&[x.value()]),
        [x, y] => operation.forward(&[x.value(), y.value()]),
        _ => {
            let values: SmallVec<[&Tensor<T>; 4]> = inputs.iter().map(|input| input.value()).collect();
            operation.forward(&values)
        }
    }
}

fn is_recorded<T: Float>(inputs: &[&Var<T>]) -> bool {
    mode::is_recording() && inputs.iter().any(|input| input.is_tracked())
}

fn record<T: Float>(operation: Arc<dyn Operation<T>>, inputs: &[&Var<T>], value: Tensor<T>) -> Var<T> {
    let saves = if mode::is_keeping_values() { Saves::ALL } else { operation.saves() };
    let kept = saves.kept(inputs);
    let mut remembered = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.iter().enumerate() {
        let value = if kept(i) {
            Saved::Value(input.value().clone())
        } else {
            Saved::Shape(Shape::from_slice(input.shape()))
        };
        remembered.push(Input { entry: input.entry().cloned(), value });
    }
    let output = saves.output.then(|| value.clone());
    let entry = Entry::new(Some(operation), remembered, output, value.shape());
    Var::tracked(value, entry)
}

/// What a rule may look at.
///
/// While a backward pass is itself being recorded, the values it hands out remember where they came from;
/// otherwise they are constants. That is all there is to derivatives of higher order.
///
/// ```
/// # use gradus_autograd::{Context, Operation, Tensor, Var, apply};
/// # #[derive(Debug)]
/// # struct Square;
/// impl Operation<f64> for Square {
///     // ...
///     # fn name(&self) -> &'static str {
///     #     "square"
///     # }
///     # fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
///     #     inputs[0] * inputs[0]
///     # }
///     fn vjp(&self, context: &Context<f64>, input: usize) -> Option<Var<f64>> {
///         Some(context.cotangent() * context.input(input) * 2.0)
///     }
/// }
///
/// let x = Var::leaf(Tensor::from(3.0));
/// assert_eq!(apply(Square, &[&x]).backward().get(&x), Some(&Tensor::from(6.0)));
/// ```
#[derive(Debug)]
pub struct Context<'a, T: Float> {
    entry: &'a Arc<Entry<T>>,
    /// The cotangent of the output in reverse mode, the tangent of an input in forward mode.
    given: &'a Var<T>,
    recorded: bool,
    /// The gradients of inputs that were computed together and are not asked for yet.
    together: RefCell<Vec<Option<Var<T>>>>,
    /// All gradients of a backward pass so far.
    found: Option<&'a RefCell<Found<T>>>,
    /// Whether the rule has taken the gradient of its input so far.
    taken: Cell<bool>,
}

impl<'a, T: Float> Context<'a, T> {
    pub(crate) fn new(entry: &'a Arc<Entry<T>>, given: &'a Var<T>) -> Self {
        let recorded = mode::is_recording();
        Self { entry, given, recorded, together: RefCell::default(), found: None, taken: Cell::new(false) }
    }

    /// The same within a backward pass that has found these gradients.
    pub(crate) fn within(self, found: &'a RefCell<Found<T>>) -> Self {
        Self { found: Some(found), ..self }
    }

    /// The gradient with respect to the output, in its shape.
    ///
    /// ```
    /// # use gradus_autograd::{Context, Operation, Tensor, Var, apply};
    /// # #[derive(Debug)]
    /// # struct Double;
    /// # impl Operation<f64> for Double {
    /// #     fn name(&self) -> &'static str {
    /// #         "double"
    /// #     }
    /// #     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    /// #         inputs[0] * 2.0
    /// #     }
    /// // The rule of 2 x:
    /// fn vjp(&self, context: &Context<f64>, _input: usize) -> Option<Var<f64>> {
    ///     Some(context.cotangent() * 2.0)
    /// }
    /// # }
    /// # let x = Var::leaf(Tensor::from(5.0));
    /// # assert_eq!((apply(Double, &[&x]) * 3.0).backward().get(&x), Some(&Tensor::from(6.0)));
    /// ```
    pub fn cotangent(&self) -> &'a Var<T> {
        self.given
    }

    /// In [`Operation::jvp`]: the change of the input, in its shape.
    ///
    /// ```
    /// # use gradus_autograd::{Context, Operation, Tensor, Var, apply, jvp};
    /// # #[derive(Debug)]
    /// # struct Double;
    /// # impl Operation<f64> for Double {
    /// #     fn name(&self) -> &'static str {
    /// #         "double"
    /// #     }
    /// #     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    /// #         inputs[0] * 2.0
    /// #     }
    /// // The rule of 2 x:
    /// fn jvp(&self, context: &Context<f64>, _input: usize) -> Option<Var<f64>> {
    ///     Some(context.tangent() * 2.0)
    /// }
    /// # }
    /// # let x = Var::leaf(Tensor::from(5.0));
    /// # assert_eq!(jvp(&apply(Double, &[&x]), &[&x], &[Tensor::from(3.0)]), Tensor::from(6.0));
    /// ```
    pub fn tangent(&self) -> &'a Var<T> {
        self.given
    }

    /// An input.
    ///
    /// ```
    /// # use gradus_autograd::{Context, Operation, Saves, Tensor, Var, apply};
    /// # #[derive(Debug)]
    /// # struct Product;
    /// # impl Operation<f64> for Product {
    /// #     fn name(&self) -> &'static str {
    /// #         "product"
    /// #     }
    /// #     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    /// #         inputs[0] * inputs[1]
    /// #     }
    /// fn saves(&self) -> Saves {
    ///     Saves::OTHER_INPUTS
    /// }
    /// // The rule of x y, for either:
    /// fn vjp(&self, context: &Context<f64>, input: usize) -> Option<Var<f64>> {
    ///     Some(context.cotangent() * context.input(1 - input))
    /// }
    /// # }
    /// # let (x, y) = (Var::leaf(Tensor::from(5.0)), Var::leaf(Tensor::from(7.0)));
    /// # let gradients = apply(Product, &[&x, &y]).backward();
    /// # assert_eq!(gradients.get(&x), Some(&Tensor::from(7.0)));
    /// # assert_eq!(gradients.get(&y), Some(&Tensor::from(5.0)));
    /// ```
    ///
    /// # Panics
    /// If the operation does not list it in [`Operation::saves`].
    #[track_caller]
    pub fn input(&self, input: usize) -> Var<T> {
        let entry = self.entry.inputs[input].entry.clone().filter(|_| self.recorded);
        Var::from_parts(self.input_value(input).clone(), entry)
    }

    /// The number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.entry.inputs.len()
    }

    /// Whether there is such an input.
    pub(crate) fn has_input(&self, input: usize) -> bool {
        input < self.entry.inputs.len()
    }

    /// The numbers of an input.
    #[track_caller]
    pub(crate) fn input_value(&self, input: usize) -> &'a Tensor<T> {
        let Some(value) = self.entry.inputs[input].value.value() else {
            self.not_saved(&format!("input {input}"))
        };
        value
    }

    /// The output.
    ///
    /// ```
    /// # use gradus_autograd::{Context, Operation, Saves, Tensor, Var, apply};
    /// # #[derive(Debug)]
    /// # struct Exp;
    /// # impl Operation<f64> for Exp {
    /// #     fn name(&self) -> &'static str {
    /// #         "exp"
    /// #     }
    /// #     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    /// #         inputs[0].exp()
    /// #     }
    /// fn saves(&self) -> Saves {
    ///     Saves::OUTPUT
    /// }
    /// // The rule of e^x:
    /// fn vjp(&self, context: &Context<f64>, _input: usize) -> Option<Var<f64>> {
    ///     Some(context.cotangent() * context.output())
    /// }
    /// # }
    /// # let x = Var::leaf(Tensor::from(2.0));
    /// # assert_eq!(apply(Exp, &[&x]).backward().get(&x), Some(&Tensor::from(2.0_f64.exp())));
    /// ```
    ///
    /// # Panics
    /// If the operation does not list it in [`Operation::saves`].
    #[track_caller]
    pub fn output(&self) -> Var<T> {
        Var::from_parts(self.output_value().clone(), self.recorded.then(|| Arc::clone(self.entry)))
    }

    /// The numbers of the output.
    #[track_caller]
    pub(crate) fn output_value(&self) -> &'a Tensor<T> {
        let Some(value) = &self.entry.output else { self.not_saved("the output") };
        value
    }

    /// The shape of an input, which need not be saved.
    ///
    /// ```
    /// # use gradus_autograd::{Context, Operation, Saves, Tensor, Var, apply};
    /// # #[derive(Debug)]
    /// # struct Total;
    /// # impl Operation<f64> for Total {
    /// #     fn name(&self) -> &'static str {
    /// #         "total"
    /// #     }
    /// #     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    /// #         inputs[0].sum(..)
    /// #     }
    /// fn saves(&self) -> Saves {
    ///     Saves::NOTHING
    /// }
    /// // The rule of the sum of all elements:
    /// fn vjp(&self, context: &Context<f64>, input: usize) -> Option<Var<f64>> {
    ///     Some(context.cotangent().expand(context.shape(input)))
    /// }
    /// # }
    /// # let x = Var::leaf(Tensor::from([2.0, 3.0]));
    /// # assert_eq!(apply(Total, &[&x]).backward().get(&x), Some(&Tensor::from([1.0, 1.0])));
    /// ```
    pub fn shape(&self, input: usize) -> &'a [usize] {
        self.entry.inputs[input].value.shape()
    }

    /// Whether the rule's own operations are being recorded, for a derivative of higher order.
    ///
    /// ```
    /// # use gradus_autograd::{Context, Operation, Tensor, Var, apply, grad, grad_create_graph};
    /// # #[derive(Debug)]
    /// # struct Sin;
    /// # impl Operation<f64> for Sin {
    /// #     fn name(&self) -> &'static str {
    /// #         "sin"
    /// #     }
    /// #     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    /// #         inputs[0].sin()
    /// #     }
    /// // The rule of sin(x), in one loop where nothing is recorded:
    /// fn vjp(&self, context: &Context<f64>, input: usize) -> Option<Var<f64>> {
    ///     let (g, x) = (context.cotangent(), context.input(input));
    ///     Some(if context.is_recorded() {
    ///         g * x.cos()
    ///     } else {
    ///         g.value().zip("sin", x.value(), |g, x| g * x.cos()).into()
    ///     })
    /// }
    /// # }
    /// # let x = Var::leaf(Tensor::from(2.0));
    /// # let y = apply(Sin, &[&x]);
    /// # assert_eq!(grad(&y, &[&x])[0].item(), 2.0_f64.cos());
    /// # let first = grad_create_graph(&y, &[&x]).remove(0);
    /// # assert_eq!((first.item(), grad(&first, &[&x])[0].item()), (2.0_f64.cos(), -2.0_f64.sin()));
    /// ```
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The gradient for one input, where those of all inputs are computed in one go: when the first is asked for.
    pub(crate) fn computed_together(&self, input: usize, compute: impl FnOnce() -> Vec<Tensor<T>>) -> Var<T> {
        self.made_together(input, || compute().into_iter().map(Var::from).collect())
    }

    /// Like [`computed_together`](Self::computed_together), in differentiable operations.
    pub(crate) fn made_together(&self, input: usize, make: impl FnOnce() -> Vec<Var<T>>) -> Var<T> {
        let mut together = self.together.borrow_mut();
        if together.is_empty() {
            *together = make().into_iter().map(Some).collect();
        }
        // Handed out, so that whoever adds it to another can do so in place.
        together[input].take().expect("each input is asked for once")
    }

    /// The gradient accumulated for an input so far, or zeros if there is none.
    ///
    /// For a rule that only adds to some places of it, and gives the result as the gradient: so the gradient of a
    /// tensor that was read in many small parts does not cost its whole size for each of them.
    pub(crate) fn gradient_so_far(&self, input: usize) -> Var<T> {
        let take = || {
            let origin = self.entry.inputs[input].entry.as_ref()?;
            let mut found = self.found?.borrow_mut();
            let (_, gradient) = found.get_mut(&address(origin))?;
            self.taken.set(true);
            // Anything may stand there until the rule's result does.
            Some(std::mem::replace(gradient, self.given.clone()))
        };
        take().unwrap_or_else(|| Var::constant(Tensor::scalar(T::ZERO).expand(self.shape(input))))
    }

    /// Whether the last rule has taken the [gradient so far](Self::gradient_so_far).
    pub(crate) fn has_taken(&self) -> bool {
        self.taken.take()
    }

    /// The gradient for one input as that of the same function composed of other operations.
    pub(crate) fn of_composition(
        &self,
        input: usize,
        composition: impl FnOnce(&[Var<T>]) -> Var<T>,
    ) -> Var<T> {
        let inputs: Vec<Var<T>> = (0..self.entry.inputs.len())
            .map(|i| match (self.recorded, i == input) {
                // A variable of its own: an input may depend on another, and its own gradient flows there later.
                (true, _) => self.input(i).reshape(self.shape(i)),
                (false, true) => Var::leaf(self.input_value(i)),
                (false, false) => self.input(i),
            })
            .collect();
        let y = mode::with_recording(true, || composition(&inputs));
        let gradient = if !y.is_tracked() {
            None
        } else if self.recorded {
            vjp_create_graph(&y, self.given, &[&inputs[input]]).remove(0)
        } else {
            vjp(&y, self.given.value(), &[&inputs[input]]).remove(0)
        };
        gradient.unwrap_or_else(|| Var::constant(Tensor::zeros(self.shape(input))))
    }

    #[track_caller]
    fn not_saved(&self, what: &str) -> ! {
        panic!("{}: the gradient rule reads {what}, which `saves` does not list", self.entry.name())
    }
}

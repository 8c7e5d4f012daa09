//! The contract of an operation, built-in or a user's own.

use std::fmt::Debug;
use std::sync::Arc;

use gradus_tensor::{Float, Tensor};
use smallvec::SmallVec;

use crate::entry::{Entry, Input, Saved};
use crate::mode::{self, Mode};
use crate::var::Var;

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
}

/// What an operation keeps for its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saves {
    inputs: SavedInputs,
    output: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SavedInputs {
    None,
    Others,
    All,
}

impl Saves {
    /// Shapes only.
    pub const NOTHING: Self = Self { inputs: SavedInputs::None, output: false };
    /// All inputs.
    pub const INPUTS: Self = Self { inputs: SavedInputs::All, output: false };
    /// For the gradient of each input only the other inputs, as in a product.
    pub const OTHER_INPUTS: Self = Self { inputs: SavedInputs::Others, output: false };
    /// The output.
    pub const OUTPUT: Self = Self { inputs: SavedInputs::None, output: true };
    /// All inputs and the output.
    pub const ALL: Self = Self { inputs: SavedInputs::All, output: true };

    /// Whether input `i` is kept.
    fn keeps<T: Float>(self, i: usize, inputs: &[&Var<T>]) -> bool {
        match self.inputs {
            SavedInputs::None => false,
            SavedInputs::Others => (0..inputs.len()).any(|j| j != i && inputs[j].is_tracked()),
            SavedInputs::All => true,
        }
    }
}

/// Runs an operation, and writes it to the tape if an input is tracked and this thread is recording.
///
/// # Panics
/// As the operation does, at the caller's line.
#[track_caller]
pub fn apply<T: Float>(operation: impl Operation<T>, inputs: &[&Var<T>]) -> Var<T> {
    let values: SmallVec<[&Tensor<T>; 4]> = inputs.iter().map(|input| input.value()).collect();
    let value = operation.forward(&values);
    let mode = mode::current();
    if mode == Mode::Off || !inputs.iter().any(|input| input.is_tracked()) {
        return Var::constant(value);
    }
    let saves = if mode == Mode::KeepValues { Saves::ALL } else { operation.saves() };
    let remember = |(i, input): (usize, &&Var<T>)| Input {
        entry: input.entry().cloned(),
        value: if saves.keeps(i, inputs) {
            Saved::Value(input.value().clone())
        } else {
            Saved::Shape(input.shape().into())
        },
    };
    let remembered = inputs.iter().enumerate().map(remember).collect();
    let output = saves.output.then(|| value.clone());
    let entry = Entry::new(Some(Box::new(operation)), remembered, output, value.shape());
    Var::tracked(value, entry)
}

/// What a rule may look at.
///
/// While a backward pass is itself being recorded, the values it hands out remember where they came from;
/// otherwise they are constants. That is all there is to derivatives of higher order.
#[derive(Debug)]
pub struct Context<'a, T: Float> {
    entry: &'a Arc<Entry<T>>,
    cotangent: &'a Var<T>,
    recorded: bool,
}

impl<'a, T: Float> Context<'a, T> {
    pub(crate) fn new(entry: &'a Arc<Entry<T>>, cotangent: &'a Var<T>) -> Self {
        Self { entry, cotangent, recorded: mode::current() != Mode::Off }
    }

    /// The gradient with respect to the output, in its shape.
    pub fn cotangent(&self) -> &'a Var<T> {
        self.cotangent
    }

    /// An input.
    ///
    /// # Panics
    /// If the operation does not list it in [`Operation::saves`].
    #[track_caller]
    pub fn input(&self, input: usize) -> Var<T> {
        let Input { entry, value } = &self.entry.inputs[input];
        let Some(value) = value.value() else { self.not_saved(&format!("input {input}")) };
        Var::from_parts(value.clone(), entry.clone().filter(|_| self.recorded))
    }

    /// The output.
    ///
    /// # Panics
    /// If the operation does not list it in [`Operation::saves`].
    #[track_caller]
    pub fn output(&self) -> Var<T> {
        let Some(value) = &self.entry.output else { self.not_saved("the output") };
        Var::from_parts(value.clone(), self.recorded.then(|| Arc::clone(self.entry)))
    }

    /// The shape of an input, which need not be saved.
    pub fn shape(&self, input: usize) -> &'a [usize] {
        self.entry.inputs[input].value.shape()
    }

    /// Whether the rule's own operations are being recorded, for a derivative of higher order.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    #[track_caller]
    fn not_saved(&self, what: &str) -> ! {
        panic!("{}: the gradient rule reads {what}, which `saves` does not list", self.entry.name())
    }
}

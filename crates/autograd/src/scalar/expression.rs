//! The reading of a scalar function as an expression: a list of steps.

use std::cell::RefCell;
use std::fmt::{self, Display, Formatter};

use gradus_tensor::Float;
use smallvec::SmallVec;

use super::real::{Lift, Plain, Real};
use super::vocabulary::{real_functions, real_operators};

/// A function of some numbers as a list of steps, each made from steps before it; the last one is the result.
///
/// Elementwise operations have one: see [`Operation::expression`](crate::Operation::expression). Equal steps are one
/// step. It prints as the tape does, with the arguments first:
///
/// ```
/// use gradus_autograd::{Tape, Tensor, Var};
///
/// let y = Var::leaf(Tensor::from(0.5)).silu();
/// let expression = Tape::of(&y).iter().last().unwrap().expression().unwrap();
/// assert_eq!(expression.to_string(), "%0 = argument\n%1 = sigmoid %0\n%2 = mul %0 %1\nresult %2");
/// assert_eq!(expression.evaluate(&[0.5]), y.item());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    steps: Vec<Step>,
    result: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Argument(usize),
    Constant(f64),
    Function(Function, SmallVec<[usize; 3]>),
}

/// The function that a step applies to its operands: the name of a method of [`Real`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Function {
    Unary(&'static str),
    Binary(&'static str),
    Polygamma(usize),
    Select,
}

impl Expression {
    /// The expression of a text with some arguments.
    ///
    /// The text comes by reference: every scalar function has one, and this would be compiled for each of them.
    pub(crate) fn of(arguments: usize, text: &dyn for<'a> Fn(&[Symbol<'a>]) -> Symbol<'a>) -> Self {
        let steps = RefCell::new((0..arguments).map(Step::Argument).collect());
        let symbols: SmallVec<[Symbol<'_>; 3]> =
            (0..arguments).map(|index| Symbol { steps: &steps, index }).collect();
        let result = text(&symbols).index;
        Self { steps: steps.take(), result }
    }

    /// The value for these arguments.
    ///
    /// # Panics
    /// If there are fewer arguments than the expression has.
    #[track_caller]
    pub fn evaluate<T: Float>(&self, arguments: &[T]) -> T {
        let arguments: SmallVec<[Plain<T>; 3]> = arguments.iter().copied().map(Plain).collect();
        self.read(&arguments).0
    }

    /// An expression without steps, to add some to.
    pub(crate) fn new() -> Self {
        Self { steps: Vec::new(), result: 0 }
    }

    /// Adds an argument, the next one, and gives the number of its step.
    pub(crate) fn add_argument(&mut self) -> usize {
        self.steps.push(Step::Argument(self.arguments()));
        self.steps.len() - 1
    }

    /// Adds the steps of another expression, whose arguments are these steps, and gives the number of its result, which becomes
    /// the result of this one.
    pub(crate) fn add(&mut self, other: &Self, arguments: &[usize]) -> usize {
        let mut places: Vec<usize> = Vec::with_capacity(other.steps.len());
        for step in &other.steps {
            let step = match step {
                Step::Argument(argument) => {
                    places.push(arguments[*argument]);
                    continue;
                }
                Step::Constant(_) => step.clone(),
                Step::Function(function, operands) => {
                    Step::Function(*function, operands.iter().map(|&operand| places[operand]).collect())
                }
            };
            self.steps.push(step);
            places.push(self.steps.len() - 1);
        }
        self.result = places[other.result];
        self.result
    }

    /// The number of arguments.
    pub(crate) fn arguments(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Argument(_))).count()
    }

    /// Reads the steps in order: an argument is something by its number; any other step, a constant or the name of a
    /// function with its operands, becomes something by `step`. `None` if a step becomes nothing.
    pub(crate) fn each_step<R: Copy>(
        &self,
        argument: impl Fn(usize) -> R,
        mut step: impl FnMut(Result<(&str, SmallVec<[R; 3]>), f64>) -> Option<R>,
    ) -> Option<R> {
        let mut results: Vec<R> = Vec::with_capacity(self.steps.len());
        for each in &self.steps {
            let result = match each {
                Step::Argument(index) => argument(*index),
                Step::Constant(number) => step(Err(*number))?,
                Step::Function(function, operands) => {
                    let operands = operands.iter().map(|&operand| results[operand]).collect();
                    let name = match function {
                        Function::Unary(name) | Function::Binary(name) => name,
                        Function::Select => "select",
                        Function::Polygamma(_) => return None,
                    };
                    step(Ok((name, operands)))?
                }
            };
            results.push(result);
        }
        Some(results[self.result])
    }

    /// The value in another reading.
    #[track_caller]
    pub(crate) fn read<R: Real>(&self, arguments: &[R]) -> R {
        let mut values: Vec<R> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let value = match step {
                Step::Argument(index) => arguments[*index],
                Step::Constant(number) => arguments[0].constant(*number),
                Step::Function(function, operands) => {
                    let operand = |i: usize| values[operands[i]];
                    match function {
                        Function::Unary("neg") => -operand(0),
                        Function::Unary("softplus") => operand(0).softplus(),
                        Function::Unary(name) => unary(name, operand(0)),
                        Function::Binary(name) => binary(name, operand(0), operand(1)),
                        Function::Polygamma(order) => operand(0).polygamma(*order),
                        Function::Select => operand(0).select(operand(1), operand(2)),
                    }
                }
            };
            values.push(value);
        }
        values[self.result]
    }
}

real_functions! { each evaluate }
real_functions! { binary evaluate_binary }
real_functions! { comparison evaluate_comparison }

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Argument(_) => writeln!(f, "%{i} = argument")?,
                Step::Constant(number) => writeln!(f, "%{i} = {number}")?,
                Step::Function(function, operands) => {
                    write!(f, "%{i} = ")?;
                    match function {
                        Function::Unary(name) | Function::Binary(name) => f.write_str(name)?,
                        Function::Polygamma(order) => write!(f, "polygamma_{order}")?,
                        Function::Select => f.write_str("select")?,
                    }
                    for operand in operands {
                        write!(f, " %{operand}")?;
                    }
                    writeln!(f)?;
                }
            }
        }
        write!(f, "result %{}", self.result)
    }
}

/// A step of an expression that is being made.
#[derive(Clone, Copy)]
pub(crate) struct Symbol<'a> {
    steps: &'a RefCell<Vec<Step>>,
    index: usize,
}

impl Symbol<'_> {
    /// Adds a step, unless there is an equal one.
    fn make(self, step: Step) -> Self {
        let mut steps = self.steps.borrow_mut();
        let index = steps.iter().position(|other| *other == step).unwrap_or_else(|| {
            steps.push(step);
            steps.len() - 1
        });
        Self { index, ..self }
    }

    fn step(self, function: Function, others: &[Self]) -> Self {
        let operands = std::iter::once(self.index).chain(others.iter().map(|other| other.index));
        self.make(Step::Function(function, operands.collect()))
    }
}

impl Real for Symbol<'_> {
    real_functions! { each symbolic }
    real_functions! { binary symbolic_binary }
    real_functions! { comparison symbolic_binary }

    fn softplus(self) -> Self {
        self.step(Function::Unary("softplus"), &[])
    }
    fn polygamma(self, order: usize) -> Self {
        self.step(Function::Polygamma(order), &[])
    }
    fn select(self, if_true: impl Lift<Self>, if_false: impl Lift<Self>) -> Self {
        self.step(Function::Select, &[if_true.lift(self), if_false.lift(self)])
    }
    fn constant(self, value: f64) -> Self {
        self.make(Step::Constant(value))
    }
}

real_operators! {
    ['a] Symbol<'a>, |x, y|
    Add add + x.step(Function::Binary("add"), &[y]);
    Sub sub - x.step(Function::Binary("sub"), &[y]);
    Mul mul * x.step(Function::Binary("mul"), &[y]);
    Div div / x.step(Function::Binary("div"), &[y]);
    Neg neg - x.step(Function::Unary("neg"), &[]);
}

//! Operations with random inputs, for the test suite.

use std::fmt::{self, Debug, Formatter};
use std::ops::Range;
use std::sync::Arc;

use gradus_tensor::{Float, Tensor, seeded};
use proptest::prelude::*;

use super::check::check_law;
use super::error::{GradientError, Law};
use super::layout::relayout;
use super::measure::{EXACT, Failure, Tolerance, compare, pullback};
use super::vmap;
use crate::compile::{self, External, Member, Plan};
use crate::engine::{replay, vjp};
use crate::tape::node::Node;
use crate::tape::{Operand, OperandValue, Tape, Var, keep_values};

/// A function of some variables.
type SharedFunction<T> = Arc<dyn Fn(&[Var<T>]) -> Var<T> + Send + Sync>;

/// A function of some variables, in both precisions.
#[derive(Clone)]
pub struct Functions {
    /// In `f64`.
    pub double: SharedFunction<f64>,
    /// The same in `f32`.
    pub single: SharedFunction<f32>,
}

/// A differentiable operation by the name of its method, and a strategy for inputs and attributes; made
/// with [`case!`](macro@case).
#[derive(Debug, Clone)]
pub struct Case {
    /// The name of the method or function.
    pub name: &'static str,
    /// Random inputs and attributes.
    pub samples: BoxedStrategy<Sample>,
}

/// One set of inputs, and the operation with its attributes.
#[derive(Clone)]
pub struct Sample {
    name: &'static str,
    attributes: String,
    inputs: Vec<Tensor<f64>>,
    /// Others of the same shapes and ranges.
    others: Vec<Tensor<f64>>,
    functions: Functions,
    seed: u64,
}

impl Case {
    /// A case of attributes drawn from `strategy`; see [`case!`](macro@case).
    pub fn new<V: Debug + 'static>(
        name: &'static str,
        strategy: impl Strategy<Value = V> + 'static,
        inputs: impl Fn(&V) -> Vec<(Vec<usize>, Range<f64>)> + 'static,
        functions: impl Fn(V) -> Functions + 'static,
    ) -> Self {
        let sample = move |(value, layouts, seed): (V, [u32; 4], u64)| {
            let specifications = inputs(&value);
            Sample {
                name,
                attributes: format!("{value:?}"),
                inputs: random_inputs(&specifications, layouts, seed),
                others: random_inputs(&specifications, layouts, seed.wrapping_add(1)),
                functions: functions(value),
                seed,
            }
        };
        let layouts = prop_oneof![Just([0; 4]), any::<[u32; 4]>()];
        Self { name, samples: (strategy, layouts, any::<u64>()).prop_map(sample).boxed() }
    }
}

/// Inputs in their ranges, no two numbers close to each other: at ties many functions have a kink, where
/// differences mean nothing.
fn random_inputs(
    specifications: &[(Vec<usize>, Range<f64>)],
    layouts: [u32; 4],
    seed: u64,
) -> Vec<Tensor<f64>> {
    let counts: Vec<usize> = specifications.iter().map(|(shape, _)| shape.iter().product()).collect();
    let total: usize = counts.iter().sum();
    let mut rng = seeded(seed);
    // Every number has a cell of its own, in random order, and lies in the middle half of it.
    let keys = Tensor::<f64>::rand([total], &mut rng).to_vec();
    let mut cells: Vec<usize> = (0..total).collect();
    cells.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    let jitter = Tensor::<f64>::rand([total], &mut rng).to_vec();
    let mut numbers =
        cells.iter().zip(jitter).map(|(&cell, jitter)| (cell as f64 + 0.25 + jitter / 2.0) / total as f64);
    let mut input = |((shape, range), layout): (&(Vec<usize>, Range<f64>), u32)| {
        let count = shape.iter().product();
        let data: Vec<f64> =
            numbers.by_ref().take(count).map(|x| range.start + x * (range.end - range.start)).collect();
        relayout(&Tensor::from(data).reshape(shape.as_slice()), layout, f64::NAN)
    };
    specifications.iter().zip(layouts.into_iter().cycle()).map(&mut input).collect()
}

impl Sample {
    /// The inputs.
    pub fn inputs(&self) -> &[Tensor<f64>] {
        &self.inputs
    }

    /// The operation applied to the inputs as leaves.
    pub fn run(&self) -> Var<f64> {
        let leaves: Vec<Var<f64>> = self.inputs.iter().map(Var::leaf).collect();
        self.run_on(&leaves)
    }

    /// The operation applied to variables of the shapes of [`inputs`](Self::inputs).
    pub fn run_on(&self, inputs: &[Var<f64>]) -> Var<f64> {
        (self.functions.double)(inputs)
    }

    /// Holds the operation against one law.
    ///
    /// # Errors
    /// If the law is broken.
    pub fn check(&self, law: Law) -> Result<(), GradientError> {
        match law {
            Law::Precision => return self.check_precision(),
            Law::Shape => return self.check_shape(),
            Law::Replay => return self.check_replay(),
            Law::Vmap => return self.check_vmap(),
            Law::Compiled => return self.check_compiled(),
            _ => (),
        }
        check_law(law, &|xs| vec![self.run_on(xs)], &self.inputs, self.seed)
    }

    /// All operations behind values and gradients predict the shapes of their results.
    fn check_shape(&self) -> Result<(), GradientError> {
        let y = self.run();
        let leaves: Vec<Var<f64>> = self.inputs.iter().chain([y.value()]).map(Var::leaf).collect();
        let results = keep_values(|| {
            let mut results = pullback(&|xs| vec![self.run_on(xs)], self.inputs.len())(&leaves);
            results.push(self.run_on(&leaves[..self.inputs.len()]));
            results
        });
        let wrong =
            |node: &&Arc<Node<f64>>| !matches!(node.expected_shape(), Some(Ok(shape)) if shape == node.shape);
        for y in &results {
            if let Some(node) = Tape::of(y).nodes().iter().find(wrong) {
                let failure = Failure::of_number(Law::Shape, 0.0, 0.0);
                return Err(failure.report(self.inputs.clone(), Some(node.name()), Vec::new()));
            }
        }
        Ok(())
    }

    /// The recorded forward pass, run again on other inputs, gives the bits of a fresh one.
    fn check_replay(&self) -> Result<(), GradientError> {
        let leaves: Vec<Var<f64>> = self.inputs.iter().map(Var::leaf).collect();
        let y = keep_values(|| self.run_on(&leaves));
        let others: Vec<(&Var<f64>, &Tensor<f64>)> = leaves.iter().zip(&self.others).collect();
        let fresh = self.run_on(&self.others.iter().map(Var::constant).collect::<Vec<_>>());
        compare(Law::Replay, 0, &replay(&y, &others), fresh.value(), EXACT)
            .map_err(|failure| self.report(failure))
    }

    /// Three examples, of which two are alike.
    fn check_vmap(&self) -> Result<(), GradientError> {
        let examples = [self.inputs.clone(), self.others.clone(), self.inputs.clone()];
        vmap::holds(&|x| self.run_on(x), &examples, self.seed).map_err(|failure| self.report(failure))
    }

    /// Value and gradients, compiled on these inputs and run on others, are the bits of fresh ones.
    fn check_compiled(&self) -> Result<(), GradientError> {
        let shape = self.run().shape().to_vec();
        let cotangent = Tensor::randn(shape, &mut seeded(self.seed));
        let run = |leaves: &[Var<f64>]| -> Vec<Var<f64>> {
            let y = self.run_on(leaves);
            let all: Vec<&Var<f64>> = leaves.iter().collect();
            let gradients = if y.is_tracked() { vjp(&y, &cotangent, &all) } else { Vec::new() };
            std::iter::once(y).chain(gradients.into_iter().flatten()).collect()
        };
        let leaves: Vec<Var<f64>> = self.inputs.iter().map(Var::leaf).collect();
        let (results, trace) = compile::trace::<f64, _>(|| run(&leaves));
        let results: Vec<Operand<f64>> = results.iter().map(Operand::Var).collect();
        let members: Vec<Member<f64>> = leaves.iter().map(|leaf| Member::Var(Operand::Var(leaf))).collect();
        let mut program = Plan::new(trace, &results, &[], &members, &[]);
        let fresh = run(&self.others.iter().map(Var::leaf).collect::<Vec<_>>());
        let mut others = self.others.clone();
        // Twice: a run must not change what the next one reads.
        for _ in 0..2 {
            let mut members: Vec<External<f64>> = others.iter_mut().map(External::Number).collect();
            let mut got = Vec::new();
            for value in program.run(&[], &mut members, &mut |_, _, _, _| ()) {
                let OperandValue::Number(value) = value else { unreachable!("the results are numbers") };
                got.push(value.clone());
            }
            for (i, (got, fresh)) in got.iter().zip(&fresh).enumerate() {
                compare(Law::Compiled, i.saturating_sub(1), got, fresh.value(), EXACT)
                    .map_err(|failure| self.report(failure))?;
            }
        }
        Ok(())
    }

    /// In `f32` values and gradients are within 64 epsilon of those in `f64` at the same inputs, measured
    /// against the largest number among them (or 1, if that is larger).
    fn check_precision(&self) -> Result<(), GradientError> {
        let single: Vec<Tensor<f32>> = self.inputs.iter().map(Tensor::cast).collect();
        let double: Vec<Tensor<f64>> = single.iter().map(Tensor::cast).collect();
        let cotangent = |shape: &[usize]| Tensor::<f32>::randn(shape, &mut seeded(self.seed));
        let (value, gradients) =
            value_and_gradients(&*self.functions.single, &single, |shape| cotangent(shape));
        let (expected, expected_gradients) =
            value_and_gradients(&*self.functions.double, &double, |shape| cotangent(shape).cast());
        let tolerance = Tolerance { relative: 64.0 * f64::from(f32::EPSILON), floor: 1.0 };
        let pairs = std::iter::once((value, expected)).chain(gradients.into_iter().zip(expected_gradients));
        for (i, (got, expected)) in pairs.enumerate() {
            compare(Law::Precision, i.saturating_sub(1), &got.cast(), &expected, tolerance)
                .map_err(|failure| self.report(failure))?;
        }
        Ok(())
    }

    fn report(&self, failure: Failure) -> GradientError {
        failure.report(self.inputs.clone(), Some(self.name), Vec::new())
    }
}

fn value_and_gradients<T: Float>(
    function: &dyn Fn(&[Var<T>]) -> Var<T>,
    inputs: &[Tensor<T>],
    cotangent: impl Fn(&[usize]) -> Tensor<T>,
) -> (Tensor<T>, Vec<Tensor<T>>) {
    let leaves: Vec<Var<T>> = inputs.iter().map(Var::leaf).collect();
    let y = function(&leaves);
    let value = y.value().clone();
    let gradients = y.is_tracked().then(|| y.backward_with(&cotangent(value.shape())));
    let gradient = |leaf: &Var<T>| match gradients.as_ref().and_then(|gradients| gradients.get(leaf)) {
        Some(gradient) => gradient.clone(),
        None => Tensor::zeros(leaf.shape()),
    };
    (value, leaves.iter().map(gradient).collect())
}

impl Debug for Sample {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {}", self.name, self.attributes)?;
        for (i, input) in self.inputs.iter().enumerate() {
            write!(f, "\n  input {i}, strides {:?}: {input:?}", input.strides())?;
        }
        Ok(())
    }
}

/// A [`Case`]: a name, attributes drawn from a strategy, the shape and the range of each input (-2 to 2 if none is
/// given), and the function, which is compiled for `f64` and `f32`.
///
/// ```
/// use gradus_autograd::testing::{case, shapes};
///
/// let case = case!("double", (shape, factor) in (shapes(0..=3, 0..=5), 1.0..3.0), [shape], |x| {
///     x.leaky_relu(factor)
/// });
/// assert_eq!(case.name, "double");
/// ```
#[macro_export]
#[doc(hidden)]
macro_rules! __case {
    ($name:expr, $pattern:pat in $strategy:expr, [$($shape:expr $(=> $range:expr)?),+ $(,)?], |$($x:ident),+| $body:expr $(,)?) => {
        $crate::testing::Case::new(
            $name,
            $strategy,
            |value| {
                #[allow(unused_variables, reason = "some attributes are not part of a shape")]
                let $pattern = value.clone();
                vec![$((::std::vec::Vec::from($shape), $crate::__case!(@range $($range)?))),+]
            },
            |value| $crate::testing::Functions {
                double: $crate::__case!(@function f64, value, $pattern, [$($x),+], $body),
                single: $crate::__case!(@function f32, value, $pattern, [$($x),+], $body),
            },
        )
    };
    (@range) => { -2.0..2.0 };
    (@range $range:expr) => { $range };
    (@function $type:ty, $value:ident, $pattern:pat, [$($x:ident),+], $body:expr) => {{
        let value = $value.clone();
        ::std::sync::Arc::new(move |vars: &[$crate::Var<$type>]| {
            #[allow(unused_variables, reason = "a shape is not part of the function")]
            let $pattern = value.clone();
            let [$($x),+] = vars else { panic!("the number of inputs and of arguments differ") };
            $body
        })
    }};
}
pub use crate::__case as case;

//! The terms of the laws: values, gradients, their products, and the comparison of two results.

use gradus_tensor::shapes::place_of;
use gradus_tensor::{Tensor, Xoshiro256PlusPlus};

use super::error::{GradientError, Law};
use crate::engine::{vjp, vjp_create_graph};
use crate::tape::Var;

/// A function with any number of inputs and outputs.
pub(super) type Function<'a> = dyn Fn(&[Var<f64>]) -> Vec<Var<f64>> + 'a;

/// Two numbers that should agree and do not, and their place.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) law: Law,
    pub(super) input: usize,
    pub(super) element: Vec<usize>,
    pub(super) analytic: f64,
    pub(super) numeric: f64,
}

impl Failure {
    /// Of a single number, which belongs to no element.
    pub(super) fn of_number(law: Law, analytic: f64, numeric: f64) -> Self {
        Self { law, input: 0, element: Vec::new(), analytic, numeric }
    }

    pub(super) fn report(
        self,
        inputs: Vec<Tensor<f64>>,
        operation: Option<&'static str>,
        tape: Vec<&'static str>,
    ) -> GradientError {
        let Self { law, input, element, analytic, numeric } = self;
        GradientError { law, operation, input, element, analytic, numeric, inputs, tape }
    }
}

/// The largest allowed difference: `relative` times the largest among them, or `floor` if that is larger.
#[derive(Clone, Copy)]
pub(super) struct Tolerance {
    pub(super) relative: f64,
    pub(super) floor: f64,
}

/// For the same computation.
pub(super) const EXACT: Tolerance = Tolerance { relative: 0.0, floor: 1.0 };

/// For the same computation in another order.
pub(super) const ROUNDING: Tolerance = Tolerance { relative: 1e-11, floor: 1e-3 };

/// Compares tensors that should be equal; NaN agrees with NaN only.
pub(super) fn compare(
    law: Law,
    input: usize,
    got: &Tensor<f64>,
    expected: &Tensor<f64>,
    tolerance: Tolerance,
) -> Result<(), Failure> {
    let magnitude = expected
        .iter()
        .chain(got.iter())
        .filter(|x| x.is_finite())
        .fold(tolerance.floor, |m, x| m.max(x.abs()));
    let wrong = |a: f64, b: f64| match (a == b, a.is_nan() && b.is_nan()) {
        (false, false) if (a - b).is_finite() => (a - b).abs() / (tolerance.relative * magnitude),
        (false, false) => f64::INFINITY,
        _ => 0.0,
    };
    let worst = got
        .iter()
        .zip(expected.iter())
        .map(|(a, b)| wrong(a, b))
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1));
    match worst {
        Some((at, excess)) if excess > 1.0 => Err(Failure {
            law,
            input,
            element: place_of(at, got.shape()).to_vec(),
            analytic: got.flatten(..).select(0, at as isize).item(),
            numeric: expected.flatten(..).select(0, at as isize).item(),
        }),
        _ => Ok(()),
    }
}

pub(super) fn compare_all(
    law: Law,
    got: &[Tensor<f64>],
    expected: &[Tensor<f64>],
    tolerance: Tolerance,
) -> Result<(), Failure> {
    (0..got.len()).try_for_each(|i| compare(law, i, &got[i], &expected[i], tolerance))
}

pub(super) fn randn_like(tensors: &[Tensor<f64>], rng: &mut Xoshiro256PlusPlus) -> Vec<Tensor<f64>> {
    tensors.iter().map(|tensor| Tensor::randn(tensor.shape(), rng)).collect()
}

/// <x, y>, and the sum of its terms without their signs: what rounding and tolerance are measured against.
pub(super) fn contract(x: &[Tensor<f64>], y: &[Tensor<f64>]) -> (f64, f64) {
    let terms: Vec<f64> = x.iter().zip(y).flat_map(|(x, y)| (x * y).to_vec()).collect();
    (terms.iter().sum(), terms.iter().map(|term| term.abs()).sum())
}

/// A function at some inputs.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) f: &'a Function<'a>,
    pub(super) inputs: &'a [Tensor<f64>],
}

impl Point<'_> {
    /// The values at constant inputs.
    pub(super) fn values(self) -> Vec<Tensor<f64>> {
        let constants: Vec<Var<f64>> = self.inputs.iter().map(Var::constant).collect();
        (self.f)(&constants).into_iter().map(Var::into_value).collect()
    }

    /// Random cotangents of the outputs.
    pub(super) fn cotangents(self, rng: &mut Xoshiro256PlusPlus) -> Vec<Tensor<f64>> {
        randn_like(&self.values(), rng)
    }

    /// The gradients of the sum of <cotangent, output> over all outputs; zeros where there is no path.
    pub(super) fn gradients(self, cotangents: &[Tensor<f64>]) -> Vec<Tensor<f64>> {
        self.gradients_of(cotangents, |_| true)
    }

    /// The same while only some inputs are tracked; zeros for the others.
    pub(super) fn gradients_of(
        self,
        cotangents: &[Tensor<f64>],
        tracked: impl Fn(usize) -> bool,
    ) -> Vec<Tensor<f64>> {
        let var = |(i, x)| if tracked(i) { Var::leaf(x) } else { Var::constant(x) };
        let vars: Vec<Var<f64>> = self.inputs.iter().enumerate().map(var).collect();
        let leaves: Vec<&Var<f64>> = vars.iter().filter(|var| var.is_tracked()).collect();
        let mut sums: Vec<Tensor<f64>> = self.inputs.iter().map(|x| Tensor::zeros(x.shape())).collect();
        for (y, cotangent) in (self.f)(&vars).iter().zip(cotangents).filter(|(y, _)| y.is_tracked()) {
            let mut found = vjp(y, cotangent, &leaves).into_iter();
            for (_, sum) in sums.iter_mut().enumerate().filter(|(i, _)| tracked(*i)) {
                if let Some(gradient) = found.next().flatten() {
                    assert_eq!(
                        gradient.shape(),
                        sum.shape(),
                        "a gradient must have the shape of its variable"
                    );
                    *sum += gradient.value();
                }
            }
        }
        sums
    }
}

/// The gradients of `f` as a function themselves: of the inputs followed by the cotangents.
pub(super) fn pullback<'a>(f: &'a Function<'a>, inputs: usize) -> impl Fn(&[Var<f64>]) -> Vec<Var<f64>> + 'a {
    move |all| {
        let leaf = |var: &Var<f64>| if var.is_tracked() { var.clone() } else { Var::leaf(var.value()) };
        let xs: Vec<Var<f64>> = all[..inputs].iter().map(leaf).collect();
        let leaves: Vec<&Var<f64>> = xs.iter().collect();
        let mut sums: Vec<Option<Var<f64>>> = vec![None; inputs];
        for (y, cotangent) in f(&xs).iter().zip(&all[inputs..]).filter(|(y, _)| y.is_tracked()) {
            for (sum, gradient) in sums.iter_mut().zip(vjp_create_graph(y, cotangent, &leaves)) {
                *sum = match (sum.take(), gradient) {
                    (Some(sum), Some(gradient)) => Some(sum + gradient),
                    (sum, gradient) => sum.or(gradient),
                };
            }
        }
        sums.into_iter()
            .zip(&xs)
            .map(|(sum, x)| sum.unwrap_or_else(|| Tensor::zeros(x.shape()).into()))
            .collect()
    }
}

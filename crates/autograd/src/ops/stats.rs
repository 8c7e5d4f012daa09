//! How far elements lie from their mean, and from zero.

use gradus_tensor::shapes::{norm_shape, reduced_shape};
use gradus_tensor::{Axes, Float, Shape, Tensor, TensorError};

use super::index::zeros;
use super::linear::linear_operations;
use super::reduce::Reduced;
use super::{chained, divided};
use crate::tape::{Context, Inputs, Operation, Saves, Var, apply};

linear_operations! {
    /// The elements less their mean over axes.
    Linear Centre(axes: Shape): "centre",
        shape |x| Ok(x[0].into()),
        forward |x| x[0].centred(axes.clone()),
        // A projection is its own adjoint.
        vjp |context, _| centred(context.cotangent(), axes);
}

/// The elements less their mean over axes, as [`Tensor::centred`] computes them.
pub(super) fn centred<T: Float>(x: &Var<T>, axes: &Shape) -> Var<T> {
    apply(Centre(axes.clone()), &[x])
}

#[derive(Debug)]
struct Variance {
    over: Reduced,
    correction: usize,
}

impl Variance {
    /// The degrees of freedom.
    fn freedom<T: Float>(&self, shape: &[usize]) -> T {
        T::from_f64(self.over.count(shape).saturating_sub(self.correction) as f64)
    }
}

impl<T: Float> Operation<T> for Variance {
    fn name(&self) -> &'static str {
        "var"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(reduced_shape("var", inputs[0], &self.over.axes()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].var(self.over.axes(), self.correction)
    }
    fn saves(&self) -> Saves {
        Saves::INPUTS
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let x = context.input(0);
        let freedom = self.freedom::<T>(x.shape()).into();
        let g = divided(&(self.over.restore(context.cotangent(), x.shape()) * T::from_f64(2.0)), &freedom);
        Some(chained(&centred(&x, &self.over.axes), &g))
    }
    fn jvp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let x = context.input(0);
        let products = chained(&centred(&x, &self.over.axes), context.tangent());
        Some(products.sum(self.over.axes()) * T::from_f64(2.0) / self.freedom::<T>(x.shape()))
    }
}

#[derive(Debug)]
struct StandardDeviation(Variance);

impl<T: Float> Operation<T> for StandardDeviation {
    fn name(&self) -> &'static str {
        "std"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(reduced_shape("std", inputs[0], &self.0.over.axes()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].std(self.0.over.axes(), self.0.correction)
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let Self(Variance { over, correction }) = self;
        let std = |x: &Var<T>| x.std(over.axes(), *correction);
        let (x, y) = moved_into_range(over, context.input(0), context.output(), std);
        let scale = divided(&quotient(context.cotangent(), &y), &self.0.freedom::<T>(x.shape()).into());
        Some(chained(&centred(&x, &over.axes), &over.restore(&scale, x.shape())))
    }
}

/// `g / y`, and 0 where y is 0, with the derivative 0.
fn quotient<T: Float>(g: &Var<T>, y: &Var<T>) -> Var<T> {
    let zero = y.value().eq(T::ZERO);
    divided(&g.masked_fill(&zero, T::ZERO), &y.masked_fill(&zero, T::ONE))
}

/// A variable and a norm of it, both divided by a power of two in lanes where a quotient by the norm may be out of range:
/// the derivative is the same there.
fn moved_into_range<T: Float>(
    over: &Reduced,
    x: Var<T>,
    y: Var<T>,
    norm: impl Fn(&Var<T>) -> Var<T>,
) -> (Var<T>, Var<T>) {
    let [smallest, largest] = [T::MIN_POSITIVE, T::MAX].map(Float::sqrt);
    let fits = |y: T| y == T::ZERO || y.is_nan() || (smallest <= y && y <= largest);
    if y.value().iter().all(fits) {
        return (x, y);
    }
    let unit = |y: T| match y {
        y if fits(y) => T::ONE,
        y if y.is_finite() => y.power_of_two(),
        // The norm of numbers may be too large to be one.
        _ => T::MAX.power_of_two(),
    };
    let units = over.restore(&Var::constant(y.value().map(unit)), x.shape());
    let x = x / units;
    let y = norm(&x);
    (x, y)
}

/// A norm whose derivative is not that of a simpler reduction.
#[derive(Debug)]
struct Norm {
    p: f64,
    over: Reduced,
}

impl<T: Float> Operation<T> for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(norm_shape(inputs[0], self.p, &self.over.axes()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].norm(self.p, self.over.axes())
    }
    fn saves(&self) -> Saves {
        if self.p == 0.0 { Saves::NOTHING } else { Saves::ALL }
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        if self.p == 0.0 {
            // It counts, and does not change with a small change.
            return Some(zeros(context.shape(0)));
        }
        let norm = |x: &Var<T>| x.norm(self.p, self.over.axes());
        let (x, y) = moved_into_range(&self.over, context.input(0), context.output(), norm);
        let g = context.cotangent();
        if self.p == 2.0 {
            return Some(chained(&x, &self.over.restore(&quotient(g, &y), x.shape())));
        }
        // sign(x) (|x| / y)^(p - 1), and 0 where x or y is. No power of the quotient is out of range.
        let [no_x, no_y] = [&x, &y].map(|number| number.value().eq(T::ZERO));
        let y = self.over.restore(&y.masked_fill(&no_y, T::ONE), x.shape());
        let powers = (x.masked_fill(&no_x, T::ONE).abs() / y).pow_scalar(self.p - 1.0) * x.value().sign();
        Some(chained(&powers, &self.over.restore(&g.masked_fill(&no_y, T::ZERO), x.shape())))
    }
}

impl<T: Float> Var<T> {
    /// The variance over the axes: the sum of squared distances from the mean, divided by the number of
    /// elements less `correction` (1 for the unbiased estimate, 0 for the mean of squares), which leaves 0
    /// where there are not so many: NaN for equal elements.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 2.0, 3.0]));
    /// let y = x.var(.., 1);
    /// assert_eq!(y.item(), 1.0);
    /// assert_eq!(y.backward().get(&x), Some(&Tensor::from([-1.0, 0.0, 1.0])));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn var(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        apply(Variance { over: Reduced::new("var", axes, self.shape()), correction }, &[self])
    }

    /// The standard deviation over the axes: the square root of [`var`](Self::var). Where all elements are equal,
    /// the derivative is 0.
    ///
    /// See [`Tensor::std`](gradus_tensor::Tensor::std) for shapes and panics.
    #[track_caller]
    pub fn std(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        let over = Reduced::new("std", axes, self.shape());
        apply(StandardDeviation(Variance { over, correction }), &[self])
    }

    /// The `p`-norm over the axes, (sum |x|^p)^(1/p): 2 for the length, 1 for the sum of distances from zero,
    /// infinity for the largest of these and -infinity for the smallest, 0 for the number of elements other than 0.
    ///
    /// The derivative is 0 where the norm is, and with respect to an element that is 0. Several that are equally far
    /// from zero share that of an infinite `p` evenly.
    ///
    /// See [`Tensor::norm`](gradus_tensor::Tensor::norm) for shapes and panics.
    #[track_caller]
    pub fn norm(&self, p: f64, axes: impl Into<Axes>) -> Self {
        let over = Reduced::new("norm", axes, self.shape());
        if p == 1.0 {
            self.abs().sum(over.axes())
        } else if p == f64::INFINITY {
            self.abs().max(over.axes())
        } else if p == f64::NEG_INFINITY {
            self.abs().min(over.axes())
        } else {
            apply(Norm { p, over }, &[self])
        }
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, reductions};
    use proptest::prelude::*;
    let exponents = || {
        let infinities = prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY)];
        prop_oneof![2 => prop::sample::select(vec![0.0, 1.0, 2.0, 3.0, -1.0]), 1 => infinities, 2 => 0.5..3.0]
    };
    vec![
        case!("var", (shape, axes) in reductions(1), [shape => -2.0..2.0], |x| x.var(axes, 0)),
        case!("std", (shape, axes) in reductions(2), [shape => -2.0..2.0], |x| x.std(axes, 0)),
        case!(
            "norm", ((shape, axes), p, negative) in (reductions(1), exponents(), any::<bool>()),
            [shape => 0.5..2.0], |x| (if negative { -x } else { x.clone() }).norm(p, axes)
        ),
    ]
}

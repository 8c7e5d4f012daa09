//! Variances, standard deviations and norms.

use gradus_tensor::shapes::{norm_shape, reduced_shape};
use gradus_tensor::{Axes, Float, Shape};

use super::index::zeros;
use super::operations::operations;
use super::reduce::{Reduced, behind_batch};
use super::{chained, divided};
use crate::tape::{Saves, Var, apply};

operations! {
    /// The elements less their mean over axes.
    Linear Centre(axes: Shape): "centre",
        shape |x| Ok(x[0].into()),
        forward |x| x[0].centred(axes.clone()),
        // A projection is its own adjoint.
        vjp |context, _| centred(context.cotangent(), axes),
        batched |batch| batch.apply(Self(behind_batch(axes)));

    Nonlinear Variance { over: Reduced, correction: usize }: "var", saves Saves::INPUTS,
        shape |x| reduced_shape("var", x[0], &over.axes()),
        forward |x| x[0].var(over.axes(), *correction),
        vjp |context, _| {
            let x = context.input(0);
            let g = over.restore(context.cotangent(), x.shape()) * T::from_f64(2.0);
            chained(&centred(&x, &over.axes), &divided(&g, &freedom(over, *correction, x.shape())))
        },
        jvp |context, _| {
            let x = context.input(0);
            let products = chained(&centred(&x, &over.axes), context.tangent());
            products.sum(over.axes()) * T::from_f64(2.0) / freedom(over, *correction, x.shape())
        },
        batched |batch| batch.apply(Self { over: over.behind_batch(), correction: *correction });

    Nonlinear StandardDeviation { over: Reduced, correction: usize }: "std",
        shape |x| reduced_shape("std", x[0], &over.axes()),
        forward |x| x[0].std(over.axes(), *correction),
        vjp |context, _| {
            let std = |x: &Var<T>| x.std(over.axes(), *correction);
            let (x, y) = moved_into_range(over, context.input(0), context.output(), std);
            let scale = divided(&quotient(context.cotangent(), &y), &freedom(over, *correction, x.shape()));
            chained(&centred(&x, &over.axes), &over.restore(&scale, x.shape()))
        },
        batched |batch| batch.apply(Self { over: over.behind_batch(), correction: *correction });

    /// A norm whose derivative is not the derivative of a simpler reduction.
    Nonlinear Norm { p: f64, over: Reduced }: "norm", saves if *p == 0.0 { Saves::NOTHING } else { Saves::ALL },
        shape |x| norm_shape(x[0], *p, &over.axes()),
        forward |x| x[0].norm(*p, over.axes()),
        vjp |context, _| {
            if *p == 0.0 {
                // A count does not change with a small change of the elements.
                return Some(zeros(context.shape(0)));
            }
            let norm = |x: &Var<T>| x.norm(*p, over.axes());
            let (x, y) = moved_into_range(over, context.input(0), context.output(), norm);
            let g = context.cotangent();
            if *p == 2.0 {
                return Some(chained(&x, &over.restore(&quotient(g, &y), x.shape())));
            }
            // sign(x) (|x| / y)^(p - 1), and 0 where x or y is 0. No power of the quotient is out of range.
            let [no_x, no_y] = [&x, &y].map(|number| number.value().eq(T::ZERO));
            let y = over.restore(&y.masked_fill(&no_y, T::ONE), x.shape());
            let powers = (x.masked_fill(&no_x, T::ONE).abs() / y).pow_scalar(p - 1.0) * x.value().sign();
            chained(&powers, &over.restore(&g.masked_fill(&no_y, T::ZERO), x.shape()))
        },
        batched |batch| batch.apply(Self { p: *p, over: over.behind_batch() });
}

/// The elements less their mean over axes, as [`Tensor::centred`](gradus_tensor::Tensor::centred) computes them.
pub(super) fn centred<T: Float>(x: &Var<T>, axes: &Shape) -> Var<T> {
    apply(Centre(axes.clone()), &[x])
}

/// The degrees of freedom.
fn freedom<T: Float>(over: &Reduced, correction: usize, shape: &[usize]) -> Var<T> {
    T::from_f64(over.count(shape).saturating_sub(correction) as f64).into()
}

/// `g / y`, and 0 where y is 0, with the derivative 0.
fn quotient<T: Float>(g: &Var<T>, y: &Var<T>) -> Var<T> {
    let zero = y.value().eq(T::ZERO);
    divided(&g.masked_fill(&zero, T::ZERO), &y.masked_fill(&zero, T::ONE))
}

/// A variable and a norm of it, both divided by a power of two in lanes where a quotient by the norm may be out of
/// range: the derivative is the same there.
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

impl<T: Float> Var<T> {
    /// The variance over the axes: the sum of squared distances from the mean, divided by the number of elements less
    /// `correction` (1 for the unbiased estimate, 0 for the mean of squares). A difference below 0 counts as 0, and
    /// makes the variance of equal elements NaN.
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
        apply(StandardDeviation { over, correction }, &[self])
    }

    /// The `p`-norm over the axes, (sum |x|^p)^(1/p): 2 for the length, 1 for the sum of distances from zero,
    /// infinity for the largest distance and -infinity for the smallest, 0 for the number of elements other than 0.
    ///
    /// The derivative is 0 where the norm is 0, and with respect to an element that is 0. For an infinite `p`,
    /// elements that are equally far from zero share the derivative evenly.
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
        case!("var", (shape, axes) in reductions(1), [shape], |x| x.var(axes, 0)),
        case!("std", (shape, axes) in reductions(2), [shape], |x| x.std(axes, 0)),
        case!(
            "norm", ((shape, axes), p, negative) in (reductions(1), exponents(), any::<bool>()),
            [shape => 0.5..2.0], |x| (if negative { -x } else { x.clone() }).norm(p, axes)
        ),
    ]
}

//! Derivatives that are functions in their own right.
//!
//! A second derivative comes from the text of the first one. Where that text, differentiated, would overflow, vanish
//! or cancel, the derivative is a function here, whose own derivative is written so that it does not.

use crate::scalar::{BinaryFunction, UnaryFunction};
use crate::scalar::{Literal, Real};
use crate::tape::Saves;

/// Declares functions of the input, each with its name on the tape and its derivative.
macro_rules! slopes {
    ($($(#[$doc:meta])* $struct:ident $name:literal |$x:ident| $function:expr, $derivative:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $struct;

        impl UnaryFunction for $struct {
            const NAME: &'static str = $name;
            const SAVES: Saves = Saves::INPUTS;
            #[inline(always)]
            fn function<R: Real>(&self, $x: R) -> R where f64: Literal<R> {
                $function
            }
            #[inline(always)]
            fn derivative<R: Real>(&self, $x: R) -> R where f64: Literal<R> {
                $derivative
            }
        }
    )*};
}

slopes! {
    /// e^(-x^2), without the error of the rounded square.
    Bell "bell" |x| {
        let x = within_30(x);
        // The square of a multiple of 1/16 is exact.
        let near = (x * 16.0).round() / 16.0;
        (-near * near).exp() * ((near - x) * (near + x)).exp()
    }, { let x = within_30(x); -2.0 * x * x.apply(Bell) };

    /// 1 / sqrt(1 - x^2).
    AsinSlope "asin_slope" |x| ((1.0 - x) * (1.0 + x)).rsqrt(), {
        let y = x.apply(AsinSlope);
        x * y * y * y
    };
    /// 1 / (1 + x^2), also where the square overflows.
    AtanSlope "atan_slope" |x| {
        let inverse = x.reciprocal();
        x.abs().gt(1.0).select(inverse / (x + inverse), (x * x + 1.0).reciprocal())
    }, {
        let y = x.apply(AtanSlope);
        -2.0 * (finite(x) * y) * y
    };
    /// 1 / sqrt(x^2 + 1).
    AsinhSlope "asinh_slope" |x| x.hypot(x.constant(1.0)).reciprocal(), {
        let y = x.apply(AsinhSlope);
        -(finite(x) * y) * y * y
    };
    /// 1 / sqrt(x^2 - 1).
    AcoshSlope "acosh_slope" |x| (x.abs() - 1.0).rsqrt() * (x.abs() + 1.0).rsqrt(), {
        let y = x.apply(AcoshSlope);
        -(finite(x) * y) * y * y
    };
    /// 1 / (1 - x^2).
    AtanhSlope "atanh_slope" |x| ((1.0 - x) * (1.0 + x)).reciprocal(), {
        let y = x.apply(AtanhSlope);
        2.0 * (finite(x) * y) * y
    };
}

/// Beyond 30, e^(-x^2) is 0, and so are all its derivatives.
#[inline(always)]
fn within_30<R: Real>(x: R) -> R {
    let x = x.lt(-30.0).select(-30.0, x);
    x.gt(30.0).select(30.0, x)
}

/// 0 in place of infinity, where the other factor is 0.
#[inline(always)]
fn finite<R: Real>(x: R) -> R {
    x.abs().eq(f64::INFINITY).select(0.0, x)
}

/// The cosine of the angle of the point (x, y), x / sqrt(x^2 + y^2); NaN at the origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Direction;

impl BinaryFunction for Direction {
    const NAME: &'static str = "direction";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, y: R) -> R
    where
        f64: Literal<R>,
    {
        let scale = moderate(x, y);
        let (x, y) = (x * scale, y * scale);
        x / x.hypot(y)
    }
    #[inline(always)]
    fn derivatives<R: Real>(&self, x: R, y: R) -> [R; 2]
    where
        f64: Literal<R>,
    {
        let (cos, sin) = (x.apply_with(y, Direction), y.apply_with(x, Direction));
        let infinite = one_is_infinite(x, y);
        let curvature = sin / x.hypot(y);
        [infinite.select(0.0, sin * curvature), infinite.select(0.0, -cos * curvature)]
    }
}

/// x / (x^2 + y^2); NaN at the origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct AngleSlope;

impl BinaryFunction for AngleSlope {
    const NAME: &'static str = "angle_slope";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, y: R) -> R
    where
        f64: Literal<R>,
    {
        let scale = moderate(x, y);
        let (x, y) = (x * scale, y * scale);
        let length = x.hypot(y);
        x / length / length * scale
    }
    #[inline(always)]
    fn derivatives<R: Real>(&self, x: R, y: R) -> [R; 2]
    where
        f64: Literal<R>,
    {
        let (cos, sin) = (x.apply_with(y, Direction), y.apply_with(x, Direction));
        let infinite = one_is_infinite(x, y);
        let length = x.hypot(y);
        let by_x = (sin - cos) / length * ((sin + cos) / length);
        [infinite.select(0.0, by_x), infinite.select(0.0, -2.0 * (cos / length) * (sin / length))]
    }
}

/// A power of two for both coordinates: the length of a point may be infinite where the point is not, and has few
/// digits where it is subnormal.
#[inline(always)]
fn moderate<R: Real>(x: R, y: R) -> R {
    let size = x.abs().gt(y.abs()).select(x.abs(), y.abs());
    size.lt(1e-18).select(18446744073709551616.0, size.gt(1e18).select(0.25, size.constant(1.0)))
}

/// Whether one coordinate is infinite and the other one finite: there, the direction does not change.
#[inline(always)]
fn one_is_infinite<R: Real>(x: R, y: R) -> R {
    x.hypot(y).eq(f64::INFINITY) * (x.abs().lt(f64::INFINITY) + y.abs().lt(f64::INFINITY))
}

/// Derivative `order` of x^y with respect to x: y (y - 1) ... times x^(y - order).
#[derive(Debug, Clone, Copy)]
pub(super) struct Power {
    pub(super) order: usize,
}

impl Power {
    /// y (y - 1) ..., `order` factors.
    #[inline(always)]
    fn factor<R: Real>(self, y: R) -> R {
        (0..self.order).fold(y.constant(1.0), |product, k| product * (y - k as f64))
    }

    /// The derivative of [`factor`](Self::factor).
    #[inline(always)]
    fn factor_slope<R: Real>(self, y: R) -> R {
        (0..self.order).fold(y.constant(0.0), |sum, left_out| {
            let others = (0..self.order).filter(|&k| k != left_out);
            sum + others.fold(y.constant(1.0), |product, k| product * (y - k as f64))
        })
    }
}

impl BinaryFunction for Power {
    const NAME: &'static str = "pow";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, y: R) -> R
    where
        f64: Literal<R>,
    {
        if self.order == 0 {
            return x.pow(y);
        }
        // Where y is small, y - order loses its digits, and the power may overflow where its product with y does not.
        let divide = y.lt(0.5) * (x.lt(0.0) + x.gt(0.0)) * x.abs().lt(f64::INFINITY);
        let power = x.pow(divide.select(y, y - self.order as f64));
        let divisor = divide.select(x, 1.0);
        let factor = self.factor(y);
        let product = (0..self.order).fold(factor * power, |product, _| product / divisor);
        // 0 also times an infinite power.
        factor.eq(0.0).select(0.0, product)
    }
    #[inline(always)]
    fn derivatives<R: Real>(&self, x: R, y: R) -> [R; 2]
    where
        f64: Literal<R>,
    {
        // Where 0 times infinity would be NaN, what is infinite is replaced.
        let order = self.order as f64;
        let zero = x.eq(0.0) * y.ge(order);
        let log = zero.select(1.0, x).log();
        let power = x.pow(y - order);
        let by_exponent = if self.order == 0 {
            zero.select(0.0, power * log)
        } else {
            let flat = y.eq(0.0) * (1.0 - x.gt(0.0) - x.lt(0.0));
            flat.select(0.0, power * (self.factor_slope(y) + self.factor(y) * log))
        };
        [x.apply_with(y, Power { order: self.order + 1 }), by_exponent]
    }
}

/// Derivative `order` of x^exponent, the exponent a constant.
#[derive(Debug, Clone, Copy)]
pub(super) struct PowerOf {
    pub(super) exponent: f64,
    pub(super) order: usize,
}

impl UnaryFunction for PowerOf {
    const NAME: &'static str = "pow_scalar";
    const SAVES: Saves = Saves::INPUTS;
    #[inline(always)]
    fn function<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        Power { order: self.order }.function(x, x.constant(self.exponent))
    }
    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        x.apply(Self { order: self.order + 1, ..*self })
    }
}

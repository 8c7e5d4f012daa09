//! Comparisons, and the operations on the truth values that they give.

use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not};

use crate::element::{Element, Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::kernels::{self, Fold};
use crate::shape::{Axes, Shape, broadcast_shapes};
use crate::tensor::Tensor;

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident $literal:literal $op:tt)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, other: impl Into<Self>) -> Tensor<bool> {
            self.zip($literal, &other.into(), #[inline(always)] |x, y| x $op y)
        }
    )*};
}

/// Comparisons of each element with a number or with the elements of a tensor that broadcasts. A comparison with NaN is
/// false, except that NaN is not equal (`ne`) to anything. The methods panic if the shapes do not broadcast.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([1, 2, 3]);
/// assert_eq!(x.lt(2), Tensor::from([true, false, false]));
/// assert_eq!(x.ge(Tensor::from([[2], [3]])), Tensor::from([[false, true, true], [false, false, true]]));
/// ```
impl<T: Element> Tensor<T> {
    comparisons! {
        /// Whether elements are equal: `x == y`. (The operator `==` compares whole tensors.)
        eq "eq" ==
        /// Whether elements differ: `x != y`.
        ne "ne" !=
        /// Whether elements are less: `x < y`.
        lt "lt" <
        /// Whether elements are less or equal: `x <= y`.
        le "le" <=
        /// Whether elements are greater: `x > y`.
        gt "gt" >
        /// Whether elements are greater or equal: `x >= y`.
        ge "ge" >=
    }
}

impl<T: Float> Tensor<T> {
    /// Whether elements are NaN.
    pub fn isnan(&self) -> Tensor<bool> {
        self.map(Number::is_nan)
    }

    /// Whether elements are infinite, of either sign.
    pub fn isinf(&self) -> Tensor<bool> {
        self.map(
            #[inline(always)]
            |x| x.abs() == T::INFINITY,
        )
    }

    /// Whether elements are neither NaN nor infinite.
    pub fn isfinite(&self) -> Tensor<bool> {
        self.map(Float::is_finite)
    }
}

macro_rules! logic {
    ($($(#[$doc:meta])* $name:ident $literal:literal |$x:ident, $y:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, other: impl Into<Self>) -> Self {
            self.zip($literal, &other.into(), #[inline(always)] |$x, $y| $result)
        }
    )*};
}

/// Truth values of each element. The methods panic if the shapes do not broadcast. The operators `&`, `|`, `^` and `!` are
/// `logical_and`, `logical_or`, `logical_xor` and `logical_not`, on every mix of owned and borrowed tensors and `bool`.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([-1.0, f64::NAN, 2.0]);
/// assert_eq!(x.gt(0.0).where_(&x, 0.0), Tensor::from([0.0, 0.0, 2.0]));
/// assert_eq!(x.gt(0.0) | x.isnan(), Tensor::from([false, true, true]));
/// assert_eq!(!x.isfinite(), x.isnan());
/// assert_eq!(x.lt(3.0).count(..).item(), 2);
///
/// // Accuracy: the share of equal elements.
/// let (predictions, targets) = (Tensor::from([1, 0, 2, 2]), Tensor::from([1, 0, 2, 1]));
/// assert_eq!(predictions.eq(&targets).cast::<f32>().mean(..).item(), 0.75);
/// ```
impl Tensor<bool> {
    /// The elements of `if_true` where this tensor is true, and of `if_false` where it is false; all three broadcast.
    #[track_caller]
    pub fn where_<T: Element>(
        &self,
        if_true: impl Into<Tensor<T>>,
        if_false: impl Into<Tensor<T>>,
    ) -> Tensor<T> {
        let (if_true, if_false) = (if_true.into(), if_false.into());
        let shape = where_shape(self.shape(), if_true.shape(), if_false.shape()).or_panic();
        let chosen = kernels::choose(&shape, self.strided(), if_true.strided(), if_false.strided());
        Tensor::from_buffer(chosen, &shape)
    }

    logic! {
        /// Whether both are true.
        logical_and "logical_and" |x, y| x && y;
        /// Whether at least one is true.
        logical_or "logical_or" |x, y| x || y;
        /// Whether exactly one is true.
        logical_xor "logical_xor" |x, y| x != y;
    }

    /// Whether this is false.
    pub fn logical_not(&self) -> Self {
        self.map(
            #[inline(always)]
            |x| !x,
        )
    }

    /// The number of true elements over the axes.
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn count(&self, axes: impl Into<Axes>) -> Tensor<i64> {
        self.reduce_with("count", axes.into(), |x, axes| {
            kernels::reduce(x, axes, &Fold(i64::from, |count, x| count + i64::from(x), 0))
        })
    }
}

macro_rules! logical_operators {
    ($($trait:ident $method:ident $assign_trait:ident $assign:ident $logical:ident;)*) => {$(
        logical_operators!(@impl $trait $method $logical, Tensor<bool>, Tensor<bool>, |x, y| (x, y));
        logical_operators!(@impl $trait $method $logical, Tensor<bool>, &Tensor<bool>, |x, y| (x, y));
        logical_operators!(@impl $trait $method $logical, &Tensor<bool>, Tensor<bool>, |x, y| (x, y));
        logical_operators!(@impl $trait $method $logical, &Tensor<bool>, &Tensor<bool>, |x, y| (x, y));
        logical_operators!(@impl $trait $method $logical, Tensor<bool>, bool, |x, y| (x, y));
        logical_operators!(@impl $trait $method $logical, &Tensor<bool>, bool, |x, y| (x, y));
        logical_operators!(@impl $trait $method $logical, bool, Tensor<bool>, |x, y| (Tensor::scalar(x), y));
        logical_operators!(@impl $trait $method $logical, bool, &Tensor<bool>, |x, y| (Tensor::scalar(x), y));

        impl<B: Into<Tensor<bool>>> $assign_trait<B> for Tensor<bool> {
            #[track_caller]
            fn $assign(&mut self, other: B) {
                self.zip_assign(stringify!($assign), &other.into(), #[inline(always)] |x, y| x.$method(y));
            }
        }
    )*};
    (@impl $trait:ident $method:ident $logical:ident, $left:ty, $right:ty, |$x:ident, $y:ident| ($l:expr, $r:expr)) => {
        impl $trait<$right> for $left {
            type Output = Tensor<bool>;
            #[track_caller]
            fn $method(self, $y: $right) -> Tensor<bool> {
                let $x = self;
                $l.$logical($r)
            }
        }
    };
}
logical_operators! {
    BitAnd bitand BitAndAssign bitand_assign logical_and;
    BitOr bitor BitOrAssign bitor_assign logical_or;
    BitXor bitxor BitXorAssign bitxor_assign logical_xor;
}

impl Not for Tensor<bool> {
    type Output = Self;
    fn not(self) -> Self {
        self.logical_not()
    }
}

impl Not for &Tensor<bool> {
    type Output = Tensor<bool>;
    fn not(self) -> Tensor<bool> {
        self.logical_not()
    }
}

/// The shape of [`Tensor::where_`].
#[doc(hidden)]
pub fn where_shape(mask: &[usize], if_true: &[usize], if_false: &[usize]) -> Result<Shape, TensorError> {
    broadcast_shapes("where", mask, &broadcast_shapes("where", if_true, if_false)?)
}

//! Values that stand in for a variable.

use std::borrow::Cow;

use gradus_tensor::{Float, Tensor};

use super::var::Var;

/// A variable, or a value that turns into a constant one: a tensor, a number, or numbers in an array, a slice or a `Vec`.
/// Layers and losses take it, owned or borrowed, and so can functions of your own.
///
/// ```
/// use gradus_autograd::{AsVar, Tensor, Var};
///
/// fn square(x: impl AsVar<f64>) -> Var<f64> {
///     x.as_var().square()
/// }
///
/// let x = Tensor::from([1.0, 2.0]);
/// assert_eq!(square(&x).value(), square([1.0, 2.0]).value());
/// assert!(square(Var::leaf(x)).is_tracked());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a variable of `{T}`, nor does it turn into one",
    label = "a `Var<{T}>`, a `Tensor<{T}>` or numbers of type `{T}` are expected here",
    note = "convert a tensor of other numbers with `.cast::<{T}>()`; indices of classes are a `Tensor<i64>`, for `cross_entropy` and `nll_loss`"
)]
pub trait AsVar<T: Float = f32> {
    /// The variable, borrowed if there is one.
    fn as_var(&self) -> Cow<'_, Var<T>>;
}

impl<T: Float> AsVar<T> for Var<T> {
    fn as_var(&self) -> Cow<'_, Var<T>> {
        Cow::Borrowed(self)
    }
}

impl<T: Float, V: AsVar<T> + ?Sized> AsVar<T> for &V {
    fn as_var(&self) -> Cow<'_, Var<T>> {
        (**self).as_var()
    }
}

impl<T: Float> AsVar<T> for Cow<'_, Var<T>> {
    fn as_var(&self) -> Cow<'_, Var<T>> {
        Cow::Borrowed(self)
    }
}

/// Constants, by their conversions into tensors.
macro_rules! constants {
    ($([$($generics:tt)*] $source:ty, $element:ty;)*) => {$(
        impl<$($generics)*> AsVar<$element> for $source {
            fn as_var(&self) -> Cow<'_, Var<$element>> {
                Cow::Owned(Var::constant(Tensor::from(self.to_owned())))
            }
        }
    )*};
}
constants! {
    [] f32, f32;
    [] f64, f64;
    [T: Float] Tensor<T>, T;
    [T: Float] Vec<T>, T;
    [T: Float, const N: usize] Vec<[T; N]>, T;
    [T: Float] [T], T;
    [T: Float, const N: usize] [T; N], T;
    [T: Float, const M: usize, const N: usize] [[T; N]; M], T;
    [T: Float, const L: usize, const M: usize, const N: usize] [[[T; N]; M]; L], T;
    [T: Float, const K: usize, const L: usize, const M: usize, const N: usize] [[[[T; N]; M]; L]; K], T;
}

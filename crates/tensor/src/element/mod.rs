//! Element types.

mod float;
mod number;
mod progression;

use std::fmt::{Debug, Display};

use crate::kernels::ElementKernels;
pub use float::Float;
pub(crate) use number::BY_ZERO;
pub use number::Number;

/// An element of a tensor: `f32`, `f64`, `i64` or `bool`.
///
/// The set is closed: kernels and files rely on it.
///
/// ```
/// use gradus_tensor::{Element, Tensor};
///
/// fn describe<T: Element>(x: &Tensor<T>) -> String {
///     format!("{} elements of type {}", x.len(), T::NAME)
/// }
/// assert_eq!(describe(&Tensor::from([true, false])), "2 elements of type bool");
/// ```
pub trait Element:
    Copy
    + PartialEq
    + PartialOrd
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + ElementKernels
    + sealed::Sealed
    + 'static
{
    /// The name of the type, as printed: `"f32"`.
    const NAME: &'static str;
}

mod sealed {
    use super::{Element, Number};

    /// The conversions behind [`Tensor::cast`](crate::Tensor::cast).
    pub trait Sealed: Sized {
        fn from_number(number: impl Number) -> Self;
        fn into_element<U: Element>(self) -> U;
    }
}

macro_rules! impl_element {
    ($($type:ident: from |$number:ident| $element:expr, number |$value:ident| $converted:expr;)*) => {$(
        impl Element for $type {
            const NAME: &'static str = stringify!($type);
        }
        impl sealed::Sealed for $type {
            #[inline(always)]
            fn from_number($number: impl Number) -> Self {
                $element
            }
            #[inline(always)]
            fn into_element<U: Element>(self) -> U {
                let $value = self;
                U::from_number($converted)
            }
        }
    )*};
}
impl_element! {
    f32: from |number| number.cast(), number |x| x;
    f64: from |number| number.cast(), number |x| x;
    i64: from |number| number.cast(), number |x| x;
    bool: from |number| is_nonzero(number), number |x| i64::from(x);
}

/// As a truth value; NaN is true, as in NumPy.
#[inline(always)]
fn is_nonzero<T: Number>(number: T) -> bool {
    number != T::ZERO
}

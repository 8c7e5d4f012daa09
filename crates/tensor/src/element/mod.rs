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
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
    impl Sealed for bool {}
}

macro_rules! impl_element {
    ($($type:ident),*) => {$(
        impl Element for $type {
            const NAME: &'static str = stringify!($type);
        }
    )*};
}
impl_element!(f32, f64, i64, bool);

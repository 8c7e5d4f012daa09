//! `+ - * / -x` on every mix of owned and borrowed tensors and plain numbers, and `+= -= *= /=`.
//!
//! An operand that is passed by value, and whose buffer nobody else holds, lends its memory to the result.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::element::{BY_ZERO, Number};
use crate::error::TensorError;
use crate::layout::place_of;
use crate::shape::broadcast;
use crate::tensor::Tensor;

/// Arguments: the trait and its method, the assigning trait and its method, both names for messages, the operator, its
/// function of two numbers, and the check of the second operand, if there is one.
macro_rules! binary_operator {
    (
        $trait:ident, $method:ident, $assign_trait:ident, $assign:ident, $name:literal, $assign_name:literal, $op:tt,
        $function:ident $(, $check:ident)?
    ) => {
        impl<T: Number> $trait<&Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                $($check($name, self.shape(), || other.clone());)?
                self.zip($name, other, #[inline(always)] |x, y| x.$function(y))
            }
        }
        impl<T: Number> $trait<&Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                $($check($name, self.shape(), || other.clone());)?
                self.zip_reusing($name, other, #[inline(always)] |x, y| x.$function(y))
            }
        }
        impl<T: Number> $trait<Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(mut self, other: Tensor<T>) -> Tensor<T> {
                if self.writable().is_some() || self.shape() != other.shape() { self $op &other } else { &self $op other }
            }
        }
        impl<T: Number> $trait<Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: Tensor<T>) -> Tensor<T> {
                // With other shapes, `zip_reusing` would name them in the wrong order.
                if other.shape() == self.shape() {
                    $($check($name, self.shape(), || other.clone());)?
                    other.zip_reusing($name, self, #[inline(always)] |y, x| x.$function(y))
                } else {
                    self $op &other
                }
            }
        }
        impl<T: Number> $trait<T> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(mut self, number: T) -> Tensor<T> {
                $($check($name, self.shape(), || number.into());)?
                self.map_inplace(#[inline(always)] |x| x.$function(number));
                self
            }
        }
        impl<T: Number> $trait<T> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, number: T) -> Tensor<T> {
                $($check($name, self.shape(), || number.into());)?
                self.map(#[inline(always)] |x| x.$function(number))
            }
        }
        binary_operator!(@left $trait, $method, $name, $function, [$($check)?], f32);
        binary_operator!(@left $trait, $method, $name, $function, [$($check)?], f64);
        binary_operator!(@left $trait, $method, $name, $function, [$($check)?], i64);

        impl<T: Number> $assign_trait<&Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: &Tensor<T>) {
                $($check($assign_name, self.shape(), || other.clone());)?
                self.zip_assign($assign_name, other, #[inline(always)] |x, y| x.$function(y));
            }
        }
        impl<T: Number> $assign_trait<Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: Tensor<T>) {
                self.$assign(&other);
            }
        }
        impl<T: Number> $assign_trait<T> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, number: T) {
                $($check($assign_name, self.shape(), || number.into());)?
                self.map_inplace(#[inline(always)] |x| x.$function(number));
            }
        }
    };
    (@left $trait:ident, $method:ident, $name:literal, $function:ident, [$($check:ident)?], $number:ty) => {
        impl $trait<Tensor<$number>> for $number {
            type Output = Tensor<$number>;
            // Compiled where it is used, as a generic function is.
            #[inline]
            #[track_caller]
            fn $method(self, mut tensor: Tensor<$number>) -> Tensor<$number> {
                $($check($name, &[], || tensor.clone());)?
                tensor.map_inplace(#[inline(always)] |x| Number::$function(self, x));
                tensor
            }
        }
        impl $trait<&Tensor<$number>> for $number {
            type Output = Tensor<$number>;
            #[inline]
            #[track_caller]
            fn $method(self, tensor: &Tensor<$number>) -> Tensor<$number> {
                $($check($name, &[], || tensor.clone());)?
                tensor.map(#[inline(always)] |x| Number::$function(self, x))
            }
        }
    };
}
binary_operator!(Add, add, AddAssign, add_assign, "add", "add_assign", +, wrapping_add);
binary_operator!(Sub, sub, SubAssign, sub_assign, "sub", "sub_assign", -, wrapping_sub);
binary_operator!(Mul, mul, MulAssign, mul_assign, "mul", "mul_assign", *, wrapping_mul);
binary_operator!(Div, div, DivAssign, div_assign, "div", "div_assign", /, wrapping_div, check_divisor);

impl<T: Number> Neg for Tensor<T> {
    type Output = Tensor<T>;
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "only a closure is inlined into every loop"
    )]
    fn neg(mut self) -> Tensor<T> {
        self.map_inplace(
            #[inline(always)]
            |x| x.wrapping_neg(),
        );
        self
    }
}

impl<T: Number> Neg for &Tensor<T> {
    type Output = Tensor<T>;
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "only a closure is inlined into every loop"
    )]
    fn neg(self) -> Tensor<T> {
        self.map(
            #[inline(always)]
            |x| x.wrapping_neg(),
        )
    }
}

/// Refuses to divide integers by 0, before anything is computed. Shapes that do not broadcast are refused later.
#[track_caller]
#[inline(always)]
pub(crate) fn check_divisor<T: Number>(
    operation: &'static str,
    dividend: &[usize],
    divisor: impl FnOnce() -> Tensor<T>,
) {
    // For floats this compiles to nothing.
    if T::INTEGER {
        check_integers(operation, dividend, &divisor());
    }
}

#[track_caller]
fn check_integers<T: Number>(operation: &'static str, dividend: &[usize], divisor: &Tensor<T>) {
    let divides = broadcast(dividend, divisor.shape()).is_some_and(|common| !common.contains(&0));
    if divides && let Some(number) = divisor.iter().position(|x| x == T::ZERO) {
        let index = place_of(number, divisor.shape());
        let got = if index.is_empty() { "0".into() } else { format!("0 at {index:?}") };
        TensorError::argument(operation, "the divisor", got, divisor.shape(), BY_ZERO).panic()
    }
}

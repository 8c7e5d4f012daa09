//! `+ - * / -x` on every mix of owned and borrowed tensors and plain numbers, and `+= -= *= /=`.
//!
//! An operand that is given away, and that nobody else holds, lends its memory to the result.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::element::Number;
use crate::tensor::Tensor;

macro_rules! binary_operator {
    ($trait:ident, $method:ident, $assign_trait:ident, $assign:ident, $name:literal, $assign_name:literal, $op:tt) => {
        impl<T: Number> $trait<&Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                self.zip($name, other, #[inline(always)] |x, y| x $op y)
            }
        }
        impl<T: Number> $trait<&Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                self.zip_reusing($name, other, #[inline(always)] |x, y| x $op y)
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
                // `zip_reusing` would name the shapes the wrong way round.
                if other.shape() == self.shape() {
                    other.zip_reusing($name, self, #[inline(always)] |y, x| x $op y)
                } else {
                    self $op &other
                }
            }
        }
        impl<T: Number> $trait<T> for Tensor<T> {
            type Output = Tensor<T>;
            fn $method(mut self, number: T) -> Tensor<T> {
                self.map_inplace(#[inline(always)] |x| x $op number);
                self
            }
        }
        impl<T: Number> $trait<T> for &Tensor<T> {
            type Output = Tensor<T>;
            fn $method(self, number: T) -> Tensor<T> {
                self.map(#[inline(always)] |x| x $op number)
            }
        }
        binary_operator!(@left $trait, $method, $op, f32, f64, i64);

        impl<T: Number> $assign_trait<&Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: &Tensor<T>) {
                self.zip_assign($assign_name, other, #[inline(always)] |x, y| x $op y);
            }
        }
        impl<T: Number> $assign_trait<Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: Tensor<T>) {
                self.$assign(&other);
            }
        }
        impl<T: Number> $assign_trait<T> for Tensor<T> {
            fn $assign(&mut self, number: T) {
                self.map_inplace(#[inline(always)] |x| x $op number);
            }
        }
    };
    (@left $trait:ident, $method:ident, $op:tt, $($number:ty),*) => {$(
        impl $trait<Tensor<$number>> for $number {
            type Output = Tensor<$number>;
            fn $method(self, mut tensor: Tensor<$number>) -> Tensor<$number> {
                tensor.map_inplace(#[inline(always)] |x| self $op x);
                tensor
            }
        }
        impl $trait<&Tensor<$number>> for $number {
            type Output = Tensor<$number>;
            fn $method(self, tensor: &Tensor<$number>) -> Tensor<$number> {
                tensor.map(#[inline(always)] |x| self $op x)
            }
        }
    )*};
}
binary_operator!(Add, add, AddAssign, add_assign, "add", "add_assign", +);
binary_operator!(Sub, sub, SubAssign, sub_assign, "sub", "sub_assign", -);
binary_operator!(Mul, mul, MulAssign, mul_assign, "mul", "mul_assign", *);
binary_operator!(Div, div, DivAssign, div_assign, "div", "div_assign", /);

impl<T: Number> Neg for Tensor<T> {
    type Output = Tensor<T>;
    fn neg(mut self) -> Tensor<T> {
        self.map_inplace(
            #[inline(always)]
            |x| -x,
        );
        self
    }
}

impl<T: Number> Neg for &Tensor<T> {
    type Output = Tensor<T>;
    fn neg(self) -> Tensor<T> {
        self.map(
            #[inline(always)]
            |x| -x,
        )
    }
}

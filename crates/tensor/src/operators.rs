//! `+ - * / -x` on every mix of owned and borrowed tensors and plain numbers, and `+= -= *= /=`.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::element::Number;
use crate::tensor::Tensor;

macro_rules! binary_operator {
    ($trait:ident, $method:ident, $assign_trait:ident, $assign:ident, $name:literal, $assign_name:literal, $op:tt) => {
        binary_operator!(@ $trait, $method, $name, $op, Tensor<T>, Tensor<T>);
        binary_operator!(@ $trait, $method, $name, $op, Tensor<T>, &Tensor<T>);
        binary_operator!(@ $trait, $method, $name, $op, &Tensor<T>, Tensor<T>);
        binary_operator!(@ $trait, $method, $name, $op, &Tensor<T>, &Tensor<T>);
        binary_operator!(@scalar $trait, $method, $op, Tensor<T>);
        binary_operator!(@scalar $trait, $method, $op, &Tensor<T>);
        binary_operator!(@left $trait, $method, $op, f32, f64, i64);

        impl<T: Number> $assign_trait<&Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: &Tensor<T>) {
                self.zip_assign($assign_name, other, |x, y| x $op y);
            }
        }
        impl<T: Number> $assign_trait<Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: Tensor<T>) {
                self.zip_assign($assign_name, &other, |x, y| x $op y);
            }
        }
        impl<T: Number> $assign_trait<T> for Tensor<T> {
            fn $assign(&mut self, number: T) {
                self.map_inplace(|x| x $op number);
            }
        }
    };
    (@ $trait:ident, $method:ident, $name:literal, $op:tt, $left:ty, $right:ty) => {
        impl<T: Number> $trait<$right> for $left {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: $right) -> Tensor<T> {
                self.zip($name, &other, |x, y| x $op y)
            }
        }
    };
    (@scalar $trait:ident, $method:ident, $op:tt, $left:ty) => {
        impl<T: Number> $trait<T> for $left {
            type Output = Tensor<T>;
            fn $method(self, number: T) -> Tensor<T> {
                self.map(|x| x $op number)
            }
        }
    };
    (@left $trait:ident, $method:ident, $op:tt, $($number:ty),*) => {$(
        impl $trait<Tensor<$number>> for $number {
            type Output = Tensor<$number>;
            fn $method(self, tensor: Tensor<$number>) -> Tensor<$number> {
                tensor.map(|x| self $op x)
            }
        }
        impl $trait<&Tensor<$number>> for $number {
            type Output = Tensor<$number>;
            fn $method(self, tensor: &Tensor<$number>) -> Tensor<$number> {
                tensor.map(|x| self $op x)
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
    fn neg(self) -> Tensor<T> {
        self.map(|x| -x)
    }
}

impl<T: Number> Neg for &Tensor<T> {
    type Output = Tensor<T>;
    fn neg(self) -> Tensor<T> {
        self.map(|x| -x)
    }
}

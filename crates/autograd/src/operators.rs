//! `+ - * / -x` on every mix of owned and borrowed variables, tensors and plain numbers.
//!
//! Compiler errors about an operand of the wrong type list operators of two variables and of a variable and a number, and not
//! all mixes.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use gradus_tensor::{Float, Tensor};

use crate::ops;
use crate::tape::Var;

macro_rules! operators {
    ($($trait:ident $method:ident $assign_trait:ident $assign:ident)*) => {$(
        operators!(@impl $trait $method, [T: Float] Var<T>, Var<T>, T, |x, y| (&x, &y));
        operators!(@impl $trait $method, [T: Float] Var<T>, &Var<T>, T, |x, y| (&x, y));
        operators!(@impl $trait $method, [T: Float] &Var<T>, Var<T>, T, |x, y| (x, &y));
        operators!(@impl $trait $method, [T: Float] &Var<T>, &Var<T>, T, |x, y| (x, y));
        operators!(@constant $trait $method, [T: Float] Tensor<T>, T);
        operators!(@constant $trait $method, [T: Float] &Tensor<T>, T);
        operators!(@impl $trait $method, [T: Float] Var<T>, T, T, |x, y| (&x, &y.into()));
        operators!(@impl $trait $method, [T: Float] &Var<T>, T, T, |x, y| (x, &y.into()));
        operators!(@impl $trait $method, [] f32, Var<f32>, f32, |x, y| (&x.into(), &y));
        operators!(@impl $trait $method, [] f32, &Var<f32>, f32, |x, y| (&x.into(), y));
        operators!(@impl $trait $method, [] f64, Var<f64>, f64, |x, y| (&x.into(), &y));
        operators!(@impl $trait $method, [] f64, &Var<f64>, f64, |x, y| (&x.into(), y));

        /// A new variable under the old name: what the old one was made from is unchanged.
        impl<T: Float, V: Into<Var<T>>> $assign_trait<V> for Var<T> {
            #[track_caller]
            fn $assign(&mut self, other: V) {
                *self = ops::$method(self, &other.into());
            }
        }
    )*};
    (@constant $trait:ident $method:ident, [$($generics:tt)*] $tensor:ty, $element:ty) => {
        operators!(@impl #[diagnostic::do_not_recommend] $trait $method, [$($generics)*] Var<$element>, $tensor, $element, |x, y| (&x, &y.into()));
        operators!(@impl #[diagnostic::do_not_recommend] $trait $method, [$($generics)*] &Var<$element>, $tensor, $element, |x, y| (x, &y.into()));
        operators!(@impl #[diagnostic::do_not_recommend] $trait $method, [$($generics)*] $tensor, Var<$element>, $element, |x, y| (&x.into(), &y));
        operators!(@impl #[diagnostic::do_not_recommend] $trait $method, [$($generics)*] $tensor, &Var<$element>, $element, |x, y| (&x.into(), y));
    };
    (@impl $(#[$attribute:meta])* $trait:ident $method:ident, [$($generics:tt)*] $left:ty, $right:ty, $element:ty, |$x:ident, $y:ident| ($l:expr, $r:expr)) => {
        $(#[$attribute])*
        impl<$($generics)*> $trait<$right> for $left {
            type Output = Var<$element>;
            #[track_caller]
            fn $method(self, $y: $right) -> Var<$element> {
                let $x = self;
                ops::$method($l, $r)
            }
        }
    };
}
operators! {
    Add add AddAssign add_assign
    Sub sub SubAssign sub_assign
    Mul mul MulAssign mul_assign
    Div div DivAssign div_assign
}

impl<T: Float> Neg for Var<T> {
    type Output = Var<T>;
    #[track_caller]
    fn neg(self) -> Var<T> {
        ops::neg(&self)
    }
}

impl<T: Float> Neg for &Var<T> {
    type Output = Var<T>;
    #[track_caller]
    fn neg(self) -> Var<T> {
        ops::neg(self)
    }
}

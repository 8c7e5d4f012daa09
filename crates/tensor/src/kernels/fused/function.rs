//! The functions of a program's steps, and their loops over elements side by side.

#![allow(unsafe_code, reason = "elements are read and written through pointers; see SAFETY")]

use std::mem::MaybeUninit;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use crate::element::Float;

/// Which operands of a function are one number for all elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Elements,
    FirstIsNumber,
    SecondIsNumber,
}

/// Where the elements of the operands lie and where the results go.
#[derive(Clone, Copy)]
pub(super) struct Places<T> {
    pub(super) out: *mut T,
    pub(super) operands: [*const T; 3],
    pub(super) len: usize,
}

impl<T: Float> Places<T> {
    /// # Safety
    /// The results must be writable, and overlap with no operand.
    #[inline(always)]
    unsafe fn out<'a>(self) -> &'a mut [MaybeUninit<T>] {
        // SAFETY: as the caller promises.
        unsafe { from_raw_parts_mut(self.out.cast(), self.len) }
    }

    /// # Safety
    /// The operand must have as many elements as there are results.
    #[inline(always)]
    unsafe fn operand<'a>(self, k: usize) -> &'a [T] {
        // SAFETY: as the caller promises.
        unsafe { from_raw_parts(self.operands[k], self.len) }
    }

    /// # Safety
    /// The operand must have an element.
    #[inline(always)]
    unsafe fn number(self, k: usize) -> T {
        // SAFETY: as the caller promises.
        unsafe { *self.operands[k] }
    }
}

#[inline(always)]
fn one<T: Float>(out: &mut [MaybeUninit<T>], x: &[T], f: impl Fn(T) -> T) {
    for (out, &x) in out.iter_mut().zip(x) {
        out.write(f(x));
    }
}

#[inline(always)]
fn two<T: Float>(out: &mut [MaybeUninit<T>], x: &[T], y: &[T], f: impl Fn(T, T) -> T) {
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        out.write(f(x, y));
    }
}

#[inline(always)]
fn three<T: Float>(out: &mut [MaybeUninit<T>], [x, y, z]: [&[T]; 3], f: impl Fn(T, T, T) -> T) {
    for (((out, &x), &y), &z) in out.iter_mut().zip(x).zip(y).zip(z) {
        out.write(f(x, y, z));
    }
}

/// A function of two operands, of which one may be a number.
///
/// # Safety
/// As for [`Function::apply`].
#[inline(always)]
unsafe fn mixed<T: Float>(form: Form, places: Places<T>, f: impl Fn(T, T) -> T) {
    // SAFETY: as the caller promises.
    unsafe {
        let out = places.out();
        match form {
            Form::Elements => two(out, places.operand(0), places.operand(1), f),
            Form::FirstIsNumber => {
                let x = places.number(0);
                one(
                    out,
                    places.operand(1),
                    #[inline(always)]
                    |y| f(x, y),
                );
            }
            Form::SecondIsNumber => {
                let y = places.number(1);
                one(
                    out,
                    places.operand(0),
                    #[inline(always)]
                    |x| f(x, y),
                );
            }
        }
    }
}

/// 1 or 0.
#[inline(always)]
fn truth<T: Float>(holds: bool) -> T {
    if holds { T::ONE } else { T::ZERO }
}

/// Functions by the way in which their loops are compiled, each with its name in autograd's vocabulary: of two numbers
/// (`mixed`: one operand may be the same for all elements), of one, and those that call a library's function for each
/// element, which no instruction set makes faster.
macro_rules! functions {
    (
        mixed { $($mixed:ident $mixed_name:literal |$x:ident, $y:ident| $mixed_result:expr;)* }
        unary { $($unary:ident $unary_name:ident;)* }
        called { $($called:ident $called_name:ident;)* }
        called_with { $($called_with:ident $called_with_name:ident;)* }
    ) => {
        /// A function of a step: an operator or a method of the numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Function {
            $($mixed,)*
            $($unary,)*
            $($called,)*
            $($called_with,)*
            /// The second operand where the first is not 0, else the third.
            Select,
            /// Derivative of this order of the digamma function.
            Polygamma(u32),
        }

        impl Function {
            /// The function of this name in autograd's vocabulary, if a program can have it.
            ///
            /// `polygamma` has none, as its order is not a part of its name.
            pub fn named(name: &str) -> Option<Self> {
                Some(match name {
                    $($mixed_name => Self::$mixed,)*
                    $(stringify!($unary_name) => Self::$unary,)*
                    $(stringify!($called_name) => Self::$called,)*
                    $(stringify!($called_with_name) => Self::$called_with,)*
                    "select" => Self::Select,
                    _ => return None,
                })
            }

            /// The number of operands.
            pub fn operands(self) -> usize {
                match self {
                    $(Self::$mixed)|* | $(Self::$called_with)|* => 2,
                    $(Self::$unary)|* | $(Self::$called)|* | Self::Polygamma(_) => 1,
                    Self::Select => 3,
                }
            }

            /// Whether one of two operands may be one number for all elements.
            pub(super) fn mixes(self) -> bool {
                matches!(self, $(Self::$mixed)|*)
            }

            /// Writes the results on the elements of the operands.
            ///
            /// # Safety
            /// The results must be writable and overlap with no operand, and each operand must have as many elements,
            /// or one if the form says so.
            #[inline(always)]
            pub(super) unsafe fn apply<T: Float>(self, form: Form, places: Places<T>) {
                // SAFETY: as the caller promises, in each of these.
                unsafe {
                    let out = places.out();
                    match self {
                        $(Self::$mixed => {
                            mixed(form, places, #[inline(always)] |$x: T, $y: T| -> T { $mixed_result });
                        })*
                        $(Self::$unary => one(out, places.operand(0), #[inline(always)] |x| x.$unary_name()),)*
                        Self::Select => {
                            let operands = [places.operand(0), places.operand(1), places.operand(2)];
                            three(out, operands, #[inline(always)] |condition, x, y| {
                                if condition == T::ZERO { y } else { x }
                            });
                        }
                        _ => self.call(places),
                    }
                }
            }

            /// [`apply`](Self::apply) for functions of which each element is a call.
            ///
            /// # Safety
            /// As for [`apply`](Self::apply) on elements.
            #[inline(never)]
            unsafe fn call<T: Float>(self, places: Places<T>) {
                // SAFETY: as the caller promises, in each of these.
                unsafe {
                    let (out, x) = (places.out(), places.operand(0));
                    match self {
                        $(Self::$called => one(out, x, #[inline(always)] |x| x.$called_name()),)*
                        $(Self::$called_with => {
                            two(out, x, places.operand(1), #[inline(always)] |x, y| x.$called_with_name(y));
                        })*
                        Self::Polygamma(order) => one(out, x, |x| x.polygamma(order as usize)),
                        _ => unreachable!("`apply` has the others"),
                    }
                }
            }
        }
    };
}

functions! {
    mixed {
        Add "add" |x, y| x + y;
        Sub "sub" |x, y| x - y;
        Mul "mul" |x, y| x * y;
        Div "div" |x, y| x / y;
        Gt "gt" |x, y| truth(x > y);
        Lt "lt" |x, y| truth(x < y);
        Ge "ge" |x, y| truth(x >= y);
        Le "le" |x, y| truth(x <= y);
        Eq "eq" |x, y| truth(x == y);
        MultiplyNoNan "multiply_no_nan" |x, y| x.multiply_no_nan(y);
    }
    unary {
        Neg neg;
        Exp exp;
        Exp2 exp2;
        Expm1 expm1;
        Log log;
        Log1p log1p;
        Sqrt sqrt;
        Rsqrt rsqrt;
        Reciprocal reciprocal;
        Square square;
        Abs abs;
        Sign sign;
        Sin sin;
        Cos cos;
        Tan tan;
        Sinh sinh;
        Cosh cosh;
        Tanh tanh;
        Erf erf;
        Floor floor;
        Ceil ceil;
        Trunc trunc;
        Round round;
        Relu relu;
        Sigmoid sigmoid;
        Softplus softplus;
        Gelu gelu;
        GeluTanh gelu_tanh;
    }
    called {
        Log2 log2;
        Log10 log10;
        Asin asin;
        Acos acos;
        Atan atan;
        Asinh asinh;
        Acosh acosh;
        Atanh atanh;
        Erfc erfc;
        Lgamma lgamma;
    }
    called_with {
        Pow pow;
        Atan2 atan2;
        Hypot hypot;
        Logaddexp logaddexp;
        Xlogy xlogy;
        Fmod fmod;
        Remainder remainder;
        FloorDivide floor_divide;
    }
}

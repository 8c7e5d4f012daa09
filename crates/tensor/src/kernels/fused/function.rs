//! The functions of a program's steps, and the loop of each over elements side by side.

#![allow(unsafe_code, reason = "loops are called with the addresses of operands; see SAFETY")]

use std::mem::MaybeUninit;

use crate::element::Float;
use crate::kernels::reduce::{write_all, write_long};
use crate::runtime::InstructionSet;

/// The most operands of a loop.
pub(crate) const OPERANDS: usize = 5;

/// The loop of a function: where the results go, and the operands.
///
/// # Safety
/// The machine must have the instructions that it was compiled for. An operand must have as many elements as there are
/// results, or one if the loop takes it as a number, and overlap with none of them; one that the function does not have
/// can be anywhere.
pub(super) type Loop<T> = unsafe fn(&mut [MaybeUninit<T>], &[*const T; OPERANDS]);

/// Which operands are one number for all elements: bit k for operand k.
pub(super) type Numbers = u8;

/// The result of a function on one element of each operand.
pub(super) trait Formula {
    const COUNT: usize;
    /// Whether it is a function such as e^x; see [`write_long`].
    const LONG: bool;
    fn of<T: Float>(operands: [T; OPERANDS]) -> T;
}

/// The loop, for all instruction sets.
///
/// # Safety
/// As for [`Loop`].
#[inline(always)]
unsafe fn each<T: Float, F: Formula, const NUMBERS: Numbers>(
    out: &mut [MaybeUninit<T>],
    operands: &[*const T; OPERANDS],
) {
    // Written elements might be the addresses, for all that the compiler knows.
    let operands = *operands;
    let results = (0..out.len()).map(
        #[inline(always)]
        |i| {
            let mut elements = [T::ZERO; OPERANDS];
            for k in 0..F::COUNT {
                let place = if NUMBERS >> k & 1 == 1 { 0 } else { i };
                // SAFETY: an operand has an element for each result, or the one.
                elements[k] = unsafe { *operands[k].add(place) };
            }
            F::of(elements)
        },
    );
    if F::LONG {
        write_long(out, results)
    } else {
        write_all(out, results)
    };
}

/// The loop with the instructions of every processor.
///
/// # Safety
/// As for [`Loop`].
unsafe fn portable<T: Float, F: Formula, const NUMBERS: Numbers>(
    out: &mut [MaybeUninit<T>],
    operands: &[*const T; OPERANDS],
) {
    // SAFETY: as the caller promises.
    unsafe { each::<T, F, NUMBERS>(out, operands) }
}

/// The loop with vectors of 256 bits.
///
/// # Safety
/// As for [`Loop`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Float, F: Formula, const NUMBERS: Numbers>(
    out: &mut [MaybeUninit<T>],
    operands: &[*const T; OPERANDS],
) {
    // SAFETY: as the caller promises.
    unsafe { each::<T, F, NUMBERS>(out, operands) }
}

/// The loop with vectors of 512 bits.
///
/// # Safety
/// As for [`Loop`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
unsafe fn avx512<T: Float, F: Formula, const NUMBERS: Numbers>(
    out: &mut [MaybeUninit<T>],
    operands: &[*const T; OPERANDS],
) {
    // SAFETY: as the caller promises.
    unsafe { each::<T, F, NUMBERS>(out, operands) }
}

/// The loop for the instruction set in use.
pub(super) fn wide<T: Float, F: Formula, const NUMBERS: Numbers>() -> Loop<T> {
    match InstructionSet::current() {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => avx512::<T, F, NUMBERS>,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => avx2::<T, F, NUMBERS>,
        _ => portable::<T, F, NUMBERS>,
    }
}

/// [`wide`] for functions such as e^x: for `f64` these are calls, one number after another.
pub(super) fn wide_functions<T: Float, F: Formula, const NUMBERS: Numbers>() -> Loop<T> {
    if const { size_of::<T>() > 4 } { portable::<T, F, NUMBERS> } else { wide::<T, F, NUMBERS>() }
}

/// The loop that copies elements, or one number to all.
pub(super) fn copies<T: Float>(number: bool) -> Loop<T> {
    if number { wide::<T, formula::Itself, 1>() } else { wide::<T, formula::Itself, 0>() }
}

/// 1 or 0.
#[inline(always)]
fn truth<T: Float>(holds: bool) -> T {
    if holds { T::ONE } else { T::ZERO }
}

/// A formula for each line: its type, the operands, and the result; and whether they are functions such as e^x.
macro_rules! formulas {
    ($long:literal $($name:ident |$($x:ident),*| $result:expr;)*) => {$(
        pub(in crate::kernels::fused) struct $name;
        impl Formula for $name {
            const COUNT: usize = [$(stringify!($x)),*].len();
            const LONG: bool = $long;
            #[inline(always)]
            fn of<T: Float>([$($x,)* ..]: [T; OPERANDS]) -> T {
                $result
            }
        }
    )*};
}
pub(super) use formulas;

/// Functions by the way in which their loops are compiled, each with its name in autograd's vocabulary: of two numbers,
/// one of which may be the same for all elements (`mixed`); arithmetic of one (`unary`), and functions of one that are
/// arithmetic for `f32` alone (`functions`); and those that call a library's function for each element, which no
/// instruction set makes faster.
macro_rules! functions {
    (
        mixed { $($mixed:ident $mixed_name:literal |$x:ident, $y:ident| $mixed_result:expr;)* }
        unary { $($unary:ident $unary_name:ident;)* }
        functions { $($function:ident $function_name:ident;)* }
        called { $($called:ident $called_name:ident;)* }
        called_with { $($called_with:ident $called_with_name:ident;)* }
    ) => {
        pub(in crate::kernels::fused) mod formula {
            use super::{Float, Formula, OPERANDS, truth};

            formulas! {
                false
                Itself |x| x;
                Polygamma |x, order| x.polygamma(order.to_f64() as usize);
                Select |condition, x, y| if condition == T::ZERO { y } else { x };
                $($mixed |$x, $y| $mixed_result;)*
                $($unary |x| x.$unary_name();)*
                $($called |x| x.$called_name();)*
                $($called_with |x, y| x.$called_with_name(y);)*
            }

            formulas! {
                true
                $($function |x| x.$function_name();)*
            }
        }

        /// A function of a step: an operator or a method of the numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Function {
            $($mixed,)*
            $($unary,)*
            $($function,)*
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
            /// [`Polygamma`](Self::Polygamma) has none, as its order is not a part of its name.
            pub fn named(name: &str) -> Option<Self> {
                Some(match name {
                    $($mixed_name => Self::$mixed,)*
                    $(stringify!($unary_name) => Self::$unary,)*
                    $(stringify!($function_name) => Self::$function,)*
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
                    $(Self::$unary)|* | $(Self::$function)|* | $(Self::$called)|* | Self::Polygamma(_) => 1,
                    Self::Select => 3,
                }
            }

            /// The loop with these operands as numbers, if there is one.
            pub(super) fn with_numbers<T: Float>(self, numbers: Numbers) -> Option<Loop<T>> {
                Some(match (self, numbers) {
                    (_, 0) => self.of_elements(),
                    $((Self::$mixed, 1) => wide::<T, formula::$mixed, 1>(),)*
                    $((Self::$mixed, 2) => wide::<T, formula::$mixed, 2>(),)*
                    (Self::Select, 2) => wide::<T, formula::Select, 2>(),
                    (Self::Select, 4) => wide::<T, formula::Select, 4>(),
                    (Self::Select, 6) => wide::<T, formula::Select, 6>(),
                    _ => return None,
                })
            }

            /// The loop over elements of all operands; of `Polygamma`, with the order as another one.
            fn of_elements<T: Float>(self) -> Loop<T> {
                match self {
                    $(Self::$mixed => wide::<T, formula::$mixed, 0>(),)*
                    $(Self::$unary => wide::<T, formula::$unary, 0>(),)*
                    $(Self::$function => wide_functions::<T, formula::$function, 0>(),)*
                    $(Self::$called => portable::<T, formula::$called, 0>,)*
                    $(Self::$called_with => portable::<T, formula::$called_with, 0>,)*
                    Self::Select => wide::<T, formula::Select, 0>(),
                    Self::Polygamma(_) => portable::<T, formula::Polygamma, 2>,
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
        Sqrt sqrt;
        Rsqrt rsqrt;
        Reciprocal reciprocal;
        Square square;
        Abs abs;
        Sign sign;
        Floor floor;
        Ceil ceil;
        Trunc trunc;
        Round round;
        Relu relu;
    }
    functions {
        Exp exp;
        Exp2 exp2;
        Expm1 expm1;
        Log log;
        Log1p log1p;
        Sin sin;
        Cos cos;
        Tan tan;
        Sinh sinh;
        Cosh cosh;
        Tanh tanh;
        Erf erf;
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

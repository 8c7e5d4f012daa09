//! The functions of a program's steps, and the loop of each over elements side by side.

#![allow(unsafe_code, reason = "loops are called with the addresses of operands; see SAFETY")]

use std::marker::PhantomData;
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
trait Formula {
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
fn wide<T: Float, F: Formula, const NUMBERS: Numbers>() -> Loop<T> {
    match InstructionSet::current() {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => avx512::<T, F, NUMBERS>,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => avx2::<T, F, NUMBERS>,
        _ => portable::<T, F, NUMBERS>,
    }
}

/// [`wide`] for functions such as e^x: for `f64` these are calls, one number after another.
fn wide_functions<T: Float, F: Formula, const NUMBERS: Numbers>() -> Loop<T> {
    if const { size_of::<T>() > 4 } { portable::<T, F, NUMBERS> } else { wide::<T, F, NUMBERS>() }
}

/// A function of one number, times another.
struct Times<F>(PhantomData<F>);

/// [`Times`], plus a third number.
struct TimesPlus<F>(PhantomData<F>);

/// [`Times`], less a third number.
struct TimesMinus<F>(PhantomData<F>);

/// A third number less [`Times`].
struct MinusTimes<F>(PhantomData<F>);

macro_rules! gates {
    ($($name:ident $count:literal |$f:ident, $y:ident, $z:ident| $result:expr;)*) => {$(
        impl<F: Formula> Formula for $name<F> {
            const COUNT: usize = $count;
            const LONG: bool = F::LONG;
            #[inline(always)]
            fn of<T: Float>(operands: [T; OPERANDS]) -> T {
                let [_, $y, $z, ..] = operands;
                let $f = F::of(operands);
                $result
            }
        }
    )*};
}

gates! {
    Times 2 |f, y, _z| f * y;
    TimesPlus 3 |f, y, z| f * y + z;
    TimesMinus 3 |f, y, z| f * y - z;
    MinusTimes 3 |f, y, z| z - f * y;
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
        pub(super) struct $name;
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
        mod formula {
            use super::{Float, Formula, OPERANDS, truth};

            formulas! {
                false
                Itself |x| x;
                MulAdd |x, y, z| x * y + z;
                MulSub |x, y, z| x * y - z;
                SubMul |x, y, z| z - x * y;
                MulMul |x, y, z| x * y * z;
                AddTimes |x, y, z| (x + y) * z;
                SubTimes |x, y, z| (x - y) * z;
                SubDiv |x, y, z| (x - y) / z;
                SubTimesMulAdd |x, y, z, v, w| (x - y) * z * v + w;
                SubDivMulAdd |x, y, z, v, w| (x - y) / z * v + w;
                SubSquare |x, y| (x - y).square();
                AddSqrt |x, y| (x + y).sqrt();
                AddRsqrt |x, y| (x + y).rsqrt();
                Polygamma |x, order| x.polygamma(order.to_f64() as usize);
                Select |condition, x, y| if condition == T::ZERO { y } else { x };
                $($mixed |$x, $y| $mixed_result;)*
                $($unary |x| x.$unary_name();)*
                $($called |x| x.$called_name();)*
                $($called_with |x, y| x.$called_with_name(y);)*
            }

            formulas! {
                true
                SubExp |x, y| (x - y).exp();
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

/// The loop of two functions, the result of the first being this operand of the second: over the operands of the first,
/// then the other one of the second. Nothing is kept between the two, and each rounds.
pub(super) fn pair<T: Float>(
    [first, second]: [Function; 2],
    operand: usize,
    numbers: Numbers,
) -> Option<Loop<T>> {
    macro_rules! with {
        ($formula:ident: $($numbers:literal)*) => {
            match numbers {
                $($numbers => Some(wide::<T, formula::$formula, $numbers>()),)*
                _ => None,
            }
        };
    }
    match (first, second, operand) {
        (_, Function::Mul, _) if first.operands() == 1 => gate(first, None).filter(|_| numbers == 0),
        (Function::Mul, Function::Add, _) => with!(MulAdd: 0 2 4 6),
        (Function::Mul, Function::Sub, 0) => with!(MulSub: 0 2 4 6),
        (Function::Mul, Function::Sub, 1) => with!(SubMul: 0 2 4 6),
        (Function::Mul, Function::Mul, _) => with!(MulMul: 0 2 4),
        (Function::Add, Function::Mul, _) => with!(AddTimes: 0 2 4 6),
        (Function::Sub, Function::Mul, _) => with!(SubTimes: 0 1 2 4 6),
        (Function::Sub, Function::Div, 0) => with!(SubDiv: 0 2 4 6),
        (Function::Sub, Function::Square, _) => with!(SubSquare: 0 2),
        (Function::Add, Function::Sqrt, _) => with!(AddSqrt: 0 2),
        (Function::Add, Function::Rsqrt, _) => with!(AddRsqrt: 0 2),
        (Function::Sub, Function::Exp, _) => match numbers {
            0 => Some(wide_functions::<T, formula::SubExp, 0>()),
            2 => Some(wide_functions::<T, formula::SubExp, 2>()),
            _ => None,
        },
        _ => None,
    }
}

/// The loop of a function such as e^x times another operand, and then plus or minus a third one, as in the gates of
/// recurrent networks: the function takes so long that loading and storing the others costs nothing beside it. The product
/// is `operand` of the last function, if there is one.
pub(super) fn gate<T: Float>(first: Function, then: Option<(Function, usize)>) -> Option<Loop<T>> {
    // For `f64`, the function is a call.
    if const { size_of::<T>() > 4 } {
        return None;
    }
    fn of<T: Float, F: Formula>(then: Option<(Function, usize)>) -> Option<Loop<T>> {
        match then {
            None => Some(wide::<T, Times<F>, 0>()),
            Some((Function::Add, _)) => Some(wide::<T, TimesPlus<F>, 0>()),
            Some((Function::Sub, 0)) => Some(wide::<T, TimesMinus<F>, 0>()),
            Some((Function::Sub, 1)) => Some(wide::<T, MinusTimes<F>, 0>()),
            _ => None,
        }
    }
    match first {
        Function::Exp => of::<T, formula::Exp>(then),
        Function::Log => of::<T, formula::Log>(then),
        Function::Tanh => of::<T, formula::Tanh>(then),
        Function::Sigmoid => of::<T, formula::Sigmoid>(then),
        Function::Erf => of::<T, formula::Erf>(then),
        _ => None,
    }
}

/// The loop of two pairs, the result of the first being a factor of the second: over the operands of the first, then the
/// others of the second.
pub(super) fn two_pairs<T: Float>(
    first: [Function; 2],
    second: [Function; 2],
    numbers: Numbers,
) -> Option<Loop<T>> {
    if second != [Function::Mul, Function::Add] {
        return None;
    }
    // A normalisation of rows, with a scale and a shift for each column or for each row.
    match (first, numbers) {
        ([Function::Sub, Function::Mul], 0b00110) => Some(wide::<T, formula::SubTimesMulAdd, 0b00110>()),
        ([Function::Sub, Function::Mul], 0b11110) => Some(wide::<T, formula::SubTimesMulAdd, 0b11110>()),
        ([Function::Sub, Function::Div], 0b00110) => Some(wide::<T, formula::SubDivMulAdd, 0b00110>()),
        ([Function::Sub, Function::Div], 0b11110) => Some(wide::<T, formula::SubDivMulAdd, 0b11110>()),
        _ => None,
    }
}

//! Loops of several functions, between which nothing is stored.

use std::marker::PhantomData;

use super::function::{Formula, Function, Loop, Numbers, OPERANDS, formula, formulas, wide, wide_functions};
use crate::element::Float;

formulas! {
    false
    MulAdd |x, y, z| x * y + z;
    MulSub |x, y, z| x * y - z;
    SubMul |x, y, z| z - x * y;
    MulMul |x, y, z| x * y * z;
    AddTimes |x, y, z| (x + y) * z;
    SubTimes |x, y, z| (x - y) * z;
    SubDiv |x, y, z| (x - y) / z;
    SubTimesMulAdd |x, y, z, v, w| (x - y) * z * v + w;
    SubDivMulAdd |x, y, z, v, w| (x - y) / z * v + w;
    MulMulMulAdd |x, y, z, v, w| x * y * z * v + w;
    MulTimesSum |x, y, z, w| x * y * (z + w);
    SubSquare |x, y| (x - y).square();
    AddSqrt |x, y| (x + y).sqrt();
    AddRsqrt |x, y| (x + y).rsqrt();
}

formulas! {
    true
    SubExp |x, y| (x - y).exp();
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

/// A function of one number, of a product.
struct OfProduct<F>(PhantomData<F>);

impl<F: Formula> Formula for OfProduct<F> {
    const COUNT: usize = 2;
    const LONG: bool = F::LONG;
    #[inline(always)]
    fn of<T: Float>(mut operands: [T; OPERANDS]) -> T {
        operands[0] *= operands[1];
        F::of(operands)
    }
}

/// The result for the formula of a function such as e^x.
macro_rules! with_formula {
    ($function:expr, $formula:ident => $result:expr) => {
        with_formula!(@ $function, $formula => $result, Exp Log Tanh Sigmoid Erf)
    };
    (@ $function:expr, $formula:ident => $result:expr, $($name:ident)*) => {
        match $function {
            $(Function::$name => {
                type $formula = formula::$name;
                $result
            })*
            _ => None,
        }
    };
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
                $($numbers => Some(wide::<T, $formula, $numbers>()),)*
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
        (Function::Mul, _, _) if second.operands() == 1 => of_product(second).filter(|_| numbers == 2),
        (Function::Add, Function::Mul, _) => with!(AddTimes: 0 2 4 6),
        (Function::Sub, Function::Mul, _) => with!(SubTimes: 0 1 2 4 6),
        (Function::Sub, Function::Div, 0) => with!(SubDiv: 0 2 4 6),
        (Function::Sub, Function::Square, _) => with!(SubSquare: 0 2),
        (Function::Add, Function::Sqrt, _) => with!(AddSqrt: 0 2),
        (Function::Add, Function::Rsqrt, _) => with!(AddRsqrt: 0 2),
        (Function::Sub, Function::Exp, _) => match numbers {
            0 => Some(wide_functions::<T, SubExp, 0>()),
            2 => Some(wide_functions::<T, SubExp, 2>()),
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
    with_formula!(first, F => gate_of::<T, F>(then))
}

/// The loop of a function such as e^x of numbers that are multiplied by one first.
fn of_product<T: Float>(function: Function) -> Option<Loop<T>> {
    with_formula!(function, F => Some(wide_functions::<T, OfProduct<F>, 2>()))
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
    match (first, numbers) {
        // A normalisation of rows, with a scale and a shift for each column or for each row.
        ([Function::Sub, Function::Mul], 0b00110) => Some(wide::<T, SubTimesMulAdd, 0b00110>()),
        ([Function::Sub, Function::Mul], 0b11110) => Some(wide::<T, SubTimesMulAdd, 0b11110>()),
        ([Function::Sub, Function::Div], 0b00110) => Some(wide::<T, SubDivMulAdd, 0b00110>()),
        ([Function::Sub, Function::Div], 0b11110) => Some(wide::<T, SubDivMulAdd, 0b11110>()),
        // The last two terms of a polynomial.
        ([Function::Mul, Function::Mul], 0b01000) => Some(wide::<T, MulMulMulAdd, 0b01000>()),
        ([Function::Mul, Function::Mul], 0b11000) => Some(wide::<T, MulMulMulAdd, 0b11000>()),
        _ => None,
    }
}

/// The loop of a product, times a sum: over the two factors, then the two terms.
pub(super) fn product_times_sum<T: Float>(numbers: Numbers) -> Option<Loop<T>> {
    match numbers {
        0b1000 => Some(wide::<T, MulTimesSum, 0b1000>()),
        0b1010 => Some(wide::<T, MulTimesSum, 0b1010>()),
        _ => None,
    }
}

fn gate_of<T: Float, F: Formula>(then: Option<(Function, usize)>) -> Option<Loop<T>> {
    match then {
        None => Some(wide::<T, Times<F>, 0>()),
        Some((Function::Add, _)) => Some(wide::<T, TimesPlus<F>, 0>()),
        Some((Function::Sub, 0)) => Some(wide::<T, TimesMinus<F>, 0>()),
        Some((Function::Sub, 1)) => Some(wide::<T, MinusTimes<F>, 0>()),
        _ => None,
    }
}

//! Programs of elementwise steps and reductions of rows, run over tiles that stay in the first-level cache.
//!
//! [`stages`] cuts a program whose rows are too long for that, [`plan`] and [`planner`] make instructions of the steps,
//! [`pairs`] finds which of them are one loop, [`function`] has the loop of each function and [`joined`] the ones of several,
//! and [`run`] shares tiles among threads. The results are the bits of the same operations one by one.

mod function;
mod joined;
mod pairs;
pub(crate) mod plan;
mod planner;
pub(crate) mod run;
mod stages;

use smallvec::SmallVec;

pub use function::Function;
pub(crate) use function::OPERANDS;
pub(crate) use stages::Stages;

use crate::element::Float;
use crate::kernels::parts::unwritten;
use crate::kernels::reduce::extremes::{Extreme, Largest, Smallest};
use crate::kernels::reduce::sum::{Sum, itself, square_from};
use crate::kernels::reduce::{Reduction as _, write_reduced};
use crate::layout::Strided;

/// A step of a program; operands are numbers of earlier steps.
#[derive(Debug, Clone, PartialEq)]
pub enum FusedStep<T> {
    /// The input of this number, broadcast.
    Input(usize),
    /// A number.
    Constant(T),
    /// A function of earlier steps.
    Apply(Function, SmallVec<[u32; 3]>),
    /// A number for each row of an earlier step, broadcast to the program's shape.
    Reduce(Reduction, u32),
}

/// A reduction of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
}

impl Reduction {
    /// The sum of the squares of the distances from a number, or their mean.
    #[inline(always)]
    fn of_squares<T: Float>(self, row: &[T], origin: T) -> T {
        Sum { each: square_from(origin), divisor: self.divisor(row.len()) }.lane(row)
    }

    #[inline(always)]
    fn of<T: Float>(self, row: &[T]) -> T {
        match self {
            Self::Sum | Self::Mean => Sum { each: itself, divisor: self.divisor(row.len()) }.lane(row),
            Self::Max => Extreme(Largest).lane(row),
            Self::Min => Extreme(Smallest).lane(row),
        }
    }

    /// The divisor of a sum of `count` elements.
    #[inline(always)]
    pub(crate) fn divisor<T: Float>(self, count: usize) -> T {
        if self == Self::Mean { T::from_f64(count as f64) } else { T::ONE }
    }
}

/// A reduction along axes, over what is in `out`.
#[allow(unsafe_code, reason = "results are written to memory of elements; see SAFETY")]
pub(crate) fn overwrite_reduction<T: Float>(
    out: &mut [T],
    x: Strided<'_, T>,
    axes: &[usize],
    reduction: Reduction,
) {
    // SAFETY: results are initialised.
    let out = unsafe { unwritten(out) };
    match reduction {
        Reduction::Sum | Reduction::Mean => {
            let count = axes.iter().map(|&axis| x.shape()[axis]).product();
            write_reduced(out, x, axes, &Sum { each: itself, divisor: reduction.divisor(count) });
        }
        Reduction::Max => write_reduced(out, x, axes, &Extreme(Largest)),
        Reduction::Min => write_reduced(out, x, axes, &Extreme(Smallest)),
    }
}

/// What a program reads as an input.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a, T> {
    Elements(Strided<'a, T>),
    /// The elements that this output has before.
    Output(usize),
}

/// The stages of a program; see [`Stages::new`].
pub(crate) fn plan<T: Float>(
    shape: &[usize],
    row_axes: usize,
    inputs: &[&[usize]],
    steps: &[FusedStep<T>],
    outputs: &[u32],
) -> Stages<T> {
    Stages::new(shape, row_axes, inputs, steps, outputs)
}

/// Runs a program: writes the elements of each output.
pub(crate) fn run_stages<T: Float>(stages: &Stages<T>, inputs: &[Given<'_, T>], outputs: &mut [&mut [T]]) {
    stages.run(inputs, outputs);
}

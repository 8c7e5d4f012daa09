//! Straight-line programs on small arrays: products, fused passes and reductions, run one after another on places that are
//! found once.
//!
//! An operation on a dozen numbers takes a few nanoseconds, and finding its way to them many times as long: checks, layouts,
//! memory for the result. A routine does all that when it is built. The results are the bits of the operations one by one.
//! [`build`] makes the steps, [`run`] goes through them.

#![allow(unsafe_code, reason = "a routine may be sent to another thread; see SAFETY")]

mod build;
mod run;

pub(crate) use build::Mark;
pub(crate) use run::{Call, run_routine};

use super::fused::plan::Instruction;
use crate::layout::Layout;
use crate::runtime::Buffer;

/// Memory that steps name by number.
#[derive(Debug, Clone, Copy)]
enum Slot<T> {
    Input,
    Output,
    Constant(T),
    /// Memory of the routine, of so many elements.
    Own(usize),
    /// Memory that the registers of all passes share, from this element on.
    Register(usize),
}

/// Elements in a slot, as a step reads them.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    slot: u32,
    /// Its offset is from the start of the slot.
    layout: Layout,
}

/// A matrix in a slot.
#[derive(Debug, Clone, Copy)]
struct Matrix {
    slot: u32,
    offset: usize,
    strides: [isize; 2],
}

#[derive(Debug)]
enum Step<T> {
    /// The instructions of a tile of a fused pass.
    Pass { instructions: Vec<Instruction<T>>, rows: usize, len: usize },
    /// A product `[m, k] x [k, n]`, plus a bias for each row. Lines of the right operand are contiguous, unless it has one
    /// column.
    Product { sizes: [usize; 3], lhs: Matrix, rhs: Matrix, bias: Option<u32>, to: u32 },
    /// Sums of the columns of a matrix without gaps, divided by a number.
    Columns { from: u32, rows: usize, columns: usize, divisor: T, stack: u32, to: u32 },
    /// The mean of squared differences.
    MeanSquaredDifference { x: u32, y: u32, len: usize, squares: u32, to: u32 },
    /// The elements at these places, one after another.
    Gather { from: u32, places: Vec<u32>, to: u32 },
}

/// The address of each slot.
struct Table<T>(Vec<*mut T>);

// SAFETY: they are addresses of memory that the routine owns, or are entered anew in each run.
unsafe impl<T: Send> Send for Table<T> {}
// SAFETY: nobody reads them but a run, which has the routine for itself.
unsafe impl<T: Sync> Sync for Table<T> {}

/// A program whose steps run one after another, on one thread.
pub(crate) struct Routine<T> {
    values: Vec<Value>,
    slots: Vec<Slot<T>>,
    steps: Vec<Step<T>>,
    inputs: Vec<Operand>,
    outputs: Vec<Operand>,
    /// The elements of the registers of a pass.
    registers: usize,
    /// Inputs and outputs get their addresses in each run.
    table: Table<T>,
    /// The memory of the routine and of its constants.
    memory: Option<Buffer<T>>,
}

/// An input or an output.
#[derive(Debug)]
struct Operand {
    /// How it lies in memory, its offset aside.
    layout: Layout,
    /// The number of elements from the first to behind the last one.
    reach: usize,
    slot: u32,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Routine<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?} {:?} {:?}", self.inputs, self.slots, self.steps, self.outputs)
    }
}

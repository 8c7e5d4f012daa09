//! The way through the steps of a routine.

#![allow(unsafe_code, reason = "operands and results are found by their addresses; see SAFETY")]

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use super::{Matrix, Operand, Routine, Slot, Step};
use crate::element::Float;
use crate::kernels::fused::run::Tile;
use crate::kernels::matmul::MatrixRef;
use crate::kernels::matmul::narrow::product_with_lines;
use crate::kernels::reduce::sum::{Sum, itself};
use crate::kernels::reduce::{Rows, stack_size};
use crate::kernels::squares::mean_squared_difference;
use crate::layout::{Layout, Strided};
use crate::runtime::{Buffer, dispatch};

/// A run of a routine, which is given its operands one by one: in a step of a small model, to collect them in lists first takes
/// as long as some of the products.
pub(crate) struct Call<'a, T> {
    routine: &'a mut Routine<T>,
    /// The number of inputs and of outputs entered so far.
    inputs: usize,
    outputs: usize,
    /// The table has their addresses.
    operands: PhantomData<&'a mut [T]>,
}

impl<'a, T: Float> Call<'a, T> {
    #[inline]
    pub(crate) fn new(routine: &'a mut Routine<T>) -> Self {
        if routine.memory.is_none() {
            prepare(routine);
        }
        Self { routine, inputs: 0, outputs: 0, operands: PhantomData }
    }

    /// Enters the next input.
    ///
    /// # Panics
    /// If the routine has no further one, or it lies otherwise in memory.
    #[inline]
    pub(crate) fn input(&mut self, input: Strided<'a, T>) {
        let Operand { layout, reach, slot } =
            self.routine.inputs.get(self.inputs).expect("the routine has fewer inputs");
        assert!(input.layout.is_parallel_to(layout), "an input lies otherwise in memory");
        let elements = &input.data[input.layout.offset..][..*reach];
        self.routine.table.0[*slot as usize] = elements.as_ptr().cast_mut();
        self.inputs += 1;
    }

    /// Enters the next output, which is written from the start of `memory` on.
    ///
    /// # Panics
    /// If the routine has no further one, or it lies otherwise in memory.
    #[inline]
    pub(crate) fn output(&mut self, lies: &Layout, memory: &'a mut [T]) {
        let Operand { layout, reach, slot } =
            self.routine.outputs.get(self.outputs).expect("the routine has fewer outputs");
        assert!(lies.offset == 0 && lies.is_parallel_to(layout), "an output lies otherwise in memory");
        self.routine.table.0[*slot as usize] = memory[..*reach].as_mut_ptr();
        self.outputs += 1;
    }
}

/// Writes the elements of each output.
///
/// # Panics
/// If operands are missing.
pub(crate) fn run_routine<T: Float>(call: Call<'_, T>) {
    let Routine { steps, table, inputs, outputs, .. } = call.routine;
    assert!(call.inputs == inputs.len() && call.outputs == outputs.len(), "the routine has more operands");
    // SAFETY: the table has the addresses of memory as large as the steps say: inputs lie as they did when the steps were
    // made, and all else was allocated for them. Operands are borrowed until the call ends. Results are written to memory that
    // is no step's operand at the same time. Right operands of products have lines, as `Step` says.
    unsafe { run_steps(steps, &table.0) };
}

/// Allocates the memory of a routine, and enters all addresses that stay.
#[cold]
fn prepare<T: Float>(routine: &mut Routine<T>) {
    // Whole cache lines, so that no vector crosses two.
    let size = |slot: &Slot<T>| match slot {
        Slot::Own(len) => len.next_multiple_of(16),
        Slot::Constant(_) => 1,
        Slot::Input | Slot::Output | Slot::Register(_) => 0,
    };
    let registers = routine.registers.next_multiple_of(16);
    let mut memory = Buffer::filled(registers + routine.slots.iter().map(size).sum::<usize>(), T::ZERO);
    let elements = memory.get_mut().expect("nobody else has it");
    let mut next = registers;
    let mut starts = Vec::with_capacity(routine.slots.len());
    for slot in &routine.slots {
        starts.push(if let Slot::Register(start) = *slot { start } else { next });
        if let Slot::Constant(x) = *slot {
            elements[next] = x;
        }
        next += size(slot);
    }
    // One address for all: another borrow of the elements would end the ones before.
    let first = elements.as_mut_ptr();
    routine.table.0.extend(starts.into_iter().map(|start| first.wrapping_add(start)));
    routine.memory = Some(memory);
}

/// # Safety
/// The table must have an address for each slot, of elements as many as the steps read and write there.
unsafe fn run_steps<T: Float>(steps: &[Step<T>], table: &[*mut T]) {
    let at = |slot: u32| table[slot as usize];
    for step in steps {
        // SAFETY: the caller's promise. Memory of the routine was initialised when it was allocated, and what is written to
        // a place is memory of its own.
        unsafe {
            match step {
                Step::Pass { instructions, rows, len } => {
                    Tile { slots: table, rows: *rows, len: *len, number: 0 }.run(instructions);
                }
                &Step::Product { sizes: [m, k, n], lhs, rhs, bias, to } => {
                    let out = from_raw_parts_mut(at(to).cast::<MaybeUninit<T>>(), m * n);
                    let bias = bias.map(|bias| from_raw_parts(at(bias).cast_const(), n));
                    let (lhs, rhs) = (matrix(table, lhs, [m, k]), matrix(table, rhs, [k, n]));
                    product_with_lines(out, &lhs, &rhs, bias);
                }
                &Step::Columns { from, rows, columns, divisor, stack, to } => {
                    let data = from_raw_parts(at(from).cast_const(), rows * columns);
                    let stack = from_raw_parts_mut(at(stack), stack_size(rows, columns));
                    let out = from_raw_parts_mut(at(to).cast::<MaybeUninit<T>>(), columns);
                    let rows = Rows { data, start: 0, stride: columns as isize, count: rows };
                    let sum = Sum { each: itself, divisor };
                    dispatch(
                        #[inline(always)]
                        || sum.across_in(rows, out, stack),
                    );
                }
                &Step::MeanSquaredDifference { x, y, len, squares, to } => {
                    let [x, y] = [x, y].map(|slot| from_raw_parts(at(slot).cast_const(), len));
                    let squares = from_raw_parts_mut(at(squares), len);
                    at(to).write(mean_squared_difference(x, y, squares));
                }
                Step::Gather { from, places, to } => {
                    let (from, to) = (at(*from), at(*to));
                    for (i, &place) in places.iter().enumerate() {
                        to.add(i).write(*from.add(place as usize));
                    }
                }
            }
        }
    }
}

/// A matrix of a slot.
///
/// # Safety
/// Its elements must lie in the slot.
unsafe fn matrix<T: Float>(
    table: &[*mut T],
    matrix: Matrix,
    [rows, columns]: [usize; 2],
) -> MatrixRef<'_, T> {
    let Matrix { slot, offset, strides: [row_stride, column_stride] } = matrix;
    let reach = (rows - 1) * row_stride as usize + (columns - 1) * column_stride as usize + 1;
    // SAFETY: the caller's promise.
    let data = unsafe { from_raw_parts(table[slot as usize].add(offset).cast_const(), reach) };
    MatrixRef { data, offset: 0, rows, columns, row_stride, column_stride }
}

//! The way through the steps of a routine.

#![allow(unsafe_code, reason = "operands and results are found by their addresses; see SAFETY")]

use std::mem::MaybeUninit;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use super::{Matrix, Routine, Slot, Step};
use crate::element::Float;
use crate::kernels::fused::run::Tile;
use crate::kernels::matmul::MatrixRef;
use crate::kernels::matmul::narrow::narrow_product;
use crate::kernels::reduce::sum::{Sum, itself};
use crate::kernels::reduce::{Rows, stack_size};
use crate::kernels::squares::mean_squared_difference;
use crate::layout::Strided;
use crate::runtime::{Buffer, dispatch};

/// Runs a routine: writes the elements of each output.
///
/// # Panics
/// If there are more or fewer inputs or outputs, an input lies otherwise in memory, or an output has not as many elements.
pub(crate) fn run_routine<T: Float>(
    routine: &mut Routine<T>,
    inputs: &[Strided<'_, T>],
    outputs: &mut [&mut [T]],
) {
    if routine.memory.is_none() {
        prepare(routine);
    }
    let Routine { steps, table, .. } = routine;
    assert!(inputs.len() == routine.inputs.len() && outputs.len() == routine.outputs.len(), "all operands");
    for ((input, expected), &slot) in inputs.iter().zip(&routine.inputs).zip(&routine.input_slots) {
        assert!(input.layout.is_parallel_to(expected), "an input lies otherwise in memory");
        table.0[slot as usize] = input.data[input.layout.offset..].as_ptr().cast_mut();
    }
    for ((output, expected), &slot) in outputs.iter_mut().zip(&routine.outputs).zip(&routine.output_slots) {
        assert_eq!(output.len(), expected.len(), "the elements of an output");
        table.0[slot as usize] = output.as_mut_ptr();
    }
    // SAFETY: the table has the addresses of memory as large as the steps say: inputs lie as they did when the steps were
    // made, and all else was allocated for them. Results are written to memory that is no step's operand at the same time.
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
                    narrow_product(out, matrix(table, lhs, [m, k]), matrix(table, rhs, [k, n]), bias);
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

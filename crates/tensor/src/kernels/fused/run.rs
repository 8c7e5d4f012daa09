//! The tiles of a program, shared among threads.

#![allow(unsafe_code, reason = "threads write parts of several results through pointers; see SAFETY")]

use std::mem::MaybeUninit;
use std::ops::Range;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use smallvec::SmallVec;

use super::function::{Loop, OPERANDS};
use super::plan::{Extent, Instruction, Program, TILE, Work};
use super::{Given, Reduction};
use crate::element::Float;
use crate::kernels::copy::copy;
use crate::kernels::parts::{PART, SHARED};
use crate::kernels::reduce::extremes::{Largest, Order as _, Smallest};
use crate::kernels::reduce::sum::{Partial, join_partial_sums, partial_sums};
use crate::layout::{Strided, same};
use crate::runtime::{Buffer, Pointer, dispatch, for_each_piece_of};

/// The tiles of a row whose partial results are joined by one thread: a power of two, as sums need it.
const CHUNK: usize = PART / TILE;
/// Up to so many elements, registers lie on the stack.
const STACK: usize = 512;

/// The slots of a tile, its place and its size.
pub(crate) struct Tile<'a, T> {
    pub(crate) slots: &'a [*mut T],
    pub(crate) rows: usize,
    pub(crate) len: usize,
    /// Its number among those of its piece.
    pub(crate) number: usize,
}

impl<T: Float> Tile<'_, T> {
    /// Runs instructions.
    ///
    /// # Safety
    /// The slots must be as the plan says.
    #[inline(always)]
    pub(crate) unsafe fn run(&self, instructions: &[Instruction<T>]) {
        for instruction in instructions {
            let slot = |number: u32| {
                debug_assert!((number as usize) < self.slots.len());
                // SAFETY: the plan names no other slots.
                unsafe { *self.slots.get_unchecked(number as usize) }
            };
            let len = match instruction.extent {
                Extent::Once => 1,
                Extent::Row => self.rows,
                Extent::Element => self.len,
            };
            let (operands, out) = (instruction.operands.map(slot), slot(instruction.to));
            // SAFETY: the plan gives each instruction a slot for its results that is none of its operands', and slots
            // have as many elements as their extent says; its loops are made for this machine.
            unsafe {
                if let Work::Loop(function) = instruction.work {
                    let operands = operands.map(<*mut T>::cast_const);
                    match instruction.row_steps {
                        None => function(from_raw_parts_mut(out.cast(), len), &operands),
                        Some(steps) => self.run_apart(function, out, operands, steps),
                    }
                } else {
                    self.run_rows(instruction.work, [operands[0], operands[1]], out);
                }
            }
        }
    }

    /// Runs a loop for each row.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    #[inline(always)]
    unsafe fn run_apart(
        &self,
        function: Loop<T>,
        out: *mut T,
        mut operands: [*const T; OPERANDS],
        steps: [u32; OPERANDS],
    ) {
        let length = self.len / self.rows.max(1);
        for row in 0..self.rows {
            // SAFETY: as the caller promises; each operand's next row begins its step further on.
            unsafe { function(from_raw_parts_mut(out.add(row * length).cast(), length), &operands) };
            for (operand, step) in operands.iter_mut().zip(steps) {
                *operand = operand.wrapping_add(step as usize);
            }
        }
    }

    /// Runs an instruction that sees rows.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    unsafe fn run_rows(&self, work: Work<T>, [x, y]: [*mut T; 2], out: *mut T) {
        let length = self.len / self.rows.max(1);
        // SAFETY: as the caller promises; what an instruction does not read may be elsewhere.
        unsafe {
            match work {
                Work::Loop(_) => unreachable!("`run` has it"),
                Work::Expand => {
                    for row in 0..self.rows {
                        let out = out.add(row * length).cast();
                        from_raw_parts_mut(out, length).fill(MaybeUninit::new(*x.add(row)));
                    }
                }
                Work::Repeat => {
                    for row in 0..self.rows {
                        out.add(row * length).copy_from_nonoverlapping(x, length);
                    }
                }
                Work::Reduce(reduction) => {
                    let elements = from_raw_parts(x, self.len);
                    dispatch(
                        #[inline(always)]
                        || {
                            for row in 0..self.rows {
                                out.add(row).write(reduction.of(&elements[row * length..][..length]));
                            }
                        },
                    );
                }
                Work::ReduceSquares(reduction, origins) => {
                    let elements = from_raw_parts(x, self.len);
                    dispatch(
                        #[inline(always)]
                        || {
                            for row in 0..self.rows {
                                let origin = match origins {
                                    Some(Extent::Row) => *y.add(row),
                                    Some(_) => *y,
                                    None => T::ZERO,
                                };
                                let elements = &elements[row * length..][..length];
                                out.add(row).write(reduction.of_squares(elements, origin));
                            }
                        },
                    );
                }
                Work::Accumulate(reduction) => {
                    let elements = from_raw_parts(x, self.len);
                    let partial = match reduction {
                        Reduction::Sum | Reduction::Mean => partial_sums(elements),
                        Reduction::Max | Reduction::Min => [reduction.of(elements); _],
                    };
                    out.cast::<Partial<T>>().add(self.number).write(partial);
                }
            }
        }
    }
}

/// The result of partial results of a row, in order; of sums still a partial one.
pub(super) fn join<T: Float>(reduction: Reduction, parts: &mut [Partial<T>]) -> Partial<T> {
    let extreme = |wins: &dyn Fn(T, T) -> bool| {
        parts
            .iter()
            .copied()
            .reduce(|best, x| if wins(x[0], best[0]) { x } else { best })
            .expect("some tiles")
    };
    match reduction {
        Reduction::Sum | Reduction::Mean => join_partial_sums(parts),
        Reduction::Max => extreme(&|x, best| Largest.wins(x, best)),
        Reduction::Min => extreme(&|x, best| Smallest.wins(x, best)),
    }
}

/// An input or an output: where it begins, and the distance of rows.
struct Place<T> {
    start: Pointer<T>,
    row: usize,
    /// Whether to go on from column to column.
    moves: bool,
}

impl<T> Place<T> {
    /// # Safety
    /// The row and the column must be within the program's shape.
    #[inline(always)]
    unsafe fn at(&self, row: usize, column: usize) -> *mut T {
        // SAFETY: as the caller promises.
        unsafe { self.start.at(row * self.row + if self.moves { column } else { 0 }) }
    }
}

/// A run of a program.
struct Run<'a, T> {
    program: &'a Program<T>,
    inputs: SmallVec<[Place<T>; 8]>,
    outputs: SmallVec<[Place<T>; 4]>,
    /// Whether an input is the same memory as an output.
    inplace: bool,
    tile_length: usize,
    tiles_in_row: usize,
    /// For each reduction of rows of several tiles, and each piece of the work, its partial result.
    partials: Pointer<Partial<T>>,
}

fn tiles_in_row(length: usize, tile_length: usize) -> usize {
    if tile_length < length { length.div_ceil(tile_length) } else { 1 }
}

impl<T: Float> Program<T> {
    /// The number of pieces of each row whose reductions are accumulated.
    pub(super) fn pieces_in_row(&self) -> usize {
        tiles_in_row(self.length, self.tile_length).div_ceil(CHUNK)
    }

    /// Writes the elements of each output, and the partial results of each accumulated reduction, for each row and each
    /// piece of it.
    pub(super) fn run(&self, inputs: &[Given<'_, T>], outputs: &mut [&mut [T]], partials: &mut [Partial<T>]) {
        assert!(inputs.len() == self.inputs.len() && outputs.len() == self.outputs.len(), "all slots");
        let inplace = inputs.iter().any(|input| matches!(input, Given::Output(_)));
        let tile_length = self.run_length(inplace);
        let mut run = Run {
            program: self,
            inputs: SmallVec::new(),
            outputs: SmallVec::new(),
            inplace,
            tile_length,
            tiles_in_row: tiles_in_row(self.length, tile_length),
            partials: Pointer(partials.as_mut_ptr()),
        };
        for (output, &extent) in outputs.iter_mut().zip(&self.outputs) {
            assert_eq!(output.len(), self.size(extent), "the elements of an output");
            run.outputs.push(self.place(output.as_mut_ptr(), extent));
        }
        let mut copies = Vec::new();
        for (number, input) in inputs.iter().enumerate() {
            let place = match *input {
                Given::Elements(elements) => self.input_place(number, elements, &mut copies),
                Given::Output(output) => {
                    assert!(
                        self.outputs[output] == Extent::Element && self.inputs[number].shape == self.shape,
                        "only an output of the same shape can be an input"
                    );
                    self.place(run.outputs[output].start.0, Extent::Element)
                }
            };
            run.inputs.push(place);
        }
        // Of an empty shape, too, what is one number for all is computed.
        let tiles = (self.rows.div_ceil(self.tile_rows) * run.tiles_in_row).max(1);
        let shared = self.size(Extent::Element) >= SHARED;
        if !self.accumulated.is_empty() {
            let pieces = self.pieces_in_row();
            assert_eq!(partials.len(), self.accumulated.len() * self.rows * pieces, "all partial results");
            return for_each_piece_of(self.rows * pieces, shared, &|piece| {
                let (row, number) = (piece / pieces * run.tiles_in_row, piece % pieces * CHUNK);
                run.piece(piece, row + number..row + run.tiles_in_row.min(number + CHUNK));
            });
        }
        if !shared {
            return run.piece(0, 0..tiles);
        }
        let of_piece = (PART / (self.tile_rows * run.tile_length)).max(1);
        for_each_piece_of(tiles.div_ceil(of_piece), true, &|piece| {
            run.piece(piece, piece * of_piece..tiles.min((piece + 1) * of_piece));
        });
    }

    fn place(&self, start: *mut T, extent: Extent) -> Place<T> {
        let (row, moves) = match extent {
            Extent::Once => (0, false),
            Extent::Row => (1, false),
            Extent::Element => (self.length, true),
        };
        Place { start: Pointer(start), row, moves }
    }

    /// The place of an input, which is copied where its rows do not lie together.
    fn input_place(&self, number: usize, input: Strided<'_, T>, copies: &mut Vec<Buffer<T>>) -> Place<T> {
        let extent = self.inputs[number].extent;
        assert!(same(&self.inputs[number].shape, input.shape()), "the shape of an input");
        if !self.inputs[number].used {
            return Place { start: Pointer(input.data.as_ptr().cast_mut()), row: 0, moves: false };
        }
        let repeats = self.repeats(number);
        let elements = input.as_slice().filter(|elements| repeats || elements.len() == self.size(extent));
        let elements = elements.unwrap_or_else(|| {
            let layout =
                if repeats { input.layout.clone() } else { input.layout.expand(&self.shape_of(extent)) };
            copies.push(copy(Strided { data: input.data, layout: &layout }));
            let elements = copies.last().expect("just made").as_slice();
            // SAFETY: a buffer's elements stay where they are, as long as it is in the list.
            unsafe { from_raw_parts(elements.as_ptr(), elements.len()) }
        });
        let place = self.place(elements.as_ptr().cast_mut(), extent);
        Place { row: if repeats { 0 } else { place.row }, ..place }
    }
}

impl<T: Float> Run<'_, T> {
    /// Runs some tiles, with registers of their own.
    fn piece(&self, piece: usize, tiles: Range<usize>) {
        let program = self.program;
        // Outputs that are inputs, too, are written after their tile.
        let tile = program.tile_size(Extent::Element);
        let scratch = program.scratch + if self.inplace { tile * program.outputs.len() } else { 0 };
        if scratch <= STACK {
            let mut registers = [const { MaybeUninit::<T>::uninit() }; STACK];
            return self.tiles(piece, tiles, registers.as_mut_ptr().cast());
        }
        // SAFETY: these elements need not be initialised.
        let mut registers = unsafe { Buffer::<MaybeUninit<T>>::build(scratch, |_| {}) };
        let registers = registers.get_mut().expect("nobody else has it");
        self.tiles(piece, tiles, registers.as_mut_ptr().cast());
    }

    fn tiles(&self, piece: usize, tiles: Range<usize>, registers: *mut T) {
        let program = self.program;
        let first_output = self.inputs.len() + program.constants.len();
        let mut slots: SmallVec<[*mut T; 32]> = SmallVec::new();
        slots.extend(self.inputs.iter().map(|input| input.start.0));
        slots.extend(program.constants.iter().map(|x| std::ptr::from_ref(x).cast_mut()));
        slots.extend(self.outputs.iter().map(|output| output.start.0));
        // SAFETY: registers lie within the memory for all of them.
        slots.extend(program.registers.iter().map(|&start| unsafe { registers.add(start) }));
        // What is one number for all is written by the first piece, and one for a row by its first tile; the others compute
        // it for themselves.
        let mut own: SmallVec<[T; 4]> = SmallVec::from_elem(T::ZERO, self.outputs.len());
        for number in tiles.clone() {
            let (row, column) = if self.tiles_in_row == 1 {
                (number * program.tile_rows, 0)
            } else {
                (number / self.tiles_in_row, number % self.tiles_in_row * self.tile_length)
            };
            let rows = program.tile_rows.min(program.rows - row);
            let len = rows * self.tile_length.min(program.length - column);
            for (slot, input) in slots.iter_mut().zip(&self.inputs) {
                // SAFETY: the tile is within the shape.
                *slot = unsafe { input.at(row, column) };
            }
            for (k, output) in self.outputs.iter().enumerate() {
                slots[first_output + k] = match program.outputs[k] {
                    Extent::Once if tiles.start > 0 => &raw mut own[k],
                    Extent::Row if column > 0 => &raw mut own[k],
                    // SAFETY: there is room for a tile of each output behind the registers.
                    Extent::Element if self.inplace => unsafe {
                        registers.add(program.scratch + k * program.tile_size(Extent::Element))
                    },
                    // SAFETY: the tile is within the shape.
                    _ => unsafe { output.at(row, column) },
                };
            }
            let tile = Tile { slots: &slots, rows, len, number: number - tiles.start };
            // SAFETY: slots are as the plan says.
            unsafe {
                if tile.number == 0 {
                    let len = program.tile_size(Extent::Element);
                    Tile { rows: program.tile_rows, len, ..tile }.run(&program.prologue);
                }
                tile.run(&program.body);
            }
            if self.inplace {
                self.write_back(&slots[first_output..], row, column, len);
            }
        }
        for (k, &(reduction, register)) in program.accumulated.iter().enumerate() {
            // SAFETY: each tile has written its place of the register, and each piece has its own in the results.
            unsafe {
                let parts = from_raw_parts_mut(slots[register as usize].cast(), tiles.len());
                let pieces = program.rows * program.pieces_in_row();
                self.partials.at(k * pieces + piece).write(join(reduction, parts));
            }
        }
    }

    /// Copies the elements of a tile to the outputs.
    fn write_back(&self, slots: &[*mut T], row: usize, column: usize, len: usize) {
        for ((slot, output), &extent) in slots.iter().zip(&self.outputs).zip(&self.program.outputs) {
            if extent == Extent::Element {
                // SAFETY: the tile is within the shape, and has been computed elsewhere.
                unsafe { output.at(row, column).copy_from_nonoverlapping(*slot, len) };
            }
        }
    }
}

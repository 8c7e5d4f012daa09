//! Programs of elementwise steps and reductions, run over tiles that stay in the first-level cache.
//!
//! [`plan`] makes instructions of the steps, [`function`] has the loop of each function, and here tiles are shared among
//! threads. The results are the bits of the same operations one by one.

#![allow(unsafe_code, reason = "threads write parts of several results through pointers; see SAFETY")]

mod function;
mod plan;

use std::mem::MaybeUninit;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use smallvec::SmallVec;

pub use function::Function;
use function::Places;
pub(crate) use plan::Instruction;
pub(crate) use plan::Program;
use plan::{Extent, Work};

use crate::element::Float;
use crate::kernels::copy::{Elements, copy};
use crate::kernels::parts::{PART, SHARED};
use crate::kernels::reduce::Reduction as _;
use crate::kernels::reduce::extremes::{Extreme, beats, undercuts};
use crate::kernels::reduce::sum::{Sum, itself};
use crate::layout::{Strided, same};
use crate::runtime::{Buffer, Pointer, dispatch, for_each_piece_of};

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
    #[inline(always)]
    fn of<T: Float>(self, row: &[T]) -> T {
        let sum = |divisor| Sum { each: itself, divisor }.lane(row);
        match self {
            Self::Sum => sum(T::ONE),
            Self::Mean => sum(T::from_f64(row.len() as f64)),
            Self::Max => Extreme(beats).lane(row),
            Self::Min => Extreme(undercuts).lane(row),
        }
    }
}

/// The slots of a tile and its size.
pub(crate) struct Tile<'a, T> {
    slots: &'a [*mut T],
    rows: usize,
    len: usize,
}

impl<T> Tile<'_, T> {
    #[inline(always)]
    fn size(&self, extent: Extent) -> usize {
        match extent {
            Extent::Once => 1,
            Extent::Row => self.rows,
            Extent::Element => self.len,
        }
    }
}

/// Runs instructions on a tile, whose slots are as the plan says.
pub(crate) fn run_instructions<T: Float>(instructions: &[Instruction], tile: &Tile<'_, T>) {
    dispatch(
        #[inline(always)]
        || {
            for instruction in instructions {
                let operands = instruction.operands.map(|slot| tile.slots[slot as usize].cast_const());
                let (out, len) = (tile.slots[instruction.to as usize], tile.size(instruction.extent));
                // SAFETY: the plan gives each instruction a slot for its results that is none of its operands', and
                // slots have as many elements as their extent says.
                unsafe {
                    let from = |len| from_raw_parts(operands[0], len);
                    let out_slice = || from_raw_parts_mut(out.cast::<MaybeUninit<T>>(), len);
                    match instruction.work {
                        Work::Apply(function, form) => function.apply(form, Places { out, operands, len }),
                        Work::Splat => out_slice().fill(MaybeUninit::new(*operands[0])),
                        Work::Copy => out.copy_from_nonoverlapping(operands[0], len),
                        Work::Expand => {
                            let length = tile.len / tile.rows;
                            for (row, &x) in out_slice().chunks_exact_mut(length.max(1)).zip(from(tile.rows))
                            {
                                row.fill(MaybeUninit::new(x));
                            }
                        }
                        Work::Repeat => {
                            let length = tile.len / tile.rows;
                            for row in 0..tile.rows {
                                out.add(row * length).copy_from_nonoverlapping(operands[0], length);
                            }
                        }
                        Work::Reduce(reduction) => {
                            let length = tile.len / tile.rows;
                            let rows = from(tile.len);
                            for row in 0..tile.rows {
                                out.add(row).write(reduction.of(&rows[row * length..][..length]));
                            }
                        }
                    }
                }
            }
        },
    );
}

/// An input: its elements, and the distance of rows.
struct Source<T> {
    data: Pointer<T>,
    row: usize,
}

/// Runs a program: writes the elements of each output.
pub(crate) fn run<T: Float>(program: &Program<T>, inputs: &[Strided<'_, T>], outputs: &mut [&mut [T]]) {
    assert!(inputs.len() == program.inputs.len() && outputs.len() == program.outputs.len(), "all slots");
    let mut copies: SmallVec<[Elements<'_, T>; 8]> = SmallVec::new();
    let mut sources: SmallVec<[Source<T>; 8]> = SmallVec::new();
    for (number, input) in inputs.iter().enumerate() {
        let (shape, extent) = &program.inputs[number];
        assert!(same(shape, input.shape()), "the shape of an input");
        let whole = program.shape_of(*extent);
        let is_whole = input.layout.len() == program.size(*extent);
        let repeats = program.repeats(number);
        let elements = match input.as_slice() {
            Some(elements) if is_whole || repeats => Elements::Borrowed(elements),
            _ if repeats => Elements::Copied(copy(*input)),
            _ => {
                // An input may have fewer axes, or more of size 1.
                let layout = input.layout.expand(&whole);
                Elements::Copied(copy(Strided { data: input.data, layout: &layout }))
            }
        };
        let row = match extent {
            Extent::Once => 0,
            Extent::Row => 1,
            Extent::Element if repeats => 0,
            Extent::Element => program.length,
        };
        sources.push(Source { data: Pointer(elements.as_ptr().cast_mut()), row });
        copies.push(elements);
    }
    let mut targets: SmallVec<[Pointer<T>; 4]> = SmallVec::new();
    for (output, (_, extent)) in outputs.iter_mut().zip(&program.outputs) {
        assert_eq!(output.len(), program.size(*extent), "the elements of an output");
        targets.push(Pointer(output.as_mut_ptr()));
    }
    let tile = program.tile_size(Extent::Element).max(1);
    let tiles = if program.tile_rows > 1 {
        program.rows.div_ceil(program.tile_rows)
    } else {
        program.rows * program.length.div_ceil(program.tile_length.max(1)).max(1)
    };
    let shared = program.size(Extent::Element) >= SHARED;
    let of_piece = if shared { (PART / tile).max(1) } else { tiles };
    let pieces = tiles.div_ceil(of_piece.max(1)).max(1);
    for_each_piece_of(pieces, shared, &|piece| {
        let first = piece * of_piece;
        run_tiles(program, &sources, &targets, first..tiles.min(first + of_piece));
    });
}

fn run_tiles<T: Float>(
    program: &Program<T>,
    sources: &[Source<T>],
    targets: &[Pointer<T>],
    tiles: std::ops::Range<usize>,
) {
    const STACK: usize = 1024;
    if program.scratch <= STACK {
        let mut scratch = [const { MaybeUninit::<T>::uninit() }; STACK];
        return run_tiles_in(program, sources, targets, tiles, scratch.as_mut_ptr().cast());
    }
    // SAFETY: elements that need not be initialised.
    let mut scratch = unsafe { Buffer::<MaybeUninit<T>>::build(program.scratch, |_| {}) };
    let scratch = scratch.get_mut().expect("nobody else has it").as_mut_ptr();
    run_tiles_in(program, sources, targets, tiles, scratch.cast());
}

fn run_tiles_in<T: Float>(
    program: &Program<T>,
    sources: &[Source<T>],
    targets: &[Pointer<T>],
    tiles: std::ops::Range<usize>,
    scratch: *mut T,
) {
    let mut slots: SmallVec<[*mut T; 32]> = SmallVec::new();
    slots.extend(sources.iter().map(|source| source.data.0));
    slots.extend(program.constants.iter().map(|x| std::ptr::from_ref(x).cast_mut()));
    let first_target = slots.len();
    slots.extend(targets.iter().map(|target| target.0));
    // SAFETY: registers lie within the memory for all of them.
    slots.extend(program.registers.iter().map(|register| unsafe { scratch.add(register.start) }));
    // What is written once is written by the first piece; the others compute it for themselves.
    let mut own: SmallVec<[T; 4]> = SmallVec::from_elem(T::ZERO, targets.len());
    if tiles.start > 0 {
        let outputs = slots[first_target..].iter_mut().zip(&program.outputs);
        for ((slot, (_, extent)), own) in outputs.zip(&mut own) {
            if *extent == Extent::Once {
                *slot = own;
            }
        }
    }
    let rows = program.tile_rows;
    T::run_instructions(&program.prologue, &Tile { slots: &slots, rows, len: rows * program.tile_length });
    for tile in tiles {
        let tiles_in_row =
            if rows > 1 { 1 } else { program.length.div_ceil(program.tile_length.max(1)).max(1) };
        let (row, column) = (tile / tiles_in_row * rows, tile % tiles_in_row * program.tile_length);
        let rows = rows.min(program.rows - row);
        let len = rows * program.tile_length.min(program.length - column);
        let at = |extent: Extent, width: usize| match extent {
            Extent::Once => 0,
            Extent::Row => row,
            Extent::Element => row * width + column,
        };
        for (number, source) in sources.iter().enumerate() {
            // SAFETY: rows and columns are within the input.
            slots[number] = unsafe { source.data.at(at(program.inputs[number].1, source.row)) };
        }
        for (number, target) in targets.iter().enumerate() {
            let extent = program.outputs[number].1;
            if extent != Extent::Once {
                // SAFETY: rows and columns are within the output.
                slots[first_target + number] = unsafe { target.at(at(extent, program.length)) };
            }
        }
        T::run_instructions(&program.body, &Tile { slots: &slots, rows, len });
    }
}

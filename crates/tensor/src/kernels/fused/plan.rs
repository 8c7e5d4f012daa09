//! The plan of a program: which elements a tile has, and what is computed once for a row or for all.

use smallvec::SmallVec;

use super::function::{Loop, OPERANDS};
use super::planner::Planner;
use crate::element::Float;
use crate::kernels::fused::{FusedStep, Reduction};
use crate::kernels::parts::PART;
use crate::layout::copied;
use crate::shape::Shape;

/// The elements of a tile with registers, which then stay in the first-level cache.
pub(crate) const TILE: usize = 512;

/// The bytes of a tile of whole rows that are reduced: several rows, so that one is summed while the last results of another
/// are not there yet, and few enough for the first-level cache, with results and registers.
const TILE_OF_ROWS: usize = 8192;

/// Rows of at least this many elements have loops of their own where an operand is one number for each row, or one row for all.
const APART: usize = 64;

/// How often a value changes; each includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    Once,
    /// One number for each row.
    Row,
    Element,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Work<T> {
    /// Results of elements side by side.
    Loop(Loop<T>),
    /// The number of each row to its elements.
    Expand,
    /// One row to all rows.
    Repeat,
    Reduce(Reduction),
    /// A sum or a mean of the squares of rows; with an extent, of their distances from the second operand.
    ReduceSquares(Reduction, Option<Extent>),
    /// Partial results of a reduction of rows of several tiles, in the tile's place.
    Accumulate(Reduction),
}

/// What happens to some slots of a tile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instruction<T> {
    pub(crate) work: Work<T>,
    /// The extent of the result.
    pub(crate) extent: Extent,
    pub(crate) operands: [u32; OPERANDS],
    pub(crate) to: u32,
    /// Of a loop for each row: how far the values of each operand are from the next row's.
    pub(crate) row_steps: Option<[u32; OPERANDS]>,
}

/// An input of a program.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) shape: Shape,
    pub(crate) extent: Extent,
    pub(crate) used: bool,
}

/// The plan of a program. Instructions name slots: inputs, then constants, outputs and registers.
#[derive(Debug)]
pub(crate) struct Program<T> {
    pub(crate) shape: Shape,
    /// The number of axes of a row.
    pub(crate) row_axes: usize,
    /// The number of rows, and the elements of one.
    pub(crate) rows: usize,
    pub(crate) length: usize,
    /// The rows of a tile, and the elements of each of them.
    pub(crate) tile_rows: usize,
    pub(crate) tile_length: usize,
    /// Whether the rows of a tile have loops of their own where an operand is one number for each row, or one row for all.
    pub(crate) rows_apart: bool,
    pub(crate) inputs: Vec<Input>,
    pub(crate) constants: Vec<T>,
    pub(crate) outputs: SmallVec<[Extent; 4]>,
    /// Reductions of rows of several tiles, and the registers of their partial results.
    pub(crate) accumulated: Vec<(Reduction, u32)>,
    /// The place of each register in the memory for all of them, counted in elements; a register holds several values,
    /// one after another.
    pub(crate) registers: Vec<usize>,
    /// The elements of all registers.
    pub(crate) scratch: usize,
    /// For each part of the work.
    pub(crate) prologue: Vec<Instruction<T>>,
    /// For each tile.
    pub(crate) body: Vec<Instruction<T>>,
}

/// How the elements of an input of shape `from` change over the shape, of which the last `row_axes` make a row.
fn extent(from: &[usize], shape: &[usize], row_axes: usize) -> Extent {
    let varies = |axis: &usize| from[*axis] != 1;
    let row = (shape.len() - row_axes + from.len()).saturating_sub(shape.len());
    if (row..from.len()).any(|axis| varies(&axis)) {
        Extent::Element
    } else if (0..row).any(|axis| varies(&axis)) {
        Extent::Row
    } else {
        Extent::Once
    }
}

/// Whether an input of shape `from` repeats some of a row's axes and has others, so that its rows do not lie together.
fn is_mixed(from: &[usize], shape: &[usize], row_axes: usize) -> bool {
    let sizes = from.iter().rev().chain(std::iter::repeat(&1)).zip(shape.iter().rev()).take(row_axes);
    let mut axes = sizes.filter(|(_, whole)| **whole != 1).map(|(size, whole)| size == whole);
    let first = axes.next();
    first.is_some_and(|first| axes.any(|axis| axis != first))
}

/// The axes of a row for steps that do not reduce: as many as possible of which each input has all or none.
fn best_row_axes(inputs: &[&[usize]], shape: &[usize]) -> usize {
    let mixed = |axes: usize| inputs.iter().filter(|from| is_mixed(from, shape, axes)).count();
    (0..=shape.len()).rev().min_by_key(|&axes| mixed(axes)).unwrap_or(0)
}

impl<T: Float> Program<T> {
    /// The plan for outputs, which are numbers of steps, and for accumulated reductions of steps; with these, no step
    /// reduces.
    pub(crate) fn new(
        shape: &[usize],
        row_axes: Option<usize>,
        inputs: &[&[usize]],
        steps: &[FusedStep<T>],
        outputs: &[u32],
        accumulated: &[(Reduction, u32)],
    ) -> Self {
        let reduces = steps.iter().any(|step| matches!(step, FusedStep::Reduce(..)));
        let row_axes = row_axes.unwrap_or_else(|| best_row_axes(inputs, shape));
        let (outer, row) = shape.split_at(shape.len() - row_axes);
        let (rows, length): (usize, usize) = (outer.iter().product(), row.iter().product());
        let is_apart = reduces && length >= APART;
        let tile = if is_apart { TILE_OF_ROWS / size_of::<T>() } else { TILE };
        let tile_rows = if accumulated.is_empty() { (tile / length.max(1)).clamp(1, rows.max(1)) } else { 1 };
        let tile_length = if reduces || tile_rows > 1 { length } else { length.min(TILE) };
        let input = |from: &&[usize]| Input {
            shape: copied(from),
            extent: extent(from, shape, row_axes),
            used: false,
        };
        let program = Self {
            shape: copied(shape),
            row_axes,
            rows,
            length,
            tile_rows,
            tile_length,
            rows_apart: is_apart && tile_rows > 1,
            inputs: inputs.iter().map(input).collect(),
            constants: Vec::new(),
            outputs: SmallVec::new(),
            accumulated: Vec::new(),
            registers: Vec::new(),
            scratch: 0,
            prologue: Vec::new(),
            body: Vec::new(),
        };
        let mut program = Planner::new(program, steps, outputs, accumulated).plan();
        let is_element = |extent: &Extent| *extent == Extent::Element;
        let used = program.inputs.iter().filter(|input| input.used).map(|input| &input.extent);
        if !reduces && accumulated.is_empty() && !used.chain(&program.outputs).any(is_element) {
            // There is nothing to do along rows.
            (program.length, program.tile_length) = (1, 1);
        }
        program
    }

    /// The elements of a row that a run takes at once: a tile's. Nothing of a single loop has to stay in the cache, unless its
    /// results wait to be written over an input, so that one takes more.
    pub(super) fn run_length(&self, inplace: bool) -> usize {
        let is_cut = self.tile_length < self.length;
        let is_single = self.body.len() == 1 && self.registers.is_empty();
        if is_cut && is_single && !inplace { self.length.min(PART) } else { self.tile_length }
    }

    /// The number of values of this extent in a tile.
    pub(crate) fn tile_size(&self, extent: Extent) -> usize {
        match extent {
            Extent::Once => 1,
            Extent::Row => self.tile_rows,
            Extent::Element => self.tile_rows * self.tile_length,
        }
    }

    /// The number of values of this extent in all.
    pub(crate) fn size(&self, extent: Extent) -> usize {
        match extent {
            Extent::Once => 1,
            Extent::Row => self.rows,
            Extent::Element => self.rows * self.length,
        }
    }

    /// Whether an input has one row for all.
    pub(crate) fn repeats(&self, input: usize) -> bool {
        let Input { shape, extent, .. } = &self.inputs[input];
        let row = &shape[shape.len().saturating_sub(self.row_axes)..];
        *extent == Extent::Element
            && row == &self.shape[self.shape.len() - self.row_axes..]
            && shape[..shape.len() - row.len()].iter().all(|size| *size == 1)
    }

    /// The shape of a value of this extent.
    pub(crate) fn shape_of(&self, extent: Extent) -> Shape {
        let rank = self.shape.len();
        let kept = match extent {
            Extent::Once => 0,
            Extent::Row => rank - self.row_axes,
            Extent::Element => rank,
        };
        self.shape.iter().enumerate().map(|(axis, &size)| if axis < kept { size } else { 1 }).collect()
    }
}

/// The steps that a step uses.
pub(crate) fn operands_of<T>(step: &FusedStep<T>) -> &[u32] {
    match step {
        FusedStep::Input(_) | FusedStep::Constant(_) => &[],
        FusedStep::Apply(_, operands) => operands,
        FusedStep::Reduce(_, operand) => std::slice::from_ref(operand),
    }
}

//! From steps to instructions: which elements a tile has, what is computed once for a row or for all, and the register of
//! each value.

use smallvec::SmallVec;

use super::function::{Form, Function};
use crate::element::Float;
use crate::kernels::fused::{FusedStep, Reduction};
use crate::layout::copied;
use crate::shape::Shape;

/// The elements of a tile: registers of so many stay in the first-level cache.
const TILE: usize = 512;

/// How often a value changes; each includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    Once,
    /// One number for each row.
    Row,
    Element,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    Apply(Function, Form),
    /// One number to all elements.
    Splat,
    /// The number of each row to its elements.
    Expand,
    /// One row to all rows.
    Repeat,
    Copy,
    Reduce(Reduction),
}

/// What happens to some slots of a tile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instruction {
    pub(super) work: Work,
    /// The extent of the result.
    pub(super) extent: Extent,
    pub(super) operands: [u32; 3],
    pub(super) to: u32,
}

/// A register that several values use one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Register {
    /// Its place in the memory for all of them, counted in elements.
    pub(super) start: usize,
}

/// The plan of a program. Instructions name slots: inputs, then constants, outputs and registers.
#[derive(Debug)]
pub(crate) struct Program<T> {
    pub(super) shape: Shape,
    /// The number of axes of a row.
    pub(super) row_axes: usize,
    /// The number of rows, and the elements of one.
    pub(super) rows: usize,
    pub(super) length: usize,
    /// The rows of a tile, and the elements of each of them.
    pub(super) tile_rows: usize,
    pub(super) tile_length: usize,
    pub(super) inputs: SmallVec<[(Shape, Extent); 8]>,
    pub(super) constants: Vec<T>,
    pub(super) outputs: SmallVec<[(Shape, Extent); 4]>,
    pub(super) registers: Vec<Register>,
    /// The elements of all registers.
    pub(super) scratch: usize,
    /// For each part of the work.
    pub(super) prologue: Vec<Instruction>,
    /// For each tile.
    pub(super) body: Vec<Instruction>,
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
    pub(crate) fn new(
        shape: &[usize],
        row_axes: usize,
        inputs: &[&[usize]],
        steps: &[FusedStep<T>],
        outputs: &[u32],
    ) -> Self {
        let reduces = steps.iter().any(|step| matches!(step, FusedStep::Reduce(..)));
        let row_axes = if reduces { row_axes } else { best_row_axes(inputs, shape) };
        let (outer, row) = shape.split_at(shape.len() - row_axes);
        let (rows, length): (usize, usize) = (outer.iter().product(), row.iter().product());
        let tile_rows = (TILE / length.max(1)).clamp(1, rows.max(1));
        let tile_length = if reduces || tile_rows > 1 { length } else { length.min(TILE) };
        let program = Self {
            shape: copied(shape),
            row_axes,
            rows,
            length,
            tile_rows,
            tile_length,
            inputs: inputs.iter().map(|&from| (copied(from), extent(from, shape, row_axes))).collect(),
            constants: Vec::new(),
            outputs: SmallVec::new(),
            registers: Vec::new(),
            scratch: 0,
            prologue: Vec::new(),
            body: Vec::new(),
        };
        Planner::new(program, steps, outputs).plan()
    }

    /// The number of values of this extent in a tile.
    pub(super) fn tile_size(&self, extent: Extent) -> usize {
        match extent {
            Extent::Once => 1,
            Extent::Row => self.tile_rows,
            Extent::Element => self.tile_rows * self.tile_length,
        }
    }

    /// The number of values of this extent in all.
    pub(super) fn size(&self, extent: Extent) -> usize {
        match extent {
            Extent::Once => 1,
            Extent::Row => self.rows,
            Extent::Element => self.rows * self.length,
        }
    }

    /// Whether an input has one row for all.
    pub(super) fn repeats(&self, input: usize) -> bool {
        let (shape, extent) = &self.inputs[input];
        let row = &shape[shape.len().saturating_sub(self.row_axes)..];
        *extent == Extent::Element
            && row == &self.shape[self.shape.len() - self.row_axes..]
            && shape[..shape.len() - row.len()].iter().all(|size| *size == 1)
    }

    pub(crate) fn output_shape(&self, output: usize) -> &[usize] {
        &self.outputs[output].0
    }

    pub(super) fn shape_of(&self, extent: Extent) -> Shape {
        let rank = self.shape.len();
        let kept = match extent {
            Extent::Once => 0,
            Extent::Row => rank - self.row_axes,
            Extent::Element => rank,
        };
        self.shape.iter().enumerate().map(|(axis, &size)| if axis < kept { size } else { 1 }).collect()
    }
}

/// The value of a step.
#[derive(Debug, Clone, Copy)]
struct Value {
    extent: Extent,
    /// The last step that uses it; `usize::MAX` if an output does.
    last_use: usize,
    slot: Option<u32>,
    /// A register of its own with the number for each element, where it has one for each row or for all.
    splat: Option<u32>,
}

struct Planner<'a, T> {
    program: Program<T>,
    steps: &'a [FusedStep<T>],
    outputs: &'a [u32],
    values: Vec<Value>,
    /// Registers of an extent that nobody uses any more.
    free: Vec<(Extent, u32)>,
    first_register: u32,
}

fn operands_of<T>(step: &FusedStep<T>) -> &[u32] {
    match step {
        FusedStep::Input(_) | FusedStep::Constant(_) => &[],
        FusedStep::Apply(_, operands) => operands,
        FusedStep::Reduce(_, operand) => std::slice::from_ref(operand),
    }
}

impl<'a, T: Float> Planner<'a, T> {
    fn new(program: Program<T>, steps: &'a [FusedStep<T>], outputs: &'a [u32]) -> Self {
        let mut values: Vec<Value> = Vec::with_capacity(steps.len());
        for step in steps {
            let extent = match step {
                FusedStep::Input(input) => program.inputs[*input].1,
                FusedStep::Constant(_) => Extent::Once,
                FusedStep::Reduce(..) => Extent::Row,
                FusedStep::Apply(_, operands) => {
                    operands.iter().map(|&x| values[x as usize].extent).max().expect("operands")
                }
            };
            values.push(Value { extent, last_use: 0, slot: None, splat: None });
        }
        for &output in outputs {
            values[output as usize].last_use = usize::MAX;
        }
        // From the last one: what no later step needs is not computed.
        for (number, step) in steps.iter().enumerate().rev().filter(|(_, step)| !operands_of(step).is_empty())
        {
            if values[number].last_use > 0 {
                for &operand in operands_of(step) {
                    let value = &mut values[operand as usize];
                    value.last_use = value.last_use.max(number);
                }
            }
        }
        Self { program, steps, outputs, values, free: Vec::new(), first_register: 0 }
    }

    fn plan(mut self) -> Program<T> {
        let is_constant = |step: &&FusedStep<T>| matches!(step, FusedStep::Constant(_));
        let constants = self.steps.iter().filter(is_constant).count();
        let first_constant = self.program.inputs.len();
        let first_output = first_constant + constants;
        self.first_register = (first_output + self.outputs.len()) as u32;
        for (number, step) in self.steps.iter().enumerate() {
            match step {
                FusedStep::Input(input) => self.input(number, *input),
                FusedStep::Constant(x) => {
                    self.values[number].slot = Some((first_constant + self.program.constants.len()) as u32);
                    self.program.constants.push(*x);
                }
                _ if self.values[number].last_use == 0 => {}
                step => {
                    let output = self.outputs.iter().position(|&output| output as usize == number);
                    self.step(number, step, output.map(|output| (first_output + output) as u32));
                }
            }
        }
        for (number, &output) in self.outputs.iter().enumerate() {
            let Value { extent, slot, .. } = self.values[output as usize];
            self.program.outputs.push((self.program.shape_of(extent), extent));
            let (from, to) = (slot.expect("computed"), (first_output + number) as u32);
            if from != to {
                self.emit(Work::Copy, extent, [from, from, from], to);
            }
        }
        self.program
    }

    fn input(&mut self, number: usize, input: usize) {
        let slot = input as u32;
        self.values[number].slot = Some(slot);
        if self.values[number].last_use > 0 && self.program.tile_rows > 1 && self.program.repeats(input) {
            let to = self.fresh(Extent::Element, Extent::Once);
            let repeat = Instruction { work: Work::Repeat, extent: Extent::Element, operands: [slot; 3], to };
            self.program.prologue.push(repeat);
            self.values[number].slot = Some(to);
        }
    }

    fn emit(&mut self, work: Work, extent: Extent, operands: [u32; 3], to: u32) {
        let once = extent == Extent::Once;
        let list = if once { &mut self.program.prologue } else { &mut self.program.body };
        list.push(Instruction { work, extent, operands, to });
    }

    fn register(&mut self, extent: Extent) -> u32 {
        if let Some(place) = self.free.iter().position(|(size, _)| *size == extent) {
            return self.free.swap_remove(place).1;
        }
        let register = Register { start: self.program.scratch };
        // Whole cache lines, so that no vector crosses two.
        self.program.scratch += self.program.tile_size(extent).next_multiple_of(16);
        self.program.registers.push(register);
        self.first_register + self.program.registers.len() as u32 - 1
    }

    fn step(&mut self, number: usize, step: &FusedStep<T>, output: Option<u32>) {
        let extent = self.values[number].extent;
        let (work, operands) = match step {
            FusedStep::Apply(function, operands) => {
                assert_eq!(operands.len(), function.operands(), "{function:?}: the number of operands");
                let numbers: SmallVec<[bool; 3]> =
                    operands.iter().map(|&x| self.is_number(x, extent)).collect();
                let form = match (function.mixes(), &numbers[..]) {
                    (true, [true, false]) => Form::FirstIsNumber,
                    (true, [false, true]) => Form::SecondIsNumber,
                    _ => Form::Elements,
                };
                let slots = operands.iter().zip(numbers).map(|(&x, number)| {
                    if number && form != Form::Elements { self.slot(x) } else { self.at_extent(x, extent) }
                });
                (Work::Apply(*function, form), slots.collect::<SmallVec<[u32; 3]>>())
            }
            FusedStep::Reduce(reduction, operand) => {
                (Work::Reduce(*reduction), SmallVec::from_slice(&[self.at_extent(*operand, Extent::Element)]))
            }
            FusedStep::Input(_) | FusedStep::Constant(_) => unreachable!("these need no instruction"),
        };
        let to = output.unwrap_or_else(|| self.register(extent));
        let operand = |k: usize| operands.get(k).copied().unwrap_or(operands[0]);
        self.emit(work, extent, [operand(0), operand(1), operand(2)], to);
        self.values[number].slot = Some(to);
        for &operand in operands_of(step) {
            self.release(operand, number);
        }
    }

    fn slot(&self, step: u32) -> u32 {
        self.values[step as usize].slot.expect("steps come after their operands")
    }

    /// Whether a value is one number for all elements of a tile's result of this extent.
    fn is_number(&self, step: u32, extent: Extent) -> bool {
        match (self.values[step as usize].extent, extent) {
            (Extent::Once, Extent::Row | Extent::Element) => true,
            (Extent::Row, Extent::Element) => self.program.tile_rows == 1,
            _ => false,
        }
    }

    /// A slot with a value for each result of this extent.
    fn at_extent(&mut self, step: u32, extent: Extent) -> u32 {
        let Value { extent: own, splat, .. } = self.values[step as usize];
        if own == extent {
            return self.slot(step);
        }
        // A row's number is kept for later uses; the row of one number is not, as it is short.
        if extent == Extent::Element
            && let Some(splat) = splat
        {
            return splat;
        }
        let work = if self.is_number(step, extent) { Work::Splat } else { Work::Expand };
        let (from, to) = (self.slot(step), self.fresh(extent, own));
        let list = if own == Extent::Once { &mut self.program.prologue } else { &mut self.program.body };
        list.push(Instruction { work, extent, operands: [from; 3], to });
        if extent == Extent::Element {
            self.values[step as usize].splat = Some(to);
        }
        to
    }

    /// A register for copies of a value; what is computed once stays in it.
    fn fresh(&mut self, extent: Extent, own: Extent) -> u32 {
        if own == Extent::Once {
            let free = std::mem::take(&mut self.free);
            let register = self.register(extent);
            self.free = free;
            register
        } else {
            self.register(extent)
        }
    }

    /// Frees the registers of a value after its last use.
    fn release(&mut self, step: u32, number: usize) {
        let Value { extent, last_use, slot, splat } = self.values[step as usize];
        if last_use != number || extent == Extent::Once {
            return;
        }
        // An operand may be named twice.
        self.values[step as usize].last_use = usize::MAX;
        let is_input = matches!(self.steps[step as usize], FusedStep::Input(_));
        if let Some(slot) = slot.filter(|slot| *slot >= self.first_register && !is_input) {
            self.free.push((extent, slot));
        }
        if let Some(splat) = splat {
            self.free.push((Extent::Element, splat));
        }
    }
}

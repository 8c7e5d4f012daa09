//! From steps to instructions: which elements a tile has, what is computed once for a row or for all, and the register of
//! each value.

use smallvec::SmallVec;

use super::function::{Function, Loop, Numbers, copies};
use crate::element::Float;
use crate::kernels::fused::{FusedStep, Reduction};
use crate::layout::copied;
use crate::shape::Shape;

/// The elements of a tile: registers of so many stay in the first-level cache.
pub(super) const TILE: usize = 512;

/// How often a value changes; each includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    Once,
    /// One number for each row.
    Row,
    Element,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Work<T> {
    /// Results of elements side by side.
    Loop(Loop<T>),
    /// The number of each row to its elements.
    Expand,
    /// One row to all rows.
    Repeat,
    Reduce(Reduction),
    /// Partial results of a reduction of rows of several tiles, in the tile's place.
    Accumulate(Reduction),
}

/// What happens to some slots of a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction<T> {
    pub(super) work: Work<T>,
    /// The extent of the result.
    pub(super) extent: Extent,
    pub(super) operands: [u32; 3],
    pub(super) to: u32,
}

/// An input of a program.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) shape: Shape,
    pub(super) extent: Extent,
    pub(super) used: bool,
}

/// The plan of a program. Instructions name slots: inputs, then constants, outputs and registers.
#[derive(Debug)]
pub(super) struct Program<T> {
    pub(super) shape: Shape,
    /// The number of axes of a row.
    pub(super) row_axes: usize,
    /// The number of rows, and the elements of one.
    pub(super) rows: usize,
    pub(super) length: usize,
    /// The rows of a tile, and the elements of each of them.
    pub(super) tile_rows: usize,
    pub(super) tile_length: usize,
    pub(super) inputs: Vec<Input>,
    pub(super) constants: Vec<T>,
    pub(super) outputs: SmallVec<[Extent; 4]>,
    /// Reductions of rows of several tiles, and the registers of their partial results.
    pub(super) accumulated: Vec<(Reduction, u32)>,
    /// The place of each register in the memory for all of them, counted in elements; a register holds several values,
    /// one after another.
    pub(super) registers: Vec<usize>,
    /// The elements of all registers.
    pub(super) scratch: usize,
    /// For each part of the work.
    pub(super) prologue: Vec<Instruction<T>>,
    /// For each tile.
    pub(super) body: Vec<Instruction<T>>,
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
    pub(super) fn new(
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
        let tile_rows = if accumulated.is_empty() { (TILE / length.max(1)).clamp(1, rows.max(1)) } else { 1 };
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
        let Input { shape, extent, .. } = &self.inputs[input];
        let row = &shape[shape.len().saturating_sub(self.row_axes)..];
        *extent == Extent::Element
            && row == &self.shape[self.shape.len() - self.row_axes..]
            && shape[..shape.len() - row.len()].iter().all(|size| *size == 1)
    }

    /// The shape of a value of this extent.
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
    accumulated: &'a [(Reduction, u32)],
    values: Vec<Value>,
    /// Registers of an extent that nobody uses any more.
    free: Vec<(Extent, u32)>,
    first_constant: u32,
    first_output: u32,
    first_register: u32,
}

/// The steps that a step uses.
pub(super) fn operands_of<T>(step: &FusedStep<T>) -> &[u32] {
    match step {
        FusedStep::Input(_) | FusedStep::Constant(_) => &[],
        FusedStep::Apply(_, operands) => operands,
        FusedStep::Reduce(_, operand) => std::slice::from_ref(operand),
    }
}

impl<'a, T: Float> Planner<'a, T> {
    fn new(
        program: Program<T>,
        steps: &'a [FusedStep<T>],
        outputs: &'a [u32],
        accumulated: &'a [(Reduction, u32)],
    ) -> Self {
        let mut values: Vec<Value> = Vec::with_capacity(steps.len());
        for step in steps {
            let extent = match step {
                FusedStep::Input(input) => program.inputs[*input].extent,
                FusedStep::Constant(_) => Extent::Once,
                FusedStep::Reduce(..) => Extent::Row,
                FusedStep::Apply(_, operands) => {
                    operands.iter().map(|&x| values[x as usize].extent).max().expect("operands")
                }
            };
            values.push(Value { extent, last_use: 0, slot: None, splat: None });
        }
        for &output in outputs.iter().chain(accumulated.iter().map(|(_, step)| step)) {
            values[output as usize].last_use = usize::MAX;
        }
        // From the last one: what no later step needs is not computed.
        for (number, step) in steps.iter().enumerate().rev() {
            if values[number].last_use > 0 {
                for &operand in operands_of(step) {
                    let value = &mut values[operand as usize];
                    value.last_use = value.last_use.max(number);
                }
            }
        }
        let has_constant = |step: &FusedStep<T>| {
            matches!(step, FusedStep::Constant(_) | FusedStep::Apply(Function::Polygamma(_), _))
        };
        let used = steps.iter().zip(&values).filter(|(_, value)| value.last_use > 0);
        let constants = used.filter(|(step, _)| has_constant(step)).count();
        let first_constant = program.inputs.len() as u32;
        let first_output = first_constant + constants as u32;
        let first_register = first_output + outputs.len() as u32;
        let free = Vec::new();
        Self {
            program,
            steps,
            outputs,
            accumulated,
            values,
            free,
            first_constant,
            first_output,
            first_register,
        }
    }

    fn plan(mut self) -> Program<T> {
        for (number, step) in self.steps.iter().enumerate() {
            if self.values[number].last_use == 0 {
                continue;
            }
            match step {
                FusedStep::Input(input) => self.input(number, *input),
                FusedStep::Constant(x) => self.values[number].slot = Some(self.constant(*x)),
                step => {
                    let output = self.outputs.iter().position(|&output| output as usize == number);
                    self.step(number, step, output.map(|output| self.first_output + output as u32));
                }
            }
        }
        for (number, &output) in self.outputs.iter().enumerate() {
            let extent = self.values[output as usize].extent;
            self.program.outputs.push(extent);
            let (from, to) = (self.slot(output), self.first_output + number as u32);
            if from != to {
                self.emit(Work::Loop(copies(false)), extent, [from; 3], to);
            }
        }
        for &(reduction, step) in self.accumulated {
            let from = self.at_extent(step, Extent::Element);
            let to = self.new_register(TILE);
            self.emit(Work::Accumulate(reduction), Extent::Element, [from; 3], to);
            self.program.accumulated.push((reduction, to));
        }
        self.program
    }

    fn constant(&mut self, x: T) -> u32 {
        self.program.constants.push(x);
        self.first_constant + self.program.constants.len() as u32 - 1
    }

    fn input(&mut self, number: usize, input: usize) {
        let slot = input as u32;
        self.program.inputs[input].used = true;
        self.values[number].slot = Some(slot);
        if self.program.tile_rows > 1 && self.program.repeats(input) {
            let to = self.new_register(self.program.tile_size(Extent::Element));
            let repeat = Instruction { work: Work::Repeat, extent: Extent::Element, operands: [slot; 3], to };
            self.program.prologue.push(repeat);
            self.values[number].slot = Some(to);
        }
    }

    fn emit(&mut self, work: Work<T>, extent: Extent, operands: [u32; 3], to: u32) {
        let once = extent == Extent::Once;
        let list = if once { &mut self.program.prologue } else { &mut self.program.body };
        list.push(Instruction { work, extent, operands, to });
    }

    fn register(&mut self, extent: Extent) -> u32 {
        match self.free.iter().position(|(size, _)| *size == extent) {
            Some(place) => self.free.swap_remove(place).1,
            None => self.new_register(self.program.tile_size(extent)),
        }
    }

    fn new_register(&mut self, size: usize) -> u32 {
        self.program.registers.push(self.program.scratch);
        // Whole cache lines, so that no vector crosses two.
        self.program.scratch += size.next_multiple_of(16);
        self.first_register + self.program.registers.len() as u32 - 1
    }

    fn step(&mut self, number: usize, step: &FusedStep<T>, output: Option<u32>) {
        let extent = self.values[number].extent;
        let (work, operands) = match step {
            FusedStep::Apply(function, operands) => self.apply(*function, operands, extent),
            FusedStep::Reduce(reduction, operand) => {
                (Work::Reduce(*reduction), [self.at_extent(*operand, Extent::Element); 3])
            }
            FusedStep::Input(_) | FusedStep::Constant(_) => unreachable!("these need no instruction"),
        };
        let to = output.unwrap_or_else(|| self.register(extent));
        self.emit(work, extent, operands, to);
        self.values[number].slot = Some(to);
        for &operand in operands_of(step) {
            self.release(operand, number);
        }
    }

    fn apply(&mut self, function: Function, operands: &[u32], extent: Extent) -> (Work<T>, [u32; 3]) {
        assert_eq!(operands.len(), function.operands(), "{function:?}: the number of operands");
        let mut numbers: Numbers = 0;
        for (k, &operand) in operands.iter().enumerate() {
            numbers |= Numbers::from(self.is_number(operand, extent)) << k;
        }
        let with_numbers = function.with_numbers(numbers);
        let mut slots = [0; 3];
        for (k, &operand) in operands.iter().enumerate() {
            let as_number = with_numbers.is_some() && numbers >> k & 1 == 1;
            slots[k] = if as_number { self.slot(operand) } else { self.at_extent(operand, extent) };
        }
        if let Function::Polygamma(order) = function {
            slots[1] = self.constant(T::from_f64(order.into()));
        }
        let of_elements = || function.with_numbers(0).expect("every function has it");
        (Work::Loop(with_numbers.unwrap_or_else(of_elements)), slots)
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
        // Copies for elements are kept for later uses; the ones for rows are not, as they are short.
        if let (Extent::Element, Some(splat)) = (extent, splat) {
            return splat;
        }
        let work = if self.is_number(step, extent) { Work::Loop(copies(true)) } else { Work::Expand };
        let from = self.slot(step);
        let to = match own {
            // What is computed once stays.
            Extent::Once => self.new_register(self.program.tile_size(extent)),
            _ => self.register(extent),
        };
        let list = if own == Extent::Once { &mut self.program.prologue } else { &mut self.program.body };
        list.push(Instruction { work, extent, operands: [from; 3], to });
        if extent == Extent::Element {
            self.values[step as usize].splat = Some(to);
        }
        to
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

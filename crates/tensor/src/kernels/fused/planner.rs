//! The instructions of a program's steps, and the register of each value.

use smallvec::SmallVec;

use super::function::{Function, Loop, Numbers, copies, pair};
use super::plan::{Extent, Instruction, Program, TILE, Work, operands_of};
use super::{FusedStep, Reduction};
use crate::element::Float;

/// The value of a step.
#[derive(Debug, Clone, Copy)]
struct Value {
    extent: Extent,
    /// The last step that uses it; `usize::MAX` if an output does.
    last_use: usize,
    slot: Option<u32>,
    /// A register of its own with the number for each element, where it has one for each row or for all.
    splat: Option<u32>,
    /// How many operands it is, if no output.
    uses: usize,
}

/// A step and the one whose result only it uses, as one loop over these operands.
struct Pair<T> {
    function: Loop<T>,
    operands: SmallVec<[u32; 3]>,
    numbers: Numbers,
}

pub(super) struct Planner<'a, T> {
    program: Program<T>,
    steps: &'a [FusedStep<T>],
    outputs: &'a [u32],
    accumulated: &'a [(Reduction, u32)],
    values: Vec<Value>,
    /// For a step that is computed together with one of its operands.
    pairs: Vec<Option<Pair<T>>>,
    /// Whether a step is computed together with the one that uses it.
    is_paired: Vec<bool>,
    /// Registers of an extent that nobody uses any more.
    free: Vec<(Extent, u32)>,
    first_constant: u32,
    first_output: u32,
    first_register: u32,
}

impl<'a, T: Float> Planner<'a, T> {
    pub(super) fn new(
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
            values.push(Value { extent, last_use: 0, slot: None, splat: None, uses: 0 });
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
                    value.uses += 1;
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
        let mut planner = Self {
            program,
            steps,
            outputs,
            accumulated,
            values,
            pairs: Vec::new(),
            is_paired: vec![false; steps.len()],
            free,
            first_constant,
            first_output,
            first_register,
        };
        for number in 0..steps.len() {
            let pair = planner.pair(number);
            planner.pairs.push(pair);
        }
        for number in 0..steps.len() {
            planner.join_squares(number);
        }
        planner
    }

    /// A step together with one of its operands, if there is a loop for both, and nobody else uses the operand.
    fn pair(&mut self, number: usize) -> Option<Pair<T>> {
        let FusedStep::Apply(second, others) = &self.steps[number] else { return None };
        let extent = self.values[number].extent;
        for (k, &operand) in others.iter().enumerate() {
            let before = self.values[operand as usize];
            let FusedStep::Apply(first, operands) = &self.steps[operand as usize] else { continue };
            if before.uses != 1 || before.last_use != number || before.extent != extent {
                continue;
            }
            if self.pairs[operand as usize].is_some() {
                continue;
            }
            let mut operands = operands.clone();
            if matches!(first, Function::Add | Function::Mul) && self.is_number(operands[0], extent) {
                operands.swap(0, 1);
            }
            operands.extend(others.iter().enumerate().filter(|(other, _)| *other != k).map(|(_, &x)| x));
            let numbers = self.numbers(&operands, extent);
            if let Some(function) = pair([*first, *second], k, numbers) {
                self.is_paired[operand as usize] = true;
                for &operand in &operands {
                    let value = &mut self.values[operand as usize];
                    value.last_use = value.last_use.max(number);
                }
                return Some(Pair { function, operands, numbers });
            }
        }
        None
    }

    /// Computes squares together with their sum, if nobody else uses them.
    fn join_squares(&mut self, number: usize) {
        let FusedStep::Reduce(Reduction::Sum | Reduction::Mean, operand) = self.steps[number] else { return };
        let squares = self.values[operand as usize];
        if let FusedStep::Apply(Function::Square, operands) = &self.steps[operand as usize]
            && squares.uses == 1
            && squares.last_use == number
            && squares.extent == Extent::Element
            && self.pairs[operand as usize].is_none()
        {
            self.is_paired[operand as usize] = true;
            let x = &mut self.values[operands[0] as usize];
            x.last_use = x.last_use.max(number);
        }
    }

    pub(super) fn plan(mut self) -> Program<T> {
        for (number, step) in self.steps.iter().enumerate() {
            if self.values[number].last_use == 0 || self.is_paired[number] {
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
        let mut released: SmallVec<[u32; 3]> = operands_of(step).into();
        let (work, operands) = match step {
            _ if self.pairs[number].is_some() => {
                let Pair { function, operands, numbers } = self.pairs[number].take().expect("just seen");
                let slots = self.slots(&operands, numbers, extent);
                released = operands;
                (Work::Loop(function), slots)
            }
            FusedStep::Apply(function, operands) => self.apply(*function, operands, extent),
            FusedStep::Reduce(reduction, operand) if self.is_paired[*operand as usize] => {
                let [x] = operands_of(&self.steps[*operand as usize]) else { unreachable!("it is a square") };
                released = SmallVec::from_slice(&[*x]);
                (Work::ReduceSquares(*reduction), [self.at_extent(*x, Extent::Element); 3])
            }
            FusedStep::Reduce(reduction, operand) => {
                (Work::Reduce(*reduction), [self.at_extent(*operand, Extent::Element); 3])
            }
            FusedStep::Input(_) | FusedStep::Constant(_) => unreachable!("these need no instruction"),
        };
        let to = output.unwrap_or_else(|| self.register(extent));
        self.emit(work, extent, operands, to);
        self.values[number].slot = Some(to);
        for operand in released {
            self.release(operand, number);
        }
    }

    fn apply(&mut self, function: Function, operands: &[u32], extent: Extent) -> (Work<T>, [u32; 3]) {
        assert_eq!(operands.len(), function.operands(), "{function:?}: the number of operands");
        let numbers = self.numbers(operands, extent);
        let (function_of, numbers) = match function.with_numbers(numbers) {
            Some(function) => (function, numbers),
            None => (function.with_numbers(0).expect("every function has it"), 0),
        };
        let mut slots = self.slots(operands, numbers, extent);
        if let Function::Polygamma(order) = function {
            slots[1] = self.constant(T::from_f64(order.into()));
        }
        (Work::Loop(function_of), slots)
    }

    /// Which operands are numbers for results of this extent.
    fn numbers(&self, operands: &[u32], extent: Extent) -> Numbers {
        let is_number = |k: usize| Numbers::from(self.is_number(operands[k], extent));
        (0..operands.len()).fold(0, |numbers, k| numbers | is_number(k) << k)
    }

    /// The slots of operands, of which some are taken as numbers.
    fn slots(&mut self, operands: &[u32], numbers: Numbers, extent: Extent) -> [u32; 3] {
        let mut slots = [0; 3];
        for (k, &operand) in operands.iter().enumerate() {
            let is_number = numbers >> k & 1 == 1;
            slots[k] = if is_number { self.slot(operand) } else { self.at_extent(operand, extent) };
        }
        slots
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
        let Value { extent, last_use, slot, splat, .. } = self.values[step as usize];
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

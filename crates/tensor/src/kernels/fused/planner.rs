//! The instructions of a program's steps, and the register of each value.

use smallvec::SmallVec;

use super::function::{Function, Numbers, OPERANDS, copies};
use super::pairs::{Pair, Squares};
use super::plan::{Extent, Instruction, Program, TILE, Work, operands_of};
use super::{FusedStep, Reduction};
use crate::element::Float;

/// The value of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) extent: Extent,
    /// The last step that uses it; `usize::MAX` if an output does.
    pub(super) last_use: usize,
    slot: Option<u32>,
    /// A register of its own with the number for each element, where it has one for each row or for all.
    splat: Option<u32>,
    /// How many operands it is.
    pub(super) uses: usize,
    /// How many of these are of steps that compute it themselves.
    pub(super) joined: usize,
}

impl Value {
    /// Whether every step that uses it computes it itself.
    pub(super) fn is_joined(&self) -> bool {
        self.joined == self.uses && self.last_use != usize::MAX
    }
}

pub(super) struct Planner<'a, T> {
    program: Program<T>,
    pub(super) steps: &'a [FusedStep<T>],
    outputs: &'a [u32],
    accumulated: &'a [(Reduction, u32)],
    pub(super) values: Vec<Value>,
    /// For a step that is computed together with one of its operands.
    pub(super) pairs: Vec<Option<Pair<T>>>,
    pub(super) squares: Vec<Option<Squares>>,
    /// Registers of an extent that nobody uses any more.
    free: Vec<(Extent, u32)>,
    register_extents: Vec<Extent>,
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
            values.push(Value { extent, last_use: 0, slot: None, splat: None, uses: 0, joined: 0 });
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
            squares: Vec::new(),
            free,
            register_extents: Vec::new(),
            first_constant,
            first_output,
            first_register,
        };
        planner.find_pairs();
        planner.find_last_reads();
        planner
    }

    /// The values that a step reads where they are stored: it may compute some of its operands itself.
    fn reads(&self, number: usize) -> SmallVec<[u32; OPERANDS]> {
        match (&self.pairs[number], self.squares[number]) {
            (Some(pair), _) => pair.operands.clone(),
            (None, Some(Squares { x, origin })) => std::iter::once(x).chain(origin).collect(),
            (None, None) => operands_of(&self.steps[number]).into(),
        }
    }

    /// Notes after which step nobody reads a value where it is stored.
    fn find_last_reads(&mut self) {
        let mut last = vec![0; self.steps.len()];
        for (number, value) in self.values.iter().enumerate() {
            if value.last_use > 0 && !value.is_joined() {
                for read in self.reads(number) {
                    last[read as usize] = number;
                }
            }
        }
        for (value, last) in self.values.iter_mut().zip(last) {
            if value.last_use != usize::MAX && !value.is_joined() {
                value.last_use = last;
            }
        }
    }

    pub(super) fn plan(mut self) -> Program<T> {
        for (number, step) in self.steps.iter().enumerate() {
            if self.values[number].last_use == 0 || self.values[number].is_joined() {
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
                self.emit(Work::Loop(copies(false)), extent, [from; OPERANDS], to);
            }
        }
        for &(reduction, step) in self.accumulated {
            let from = self.whole_rows(step);
            let to = self.new_register(Extent::Element, TILE);
            self.emit(Work::Accumulate(reduction), Extent::Element, [from; OPERANDS], to);
            self.program.accumulated.push((reduction, to));
        }
        self.program
    }

    /// The steps of a loop that reads a number for each row, or one row for all, and so runs for each row.
    fn row_steps(&self, work: Work<T>, extent: Extent, operands: [u32; OPERANDS]) -> Option<[u32; OPERANDS]> {
        let is_loop = matches!(work, Work::Loop(_)) && extent == Extent::Element;
        if !self.program.rows_apart || !is_loop {
            return None;
        }
        let steps = operands.map(|slot| self.row_step(slot));
        let is_apart = |step: &Option<u32>| step.is_some_and(|step| step as usize != self.program.length);
        steps.iter().any(is_apart).then(|| steps.map(|step| step.unwrap_or(0)))
    }

    /// How far the values of a row are from the next row's in a slot, if they depend on the row at all.
    fn row_step(&self, slot: u32) -> Option<u32> {
        let Program { inputs, length, .. } = &self.program;
        let extent = if slot < self.first_constant {
            if self.program.repeats(slot as usize) {
                return Some(0);
            }
            inputs[slot as usize].extent
        } else if slot < self.first_output {
            Extent::Once
        } else if slot < self.first_register {
            self.values[self.outputs[(slot - self.first_output) as usize] as usize].extent
        } else {
            self.register_extents[(slot - self.first_register) as usize]
        };
        match extent {
            Extent::Once => None,
            Extent::Row => Some(1),
            Extent::Element => Some(*length as u32),
        }
    }

    fn constant(&mut self, x: T) -> u32 {
        self.program.constants.push(x);
        self.first_constant + self.program.constants.len() as u32 - 1
    }

    fn input(&mut self, number: usize, input: usize) {
        let slot = input as u32;
        self.program.inputs[input].used = true;
        self.values[number].slot = Some(slot);
        if self.program.tile_rows > 1 && self.program.repeats(input) && !self.program.rows_apart {
            self.values[number].slot = Some(self.repeated(slot));
        }
    }

    /// A register with an input's row for all rows of a tile.
    fn repeated(&mut self, slot: u32) -> u32 {
        let to = self.new_register(Extent::Element, self.program.tile_size(Extent::Element));
        self.push(true, Work::Repeat, Extent::Element, [slot; OPERANDS], to);
        to
    }

    fn emit(&mut self, work: Work<T>, extent: Extent, operands: [u32; OPERANDS], to: u32) {
        self.push(extent == Extent::Once, work, extent, operands, to);
    }

    /// Adds an instruction to the prologue or to the body.
    fn push(&mut self, once: bool, work: Work<T>, extent: Extent, operands: [u32; OPERANDS], to: u32) {
        let row_steps = if once { None } else { self.row_steps(work, extent, operands) };
        let list = if once { &mut self.program.prologue } else { &mut self.program.body };
        list.push(Instruction { work, extent, operands, to, row_steps });
    }

    fn register(&mut self, extent: Extent) -> u32 {
        match self.free.iter().position(|(size, _)| *size == extent) {
            Some(place) => self.free.swap_remove(place).1,
            None => self.new_register(extent, self.program.tile_size(extent)),
        }
    }

    fn new_register(&mut self, extent: Extent, size: usize) -> u32 {
        self.register_extents.push(extent);
        self.program.registers.push(self.program.scratch);
        // Whole cache lines, so that no vector crosses two.
        self.program.scratch += size.next_multiple_of(16);
        self.first_register + self.program.registers.len() as u32 - 1
    }

    fn step(&mut self, number: usize, step: &FusedStep<T>, output: Option<u32>) {
        let extent = self.values[number].extent;
        let released = self.reads(number);
        let (work, operands) = match step {
            _ if self.pairs[number].is_some() => {
                let Pair { function, operands, numbers, .. } = self.pairs[number].take().expect("just seen");
                (Work::Loop(function), self.slots(&operands, numbers, extent))
            }
            FusedStep::Apply(function, operands) => self.apply(*function, operands, extent),
            FusedStep::Reduce(reduction, _) if self.squares[number].is_some() => {
                let Squares { x, origin } = self.squares[number].expect("just seen");
                let slot = self.whole_rows(x);
                let extent = origin.map(|origin| self.values[origin as usize].extent);
                let origin = origin.map_or(slot, |origin| self.slot(origin));
                let mut operands = [slot; OPERANDS];
                operands[1] = origin;
                (Work::ReduceSquares(*reduction, extent), operands)
            }
            FusedStep::Reduce(reduction, operand) => {
                (Work::Reduce(*reduction), [self.whole_rows(*operand); OPERANDS])
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

    fn apply(&mut self, function: Function, operands: &[u32], extent: Extent) -> (Work<T>, [u32; OPERANDS]) {
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
    pub(super) fn numbers(&self, operands: &[u32], extent: Extent) -> Numbers {
        let is_number = |k: usize| Numbers::from(self.is_number(operands[k], extent));
        (0..operands.len()).fold(0, |numbers, k| numbers | is_number(k) << k)
    }

    /// The slots of operands, of which some are taken as numbers.
    fn slots(&mut self, operands: &[u32], numbers: Numbers, extent: Extent) -> [u32; OPERANDS] {
        let of = |planner: &mut Self, k: usize| {
            let is_number = numbers >> k & 1 == 1;
            if is_number { planner.slot(operands[k]) } else { planner.at_extent(operands[k], extent) }
        };
        // Operands that the loop lacks repeat the first one, so that they never ask for a run for each row.
        let mut slots = [of(self, 0); OPERANDS];
        for (k, slot) in slots.iter_mut().enumerate().take(operands.len()).skip(1) {
            *slot = of(self, k);
        }
        slots
    }

    fn slot(&self, step: u32) -> u32 {
        self.values[step as usize].slot.expect("steps come after their operands")
    }

    /// Whether a value is one number for all elements of a tile's result of this extent.
    pub(super) fn is_number(&self, step: u32, extent: Extent) -> bool {
        match (self.values[step as usize].extent, extent) {
            (Extent::Once, Extent::Row | Extent::Element) => true,
            (Extent::Row, Extent::Element) => self.program.tile_rows == 1 || self.program.rows_apart,
            _ => false,
        }
    }

    /// A slot with the elements of all rows.
    fn whole_rows(&mut self, step: u32) -> u32 {
        match self.steps[step as usize] {
            FusedStep::Input(input) if self.program.rows_apart && self.program.repeats(input) => {
                let slot = self.slot(step);
                self.repeated(slot)
            }
            _ => self.at_extent(step, Extent::Element),
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
            Extent::Once => self.new_register(extent, self.program.tile_size(extent)),
            _ => self.register(extent),
        };
        self.push(own == Extent::Once, work, extent, [from; OPERANDS], to);
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

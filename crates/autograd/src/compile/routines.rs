//! Which small instructions become one routine.
//!
//! An instruction on a dozen numbers takes longer to find its operands and its memory than to compute. So small products,
//! passes and sums run one after another in a [`Routine`], which has found these before; one of them alone is a routine, too.
//! Instructions that cannot be part of it wait until it is done, as long as nothing in it reads their results.

use std::collections::VecDeque;

use gradus_tensor::Float;
use gradus_tensor::routine::Routine;
use smallvec::SmallVec;

use super::plan::{Instruction, Kind, Place, Plan};
use crate::tape::Fusion;

/// The steps in memory along each axis.
pub(super) type Strides = SmallVec<[isize; 4]>;

/// A routine with the instructions that have joined it.
struct Draft<'a, T: Float> {
    plan: &'a Plan<T>,
    /// The strides of the inputs of the step and of the members, where they are known.
    strides: [&'a [Option<Strides>]; 2],
    /// The results of instructions before that are contiguous.
    contiguous: &'a [bool],
    routine: Routine<T>,
    inputs: Vec<Place>,
    /// The number in the routine of each value that it knows.
    known: Vec<(Place, u32)>,
    joined: Vec<usize>,
}

impl<T: Float> Plan<T> {
    /// Makes routines of small instructions.
    pub(super) fn make_routines(&mut self, inputs: &[Option<Strides>], members: &[Option<Strides>]) {
        let mut waiting: VecDeque<Instruction<T>> = std::mem::take(&mut self.instructions).into();
        let mut contiguous = vec![false; self.values.len()];
        while let Some(first) = waiting.front() {
            let routine = if may_join(first) {
                let mut draft = Draft {
                    plan: self,
                    strides: [inputs, members],
                    contiguous: &contiguous,
                    routine: Routine::new(),
                    inputs: Vec::new(),
                    known: Vec::new(),
                    joined: Vec::new(),
                };
                let instructions = waiting.make_contiguous();
                draft.collect(instructions);
                draft.finish(instructions)
            } else {
                None
            };
            let next = match routine {
                Some((routine, joined)) => {
                    let mut number = 0..;
                    waiting.retain(|_| number.next().is_some_and(|i| joined.binary_search(&i).is_err()));
                    routine
                }
                None => waiting.pop_front().expect("there is a first one"),
            };
            for (i, &result) in next.results.iter().enumerate() {
                contiguous[result as usize] = match &next.kind {
                    Kind::Fused(..) => true,
                    Kind::Operation(operation) => operation.writes_into(),
                    Kind::Routine(routine, _) => routine.new_output(i).is_contiguous(),
                    _ => false,
                };
            }
            self.instructions.push(next);
        }
    }
}

impl<T: Float> Draft<'_, T> {
    /// Joins all instructions that can, and need none that cannot.
    fn collect(&mut self, instructions: &[Instruction<T>]) {
        let mut late = vec![false; self.plan.values.len()];
        let mut changed = vec![false; self.plan.members.len()];
        for (i, instruction) in instructions.iter().enumerate() {
            // A routine stays within one recomputation, as passes do.
            let waits = instruction.recomputation != instructions[0].recomputation
                || instruction.operands.iter().any(|place| match *place {
                    Place::Value(value) => late[value as usize],
                    Place::Member(member) => changed[member as usize],
                });
            if !waits && may_join(instruction) && self.join(instruction) {
                self.joined.push(i);
                continue;
            }
            for &result in &instruction.results {
                late[result as usize] = true;
            }
            if let Some(member) = instruction.kind.changes() {
                changed[member as usize] = true;
            }
        }
    }

    /// The number of an operand in the routine.
    fn operand(&mut self, place: Place) -> Option<u32> {
        if let Some(number) = self.number(place) {
            return Some(number);
        }
        let plan = self.plan;
        let [inputs, members] = self.strides;
        let shape: SmallVec<[usize; 4]> = self.plan.shape(place).into();
        let strides: Strides = match place {
            Place::Member(member) => members[member as usize].clone()?,
            Place::Value(value) => match inputs.get(value as usize) {
                Some(input) => input.clone()?,
                None if self.contiguous[value as usize] => row_major(&shape),
                None => plan.values[value as usize].value()?.strides().into(),
            },
        };
        let number = self.routine.input(&shape, &strides)?;
        self.inputs.push(place);
        self.known.push((place, number));
        Some(number)
    }

    fn join(&mut self, instruction: &Instruction<T>) -> bool {
        let (mark, inputs, known) = (self.routine.mark(), self.inputs.len(), self.known.len());
        let Some(results) = self.results(instruction) else {
            self.routine.go_back(mark);
            self.inputs.truncate(inputs);
            self.known.truncate(known);
            return false;
        };
        self.known.extend(instruction.results.iter().map(|&value| Place::Value(value)).zip(results));
        true
    }

    /// Adds the steps of an instruction, and gives the numbers of its results.
    fn results(&mut self, instruction: &Instruction<T>) -> Option<Vec<u32>> {
        let plan = self.plan;
        let fusion = match &instruction.kind {
            Kind::Fused(..) => None,
            Kind::Operation(operation) | Kind::View(_, operation) => Some(operation.fusion()?),
            _ => return None,
        };
        let mut operands: SmallVec<[u32; 4]> = SmallVec::new();
        for &place in &instruction.operands {
            if !plan.is_number(place) {
                return None;
            }
            operands.push(self.operand(place)?);
        }
        let shapes: SmallVec<[&[usize]; 2]> =
            instruction.results.iter().map(|&value| &plan.shapes[value as usize][..]).collect();
        let routine = &mut self.routine;
        let result = match (&instruction.kind, fusion) {
            (Kind::Fused(pass, _), _) => return routine.fused(pass, &operands, &shapes),
            (Kind::View(view, _), _) => routine.view(operands[0], view),
            (_, Some(Fusion::Matmul)) => routine.matmul(operands[0], operands[1]),
            (_, Some(Fusion::Linear)) => routine.linear(operands[0], operands[1], operands.get(2).copied()),
            (_, Some(Fusion::MeanSquaredDifference)) => {
                routine.mean_squared_difference(operands[0], operands[1])
            }
            (_, Some(Fusion::Reduce(reduction, axes))) => {
                routine.reduce(reduction, operands[0], &axes, shapes[0])
            }
            _ => None,
        };
        Some(vec![result?])
    }

    /// The instruction of the routine, and the instructions that are in it; `None` if it has no steps, but views.
    fn finish(mut self, instructions: &[Instruction<T>]) -> Option<(Instruction<T>, Vec<usize>)> {
        if self.routine.is_empty() {
            return None;
        }
        let mut joined = self.joined.clone();
        for &i in self.joined.iter().rev() {
            if matches!(instructions[i].kind, Kind::View(..))
                && self.is_view_outside(i, &joined, instructions)
            {
                joined.retain(|&other| other != i);
            }
        }
        let made = joined.iter().flat_map(|&i| &instructions[i].results);
        let results: Vec<u32> =
            made.copied().filter(|&value| self.is_read_outside(value, &joined, instructions)).collect();
        for &value in &results {
            let mut readers = readers_of(value, &joined, instructions).peekable();
            let is_kept = self.plan.results.contains(&Place::Value(value)) || readers.peek().is_none();
            // An optimizer goes through a parameter and its gradient at once, if they lie in memory in one order.
            let contiguous = !is_kept && readers.all(|reader| self.updates_contiguous(reader));
            let number = self.number(Place::Value(value)).expect("it was joined");
            self.routine.output(number, contiguous);
        }
        let names = joined.iter().map(|&i| instructions[i].names()).collect();
        let kind = Kind::Routine(self.routine, names);
        let recomputation = instructions[0].recomputation;
        Some((
            Instruction { kind, operands: self.inputs, results, recomputation, ..Instruction::default() },
            joined,
        ))
    }

    fn number(&self, place: Place) -> Option<u32> {
        self.known.iter().find(|(known, _)| *known == place).map(|(_, number)| *number)
    }

    fn is_read_outside(&self, value: u32, joined: &[usize], instructions: &[Instruction<T>]) -> bool {
        self.plan.results.contains(&Place::Value(value))
            || readers_of(value, joined, instructions).next().is_some()
    }

    /// Whether a view is read outside of the routine and would have to be copied for that: the bits of a product may depend on
    /// how its operands lie in memory.
    fn is_view_outside(&self, view: usize, joined: &[usize], instructions: &[Instruction<T>]) -> bool {
        let value = instructions[view].results[0];
        if !self.is_read_outside(value, joined, instructions) {
            return false;
        }
        let number = self.number(Place::Value(value)).expect("it was joined");
        let mut operand = instructions[view].operands[0];
        loop {
            let Place::Value(viewed) = operand else { return true };
            let is_other_view = |&&i: &&usize| {
                let other = &instructions[i];
                i != view && matches!(other.kind, Kind::View(..)) && other.operands[0] == operand
            };
            let others = joined.iter().filter(is_other_view).map(|&i| instructions[i].results[0]);
            let shares = others
                .filter(|&other| other != value)
                .any(|other| self.is_read_outside(other, joined, instructions));
            if shares || !self.routine.is_whole(number) || self.is_read_outside(viewed, joined, instructions)
            {
                return true;
            }
            let maker = joined.iter().find(|&&i| instructions[i].results.contains(&viewed));
            match maker.map(|&i| &instructions[i]) {
                Some(Instruction { kind: Kind::View(..), operands, .. }) => operand = operands[0],
                _ => return false,
            }
        }
    }

    /// Whether an instruction updates a contiguous parameter.
    fn updates_contiguous(&self, instruction: &Instruction<T>) -> bool {
        let Kind::Update { member, .. } = instruction.kind else { return false };
        let strides = self.strides[1][member as usize].as_ref();
        strides == Some(&row_major(&self.plan.members[member as usize]))
    }
}

/// Whether an instruction is of a kind that a routine can have, if it is small enough.
fn may_join<T: Float>(instruction: &Instruction<T>) -> bool {
    match &instruction.kind {
        Kind::Fused(pass, _) => pass.is_single_tile(),
        Kind::View(..) => true,
        Kind::Operation(operation) => {
            let fusion = operation.fusion();
            matches!(
                fusion,
                Some(Fusion::Matmul | Fusion::Linear | Fusion::MeanSquaredDifference | Fusion::Reduce(..))
            )
        }
        _ => false,
    }
}

/// The instructions that read a value, without those that have joined a routine.
fn readers_of<'a, T: Float>(
    value: u32,
    joined: &'a [usize],
    instructions: &'a [Instruction<T>],
) -> impl Iterator<Item = &'a Instruction<T>> {
    let outside = instructions.iter().enumerate().filter(|(i, _)| joined.binary_search(i).is_err());
    outside
        .map(|(_, instruction)| instruction)
        .filter(move |instruction| instruction.operands.contains(&Place::Value(value)))
}

/// The strides of a contiguous tensor.
fn row_major(shape: &[usize]) -> Strides {
    let step = |axis: usize| shape[axis + 1..].iter().product::<usize>() as isize;
    (0..shape.len()).map(step).collect()
}

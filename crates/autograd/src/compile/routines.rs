//! Which small instructions become one routine.
//!
//! An instruction on a dozen numbers takes longer to find its operands and its memory than to compute. So small products,
//! passes and sums run one after another in a [`Routine`], which has found these before. Instructions that cannot be part of
//! it wait until it is done, as long as nothing in it reads their results.

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
        let mut waiting: Vec<Instruction<T>> = std::mem::take(&mut self.instructions);
        let mut contiguous = vec![false; self.values.len()];
        while !waiting.is_empty() {
            let mut draft = Draft {
                plan: self,
                strides: [inputs, members],
                contiguous: &contiguous,
                routine: Routine::new(),
                inputs: Vec::new(),
                known: Vec::new(),
                joined: Vec::new(),
            };
            draft.collect(&waiting);
            let next = match draft.finish(&waiting) {
                Some((routine, joined)) => {
                    let mut number = 0..;
                    waiting.retain(|_| number.next().is_some_and(|i| joined.binary_search(&i).is_err()));
                    routine
                }
                None => waiting.remove(0),
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
            let waits = instruction.operands.iter().any(|place| match *place {
                Place::Value(value) => late[value as usize],
                Place::Member(member) => changed[member as usize],
            });
            if !waits && self.join(instruction) {
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

    fn shape(&self, place: Place) -> &[usize] {
        match place {
            Place::Member(member) => &self.plan.members[member as usize],
            Place::Value(value) => &self.plan.shapes[value as usize],
        }
    }

    /// The number of an operand in the routine.
    fn operand(&mut self, place: Place) -> Option<u32> {
        if let Some((_, number)) = self.known.iter().find(|(known, _)| *known == place) {
            return Some(*number);
        }
        let plan = self.plan;
        let [inputs, members] = self.strides;
        let shape: SmallVec<[usize; 4]> = self.shape(place).into();
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
            (_, Some(Fusion::Linear)) => {
                routine.linear(operands[0], operands[1], operands.get(2).copied())
            }
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

    /// The instruction of the routine, and the instructions that are in it; `None` if it is not worth it.
    fn finish(mut self, instructions: &[Instruction<T>]) -> Option<(Instruction<T>, Vec<usize>)> {
        if self.routine.len() < 2 {
            return None;
        }
        // Views that nothing in the routine reads are made by their readers.
        let is_read_by = |readers: &[usize], value: u32| {
            readers.iter().any(|&i| instructions[i].operands.contains(&Place::Value(value)))
        };
        let joined = self.joined.clone();
        let is_used = |&i: &usize| match &instructions[i].kind {
            Kind::View(..) => {
                let from_outside = self.inputs.contains(&instructions[i].operands[0]);
                !from_outside || is_read_by(&joined, instructions[i].results[0])
            }
            _ => true,
        };
        let joined: Vec<usize> = joined.iter().copied().filter(is_used).collect();
        let outside: Vec<usize> = (0..instructions.len()).filter(|i| joined.binary_search(i).is_err()).collect();
        let mut results = Vec::new();
        for &i in &joined {
            for &value in &instructions[i].results {
                if self.plan.results.contains(&Place::Value(value)) || is_read_by(&outside, value) {
                    results.push(value);
                }
            }
        }
        for value in &results {
            let number = self.known.iter().find(|(place, _)| *place == Place::Value(*value));
            // An optimizer goes through a parameter and its gradient at once, if they lie in memory in one order.
            let changes = |&i: &usize| match &instructions[i] {
                Instruction { kind: Kind::Update { member, .. }, operands, .. } => {
                    let strides = self.strides[1][*member as usize].as_ref();
                    let is_contiguous = strides == Some(&row_major(&self.plan.members[*member as usize]));
                    operands[0] == Place::Value(*value) && is_contiguous
                }
                _ => false,
            };
            let contiguous = outside.iter().any(changes);
            self.routine.output(number.expect("it was joined").1, contiguous);
        }
        let names = joined.iter().map(|&i| instructions[i].short()).collect();
        let kind = Kind::Routine(self.routine, names);
        Some((Instruction { kind, operands: self.inputs, results, ..Instruction::default() }, joined))
    }
}

/// The strides of a contiguous tensor.
fn row_major(shape: &[usize]) -> Strides {
    let step = |axis: usize| shape[axis + 1..].iter().product::<usize>() as isize;
    (0..shape.len()).map(step).collect()
}

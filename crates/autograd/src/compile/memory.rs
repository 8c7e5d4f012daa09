//! The memory of a plan: when a value is read for the last time, and what its memory is used for then.

use gradus_tensor::{Float, Shape};

use super::plan::{Instruction, Kind, Memory, Place, Plan};
use crate::tape::node::Saved;

/// The most elements of a result that keeps memory of its own: up to this size, taking shared memory costs more time than the
/// computation.
const KEPT: usize = 256;

impl<T: Float> Plan<T> {
    /// Moves the updates of parameters to where their gradients are known and the parameters have been read for the last time, so that the
    /// memory of a gradient is free for the next one.
    pub(super) fn advance_updates(&mut self) {
        let mut ordered: Vec<Instruction<T>> = Vec::with_capacity(self.instructions.len());
        for instruction in std::mem::take(&mut self.instructions) {
            let place = match (&instruction.kind, &instruction.operands[..]) {
                (&Kind::Update { member, .. }, &[gradient]) => {
                    // A view that is still read would make the update copy the parameter.
                    let mut views = vec![Place::Member(member)];
                    for other in ordered.iter().filter(|other| matches!(other.kind, Kind::View(..))) {
                        if views.contains(&other.operands[0]) {
                            views.extend(other.results.iter().map(|&value| Place::Value(value)));
                        }
                    }
                    let waits_for = |other: &Instruction<T>| {
                        let is_read = other.operands.iter().any(|operand| views.contains(operand));
                        let is_gradient = match gradient {
                            Place::Value(value) => other.results.contains(&value),
                            Place::Member(gradient) => other.kind.changes() == Some(gradient),
                        };
                        // A loss that is NaN must be found before.
                        let is_other = other.kind.is_effect() && !matches!(other.kind, Kind::Update { .. });
                        is_read || is_gradient || is_other || other.kind.changes() == Some(member)
                    };
                    ordered.iter().rposition(waits_for).map_or(0, |before| before + 1)
                }
                _ => ordered.len(),
            };
            ordered.insert(place, instruction);
        }
        self.instructions = ordered;
    }

    /// Numbers the results of instructions in their order, so that operands come before results.
    pub(super) fn number_results(&mut self) {
        // Values that became parts of passes get no number.
        let constants = self.constants.end;
        let mut numbers: Vec<Option<u32>> = vec![None; self.values.len()];
        let made = self.instructions.iter().flat_map(|instruction| &instruction.results);
        let kept = (0..constants).chain(made.map(|&result| result as usize));
        let mut count = 0;
        for value in kept {
            numbers[value] = Some(count);
            count += 1;
        }
        let count = count as usize;
        let number = |value: u32| numbers[value as usize].expect("it is read or made");
        let renumber = |place: &mut Place| {
            if let Place::Value(value) = place {
                *value = number(*value);
            }
        };
        for instruction in &mut self.instructions {
            instruction.operands.iter_mut().for_each(renumber);
            instruction.results.iter_mut().for_each(|result| *result = number(*result));
        }
        self.results.iter_mut().for_each(renumber);
        let old = std::mem::replace(&mut self.shapes, vec![Shape::new(); count]);
        for (shape, number) in old.into_iter().zip(&numbers) {
            if let Some(number) = number {
                self.shapes[*number as usize] = shape;
            }
        }
        self.values.resize_with(count, || Saved::Shape(Shape::new()));
        self.discrete.clear();
        self.register_of = vec![None; count];
    }

    /// Gives results memory: small ones, and results of the step, keep their own; a large one takes memory whose value is read no
    /// more.
    pub(super) fn assign_registers(&mut self) {
        let mut free: Vec<u32> = Vec::new();
        let kept = |value| (value as usize) < self.constants.end;
        let mut own = vec![false; self.values.len()];
        let mut is_view = vec![false; self.values.len()];
        for instruction in &mut self.instructions {
            let prepared = match &instruction.kind {
                Kind::Fused(..) | Kind::Routine(..) => true,
                Kind::Operation(operation) => operation.writes_into(),
                _ => false,
            };
            instruction.dies.retain(|&value| !own[value as usize]);
            // A view of a value that nobody reads later takes its memory.
            let taken = match (&instruction.kind, &instruction.operands[..]) {
                (Kind::View(..), &[Place::Value(operand)]) => {
                    let place = instruction.dies.iter().position(|&value| value == operand);
                    place.filter(|_| !kept(operand)).map(|place| instruction.dies.swap_remove(place))
                }
                _ => None,
            };
            instruction.takes = taken;
            for &result in &instruction.results {
                is_view[result as usize] = matches!(instruction.kind, Kind::View(..));
            }
            for place in 0..instruction.results.len() {
                let result = instruction.results[place];
                let size: usize = self.shapes[result as usize].iter().product();
                let is_shared = match &instruction.kind {
                    Kind::Routine(routine, _) => routine.new_output(instruction.memory.len()).is_contiguous(),
                    _ => prepared,
                };
                let register = is_shared && size > KEPT && !self.results.contains(&Place::Value(result));
                let register = register.then(|| {
                    // Writing over an operand takes another copy of each tile, so memory that is free comes first.
                    let is_free =
                        free.iter().any(|&register| self.registers.sizes[register as usize] >= size);
                    let over = instruction.overwritten(&self.shapes, &self.register_of, &is_view);
                    if let Some((operand, register)) = over.filter(|_| !is_free) {
                        instruction.takes = Some(operand);
                        instruction.dies.retain(|&value| value != operand);
                        return register;
                    }
                    take_register(&mut free, &mut self.registers.sizes, size)
                });
                instruction.memory.push(match register {
                    Some(register) => Memory::Register(register),
                    None if prepared => Memory::Own,
                    None => Memory::New,
                });
                own[result as usize] = instruction.memory.last() == Some(&Memory::Own);
                let inherited = taken.and_then(|operand| self.register_of[operand as usize]);
                self.register_of[result as usize] = register.or(inherited);
            }
            let count = self.registers.sizes.len();
            self.registers.memory.resize_with(count, || None);
            free.extend(instruction.dies.iter().filter_map(|&value| self.register_of[value as usize]));
        }
    }

    /// Notes after which instruction nobody reads a value.
    pub(super) fn find_deaths(&mut self) {
        let mut kept = vec![false; self.values.len()];
        let constants = self.constants.end;
        for place in &self.results {
            if let Place::Value(value) = place {
                kept[*value as usize] = true;
            }
        }
        for instruction in self.instructions.iter_mut().rev() {
            let read = instruction.operands.iter().filter_map(|place| match place {
                Place::Value(value) => Some(*value),
                Place::Member(_) => None,
            });
            let touched: Vec<u32> = read.chain(instruction.results.iter().copied()).collect();
            instruction.dies.clear();
            for value in touched {
                if value as usize >= constants && !std::mem::replace(&mut kept[value as usize], true) {
                    instruction.dies.push(value);
                }
            }
        }
    }
}

impl<T: Float> Instruction<T> {
    /// An operand of a pass that nobody reads later, whose place the first result can take, and its register.
    fn overwritten(
        &self,
        shapes: &[Shape],
        register_of: &[Option<u32>],
        is_view: &[bool],
    ) -> Option<(u32, u32)> {
        let Kind::Fused(pass, _) = &self.kind else { return None };
        let is_first = self.memory.is_empty() && self.takes.is_none();
        let mut dying = self.dies.iter().filter(|&&value| {
            is_first
                && !is_view[value as usize]
                && self.operands.contains(&Place::Value(value))
                && pass.can_overwrite(0, &shapes[value as usize])
        });
        dying.find_map(|&value| Some((value, register_of[value as usize]?)))
    }
}

/// A free register for a number of elements: the smallest that is large enough, or else the largest, which grows, or a new one.
fn take_register(free: &mut Vec<u32>, sizes: &mut Vec<usize>, size: usize) -> u32 {
    let fits = |register: &u32| sizes[*register as usize] >= size;
    let best = free.iter().copied().filter(fits).min_by_key(|&register| sizes[register as usize]);
    let Some(register) =
        best.or_else(|| free.iter().copied().max_by_key(|&register| sizes[register as usize]))
    else {
        sizes.push(size);
        return (sizes.len() - 1) as u32;
    };
    free.retain(|&other| other != register);
    let own = &mut sizes[register as usize];
    *own = size.max(*own);
    register
}

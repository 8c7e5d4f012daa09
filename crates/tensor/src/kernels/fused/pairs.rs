//! Steps that are computed together: nothing is stored between them.

use smallvec::SmallVec;

use super::function::{Function, Loop, Numbers, OPERANDS};
use super::joined::{gate, pair, product_times_sum, two_pairs};
use super::plan::Extent;
use super::planner::Planner;
use super::{FusedStep, Reduction};
use crate::element::Float;

/// The sum or the mean of squares, of `x` or of `x - origin`, that no other step reads.
#[derive(Clone, Copy)]
pub(super) struct Squares {
    pub(super) x: u32,
    pub(super) origin: Option<u32>,
}

/// Steps that are one loop over these operands, and the last two functions of it.
pub(super) struct Pair<T> {
    functions: [Function; 2],
    pub(super) function: Loop<T>,
    pub(super) operands: SmallVec<[u32; OPERANDS]>,
    pub(super) numbers: Numbers,
}

impl<T: Float> Planner<'_, T> {
    /// Finds what is computed together, for all steps.
    pub(super) fn find_pairs(&mut self) {
        for number in 0..self.steps.len() {
            let squares = self.squares(number);
            self.squares.push(squares);
        }
        for number in 0..self.steps.len() {
            let pair = self.pair(number);
            self.pairs.push(pair);
        }
        for number in 0..self.steps.len() {
            self.join_pairs(number);
            self.join_gate(number);
            self.join_factors(number);
        }
    }

    /// A step together with one of its operands, if there is a loop for both. Nobody else may use the operand, or it must be
    /// arithmetic with a number, which is done again in less time than a result is stored and loaded.
    fn pair(&mut self, number: usize) -> Option<Pair<T>> {
        let FusedStep::Apply(second, others) = &self.steps[number] else { return None };
        let value = self.values[number];
        if value.is_joined() {
            return None;
        }
        for (k, &operand) in others.iter().enumerate() {
            let before = self.values[operand as usize];
            let FusedStep::Apply(first, operands) = &self.steps[operand as usize] else { continue };
            if before.extent != value.extent
                || before.last_use == usize::MAX
                || self.pairs[operand as usize].is_some()
            {
                continue;
            }
            let mut operands: SmallVec<[u32; OPERANDS]> = operands.iter().copied().collect();
            if matches!(first, Function::Add | Function::Mul) && self.is_number(operands[0], value.extent) {
                operands.swap(0, 1);
            }
            let is_cheap = matches!(first, Function::Add | Function::Sub | Function::Mul)
                && self.is_number(operands[1], value.extent);
            if before.uses > 1 && !is_cheap {
                continue;
            }
            let read = operands.clone();
            operands.extend(others.iter().enumerate().filter(|(other, _)| *other != k).map(|(_, &x)| x));
            let numbers = self.numbers(&operands, value.extent);
            if let Some(function) = pair([*first, *second], k, numbers) {
                self.join(operand, &read, number);
                return Some(Pair { functions: [*first, *second], function, operands, numbers });
            }
        }
        None
    }

    /// Joins a pair to one whose result only it uses.
    fn join_pairs(&mut self, number: usize) {
        let Some(second) = &self.pairs[number] else { return };
        for place in 0..2 {
            let step = second.operands[place];
            let before = self.values[step as usize];
            let Some(first) = &self.pairs[step as usize] else { continue };
            if !self.is_for(step, number) {
                continue;
            }
            let read = first.operands.clone();
            let others = second.operands.iter().enumerate().filter(|(other, _)| *other != place);
            let operands = read.iter().copied().chain(others.map(|(_, &x)| x)).collect::<SmallVec<_>>();
            let numbers = self.numbers(&operands, before.extent);
            if let Some(function) = two_pairs(first.functions, second.functions, numbers) {
                let functions = second.functions;
                self.join(step, &read, number);
                self.pairs[number] = Some(Pair { functions, function, operands, numbers });
                return;
            }
        }
    }

    /// Joins a sum or a difference to a function times a number, whose result only it uses.
    fn join_gate(&mut self, number: usize) {
        let FusedStep::Apply(last, others) = &self.steps[number] else { return };
        if self.pairs[number].is_some() || self.values[number].is_joined() || others.len() != 2 {
            return;
        }
        for (place, &step) in others.iter().enumerate() {
            let Some(Pair { functions: [first, Function::Mul], operands, .. }) = &self.pairs[step as usize]
            else {
                continue;
            };
            let (first, read) = (*first, operands.clone());
            let operands: SmallVec<_> = read.iter().copied().chain([others[1 - place]]).collect();
            let numbers = self.numbers(&operands, self.values[number].extent);
            if !self.is_for(step, number) || numbers != 0 || first.operands() != 1 {
                continue;
            }
            if let Some(function) = gate(first, Some((*last, place))) {
                self.join(step, &read, number);
                self.pairs[number] =
                    Some(Pair { functions: [Function::Mul, *last], function, operands, numbers });
                return;
            }
        }
    }

    /// Joins `x * y * s` to the sum `s`, or `(z + w) * p` to the product `p`, if no other step uses it.
    fn join_factors(&mut self, number: usize) {
        let Some(Pair { functions: [first, Function::Mul], operands, .. }) = &self.pairs[number] else {
            return;
        };
        let [x, y, step] = operands[..] else { return };
        let FusedStep::Apply(other, read) = &self.steps[step as usize] else { return };
        let (product, sum) = match (*first, *other) {
            (Function::Mul, Function::Add) => ([x, y], [read[0], read[1]]),
            (Function::Add, Function::Mul) => ([read[0], read[1]], [x, y]),
            _ => return,
        };
        if !self.is_for(step, number) || self.pairs[step as usize].is_some() {
            return;
        }
        let extent = self.values[number].extent;
        let last_number = |[x, y]: [u32; 2]| if self.is_number(x, extent) { [y, x] } else { [x, y] };
        let operands: SmallVec<_> = last_number(product).into_iter().chain(last_number(sum)).collect();
        let numbers = self.numbers(&operands, extent);
        if let Some(function) = product_times_sum(numbers) {
            self.join(step, read, number);
            self.pairs[number] =
                Some(Pair { functions: [Function::Add, Function::Mul], function, operands, numbers });
        }
    }

    /// Whether only the step of a number uses a result, for as many elements.
    fn is_for(&self, step: u32, number: usize) -> bool {
        let value = self.values[step as usize];
        value.uses == 1
            && !value.is_joined()
            && value.last_use != usize::MAX
            && value.extent == self.values[number].extent
    }

    /// The squares that a step reduces, if nobody else uses them.
    fn squares(&mut self, number: usize) -> Option<Squares> {
        let FusedStep::Reduce(Reduction::Sum | Reduction::Mean, operand) = self.steps[number] else {
            return None;
        };
        let value = self.values[operand as usize];
        let FusedStep::Apply(Function::Square, operands) = &self.steps[operand as usize] else { return None };
        if value.uses != 1 || value.last_use != number || value.extent != Extent::Element {
            return None;
        }
        let steps = self.steps;
        let x = operands[0];
        self.join(operand, operands, number);
        match &steps[x as usize] {
            FusedStep::Apply(Function::Sub, difference)
                if self.values[difference[1] as usize].extent < Extent::Element
                    && self.values[x as usize].last_use != usize::MAX =>
            {
                self.join(x, difference, number);
                Some(Squares { x: difference[0], origin: Some(difference[1]) })
            }
            _ => Some(Squares { x, origin: None }),
        }
    }

    /// Notes that a step computes one of its operands itself, from what that reads.
    fn join(&mut self, operand: u32, read: &[u32], number: usize) {
        let value = &mut self.values[operand as usize];
        value.joined += 1;
        // Another step reads its operands, unless the last that needs it does and it goes.
        let is_again = !value.is_joined();
        for &x in read {
            let value = &mut self.values[x as usize];
            value.last_use = value.last_use.max(number);
            value.uses += usize::from(is_again);
        }
    }
}

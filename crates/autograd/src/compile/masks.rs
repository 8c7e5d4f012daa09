//! Comparisons become a part of the operations that read their masks, which are then functions of numbers alone, and so can be in
//! a fused pass. The comparison is made again for each of them, which costs less than to write a mask and to read it, if the mask is as
//! large as the result.

use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use super::plan::{Instruction, Kind, Place, Plan};
use crate::scalar::{Expression, traced};
use crate::tape::{Fusion, Inputs, Operation, Var};

/// The most operands that a function of numbers gets before another mask becomes a part of it.
const MOST_OPERANDS: usize = 16;

/// An operation on numbers with the comparisons that choose among them.
#[derive(Debug)]
struct Selected<T: Float> {
    operation: Arc<dyn Operation<T>>,
    expression: Expression,
}

impl<T: Float> Operation<T> for Selected<T> {
    fn name(&self) -> &'static str {
        self.operation.name()
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        let inputs: Vec<Var<T>> =
            (0..self.expression.arguments()).map(|i| Var::constant(inputs[i].clone())).collect();
        traced(&inputs, |x| self.expression.read(x)).into_value()
    }
    fn expression(&self) -> Option<Expression> {
        Some(self.expression.clone())
    }
    fn fusion(&self) -> Option<Fusion> {
        Some(Fusion::Select(self.expression.clone()))
    }
}

impl<T: Float> Plan<T> {
    /// Replaces operations that read masks by ones that make the masks themselves; masks without other readers are removed.
    pub(super) fn inline_masks(&mut self) {
        let mut makers: Vec<Option<usize>> = vec![None; self.values.len()];
        for i in 0..self.instructions.len() {
            if let Some((selected, operands)) = self.selected(i, &makers) {
                let instruction = &mut self.instructions[i];
                (instruction.kind, instruction.operands) = (Kind::Operation(Arc::new(selected)), operands);
            }
            for &result in &self.instructions[i].results {
                makers[result as usize] = Some(i);
            }
        }
        let mut is_read = vec![false; self.values.len()];
        mark(&mut is_read, &self.results);
        for instruction in self.instructions.iter_mut().rev() {
            let is_mask = matches!(instruction.kind, Kind::Mask(_));
            if is_mask && instruction.results.iter().all(|&result| !is_read[result as usize]) {
                *instruction = Instruction::default();
                continue;
            }
            mark(&mut is_read, &instruction.operands);
        }
        self.instructions.retain(|instruction| !matches!(instruction.kind, Kind::Nothing));
    }

    /// An instruction as a function of numbers alone, and these, if it selects by masks that are functions of numbers.
    fn selected(&self, i: usize, makers: &[Option<usize>]) -> Option<(Selected<T>, Vec<Place>)> {
        let Kind::Operation(operation) = &self.instructions[i].kind else { return None };
        let Some(Fusion::Select(own)) = operation.fusion() else { return None };
        let (mut expression, mut arguments) = (Expression::new(), Vec::new());
        self.add(i, i, &own, makers, &mut expression, &mut arguments)?;
        let operands = arguments.into_iter().map(|(place, _)| place).collect();
        expression
            .is_fusible::<T>()
            .then(|| (Selected { operation: Arc::clone(operation), expression }, operands))
    }

    /// Adds instruction `i`, which is this function of numbers, to the expression for instruction `reader`, and gives the number of
    /// its step. The arguments of the expression are these operands, each with the number of its step.
    ///
    /// A mask that is repeated, but for one value for each row, is not added: it would be computed again for each element.
    fn add(
        &self,
        i: usize,
        reader: usize,
        own: &Expression,
        makers: &[Option<usize>],
        expression: &mut Expression,
        operands: &mut Vec<(Place, usize)>,
    ) -> Option<usize> {
        // A mask that is made of others is a part of each that is made of it.
        if operands.len() > MOST_OPERANDS {
            return None;
        }
        let shape = &self.shapes[self.instructions[reader].results[0] as usize];
        let mut arguments = Vec::new();
        for &place in &self.instructions[i].operands {
            let argument = match place {
                Place::Value(value) if !self.is_number(place) => {
                    if !is_of_rows(&self.shapes[value as usize], shape) {
                        return None;
                    }
                    let maker = makers[value as usize]?;
                    let Kind::Mask(mask) = &self.instructions[maker].kind else { return None };
                    self.add(maker, reader, &mask.expression()?, makers, expression, operands)?
                }
                Place::Member(member) if self.changes_between(member, i, reader) => return None,
                _ => {
                    let known = operands.iter().find(|(known, _)| *known == place);
                    if let Some((_, argument)) = known {
                        *argument
                    } else {
                        operands.push((place, expression.add_argument()));
                        operands[operands.len() - 1].1
                    }
                }
            };
            arguments.push(argument);
        }
        Some(expression.add(own, &arguments))
    }

    /// Whether a member changes after one instruction and before another, which would then read another value.
    fn changes_between(&self, member: u32, first: usize, last: usize) -> bool {
        self.instructions[first..last].iter().any(|instruction| instruction.kind.changes() == Some(member))
    }
}

/// Marks the values among some places.
fn mark(is_read: &mut [bool], places: &[Place]) {
    for place in places {
        if let Place::Value(value) = place {
            is_read[*value as usize] = true;
        }
    }
}

/// Whether a mask has this shape, or size 1 in place of its last axes.
fn is_of_rows(mask: &[usize], shape: &[usize]) -> bool {
    let rows = mask.iter().zip(shape).take_while(|(one, other)| one == other).count();
    mask.len() == shape.len() && mask[rows..].iter().all(|&size| size == 1)
}

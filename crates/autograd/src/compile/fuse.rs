//! Which instructions become one fused pass.
//!
//! An instruction over the same elements joins the groups of its operands, unless a way from a group to it leads through
//! other instructions. Groups and single instructions, the *units*, are then put in an order in which they can run.

use gradus_tensor::fused::{Function, Fused, FusedStep, Reduction};
use gradus_tensor::{Float, Shape};
use smallvec::SmallVec;

use super::plan::{Instruction, Kind, Place, Plan};
use crate::scalar::Expression;
use crate::tape::Fusion;

/// The longest row whose reduction is a part of a pass: rows have to stay in the first-level cache.
const LONGEST_ROW: usize = 4096;
/// The most elements of an operation with broadcast operands that becomes a pass by itself.
const SMALL: usize = 4096;

/// The part of an instruction in a fused pass.
enum Part {
    Elementwise(Expression),
    /// A reduction over a number of axes at the end.
    Reduce(Reduction, usize),
    /// The elements of the operand in another shape, or repeated.
    Same,
}

/// Instructions that become one pass, or a single one.
struct Unit {
    members: Vec<usize>,
    /// The shape of the elements that the pass runs over; `None` for an instruction that is never a part of one.
    domain: Option<Shape>,
    /// The number of axes at the end that its reductions run over.
    row_axes: Option<usize>,
}

struct Fuser<'a, T: Float> {
    plan: &'a Plan<T>,
    /// The instruction that makes each value.
    makers: Vec<Option<usize>>,
    /// The instructions that must run before each one.
    before: Vec<Vec<usize>>,
    units: Vec<Unit>,
    unit_of: Vec<usize>,
}

impl<T: Float> Plan<T> {
    /// Makes one pass of instructions over the same elements, where that is possible.
    pub(super) fn fuse(&mut self) {
        let mut fuser = Fuser::new(self);
        for i in 0..self.instructions.len() {
            fuser.join(i);
        }
        let order = fuser.order();
        let mut fused: Vec<Option<Instruction<T>>> =
            fuser.units.iter().map(|unit| fuser.fused(unit)).collect();
        let units = fuser.units;
        let mut old: Vec<Option<Instruction<T>>> =
            std::mem::take(&mut self.instructions).into_iter().map(Some).collect();
        for unit in order {
            match fused[unit].take() {
                Some(instruction) => self.instructions.push(instruction),
                None => self.instructions.extend(units[unit].members.iter().filter_map(|&i| old[i].take())),
            }
        }
    }
}

impl<'a, T: Float> Fuser<'a, T> {
    fn new(plan: &'a Plan<T>) -> Self {
        let count = plan.instructions.len();
        let mut makers = vec![None; plan.values.len()];
        let mut before: Vec<Vec<usize>> = Vec::with_capacity(count);
        // Effects keep their order, and their order with what reads the members that they change.
        let mut last_effect = None;
        let mut changed: Vec<Option<usize>> = vec![None; plan.members.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); plan.members.len()];
        for (i, instruction) in plan.instructions.iter().enumerate() {
            let mut needs = Vec::new();
            for place in &instruction.operands {
                match *place {
                    Place::Value(value) => needs.extend(makers[value as usize]),
                    Place::Member(member) => {
                        needs.extend(changed[member as usize]);
                        readers[member as usize].push(i);
                    }
                }
            }
            if instruction.kind.is_effect() {
                needs.extend(last_effect.replace(i));
            }
            if let Some(member) = instruction.kind.changes() {
                needs.append(&mut readers[member as usize]);
                changed[member as usize] = Some(i);
            }
            for &result in &instruction.results {
                makers[result as usize] = Some(i);
            }
            before.push(needs);
        }
        let unit = |i| Unit { members: vec![i], domain: None, row_axes: None };
        let mut fuser = Self {
            plan,
            makers,
            before,
            units: (0..count).map(unit).collect(),
            unit_of: (0..count).collect(),
        };
        for i in 0..count {
            fuser.units[i] = Unit { members: vec![i], ..fuser.alone(i) };
        }
        fuser
    }

    fn shape(&self, place: Place) -> &'a [usize] {
        self.plan.shape(place)
    }

    fn result(&self, i: usize) -> &'a [usize] {
        self.shape(Place::Value(self.plan.instructions[i].results[0]))
    }

    /// The part of an instruction in a pass, if it can have one.
    fn part(&self, i: usize) -> Option<Part> {
        let instruction = &self.plan.instructions[i];
        let (Kind::Operation(operation) | Kind::View(_, operation)) = &instruction.kind else { return None };
        let is_number = |place: &Place| self.plan.is_number(*place);
        if !instruction.operands.iter().all(is_number) {
            return None;
        }
        if let Some(expression) = operation.expression() {
            return expression.is_fusible::<T>().then_some(Part::Elementwise(expression));
        }
        let input = self.shape(instruction.operands[0]);
        match operation.fusion()? {
            Fusion::Reduce(reduction, axes) => {
                let first = input.len() - axes.len();
                let at_the_end = !axes.is_empty() && axes.iter().all(|&axis| axis >= first);
                let length: usize = input[first..].iter().product();
                (at_the_end && (1..=LONGEST_ROW).contains(&length))
                    .then_some(Part::Reduce(reduction, axes.len()))
            }
            Fusion::Reshape | Fusion::Expand => Some(Part::Same),
            Fusion::Permute
            | Fusion::Matmul
            | Fusion::Linear
            | Fusion::MeanSquaredDifference
            | Fusion::Select(_)
            | Fusion::Computed(_) => None,
        }
    }

    /// The unit of an instruction by itself.
    fn alone(&self, i: usize) -> Unit {
        let domain = |shape: &[usize]| Some(Shape::from_slice(shape));
        let (domain, row_axes) = match self.part(i) {
            Some(Part::Elementwise(_)) => (domain(self.result(i)), None),
            Some(Part::Reduce(_, axes)) => {
                (domain(self.shape(self.plan.instructions[i].operands[0])), Some(axes))
            }
            Some(Part::Same) | None => (None, None),
        };
        Unit { members: Vec::new(), domain, row_axes }
    }

    /// Joins an instruction to the units of its operands.
    fn join(&mut self, i: usize) {
        let Some(part) = self.part(i) else { return };
        let operands: SmallVec<[Place; 4]> = self.plan.instructions[i].operands.iter().copied().collect();
        for place in operands {
            let Place::Value(value) = place else { continue };
            let Some(maker) = self.makers[value as usize] else { continue };
            let (unit, own) = (self.unit_of[maker], self.unit_of[i]);
            // A pass stays within one recomputation: joined to an earlier one, its results would have to be kept.
            let again = |i: usize| self.plan.instructions[i].recomputation;
            if unit == own || self.units[unit].domain.is_none() || again(maker) != again(i) {
                continue;
            }
            let Some((domain, row_axes)) = self.common(unit, own, i, &part) else { continue };
            if self.is_between(unit, own) || self.is_between(own, unit) {
                continue;
            }
            let moved = std::mem::take(&mut self.units[own].members);
            for &member in &moved {
                self.unit_of[member] = unit;
            }
            self.units[own].domain = None;
            let unit = &mut self.units[unit];
            unit.members.extend(moved);
            unit.members.sort_unstable();
            (unit.domain, unit.row_axes) = (Some(domain), row_axes);
        }
    }

    /// The domain and the row axes of a unit together with the unit of instruction `i`, which reads a result of the first;
    /// `None` if they are over other elements.
    fn common(&self, unit: usize, own: usize, i: usize, part: &Part) -> Option<(Shape, Option<usize>)> {
        let (unit, own) = (&self.units[unit], &self.units[own]);
        let domain = unit.domain.clone()?;
        let row_axes = match (unit.row_axes, own.row_axes) {
            (Some(x), Some(y)) if x != y => return None,
            (x, y) => x.or(y),
        };
        let instruction = &self.plan.instructions[i];
        let is_of_rows = |shape: &[usize]| is_of_rows(shape, &domain, row_axes);
        let is_single = |place: &Place| self.shape(*place).iter().product::<usize>() == 1;
        let fits = match part {
            _ if own.domain.as_ref() == Some(&domain) => true,
            _ if own.members.len() > 1 => false,
            // A number for each row, or one for all, behind a reduction.
            Part::Elementwise(_) => {
                let reads = |place: &Place| is_single(place) || is_of_rows(self.shape(*place));
                is_of_rows(self.result(i)) && instruction.operands.iter().all(reads)
            }
            Part::Reduce(..) => false,
            Part::Same => {
                // A reduction without the axes that it dropped gets them back.
                let (from, to) = (self.shape(instruction.operands[0]), self.result(i));
                let dropped = row_axes.is_some_and(|axes| *from == domain[..domain.len() - axes]);
                return (is_of_rows(to) && (is_of_rows(from) || dropped)
                    || *to == domain[..] && (is_of_rows(from) || *from == domain[..]))
                    .then_some((domain, row_axes));
            }
        };
        let reads_well = |reader: &Unit, maker: &Unit| {
            reader.members.iter().flat_map(|&member| &self.plan.instructions[member].operands).all(|&place| {
                let made = matches!(place, Place::Value(value)
                    if self.makers[value as usize].is_some_and(|made| maker.members.contains(&made)));
                !made || *self.shape(place) == domain[..] || is_of_rows(self.shape(place))
            })
        };
        (fits && reads_well(own, unit) && reads_well(unit, own)).then_some((domain, row_axes))
    }

    /// Whether a way from one unit to another leads through a third.
    fn is_between(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.units.len()];
        let mut waiting: Vec<usize> = Vec::new();
        let mut look = |members: &[usize], waiting: &mut Vec<usize>, direct: bool| {
            let mut found = false;
            for &maker in members.iter().flat_map(|&member| &self.before[member]) {
                let unit = self.unit_of[maker];
                found |= unit == from && !direct;
                if unit != from && unit != to && !std::mem::replace(&mut seen[unit], true) {
                    waiting.push(unit);
                }
            }
            found
        };
        look(&self.units[to].members, &mut waiting, true);
        while let Some(unit) = waiting.pop() {
            if look(&self.units[unit].members, &mut waiting, false) {
                return true;
            }
        }
        false
    }

    /// The units in an order in which they can run.
    fn order(&self) -> Vec<usize> {
        let mut done = vec![false; self.units.len()];
        let mut order = Vec::new();
        for i in 0..self.unit_of.len() {
            let mut waiting = vec![self.unit_of[i]];
            while let Some(&unit) = waiting.last() {
                let needs = self.units[unit].members.iter().flat_map(|&member| &self.before[member]);
                let next =
                    needs.map(|&maker| self.unit_of[maker]).find(|&other| other != unit && !done[other]);
                if let Some(next) = next {
                    waiting.push(next);
                    continue;
                }
                waiting.pop();
                if !std::mem::replace(&mut done[unit], true) {
                    order.push(unit);
                }
            }
        }
        order
    }

    /// The pass of a unit with several members, or of an elementwise operation, which then needs no new memory.
    fn fused(&self, unit: &Unit) -> Option<Instruction<T>> {
        let domain = unit.domain.as_ref()?;
        if let [i] = unit.members[..] {
            let is_elementwise = |part: &Part| matches!(part, Part::Elementwise(_));
            self.part(i).filter(is_elementwise)?;
            // Rows that are repeated in several ways would be written out.
            let is_plain = |place: &Place| {
                let shape = self.shape(*place);
                *shape == domain[..] || shape.iter().product::<usize>() == 1
            };
            let is_small = domain.iter().product::<usize>() <= SMALL;
            // By themselves, the steps of a select would be operations of their own.
            let selects = matches!(&self.plan.instructions[i].kind, Kind::Operation(operation)
                if matches!(operation.fusion(), Some(Fusion::Select(_))));
            (is_small || selects || self.plan.instructions[i].operands.iter().all(is_plain)).then_some(())?;
        }
        let row_axes = unit.row_axes.unwrap_or(0);
        let (mut steps, mut inputs): (Vec<FusedStep<T>>, Vec<Place>) = (Vec::new(), Vec::new());
        // The step of each value of the unit, and of each input.
        let mut known: Vec<(Place, u32)> = Vec::new();
        for &i in &unit.members {
            let instruction = &self.plan.instructions[i];
            let mut arguments: SmallVec<[u32; 4]> = SmallVec::new();
            for &place in &instruction.operands {
                let step = known.iter().find(|(other, _)| *other == place).map(|(_, step)| *step);
                arguments.push(step.unwrap_or_else(|| {
                    let step = if let Some(number) = self.plan.single_number(place) {
                        FusedStep::Constant(number)
                    } else {
                        inputs.push(place);
                        FusedStep::Input(inputs.len() - 1)
                    };
                    steps.push(step);
                    let step = (steps.len() - 1) as u32;
                    known.push((place, step));
                    step
                }));
            }
            let step = match self.part(i)? {
                Part::Elementwise(expression) => expression.fused_steps(&arguments, &mut steps)?,
                Part::Reduce(reduction, _) => {
                    steps.push(FusedStep::Reduce(reduction, arguments[0]));
                    (steps.len() - 1) as u32
                }
                Part::Same => arguments[0],
            };
            known.push((Place::Value(instruction.results[0]), step));
        }
        let outside = |value: u32| {
            let reads = |instruction: &Instruction<T>| instruction.operands.contains(&Place::Value(value));
            let is_read = |(i, instruction)| !unit.members.contains(&i) && reads(instruction);
            self.plan.results.contains(&Place::Value(value))
                || self.plan.instructions.iter().enumerate().any(is_read)
        };
        let made = unit.members.iter().map(|&i| self.plan.instructions[i].results[0]);
        let results: Vec<u32> = made.filter(|&value| outside(value)).collect();
        let step_of = |value: &u32| {
            known.iter().find(|(place, _)| *place == Place::Value(*value)).map(|(_, step)| *step)
        };
        let outputs: Vec<u32> = results.iter().filter_map(step_of).collect();
        let shapes: Vec<&[usize]> = inputs.iter().map(|&place| self.shape(place)).collect();
        let pass = Fused::new(domain, row_axes, &shapes, steps, &outputs);
        // A result that is the same for a row, but has all elements in its shape, would have to be repeated.
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        let fits = |(i, value): (usize, &u32)| {
            size(pass.shape_of_output(i)) == size(self.shape(Place::Value(*value)))
        };
        if !results.iter().enumerate().all(fits) {
            return None;
        }
        let names = unit.members.iter().map(|&i| self.plan.instructions[i].name()).collect();
        Some(Instruction {
            kind: Kind::Fused(pass, names),
            operands: inputs,
            results,
            recomputation: self.plan.instructions[unit.members[0]].recomputation,
            ..Instruction::default()
        })
    }
}

/// Whether a shape is the domain with size 1 in place of the axes of rows, or one number if there is one row.
fn is_of_rows(shape: &[usize], domain: &[usize], row_axes: Option<usize>) -> bool {
    let Some(row_axes) = row_axes else { return false };
    let rows = domain.len() - row_axes;
    let length = |shape: &[usize]| shape.iter().product::<usize>();
    length(shape) == 1 && shape.len() <= domain.len() && length(&domain[..rows]) == 1
        || shape.len() == domain.len()
            && shape[..rows] == domain[..rows]
            && shape[rows..].iter().all(|&size| size == 1)
}

impl Expression {
    /// Whether all its functions can be steps of a fused pass.
    pub(super) fn is_fusible<T: Float>(&self) -> bool {
        let arguments: SmallVec<[u32; 4]> = (0..self.arguments() as u32).collect();
        self.fused_steps::<T>(&arguments, &mut Vec::new()).is_some()
    }

    /// Adds the steps to a pass in which these are the steps of the arguments, and gives the number of the result.
    fn fused_steps<T: Float>(&self, arguments: &[u32], steps: &mut Vec<FusedStep<T>>) -> Option<u32> {
        self.each_step(
            |argument| arguments[argument],
            |step| {
                let step = match step {
                    Err(number) => FusedStep::Constant(T::from_f64(number)),
                    Ok((name, operands)) => FusedStep::Apply(Function::named(name)?, operands),
                };
                let known =
                    steps.iter().position(|other| *other == step && !matches!(step, FusedStep::Constant(_)));
                Some(known.unwrap_or_else(|| {
                    steps.push(step);
                    steps.len() - 1
                }) as u32)
            },
        )
    }
}

//! A program as text.

use std::collections::HashMap;
use std::fmt::{self, Debug, Display, Formatter, Write};

use gradus_tensor::{Bytes, Float};

use super::build::have_same_bits;
use super::plan::{Instruction, Kind, Memory, Place, Plan};
use crate::tape::drawing::{Drawn, draw, shown};
use crate::tape::node::Saved;

impl<T: Float> Plan<T> {
    /// The number of instructions.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }
}

impl<T: Float> Plan<T> {
    /// Whether another program is the same: equal instructions and constants.
    ///
    /// # Errors
    /// The first difference.
    #[doc(hidden)]
    pub fn compare(&self, other: &Self) -> Result<(), String> {
        let lines = |program: &Self| -> Vec<String> {
            program.instructions.iter().map(|line| format!("{line}{}", line.attributes())).collect()
        };
        let (mine, others) = (lines(self), lines(other));
        if let Some((mine, other)) = mine.iter().zip(&others).find(|(mine, other)| mine != other) {
            return Err(format!("`{mine}` became `{other}`"));
        }
        if mine.len() != others.len() {
            return Err(format!("it has {} operations, and had {}", others.len(), mine.len()));
        }
        if self.results != other.results {
            return Err("its results are other ones".into());
        }
        let constants = |program: &Self| program.constants.clone();
        if constants(self) != constants(other) {
            return Err(format!(
                "it has {} constants, and had {}",
                constants(other).len(),
                constants(self).len()
            ));
        }
        for (mine, other) in self.values[constants(self)].iter().zip(&other.values[constants(other)]) {
            let same = match (mine, other) {
                (Saved::Value(x), Saved::Value(y)) => have_same_bits(x, y),
                (Saved::Indices(x), Saved::Indices(y)) => x == y,
                (Saved::Mask(x), Saved::Mask(y)) => x == y,
                _ => false,
            };
            if !same {
                return Err(format!("a constant of shape {:?} has other numbers", other.shape()));
            }
        }
        Ok(())
    }
}

impl<T: Float> Instruction<T> {
    /// The name of the operation, or of the effect.
    pub(super) fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Nothing => "nothing",
            Kind::Fused(..) => "fused",
            Kind::Routine(..) => "routine",
            Kind::Operation(operation) | Kind::View(_, operation) => operation.name(),
            Kind::Indices(operation) => operation.name(),
            Kind::Mask(operation) => operation.name(),
            Kind::Rule(rule) => rule.operation.name(),
            Kind::Update { .. } => "update",
            Kind::Assign { .. } => "assign",
            Kind::Count { .. } => "count",
            Kind::NotNan { .. } => "assert not NaN",
        }
    }

    /// The operations that it is made of, if it is no routine.
    pub(super) fn names(&self) -> Vec<&'static str> {
        match &self.kind {
            Kind::Fused(_, names) => names.clone(),
            _ => vec![self.name()],
        }
    }

    /// The number of operations that it is made of.
    fn operations(&self) -> usize {
        match &self.kind {
            Kind::Fused(_, names) => names.len(),
            Kind::Routine(_, names) => names.iter().map(Vec::len).sum(),
            _ => 1,
        }
    }

    /// The attributes of the operation.
    fn attributes(&self) -> String {
        let text = match &self.kind {
            Kind::Operation(operation) | Kind::View(_, operation) => format!("{operation:?}"),
            Kind::Indices(operation) => format!("{operation:?}"),
            Kind::Mask(operation) => format!("{operation:?}"),
            Kind::Rule(rule) => format!("{:?} {:?}", rule.operation, rule.wanted),
            Kind::Fused(pass, _) => format!("{pass:?}"),
            Kind::Routine(routine, _) => format!("{routine:?}"),
            _ => String::new(),
        };
        if text.is_empty() { text } else { format!(" {text}") }
    }
}

/// The instructions of a routine.
fn of_routine(names: &[Vec<&'static str>]) -> Vec<String> {
    let instruction = |names: &Vec<&'static str>| match names[..] {
        [name] => name.into(),
        _ => format!("fused({})", names.join(", ")),
    };
    names.iter().map(instruction).collect()
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(member) => write!(f, "member{member}"),
            Self::Value(value) => write!(f, "%{value}"),
        }
    }
}

impl<T: Float> Display for Instruction<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, result) in self.results.iter().enumerate() {
            write!(f, "{}%{result}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(if self.results.is_empty() { "" } else { " = " })?;
        match &self.kind {
            Kind::Rule(rule) => write!(f, "gradient of {}", rule.operation.name())?,
            Kind::Update { member, .. } | Kind::Assign { member } | Kind::Count { member } => {
                write!(f, "{} member{member}", self.name())?;
            }
            Kind::Fused(_, names) => write!(f, "fused({})", names.join(", "))?,
            Kind::Routine(_, names) => write!(f, "routine({})", of_routine(names).join(", "))?,
            _ => f.write_str(self.name())?,
        }
        self.operands.iter().try_for_each(|operand| write!(f, " {operand}"))
    }
}

/// `%7, %9 = fused(sigmoid, mul) %5 %1 : [64, 10] kept [64, 10] kept`, and a last line with the sums.
impl<T: Float> Display for Plan<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, constant) in self.constants.clone().zip(&self.values[self.constants.clone()]) {
            match constant.value() {
                Some(value) if value.len() == 1 => writeln!(f, "%{i} = {}", value.item())?,
                _ => writeln!(f, "%{i} = {} : {:?}", constant.kind(), constant.shape())?,
            }
        }
        self.instructions.iter().try_for_each(|instruction| writeln!(f, "{}", self.line(instruction)))?;
        let of_operations = self.instructions.iter().map(Instruction::operations).sum::<usize>();
        let (instructions, bytes) = (self.instructions.len(), Bytes(self.bytes()));
        write!(f, "{instructions} instructions for {of_operations} operations, {bytes} of memory kept")
    }
}

impl<T: Float> Plan<T> {
    /// An instruction with the shapes of its results and the memory that they are written to.
    fn line(&self, instruction: &Instruction<T>) -> String {
        let mut line = instruction.to_string();
        if instruction.results.is_empty() {
            return line;
        }
        line += " :";
        for (i, &result) in instruction.results.iter().enumerate() {
            let memory = match instruction.memory[i] {
                Memory::New => String::new(),
                Memory::Own => " kept".into(),
                Memory::Register(register) => format!(" in buffer {register}"),
            };
            let _ = write!(line, " {:?}{memory}", self.shapes[result as usize]);
        }
        line
    }

    /// The bytes of the memory that results are written to, and of constants.
    pub fn bytes(&self) -> usize {
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        let own = self
            .instructions
            .iter()
            .flat_map(|instruction| instruction.results.iter().zip(&instruction.memory));
        let own = own
            .filter(|(_, memory)| **memory == Memory::Own)
            .map(|(&result, _)| size(&self.shapes[result as usize]));
        let constants = self.values[self.constants.clone()].iter().map(|value| size(value.shape()));
        let of_routines = self.instructions.iter().map(|instruction| match &instruction.kind {
            Kind::Routine(routine, _) => routine.memory_len(),
            _ => 0,
        });
        let own = own.chain(of_routines);
        own.chain(self.registers.sizes.iter().copied()).chain(constants).sum::<usize>() * size_of::<T>()
    }

    /// The plan as a picture in SVG: instructions from top to bottom, each below the values that it reads.
    pub fn to_svg(&self) -> String {
        let mut boxes: Vec<Drawn> = Vec::new();
        let leaf = |kind, name: String, shape: &[usize]| Drawn {
            kind,
            title: format!("{name} : {shape:?}"),
            name,
            shape: format!("{shape:?}"),
            inputs: Vec::new(),
            is_leaf: true,
        };
        let mut place_of: HashMap<Place, usize> = HashMap::new();
        for instruction in &self.instructions {
            let mut inputs = Vec::new();
            for &place in &instruction.operands {
                inputs.push(*place_of.entry(place).or_insert_with(|| {
                    boxes.push(match place {
                        Place::Member(member) => {
                            leaf("parameter", place.to_string(), &self.members[member as usize])
                        }
                        Place::Value(value) if self.constants.contains(&(value as usize)) => {
                            leaf("leaf", "constant".into(), &self.shapes[value as usize])
                        }
                        Place::Value(value) => leaf("data", "input".into(), &self.shapes[value as usize]),
                    });
                    boxes.len() - 1
                }));
            }
            place_of.extend(instruction.results.iter().map(|&result| (Place::Value(result), boxes.len())));
            let is_result =
                instruction.results.iter().any(|&result| self.results.contains(&Place::Value(result)));
            let name = match &instruction.kind {
                Kind::Fused(_, names) => names.join(" "),
                Kind::Routine(_, names) => of_routine(names).join(" "),
                _ => instruction.name().into(),
            };
            let shapes: Vec<String> = instruction
                .results
                .iter()
                .map(|&result| format!("{:?}", self.shapes[result as usize]))
                .collect();
            let kind = if is_result || instruction.results.is_empty() { "result" } else { "operation" };
            let (title, is_leaf) = (self.line(instruction), inputs.is_empty());
            boxes.push(Drawn {
                kind,
                title,
                name: shown(&name),
                shape: shown(&shapes.join(" ")),
                inputs,
                is_leaf,
            });
        }
        draw(&boxes)
    }
}

impl<T: Float> Debug for Plan<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

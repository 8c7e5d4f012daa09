//! A program as text.

use std::fmt::{self, Debug, Display, Formatter};

use gradus_tensor::Float;

use super::program::{Instruction, Kind, Place, Program, have_same_bits};
use crate::tape::node::Saved;

impl<T: Float> Program<T> {
    /// The number of instructions.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }
}

impl<T: Float> Program<T> {
    /// Whether another program is the same: equal instructions and constants.
    ///
    /// # Errors
    /// The first difference.
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

    /// The attributes of the operation.
    fn attributes(&self) -> String {
        let text = match &self.kind {
            Kind::Operation(operation) | Kind::View(_, operation) => format!("{operation:?}"),
            Kind::Indices(operation) => format!("{operation:?}"),
            Kind::Mask(operation) => format!("{operation:?}"),
            Kind::Rule(rule) => format!("{:?} {:?}", rule.operation, rule.wanted),
            Kind::Fused(pass, _) => format!("{pass:?}"),
            _ => String::new(),
        };
        let range = text.find('{').zip(text.rfind('}'));
        range.map_or(String::new(), |(start, end)| format!(" {}", &text[start..=end]))
    }
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
            _ => f.write_str(self.name())?,
        }
        self.operands.iter().try_for_each(|operand| write!(f, " {operand}"))
    }
}

impl<T: Float> Display for Program<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, constant) in self.constants.clone().zip(&self.values[self.constants.clone()]) {
            match constant.value() {
                Some(value) if value.len() == 1 => writeln!(f, "%{i} = {:?}", value.iter().next())?,
                _ => writeln!(f, "%{i} = {}{:?}", constant.kind(), constant.shape())?,
            }
        }
        self.instructions.iter().try_for_each(|instruction| writeln!(f, "{instruction}"))
    }
}

impl<T: Float> Debug for Program<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

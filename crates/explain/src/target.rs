//! The class whose output is explained.

use gradus_autograd::{Float, Tensor};

use crate::error::{ExplainError, Result};

/// The class whose output is explained: one for all rows, one for each row, or the one that the model predicts.
///
/// It is made from a number, or from a list of numbers.
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_explain::Target;
///
/// assert_eq!(Target::from(2), Target::All(2));
/// assert_eq!(Target::from([0, 1]), Target::Each(vec![0, 1]));
/// assert_eq!(Target::from(&Tensor::from([0, 1])), Target::Each(vec![0, 1]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This class, for all rows.
    All(usize),
    /// One class for each row.
    Each(Vec<i64>),
    /// For each row the class with the largest output.
    Predicted,
}

impl From<usize> for Target {
    fn from(class: usize) -> Self {
        Self::All(class)
    }
}

impl From<&[usize]> for Target {
    fn from(classes: &[usize]) -> Self {
        classes.to_vec().into()
    }
}

impl From<Vec<usize>> for Target {
    fn from(classes: Vec<usize>) -> Self {
        Self::Each(classes.into_iter().map(|class| class as i64).collect())
    }
}

impl<const N: usize> From<[usize; N]> for Target {
    fn from(classes: [usize; N]) -> Self {
        classes.to_vec().into()
    }
}

/// Labels; a negative one is no class.
impl From<&Tensor<i64>> for Target {
    fn from(labels: &Tensor<i64>) -> Self {
        Self::Each(labels.to_vec())
    }
}

impl Target {
    /// The class of each row, for outputs `[rows, classes]`.
    pub(crate) fn classes<T: Float>(&self, outputs: &Tensor<T>) -> Result<Vec<usize>> {
        let [rows, classes] = [0, 1].map(|axis| outputs.shape()[axis]);
        let each = match self {
            Self::All(class) => vec![*class as i64; rows],
            Self::Each(each) => each.clone(),
            Self::Predicted => outputs.argmax(1).to_vec(),
        };
        if each.len() != rows {
            return Err(ExplainError::Targets { given: each.len(), rows });
        }
        let class = |(row, target): (usize, i64)| match usize::try_from(target) {
            Ok(class) if class < classes => Ok(class),
            _ => Err(ExplainError::Target { row, target, classes }),
        };
        each.into_iter().enumerate().map(class).collect()
    }
}

//! Members that hold their numbers in a form of their own.

use std::fmt::Debug;

use gradus_autograd::Tensor;

use crate::state::StateTensor;

/// Numbers of a module that are saved and loaded with it, and are no tensor of its type: quantised weights, for example. Scales
/// are a `Vec<f32>`.
pub trait Packed: Debug + Send + Sync {
    /// The numbers, as a state holds them.
    fn to_state(&self) -> StateTensor;

    /// Takes over numbers of the shape and the type of [`to_state`](Self::to_state), or `i64` in place of shorter integers, which
    /// [`check`](Self::check) has found right.
    fn set_state(&mut self, numbers: &StateTensor);

    /// The fault of numbers that cannot be taken over, if there is one.
    fn check(&self, numbers: &StateTensor) -> Option<String> {
        let _ = numbers;
        None
    }
}

/// Scales, `[len]`: positive and finite.
impl Packed for Vec<f32> {
    fn to_state(&self) -> StateTensor {
        StateTensor::F32(self.iter().copied().collect())
    }
    fn set_state(&mut self, numbers: &StateTensor) {
        if let StateTensor::F32(numbers) = numbers {
            *self = numbers.to_vec();
        }
    }
    fn check(&self, numbers: &StateTensor) -> Option<String> {
        let StateTensor::F32(numbers) = numbers else { return None };
        let wrong = numbers.iter().find(|&scale| !(scale > 0.0 && scale.is_finite()))?;
        Some(format!("a scale is {wrong}: scales must be positive and finite"))
    }
}

/// Whether integers are all within bounds.
pub fn check_integers(numbers: &StateTensor, bounds: std::ops::RangeInclusive<i64>) -> Option<String> {
    let wrong = integers(numbers)?.iter().find(|x| !bounds.contains(x))?;
    Some(format!("a number is {wrong}: numbers must be from {} to {}", bounds.start(), bounds.end()))
}

/// The integers of a state, whatever their length is in a file.
pub fn integers(numbers: &StateTensor) -> Option<&Tensor<i64>> {
    match numbers {
        StateTensor::I8(numbers) | StateTensor::U8(numbers) | StateTensor::I64(numbers) => Some(numbers),
        _ => None,
    }
}

//! Integers that a layer is made with.

use gradus_autograd::Tensor;
use gradus_nn::packed::integers;
use gradus_nn::{Packed, StateTensor};

/// Integers that decide what the other numbers of a state mean: a state with other ones is refused.
#[derive(Debug, Clone)]
pub(crate) struct Fixed(pub(crate) Vec<i64>);

impl Packed for Fixed {
    fn to_state(&self) -> StateTensor {
        StateTensor::I64(Tensor::from(self.0.clone()))
    }
    fn set_state(&mut self, _: &StateTensor) {}
    fn check(&self, numbers: &StateTensor) -> Option<String> {
        let found = integers(numbers)?.to_vec();
        (found != self.0).then(|| format!("the numbers are {found:?}: this layer needs {:?}", self.0))
    }
}

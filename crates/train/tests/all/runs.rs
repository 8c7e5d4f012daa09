//! Runs that tests compare.

use gradus_autograd::{Tensor, Var, keepdim, seeded};
use gradus_nn::{AdamW, Dropout, Linear, Losses, Module, Relu, Sequential, State};

pub(crate) const ROWS: usize = 26;

/// A model with masks, an optimizer with state, and data.
pub(crate) fn start() -> (Sequential, AdamW, Tensor, Tensor) {
    let rng = &mut seeded(7);
    let model = Sequential::new()
        .push(Linear::new(3, 8, rng))
        .push(Relu)
        .push(Dropout::new(0.2, 1))
        .push(Linear::new(8, 1, rng));
    let x = Tensor::<f32>::randn([ROWS, 3], rng);
    let y = x.sum(keepdim(1)).sin();
    (model, AdamW::new(0.02), x, y)
}

/// The rows of the batches of an epoch; the last is smaller.
pub(crate) fn batches(epoch: usize) -> Vec<Tensor<i64>> {
    Tensor::randperm(ROWS, &mut seeded(epoch as u64)).split(4, 0)
}

pub(crate) fn loss(model: &Sequential, x: &Tensor, y: &Tensor, rows: &Tensor<i64>) -> (Var, usize) {
    (model.forward(x.index_select(0, rows)).mse_loss(y.index_select(0, rows)), rows.len())
}

/// Names and bits.
pub(crate) fn bits(state: &State) -> Vec<(String, Vec<u32>)> {
    let bits = |name: &str| state.tensor::<f32>(name).map(|x| x.iter().map(f32::to_bits).collect());
    state.names().filter_map(|name| Some((name.to_owned(), bits(name)?))).collect()
}

/// The bits of a model and its counters.
pub(crate) fn model_bits(model: &Sequential) -> (Vec<(String, Vec<u32>)>, State) {
    (bits(&model.state()), model.state())
}

//! A short training, with a checkpoint after each epoch, that goes on from it.

use std::path::Path;

use gradus_autograd::{Tensor, Var, seeded};
use gradus_data::{Loader, order};
use gradus_distributed::{DistributedError, Group};
use gradus_nn::{
    Adam, BatchNorm1d, Dropout, Linear, Losses, Module, Optimizer, Sequential, State, Stateful, Tanh,
};

pub(crate) const EXAMPLES: usize = 50;
/// The last batch has two examples.
pub(crate) const BATCH: usize = 8;
pub(crate) const EPOCHS: usize = 4;

/// The rows of a tensor.
pub(crate) fn rows(x: &Tensor<f64>, indices: &[usize]) -> Tensor<f64> {
    x.index_select(0, &indices.iter().map(|&i| i as i64).collect())
}

pub(crate) fn model(noisy: bool) -> Sequential<f64> {
    let rng = &mut seeded(3);
    let model = Sequential::new().push(Linear::new(6, 16, rng));
    let model = if noisy { model.push(BatchNorm1d::new(16)).push(Dropout::new(0.2, 0)) } else { model };
    model.push(Tanh).push(Linear::new(16, 2, rng))
}

/// The state of the model after all epochs, and the loss of the last one. `before` is called before each step, with its
/// number.
pub(crate) fn train(
    group: &Group,
    noisy: bool,
    checkpoint: Option<&Path>,
    before: impl Fn(usize),
) -> Result<(State, f64), DistributedError> {
    let rng = &mut seeded(0);
    let x = Tensor::<f64>::randn([EXAMPLES, 6], rng);
    let y = Tensor::stack(&[&(x.select(1, 0) * x.select(1, 1)), &x.select(1, 2).sin()], 1);
    let (mut model, mut adam) = (model(noisy), Adam::<f64>::new(0.02));
    let sharding = group.sharding(BATCH)?;
    let mut loader = Loader::new(seeded(1), |rng| sharding.of(order::shuffled(EXAMPLES, rng)));
    if let Some(state) = checkpoint.map(|path| group.load(path)).transpose()?.flatten() {
        adam.load_state(&state.part("adam."))?;
        loader.load_state(&state.part("loader."))?;
        model.load_state(&state.part("model."))?;
    }
    group.broadcast(&mut model)?;
    let mut last = f64::NAN;
    while loader.epoch() < EPOCHS {
        let (mut sum, mut steps) = (0.0, 0.0);
        while let Some(part) = loader.next() {
            before(loader.epoch() * EXAMPLES.div_ceil(BATCH) + loader.batch());
            let gradients = group.backward(&model, &part, |model, indices| {
                // Batch normalisation needs two examples at least, and parts of the last batch have one.
                let indices = [indices, indices].concat();
                model.forward(Var::constant(rows(&x, &indices))).mse_loss(rows(&y, &indices))
            })?;
            sum += gradients.loss();
            steps += 1.0;
            adam.step(&mut model, &gradients);
        }
        last = sum / steps;
        group.check_same(&model)?;
        if let Some(path) = checkpoint {
            group.save(path, || {
                let mut state = State::new();
                state.insert_part("model.", &model.state());
                state.insert_part("adam.", &Stateful::state(&adam));
                state.insert_part("loader.", &loader.state());
                state
            })?;
        }
    }
    Ok((model.state(), last))
}

/// The largest difference of two states of the same model.
pub(crate) fn distance(a: &State, b: &State) -> f64 {
    let difference = |name: &str| {
        let (a, b) = (a.tensor::<f64>(name)?, b.tensor::<f64>(name)?);
        Some((a - b).abs().max(..).item())
    };
    a.names().filter_map(difference).fold(0.0, f64::max)
}

//! Averages of the weights of a model in training.

use gradus_autograd::{Float, Tensor};

use super::fraction;
use crate::counter::Counter;
use crate::module::Module;
use crate::state;

/// An average of a model's parameters over training steps, which often predicts better than the last ones: the mean of all
/// updates ("stochastic weight averaging", Izmailov et al., "Averaging weights leads to wider optima and better
/// generalization", 2018), or an exponential moving average (Polyak and Juditsky, "Acceleration of stochastic approximation
/// by averaging", 1992, with weights that decay).
///
/// The averaged model is [`module`](Self::module), a model of its own to predict with, to save, or to
/// [copy from](Module::copy_from). It begins as a clone of the source, and the first update copies the source's parameters:
/// the initial ones do not count, so the average needs no correction of a bias, as with PyTorch's `AveragedModel`. Begin to
/// update when the model is past its first steps.
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::{AveragedModel, Linear, Losses, Module, Optimizer, Sgd};
///
/// let rng = &mut seeded(0);
/// let (x, y) = (Var::constant(Tensor::randn([8, 3], rng)), Tensor::randn([8, 1], rng));
/// let mut model = Linear::<f64>::new(3, 1, rng);
/// let (mut average, mut sgd) = (AveragedModel::ema(&model, 0.99), Sgd::new(0.1));
/// for _ in 0..10 {
///     let loss = model.forward(&x).mse_loss(&y);
///     sgd.step(&mut model, &loss.backward());
///     average.update(&model);
/// }
/// let prediction = average.module.evaluate(|model| model.forward(&x));
/// # assert_eq!((prediction.shape(), average.updates()), (&[8, 1][..], 10));
/// ```
///
/// # State
/// As a [`Module`] it has the model's members below `module`, and `n_averaged`, the number of updates: PyTorch's names. Its
/// [`state`](Module::state) is part of a checkpoint, from which the average goes on to the bit. The kind of average and the
/// decay are not in the state.
///
/// # Buffers
/// Each update copies the source's buffers and counters, as PyTorch does by default. Running statistics of batch
/// normalisation belong to the source's weights, not to the average: after training, run batches through
/// [`module`](Self::module) in training mode, which replaces them.
///
/// ```
/// use gradus_autograd::{Tensor, Var, no_grad, seeded};
/// use gradus_nn::{AveragedModel, BatchNorm1d, Linear, Module, Sequential};
///
/// let rng = &mut seeded(0);
/// let model = Sequential::<f32>::new().push(Linear::new(3, 4, rng)).push(BatchNorm1d::new(4));
/// let mut average = AveragedModel::mean(&model);
/// average.update(&model); // ... in training
///
/// let batches: Vec<Tensor> = (0..100).map(|_| Tensor::randn([8, 3], rng)).collect();
/// average.train();
/// for batch in batches {
///     no_grad(|| average.module.forward(&Var::constant(batch)));
/// }
/// average.eval();
/// ```
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct AveragedModel<M> {
    /// The averaged model.
    pub module: M,
    n_averaged: Counter,
    #[module(skip)]
    average: Average,
}

/// The kind of average.
#[derive(Debug, Clone, Copy)]
enum Average {
    Mean,
    Exponential { decay: f64 },
}

impl<M: Clone> AveragedModel<M> {
    /// The mean of all updates: after n of them, each has the weight 1 / n.
    pub fn mean(model: &M) -> Self {
        Self { module: model.clone(), n_averaged: Counter::new(0), average: Average::Mean }
    }

    /// The exponential moving average: an update makes it `decay * average + (1 - decay) * new`. It remembers about
    /// `1 / (1 - decay)` updates.
    ///
    /// # Panics
    /// If the decay is not from 0 to below 1.
    #[track_caller]
    pub fn ema(model: &M, decay: f64) -> Self {
        let average = Average::Exponential { decay: fraction("ema: the decay", decay) };
        Self { average, ..Self::mean(model) }
    }
}

impl<M> AveragedModel<M> {
    /// The number of updates.
    pub fn updates(&self) -> i64 {
        self.n_averaged.get()
    }

    /// Averages the parameters of the model in, and copies its buffers and counters.
    ///
    /// # Panics
    /// If the model's architecture is another one; the message lists all differences, and the average is as it was.
    #[track_caller]
    pub fn update<T: Float>(&mut self, model: &M)
    where
        M: Module<T>,
    {
        // A state from elsewhere may have any number.
        let updates = self.updates().max(0);
        let share = match self.average {
            _ if updates == 0 => 1.0,
            Average::Mean => 1.0 / (updates as f64 + 1.0),
            Average::Exponential { decay } => 1.0 - decay,
        };
        state::copy("update", &mut self.module, model, |average, new| mix(average, new, share));
        self.n_averaged.set(updates.saturating_add(1));
    }
}

/// Moves the average by a share of the way to new numbers.
fn mix<T: Float>(average: &mut Tensor<T>, new: &Tensor<T>, share: f64) {
    if share == 1.0 {
        return state::replace(average, new);
    }
    let share = T::from_f64(share);
    average.zip_inplace(
        new,
        #[inline(always)]
        move |average, new| average + share * (new - average),
    );
}

//! Gradients of a batch that does not fit into memory at once.

use gradus_autograd::{Float, Gradients};

/// The mean of gradients by number of samples: of the mean losses of micro-batches, it is the gradient of the mean loss of the
/// whole batch, up to rounding.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::{Linear, Losses, Optimizer, Sgd, Tensor, seeded};
/// use gradus::train::MeanGradients;
///
/// let rng = &mut seeded(0);
/// let (x, y) = (Tensor::<f32>::randn([10, 3], rng), Tensor::randn([10, 1], rng));
/// let (mut model, mut sgd) = (Linear::new(3, 1, rng), Sgd::new(0.1));
/// let mut mean = MeanGradients::new();
/// for (x, y) in x.split(4, 0).iter().zip(y.split(4, 0)) {
///     mean.add(model.forward(x).mse_loss(y).backward(), x.shape()[0]);
/// }
/// let gradients = mean.take().expect("there are batches");
/// assert!((gradients.loss() - model.forward(&x).mse_loss(&y).item()).abs() < 1e-6);
/// sgd.step(&mut model, &gradients);
/// ```
#[derive(Debug)]
pub struct MeanGradients<T: Float = f32> {
    mean: Option<Gradients<T>>,
    samples: usize,
}

impl<T: Float> Default for MeanGradients<T> {
    fn default() -> Self {
        Self { mean: None, samples: 0 }
    }
}

impl<T: Float> MeanGradients<T> {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the gradients of the mean loss of a number of samples. The first ones stay as they are, to the bit.
    ///
    /// # Panics
    /// If the number is 0.
    #[track_caller]
    pub fn add(&mut self, mut gradients: Gradients<T>, samples: usize) {
        assert!(samples > 0, "MeanGradients: the number of samples is 0: it must be 1 or larger");
        let all = self.samples + samples;
        self.mean = Some(match self.mean.take() {
            None => gradients,
            Some(mut mean) => {
                mean.scale(self.samples as f64 / all as f64);
                gradients.scale(samples as f64 / all as f64);
                mean.accumulate(gradients);
                mean
            }
        });
        self.samples = all;
    }

    /// The number of samples so far.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The mean, and nothing is left; `None` of nothing.
    pub fn take(&mut self) -> Option<Gradients<T>> {
        std::mem::take(self).mean
    }
}

//! Adapters of low rank beside frozen layers.

use gradus_autograd::{AsVar, Float, Tensor, Var};
use gradus_nn::{Buffer, Layer, Linear, Module, Parameter, init};
use rand::Rng;

use crate::error::CompressError;

/// A frozen dense layer and a trained change of low rank beside it (Hu et al., "`LoRA`: low-rank adaptation of large language
/// models", 2021): `x W^T + b + alpha / rank (x A^T) B^T`.
///
/// B begins with zeros, so the outputs begin as those of the layer. After training, [`merge`](Self::merge) gives a plain
/// layer with the same outputs.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_compress::Lora;
/// use gradus_nn::{AdamW, Linear, Losses, Module, Optimizer};
///
/// let rng = &mut seeded(0);
/// let layer = Linear::<f64>::new(16, 16, rng);
/// let mut adapted = Lora::new(layer, 2, 4.0, rng)?;
/// assert_eq!((adapted.parameter_count(), adapted.trainable_parameter_count()), (16 * 17 + 64, 64));
/// let (x, target) = (Tensor::randn([8, 16], rng), Tensor::randn([8, 16], rng));
/// let (before, mut adam) = (adapted.forward(&x).mse_loss(&target).item(), AdamW::new(0.1));
/// for _ in 0..50 {
///     let gradients = adapted.forward(&x).mse_loss(&target).backward();
///     adam.step(&mut adapted, &gradients);
/// }
/// assert!(adapted.forward(&x).mse_loss(&target).item() < 0.8 * before);
/// let merged = adapted.merge();
/// assert!((merged.forward(&x) - adapted.forward(&x)).abs().max(..).item() < 1e-13);
/// # Ok::<(), gradus_compress::CompressError>(())
/// ```
#[derive(Debug, Clone, gradus_nn::Module)]
pub struct Lora<T: Float = f32> {
    /// The frozen layer.
    pub base: Linear<T>,
    /// `[rank, inputs]`.
    pub a: Parameter<T>,
    /// `[outputs, rank]`.
    pub b: Parameter<T>,
    /// The factor of the change, `alpha / rank`, which is saved with the weights.
    pub scale: Buffer<T>,
}

impl<T: Float> Lora<T> {
    /// An adapter of a rank beside a layer, which it freezes. A is drawn as the weight of a [`Linear`].
    ///
    /// # Errors
    /// If the rank is 0 or larger than the number of inputs or outputs, or `alpha` is not finite.
    pub fn new(
        mut base: Linear<T>,
        rank: usize,
        alpha: f64,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<Self, CompressError> {
        let [outputs, inputs] = [base.weight.shape()[0], base.weight.shape()[1]];
        if rank == 0 || rank > inputs.min(outputs) {
            let expected = format!("from 1 to {} for a weight {:?}", inputs.min(outputs), [outputs, inputs]);
            return Err(CompressError::argument("Lora::new", "rank", rank, expected));
        }
        if !alpha.is_finite() {
            return Err(CompressError::argument("Lora::new", "alpha", alpha, "finite"));
        }
        base.freeze(|_| true);
        let bound = 1.0 / (inputs as f64).sqrt();
        Ok(Self {
            base,
            a: Parameter::new(init::uniform([rank, inputs], -bound, bound, rng)),
            b: Parameter::new(Tensor::zeros([outputs, rank])),
            scale: Buffer::new(Tensor::scalar(T::from_f64(alpha / rank as f64))),
        })
    }

    /// `[..., inputs]` to `[..., outputs]`.
    ///
    /// # Panics
    /// As [`Linear::forward`].
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        let x = &*x.as_var();
        self.base.forward(x) + x.linear(&self.a, None).linear(&self.b, None) * self.scale.var()
    }

    /// A plain layer with the same outputs up to rounding, `W + alpha / rank B A`; its parameters can be trained.
    pub fn merge(&self) -> Linear<T> {
        let change = self.b.value().matmul(self.a.value()) * self.scale.value();
        let mut merged = self.base.clone();
        merged.weight.update(|weight| *weight += change);
        merged.unfreeze(|_| true);
        merged
    }
}

impl<T: Float> Layer<T> for Lora<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}

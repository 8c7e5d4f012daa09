//! Layers in two steps of low rank.

use gradus_autograd::{AsVar, Conv, Float, Tensor, Var};
use gradus_nn::{Conv2d, Layer, Linear, Parameter};

use crate::error::CompressError;

/// The factors `[rows, rank]` and `[rank, columns]` of the matrix of this rank that is nearest to another one in the
/// Frobenius norm (Eckart and Young, 1936), and the distance as a part of the norm of the matrix.
fn factors<T: Float>(
    operation: &'static str,
    matrix: &Tensor<T>,
    rank: usize,
) -> Result<([Tensor<T>; 2], f64), CompressError> {
    let most = matrix.shape()[0].min(matrix.shape()[1]);
    if rank == 0 || rank > most {
        let expected = format!("from 1 to {most} for a weight {:?}", matrix.shape());
        return Err(CompressError::argument(operation, "rank", rank, expected));
    }
    let [u, s, vh] = matrix.svd()?;
    let root = s.slice(0, ..rank).sqrt();
    let left = u.slice(1, ..rank) * &root;
    let right = vh.slice(0, ..rank) * root.unsqueeze(1);
    Ok(([left, right], left_out(&s, rank)))
}

/// The part of the norm that singular values behind the first ones have.
fn left_out<T: Float>(s: &Tensor<T>, rank: usize) -> f64 {
    let norm = s.norm(2.0, ..).item().to_f64();
    if norm == 0.0 { 0.0 } else { s.slice(0, rank..).norm(2.0, ..).item().to_f64() / norm }
}

/// The smallest rank at which a weight, with all axes but the first made one, keeps all but a part of its norm:
/// `|W - W_rank| <= error |W|`.
///
/// # Errors
/// If the error is not from 0 to 1, the weight has one axis only, or it holds NaN or infinity.
pub fn rank_for<T: Float>(weight: &Tensor<T>, error: f64) -> Result<usize, CompressError> {
    if !(0.0..=1.0).contains(&error) {
        return Err(CompressError::argument("rank_for", "error", error, "from 0 to 1"));
    }
    if weight.rank() < 2 {
        let shape = format!("of shape {:?}", weight.shape());
        return Err(CompressError::argument("rank_for", "weight", shape, "of two axes at least"));
    }
    let s = weight.flatten(1..).svdvals()?;
    Ok((1..s.len()).find(|&rank| left_out(&s, rank) <= error).unwrap_or(s.len().max(1)))
}

/// A dense layer in two steps: `[..., inputs]` to `[..., rank]` to `[..., outputs]`. It has `rank (inputs + outputs)`
/// weights (Denil et al., "Predicting parameters in deep learning", 2013).
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_compress::LowRankLinear;
/// use gradus_nn::{Linear, Module};
///
/// let rng = &mut seeded(0);
/// let layer = Linear::<f64>::new(30, 20, rng);
/// let small = LowRankLinear::new(&layer, 5)?;
/// assert_eq!(small.parameter_count(), 5 * (30 + 20) + 20);
/// // The bound on the error of the weight bounds the error of the outputs.
/// let x = Tensor::randn([30], rng);
/// let error = (small.forward(&x) - layer.forward(&x)).norm(2.0, ..).item();
/// assert!(error <= small.error * (layer.weight.norm(2.0, ..).item() * x.norm(2.0, ..).item()));
/// # Ok::<(), gradus_compress::CompressError>(())
/// ```
#[derive(Debug, Clone, gradus_nn::Module)]
pub struct LowRankLinear<T: Float = f32> {
    /// The first step, without a bias.
    pub first: Linear<T>,
    /// The second step, with the bias of the layer.
    pub second: Linear<T>,
    /// The distance of the product of both weights from the weight of the layer that it was made from, as a part of its
    /// norm. Outputs differ by no more than this times `|W| |x|`. Training and loading do not change it.
    #[module(skip)]
    pub error: f64,
}

impl<T: Float> LowRankLinear<T> {
    /// The layer of a rank that is nearest to another layer.
    ///
    /// # Errors
    /// If the rank is 0 or larger than the number of inputs or outputs, or the weight holds NaN or infinity.
    pub fn new(layer: &Linear<T>, rank: usize) -> Result<Self, CompressError> {
        let ([left, right], error) = factors("LowRankLinear::new", layer.weight.value(), rank)?;
        let dense = |weight: Tensor<T>, bias| {
            // As dense layers have it, for fast products.
            Linear { weight: Parameter::new(weight.t().contiguous().t()), bias }
        };
        Ok(Self { first: dense(right, None), second: dense(left, layer.bias.clone()), error })
    }

    /// `[..., inputs]` to `[..., outputs]`.
    ///
    /// # Panics
    /// As [`Linear::forward`].
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        self.second.forward(self.first.forward(x))
    }
}

impl<T: Float> Layer<T> for LowRankLinear<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}

/// A convolution of images in two steps: the old kernels to `rank` channels, and a 1 x 1 convolution from these to the
/// outputs (Zhang et al., "Accelerating very deep convolutional networks", 2015).
///
/// ```
/// use gradus_autograd::{Conv, Tensor, seeded};
/// use gradus_compress::LowRankConv2d;
/// use gradus_nn::{Conv2d, Module};
///
/// let layer = Conv2d::<f64>::new(4, 16, 3, Conv::new().padding(1), &mut seeded(0));
/// let small = LowRankConv2d::new(&layer, 16)?;
/// let x = Tensor::rand([1, 4, 5, 5], &mut seeded(1));
/// assert!((small.forward(&x) - layer.forward(&x)).abs().max(..).item() < 1e-13);
/// assert_eq!(LowRankConv2d::new(&layer, 2)?.parameter_count(), 2 * (4 * 9 + 16) + 16);
/// # Ok::<(), gradus_compress::CompressError>(())
/// ```
#[derive(Debug, Clone, gradus_nn::Module)]
pub struct LowRankConv2d<T: Float = f32> {
    /// The first step, with the stride and padding of the layer and without a bias.
    pub first: Conv2d<T>,
    /// The second step, 1 x 1, with the bias of the layer.
    pub second: Conv2d<T>,
    /// The distance of the product of both weights from the weight of the layer that it was made from, as a part of its
    /// norm. Training and loading do not change it.
    #[module(skip)]
    pub error: f64,
}

impl<T: Float> LowRankConv2d<T> {
    /// The layer of a rank that is nearest to another layer.
    ///
    /// # Errors
    /// If the rank is 0 or larger than the number of outputs or of the weights of one, the convolution has groups, or
    /// the weight holds NaN or infinity.
    pub fn new(layer: &Conv2d<T>, rank: usize) -> Result<Self, CompressError> {
        let operation = "LowRankConv2d::new";
        if layer.conv.group_count() != 1 {
            let fault = format!("the convolution has {} groups: it must have one", layer.conv.group_count());
            return Err(CompressError::Layer { operation, fault });
        }
        let shape = layer.weight.shape();
        let ([left, right], error) = factors(operation, &layer.weight.value().flatten(1..), rank)?;
        let kernels = right.reshape([rank, shape[1], shape[2], shape[3]]);
        let mixing = left.reshape([shape[0], rank, 1, 1]);
        Ok(Self {
            first: Conv2d { weight: Parameter::new(kernels), bias: None, conv: layer.conv.clone() },
            second: Conv2d { weight: Parameter::new(mixing), bias: layer.bias.clone(), conv: Conv::new() },
            error,
        })
    }

    /// Images `[batch (optional), channels, height, width]`, as the layer takes and gives them.
    ///
    /// # Panics
    /// As [`Conv2d::forward`].
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        self.second.forward(self.first.forward(x))
    }
}

impl<T: Float> Layer<T> for LowRankConv2d<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}

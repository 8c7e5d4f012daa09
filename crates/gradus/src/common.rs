//! The generic code that most programs use, compiled in this crate, for `f32`.
//!
//! A generic function is compiled in each crate that calls it, but for functions that are `#[inline(never)]`: these are taken
//! from a crate below that has called them with the same types. [`apply`](crate::apply), which leads to all code of an
//! operation, is one of them, and so are the walk of a backward pass and the steps of optimizers. What is called here is
//! therefore not compiled again with each change of a user's program.

use gradus_nn::*;

use crate::{Conv, Pool, Tape, Tensor, Var, Xoshiro256PlusPlus};

/// Never called.
#[doc(hidden)]
pub fn common(x: &Var, tensor: &Tensor, labels: &Tensor<i64>, rng: &mut Xoshiro256PlusPlus) -> Vec<Var> {
    let arithmetic = [x + x, x - x, x * x, x / x, -x, x + 1.0, x - 1.0, x * 2.0, x / 2.0, x + tensor, x - tensor, x * tensor];
    let functions = [x.relu(), x.tanh(), x.sigmoid(), x.gelu(), x.exp(), x.log(), x.sqrt(), x.square(), x.abs(), x.sin(), x.cos(), x.pow(2.0)];
    let reductions = [x.sum(..), x.mean(..), x.max(..), x.softmax(-1), x.log_softmax(-1), x.logsumexp(..)];
    let shapes = [x.reshape((2, 2)), x.flatten(1..), x.t(), x.permute(&[0, 1]), x.unsqueeze(0), x.squeeze(0), x.select(0, 0), x.slice(0, 1..)];
    let products = [x.matmul(x), x.max_pool2d(2), x.avg_pool2d(2)];
    let losses = [x.mse_loss(x), x.mse_loss(tensor), x.cross_entropy(labels), x.binary_cross_entropy_with_logits(tensor)];
    let layers = [
        Linear::new(1, 1, rng).forward(x),
        Conv2d::new(1, 1, 1, Conv::new(), rng).forward(x),
        BatchNorm2d::new(1).forward(x),
        LayerNorm::new([1]).forward(x),
        Dropout::new(0.5, 0).forward(x),
        Embedding::new(1, 1, rng).forward(labels),
    ];
    let mut model: Sequential = Sequential::new();
    let gradients = x.clone().backward();
    Sgd::new(0.1).step(&mut model, &gradients);
    Adam::new(0.1).step(&mut model, &gradients);
    AdamW::new(0.1).step(&mut model, &gradients);
    let _ = (Tape::of(x).to_string(), Pool::new(1));
    [arithmetic.to_vec(), functions.to_vec(), reductions.to_vec(), shapes.to_vec(), products.to_vec(), losses.to_vec(), layers.to_vec()].concat()
}

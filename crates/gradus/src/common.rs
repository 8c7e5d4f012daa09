//! The generic code that most programs use, compiled in this crate, for `f32`.
//!
//! A generic function is compiled in each crate that calls it. One that is `#[inline(never)]` is not, where a crate below has
//! called it with the same types: so [`apply`](crate::apply), which leads to all code of an operation, the walk of a
//! backward pass and the steps of optimizers are never inlined. Whatever is called here, a user's program does not compile
//! again with each of its changes. A line costs a tenth of a second or so when the library is built.

use gradus_nn::{
    Adam, AdamW, BatchNorm1d, Conv2d, Dropout, LayerNorm, Linear, Losses, Optimizer, Sequential, Sgd,
};

use crate::{Conv, Tape, Tensor, Var, Xoshiro256PlusPlus};

/// Never called; public, so that it is compiled.
pub fn common(
    x: &Var,
    y: &Var,
    tensor: &Tensor,
    labels: &Tensor<i64>,
    rng: &mut Xoshiro256PlusPlus,
) -> Vec<Var> {
    let values = vec![
        // Arithmetic, also with constants.
        x + y,
        x - y,
        x * y,
        x / y,
        -x,
        x + tensor,
        x - tensor,
        x * tensor,
        // Functions, reductions, shapes and products.
        x.relu(),
        x.tanh(),
        x.sigmoid(),
        x.gelu(),
        x.exp(),
        x.log(),
        x.square(),
        x.sum(..),
        x.mean(..),
        x.softmax(-1),
        x.log_softmax(-1),
        x.reshape([1]),
        x.t(),
        x.select(0, 0),
        x.matmul(y),
        x.max_pool2d(2),
        // Losses and layers.
        x.mse_loss(tensor),
        x.cross_entropy(labels),
        Linear::new(1, 1, rng).forward(x),
        Conv2d::new(1, 1, 1, Conv::new(), rng).forward(x),
        BatchNorm1d::new(1).forward(x),
        LayerNorm::new([1]).forward(x),
        Dropout::new(0.5, 0).forward(x),
    ];
    println!("{}", Tape::of(x));
    let (mut model, gradients) = (Sequential::new(), x.clone().backward());
    Sgd::new(0.1).step(&mut model, &gradients);
    Adam::new(0.1).step(&mut model, &gradients);
    AdamW::new(0.1).step(&mut model, &gradients);
    values
}

/// As [`common`], of data sets.
///
/// # Errors
/// As it is never called, never.
#[cfg(feature = "data")]
pub fn common_data(
    x: &Tensor,
    labels: &Tensor<i64>,
) -> Result<[(Tensor, Tensor<i64>); 2], crate::data::read::ReadError> {
    use crate::data::{Dataset, read::idx};

    Ok([(x.batch(&[]), labels.batch(&[])), (idx::from_bytes(&[])?, idx::from_bytes(&[])?)])
}

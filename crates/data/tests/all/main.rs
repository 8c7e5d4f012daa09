//! The tests of data sets, batches, loaders, orders, scalers, sequences, changes of images and readers.

#[path = "../../../tensor/tests/all/caught.rs"]
mod caught;

mod augment;
mod batches;
mod impute;
mod loader;
mod messages;
mod order;
mod prefetch;
mod read;
mod scale;
mod sequences;

use gradus_autograd::Tensor;

/// Features `[n, 3]`, of which each row tells its number, and the numbers.
fn numbered(samples: usize) -> (Tensor<f32>, Tensor<i64>) {
    let numbers = Tensor::from(0..samples as i64);
    let x = numbers.cast::<f32>().unsqueeze(1) + Tensor::from([0.0, 0.25, 0.5]);
    (x, numbers)
}

/// The numbers from 0 on, in this order?
fn is_permutation(mut indices: Vec<usize>, count: usize) -> bool {
    indices.sort_unstable();
    indices.into_iter().eq(0..count)
}

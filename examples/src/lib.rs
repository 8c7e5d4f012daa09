//! What the examples share: data, a chart, a progress bar.

pub mod chart;
pub mod digits;
mod progress;

use gradus::{Tensor, Xoshiro256PlusPlus};

pub use progress::Progress;

/// The numbers from 0 to `count - 1` in random order.
pub fn shuffled(count: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<i64> {
    let keys = Tensor::<f64>::rand([count], rng).to_vec();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&i, &j| keys[i].total_cmp(&keys[j]));
    order.into_iter().map(|i| i as i64).collect()
}

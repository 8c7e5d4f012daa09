//! Reductions: every output element is a function of one contiguous lane.
//!
//! Operands whose reduced axes do not lie together are copied first. The order of a summation therefore
//! depends on the shape alone: no layout and no number of threads changes a bit of the result.

use crate::dims::Shape;
use crate::element::{Element, Number};
use crate::tensor::Tensor;

/// The results of `kernel` on the elements along `axes` (rising, from the front), in row-major order of
/// the other axes.
pub(crate) fn reduce_lanes<T: Element, U>(
    x: &Tensor<T>,
    axes: &[usize],
    kernel: impl Fn(&[T]) -> U,
) -> Vec<U> {
    let kept = (0..x.rank()).filter(|axis| !axes.contains(axis));
    let order: Shape = kept.chain(axes.iter().copied()).collect();
    let lane: usize = axes.iter().map(|&axis| x.shape()[axis]).product();
    let outputs: usize = order[..x.rank() - axes.len()].iter().map(|&axis| x.shape()[axis]).product();
    let lanes = x.with_layout(x.layout().permute(&order)).contiguous();
    let data = lanes.as_slice().expect("just made contiguous");
    (0..outputs).map(|i| kernel(&data[i * lane..(i + 1) * lane])).collect()
}

/// The sum by halves, whose rounding error grows with the logarithm of the length
/// (Higham, "The accuracy of floating point summation", 1993).
pub(crate) fn pairwise_sum<T: Number>(lane: &[T]) -> T {
    const BLOCK: usize = 128;
    const WIDTH: usize = 8;
    if lane.len() > BLOCK {
        // Blocks stay whole, so that only the last one is ragged.
        let (left, right) = lane.split_at((lane.len() / 2).next_multiple_of(BLOCK));
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let mut sums = [T::ZERO; WIDTH];
    let chunks = lane.chunks_exact(WIDTH);
    let tail = chunks.remainder().iter().fold(T::ZERO, |sum, &x| sum + x);
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += x;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    (((a + e) + (b + f)) + ((c + g) + (d + h))) + tail
}

//! The largest of windows of two by two that cover an image side by side: by far the most frequent pooling.
//!
//! Pairs along a row first, which lie side by side through the whole image, then pairs of rows.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use crate::element::Float;
use crate::kernels::parts::fill;
use crate::kernels::pool::{part, wins};
use crate::kernels::reduce::write_all;
use crate::runtime::Buffer;

/// Writes the larger one of each pair of neighbours; NaN if one is.
#[inline(always)]
fn larger_of_pairs<T: Float>(x: &[T], larger: &mut [T]) {
    for (larger, pair) in larger.iter_mut().zip(x.chunks_exact(2)) {
        *larger = if wins(pair[1], pair[0]) { pair[1] } else { pair[0] };
    }
}

/// The largest element of each window, NaN if one is.
pub(crate) fn max_pool<T: Float>(x: &[T], [height, width]: [usize; 2]) -> Buffer<T> {
    let (image, row) = (height * width, width / 2);
    // SAFETY: every row of every image of the part is written.
    unsafe {
        fill(
            x.len() / 4,
            part(x.len() / 4, image / 4, image),
            #[inline(always)]
            |start, out| {
                let mut buffer = Buffer::filled(image / 2, T::ZERO);
                let larger = buffer.get_mut().expect("nobody else has it");
                let images = x[4 * start..].chunks_exact(image);
                for (x, out) in images.zip(out.chunks_exact_mut(image / 4)) {
                    larger_of_pairs(x, larger);
                    for (rows, out) in larger.chunks_exact(2 * row).zip(out.chunks_exact_mut(row)) {
                        let (upper, lower) = rows.split_at(row);
                        let pairs = upper.iter().zip(lower);
                        write_all(out, pairs.map(|(&x, &y)| if wins(y, x) { y } else { x }));
                    }
                }
            },
        )
    }
}

/// The gradient of [`max_pool`] for its input, where `g` is that for the result.
pub(crate) fn max_pool_gradient<T: Float>(x: &[T], g: &[T], [height, width]: [usize; 2]) -> Buffer<T> {
    let (image, row) = (height * width, width / 2);
    // SAFETY: both elements of every pair of every image of the part are written.
    unsafe {
        fill(
            x.len(),
            part(x.len(), image, image),
            #[inline(always)]
            |start, out| {
                let mut buffers = [Buffer::filled(image / 2, T::ZERO), Buffer::filled(image / 2, T::ZERO)];
                let [larger, of_pairs] =
                    buffers.each_mut().map(|buffer| buffer.get_mut().expect("nobody else has it"));
                let images = x[start..].chunks_exact(image).zip(g[start / 4..].chunks_exact(image / 4));
                for ((x, g), out) in images.zip(out.chunks_exact_mut(image)) {
                    larger_of_pairs(x, larger);
                    let rows = larger.chunks_exact(2 * row).zip(of_pairs.chunks_exact_mut(2 * row));
                    for ((rows, of_pairs), g) in rows.zip(g.chunks_exact(row)) {
                        let (upper, lower) = rows.split_at(row);
                        let (of_upper, of_lower) = of_pairs.split_at_mut(row);
                        for (of_pair, ((&x, &y), &g)) in
                            of_upper.iter_mut().zip(upper.iter().zip(lower).zip(g))
                        {
                            *of_pair = if wins(y, x) { T::ZERO } else { g };
                        }
                        for (of_pair, ((&x, &y), &g)) in
                            of_lower.iter_mut().zip(upper.iter().zip(lower).zip(g))
                        {
                            *of_pair = if wins(y, x) { g } else { T::ZERO };
                        }
                    }
                    for ((out, pair), &of_pair) in
                        out.chunks_exact_mut(2).zip(x.chunks_exact(2)).zip(&*of_pairs)
                    {
                        let second = wins(pair[1], pair[0]);
                        out[0].write(if second { T::ZERO } else { of_pair });
                        out[1].write(if second { of_pair } else { T::ZERO });
                    }
                }
            },
        )
    }
}

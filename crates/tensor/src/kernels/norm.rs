//! Normalisation of rows, and its gradients.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::mem::MaybeUninit;

use crate::element::Float;
use crate::kernels::parts::{PART, SHARED};
use crate::kernels::reduce::write_all;
use crate::kernels::softmax::for_each_row;
use crate::runtime::Buffer;
use crate::runtime::dispatch;
use crate::runtime::for_each_piece_with;

/// How a row is normalised: `(x - mean) * scale`, and its gradient is divided by `unit`.
#[derive(Clone, Copy)]
struct Statistics<T> {
    /// 0 if the row is not to be centred.
    mean: T,
    scale: T,
    /// The divisor of the elements, a power of two; usually 1.
    unit: T,
}

/// Elements of a row and its statistics: the row itself, or, where its squares are out of range or its mean has not
/// enough digits, one with the same result, which is made in `spare`.
#[inline(always)]
fn prepared<'a, T: Float>(
    x: &'a [T],
    centred: bool,
    [count, eps]: [T; 2],
    spare: &'a mut Option<Buffer<T>>,
) -> (&'a [T], Statistics<T>) {
    let mean = if centred { T::sum_row(x) / count } else { T::ZERO };
    let variance = T::sum_row_squares(x, mean) / count + eps;
    // Rounding the mean costs digits of the result only if the mean is much larger than what remains.
    let far = T::from_f64(1024.0) * variance < mean * mean;
    if far || !variance.is_finite() || variance < T::MIN_POSITIVE / T::EPSILON {
        return moved_into_range(x, centred, [count, eps], spare);
    }
    (x, Statistics { mean, scale: variance.rsqrt(), unit: T::ONE })
}

/// The row divided by a power of two near its largest magnitude, and then centred twice: what rounding left of the mean
/// is taken off too, as in the corrected two-pass algorithm (Chan, Golub and LeVeque, "Algorithms for computing the
/// sample variance", 1983).
#[cold]
#[inline(never)]
fn moved_into_range<'a, T: Float>(
    x: &[T],
    centred: bool,
    [count, eps]: [T; 2],
    spare: &'a mut Option<Buffer<T>>,
) -> (&'a [T], Statistics<T>) {
    // Not smaller than the root of `eps`, which is divided by the square.
    let largest = x.iter().fold(eps.sqrt(), |largest, &x| if x.abs() <= largest { largest } else { x.abs() });
    let unit = largest.power_of_two();
    let row =
        spare.get_or_insert_with(|| Buffer::filled(x.len(), T::ZERO)).get_mut().expect("nobody else has it");
    for (to, &x) in row.iter_mut().zip(x) {
        *to = x / unit;
    }
    for _ in 0..if centred { 2 } else { 0 } {
        let mean = T::sum_row(row) / count;
        for x in &mut *row {
            *x -= mean;
        }
    }
    let variance = T::sum_row_squares(row, T::ZERO) / count + eps / unit / unit;
    (row, Statistics { mean: T::ZERO, scale: variance.rsqrt(), unit })
}

/// Each row of `length` elements less its mean (if it is to be `centred`) and divided by the square root of the
/// mean of the squares plus `eps`, then times `weight` and plus `bias`, which are as long as a row.
pub(crate) fn normalize_rows<T: Float>(
    x: &[T],
    length: usize,
    weight: Option<&[T]>,
    bias: Option<&[T]>,
    eps: f64,
    centred: bool,
) -> Buffer<T> {
    let (count, eps) = (T::from_f64(length as f64), T::from_f64(eps));
    // SAFETY: `write_all` writes all.
    unsafe {
        for_each_row(
            x,
            length,
            #[inline(always)]
            |_, x, out| {
                let mut spare = None;
                let (x, Statistics { mean, scale, .. }) = prepared(x, centred, [count, eps], &mut spare);
                let normal = x.iter().map(|&x| (x - mean) * scale);
                match (weight, bias) {
                    (None, None) => write_all(out, normal),
                    (Some(w), None) => write_all(out, normal.zip(w).map(|(x, &w)| x * w)),
                    (None, Some(b)) => write_all(out, normal.zip(b).map(|(x, &b)| x + b)),
                    (Some(w), Some(b)) => write_all(out, normal.zip(w).zip(b).map(|((x, &w), &b)| x * w + b)),
                };
            },
        )
    }
}

/// The gradients of some rows: written to `dx`, and their sum for the weight to `dw`.
#[inline(always)]
fn gradient_of_rows<T: Float>(
    [x, g]: [&[T]; 2],
    centred: bool,
    weight: Option<&[T]>,
    [count, eps]: [T; 2],
    dx: &mut [MaybeUninit<T>],
    dw: &mut [MaybeUninit<T>],
) {
    let length = dw.len();
    let dw = write_all(dw, std::iter::repeat_n(T::ZERO, length));
    let mut buffer = Buffer::filled(2 * length, T::ZERO);
    let (along, block) = buffer.get_mut().expect("nobody else has it").split_at_mut(length);
    let inputs = x.chunks_exact(length).zip(g.chunks_exact(length));
    let mut spare = None;
    for (row, (dx, (x, g))) in dx.chunks_exact_mut(length).zip(inputs).enumerate() {
        let (x, Statistics { mean, scale, unit }) = prepared(x, centred, [count, eps], &mut spare);
        // A row without influence has no gradient, even if it holds NaN, or infinities, whose scale is 0.
        let ordinary = scale.is_finite() && scale > T::ZERO;
        if !ordinary && g.iter().all(|&g| g == T::ZERO) {
            write_all(dx, std::iter::repeat_n(T::ZERO, length));
            continue;
        }
        for ((along, &x), &g) in along.iter_mut().zip(x).zip(g) {
            *along = (x - mean) * scale * g;
        }
        if row % BLOCK == 0 {
            add(dw, block);
            block.fill(T::ZERO);
        }
        add(block, along);
        let dx = match weight {
            None => write_all(dx, g.iter().copied()),
            Some(weight) => {
                for (along, &w) in along.iter_mut().zip(weight) {
                    *along *= w;
                }
                write_all(dx, g.iter().zip(weight).map(|(&g, &w)| g * w))
            }
        };
        // What shifts or stretches a whole row does not change its result.
        let stretch = T::sum_row(along) / count * scale;
        let shift = if centred { T::sum_row(dx) / count } else { T::ZERO };
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = (*dx - shift - (x - mean) * stretch) * scale;
        }
        if unit != T::ONE {
            for dx in dx {
                *dx /= unit;
            }
        }
    }
    add(dw, block);
}

/// The rows whose gradients for the weight are added up before they join the others: long sums lose fewer digits.
const BLOCK: usize = 64;

#[inline(always)]
fn add<T: Float>(sums: &mut [T], others: &[T]) {
    for (sum, &x) in sums.iter_mut().zip(others) {
        *sum += x;
    }
}

/// The gradients of [`normalize_rows`] from the gradient of its result: with respect to `x`, and to the weight, the latter as
/// rows that are still to be added up, and how many there are of them.
pub(crate) fn normalize_rows_gradient<T: Float>(
    x: &[T],
    g: &[T],
    length: usize,
    weight: Option<&[T]>,
    eps: f64,
    centred: bool,
) -> (Buffer<T>, Buffer<T>, usize) {
    let (count, eps) = (T::from_f64(length as f64), T::from_f64(eps));
    let shared = x.len() >= SHARED;
    let rows = x.len() / length.max(1);
    let part = if shared { (PART / length).max(1) } else { rows };
    let pieces = rows.div_ceil(part.max(1));
    let from = |piece: usize| [x, g].map(|operand| &operand[piece * part * length..]);
    let mut partial = None;
    // SAFETY: pieces are whole rows of `dx`, each of which is written, and a row of `dw`, which is too.
    let gradient = unsafe {
        Buffer::build(x.len(), |dx| {
            partial = Some(Buffer::build(pieces * length, |dw| {
                for_each_piece_with(
                    pieces,
                    shared,
                    [(dx, part * length), (dw, length)],
                    |number, [dx, dw]| {
                        dispatch(
                            #[inline(always)]
                            || {
                                gradient_of_rows(from(number), centred, weight, [count, eps], dx, dw);
                            },
                        );
                    },
                );
            }));
        })
    };
    (gradient, partial.expect("made together"), pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the definition in f64, with and without weight and bias.
        #[test]
        fn layer_norm_is_its_definition(
            (length, x, scale) in (1..300_usize, 0..5_usize).prop_flat_map(|(length, rows)| {
                let values = |count| prop::collection::vec(-10.0..10.0_f32, count);
                (Just(length), values(rows * length), values(2 * length))
            }),
            given in any::<[bool; 2]>(),
        ) {
            let (weight, bias) = scale.split_at(length);
            let got = normalize_rows(&x, length, given[0].then_some(weight), given[1].then_some(bias), 1e-5, true);
            prop_assert_eq!(got.as_slice().len(), x.len());
            for (x, got) in x.chunks(length).zip(got.as_slice().chunks(length)) {
                let wide: Vec<f64> = x.iter().copied().map(f64::from).collect();
                let mean = wide.iter().sum::<f64>() / length as f64;
                let variance = wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / length as f64;
                for (j, &got) in got.iter().enumerate() {
                    let normal = (wide[j] - mean) / (variance + 1e-5).sqrt();
                    let weighted = if given[0] { normal * f64::from(weight[j]) } else { normal };
                    let expected = if given[1] { weighted + f64::from(bias[j]) } else { weighted };
                    // A mean of one element is rounded, and then divided by sqrt(eps).
                    prop_assert!((f64::from(got) - expected).abs() < 2e-3, "{got} instead of {expected}");
                }
            }
        }
    }
}

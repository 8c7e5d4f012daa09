//! Numbers to bytes and back, and the rows of bytes that a convolution multiplies.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

use super::QUAD;
use crate::element::Float;
use crate::kernels::conv::{Geometry, area};
use crate::kernels::parts::fill_parts;
use crate::runtime::{Buffer, dispatch};

/// The elements from which on work is shared.
const SHARED: usize = 64 * 1024;

/// The length of a part, in whole rows.
fn part_length(rows: usize, stride: usize) -> usize {
    let rows_of_part = if rows * stride < SHARED { rows } else { (SHARED / 4 / stride.max(1)).max(1) };
    (rows_of_part * stride).max(1)
}

/// Rows of `length` numbers as bytes: `round(x / scale) + zero_point`, halves to even, cut to the levels; and whether one of them is
/// NaN, which becomes a level as well. There is one scale, or one for each row. Each row is filled up to a multiple of 4 bytes.
pub(crate) fn quantize_rows<T: Float>(
    x: &[T],
    length: usize,
    scales: &[f32],
    zero_point: u8,
    levels: [u8; 2],
) -> (Buffer<u8>, bool) {
    let stride = length.next_multiple_of(QUAD);
    let rows = x.len().checked_div(length).unwrap_or(0);
    let [zero, low, high] = [zero_point, levels[0], levels[1]].map(|level| T::from_f64(level.into()));
    let nan = AtomicBool::new(false);
    // SAFETY: a part is whole rows, each of which `quantize_row` writes.
    let out = unsafe {
        fill_parts(rows * stride, part_length(rows, stride), &|start, part| {
            for (row, bytes) in (start / stride.max(1)..).zip(part.chunks_exact_mut(stride.max(1))) {
                let x = &x[row * length..][..length];
                let scale = T::from_f64(scales[row % scales.len()].into());
                let found = dispatch(
                    #[inline(always)]
                    || quantize_row(x, bytes, scale, [zero, low, high]),
                );
                if found {
                    nan.store(true, Ordering::Relaxed);
                }
            }
        })
    };
    (out, nan.into_inner())
}

/// Writes all bytes of a row; whether a number is NaN.
#[inline(always)]
fn quantize_row<T: Float>(
    x: &[T],
    bytes: &mut [MaybeUninit<u8>],
    scale: T,
    [zero, low, high]: [T; 3],
) -> bool {
    let mut nan = false;
    let (bytes, rest) = bytes.split_at_mut(x.len());
    for (byte, &x) in bytes.iter_mut().zip(x) {
        nan |= x.is_nan();
        let level = (x / scale).round() + zero;
        // NaN as well becomes the lowest level.
        let level = if level >= low { level } else { low };
        let level = if level > high { high } else { level };
        byte.write(to_byte(level.to_f64() as f32));
    }
    rest.fill(MaybeUninit::new(0));
    nan
}

/// A whole number from 0 to 255 as a byte. The sum ends with the bits of the number: unlike a conversion, which
/// has to cut off, this is a loop of vector instructions.
#[inline(always)]
fn to_byte(level: f32) -> u8 {
    const ALIGNED: f32 = 1.5 * (1_u32 << 23) as f32;
    (level + ALIGNED).to_bits() as u8
}

/// `sum * row_scale * column_scale + bias` for rows of sums that are `stride` apart. There is one scale for all rows or columns, or
/// one for each.
pub(crate) fn scale_rows<T: Float>(
    sums: &[i32],
    stride: usize,
    columns: usize,
    [row_scales, column_scales]: [&[f64]; 2],
    bias: Option<&[T]>,
) -> Buffer<T> {
    let rows = sums.len().checked_div(stride).unwrap_or(0);
    let bias = bias.map_or_else(|| vec![T::ZERO; columns], <[T]>::to_vec);
    let factors = |row_scale: f64| -> Vec<T> {
        (0..columns).map(|c| T::from_f64(row_scale * column_scales[c % column_scales.len()])).collect()
    };
    let shared_factors = (row_scales.len() == 1).then(|| factors(row_scales[0]));
    // SAFETY: a part is whole rows, and there is a sum, a factor and a bias for each column.
    unsafe {
        fill_parts(rows * columns, part_length(rows, columns), &|start, part| {
            for (row, out) in (start / columns.max(1)..).zip(part.chunks_exact_mut(columns.max(1))) {
                let own = shared_factors.is_none().then(|| factors(row_scales[row]));
                let factors = &shared_factors.as_ref().or(own.as_ref()).expect("one of them")[..columns];
                let (sums, bias) = (&sums[row * stride..][..columns], &bias[..columns]);
                dispatch(
                    #[inline(always)]
                    || {
                        for (((out, &sum), &factor), &bias) in out.iter_mut().zip(sums).zip(factors).zip(bias)
                        {
                            out.write(T::from_i64(sum.into()) * factor + bias);
                        }
                    },
                );
            }
        })
    }
}

/// `round(sum * factor) + zero_point`, halves to even, cut to the levels, for rows of sums that are `stride` apart; with one factor
/// for all columns, or one for each. Each row is filled up to a multiple of 4 bytes.
pub(crate) fn requantize_rows(
    sums: &[i32],
    stride: usize,
    columns: usize,
    factors: &[f64],
    zero_point: u8,
    levels: [u8; 2],
) -> Buffer<u8> {
    let rows = sums.len().checked_div(stride).unwrap_or(0);
    let out_stride = columns.next_multiple_of(QUAD);
    let factors: Vec<f64> = (0..columns).map(|c| factors[c % factors.len()]).collect();
    let [zero, low, high] = [zero_point, levels[0], levels[1]].map(f64::from);
    Buffer::in_parts(rows * out_stride, part_length(rows, out_stride), 0, |start, part| {
        for (row, out) in (start / out_stride.max(1)..).zip(part.chunks_exact_mut(out_stride.max(1))) {
            let sums = &sums[row * stride..][..columns];
            dispatch(
                #[inline(always)]
                || {
                    for ((out, &sum), &factor) in out.iter_mut().zip(sums).zip(&factors) {
                        let level = (f64::from(sum) * factor).round_ties_even() + zero;
                        *out = to_byte(level.clamp(low, high) as f32);
                    }
                },
            );
        }
    })
}

/// The bytes that each place of a convolution multiplies, of one group: a row of `inputs * kernel` bytes for each place of each image,
/// filled up to a multiple of 4. `padding` stands for what lies outside an image. Rows of the image are `x_stride` bytes apart.
pub(crate) fn patches(
    x: &[u8],
    x_stride: usize,
    geometry: &Geometry,
    group: usize,
    padding: u8,
) -> Buffer<u8> {
    let Geometry { batch, groups, inputs, input, kernel, output, stride, dilation, .. } = *geometry;
    let row_stride = (inputs * area(kernel)).next_multiple_of(QUAD);
    let plane = input[0] * x_stride;
    let of_image = area(output) * row_stride;
    if of_image == 0 {
        return Buffer::filled(0, 0);
    }
    Buffer::in_parts(batch * of_image, of_image, 0, |start, part| {
        let image = start / of_image;
        let source = &x[(image * groups + group) * inputs * plane..][..inputs * plane];
        let (planes, [height, width]) = padded(source, x_stride, geometry, padding);
        let mut taps = 0;
        for planes in planes.chunks_exact(height * width) {
            for ky in 0..kernel[0] {
                for (y, rows) in part.chunks_exact_mut(output[1] * row_stride).enumerate() {
                    let line = &planes[(y * stride[0] + ky * dilation[0]) * width..][..width];
                    let rows = rows.chunks_exact_mut(row_stride).map(|row| &mut row[taps..]);
                    copy_taps(rows, line, kernel[1], stride[1], dilation[1]);
                }
                taps += kernel[1];
            }
        }
    })
}

/// The planes of an image with its padding, as far as taps reach; and their height and width.
fn padded(source: &[u8], x_stride: usize, geometry: &Geometry, padding: u8) -> (Vec<u8>, [usize; 2]) {
    let Geometry { inputs, input, kernel, output, stride, dilation, padding: before, .. } = *geometry;
    let [height, width] =
        [0, 1].map(|axis| (output[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1);
    let mut planes = vec![padding; inputs * height * width];
    for (source, plane) in
        source.chunks_exact((input[0] * x_stride).max(1)).zip(planes.chunks_exact_mut(height * width))
    {
        let lines = plane.chunks_exact_mut(width).skip(before[0]);
        for (source, line) in source.chunks_exact(x_stride.max(1)).zip(lines) {
            let line = line.get_mut(before[1]..).unwrap_or_default();
            let length = line.len().min(input[1]);
            line[..length].copy_from_slice(&source[..length]);
        }
    }
    (planes, [height, width])
}

/// The taps of one line of the kernel for each place of a line.
fn copy_taps<'a>(
    rows: impl Iterator<Item = &'a mut [u8]>,
    line: &[u8],
    kernel: usize,
    stride: usize,
    dilation: usize,
) {
    /// A copy of a size that is known is two instructions.
    fn copy<'a, const N: usize>(rows: impl Iterator<Item = &'a mut [u8]>, line: &[u8], stride: usize) {
        for (row, at) in rows.zip((0..).step_by(stride)) {
            let taps: &[u8; N] = line[at..].first_chunk().expect("a line has all taps");
            *row.first_chunk_mut().expect("a row has all taps") = *taps;
        }
    }
    match (kernel, dilation) {
        (1, _) => copy::<1>(rows, line, stride),
        (3, 1) => copy::<3>(rows, line, stride),
        (5, 1) => copy::<5>(rows, line, stride),
        _ => {
            for (row, at) in rows.zip((0..).step_by(stride)) {
                for (tap, &x) in row[..kernel].iter_mut().zip(line[at..].iter().step_by(dilation)) {
                    *tap = x;
                }
            }
        }
    }
}

//! Recurrent layers, all steps of a sequence in one go.
//!
//! Only two things are computed step by step: the product with the last hidden state, and the gates. Their values are
//! kept for the way back, beside the states. Rows of a batch know nothing of each other, so threads share them.

pub(crate) mod gru;
pub(crate) mod lstm;

use std::array::from_fn;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::element::Float;
use crate::runtime::Buffer;
use crate::runtime::for_each_piece_of;

/// From this many multiplications on, work is shared among threads.
const SHARED: usize = 1 << 20;
/// The rows of a batch that a thread takes at once: with fewer, products would be slow.
const ROWS: usize = 16;

/// The sizes of a sequence of states.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) hidden: usize,
}

impl Sizes {
    /// The elements of one state.
    fn state(self) -> usize {
        self.batch * self.hidden
    }

    /// Whether work with this number of gates is shared, and the rows of a piece of it.
    fn share(self, gates: usize) -> (bool, usize) {
        let shared = self.steps * self.state() * gates * self.hidden >= SHARED;
        (shared, if shared { ROWS.min(self.batch) } else { self.batch })
    }
}

/// The output of one piece: its rows of each of several matrices.
type Band<'a, T> = Vec<&'a mut [T]>;

/// Matrices of `size` elements, cut into bands of `length` elements each.
fn bands<T>(matrices: &mut [T], size: usize, length: usize) -> Vec<Band<'_, T>> {
    let mut bands: Vec<Band<'_, T>> = (0..size.div_ceil(length)).map(|_| Vec::new()).collect();
    for matrix in matrices.chunks_exact_mut(size) {
        for (band, rows) in bands.iter_mut().zip(matrix.chunks_mut(length)) {
            band.push(rows);
        }
    }
    bands
}

/// Calls `piece` with its rows of the batch and its bands, for each of them.
fn for_each_band<T: Float, const N: usize>(
    (shared, rows): (bool, usize),
    batch: usize,
    bands: [Vec<Band<'_, T>>; N],
    piece: impl Fn(Range<usize>, [Band<'_, T>; N]) + Sync,
) {
    let pieces = batch.div_ceil(rows);
    let mut bands = bands.map(Vec::into_iter);
    let bands: Vec<_> = (0..pieces)
        .map(|_| Mutex::new(Some(bands.each_mut().map(|bands| bands.next().expect("one for each piece")))))
        .collect();
    for_each_piece_of(pieces, shared, &|number| {
        let bands = bands[number].lock().unwrap_or_else(PoisonError::into_inner).take();
        piece(number * rows..((number + 1) * rows).min(batch), bands.expect("each piece is done once"));
    });
}

/// The elements that are computed at once.
const WIDE: usize = 16;

/// Writes the results of `f` on the elements of some operands; all slices have one length.
#[inline(always)]
fn map_wide<T: Float, const I: usize, const O: usize>(
    inputs: [&[T]; I],
    mut outputs: [&mut [T]; O],
    f: impl Fn([T; I]) -> [T; O],
) {
    let length = outputs[0].len();
    let whole = length - length % WIDE;
    for start in (0..whole).step_by(WIDE) {
        // Copies of fixed size, which cannot overlap, so that the loop over them becomes wide instructions.
        let mut x = [[T::ZERO; WIDE]; I];
        let mut y = [[T::ZERO; WIDE]; O];
        for (x, input) in x.iter_mut().zip(inputs) {
            x.copy_from_slice(&input[start..start + WIDE]);
        }
        for j in 0..WIDE {
            let mut column = [T::ZERO; I];
            for (element, x) in column.iter_mut().zip(&x) {
                *element = x[j];
            }
            let results = f(column);
            for (y, result) in y.iter_mut().zip(results) {
                y[j] = result;
            }
        }
        for (y, output) in y.iter().zip(&mut outputs) {
            output[start..start + WIDE].copy_from_slice(y);
        }
    }
    for j in whole..length {
        let results = f(inputs.map(|input| input[j]));
        for (output, result) in outputs.iter_mut().zip(results) {
            output[j] = result;
        }
    }
}

/// The parts of a row of gates.
#[inline(always)]
fn gates<T, const N: usize>(row: &[T], hidden: usize) -> [&[T]; N] {
    from_fn(|k| &row[k * hidden..(k + 1) * hidden])
}

#[inline(always)]
fn gates_mut<T, const N: usize>(row: &mut [T], hidden: usize) -> [&mut [T]; N] {
    let mut parts = row.chunks_exact_mut(hidden);
    from_fn(|_| parts.next().expect("a part for each gate"))
}

fn zeros<T: Float>(len: usize) -> Buffer<T> {
    Buffer::filled(len, T::ZERO)
}

fn writable<T: Float>(buffer: &mut Buffer<T>) -> &mut [T] {
    buffer.get_mut().expect("nobody else has it")
}

/// The planes of a result: states or gates of all steps, one plane after another.
fn planes<T, const N: usize>(data: &[T]) -> [&[T]; N] {
    from_fn(|k| &data[k * (data.len() / N)..(k + 1) * (data.len() / N)])
}

/// A band of the planes, as the rows of each step of each plane.
fn planes_of<'a, 'b, T, const N: usize>(band: &'a mut Band<'b, T>) -> [&'a mut [&'b mut [T]]; N] {
    let length = band.len() / N;
    let mut planes = band.chunks_exact_mut(length);
    from_fn(|_| planes.next().expect("as many planes"))
}

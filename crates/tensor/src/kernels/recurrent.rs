//! Recurrent layers, all steps of a sequence in one go.
//!
//! What has to be computed step by step is only the product with the last hidden state, and the gates. Their values are
//! kept for the way back, beside the states. Rows of a batch know nothing of each other, so threads share them.

use std::array::from_fn;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::element::Float;
use crate::kernels::matmul::{MatrixRef, Over, multiply};
use crate::runtime::Buffer;
use crate::runtime::dispatch;
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

    /// Whether work with so many gates is shared, and the rows of a piece of it.
    fn share(self, gates: usize) -> (bool, usize) {
        let shared = self.steps * self.state() * gates * self.hidden >= SHARED;
        (shared, if shared { ROWS.min(self.batch) } else { self.batch })
    }
}

/// What one piece writes: its rows of each of several matrices.
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

/// The states h and c of an LSTM after every step, and its gates i, f, g and o: planes of `[steps, batch, hidden]`.
///
/// `input` is what the inputs contribute to the gates before their functions, `[steps, batch, 4 hidden]`; `weight` is
/// `[hidden, 4 hidden]`.
pub(crate) fn lstm<T: Float>(
    sizes: Sizes,
    input: &[T],
    weight: MatrixRef<T>,
    [h0, c0]: [&[T]; 2],
) -> Buffer<T> {
    let (hidden, state) = (sizes.hidden, sizes.state());
    let mut out = zeros(6 * sizes.steps * state);
    if state == 0 || sizes.steps == 0 {
        return out;
    }
    let share = sizes.share(4);
    let all = bands(writable(&mut out), state, share.1 * hidden);
    for_each_band(share, sizes.batch, [all], |rows, [mut band]| {
        let [h, c, i, f, g, o] = planes_of(&mut band);
        let here = rows.start * hidden..rows.end * hidden;
        let mut scratch = zeros(4 * here.len());
        let sums = writable(&mut scratch);
        for step in 0..sizes.steps {
            let (h_before, h) = h.split_at_mut(step);
            let (c_before, c) = c.split_at_mut(step);
            let h_last = h_before.last().map_or(&h0[here.clone()], |last| &**last);
            let c_last = c_before.last().map_or(&c0[here.clone()], |last| &**last);
            sums.copy_from_slice(&input[4 * (step * state + here.start)..][..sums.len()]);
            multiply(sums, Over::Sum, T::ONE, MatrixRef::row_major(h_last, rows.len(), hidden), weight);
            let [h, c] = [&mut *h[0], &mut *c[0]];
            let [i, f, g, o] = [&mut *i[step], &mut *f[step], &mut *g[step], &mut *o[step]];
            dispatch(
                #[inline(always)]
                || {
                    for (row, sums) in sums.chunks_exact(4 * hidden).enumerate() {
                        let row = row * hidden..(row + 1) * hidden;
                        let [ai, af, ag, ao] = gates(sums, hidden);
                        map_wide(
                            [ai, af, ag, ao, &c_last[row.clone()]],
                            [
                                &mut h[row.clone()],
                                &mut c[row.clone()],
                                &mut i[row.clone()],
                                &mut f[row.clone()],
                                &mut g[row.clone()],
                                &mut o[row],
                            ],
                            #[inline(always)]
                            |[ai, af, ag, ao, c]| {
                                let (i, f, g, o) = (ai.sigmoid(), af.sigmoid(), ag.tanh(), ao.sigmoid());
                                let c = f * c + i * g;
                                [o * c.tanh(), c, i, f, g, o]
                            },
                        );
                    }
                },
            );
        }
    });
    out
}

/// The gradients of [`lstm`] from those of its planes: with respect to `input`, and to the states before the first step.
/// `weight` is `[4 hidden, hidden]`.
pub(crate) fn lstm_gradient<T: Float>(
    sizes: Sizes,
    out: &[T],
    cotangents: &[T],
    weight: MatrixRef<T>,
    c0: &[T],
) -> [Buffer<T>; 3] {
    let (hidden, state) = (sizes.hidden, sizes.state());
    let mut gradients = [zeros(sizes.steps * 4 * state), zeros(state), zeros(state)];
    if state == 0 {
        return gradients;
    }
    let share = sizes.share(4);
    let [of_input, dh, dc] = gradients.each_mut().map(writable);
    let [_, c, i, f, g, o] = planes(out);
    let [gh, gc, gi, gf, gg, go] = planes(cotangents);
    let length = share.1 * hidden;
    let bands = [bands(of_input, 4 * state, 4 * length), bands(dh, state, length), bands(dc, state, length)];
    for_each_band(share, sizes.batch, bands, |rows, [mut of_input, mut dh, mut dc]| {
        let here = rows.start * hidden..rows.end * hidden;
        let (dh, dc) = (&mut *dh[0], &mut *dc[0]);
        let mut scratch = zeros(here.len());
        let next_dc = writable(&mut scratch);
        for (step, of_input) in of_input.iter_mut().enumerate().rev() {
            let at = |step: usize| step * state + here.start..step * state + here.end;
            let c_last = if step == 0 { &c0[here.clone()] } else { &c[at(step - 1)] };
            let planes = [gh, gc, gi, gf, gg, go, c, i, f, g, o].map(|plane| &plane[at(step)]);
            dispatch(
                #[inline(always)]
                || {
                    for (row, of_input) in of_input.chunks_exact_mut(4 * hidden).enumerate() {
                        let row = row * hidden..(row + 1) * hidden;
                        let [gh, gc, gi, gf, gg, go, c, i, f, g, o] = planes.map(|plane| &plane[row.clone()]);
                        let [ai, af, ag, ao] = gates_mut(of_input, hidden);
                        map_wide(
                            [
                                &dh[row.clone()],
                                gh,
                                &dc[row.clone()],
                                gc,
                                gi,
                                gf,
                                gg,
                                go,
                                &c_last[row.clone()],
                                c,
                                i,
                                f,
                                g,
                                o,
                            ],
                            [ai, af, ag, ao, &mut next_dc[row]],
                            #[inline(always)]
                            |[dh, gh, dc, gc, gi, gf, gg, go, c_last, c, i, f, g, o]| {
                                let (dh, tanh) = (dh + gh, c.tanh());
                                let dc = dc + gc + dh * o * (T::ONE - tanh * tanh);
                                [
                                    (dc * g + gi) * i * (T::ONE - i),
                                    (dc * c_last + gf) * f * (T::ONE - f),
                                    (dc * i + gg) * (T::ONE - g * g),
                                    (dh * tanh + go) * o * (T::ONE - o),
                                    dc * f,
                                ]
                            },
                        );
                    }
                },
            );
            dc.copy_from_slice(next_dc);
            let of_input = MatrixRef::row_major(of_input, rows.len(), 4 * hidden);
            multiply(dh, Over::Anything, T::ONE, of_input, weight);
        }
    });
    gradients
}

/// The state h of a GRU after every step, its gates r, z and n, and what the last state contributes to n: planes of
/// `[steps, batch, hidden]`.
///
/// `input` is what the inputs contribute to the gates before their functions, `[steps, batch, 3 hidden]`; `weight` is
/// `[hidden, 3 hidden]`, and `bias` is added to its products.
pub(crate) fn gru<T: Float>(
    sizes: Sizes,
    input: &[T],
    weight: MatrixRef<T>,
    bias: Option<&[T]>,
    h0: &[T],
) -> Buffer<T> {
    let (hidden, state) = (sizes.hidden, sizes.state());
    let mut out = zeros(5 * sizes.steps * state);
    if state == 0 || sizes.steps == 0 {
        return out;
    }
    let share = sizes.share(3);
    let all = bands(writable(&mut out), state, share.1 * hidden);
    for_each_band(share, sizes.batch, [all], |rows, [mut band]| {
        let [h, r, z, n, q] = planes_of(&mut band);
        let here = rows.start * hidden..rows.end * hidden;
        let mut scratch = zeros(3 * here.len());
        let sums = writable(&mut scratch);
        for step in 0..sizes.steps {
            let (before, h) = h.split_at_mut(step);
            let last = before.last().map_or(&h0[here.clone()], |last| &**last);
            if let Some(bias) = bias {
                sums.chunks_exact_mut(3 * hidden).for_each(|row| row.copy_from_slice(bias));
            }
            let over = if bias.is_some() { Over::Sum } else { Over::Anything };
            multiply(sums, over, T::ONE, MatrixRef::row_major(last, rows.len(), hidden), weight);
            let input = &input[3 * (step * state + here.start)..][..sums.len()];
            let [h, r, z, n, q] = [&mut *h[0], &mut *r[step], &mut *z[step], &mut *n[step], &mut *q[step]];
            dispatch(
                #[inline(always)]
                || {
                    let rows = sums.chunks_exact(3 * hidden).zip(input.chunks_exact(3 * hidden));
                    for (row, (sums, input)) in rows.enumerate() {
                        let row = row * hidden..(row + 1) * hidden;
                        let ([ar, az, an], [br, bz, bn]) = (gates(input, hidden), gates(sums, hidden));
                        map_wide(
                            [ar, az, an, br, bz, bn, &last[row.clone()]],
                            [
                                &mut h[row.clone()],
                                &mut r[row.clone()],
                                &mut z[row.clone()],
                                &mut n[row.clone()],
                                &mut q[row],
                            ],
                            #[inline(always)]
                            |[ar, az, an, br, bz, bn, h]| {
                                let (r, z) = ((ar + br).sigmoid(), (az + bz).sigmoid());
                                let n = (an + r * bn).tanh();
                                [(T::ONE - z) * n + z * h, r, z, n, bn]
                            },
                        );
                    }
                },
            );
        }
    });
    out
}

/// The gradients of [`gru`] from those of its planes: with respect to `input`, to the products with `weight`, and to the
/// state before the first step. `weight` is `[3 hidden, hidden]`.
pub(crate) fn gru_gradient<T: Float>(
    sizes: Sizes,
    out: &[T],
    cotangents: &[T],
    weight: MatrixRef<T>,
    h0: &[T],
) -> [Buffer<T>; 3] {
    let (hidden, state) = (sizes.hidden, sizes.state());
    let mut gradients = [zeros(sizes.steps * 3 * state), zeros(sizes.steps * 3 * state), zeros(state)];
    if state == 0 {
        return gradients;
    }
    let share = sizes.share(3);
    let [of_input, of_product, dh] = gradients.each_mut().map(writable);
    let [h, r, z, n, q] = planes(out);
    let [gh, gr, gz, gn, gq] = planes(cotangents);
    let length = share.1 * hidden;
    let bands = [
        bands(of_input, 3 * state, 3 * length),
        bands(of_product, 3 * state, 3 * length),
        bands(dh, state, length),
    ];
    for_each_band(share, sizes.batch, bands, |rows, [mut of_input, mut of_product, mut dh]| {
        let here = rows.start * hidden..rows.end * hidden;
        let dh = &mut *dh[0];
        let mut scratch = zeros(here.len());
        let direct = writable(&mut scratch);
        for (step, (of_input, of_product)) in of_input.iter_mut().zip(&mut of_product).enumerate().rev() {
            let at = |step: usize| step * state + here.start..step * state + here.end;
            let last = if step == 0 { &h0[here.clone()] } else { &h[at(step - 1)] };
            let planes = [gh, gr, gz, gn, gq, r, z, n, q].map(|plane| &plane[at(step)]);
            dispatch(
                #[inline(always)]
                || {
                    let rows =
                        of_input.chunks_exact_mut(3 * hidden).zip(of_product.chunks_exact_mut(3 * hidden));
                    for (row, (of_input, of_product)) in rows.enumerate() {
                        let row = row * hidden..(row + 1) * hidden;
                        let [gh, gr, gz, gn, gq, r, z, n, q] = planes.map(|plane| &plane[row.clone()]);
                        let [ar, az, an] = gates_mut(of_input, hidden);
                        let [br, bz, bn] = gates_mut(of_product, hidden);
                        map_wide(
                            [&dh[row.clone()], gh, gr, gz, gn, gq, &last[row.clone()], r, z, n, q],
                            [ar, az, an, br, bz, bn, &mut direct[row]],
                            #[inline(always)]
                            |[dh, gh, gr, gz, gn, gq, last, r, z, n, q]| {
                                let dh = dh + gh;
                                let an = (dh * (T::ONE - z) + gn) * (T::ONE - n * n);
                                let ar = (an * q + gr) * r * (T::ONE - r);
                                let az = (dh * (last - n) + gz) * z * (T::ONE - z);
                                [ar, az, an, ar, az, an * r + gq, dh * z]
                            },
                        );
                    }
                },
            );
            dh.copy_from_slice(direct);
            let of_product = MatrixRef::row_major(of_product, rows.len(), 3 * hidden);
            multiply(dh, Over::Sum, T::ONE, of_product, weight);
        }
    });
    gradients
}

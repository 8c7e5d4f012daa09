//! Recurrent layers, all steps of a sequence in one go.
//!
//! What has to be computed step by step is only the product with the last hidden state, and the gates. Their values are
//! kept for the way back, beside the states.

use std::array::from_fn;

use super::buffer::Buffer;
use super::gemm::{MatrixRef, Over, multiply};
use super::simd::dispatch;
use crate::element::Float;

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

fn planes_mut<T, const N: usize>(data: &mut [T]) -> [&mut [T]; N] {
    let length = (data.len() / N).max(1);
    let mut parts = data.chunks_exact_mut(length);
    from_fn(|_| parts.next().unwrap_or_default())
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
    if state == 0 {
        return out;
    }
    let [h, c, i, f, g, o] = planes_mut(writable(&mut out));
    let mut scratch = zeros(4 * state);
    let sums = writable(&mut scratch);
    for step in 0..sizes.steps {
        let (h_before, h) = h.split_at_mut(step * state);
        let (c_before, c) = c.split_at_mut(step * state);
        let (h_last, c_last) = if step == 0 {
            (h0, c0)
        } else {
            (&h_before[(step - 1) * state..], &c_before[(step - 1) * state..])
        };
        sums.copy_from_slice(&input[step * 4 * state..][..4 * state]);
        multiply(sums, Over::Sum, T::ONE, MatrixRef::row_major(h_last, sizes.batch, hidden), weight);
        dispatch(
            #[inline(always)]
            || {
                for (row, sums) in sums.chunks_exact(4 * hidden).enumerate() {
                    let here = row * hidden..(row + 1) * hidden;
                    let there = step * state + here.start..step * state + here.end;
                    let [ai, af, ag, ao] = gates(sums, hidden);
                    map_wide(
                        [ai, af, ag, ao, &c_last[here.clone()]],
                        [
                            &mut h[here.clone()],
                            &mut c[here],
                            &mut i[there.clone()],
                            &mut f[there.clone()],
                            &mut g[there.clone()],
                            &mut o[there],
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
    let mut other = zeros(state);
    let [of_input, dh, dc] = gradients.each_mut().map(writable);
    let next_dc = writable(&mut other);
    let [_, c, i, f, g, o] = planes(out);
    let [gh, gc, gi, gf, gg, go] = planes(cotangents);
    for step in (0..sizes.steps).rev() {
        let c_last = if step == 0 { c0 } else { &c[(step - 1) * state..] };
        let of_input = &mut of_input[step * 4 * state..][..4 * state];
        dispatch(
            #[inline(always)]
            || {
                for (row, of_input) in of_input.chunks_exact_mut(4 * hidden).enumerate() {
                    let here = row * hidden..(row + 1) * hidden;
                    let at = |plane| part(plane, step * state + here.start, hidden);
                    let [ai, af, ag, ao] = gates_mut(of_input, hidden);
                    map_wide(
                        [
                            &dh[here.clone()],
                            at(gh),
                            &dc[here.clone()],
                            at(gc),
                            at(gi),
                            at(gf),
                            at(gg),
                            at(go),
                            &c_last[here.clone()],
                            at(c),
                            at(i),
                            at(f),
                            at(g),
                            at(o),
                        ],
                        [ai, af, ag, ao, &mut next_dc[here.clone()]],
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
        multiply(dh, Over::Anything, T::ONE, MatrixRef::row_major(of_input, sizes.batch, 4 * hidden), weight);
    }
    gradients
}

#[inline(always)]
fn part<T>(plane: &[T], start: usize, length: usize) -> &[T] {
    &plane[start..start + length]
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
    if state == 0 {
        return out;
    }
    let [h, r, z, n, q] = planes_mut(writable(&mut out));
    let mut scratch = zeros(3 * state);
    let sums = writable(&mut scratch);
    for step in 0..sizes.steps {
        let (before, h) = h.split_at_mut(step * state);
        let last = if step == 0 { h0 } else { &before[(step - 1) * state..] };
        if let Some(bias) = bias {
            sums.chunks_exact_mut(3 * hidden).for_each(|row| row.copy_from_slice(bias));
        }
        let over = if bias.is_some() { Over::Sum } else { Over::Anything };
        multiply(sums, over, T::ONE, MatrixRef::row_major(last, sizes.batch, hidden), weight);
        let input = &input[step * 3 * state..][..3 * state];
        dispatch(
            #[inline(always)]
            || {
                let rows = sums.chunks_exact(3 * hidden).zip(input.chunks_exact(3 * hidden));
                for (row, (sums, input)) in rows.enumerate() {
                    let here = row * hidden..(row + 1) * hidden;
                    let there = step * state + here.start..step * state + here.end;
                    let ([ar, az, an], [br, bz, bn]) = (gates(input, hidden), gates(sums, hidden));
                    map_wide(
                        [ar, az, an, br, bz, bn, &last[here.clone()]],
                        [
                            &mut h[here],
                            &mut r[there.clone()],
                            &mut z[there.clone()],
                            &mut n[there.clone()],
                            &mut q[there],
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
    let mut direct = zeros(state);
    let direct = writable(&mut direct);
    let [of_input, of_product, dh] = gradients.each_mut().map(writable);
    let [h, r, z, n, q] = planes(out);
    let [gh, gr, gz, gn, gq] = planes(cotangents);
    for step in (0..sizes.steps).rev() {
        let last = if step == 0 { h0 } else { &h[(step - 1) * state..] };
        let of_input = &mut of_input[step * 3 * state..][..3 * state];
        let of_product = &mut of_product[step * 3 * state..][..3 * state];
        dispatch(
            #[inline(always)]
            || {
                let rows = of_input.chunks_exact_mut(3 * hidden).zip(of_product.chunks_exact_mut(3 * hidden));
                for (row, (of_input, of_product)) in rows.enumerate() {
                    let here = row * hidden..(row + 1) * hidden;
                    let at = |plane| part(plane, step * state + here.start, hidden);
                    let [ar, az, an] = gates_mut(of_input, hidden);
                    let [br, bz, bn] = gates_mut(of_product, hidden);
                    map_wide(
                        [
                            &dh[here.clone()],
                            at(gh),
                            at(gr),
                            at(gz),
                            at(gn),
                            at(gq),
                            &last[here.clone()],
                            at(r),
                            at(z),
                            at(n),
                            at(q),
                        ],
                        [ar, az, an, br, bz, bn, &mut direct[here.clone()]],
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
        multiply(dh, Over::Sum, T::ONE, MatrixRef::row_major(of_product, sizes.batch, 3 * hidden), weight);
    }
    gradients
}

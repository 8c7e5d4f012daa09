//! Long short-term memory.

use super::{Sizes, bands, for_each_band, gates, gates_mut, map_wide, planes, planes_of, writable, zeros};
use crate::element::Float;
use crate::kernels::matmul::{MatrixRef, Over, multiply};
use crate::runtime::{Buffer, dispatch_functions};

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
            dispatch_functions::<T, _>(
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

/// The gradients of [`lstm`] from the gradients of its planes: with respect to `input`, and to the states before the first step.
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
            dispatch_functions::<T, _>(
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

//! Gated recurrent units.

use super::{Sizes, bands, for_each_band, gates, gates_mut, map_wide, planes, planes_of, writable, zeros};
use crate::element::Float;
use crate::kernels::matmul::{MatrixRef, Over, multiply};
use crate::runtime::{Buffer, dispatch_functions};

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
            dispatch_functions::<T, _>(
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

/// The gradients of [`gru`] from the gradients of its planes: with respect to `input`, to the products with `weight`, and to the
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
            dispatch_functions::<T, _>(
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

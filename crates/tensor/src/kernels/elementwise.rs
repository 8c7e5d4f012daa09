//! One function on every element of one or two operands.

use std::array::from_fn;

use super::for_each_run;
use crate::element::Element;
use crate::layout::Layout;
use crate::tensor::Tensor;

/// The place of element `i` of a run.
#[inline]
fn at(start: usize, i: usize, stride: isize) -> usize {
    start.wrapping_add_signed(i as isize * stride)
}

/// The results of `f` in logical order.
pub(crate) fn map<T: Element, U>(x: &Tensor<T>, f: impl Fn(T) -> U) -> Vec<U> {
    let mut out = Vec::with_capacity(x.len());
    let data = x.buffer();
    for_each_run(x.shape(), [x.layout()], |[start], length, [stride]| {
        if stride == 1 {
            out.extend(data[start..start + length].iter().map(|&x| f(x)));
        } else {
            out.extend((0..length).map(|i| f(data[at(start, i, stride)])));
        }
    });
    out
}

/// The results of `f` on the elements of two operands of one shape, in logical order.
pub(crate) fn zip<T: Element, U: Element, V>(
    shape: &[usize],
    x: &[T],
    x_layout: &Layout,
    y: &[U],
    y_layout: &Layout,
    f: impl Fn(T, U) -> V,
) -> Vec<V> {
    let mut out = Vec::with_capacity(shape.iter().product());
    for_each_run(shape, [x_layout, y_layout], |[x0, y0], length, strides| match strides {
        [1, 1] => {
            let (x, y) = (&x[x0..x0 + length], &y[y0..y0 + length]);
            out.extend(x.iter().zip(y).map(|(&x, &y)| f(x, y)));
        }
        [1, 0] => {
            let y = y[y0];
            out.extend(x[x0..x0 + length].iter().map(|&x| f(x, y)));
        }
        [0, 1] => {
            let x = x[x0];
            out.extend(y[y0..y0 + length].iter().map(|&y| f(x, y)));
        }
        [sx, sy] => out.extend((0..length).map(|i| f(x[at(x0, i, sx)], y[at(y0, i, sy)]))),
    });
    out
}

/// The results of `f` on the elements of `N` operands of one shape, in logical order.
pub(crate) fn zip_many<T: Element, V, const N: usize>(
    shape: &[usize],
    operands: [(&[T], &Layout); N],
    f: impl Fn([T; N]) -> V,
) -> Vec<V> {
    let mut out = Vec::with_capacity(shape.iter().product());
    for_each_run(shape, operands.map(|(_, layout)| layout), |starts, length, strides| {
        if strides == [1; N] {
            let runs: [&[T]; N] = from_fn(|k| &operands[k].0[starts[k]..starts[k] + length]);
            out.extend((0..length).map(|i| f(from_fn(|k| runs[k][i]))));
        } else {
            out.extend((0..length).map(|i| f(from_fn(|k| operands[k].0[at(starts[k], i, strides[k])]))));
        }
    });
    out
}

/// Replaces each element of a row-major buffer by the result of `f` on it and on its partner.
pub(crate) fn zip_inplace<T: Element, U: Element>(out: &mut [T], y: &Tensor<U>, f: impl Fn(T, U) -> T) {
    let data = y.buffer();
    let mut rest = out;
    for_each_run(y.shape(), [y.layout()], |[start], length, [stride]| {
        let (run, tail) = std::mem::take(&mut rest).split_at_mut(length);
        rest = tail;
        if stride == 1 {
            for (x, &y) in run.iter_mut().zip(&data[start..start + length]) {
                *x = f(*x, y);
            }
        } else {
            for (i, x) in run.iter_mut().enumerate() {
                *x = f(*x, data[at(start, i, stride)]);
            }
        }
    });
}

//! Running results along an axis: each from the one before it and its own element.

use super::buffer::Buffer;
use super::copy::copy;
use crate::element::{Element, Number};
use crate::tensor::Tensor;

/// Walks an axis, given as the number of indices before, along and after it: `step(lanes, index)` is called for
/// all indices but the first, with what lies from the index before it on.
fn walk<T: Element>(
    data: &mut [T],
    [_, size, inner]: [usize; 3],
    mut step: impl FnMut(&[T], &mut [T], usize),
) {
    for (outer, block) in data.chunks_exact_mut((size * inner).max(1)).enumerate() {
        for i in 1..size {
            let (before, rest) = block.split_at_mut(i * inner);
            step(&before[(i - 1) * inner..], &mut rest[..inner], (outer * size + i) * inner);
        }
    }
}

/// Each element combined with the result before it.
pub(crate) fn scan<T: Element>(x: &Tensor<T>, spans: [usize; 3], combine: impl Fn(T, T) -> T) -> Buffer<T> {
    let mut results = copy(x);
    let data = results.get_mut().expect("nobody else has it");
    if let [_, size, 1] = spans {
        // One lane after another, with the result in a register.
        for lane in data.chunks_exact_mut(size.max(1)) {
            let mut result = lane[0];
            for x in &mut lane[1..] {
                result = combine(result, *x);
                *x = result;
            }
        }
    } else {
        walk(data, spans, |before, now, _| {
            for (x, &before) in now.iter_mut().zip(before) {
                *x = combine(before, *x);
            }
        });
    }
    results
}

/// Each element plus its factor times the result before it; the first factors are not read.
pub(crate) fn recurrence<T: Number>(x: &Tensor<T>, factors: &[T], spans: [usize; 3]) -> Buffer<T> {
    let mut results = copy(x);
    let data = results.get_mut().expect("nobody else has it");
    walk(data, spans, |before, now, start| {
        for ((x, &before), &factor) in now.iter_mut().zip(before).zip(&factors[start..]) {
            *x = x.wrapping_add(factor.wrapping_mul(before));
        }
    });
    results
}

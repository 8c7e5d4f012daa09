//! The same numbers in another memory layout.

use gradus_tensor::{Element, Slice, Tensor};

/// A view of the same shape and elements in another memory layout: axes in another order, reversed or taken
/// in steps from a larger buffer whose gaps hold `gap`.
///
/// Each axis takes three bits of `bits`: reversed, every second element, embedded with a margin; the next
/// bits choose the order of the axes. With `bits` 0 the result is contiguous.
pub fn relayout<T: Element>(x: &Tensor<T>, bits: u32, gap: T) -> Tensor<T> {
    let rank = x.rank();
    let axis_bits = |axis: usize| bits >> (3 * axis);
    let mut order: Vec<usize> = (0..rank).collect();
    if rank > 1 {
        let turns = axis_bits(rank) as usize;
        order.rotate_left(turns % rank);
        if turns / rank % 2 == 1 {
            order.swap(0, rank - 1);
        }
    }
    let margin = |axis: usize| usize::from(axis_bits(axis) & 4 != 0);
    let step = |axis: usize| if axis_bits(axis) & 2 != 0 { 2 } else { 1 };
    let stored = |axis: usize| x.shape()[axis] * step(axis) + 2 * margin(axis);

    // The view is made twice: of the places in the buffer, to learn where each element goes, and of the
    // buffer that holds them there.
    let buffer_shape: Vec<usize> = order.iter().map(|&axis| stored(axis)).collect();
    let count: usize = buffer_shape.iter().product();
    let mut inverse = vec![0; rank];
    for (to, &from) in order.iter().enumerate() {
        inverse[from] = to;
    }
    let places = view(
        Tensor::arange(0, count as i64, 1).reshape(buffer_shape.as_slice()),
        &inverse,
        x.shape(),
        margin,
        step,
        axis_bits,
    );
    let mut buffer = vec![gap; count];
    for (place, value) in places.iter().zip(x.iter()) {
        buffer[place as usize] = value;
    }
    let buffer = Tensor::from(buffer).reshape(buffer_shape);
    view(buffer, &inverse, x.shape(), margin, step, axis_bits)
}

fn view<T: Element>(
    buffer: Tensor<T>,
    inverse: &[usize],
    shape: &[usize],
    margin: impl Fn(usize) -> usize,
    step: impl Fn(usize) -> usize,
    axis_bits: impl Fn(usize) -> u32,
) -> Tensor<T> {
    let mut view = buffer.permute(inverse);
    for (axis, &size) in shape.iter().enumerate() {
        let start = margin(axis);
        let range = Slice::from(start..start + size * step(axis)).step(step(axis) as isize);
        view = view.slice(axis as isize, range);
        if axis_bits(axis) & 1 != 0 {
            view = view.flip(axis);
        }
    }
    view
}

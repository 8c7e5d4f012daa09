//! Convolutions of bytes, image by image: patches, sums and numbers of one image stay in the second cache.

use super::{Panels, SHARED, convert};
use crate::element::Float;
use crate::kernels::conv::{Geometry, area};
use crate::kernels::copy::transpose_into;
use crate::kernels::parts::fill_parts;
use crate::runtime::Buffer;

/// `sum * scale * output_scale + bias` of a convolution, `[batch, outputs, height, width]`. The sums are the same as from `Panels::multiply` for
/// the patches of each group; `x_stride` and `padding` as in [`patches`](convert::patches). There is one output scale, or one for each.
pub(crate) fn conv2d_scaled<T: Float>(
    groups: &[Panels],
    (x, x_stride): (&[u8], usize),
    geometry: &Geometry,
    [padding, most]: [u8; 2],
    (scale, output_scales): (f64, &[f64]),
    bias: Option<&[T]>,
) -> Buffer<T> {
    let (places, columns) = (area(geometry.output), groups[0].columns());
    let (plane, image_bytes) =
        (columns * places, geometry.groups * geometry.inputs * geometry.input[0] * x_stride);
    let image = (plane * groups.len()).max(1);
    let terms = geometry.inputs * area(geometry.kernel);
    let at_once = if geometry.batch * image * terms < SHARED { geometry.batch.max(1) } else { 1 };
    let one = Geometry { batch: 1, ..*geometry };
    let numbers = |x: &[u8], group: usize| {
        let panels = &groups[group];
        let patches = |_| convert::patches(x, x_stride, &one, group, padding);
        let sums = panels.multiply((places, places), patches, [padding, most], None);
        let scales = [&[scale], of_group(output_scales, group, columns)];
        let bias = bias.map(|bias| of_group(bias, group, columns));
        T::scale_rows(sums.as_slice(), panels.out_stride(), columns, scales, bias)
    };
    // SAFETY: a part is whole images, and each plane of an image is written.
    unsafe {
        fill_parts(geometry.batch * plane * groups.len(), at_once * image, &|start, part| {
            for (place, part) in (start / image..).zip(part.chunks_exact_mut(image)) {
                let x = &x[place * image_bytes..][..image_bytes];
                for (group, planes) in part.chunks_exact_mut(plane).enumerate() {
                    transpose_into(numbers(x, group).as_slice(), planes, [columns, places]);
                }
            }
        })
    }
}

/// The part for the outputs of a group, of one for all or one for each output.
pub(crate) fn of_group<E>(all: &[E], group: usize, columns: usize) -> &[E] {
    if all.len() == 1 { all } else { &all[group * columns..][..columns] }
}

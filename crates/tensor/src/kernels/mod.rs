//! The loops beneath every operation. They take elements, layouts and sizes, and know nothing of tensors.
//!
//! A loop walks its operands in logical order, axes merged where the memory allows, and works on inner runs.

mod attention;
mod compiled;
mod conv;
mod copy;
pub(crate) mod eigh;
mod elementwise;
pub(crate) mod functions;
pub(crate) mod fused;
mod index;
mod int8;
pub(crate) mod linalg;
mod lines;
mod matmul;
mod norm;
mod parts;
mod pool;
pub(crate) mod range;
mod recurrent;
mod reduce;
pub(crate) mod reflect;
pub(crate) mod routine;
mod runs;
mod scan;
mod softmax;
pub(crate) mod squares;
pub(crate) mod svd;

pub(crate) use attention::{Attention, Head};
pub(crate) use compiled::{ElementKernels, Kernels, NumberKernels};
pub(crate) use conv::Geometry;
pub(crate) use copy::{Elements, copy, in_order};
pub(crate) use elementwise::{
    choose, map, map_function, map_inplace, zip, zip_inplace, zip_inplace_many, zip_many, zip_slices_inplace,
};
pub(crate) use index::{Additions, update};
pub(crate) use int8::{Panels, conv as int8_conv, convert as int8_convert};
pub(crate) use matmul::{Gemm, MatrixRef, overwrite_product, products};
pub(crate) use pool::{Window, Windows};
pub(crate) use recurrent::Sizes;
pub(crate) use reduce::{Fold, reduce, reduce_lanes};
pub(crate) use runs::for_each_run;
pub(crate) use scan::{recurrence, running_products, running_sums};
pub(crate) use squares::{mean_of_large_squares, squared_difference};

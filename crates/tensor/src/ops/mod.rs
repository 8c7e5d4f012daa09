//! The operations of tensors, one file for each family: an operation checks shapes, calls a kernel, and makes a tensor of
//! the result.

mod arithmetic;
mod attention;
mod compare;
pub(crate) mod conv;
pub(crate) mod convert;
pub(crate) mod count;
pub(crate) mod create;
mod decompositions;
mod diagonal;
mod einsum;
mod embedding;
mod index;
pub mod int8;
pub(crate) mod join;
mod linalg;
mod loss;
mod map;
mod math;
pub(crate) mod matmul;
pub(crate) mod matrix_norm;
mod norm;
pub(crate) mod pad;
pub(crate) mod pool;
pub(crate) mod random;
mod rearrange;
mod recurrent;
mod reduce;
mod repeat;
mod sample;
mod scan;
mod softmax;
mod sort;
mod stats;
mod subscript;
pub(crate) mod view;

/// The shape of the result of each operation, with all its checks; of a whole family, by the name of the operation for the
/// error. Elementwise operations of one operand need no such function.
///
/// ```
/// use gradus_tensor::shapes::{matmul_shape, reduced_shape};
///
/// assert_eq!(matmul_shape(&[5, 2, 3], &[3, 4]).unwrap().as_slice(), [5, 2, 4]);
/// let error = reduced_shape("sum", &[2, 3], &2.into()).unwrap_err();
/// assert_eq!(error.to_string(), "sum: axis 2 is out of range for shape [2, 3]: allowed are -2 to 1");
/// ```
#[doc(hidden)]
pub mod shapes {
    pub use crate::layout::place_of;

    pub use super::attention::attention_shape;
    pub use super::compare::where_shape;
    pub use super::conv::{conv2d_input_shape, conv2d_weight_shape};
    pub use super::decompositions::{
        eigh_shape, lstsq_shape, pinv_shape, qr_shape, svd_shape, svdvals_shape,
    };
    pub use super::diagonal::{diag_shape, diagonal_shape, trace_shape, triangle_shape};
    pub use super::einsum::{EinsumOperand, einsum};
    pub use super::embedding::{embedding_shape, one_hot_shape};
    pub use super::index::{gather_shape, index_add_shape, index_select_shape, scatter_shape};
    pub use super::join::{cat_shape, chunk_ranges, split_ranges, stack_shape};
    pub use super::linalg::{det_shape, inverse_shape, slogdet_shape, solve_shape};
    pub use super::matmul::{dot_shape, linear_shape, matmul_shape, outer_shape};
    pub use super::matrix_norm::matrix_norm_shape;
    pub use super::norm::normalized_shape;
    pub use super::pad::pad_shape;
    pub use super::pool::{pooled_gradient_shape, pooled_shape};
    pub use super::rearrange::rearrangement;
    pub use super::recurrent::{gru_shape, lstm_shape};
    pub use super::reduce::{extreme_shape, reduced_shape, sum_to_size_shape};
    pub use super::repeat::{repeat_interleave_shape, roll_shape, tile_shape};
    pub use super::scan::{lanes_shape, linear_recurrence_shape};
    pub use super::softmax::{
        check_targets, cross_entropy_shape, invalid_target, softmax_minus_one_hot_shape,
    };
    pub use super::sort::{quantile_shape, topk_shape};
    pub use super::stats::norm_shape;
    pub use super::subscript::{index_put_shape, index_shape};
    pub use super::view::{
        expand_shape, flatten_shape, flip_shape, permute_shape, reshape_shape, select_shape, slice_shape,
        squeeze_shape, t_shape, transpose_shape, unflatten_shape, unsqueeze_shape,
    };
    pub use crate::layout::copied;
    pub use crate::shape::broadcast_shapes;
}

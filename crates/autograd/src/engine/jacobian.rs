//! Whole matrices of derivatives, for small functions.

use gradus_tensor::{Float, Shape, Tensor};

use crate::engine::jvp;
use crate::engine::{vjp, vjp_create_graph};
use crate::tape::Var;

/// The derivatives of all elements of `y` with respect to all elements of `x`, of the shape of `y` followed by the
/// shape of `x`.
///
/// One pass for each element of `y`, or of `x` if those are fewer.
///
/// ```
/// use gradus_autograd::{Tensor, Var, jacobian};
///
/// let x = Var::leaf(Tensor::from([2.0, 3.0]));
/// let y = Var::constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).matmul(&x.square());
/// assert_eq!(jacobian(&y, &x), Tensor::from([[4.0, 12.0], [12.0, 24.0], [20.0, 36.0]]));
/// ```
///
/// # Panics
/// If `x` is a constant.
#[track_caller]
pub fn jacobian<T: Float>(y: &Var<T>, x: &Var<T>) -> Tensor<T> {
    check_tracked("jacobian", x);
    rows_of_jacobian(y, x, 0)
}

/// The second derivatives of a single number `y` with respect to all elements of `x`, of the shape of `x` twice. The
/// matrix is symmetric.
///
/// ```
/// use gradus_autograd::{Tensor, Var, hessian};
///
/// let x = Var::leaf(Tensor::from([2.0, 3.0]));
/// let y = x.prod(..) * x.select(0, 0); // x0^2 x1
/// assert_eq!(hessian(&y, &x), Tensor::from([[6.0, 4.0], [4.0, 0.0]]));
/// ```
///
/// # Panics
/// If `y` has not just one element, or `x` is a constant.
#[track_caller]
pub fn hessian<T: Float>(y: &Var<T>, x: &Var<T>) -> Tensor<T> {
    check_tracked("hessian", x);
    assert!(
        y.len() == 1,
        "hessian: the result has shape {:?}, and only one element has a Hessian; `batched_hessian` takes one for each row",
        y.shape()
    );
    second_derivatives(y, x, 0)
}

/// The [`jacobian`] of each row of a batch, of shape `[B, .., ..]`, for `y` and `x` of shape `[B, ..]`, where row b
/// of `y` depends on row b of `x` only. It takes as many passes as a single row.
///
/// ```
/// use gradus_autograd::{Tensor, Var, batched_jacobian};
///
/// let x = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
/// let y = x.prod(1);
/// assert_eq!(batched_jacobian(&y, &x), Tensor::from([[2.0, 1.0], [4.0, 3.0], [6.0, 5.0]]));
/// ```
///
/// # Panics
/// If `x` is a constant, or the first axes of `y` and `x` differ in size. That rows do not mix is not checked: the
/// derivatives of a row with respect to others would be added to its own.
#[track_caller]
pub fn batched_jacobian<T: Float>(y: &Var<T>, x: &Var<T>) -> Tensor<T> {
    check_tracked("batched_jacobian", x);
    check_rows("batched_jacobian", y, x);
    rows_of_jacobian(y, x, 1)
}

/// The [`hessian`] of each row of a batch, of shape `[B, .., ..]`, for `y` of shape `[B]` and `x` of shape `[B, ..]`,
/// where element b of `y` depends on row b of `x` only.
///
/// # Panics
/// Like [`batched_jacobian`], and if `y` is not 1-d.
#[track_caller]
pub fn batched_hessian<T: Float>(y: &Var<T>, x: &Var<T>) -> Tensor<T> {
    check_tracked("batched_hessian", x);
    check_rows("batched_hessian", y, x);
    assert!(y.rank() == 1, "batched_hessian: the result has shape {:?}: it must be [batch]", y.shape());
    second_derivatives(y, x, 1)
}

fn second_derivatives<T: Float>(y: &Var<T>, x: &Var<T>, batch_axes: usize) -> Tensor<T> {
    let gradient = if y.is_tracked() {
        vjp_create_graph(y, &Tensor::ones(y.shape()).into(), &[x]).remove(0)
    } else {
        None
    };
    // No gradient, or one that does not depend on anything: a function without curvature.
    let gradient = gradient.unwrap_or_else(|| Tensor::zeros(x.shape()).into());
    rows_of_jacobian(&gradient, x, batch_axes)
}

/// The Jacobian of every row, with `batch_axes` axes in front, 0 (all is one row) or 1.
fn rows_of_jacobian<T: Float>(y: &Var<T>, x: &Var<T>, batch_axes: usize) -> Tensor<T> {
    let (batch, y_row) = y.shape().split_at(batch_axes);
    let x_row = &x.shape()[batch_axes..];
    let rows: usize = batch.iter().product();
    let (outputs, inputs): (usize, usize) = (y_row.iter().product(), x_row.iter().product());
    let shape: Shape = [batch, y_row, x_row].concat().into();
    if !y.is_tracked() || shape.contains(&0) {
        return Tensor::zeros(shape);
    }
    // In every row the same element is 1 and all others are 0.
    let unit = |place: usize, width: usize, shape: &[usize]| {
        let row: Vec<T> = (0..width).map(|i| if i == place { T::ONE } else { T::ZERO }).collect();
        Tensor::from(row).expand([rows, width]).reshape(shape)
    };
    let matrices = if outputs <= inputs {
        let row = |i: usize| {
            let gradient = vjp(y, &unit(i, outputs, y.shape()), &[x]).remove(0);
            gradient.map_or_else(|| Tensor::zeros([rows, inputs]), |g| g.value().reshape([rows, inputs]))
        };
        Tensor::stack(&(0..outputs).map(row).collect::<Vec<_>>().iter().collect::<Vec<_>>(), 1)
    } else {
        let column = |j: usize| jvp(y, &[x], &[unit(j, inputs, x.shape())]).reshape([rows, outputs]);
        Tensor::stack(&(0..inputs).map(column).collect::<Vec<_>>().iter().collect::<Vec<_>>(), 2)
    };
    matrices.reshape(shape)
}

#[track_caller]
fn check_tracked<T: Float>(function: &str, x: &Var<T>) {
    assert!(
        x.is_tracked(),
        "{function}: x is a constant; make it with `Var::leaf` to ask for derivatives with respect to it"
    );
}

#[track_caller]
fn check_rows<T: Float>(function: &str, y: &Var<T>, x: &Var<T>) {
    assert!(
        y.rank() > 0 && x.rank() > 0 && y.shape()[0] == x.shape()[0],
        "{function}: the result has shape {:?}, x {:?}: both must begin with the size of the batch",
        y.shape(),
        x.shape()
    );
}

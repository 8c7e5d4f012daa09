//! Decompositions of matrices, least squares and norms of matrices.
//!
//! The factors of a decomposition come from one computation and lie below each other in one result, of which users see
//! views. The singular values have an operation of their own, as have the eigenvalues: their derivatives exist where those
//! of the vectors do not.

use gradus_tensor::shapes::{
    eigh_shape, lstsq_shape, matrix_norm_shape, pinv_shape, qr_shape, svd_shape, svdvals_shape,
};
use gradus_tensor::{Float, MatrixNorm, OrPanic, Shape, Slice, Tensor, TensorError, keepdim};

use super::join::cat;
use super::linalg::{or_nan, solve_upper};
use super::operations::operations;
use crate::tape::{Operation, Saves, Var, apply, apply_computed, watch};

operations! {
    // Townsend, "Differentiating the singular value decomposition", 2016.
    Nonlinear Svdvals {}: "svdvals", saves Saves::INPUTS,
        shape |x| svdvals_shape(x[0]),
        forward |x| or_nan(x[0].svdvals(), &svdvals_shape(x[0].shape()).or_panic()),
        vjp |context, _| {
            let x = context.input(0);
            let [u, _, v] = svd_parts(&apply(Svd, &[&x]), x.shape());
            (u * context.cotangent().unsqueeze(-2)).matmul(&v.t())
        };

    // Townsend, 2016; the divisors s_j^2 - s_i^2 in partial fractions.
    Nonlinear Svd {}: "svd", saves Saves::OUTPUT,
        shape |x| svd_shape("svd", x[0]),
        forward |x| or_nan(x[0].svd_packed("svd"), &svd_shape("svd", x[0].shape()).or_panic()),
        vjp |context, _| {
            let shape = context.shape(0);
            let [m, n] = sizes(shape);
            let [u, s, v] = svd_parts(&context.output(), shape);
            let [of_u, of_s, of_v] = svd_parts(context.cotangent(), shape);
            let [turn_u, turn_v] = [u.t().matmul(&of_u), v.t().matmul(&of_v)];
            let [skew_u, skew_v] = [&turn_u, &turn_v].map(|turn| turn - turn.t());
            let between = (&skew_u + &skew_v) * inverse_gaps(&s) + (skew_u - skew_v) * off_diagonal((&s + s.t()).reciprocal());
            let inner = between * T::from_f64(0.5) + diagonal(&of_s);
            let mut gradient = u.matmul(&inner).matmul(&v.t());
            let inverse = inverse_or_nan(&s, &s);
            if m > n {
                gradient += ((of_u - u.matmul(&turn_u)) * inverse).matmul(&v.t());
            } else if m < n {
                gradient += u.matmul(&((of_v - v.matmul(&turn_v)) * inverse).t());
            }
            gradient
        };

    // Walter and Lehmann, "Algorithmic differentiation of linear algebra functions", 2010; for wide matrices A = [X Y],
    // of which only X is decomposed, and R = [U, Q^T Y].
    Nonlinear Qr {}: "qr", saves Saves::ALL,
        shape |x| qr_shape(x[0]),
        forward |x| x[0].qr_packed(),
        vjp |context, _| {
            let [m, n] = sizes(context.shape(0));
            let k = m.min(n);
            let (factors, cotangents) = (context.output(), context.cotangent());
            let [q, of_q] = [&factors, cotangents].map(|x| rows(x, 0, m));
            let [r, of_r] = [&factors, cotangents].map(|x| rows(x, m, m + k).t());
            if m >= n {
                return Some(qr_gradient(&q, &r, &of_q, &of_r));
            }
            let of_rest = rows(cotangents, m + k, m + n).t();
            let rest = context.input(0).slice(-1, Slice::from(k..));
            let of_x = qr_gradient(&q, &r, &(of_q + rest.matmul(&of_rest.t())), &of_r);
            cat(&[&of_x, &q.matmul(&of_rest)], -1)
        };

    // Giles, "An extended collection of matrix derivative results", 2008, section 3.1.
    Nonlinear Eigvalsh {}: "eigvalsh", saves Saves::INPUTS,
        shape |x| eigvalsh_shape(x[0]),
        forward |x| or_nan(x[0].eigvalsh(), &eigvalsh_shape(x[0].shape()).or_panic()),
        vjp |context, _| {
            let x = context.input(0);
            let [_, vectors] = eigh_parts(&apply(Eigh, &[&x]));
            (&vectors * context.cotangent().unsqueeze(-2)).matmul(&vectors.t())
        };

    // Giles, 2008, section 3.1.
    Nonlinear Eigh {}: "eigh", saves Saves::OUTPUT,
        shape |x| eigh_shape("eigh", x[0]),
        forward |x| or_nan(x[0].eigh_packed("eigh"), &eigh_shape("eigh", x[0].shape()).or_panic()),
        vjp |context, _| {
            let [values, vectors] = eigh_parts(&context.output());
            let [of_values, of_vectors] = eigh_parts(context.cotangent());
            let inner = vectors.t().matmul(&of_vectors) * inverse_gaps(&values) + diagonal(&of_values);
            let inner = (&inner + inner.t()) * T::from_f64(0.5);
            vectors.matmul(&inner).matmul(&vectors.t())
        };

    // Golub and Pereyra, "The differentiation of pseudo-inverses ...", 1973, for matrices of constant rank.
    Nonlinear Pinv {}: "pinv", saves Saves::ALL,
        shape |x| pinv_shape(x[0]),
        forward |x| or_nan(x[0].pinv(), &pinv_shape(x[0].shape()).or_panic()),
        vjp |context, _| pinv_gradient(&context.input(0), &context.output(), context.cotangent());

    // The product of `pinv` and the right side.
    Nonlinear Lstsq {}: "lstsq", saves Saves::INPUTS,
        shape |x| lstsq_shape(x[0], x[1]),
        forward |x| or_nan(x[0].lstsq(x[1]), &lstsq_shape(x[0].shape(), x[1].shape()).or_panic()),
        vjp |context, input| {
            let inverse = apply(Pinv, &[&context.input(0)]);
            if input == 1 {
                return Some(inverse.t().matmul(context.cotangent()));
            }
            let of_inverse = context.cotangent().matmul(&context.input(1).t());
            pinv_gradient(&context.input(0), &inverse, &of_inverse)
        };
}

fn eigvalsh_shape(shape: &[usize]) -> Result<Shape, TensorError> {
    let shape = eigh_shape("eigvalsh", shape)?;
    Ok(shape[..shape.len() - 2].iter().chain(&shape[shape.len() - 1..]).copied().collect())
}

fn sizes(shape: &[usize]) -> [usize; 2] {
    [shape[shape.len() - 2], shape[shape.len() - 1]]
}

/// Some rows of matrices.
fn rows<T: Float>(x: &Var<T>, from: usize, to: usize) -> Var<T> {
    x.slice(-2, Slice::from(from..to))
}

/// U, a row of singular values, and V, from what lies below each other.
fn svd_parts<T: Float>(packed: &Var<T>, shape: &[usize]) -> [Var<T>; 3] {
    let [m, n] = sizes(shape);
    [rows(packed, 0, m), rows(packed, m, m + 1), rows(packed, m + 1, m + 1 + n)]
}

/// A row of eigenvalues, and eigenvectors.
fn eigh_parts<T: Float>(packed: &Var<T>) -> [Var<T>; 2] {
    let [_, n] = sizes(packed.shape());
    [rows(packed, n, n + 1), rows(packed, 0, n)]
}

/// A row of numbers on the diagonal of a matrix.
fn diagonal<T: Float>(row: &Var<T>) -> Var<T> {
    row * Tensor::eye(row.shape()[row.rank() - 1])
}

/// A matrix with zeros on the diagonal.
fn off_diagonal<T: Float>(x: Var<T>) -> Var<T> {
    x.masked_fill(Tensor::<T>::eye(x.shape()[x.rank() - 1]).gt(T::ZERO), T::ZERO)
}

/// The matrix of `1 / (s_j - s_i)`, 0 on the diagonal, from a row s. Where two numbers differ by no more than rounding, the
/// vectors have no derivative: any others of their plane would do. There it is NaN.
fn inverse_gaps<T: Float>(s: &Var<T>) -> Var<T> {
    off_diagonal(inverse_or_nan(&(s - s.t()), s))
}

/// The inverses of numbers, NaN where one is no more than a rounding error of the row s.
fn inverse_or_nan<T: Float>(x: &Var<T>, s: &Var<T>) -> Var<T> {
    let rounding = s.norm(2.0, keepdim(-1)) * (T::EPSILON * T::from_f64(8.0));
    Var::where_(x.abs().gt(rounding), x.reciprocal(), Var::constant(Tensor::scalar(T::NAN)))
}

/// The gradient of QR for at least as many rows as columns.
fn qr_gradient<T: Float>(q: &Var<T>, r: &Var<T>, of_q: &Var<T>, of_r: &Var<T>) -> Var<T> {
    let product = r.matmul(&of_r.t()) - of_q.t().matmul(q);
    let symmetric = product.tril(0) + product.tril(-1).t();
    let left = of_q + q.matmul(&symmetric);
    solve_upper(r, &left.t()).t()
}

fn pinv_gradient<T: Float>(a: &Var<T>, inverse: &Var<T>, cotangent: &Var<T>) -> Var<T> {
    let (p, pt, gt) = (inverse, inverse.t(), cotangent.t());
    let inside = pt.matmul(cotangent).matmul(&pt);
    let left = &gt - a.matmul(&p.matmul(&gt));
    let right = &gt - gt.matmul(p).matmul(a);
    left.matmul(p).matmul(&pt) + pt.matmul(p).matmul(&right) - inside
}

/// The value of an operation and the operation itself, for a result that only the numbers decide about.
#[track_caller]
fn computed<T: Float>(
    operation: impl Operation<T>,
    inputs: &[&Var<T>],
    compute: impl FnOnce() -> Result<Tensor<T>, TensorError>,
) -> Result<Var<T>, TensorError> {
    // Here, as a closure does not know its caller.
    let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape()).collect();
    operation.shape(&shapes).transpose().or_panic();
    let name = operation.name();
    let frame = watch::begin(|| name);
    Ok(apply_computed(operation, inputs, compute()?, frame))
}

/// Decompositions of matrices `[..., m, n]`; k is the smaller of m and n.
///
/// ```
/// use gradus_autograd::{MatrixNorm, Tensor, Var};
///
/// let x = Var::leaf(Tensor::from([[3.0, 0.0], [0.0, 2.0]]));
/// let [u, s, vh] = x.svd()?;
/// assert_eq!(s.value(), &Tensor::from([3.0, 2.0]));
/// assert_eq!((u * s).matmul(&vh).value(), x.value());
/// // The gradient of the sum of the singular values is U Vh.
/// let norm = x.matrix_norm(MatrixNorm::Nuclear);
/// assert_eq!(norm.backward().get(&x), Some(&Tensor::eye(2)));
/// # Ok::<(), gradus_autograd::TensorError>(())
/// ```
///
/// # Derivatives where vectors are a choice
/// Where singular values or eigenvalues are equal within rounding (8 eps of the 2-norm of all of them), any other vectors
/// of their plane would do, and the derivatives of `svd` and `eigh` with respect to the vectors are NaN; so are all
/// derivatives through U or V where a singular value is 0 within rounding and A is not square. A gradient that came from
/// vectors is therefore never silently wrong. Values alone (`svdvals`, `eigvalsh`, the S of `svd`), norms, `pinv` and `lstsq` have
/// their derivatives there, too; only their second derivatives are NaN, but not the second derivatives of `pinv` and `lstsq`. At a
/// repeated value the gradient of one of the equals comes from the vector found; functions that treat equals alike, such as
/// a sum, do not depend on this.
impl<T: Float> Var<T> {
    /// The thin singular value decomposition `A = U diag(S) Vh`, as [`Tensor::svd`](gradus_tensor::Tensor::svd) gives it:
    /// U `[..., m, k]`, S `[..., k]`, Vh `[..., k, n]`.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix holds NaN or infinity.
    #[track_caller]
    pub fn svd(&self) -> Result<[Self; 3], TensorError> {
        let packed = computed(Svd, &[self], || self.numbers().svd_packed("svd"))?;
        let [u, s, v] = svd_parts(&packed, self.shape());
        // The values again, as an operation whose gradient needs no distances between them.
        let s = apply_computed(Svdvals, &[self], s.numbers().squeeze(-2), watch::begin(|| "svdvals"));
        Ok([u, s, v.t()])
    }

    /// The singular values alone, `[..., k]`, in falling order.
    ///
    /// # Errors
    /// As [`svd`](Self::svd).
    #[track_caller]
    pub fn svdvals(&self) -> Result<Self, TensorError> {
        computed(Svdvals, &[self], || self.numbers().svdvals())
    }

    /// The reduced QR decomposition `A = Q R`, as [`Tensor::qr`](gradus_tensor::Tensor::qr) gives it: Q `[..., m, k]`,
    /// R `[..., k, n]`.
    ///
    /// Its derivatives are infinite or NaN where the first k columns of A are dependent.
    #[track_caller]
    pub fn qr(&self) -> [Self; 2] {
        qr_shape(self.shape()).or_panic();
        let packed = apply(Qr, &[self]);
        let [m, n] = sizes(self.shape());
        [rows(&packed, 0, m), rows(&packed, m, m + n).t()]
    }

    /// The eigenvalues, `[..., n]` in rising order, and the eigenvectors, `[..., n, n]` as columns, of symmetric matrices, as
    /// [`Tensor::eigh`](gradus_tensor::Tensor::eigh) gives them. A matrix A that is not symmetric counts as
    /// `(A + A^T) / 2`.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix holds NaN or infinity.
    #[track_caller]
    pub fn eigh(&self) -> Result<[Self; 2], TensorError> {
        let packed = computed(Eigh, &[self], || self.numbers().eigh_packed("eigh"))?;
        let [values, vectors] = eigh_parts(&packed);
        let values = values.numbers().squeeze(-2);
        Ok([apply_computed(Eigvalsh, &[self], values, watch::begin(|| "eigvalsh")), vectors])
    }

    /// The eigenvalues alone, `[..., n]`, in rising order.
    ///
    /// # Errors
    /// As [`eigh`](Self::eigh).
    #[track_caller]
    pub fn eigvalsh(&self) -> Result<Self, TensorError> {
        computed(Eigvalsh, &[self], || self.numbers().eigvalsh())
    }

    /// The pseudoinverse, `[..., m, n]` to `[..., n, m]`, as [`Tensor::pinv`](gradus_tensor::Tensor::pinv) gives it. Its
    /// derivatives are those among matrices of the same rank.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix holds NaN or infinity.
    #[track_caller]
    pub fn pinv(&self) -> Result<Self, TensorError> {
        computed(Pinv, &[self], || self.numbers().pinv())
    }

    /// The X with the smallest `|A X - B|`, and of these the smallest, as
    /// [`Tensor::lstsq`](gradus_tensor::Tensor::lstsq) gives it. Its derivatives are those among matrices of the same
    /// rank.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix of A holds NaN or infinity.
    #[track_caller]
    pub fn lstsq(&self, b: &Self) -> Result<Self, TensorError> {
        lstsq_shape(self.shape(), b.shape()).or_panic();
        if b.rank() == 1 {
            return Ok(self.lstsq(&b.unsqueeze(1))?.squeeze(-1));
        }
        computed(Lstsq, &[self, b], || self.numbers().lstsq(b.numbers()))
    }

    /// A norm of each matrix, `[..., m, n]` to `[...]`.
    ///
    /// See [`Tensor::matrix_norm`](gradus_tensor::Tensor::matrix_norm) for shapes and panics.
    #[track_caller]
    pub fn matrix_norm(&self, norm: MatrixNorm) -> Self {
        matrix_norm_shape(self.shape(), norm).or_panic();
        let singular = || apply(Svdvals, &[self]);
        let sums = |axis: isize| self.abs().sum(axis);
        match norm {
            MatrixNorm::Frobenius => self.norm(2.0, [-2, -1]),
            MatrixNorm::Nuclear => singular().sum(-1),
            MatrixNorm::Spectral => singular().max(-1),
            MatrixNorm::SmallestSingular => singular().min(-1),
            MatrixNorm::LargestColumn => sums(-2).max(-1),
            MatrixNorm::SmallestColumn => sums(-2).min(-1),
            MatrixNorm::LargestRow => sums(-1).max(-1),
            MatrixNorm::SmallestRow => sums(-1).min(-1),
        }
    }
}

/// The matrix plus numbers on the diagonal, all different, that keep singular values and eigenvalues apart.
#[cfg(feature = "proptest")]
fn apart<T: Float>(x: &Var<T>) -> Var<T> {
    let [m, n] = sizes(x.shape());
    let diagonal = Tensor::<i64>::arange(0, m as i64, 1).unsqueeze(1).zip(
        "apart",
        &Tensor::arange(0, n as i64, 1),
        |row, column| T::from_f64(if row == column { 4.0 + 4.0 * row as f64 } else { 0.0 }),
    );
    x + diagonal
}

/// The shape of matrices in a stack.
#[cfg(feature = "proptest")]
fn matrices(front: &[usize], m: usize, n: usize) -> Vec<usize> {
    [front, &[m, n]].concat()
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    use proptest::prelude::*;
    use proptest::sample::select;
    let stacks = || (shapes(0..=1, 0..=2), 0..=4_usize, 0..=4_usize);
    let squares = || (shapes(0..=1, 0..=2), 0..=4_usize);
    vec![
        // All three results, weighted so that none cancels.
        case!("svd", (front, m, n) in stacks(), [matrices(&front, m, n) => -1.0..1.0], |x| {
            let [u, s, vh] = apart(x).svd().expect("finite");
            cat(&[&(u.sin() * s.unsqueeze(-2)), &vh.t().square()], -2)
        }),
        case!("svdvals", (front, m, n) in stacks(), [matrices(&front, m, n) => -1.0..1.0], |x| {
            apart(x).svdvals().expect("finite")
        }),
        case!("qr", (front, m, n) in stacks(), [matrices(&front, m, n) => -1.0..1.0], |x| {
            let [q, r] = apart(x).qr();
            cat(&[&q, &r.t()], -2)
        }),
        case!("eigh", (front, n) in squares(), [matrices(&front, n, n) => -1.0..1.0], |x| {
            let [values, vectors] = apart(x).eigh().expect("finite");
            vectors.sin() * values.unsqueeze(-2)
        }),
        case!("eigvalsh", (front, n) in squares(), [matrices(&front, n, n) => -1.0..1.0], |x| {
            apart(x).eigvalsh().expect("finite")
        }),
        case!("pinv", (front, m, n) in stacks(), [matrices(&front, m, n) => -1.0..1.0], |x| {
            apart(x).pinv().expect("finite")
        }),
        case!(
            "lstsq", ((front, m, n), columns, broadcast) in (stacks(), 0..=3_usize, any::<bool>()),
            [
                matrices(if broadcast { &[] } else { &front }, m, n) => -1.0..1.0,
                matrices(&front, m, columns),
            ],
            |a, b| apart(a).lstsq(b).expect("finite")
        ),
        case!(
            "matrix_norm", ((front, m, n), norm) in (stacks(), select(&[
                MatrixNorm::Frobenius, MatrixNorm::Nuclear, MatrixNorm::Spectral, MatrixNorm::SmallestSingular,
                MatrixNorm::LargestColumn, MatrixNorm::SmallestColumn, MatrixNorm::LargestRow, MatrixNorm::SmallestRow,
            ][..])),
            [matrices(&front, m + 1, n + 1) => -1.0..1.0],
            |x| apart(x).matrix_norm(norm)
        ),
    ]
}

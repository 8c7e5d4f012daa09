//! Linear equations, inverses and determinants.

use gradus_tensor::shapes::{broadcast_shapes, det_shape, inverse_shape, slogdet_shape, solve_shape};
use gradus_tensor::{Float, OrPanic, Tensor, TensorError};

use super::chained;
use super::operations::operations;
use crate::tape::{Batch, Operation, Saves, Var, apply, apply_computed, watch};

/// The result, or NaN in place of an error, which the methods of [`Var`] return before anything is recorded.
pub(super) fn or_nan<T: Float>(result: Result<Tensor<T>, TensorError>, shape: &[usize]) -> Tensor<T> {
    result.unwrap_or_else(|_| Tensor::full(shape, T::NAN))
}

operations! {
    // Murray, "Differentiation of the Cholesky decomposition", 2016, equation 10.
    Nonlinear Cholesky {}: "cholesky", saves Saves::OUTPUT,
        shape |x| inverse_shape("cholesky", x[0]),
        forward |x| or_nan(x[0].cholesky(), x[0].shape()),
        vjp |context, _| {
            let transposed = context.output().t();
            let weights = |diagonal| triangle::<T>(context.shape(0), false, diagonal);
            let inner = transposed.matmul(&(context.cotangent() * weights(1.0))) * weights(0.5);
            let solved = |b: &Var<T>| apply(SolveTriangular { upper: true }, &[&transposed, b]);
            let gradient = solved(&solved(&inner).t());
            (&gradient + gradient.t()) * T::from_f64(0.5)
        },
        batched |batch| batch.apply(Self);

    // Giles, "An extended collection of matrix derivative results", 2008, section 2.3.1.
    Nonlinear Solve {}: "solve",
        shape |x| solve_shape("solve", x[0], x[1]),
        forward |x| or_nan(x[0].solve(x[1]), x[1].shape()),
        vjp |context, input| {
            let of_right = apply(Solve, &[&context.input(0).t(), context.cotangent()]);
            if input == 1 { of_right } else { -of_right.matmul(&context.output().t()) }
        },
        batched |batch| solved(batch, Self);

    // As `Solve`, for the triangle that is read.
    Nonlinear SolveTriangular { upper: bool }: "solve_triangular",
        shape |x| solve_shape("solve_triangular", x[0], x[1]),
        forward |x| or_nan(x[0].solve_triangular(x[1], *upper), x[1].shape()),
        vjp |context, input| {
            let of_right = apply(Self { upper: !upper }, &[&context.input(0).t(), context.cotangent()]);
            if input == 1 {
                of_right
            } else {
                -of_right.matmul(&context.output().t()) * triangle::<T>(context.shape(0), *upper, 1.0)
            }
        },
        batched |batch| solved(batch, Self { upper: *upper });

    // Giles, 2008, section 2.2.3.
    Nonlinear Inverse {}: "inverse", saves Saves::OUTPUT,
        shape |x| inverse_shape("inverse", x[0]),
        forward |x| or_nan(x[0].inverse(), x[0].shape()),
        vjp |context, _| {
            let transposed = context.output().t();
            -transposed.matmul(context.cotangent()).matmul(&transposed)
        },
        jvp |context, _| {
            let y = context.output();
            -y.matmul(context.tangent()).matmul(&y)
        },
        batched |batch| batch.apply(Self);

    Nonlinear Det {}: "det", saves Saves::INPUTS,
        shape |x| det_shape("det", x[0]),
        forward |x| x[0].det(),
        vjp |context, _| of_matrices(context.cotangent()) * cofactors(&context.input(0)),
        batched |batch| batch.apply(Self);

    // Giles, 2008, section 2.2.4.
    Nonlinear Logdet {}: "logdet", saves Saves::INPUTS,
        shape |x| det_shape("logdet", x[0]),
        forward |x| x[0].logdet(),
        vjp |context, _| of_matrices(context.cotangent()) * apply(Inverse, &[&context.input(0)]).t(),
        batched |batch| batch.apply(Self);

    // As `Logdet`; the sign does not change among regular matrices.
    Nonlinear Slogdet {}: "slogdet", saves Saves::INPUTS,
        shape |x| slogdet_shape(x[0]),
        forward |x| {
            let [sign, logarithm] = x[0].slogdet();
            Tensor::stack(&[&sign, &logarithm], -1)
        },
        vjp |context, _| {
            let of_logarithm = of_matrices(&context.cotangent().select(-1, 1));
            // A singular matrix, whose inverse is NaN, still has a sign, and its derivative is 0.
            chained(&apply(Inverse, &[&context.input(0)]).t(), &of_logarithm)
        };
}

/// The solution of equations with a triangular matrix, NaN for a singular one.
pub(super) fn solve_upper<T: Float>(a: &Var<T>, b: &Var<T>) -> Var<T> {
    apply(SolveTriangular { upper: true }, &[a, b])
}

/// The solutions of the systems of all examples.
fn solved<T: Float>(batch: &Batch<T>, operation: impl Operation<T>) -> Var<T> {
    let rank = batch.shape(0).len().max(batch.shape(1).len());
    let [a, b] = [0, 1].map(|input| batch.var(input));
    if batch.shape(1).len() > 1 {
        let aligned = |x: &Var<T>| {
            let ones = vec![1; rank + 1 - x.rank()];
            x.reshape([&[batch.size()], &ones[..], &x.shape()[1..]].concat())
        };
        return apply(operation, &[&aligned(&a), &aligned(&b)]);
    }
    // The right side is a vector.
    apply(operation, &[&a, &b.unsqueeze(-1)]).squeeze(-1)
}

/// One number for each matrix, in the shape that broadcasts to the matrices.
pub(super) fn of_matrices<T: Float>(x: &Var<T>) -> Var<T> {
    x.unsqueeze(-1).unsqueeze(-1)
}

/// The derivative of a determinant by the elements: `det(A) A^-T`; where that is no number, or has few digits, the
/// determinants of what is left without a row and a column, which are right for singular matrices too.
fn cofactors<T: Float>(x: &Var<T>) -> Var<T> {
    /// The largest regular matrix whose determinants without a row and a column are computed: there are n^2.
    const MOST: usize = 16;
    let n = x.shape()[x.rank() - 1];
    if n <= 1 {
        return Var::constant(Tensor::ones(x.shape()));
    }
    if is_regular(x.value()) {
        let determinants = apply(Det, &[x]);
        let in_range = |x: T| x.is_finite() && x.abs() >= T::MIN_POSITIVE;
        if n > MOST || determinants.value().iter().all(in_range) {
            return of_matrices(&determinants) * apply(Inverse, &[x]).t();
        }
    }
    let all = n as i64;
    // Of all rows and columns, those that are left without one.
    let without = |left_out: i64| (0..all).filter(move |&i| i != left_out);
    let mut index = Vec::with_capacity(n * n * (n - 1) * (n - 1));
    let mut signs = Vec::with_capacity(n * n);
    for (row, column) in (0..all).flat_map(|row| (0..all).map(move |column| (row, column))) {
        index.extend(without(row).flat_map(|i| without(column).map(move |j| i * all + j)));
        signs.push(if (row + column) % 2 == 0 { T::ONE } else { -T::ONE });
    }
    let front = &x.shape()[..x.rank() - 2];
    let elements = x.reshape([front, &[n * n]].concat()).index_select(-1, Tensor::from(index));
    let minors = apply(Det, &[&elements.reshape([front, &[n * n, n - 1, n - 1]].concat())]);
    (minors * Tensor::from(signs)).reshape(x.shape())
}

/// Whether the inverses are right to about half of the digits at least.
fn is_regular<T: Float>(x: &Tensor<T>) -> bool {
    const CONDITION: f64 = 1e7;
    let norm = |x: &Tensor<T>| x.norm(2.0, [-2, -1]).cast::<f64>();
    x.inverse().is_ok_and(|inverse| (norm(x) * norm(&inverse)).lt(CONDITION).all(..).item())
}

/// A mask that keeps one triangle of a matrix: ones, and this number on the diagonal.
fn triangle<T: Float>(shape: &[usize], upper: bool, diagonal: f64) -> Tensor<T> {
    let places = Tensor::arange(0, shape[shape.len() - 1] as i64, 1);
    let weight = move |row: i64, column: i64| {
        T::from_f64(if row == column { diagonal } else { f64::from((row < column) == upper) })
    };
    places.unsqueeze(1).zip("triangle", &places, weight)
}

impl<T: Float> Var<T> {
    /// The lower triangular L with `L L^T = (A + A^T) / 2`, for positive definite matrices, `[..., n, n]`.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[4.0, 2.0], [2.0, 5.0]]));
    /// let l = x.cholesky()?;
    /// assert_eq!(l.value(), &Tensor::from([[2.0, 0.0], [1.0, 2.0]]));
    /// // The product of the diagonal is the root of the determinant.
    /// let root = l.select(0, 0).select(0, 0) * l.select(0, 1).select(0, 1);
    /// assert_eq!(root.backward().get(&x), Some(&Tensor::from([[0.625, -0.25], [-0.25, 0.5]])));
    /// # Ok::<(), gradus_autograd::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is not positive definite.
    ///
    /// # Panics
    /// If the last two axes are not of one size.
    #[track_caller]
    pub fn cholesky(&self) -> Result<Self, TensorError> {
        let frame = watch::begin(|| "cholesky");
        Ok(apply_computed(Cholesky, &[self], self.numbers().cholesky()?, frame))
    }

    /// The X with `A X = B`, for this A, `[..., n, n]`, and B, `[..., n, k]`, or `[n]` if A is one matrix. Axes in
    /// front broadcast.
    ///
    /// See [`Tensor::solve`](gradus_tensor::Tensor::solve) for shapes and panics.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular.
    #[track_caller]
    pub fn solve(&self, b: &Self) -> Result<Self, TensorError> {
        system(self, b, Solve, Tensor::solve)
    }

    /// The X with `A X = B` as in [`solve`](Self::solve), for a triangular A: what lies on the other side of the
    /// diagonal is not read.
    ///
    /// See [`Tensor::solve_triangular`](gradus_tensor::Tensor::solve_triangular) for shapes and panics.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular: there is a 0 on its diagonal.
    #[track_caller]
    pub fn solve_triangular(&self, b: &Self, upper: bool) -> Result<Self, TensorError> {
        system(self, b, SolveTriangular { upper }, |a, b| a.solve_triangular(b, upper))
    }

    /// The inverse of matrices, `[..., n, n]`.
    ///
    /// See [`Tensor::inverse`](gradus_tensor::Tensor::inverse) for shapes and panics.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular.
    #[track_caller]
    pub fn inverse(&self) -> Result<Self, TensorError> {
        let frame = watch::begin(|| "inverse");
        Ok(apply_computed(Inverse, &[self], self.numbers().inverse()?, frame))
    }

    /// The determinants of matrices: `[..., n, n]` to `[...]`.
    ///
    /// Its derivatives are right at singular matrices, too, but there they take much longer for large ones: about
    /// n^5 operations.
    ///
    /// See [`Tensor::det`](gradus_tensor::Tensor::det) for shapes and panics.
    #[track_caller]
    pub fn det(&self) -> Self {
        apply(Det, &[self])
    }

    /// The logarithms of determinants, `[..., n, n]` to `[...]`: minus infinity for 0, and NaN for a negative one.
    ///
    /// See [`Tensor::logdet`](gradus_tensor::Tensor::logdet) for shapes and panics.
    #[track_caller]
    pub fn logdet(&self) -> Self {
        apply(Logdet, &[self])
    }

    /// The sign of the determinants, -1, 0 or 1, and the logarithm of their magnitudes: `[..., n, n]` to `[...]` twice.
    ///
    /// See [`Tensor::slogdet`](gradus_tensor::Tensor::slogdet) for panics.
    #[track_caller]
    pub fn slogdet(&self) -> [Self; 2] {
        let both = apply(Slogdet, &[self]);
        [0, 1].map(|i| both.select(-1, i))
    }
}

/// The solution of a system of equations, whose sides get the same axes in front, and the right one columns.
#[track_caller]
fn system<T: Float>(
    a: &Var<T>,
    b: &Var<T>,
    operation: impl Operation<T>,
    solve: impl FnOnce(&Tensor<T>, &Tensor<T>) -> Result<Tensor<T>, TensorError>,
) -> Result<Var<T>, TensorError> {
    let name = operation.name();
    solve_shape(name, a.shape(), b.shape()).or_panic();
    let column = b.rank() == 1;
    let b = if column { b.unsqueeze(1) } else { b.clone() };
    let [(front_a, _), (front_b, _)] = [a, &b].map(|x| x.shape().split_at(x.rank() - 2));
    let front = broadcast_shapes(name, front_a, front_b).or_panic();
    let stacked = |x: &Var<T>| {
        let (own, matrix) = x.shape().split_at(x.rank() - 2);
        if own == &front[..] { x.clone() } else { x.expand([&front[..], matrix].concat()) }
    };
    let (a, b) = (stacked(a), stacked(&b));
    let frame = watch::begin(|| name);
    let value = solve(a.numbers(), b.numbers())?;
    let x = apply_computed(operation, &[&a, &b], value, frame);
    Ok(if column { x.squeeze(-1) } else { x })
}

/// The shape of square matrices in a stack.
#[cfg(feature = "proptest")]
fn square(front: &[usize], n: usize) -> Vec<usize> {
    [front, &[n, n]].concat()
}

/// Matrices far from singular: on the diagonal there is more than beside it.
#[cfg(feature = "proptest")]
fn regular<T: Float>(x: &Var<T>) -> Var<T> {
    x + Tensor::eye(x.shape()[x.rank() - 1]) * T::from_f64(5.0)
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    use proptest::prelude::*;
    // Matrices in a stack, of one size.
    let stacks = || (shapes(0..=2, 0..=3), 0..=4_usize);
    vec![
        case!("cholesky", (front, n) in stacks(), [square(&front, n) => -1.0..1.0], |x| {
            regular(x).cholesky().expect("positive definite")
        }),
        case!(
            "solve", (front, n, columns, broadcast) in (shapes(0..=2, 0..=3), 0..=4_usize, 0..=3_usize, any::<bool>()),
            [
                square(if broadcast { &[] } else { &front }, n) => -1.0..1.0,
                [&front[..], &[n, columns]].concat(),
            ],
            |a, b| regular(a).solve(b).expect("regular")
        ),
        case!(
            "solve_triangular", (front, n, columns, upper) in (shapes(0..=2, 0..=3), 0..=4_usize, 0..=3_usize, any::<bool>()),
            [square(&front, n) => -1.0..1.0, [&front[..], &[n, columns]].concat()],
            |a, b| regular(a).solve_triangular(b, upper).expect("regular")
        ),
        case!("inverse", (front, n) in stacks(), [square(&front, n) => -1.0..1.0], |x| {
            regular(x).inverse().expect("regular")
        }),
        // Also of singular matrices, with a row of zeros; of nearly singular ones, where digits are lost, by no law.
        case!("det", (front, n, factor) in (shapes(0..=1, 0..=3), 0..=3_usize, prop_oneof![Just(0.0), Just(1.0)]),
        [square(&front, n) => -1.0..1.0], |x| {
            let n = x.shape()[x.rank() - 1];
            let first = Tensor::arange(0, n as i64, 1).map(|row| if row == 0 { factor } else { 1.0 });
            (regular(x) * first.unsqueeze(1).cast()).det()
        }),
        case!("logdet", (front, n) in stacks(), [square(&front, n) => -1.0..1.0], |x| regular(x).logdet()),
        case!("slogdet", (front, n) in stacks(), [square(&front, n) => -1.0..1.0], |x| {
            let [sign, logarithm] = (-regular(x)).slogdet();
            sign * logarithm
        }),
    ]
}

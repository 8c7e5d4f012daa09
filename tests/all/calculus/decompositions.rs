//! Gradients of decompositions where singular values or eigenvalues are equal or 0: right, or NaN, but never silently wrong.

use gradus::{MatrixNorm, OrPanic, Tensor, Var, grad, grad_create_graph};

type F = Tensor<f64>;

fn gradient(x: &F, f: impl Fn(&Var<f64>) -> Var<f64>) -> F {
    let x = Var::leaf(x);
    grad(&f(&x), &[&x]).remove(0).into_value()
}

fn near(got: &F, expected: &F) {
    let error = (got - expected).abs().max(..).item();
    assert!(error < 1e-12, "{got} instead of {expected}");
}

/// A symmetric matrix with the eigenvalues 2, 2 and -1, in no special directions.
fn twice() -> F {
    let v = Tensor::from([[1.0], [2.0], [2.0]]) / 3.0;
    Tensor::eye(3) * 2.0 - v.matmul(&v.t()) * 3.0
}

#[test]
fn values_that_are_equal_have_gradients() {
    let x = twice();
    near(&gradient(&x, |x| x.svdvals().or_panic().square().sum(..)), &(&x * 2.0));
    near(&gradient(&x, |x| x.svd().or_panic()[1].square().sum(..)), &(&x * 2.0));
    let cubes = |values: &Var<f64>| (values.square() * values).sum(..);
    near(&gradient(&x, |x| cubes(&x.eigvalsh().or_panic())), &(x.matmul(&x) * 3.0));
    near(&gradient(&x, |x| cubes(&x.eigh().or_panic()[0])), &(x.matmul(&x) * 3.0));
    near(&gradient(&Tensor::eye(3), |x| x.matrix_norm(MatrixNorm::Nuclear)), &Tensor::eye(3));
    // All three share it, as the largest of equals.
    near(&gradient(&Tensor::eye(3), |x| x.matrix_norm(MatrixNorm::Spectral)), &(Tensor::eye(3) / 3.0));
}

#[test]
fn pseudoinverses_of_equal_values_have_all_derivatives() {
    let x = Var::leaf(twice());
    let [pinv, inverse] = [x.pinv().or_panic(), x.inverse().or_panic()].map(|y| y.square().sum(..));
    let [of_pinv, of_inverse] = [pinv, inverse].map(|y| grad_create_graph(&y, &[&x]).remove(0));
    near(of_pinv.value(), of_inverse.value());
    let [second, expected] = [of_pinv, of_inverse].map(|g| grad(&g.square().sum(..), &[&x]).remove(0));
    near(second.value(), expected.value());
    let solve = |x: &Var<f64>| x.solve(&Tensor::eye(3).into()).or_panic().square().sum(..);
    let lstsq = |x: &Var<f64>| x.lstsq(&Tensor::eye(3).into()).or_panic().square().sum(..);
    near(&gradient(&twice(), lstsq), &gradient(&twice(), solve));
}

#[test]
fn vectors_of_equal_values_have_none() {
    let all_nan = |g: &F| g.isnan().all(..).item();
    for x in [twice(), Tensor::eye(3), Tensor::zeros([3, 3])] {
        // These are the matrix itself, whose gradient no rule can tell from the vectors found.
        let product = |x: &Var<f64>| {
            let [u, s, vh] = x.svd().or_panic();
            ((u * s).matmul(&vh) * Tensor::from([1.0, 2.0, 3.0])).sum(..)
        };
        assert!(all_nan(&gradient(&x, product)));
        let product = |x: &Var<f64>| {
            let [values, vectors] = x.eigh().or_panic();
            ((&vectors * values).matmul(&vectors.t()) * Tensor::from([1.0, 2.0, 3.0])).sum(..)
        };
        assert!(all_nan(&gradient(&x, product)));
        assert!(all_nan(&gradient(&x, |x| x.eigh().or_panic()[1].sum(..))));
    }
    // Of a tall matrix without full rank, U has no derivative.
    // The second value of the second one is not 0 but a rounding error.
    for tall in [[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]].map(F::from) {
        assert!(gradient(&tall, |x| x.svd().or_panic()[0].sum(..)).isnan().all(..).item());
        assert!(gradient(&tall.t(), |x| x.svd().or_panic()[2].sum(..)).isnan().all(..).item());
    }
}

/// The sign is a constant among regular matrices; at singular ones only the logarithm has no derivative.
#[test]
fn signs_of_determinants() {
    for x in [[[2.0, 0.0], [0.0, 3.0]], [[1.0, 2.0], [2.0, 4.0]], [[0.0; 2]; 2]].map(F::from) {
        assert_eq!(gradient(&x, |x| x.slogdet()[0].clone()), Tensor::zeros([2, 2]));
    }
    assert!(gradient(&Tensor::zeros([2, 2]), |x| x.slogdet()[1].clone()).isnan().all(..).item());
}

#[test]
fn values_of_zero() {
    // U Vh, whatever the vectors of the other values are.
    let x = Tensor::from([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
    let g = gradient(&x, |x| x.matrix_norm(MatrixNorm::Nuclear));
    assert!((g[[0, 0]] - 1.0).abs() < 1e-15 && g.isfinite().all(..).item());
    assert!((g.matrix_norm(MatrixNorm::Spectral).item() - 1.0).abs() < 1e-14);
    near(&gradient(&x, |x| x.svdvals().or_panic().square().sum(..)), &(&x * 2.0));
    // Among matrices of rank 1, the pseudoinverse of a u v^T is v u^T / a.
    near(
        &gradient(&x, |x| x.pinv().or_panic().sum(..)).slice(0, ..1).slice(1, ..1),
        &Tensor::from([[-0.25]]),
    );
}

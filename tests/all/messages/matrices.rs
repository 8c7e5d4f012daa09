//! Products, equations and joins whose operands do not fit.

use gradus::{MatrixNorm, Tensor, TensorError, Var, cat, stack};

use super::{leaf, panics};

#[test]
fn products_and_joins() {
    let matmul = |left: &[usize], right: &[usize], expected: &str| {
        let message = format!("matmul: shapes {left:?} and {right:?} do not fit: {expected}");
        let (left, right) = (leaf(left), leaf(right));
        panics(|| left.matmul(&right), &message);
    };
    matmul(&[], &[2], "both operands need at least one axis");
    let inner = "the last axis of the left must equal the last but one of the right (or its only one)";
    matmul(&[2, 3], &[2, 3], inner);
    matmul(&[3], &[2], inner);
    matmul(&[4, 2, 3], &[2], inner);
    matmul(&[5, 4, 2, 3], &[2, 3], inner);
    matmul(&[4, 2, 3], &[5, 3, 2], "the axes before the last two must broadcast");
    let linear = |x: &[usize], weight: &[usize], expected: &str| {
        let message = format!("linear: shapes {x:?} and {weight:?} do not fit: {expected}");
        let (x, weight) = (leaf(x), leaf(weight));
        panics(|| x.linear(&weight, None), &message);
        panics(|| x.value().linear(weight.value(), None), &message);
    };
    linear(&[2, 3], &[3], "the second, the weight, must have two axes, [out, in]");
    linear(&[2, 3], &[3, 2], "the last axes of input and weight must be equal");
    linear(&[], &[3, 2], "the last axes of input and weight must be equal");
    panics(
        || leaf(&[2, 3]).linear(&leaf(&[4, 3]), Some(&leaf(&[3]))),
        "linear: shapes [4, 3] and [3] do not fit: the second, the bias, must have the size of the weight's first axis",
    );
    let (x, y) = (leaf(&[2, 3]), leaf(&[3, 2]));
    panics(
        || cat(&[&x, &y], 0),
        "cat: shapes [2, 3] and [3, 2] do not fit: sizes must be equal on all axes but the joined one",
    );
    panics(|| stack(&[&x, &y], 0), "stack: shapes [2, 3] and [3, 2] do not fit: all shapes must be equal");
    panics(|| cat::<f64>(&[], 0), "cat: the list of tensors is empty; it needs at least one");
    panics(|| stack::<f64>(&[], 0), "stack: the list of tensors is empty; it needs at least one");
    let split = "split: sizes is [1, 1] for shape [2, 3]: they must add up to 3, the size of axis 1";
    panics(|| x.split([1, 1], 1), split);
    panics(|| x.split([1, 1], -1), split);
}

#[test]
fn einsum() {
    let (x, y) = (leaf(&[2, 3]), leaf(&[4, 5]));
    let einsum = gradus::einsum::<f64>;
    let read = "cannot be read: allowed are letters, one `...` for each operand, commas between operands, and one \
                `->` before the result";
    panics(|| einsum("ij+k", &[&x]), &format!("einsum: equation \"ij+k\": '+' at position 2 {read}"));
    panics(|| einsum("i->j->k", &[&x]), &format!("einsum: equation \"i->j->k\": '-' at position 4 {read}"));
    panics(|| einsum("......", &[&x]), &format!("einsum: equation \"......\": '.' at position 3 {read}"));
    panics(
        || einsum("ij,jk->ik", &[&x]),
        "einsum: equation \"ij,jk->ik\": it has 2 operands, and 1 were given",
    );
    panics(
        || einsum("ij,jk->ik", &[&x, &y]),
        "einsum: equation \"ij,jk->ik\": `j` has size 4 in operand 1 and 3 before: sizes of an index must be \
         equal, and the axes of `...` broadcast",
    );
    panics(
        || einsum("...,...", &[&x, &y]),
        "einsum: equation \"...,...\": `...` has size 4 in operand 1 and 2 before: sizes of an index must be \
         equal, and the axes of `...` broadcast",
    );
    panics(
        || einsum("ijk", &[&x]),
        "einsum: equation \"ijk\": operand 0 has shape [2, 3]: for what is written it must have 3 axes",
    );
    let result = |index: &str| {
        format!("`{index}` in the result must be an index of an operand, and named only once there")
    };
    panics(|| einsum("ij->ik", &[&x]), &format!("einsum: equation \"ij->ik\": {}", result("k")));
    panics(|| einsum("ij->ii", &[&x]), &format!("einsum: equation \"ij->ii\": {}", result("i")));
}

#[test]
fn equations() {
    let square = |name: &str| {
        format!("{name}: the shape is [2, 3]: the last two axes, rows and columns, must be of one size")
    };
    let x = leaf(&[2, 3]);
    panics(|| x.cholesky(), &square("cholesky"));
    panics(|| x.solve(&x), &square("solve"));
    panics(|| x.solve_triangular(&x, true), &square("solve_triangular"));
    panics(|| x.inverse(), &square("inverse"));
    panics(|| x.det(), &square("det"));
    panics(|| x.logdet(), &square("logdet"));
    panics(|| x.slogdet(), &square("slogdet"));
    panics(|| x.eigh(), &square("eigh"));
    panics(|| x.eigvalsh(), &square("eigvalsh"));
    let two =
        |name: &str| format!("{name}: the shape is [3]: there must be two axes at least, rows and columns");
    let row = leaf(&[3]);
    panics(|| row.svd(), &two("svd"));
    panics(|| row.svdvals(), &two("svdvals"));
    panics(|| row.qr(), &two("qr"));
    panics(|| row.pinv(), &two("pinv"));
    panics(|| row.matrix_norm(MatrixNorm::Nuclear), &two("matrix_norm"));
    panics(
        || leaf(&[2, 0]).matrix_norm(MatrixNorm::Spectral),
        "matrix_norm: the shape is [2, 0]: matrices without elements have no largest or smallest number",
    );
    panics(
        || x.lstsq(&leaf(&[3, 1])),
        "lstsq: shapes [2, 3] and [3, 1] do not fit: the right side must have as many rows as the matrix",
    );
    let eye = Var::leaf(Tensor::<f64>::eye(3));
    panics(
        || eye.solve(&x),
        "solve: shapes [3, 3] and [2, 3] do not fit: the right side must have as many rows as the matrix",
    );
    panics(
        || eye.expand([4, 3, 3]).solve(&leaf(&[2, 3, 1])),
        "solve: shapes [4, 3, 3] and [2, 3, 1] do not fit: the axes before the last two must broadcast",
    );

    // Data may hold anything; reading it must not panic.
    let ones = leaf(&[2, 3, 3]);
    let error = |result: Result<Var<f64>, TensorError>| result.unwrap_err().to_string();
    let singular = |name: &str| {
        format!("{name}: matrix [0] of the batch is singular: column 1 has no pivot; it must be invertible")
    };
    assert_eq!(error(ones.solve(&ones)), singular("solve"));
    assert_eq!(error(ones.inverse()), singular("inverse"));
    assert_eq!(error((-&eye).cholesky()), "cholesky: the matrix is not positive definite; it must be");
    let triangular = (&eye * Tensor::from([1.0, 1.0, 0.0])).solve_triangular(&eye, true);
    assert_eq!(
        error(triangular),
        "solve_triangular: the matrix is singular: column 2 has no pivot; it must be invertible"
    );
    let nan = &eye * f64::NAN;
    let finite =
        |name: &str| format!("{name}: the matrix holds NaN or infinity; its elements must be finite");
    assert_eq!(error(nan.svd().map(|[u, ..]| u)), finite("svd"));
    assert_eq!(error(nan.svdvals()), finite("svdvals"));
    assert_eq!(error(nan.eigh().map(|[values, _]| values)), finite("eigh"));
    assert_eq!(error(nan.eigvalsh()), finite("eigvalsh"));
    assert_eq!(error(nan.pinv()), finite("pinv"));
    assert_eq!(error(nan.lstsq(&eye)), finite("lstsq"));
    // NaN in, NaN out.
    assert!((&eye * f64::NAN).inverse().is_ok_and(|inverse| inverse.value().isnan().any(..).item()));
}

//! Singular values, eigenvalues, QR and least squares: products give the matrix back, factors are orthogonal, and known
//! spectra come out, all within a few epsilon of the size of the matrix.

use gradus_tensor::{MatrixNorm, Tensor, seeded};
use proptest::prelude::*;

use crate::common::{Value, laid_of};

const EPS: f64 = f64::EPSILON;

/// A matrix in any layout, also without elements.
fn matrix<T: Value>() -> impl Strategy<Value = Tensor<T>> {
    (0..9_usize, 0..9_usize).prop_flat_map(|(m, n)| laid_of(&[m, n], &T::tame())).prop_map(|x| x.tensor)
}

/// Numbers from a normal distribution, by a factor from the smallest to the largest numbers.
fn scaled() -> impl Strategy<Value = (Tensor<f64>, f64)> {
    (1..20_usize, 1..20_usize, any::<u64>(), prop_oneof![Just(0), -300..300_i32]).prop_map(
        |(m, n, seed, exponent)| {
            let scale = 10_f64.powi(exponent);
            (Tensor::<f64>::randn([m, n], &mut seeded(seed)) * scale, scale)
        },
    )
}

fn largest(x: &Tensor<f64>) -> f64 {
    let keep = |largest: f64, x: f64| if x.abs() <= largest { largest } else { x.abs() };
    x.iter().fold(0.0, keep)
}

/// How far the columns of a matrix are from orthonormal ones.
fn skewness(q: &Tensor<f64>) -> f64 {
    largest(&(q.t().matmul(q) - Tensor::eye(q.shape()[1])))
}

fn orthogonal(n: usize, seed: u64) -> Tensor<f64> {
    let [q, _] = Tensor::<f64>::randn([n, n], &mut seeded(seed)).qr();
    q
}

fn falls(s: &Tensor<f64>) -> bool {
    s.to_vec().windows(2).all(|pair| pair[0] >= pair[1]) && s.iter().all(|s| s >= 0.0)
}

/// All laws of a singular value decomposition; errors are measured against a norm of the matrix.
fn check_svd(a: &Tensor<f64>, size: f64) -> Result<(), TestCaseError> {
    let [m, n] = [a.shape()[0], a.shape()[1]];
    let [u, s, vh] = a.svd().unwrap();
    let k = m.min(n);
    prop_assert_eq!([u.shape(), s.shape(), vh.shape()], [&[m, k][..], &[k], &[k, n]]);
    let unit = EPS * (4.0 + 4.0 * m.max(n) as f64);
    prop_assert!(skewness(&u) <= unit && skewness(&vh.t()) <= unit, "{} {}", skewness(&u), skewness(&vh.t()));
    prop_assert!(falls(&s), "{s:?}");
    // Scaled down, so that products of large numbers stay finite.
    let down = |x: &Tensor<f64>| x / size;
    let error = largest(&((u * down(&s)).matmul(&vh) - down(a)));
    prop_assert!(k == 0 || error <= unit, "{error:e} at {m} x {n}");
    Ok(())
}

proptest! {
    #[test]
    fn singular_values_reconstruct((a, scale) in scaled()) {
        check_svd(&a, scale * ((a.shape()[0] + a.shape()[1]) as f64).sqrt())?;
    }

    /// Small whole numbers, equal rows and rows of zeros: many have a rank below their size.
    #[test]
    fn deficient_matrices_have_complete_factors(a in matrix::<f64>(), divisor in 1.0..60.0_f64) {
        let a: Tensor<f64> = (a / divisor).trunc();
        check_svd(&a, 1.0 + largest(&a) * (a.len() as f64).sqrt())?;
        let [values, vectors] = (a.t().matmul(&a)).eigh().unwrap();
        prop_assert!(skewness(&vectors) <= 100.0 * EPS);
        let [_, s, _] = a.svd().unwrap();
        let squares = values.flip(0).slice(0, ..s.len()) - &s * &s;
        prop_assert!(largest(&squares) <= 1e-13 * (1.0 + largest(&values)));
    }

    /// A spectrum goes in, with repeated and tiny numbers, and comes out.
    #[test]
    fn known_spectra_come_out(
        spectrum in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), Just(3.0), -3.0..3.0_f64, Just(1e-9)], 1..12),
        seeds: [u64; 2],
    ) {
        let n = spectrum.len();
        let [q, p] = seeds.map(|seed| orthogonal(n, seed));
        let mut rising = spectrum;
        rising.sort_by(f64::total_cmp);
        let values = Tensor::from(rising.clone());
        let bound = EPS * 16.0 * n as f64;
        let symmetric = (&q * &values).matmul(&q.t());
        let [found, vectors] = symmetric.eigh().unwrap();
        prop_assert!(largest(&(&found - &values)) <= bound);
        prop_assert!(skewness(&vectors) <= bound);
        let product = (&vectors * &found).matmul(&vectors.t());
        prop_assert!(largest(&(product - &symmetric)) <= bound);
        prop_assert_eq!(symmetric.eigvalsh().unwrap(), found);

        let mut falling: Vec<f64> = rising.iter().map(|x| x.abs()).collect();
        falling.sort_by(|x, y| y.total_cmp(x));
        let s = (q * Tensor::from(falling.clone())).matmul(&p.t()).svdvals().unwrap();
        prop_assert!(largest(&(s - Tensor::from(falling))) <= bound);
    }

    #[test]
    fn qr_reconstructs((a, scale) in scaled()) {
        let [q, r] = a.qr();
        let unit = EPS * 8.0 * a.shape()[0].max(a.shape()[1]) as f64;
        prop_assert!(skewness(&q) <= unit);
        prop_assert_eq!(&r.triu(0), &r);
        let error = largest(&(q.matmul(&(r / scale)) - &a / scale));
        prop_assert!(error <= unit * 8.0, "{}", error);
    }

    /// The conditions of Penrose, 1955.
    #[test]
    fn pseudoinverses_obey_penrose(seed: u64, m in 0..8_usize, n in 0..8_usize, rank in 0..8_usize) {
        let rng = &mut seeded(seed);
        let a = Tensor::<f64>::randn([m, rank], rng).matmul(&Tensor::randn([rank, n], rng));
        let p = a.pinv().unwrap();
        prop_assert_eq!(p.shape(), &[n, m]);
        let bound = 1e-13 * (1.0 + largest(&a)).powi(2) * (1.0 + largest(&p)).powi(2) * 64.0;
        let [left, right] = [a.matmul(&p), p.matmul(&a)];
        for error in [left.matmul(&a) - &a, right.matmul(&p) - &p, &left - left.t(), &right - right.t()] {
            prop_assert!(largest(&error) <= bound);
        }
        // The same solution by the pseudoinverse, of vectors and of matrices.
        let b = Tensor::<f64>::randn([m, 2], rng);
        let x = a.lstsq(&b).unwrap();
        prop_assert!(largest(&(&x - p.matmul(&b))) <= bound);
        prop_assert!(largest(&(a.lstsq(&b.select(1, 0)).unwrap() - x.select(1, 0))) <= bound);
    }

    /// Single precision is computed in double and rounded once.
    #[test]
    fn single_precision_is_rounded_double(a in matrix::<f32>()) {
        let wide = a.cast::<f64>();
        prop_assert_eq!(a.svd().unwrap(), wide.svd().unwrap().map(|x| x.cast()));
        prop_assert_eq!(a.qr(), wide.qr().map(|x| x.cast()));
    }

    /// A stack is decomposed matrix by matrix.
    #[test]
    fn stacks_are_single_matrices(seed: u64, m in 0..4_usize, n in 0..4_usize) {
        let stack = Tensor::<f64>::randn([2, 3, m, n], &mut seeded(seed)).transpose(0, 1);
        let one = |x: &Tensor<f64>| x.select(0, 2).select(0, 1);
        let a = one(&stack);
        prop_assert_eq!(stack.svd().unwrap().map(|x| one(&x)), a.svd().unwrap());
        prop_assert_eq!(stack.qr().map(|x| one(&x)), a.qr());
        prop_assert_eq!(one(&stack.pinv().unwrap()), a.pinv().unwrap());
        let square = stack.t().matmul(&stack);
        prop_assert_eq!(square.eigh().unwrap().map(|x| one(&x)), one(&square).eigh().unwrap());
        let [sign, logarithm] = square.slogdet().map(|x| one(&x));
        prop_assert!((sign * logarithm.exp() - one(&square).det()).abs().item() <= 1e-12 * (1.0 + largest(&square)).powi(3));
    }
}

#[test]
fn sizes_below_two_and_special_matrices() {
    for shape in [[0, 0], [0, 3], [3, 0], [1, 1], [1, 4], [4, 1]] {
        check_svd(&Tensor::full(shape, -2.0), 2.0).unwrap();
        check_svd(&Tensor::zeros(shape), 1.0).unwrap();
        let [q, r] = Tensor::<f64>::full(shape, -2.0).qr();
        assert_eq!(q.matmul(&r).shape(), shape);
    }
    assert_eq!(Tensor::<f64>::zeros([0, 0]).eigh().unwrap()[1].shape(), [0, 0]);
    let [values, vectors] = Tensor::from([[-3.0]]).eigh().unwrap();
    assert_eq!((values, vectors), (Tensor::from([-3.0]), Tensor::from([[1.0]])));
    assert_eq!(Tensor::<f64>::eye(5).svdvals().unwrap(), Tensor::ones([5]));
    // Both halves count, and neither is read alone.
    let upper = Tensor::from([[1.0, 4.0], [0.0, 1.0]]);
    assert!(largest(&(upper.eigvalsh().unwrap() - Tensor::from([-1.0, 3.0]))) < 1e-14);
    for scale in [1e-310, 1e-200, 1e300] {
        let [values, _] = (Tensor::from([[2.0, 1.0], [1.0, 2.0]]) * scale).eigh().unwrap();
        let error = largest(&(values / scale - Tensor::from([1.0, 3.0])));
        assert!(error < if scale < 1e-300 { 1e-12 } else { 1e-15 }, "{error:e} at {scale:e}");
    }
}

/// Rotations find small singular values to their own digits, where scales differ from column to column.
#[test]
fn graded_columns_keep_their_digits() {
    let q = orthogonal(4, 1);
    let s = Tensor::from([1.0, 1e-8, 1e-20, 1e-100]);
    let found = (q * &s).svdvals().unwrap();
    assert!(largest(&(found / s - 1.0)) < 1e-14);
}

#[test]
fn signs_are_those_of_the_conventions() {
    let a = Tensor::<f64>::randn([6, 4], &mut seeded(3));
    let [u, _, _] = a.svd().unwrap();
    let [_, vectors] = a.t().matmul(&a).eigh().unwrap();
    for columns in [u, vectors] {
        let magnitudes = columns.abs();
        assert_eq!(magnitudes.max(0), columns.max(0));
    }
    // LAPACK's, by NumPy: the sign of each reflection, and none for the last element.
    let [q, r] = Tensor::from([[3.0, 1.0], [4.0, 2.0]]).qr();
    assert!(largest(&(q - Tensor::from([[-0.6, -0.8], [-0.8, 0.6]]))) < 1e-15);
    assert!(largest(&(r - Tensor::from([[-5.0, -2.2], [0.0, 0.4]]))) < 1e-15);
}

#[test]
fn norms_of_matrices() {
    use MatrixNorm::{
        Frobenius, LargestColumn, LargestRow, Nuclear, SmallestColumn, SmallestRow, SmallestSingular,
        Spectral,
    };
    // 1, 2 and infinity by hand; the singular values are 3 and 1, beside a row of zeros.
    let a = Tensor::from([[[2.0, 1.0, 0.0], [1.0, 2.0, 0.0]], [[0.0; 3]; 2]]);
    let of = |norm| a.matrix_norm(norm).to_vec();
    let near = |norm, x: f64| assert!((of(norm)[0] - x).abs() < 1e-14 && of(norm)[1] == 0.0, "{norm:?}");
    near(Frobenius, 10_f64.sqrt());
    near(Nuclear, 4.0);
    near(Spectral, 3.0);
    near(SmallestSingular, 1.0);
    near(LargestColumn, 3.0);
    near(SmallestColumn, 0.0);
    near(LargestRow, 3.0);
    near(SmallestRow, 3.0);
    assert_eq!(Tensor::<f64>::zeros([2, 0, 3]).matrix_norm(Nuclear), Tensor::zeros([2]));
    assert!(Tensor::from([[f64::NAN, 1.0]]).matrix_norm(Spectral).item().is_nan());
}

#[test]
fn signs_and_logarithms_of_determinants() {
    let [sign, logarithm] = (Tensor::<f64>::eye(3) * -1e200).slogdet();
    assert_eq!((sign.item(), logarithm.item()), (-1.0, 3.0 * 1e200_f64.ln()));
    let [sign, logarithm] = Tensor::<f64>::zeros([2, 2]).slogdet();
    assert_eq!((sign.item(), logarithm.item()), (0.0, f64::NEG_INFINITY));
}

#[test]
fn numbers_that_are_not_finite_are_errors() {
    let mut a = Tensor::<f64>::ones([2, 3, 3]);
    a[[1, 0, 2]] = f64::INFINITY;
    let text = |operation: &str| {
        format!("{operation}: matrix [1] of the batch holds NaN or infinity; its elements must be finite")
    };
    assert_eq!(a.svd().unwrap_err().to_string(), text("svd"));
    assert_eq!(a.eigh().unwrap_err().to_string(), text("eigh"));
    assert_eq!(a.pinv().unwrap_err().to_string(), text("pinv"));
    assert_eq!(a.lstsq(&a).unwrap_err().to_string(), text("lstsq"));
    assert!(a.qr()[1].isnan().any(..).item());
}

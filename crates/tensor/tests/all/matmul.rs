//! Matrix products of every rank, of every layout.

use crate::common::*;
use gradus_tensor::{Tensor, seeded};
use proptest::prelude::*;

/// The sizes of a matrix: often small, sometimes beyond a block of the kernel.
fn matrix_size() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0_usize), 8 => 1..6_usize, 1 => 13..36_usize]
}

/// The shapes of two operands of ranks 1 to 4 whose product is defined.
fn factor_shapes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let sizes = (matrix_size(), matrix_size(), matrix_size());
    (broadcasting_shapes(2), sizes, prop::bool::weighted(0.15), prop::bool::weighted(0.15)).prop_map(
        |((left, right), (m, k, n), left_vector, right_vector)| {
            let left = if left_vector { vec![k] } else { [left, vec![m, k]].concat() };
            let right = if right_vector { vec![k] } else { [right, vec![k, n]].concat() };
            (left, right)
        },
    )
}

fn factors<T: Value>(element: BoxedStrategy<T>) -> impl Strategy<Value = (Laid<T>, Laid<T>)> {
    factor_shapes().prop_flat_map(move |(left, right)| (laid_of(&left, &element), laid_of(&right, &element)))
}

/// The model of the product in f64, and the sums of magnitudes that bound its rounding errors.
fn product(left: &Naive<f64>, right: &Naive<f64>) -> (Naive<f64>, Naive<f64>) {
    let mut a = left.clone();
    let mut b = right.clone();
    if left.shape.len() == 1 {
        a.shape.insert(0, 1);
    }
    if right.shape.len() == 1 {
        b.shape.push(1);
    }
    let (a_batch, a_matrix) = a.shape.split_at(a.shape.len() - 2);
    let (b_batch, b_matrix) = b.shape.split_at(b.shape.len() - 2);
    let batch = common_shape(a_batch, b_batch).unwrap();
    let k = a_matrix[1];
    assert_eq!(k, b_matrix[0]);
    let a = a.broadcast_to(&[&batch[..], a_matrix].concat());
    let b = b.broadcast_to(&[&batch[..], b_matrix].concat());
    let terms = |index: &[usize]| -> Vec<f64> {
        let (outer, [row, column]) = index.split_at(batch.len()) else { unreachable!("two axes are left") };
        (0..k).map(|i| a.at(&[outer, &[*row, i]].concat()) * b.at(&[outer, &[i, *column]].concat())).collect()
    };
    let shape = [&batch[..], &[a_matrix[0], b_matrix[1]]].concat();
    let mut sums = Naive::build(&shape, |index| terms(index).iter().fold(0.0, |sum, term| sum + term));
    let mut magnitudes = Naive::build(&shape, |index| terms(index).iter().map(|term| term.abs()).sum());
    for result in [&mut sums, &mut magnitudes] {
        if right.shape.len() == 1 {
            result.shape.remove(batch.len() + 1);
        }
        if left.shape.len() == 1 {
            result.shape.remove(batch.len());
        }
    }
    (sums, magnitudes)
}

law! {
    /// Every element is within (k + 1) roundings of the sum of the magnitudes of its terms.
    [f32 f64]
    fn products_match_the_model((left, right) in factors(T::tame())) {
        let (expected, magnitudes) = product(&left.naive.map(f64::from), &right.naive.map(f64::from));
        let got = left.tensor.matmul(&right.tensor);
        prop_assert_eq!(got.shape(), &expected.shape[..]);
        prop_assert!(got.is_contiguous());
        let inner = *left.naive.shape.last().unwrap() as f64;
        for ((got, expected), magnitude) in got.iter().zip(expected.data).zip(magnitudes.data) {
            let bound = (inner + 1.0) * f64::from(T::EPSILON) * magnitude;
            prop_assert!((f64::from(got) - expected).abs() <= bound, "{} instead of {}", got, expected);
        }
    }
}

law! {
    /// Small integers have no rounding errors, in any layout and any order of additions.
    [f32 f64]
    fn products_of_integers_are_exact((left, right) in factors((-9..=9_i8).prop_map(T::from).boxed())) {
        let (expected, _) = product(&left.naive.map(f64::from), &right.naive.map(f64::from));
        prop_assert_eq!(left.tensor.matmul(&right.tensor), expected.map(|x| x as T).tensor());
    }
}

law! {
    /// The transpose of a product is the product of the transposes, the other way round.
    [f32 f64]
    fn transposes_swap(
        (left, right) in (matrix_size(), matrix_size(), matrix_size()).prop_flat_map(|(m, k, n)| {
            let element = (-9..=9_i8).prop_map(T::from).boxed();
            (laid_of(&[m, k], &element), laid_of(&[k, n], &element))
        }),
    ) {
        prop_assert_eq!(left.tensor.matmul(&right.tensor).t(), right.tensor.t().matmul(&left.tensor.t()));
        let eye = Tensor::eye(left.naive.shape[1]);
        prop_assert_eq!(left.tensor.matmul(&eye), left.tensor.clone());
    }
}

law! {
    /// A product over memory that was prepared has the bits of a new one, whatever was there.
    [f32 f64]
    fn prepared_products_are_new_ones((left, right) in factors(T::tame()), bias: bool) {
        let expected = left.tensor.matmul(&right.tensor);
        let mut out = Tensor::full(expected.shape(), T::NAN);
        left.tensor.matmul_into(&right.tensor, &mut out);
        prop_assert_eq!(bits(&out), bits(&expected));
        if right.tensor.rank() == 2 {
            let weight = right.tensor.t();
            let bias = bias.then(|| Tensor::linspace(-1.0, 1.0, weight.shape()[0]));
            left.tensor.linear_into(&weight, bias.as_ref(), &mut out);
            prop_assert_eq!(bits(&out), bits(&left.tensor.linear(&weight, bias.as_ref())));
        }
    }
}

/// Products so large that an operand is copied first, or the whole result is turned.
#[test]
fn large_prepared_products() {
    for [m, k, n] in [[40, 200, 200], [200, 200, 40], [32, 300, 1000]] {
        let (x, weight) =
            (Tensor::<f32>::randn([m, k], &mut seeded(0)), Tensor::randn([n, k], &mut seeded(1)));
        let bias = Tensor::linspace(-1.0, 1.0, n);
        let mut out = Tensor::full([m, n], f32::NAN);
        for weight in [&weight, &weight.t().contiguous().t()] {
            x.linear_into(weight, Some(&bias), &mut out);
            assert_eq!(out, x.linear(weight, Some(&bias)));
            x.matmul_into(&weight.t(), &mut out);
            assert_eq!(out, x.matmul(&weight.t()));
        }
    }
}

/// NaN and infinity take part; the kernel neither skips them nor lets them into other rows.
#[test]
fn special_values_stay_in_their_rows_and_columns() {
    let nan = f64::NAN;
    let x = Tensor::from([[nan, 1.0], [2.0, 3.0]]);
    let zero = Tensor::<f64>::zeros([2, 2]);
    check(&x.matmul(&zero), &Naive { shape: vec![2, 2], data: vec![nan, nan, 0.0, 0.0] });
    check(&zero.matmul(&x), &Naive { shape: vec![2, 2], data: vec![nan, 0.0, nan, 0.0] });
    let inf = Tensor::from([[f64::INFINITY], [1.0]]);
    check(
        &Tensor::from([[0.0, 1.0], [1.0, 1.0]]).matmul(&inf),
        &Naive { shape: vec![2, 1], data: vec![nan, f64::INFINITY] },
    );
}

/// Products large enough for every path of the kernel, through a checksum: (x y) 1 = x (y 1).
#[test]
fn large_products() {
    for (m, k, n) in [(1, 300, 257), (129, 64, 1), (65, 200, 33), (200, 1, 100), (130, 131, 132)] {
        let digits = |rows: usize, columns: usize, factor: i64| {
            let count = (rows * columns) as i64;
            Tensor::arange(0, count, 1).map(|i| (i * factor % 7 - 3) as f64).reshape([rows, columns])
        };
        let (x, y) = (digits(m, k, 31), digits(n, k, 17).t());
        let ones = Tensor::<f64>::ones([n]);
        assert_eq!(x.matmul(&y).sum(1), x.matmul(&y.sum(1)));
        assert_eq!(x.matmul(&y).matmul(&ones), x.matmul(&y.matmul(&ones)));
        assert_eq!(x.flip(0).matmul(&y.flip(1)), x.matmul(&y).flip(..));
        let (x32, y32) = (x.cast::<f32>(), y.cast::<f32>());
        assert_eq!(x32.matmul(&y32), x.matmul(&y).cast::<f32>());
    }
}

/// Vectors as matrices, whose axis of one element has any stride, in products large enough to be turned.
#[test]
fn large_products_with_vectors() {
    let x = Tensor::arange(0, 1100, 1).map(|i| (i % 7 - 3) as f64);
    let ones = Tensor::<f64>::ones([1100, 1100]);
    // One column, with the stride of the row that it was.
    let column = x.reshape([1, 1100]).t();
    assert_eq!(ones.matmul(&column), x.sum(..).expand([1100, 1]));
    assert_eq!(
        ones.linear(&x.reshape([1, 1100]), Some(&Tensor::ones([1]))),
        (x.sum(..) + 1.0).expand([1100, 1])
    );
    // One row, with the stride of an axis that was added by repeating.
    let row = x.expand([1, 1100]);
    assert_eq!(column.matmul(&row), &column * &row);
}

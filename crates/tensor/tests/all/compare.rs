//! Comparisons, choices by truth values, and closeness.

use crate::common::*;
use gradus_tensor::Tensor;
use proptest::prelude::*;

law! {
    /// Comparisons are those of the elements; with NaN all are false except `ne`.
    [f32 f64 i64 bool]
    fn comparisons_compare_elements((x, y) in laid_pair(T::any()), n in T::any()) {
        check(&x.tensor.eq(&y.tensor), &x.naive.zip(&y.naive, |x, y| x == y));
        check(&x.tensor.ne(&y.tensor), &x.naive.zip(&y.naive, |x, y| x != y));
        check(&x.tensor.lt(&y.tensor), &x.naive.zip(&y.naive, |x, y| x < y));
        check(&x.tensor.le(&y.tensor), &x.naive.zip(&y.naive, |x, y| x <= y));
        check(&x.tensor.gt(&y.tensor), &x.naive.zip(&y.naive, |x, y| x > y));
        check(&x.tensor.ge(y.tensor.clone()), &x.naive.zip(&y.naive, |x, y| x >= y));
        check(&x.tensor.eq(n), &x.naive.map(|x| x == n));
        check(&x.tensor.lt(n), &x.naive.map(|x| x < n));
    }
}

law! {
    /// NaN and infinities are found.
    [f32 f64]
    fn special_values_are_found(x in laid::<T>(0..=4)) {
        check(&x.tensor.isnan(), &x.naive.map(|x| x != x));
        check(&x.tensor.isinf(), &x.naive.map(|x| x - x != 0.0 && x == x));
        check(&x.tensor.isfinite(), &x.naive.map(|x| x - x == 0.0));
    }
}

/// Three shapes that broadcast together.
fn three_shapes() -> impl Strategy<Value = [Vec<usize>; 3]> {
    (shape(0..=4), prop::collection::vec(0..4_usize, 4), any::<[prop::sample::Index; 3]>()).prop_map(
        |(shape, roles, dropped)| {
            std::array::from_fn(|operand| {
                let one = |(&size, &role): (&usize, &usize)| if role == operand { 1 } else { size };
                let mut own: Vec<usize> = shape.iter().zip(&roles).map(one).collect();
                own.drain(..dropped[operand].index(shape.len() + 1));
                own
            })
        },
    )
}

law! {
    /// `where_` chooses element by element, all three operands broadcast.
    [f32 i64 bool]
    fn where_chooses((condition, x, y) in three_shapes().prop_flat_map(|[condition, x, y]| {
        (laid_of(&condition, &bool::any()), laid_of(&x, &T::any()), laid_of(&y, &T::any()))
    })) {
        let pairs = x.naive.zip(&y.naive, |x, y| (x, y));
        let expected = condition.naive.zip(&pairs, |condition, (x, y)| if condition { x } else { y });
        check(&condition.tensor.where_(&x.tensor, &y.tensor), &expected);
        check(&condition.tensor.where_(x.tensor, y.tensor), &expected);
        let number = T::default();
        let expected = condition.naive.zip(&y.naive, |condition, y| if condition { number } else { y });
        check(&condition.tensor.where_(number, y.naive.tensor()), &expected);
    }
}

macro_rules! check_operator {
    ($x:ident $op:tt $assign:tt $y:ident, $number:ident) => {
        let expected = $x.naive.zip(&$y.naive, |x, y| x $op y);
        check(&(&$x.tensor $op &$y.tensor), &expected);
        check(&($x.tensor.clone() $op &$y.tensor), &expected);
        check(&(&$x.tensor $op $y.tensor.clone()), &expected);
        check(&($x.tensor.clone() $op $y.tensor.clone()), &expected);
        let with_number = $x.naive.map(|x| x $op $number);
        check(&(&$x.tensor $op $number), &with_number);
        check(&($x.tensor.clone() $op $number), &with_number);
        check(&($number $op &$x.tensor), &with_number);
        check(&($number $op $x.tensor.clone()), &with_number);
        let mut changed = $x.tensor.clone();
        changed $assign $number;
        check(&changed, &with_number);
        if expected.shape == $x.naive.shape {
            let mut changed = $x.tensor.clone();
            changed $assign &$y.tensor;
            check(&changed, &expected);
        }
        check(&$x.tensor, &$x.naive);
    };
}

proptest! {
    /// Logic on truth values.
    #[test]
    fn logic_follows_its_tables((x, y) in laid_pair(bool::any())) {
        check(&x.tensor.logical_and(&y.tensor), &x.naive.zip(&y.naive, |x, y| x & y));
        check(&x.tensor.logical_xor(&y.tensor), &x.naive.zip(&y.naive, |x, y| x ^ y));
        check(&x.tensor.logical_or(&y.tensor), &x.naive.zip(&y.naive, |x, y| x | y));
        check(&x.tensor.logical_not(), &x.naive.map(|x| !x));
        check(&x.tensor.logical_and(true), &x.naive);
        check(&x.tensor.logical_or(false), &x.naive);
    }

    /// The operators are the methods, on every mix of operands.
    #[test]
    fn logical_operators_are_the_methods((x, y) in laid_pair(bool::any()), b in any::<bool>()) {
        check_operator!(x & &= y, b);
        check_operator!(x | |= y, b);
        check_operator!(x ^ ^= y, b);
        check(&!&x.tensor, &x.naive.map(|x| !x));
        check(&!x.tensor.clone(), &x.naive.map(|x| !x));
    }
}

law! {
    /// `nonzero` lists the indices of the elements that are not 0, in order.
    [f32 f64 i64 bool]
    fn nonzero_lists_indices(x in laid::<T>(0..=4)) {
        let all = indices(&x.naive.shape);
        let found: Vec<_> = all.iter().filter(|index| x.naive.at(index) != T::default()).collect();
        let data = found.iter().flat_map(|index| index.iter().map(|&i| i as i64)).collect();
        check(&x.tensor.nonzero(), &Naive { shape: vec![found.len(), x.naive.shape.len()], data });
    }
}

law! {
    /// `masked_select` takes the elements where the mask is true, both broadcast.
    [f32 i64 bool]
    fn masked_select_takes_where_true((x, mask) in broadcasting_shapes(4).prop_flat_map(|(x, mask)| {
        (laid_of(&x, &T::any()), laid_of(&mask, &bool::any()))
    })) {
        let pairs = x.naive.zip(&mask.naive, |x, chosen| (x, chosen)).data;
        let data: Vec<_> = pairs.into_iter().filter(|(_, chosen)| *chosen).map(|(x, _)| x).collect();
        check(&x.tensor.masked_select(&mask.tensor), &Naive { shape: vec![data.len()], data });
    }
}

law! {
    /// `allclose` is its definition in every place.
    [f32 f64]
    fn allclose_is_its_definition(
        (x, y) in laid_pair(T::any()), relative in 0.0..2.0_f64, absolute in 0.0..2.0_f64,
    ) {
        let close = |x: T, y: T| {
            let (x, y) = (f64::from(x), f64::from(y));
            if x.is_finite() && y.is_finite() {
                (x - y).abs() <= absolute + relative * y.abs()
            } else {
                x == y || (x.is_nan() && y.is_nan())
            }
        };
        let expected = x.naive.zip(&y.naive, close).data.iter().all(|&close| close);
        prop_assert_eq!(x.tensor.allclose(&y.tensor, relative, absolute), expected);
        prop_assert!(x.tensor.allclose(&x.naive.tensor(), 0.0, 0.0));
    }
}

#[test]
fn infinity_is_close_only_to_itself() {
    let inf = Tensor::from(f64::INFINITY);
    assert!(inf.allclose(&inf, 0.0, 0.0));
    assert!(!Tensor::from(1.0).allclose(&inf, 0.5, 0.5));
    assert!(!inf.allclose(&Tensor::from(1.0), 0.5, 0.5));
    assert!(!inf.allclose(&-&inf, 0.5, 0.5));
    assert!(!inf.allclose(&Tensor::from(f64::NAN), 0.5, 0.5));
}

#[test]
fn close_means_relative_to_the_other() {
    let [one, ten] = [Tensor::from(1.0), Tensor::from(10.0)];
    assert!(one.allclose(&ten, 0.9, 0.0));
    assert!(!ten.allclose(&one, 0.9, 0.0));
    assert!(!one.allclose(&ten, 0.8, 0.9));
    assert!(one.allclose(&ten, 0.8, 1.0));
}

//! `+ - * /` in all their forms, and what broadcasting means for them.

use crate::common::*;
use gradus_tensor::{Tensor, broadcast_shapes};
use proptest::prelude::*;

/// Any values, but integers that no operator takes out of range and by which one can divide.
fn operand<T: Value>() -> BoxedStrategy<T> {
    if T::NAME == "i64" {
        T::tame().prop_filter("one can divide by", |x| *x != T::default()).boxed()
    } else {
        T::any()
    }
}

fn pair<T: Value>() -> impl Strategy<Value = (Laid<T>, Laid<T>)> {
    laid_pair(operand())
}

/// One operator on every mix of owned and borrowed tensors.
macro_rules! check_binary {
    ($x:ident $op:tt $y:ident) => {
        let expected = $x.naive.zip(&$y.naive, |x, y| x $op y);
        check(&(&$x.tensor $op &$y.tensor), &expected);
        check(&($x.tensor.clone() $op &$y.tensor), &expected);
        check(&(&$x.tensor $op $y.tensor.clone()), &expected);
        check(&($x.tensor.clone() $op $y.tensor.clone()), &expected);
        check(&$x.tensor, &$x.naive);
        check(&$y.tensor, &$y.naive);
    };
}

/// One operator with a number on either side.
macro_rules! check_number {
    ($x:ident $op:tt $number:ident) => {
        check(&(&$x.tensor $op $number), &$x.naive.map(|x| x $op $number));
        check(&($x.tensor.clone() $op $number), &$x.naive.map(|x| x $op $number));
        check(&($number $op &$x.tensor), &$x.naive.map(|x| $number $op x));
        check(&($number $op $x.tensor.clone()), &$x.naive.map(|x| $number $op x));
    };
}

/// One assign operator with an owned tensor, a borrowed one and a number.
macro_rules! check_assign {
    ($x:ident $assign:tt $op:tt $y:ident $number:ident) => {
        let expected = $x.naive.zip(&$y.naive, |x, y| x $op y);
        let mut result = $x.tensor.clone();
        result $assign &$y.tensor;
        check(&result, &expected);
        let mut result = $x.tensor.clone();
        result $assign $y.tensor.clone();
        check(&result, &expected);
        let mut result = $x.tensor.clone();
        result $assign $number;
        check(&result, &$x.naive.map(|x| x $op $number));
        check(&$x.tensor, &$x.naive);
    };
}

law! {
    /// Tensors and tensors, broadcast.
    [f32 f64 i64]
    fn operators_match_the_model((x, y) in pair::<T>()) {
        check_binary!(x + y);
        check_binary!(x - y);
        check_binary!(x * y);
        check_binary!(x / y);
    }
}

law! {
    /// Tensors and numbers, and the sign.
    [f32 f64 i64]
    fn numbers_stand_on_either_side(x in shape(0..=4).prop_flat_map(|s| laid_of(&s, &operand::<T>())), n in operand::<T>()) {
        check_number!(x + n);
        check_number!(x - n);
        check_number!(x * n);
        check_number!(x / n);
        check(&-&x.tensor, &x.naive.map(|x| -x));
        check(&-x.tensor.clone(), &x.naive.map(|x| -x));
    }
}

law! {
    /// Assign operators expand their right side only.
    [f32 f64 i64]
    fn assignment_matches_the_model((x, y) in pair::<T>(), n in operand::<T>()) {
        let common = common_shape(&x.naive.shape, &y.naive.shape).unwrap();
        let (x, y) = if common == x.naive.shape {
            (x, y)
        } else {
            (Laid { tensor: x.tensor.expand(&common), naive: x.naive.broadcast_to(&common) }, y)
        };
        check_assign!(x += + y n);
        check_assign!(x -= - y n);
        check_assign!(x *= * y n);
        check_assign!(x /= / y n);
    }
}

law! {
    /// Broadcasting is expanding both sides first, to the bit.
    [f32 i64]
    fn broadcasting_commutes_with_expand((x, y) in pair::<T>()) {
        let common = broadcast_shapes("mul", x.tensor.shape(), y.tensor.shape()).unwrap();
        let expanded = x.tensor.expand(&common) * y.tensor.expand(&common);
        check(&(&x.tensor * &y.tensor), &Naive { shape: common.to_vec(), data: expanded.to_vec() });
    }
}

law! {
    /// A function of two operands of different types, in the order given.
    [f32 i64 bool]
    fn zip_pairs_elements((left, right) in broadcasting_shapes(4).prop_flat_map(|(left, right)| {
        (laid_of(&left, &T::any()), laid_of(&right, &i64::tame()))
    })) {
        let keep = |x: T, y: i64| if y > 0 { x } else { T::default() };
        check(&left.tensor.zip("keep", &right.tensor, keep), &left.naive.zip(&right.naive, keep));
        let parity = |y: i64, x: T| x == T::default() && y % 2 == 0;
        check(&right.tensor.zip("parity", &left.tensor, parity), &right.naive.zip(&left.naive, parity));
    }
}

proptest! {
    /// `broadcast_shapes` follows the rule, both ways round, and refuses what the rule does not allow.
    #[test]
    fn broadcast_shapes_follows_the_rule(left in shape(0..=4), right in shape(0..=4)) {
        let result = broadcast_shapes("add", &left, &right).ok().map(|shape| shape.to_vec());
        prop_assert_eq!(&result, &common_shape(&left, &right));
        prop_assert_eq!(broadcast_shapes("add", &right, &left).ok().map(|shape| shape.to_vec()), result);
        prop_assert_eq!(broadcast_shapes("add", &left, &left).unwrap().to_vec(), left.clone());
        prop_assert_eq!(broadcast_shapes("add", &left, &[]).unwrap().to_vec(), left);
    }

    /// Broadcasting is associative.
    #[test]
    fn broadcast_shapes_is_associative((a, b) in broadcasting_shapes(4), c in shape(0..=4)) {
        let common = |x: &[usize], y: &[usize]| broadcast_shapes("add", x, y).ok();
        let left = common(&a, &b).and_then(|ab| common(&ab, &c));
        let right = common(&b, &c).and_then(|bc| common(&a, &bc));
        prop_assert_eq!(left, right);
    }

    /// Each operator refuses shapes that do not broadcast.
    #[test]
    fn shapes_that_do_not_broadcast_are_refused(x in laid_tame::<i64>(0..=4), y in laid_tame::<i64>(0..=4)) {
        let fits = common_shape(&x.naive.shape, &y.naive.shape);
        let sum = std::panic::catch_unwind(|| &x.tensor + &y.tensor).ok();
        prop_assert_eq!(sum.map(|sum| sum.shape().to_vec()), fits.clone());
        let mut target = x.tensor.clone();
        let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target += &y.tensor)).is_ok();
        prop_assert_eq!(written, fits.is_some_and(|fits| fits == x.naive.shape));
    }
}

/// The loops have special cases for runs of neighbours against a repeated element; long runs take them all.
#[test]
fn long_runs_of_every_stride() {
    let x = Tensor::<f64>::arange(0.0, 999.0, 1.0);
    let y = Tensor::<f64>::arange(0.0, 1998.0, 1.0);
    let expected =
        |f: fn(f64, f64) -> f64| Naive::build(&[999], |index| f(index[0] as f64, 2.0 * index[0] as f64));
    let step = y.slice(0, gradus_tensor::Slice::from(..).step(2));
    check(&(&x + &step), &expected(|x, y| x + y));
    check(&(&step - &x), &expected(|x, y| y - x));
    check(&(&x - &Tensor::from([3.0])), &expected(|x, _| x - 3.0));
    check(&(&Tensor::from([3.0]) - &x), &expected(|x, _| 3.0 - x));
    check(&(x.flip(0) - &x), &expected(|x, _| 998.0 - 2.0 * x));
    let mut z = x.clone();
    z -= step;
    check(&z, &expected(|x, y| x - y));
}

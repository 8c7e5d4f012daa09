//! Integers: every operation against arithmetic in 128 bits, reduced modulo 2^64.

use crate::caught::{caught, panic_of, panics};
use crate::common::*;
use gradus_tensor::{Number, Tensor, broadcast_shapes};
use proptest::prelude::*;

/// Small numbers, the ends of the range, the neighbours of the first number that f64 does not have, and any other.
fn integer() -> BoxedStrategy<i64> {
    const FIRST: i64 = (1 << 53) + 1;
    let special =
        vec![i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX, -FIRST, FIRST - 1, FIRST, FIRST + 1, 1 << 32];
    prop_oneof![3 => -4..=4_i64, 2 => prop::sample::select(special), 2 => any::<i64>()].boxed()
}

fn divisor() -> BoxedStrategy<i64> {
    integer().prop_filter("one can divide by", |x| *x != 0).boxed()
}

fn laid_integers(rank: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Laid<i64>> {
    shape(rank).prop_flat_map(|shape| laid_of(&shape, &integer()))
}

/// The result in 64 bits.
fn wrapped(x: i128) -> i64 {
    x as i64
}

fn floor_divide(x: i128, y: i128) -> i128 {
    let quotient = x / y;
    if quotient * y != x && (x < 0) != (y < 0) { quotient - 1 } else { quotient }
}

type Function = fn(i128, i128) -> i128;

/// An operator in all its forms.
macro_rules! check_operator {
    ($x:ident $op:tt $assign:tt $y:ident $n:ident $function:expr) => {
        let function: Function = $function;
        let f = |x: i64, y: i64| wrapped(function(x.into(), y.into()));
        let expected = $x.naive.zip(&$y.naive, f);
        check(&(&$x.tensor $op &$y.tensor), &expected);
        check(&($x.tensor.clone() $op &$y.tensor), &expected);
        check(&(&$x.tensor $op $y.tensor.clone()), &expected);
        check(&($x.tensor.clone() $op $y.tensor.clone()), &expected);
        // Memory that nobody else has.
        check(&($x.naive.tensor() $op &$y.tensor), &expected);
        check(&(&$x.tensor $op $y.naive.tensor()), &expected);
        check(&(&$x.tensor $op $n), &$x.naive.map(|x| f(x, $n)));
        check(&($x.tensor.clone() $op $n), &$x.naive.map(|x| f(x, $n)));
        check(&($n $op &$y.tensor), &$y.naive.map(|y| f($n, y)));
        check(&($n $op $y.tensor.clone()), &$y.naive.map(|y| f($n, y)));
        let mut result = $x.tensor.expand(&expected.shape);
        result $assign &$y.tensor;
        check(&result, &expected);
        let mut result = $x.tensor.clone();
        result $assign $n;
        check(&result, &$x.naive.map(|x| f(x, $n)));
    };
}

proptest! {
    #[test]
    fn operators_wrap(
        (x, y) in broadcasting_shapes(4).prop_flat_map(|(x, y)| (laid_of(&x, &integer()), laid_of(&y, &divisor()))),
        n in divisor(),
    ) {
        check_operator!(x + += y n |x, y| x + y);
        check_operator!(x - -= y n |x, y| x - y);
        check_operator!(x * *= y n |x, y| x * y);
        check_operator!(x / /= y n |x, y| x / y);
    }

    #[test]
    fn functions_wrap(
        (x, y) in broadcasting_shapes(4).prop_flat_map(|(x, y)| (laid_of(&x, &integer()), laid_of(&y, &divisor()))),
    ) {
        let both = |f: Function| x.naive.zip(&y.naive, |x, y| wrapped(f(x.into(), y.into())));
        check(&x.tensor.fmod(&y.tensor), &both(|x, y| x % y));
        check(&x.tensor.remainder(&y.tensor), &both(|x, y| x - y * floor_divide(x, y)));
        check(&x.tensor.floor_divide(&y.tensor), &both(floor_divide));
        check(&x.tensor.maximum(&y.tensor), &both(i128::max));
        check(&x.tensor.minimum(&y.tensor), &both(i128::min));
        let one = |f: fn(i128) -> i128| x.naive.map(|x| wrapped(f(x.into())));
        check(&-&x.tensor, &one(|x| -x));
        check(&-x.tensor.clone(), &one(|x| -x));
        check(&x.tensor.abs(), &one(i128::abs));
        check(&x.tensor.sign(), &one(i128::signum));
        // Numbers alone do the same.
        let numbers = |f: fn(i64, i64) -> i64| x.naive.zip(&y.naive, f);
        prop_assert_eq!(numbers(Number::fmod), both(|x, y| x % y));
        prop_assert_eq!(numbers(Number::remainder), both(|x, y| x - y * floor_divide(x, y)));
        prop_assert_eq!(numbers(Number::floor_divide), both(floor_divide));
        prop_assert_eq!(numbers(Number::wrapping_div), both(|x, y| x / y));
        prop_assert_eq!(numbers(|x, _| Number::abs(x)), numbers(|x, _| wrapped(i128::from(x).abs())));
    }

    /// Comparisons and clamping see all 64 bits.
    #[test]
    fn comparisons_are_exact((x, y) in laid_pair(integer()), low in integer(), high in integer()) {
        check(&x.tensor.eq(&y.tensor), &x.naive.zip(&y.naive, |x, y| x == y));
        check(&x.tensor.lt(&y.tensor), &x.naive.zip(&y.naive, |x, y| x < y));
        check(&x.tensor.ge(&y.tensor), &x.naive.zip(&y.naive, |x, y| x >= y));
        check(&x.tensor.clamp(low, high), &x.naive.map(|x| x.max(low).min(high)));
    }

    #[test]
    fn reductions_wrap(x in laid_integers(0..=4), reduced in any::<[bool; 4]>()) {
        let axes: Vec<usize> = (0..x.naive.shape.len()).filter(|&axis| reduced[axis]).collect();
        let kept: Vec<usize> = (0..x.naive.shape.len()).filter(|axis| !axes.contains(axis)).collect();
        let sizes: Vec<usize> = kept.iter().map(|&axis| x.naive.shape[axis]).collect();
        let fold = |start: i64, f: Function| {
            let mut results = Naive::build(&sizes, |_| start);
            for index in indices(&x.naive.shape) {
                let place = kept.iter().fold(0, |place, &axis| place * x.naive.shape[axis] + index[axis]);
                results.data[place] = wrapped(f(results.data[place].into(), x.naive.at(&index).into()));
            }
            results
        };
        check(&x.tensor.sum(axes.clone()), &fold(0, |sum, x| sum + x));
        check(&x.tensor.prod(axes.clone()), &fold(1, |product, x| product * x));
        if !x.tensor.is_empty() {
            check(&x.tensor.max(axes.clone()), &fold(i64::MIN, i128::max));
            check(&x.tensor.min(axes), &fold(i64::MAX, i128::min));
        }
    }

    #[test]
    fn running_results_wrap(x in laid_integers(1..=3), factor in integer(), axis in any::<prop::sample::Index>()) {
        let axis = axis.index(x.naive.shape.len());
        let running = |f: &dyn Fn(i128, i128) -> i128| {
            let mut results = x.naive.clone();
            for index in indices(&x.naive.shape).into_iter().filter(|index| index[axis] > 0) {
                let mut before = index.clone();
                before[axis] -= 1;
                let place = |index: &[usize]| index.iter().zip(&x.naive.shape).fold(0, |place, (i, size)| place * size + i);
                let result = f(results.data[place(&before)].into(), x.naive.at(&index).into());
                results.data[place(&index)] = wrapped(result);
            }
            results
        };
        let along = axis as isize;
        check(&x.tensor.cumsum(along), &running(&|sum, x| sum + x));
        check(&x.tensor.cumprod(along), &running(&|product, x| product * x));
        let faded = x.tensor.linear_recurrence(along, &Tensor::from(factor));
        check(&faded, &running(&|before, x| x + i128::from(factor) * before));
    }

    #[test]
    fn products_and_additions_at_places_wrap(
        (x, y, matrix) in (1..6_usize, 1..6_usize).prop_flat_map(|(n, m)| {
            (laid_of(&[n], &integer()), laid_of(&[n], &integer()), laid_of(&[n, m], &integer()))
        }),
        places in prop::collection::vec(any::<prop::sample::Index>(), 6),
    ) {
        let sum = |terms: &mut dyn Iterator<Item = i64>| terms.fold(0, |sum, x| wrapped(i128::from(sum) + i128::from(x)));
        let times = |x: i64, y: i64| wrapped(i128::from(x) * i128::from(y));
        let pairs = x.naive.data.iter().zip(&y.naive.data);
        prop_assert_eq!(x.tensor.dot(&y.tensor).item(), sum(&mut pairs.map(|(&x, &y)| times(x, y))));
        let (n, [rows, columns]) = (x.naive.data.len(), [matrix.naive.shape[0], matrix.naive.shape[1]]);
        let outer = Naive::build(&[n, n], |index| times(x.naive.data[index[0]], y.naive.data[index[1]]));
        check(&x.tensor.outer(&y.tensor), &outer);
        let diagonal = &mut (0..rows.min(columns)).map(|i| matrix.naive.at(&[i, i]));
        prop_assert_eq!(matrix.tensor.trace().item(), sum(diagonal));
        // Rows of a matrix, or elements, to places that occur several times.
        let places: Vec<usize> = places[..n].iter().map(|place| place.index(n)).collect();
        let index = Tensor::from(places.iter().map(|&place| place as i64).collect::<Vec<_>>());
        let added = |target: &[usize], terms: &mut dyn Iterator<Item = (usize, i64)>, of: &Naive<i64>| {
            let columns = target.get(1).copied().unwrap_or(1);
            let at = |place: usize| target[0] > place / columns;
            let mut result = of.clone();
            for (place, term) in terms {
                assert!(at(place));
                result.data[place] = sum(&mut [result.data[place], term].into_iter());
            }
            result
        };
        let elements = &mut places.iter().zip(&y.naive.data).map(|(&place, &term)| (place, term));
        check(&x.tensor.scatter_add(0, &index, &y.tensor), &added(&[n], elements, &x.naive));
        let of_rows = &mut places.iter().enumerate().flat_map(|(row, &place)| {
            let matrix = &matrix.naive;
            (0..columns).map(move |column| (place * columns + column, matrix.at(&[row, column])))
        });
        let expected = added(&[rows, columns], of_rows, &matrix.naive);
        check(&matrix.tensor.index_add(0, &index, &matrix.tensor), &expected);
    }

    /// Order and places of numbers that differ in their last bits only.
    #[test]
    fn order_is_exact(x in prop::collection::vec(integer(), 1..20)) {
        let tensor = Tensor::from(x.clone());
        let mut sorted: Vec<(i64, usize)> = x.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let (values, places) = tensor.sort(0, false);
        prop_assert_eq!(values.to_vec(), sorted.iter().map(|(value, _)| *value).collect::<Vec<_>>());
        prop_assert_eq!(places.to_vec(), sorted.iter().map(|(_, place)| *place as i64).collect::<Vec<_>>());
        let first = |value: i64| x.iter().position(|x| *x == value).unwrap() as i64;
        let (low, high) = (sorted[0].0, sorted[x.len() - 1].0);
        prop_assert_eq!((tensor.argmin(..).item(), tensor.argmax(..).item()), (first(low), first(high)));
        prop_assert_eq!(tensor.topk(1, 0, true).0.item(), high);
    }

    /// The nearest number: `as` rounds once, saturates and makes 0 of NaN.
    #[test]
    fn conversions_round_once(x in laid_integers(0..=3), y in laid::<f64>(0..=3), large in any::<f32>()) {
        check(&x.tensor.cast::<f32>(), &x.naive.map(|x| x as f32));
        check(&x.tensor.cast::<f64>(), &x.naive.map(|x| x as f64));
        check(&x.tensor.cast::<i64>(), &x.naive);
        check(&y.tensor.cast::<i64>(), &y.naive.map(|y| y as i64));
        check(&y.tensor.cast::<f32>(), &y.naive.map(|y| y as f32));
        prop_assert_eq!(Tensor::from(large).cast::<i64>().item(), large as i64);
    }

    /// Counting is exact over the whole range, in both directions, up to its very ends.
    #[test]
    fn arange_is_exact(start in integer(), step in divisor(), count in 0..20_i128, short in any::<u64>()) {
        // The end is anywhere behind the last element and not behind the next.
        let short = i128::from(short) % i128::from(step).abs();
        let stop = i128::from(start) + count * i128::from(step) - i128::from(step.signum()) * short;
        prop_assume!(count > 0 || short == 0);
        if let Ok(stop) = i64::try_from(stop) {
            let expected: Vec<i64> = (0..count).map(|i| wrapped(i128::from(start) + i * i128::from(step))).collect();
            prop_assert_eq!(Tensor::arange(start, stop, step).to_vec(), expected);
        }
    }
}

/// NumPy 2: `numpy.arange(2**53 + 1, 2**53 + 3)` has two elements.
#[test]
fn arange_of_numbers_that_f64_does_not_have() {
    let first = (1_i64 << 53) + 1;
    assert_eq!(Tensor::arange(first, first + 2, 1), Tensor::from([first, first + 1]));
    assert_eq!(Tensor::arange(i64::MAX - 2, i64::MAX, 1), Tensor::from([i64::MAX - 2, i64::MAX - 1]));
    assert_eq!(Tensor::arange(i64::MIN, i64::MAX, i64::MAX), Tensor::from([i64::MIN, -1, i64::MAX - 1]));
    assert_eq!(Tensor::arange(i64::MAX, i64::MIN, i64::MIN), Tensor::from([i64::MAX, -1]));
    assert_eq!(Tensor::arange(5, 5, i64::MIN).len(), 0);
    let steps = "arange: the number of steps is (9223372036854775807 - -9223372036854775808) / 1: it must be finite and \
                 at most 1152921504606846975";
    panics(|| Tensor::arange(i64::MIN, i64::MAX, 1), steps);
}

/// Long enough for every way through the tree of a sum, and for threads.
#[test]
fn long_sums_wrap() {
    let n = 600_000;
    let x = Tensor::arange(0, n, 1) * 0x1234_5678_9ABC_DEF1;
    let expected = wrapped(i128::from(n * (n - 1) / 2) * 0x1234_5678_9ABC_DEF1);
    assert_eq!(x.sum(..).item(), expected);
    for columns in [1, 7, 100] {
        let matrix = x.slice(0, ..n / columns * columns).reshape([-1, columns as isize]);
        let whole = matrix.flatten(..).sum(..).item();
        let by_columns = matrix.sum(0);
        assert_eq!(by_columns.sum(..).item(), whole);
        assert_eq!(matrix.t().contiguous().sum(1), by_columns);
        assert_eq!(matrix.sum(1).sum(..).item(), whole);
    }
    assert_eq!(x.cumsum(0).select(0, -1).item(), expected);
    assert_eq!((&x * 2 + 1).prod(..).item(), (&x.flip(0) * 2 + 1).prod(..).item());
}

#[test]
fn division_by_0_names_the_place() {
    let message = |operation: &str, got: &str, shape: &str| {
        format!(
            "{operation}: the divisor is {got} for shape {shape}: integers can only be divided by other numbers; those of \
             a float type (see `cast`) become infinite or NaN"
        )
    };
    let x = Tensor::from([[1, 2], [3, i64::MIN]]);
    let zeros = Tensor::from([5, 0]);
    let at_1 = |operation: &str| message(operation, "0 at [1]", "[2]");
    let number = |operation: &str| message(operation, "0", "[]");
    panics(|| &x / &zeros, &at_1("div"));
    panics(|| x.clone() / &zeros, &at_1("div"));
    panics(|| &x / zeros.clone(), &at_1("div"));
    panics(|| x.clone() / zeros.clone(), &at_1("div"));
    panics(|| &zeros / zeros.clone(), &at_1("div"));
    panics(|| &x / 0, &number("div"));
    panics(|| x.clone() / 0, &number("div"));
    panics(|| 1 / &zeros, &at_1("div"));
    panics(|| 1 / zeros.clone(), &at_1("div"));
    panics(|| x.fmod(&zeros), &at_1("fmod"));
    panics(|| x.remainder(0), &number("remainder"));
    panics(|| x.floor_divide(x.gt(2).cast::<i64>()), &message("floor_divide", "0 at [0, 0]", "[2, 2]"));
    // Nothing is written before.
    let mut written = Tensor::from([[8, 8], [8, 8]]);
    panics(|| written /= &zeros, &at_1("div_assign"));
    panics(|| written /= zeros.clone(), &at_1("div_assign"));
    panics(|| written /= 0, &number("div_assign"));
    assert_eq!(written, Tensor::full([2, 2], 8));
    // Nor in a worker: the operands are large enough to be shared.
    let mut divisors = Tensor::<i64>::ones([1000, 1000]);
    divisors[[999, 7]] = 0;
    panics(|| &divisors / &divisors, &message("div", "0 at [999, 7]", "[1000, 1000]"));
    panics(|| divisors.t().remainder(divisors.t()), &message("remainder", "0 at [7, 999]", "[1000, 1000]"));
    // Numbers alone.
    let alone = |operation: &str| {
        format!(
            "{operation}: the divisor is 0: integers can only be divided by other numbers; those of a float type (see \
             `cast`) become infinite or NaN"
        )
    };
    panics(|| Number::fmod(1, 0), &alone("fmod"));
    panics(|| Number::remainder(1, 0), &alone("remainder"));
    panics(|| Number::floor_divide(1, 0), &alone("floor_divide"));
    panics(|| Number::wrapping_div(1, 0), &alone("wrapping_div"));
    // What does not fit is said first.
    let (wrong, _, _) = panic_of(|| &Tensor::from([1, 2, 3]) / &zeros);
    assert!(wrong.starts_with("div: shapes [3] and [2] do not broadcast"), "{wrong}");
}

proptest! {
    /// A division panics if, and only if, an element is divided by 0; where there is no element, there is no division.
    #[test]
    fn nothing_is_divided_by_0((x, y) in laid_pair(integer())) {
        let common = broadcast_shapes("div", x.tensor.shape(), y.tensor.shape()).unwrap();
        let divides = !common.contains(&0) && y.naive.data.contains(&0);
        let panicked = |action: &dyn Fn() -> Tensor<i64>| caught(action).is_some();
        prop_assert_eq!(panicked(&|| &x.tensor / &y.tensor), divides);
        prop_assert_eq!(panicked(&|| x.tensor.remainder(&y.tensor)), divides);
        prop_assert_eq!(panicked(&|| &x.tensor / 0), !x.tensor.is_empty());
        prop_assert_eq!(panicked(&|| 1 / &y.tensor), y.naive.data.contains(&0));
    }
}

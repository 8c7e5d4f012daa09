//! Values, first and second derivatives of all smooth scalar functions against true values, near the ends of their
//! domains, their zeros and poles, and the largest and smallest numbers, in both types.
//!
//! `generate.py` made the true values. How far off each function may be stands in `accuracy.md`, which is also a page
//! of the documentation.

use std::fmt::Write;

use gradus::{Float, Tensor, Var, grad, grad_create_graph, vjp};

const TRUTH: [&str; 2] = [include_str!("unary.csv"), include_str!("binary.csv")];
const BOUNDS: &str = include_str!("../../../../crates/autograd/src/accuracy.md");

type Function<T> = fn(&[Var<T>]) -> Var<T>;

/// The functions of the table by name.
fn functions<T: Float>() -> Vec<(&'static str, Function<T>)> {
    macro_rules! list {
        ($($name:ident)* | $($binary:ident)*) => {
            vec![
                $((stringify!($name), (|x| x[0].$name()) as Function<T>),)*
                $((stringify!($binary), |x| x[0].$binary(&x[1])),)*
                ("polygamma(1)", |x| x[0].polygamma(1)),
                ("softplus", |x| x[0].softplus(1.0, f64::INFINITY)),
                ("softplus(3)", |x| x[0].softplus(3.0, f64::INFINITY)),
                ("elu(1.5)", |x| x[0].elu(1.5)),
                ("celu(2)", |x| x[0].celu(2.0)),
                ("pow_scalar(2.5)", |x| x[0].pow_scalar(2.5)),
                ("pow_scalar(-0.3125)", |x| x[0].pow_scalar(-0.3125)),
                ("pow_scalar(3)", |x| x[0].pow_scalar(3.0)),
                ("pow_scalar(-1)", |x| x[0].pow_scalar(-1.0)),
            ]
        };
    }
    list! {
        exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan asin acos atan sinh cosh tanh asinh
        acosh atanh erf erfc lgamma digamma sigmoid logsigmoid softsign silu mish gelu gelu_tanh selu hardswish
        | pow hypot atan2 logaddexp xlogy
    }
}

/// How far off a result may be: `ulps` units in the last place of the larger of the true value and `size`.
#[derive(Debug, Clone, Copy)]
struct Bound {
    ulps: f64,
    size: f64,
}

impl Bound {
    /// `2`, or `2 of 1e-30`.
    fn parse(cell: &str) -> Self {
        let (ulps, size) = cell.split_once(" of ").unwrap_or((cell, "0"));
        let number = |text: &str| text.trim().parse().unwrap_or_else(|_| panic!("`{cell}` is no bound"));
        Self { ulps: number(ulps), size: number(size) }
    }
}

/// The bounds of a function: value, first and second derivatives in `f64`, then in `f32`.
fn bounds() -> Vec<(&'static str, Vec<Bound>)> {
    let rows = BOUNDS.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.trim_end_matches(['|', ' ']).split('|');
        let name = cells.next().unwrap().trim().trim_end_matches('`');
        (name, cells.map(|cell| Bound::parse(cell.trim())).collect())
    })
    .collect()
}

/// The arguments and true results of a function that are numbers of type `T`.
fn truth<T: Float>(name: &str) -> Vec<(Vec<f64>, Vec<f64>)> {
    let rows = TRUTH.iter().flat_map(|table| table.lines()).map(|line| line.split(','));
    rows.filter_map(|mut row| {
        (row.next() == Some(name)).then(|| {
            let mut numbers: Vec<f64> = row.map(|number| number.parse().unwrap()).collect();
            let results = numbers.split_off(if numbers.len() == 4 { 1 } else { 2 });
            (numbers, results)
        })
    })
    .filter(|(arguments, results)| {
        let exact = |x: &f64| T::from_f64(*x).to_f64() == *x;
        arguments.iter().all(exact) && T::from_f64(results[0]).is_finite()
    })
    .collect()
}

/// The unit in the last place of a number of type `T`.
fn ulp<T: Float>(size: f64) -> f64 {
    if T::NAME == "f32" {
        let size = (size.abs() as f32).clamp(f32::MIN_POSITIVE, f32::MAX / 2.0);
        f64::from(size.next_up() - size)
    } else {
        let size = size.abs().clamp(f64::MIN_POSITIVE, f64::MAX / 2.0);
        size.next_up() - size
    }
}

/// The distance of a result from the true one, in units of the last place of that or of `size`.
///
/// A derivative may overflow from half the largest number on.
fn error<T: Float>(got: f64, want: f64, size: f64, order: usize) -> f64 {
    let rounded = T::from_f64(want).to_f64();
    let largest = if T::NAME == "f32" { f64::from(f32::MAX) } else { f64::MAX };
    if order > 0 && got.is_infinite() && want.abs() > largest / 2.0 && got.signum() == want.signum() {
        return 0.0;
    }
    if got == rounded || got.is_nan() && want.is_nan() {
        0.0
    } else if got.is_finite() && rounded.is_finite() {
        (got - want).abs() / ulp::<T>(want.abs().max(size))
    } else if !got.is_nan() && got.signum() == want.signum() {
        // An overflow too early or too late: infinity is the number after the largest.
        let bounded = |x: f64| x.abs().min(largest);
        1.0 + (bounded(got) - bounded(rounded)).abs() / ulp::<T>(largest)
    } else {
        f64::INFINITY
    }
}

/// Value, first and second derivatives of a function at many points, as a backward pass and as a recorded one give
/// them.
fn results<T: Float>(function: Function<T>, arguments: &[Vec<f64>]) -> [Vec<Vec<f64>>; 2] {
    let count = arguments[0].len();
    let leaves: Vec<Var<T>> = (0..count)
        .map(|i| Var::leaf(Tensor::from(arguments.iter().map(|x| T::from_f64(x[i])).collect::<Vec<_>>())))
        .collect();
    let leaves_by_reference: Vec<&Var<T>> = leaves.iter().collect();
    let y = function(&leaves);
    let ones = Tensor::ones(y.shape());
    let first = grad_create_graph(&y.sum(..), &leaves_by_reference);
    let plain = grad(&y.sum(..), &leaves_by_reference);
    let mut second = Vec::new();
    for (i, slope) in first.iter().enumerate() {
        let row: Vec<Option<Var<T>>> =
            if slope.is_tracked() { vjp(slope, &ones, &leaves_by_reference) } else { vec![None; count] };
        // Of two numbers: by x x, x y, y y.
        second.extend(
            row.into_iter().skip(i).map(|x| x.map_or_else(|| Tensor::zeros(y.shape()), Var::into_value)),
        );
    }
    let numbers = |x: &Tensor<T>| x.iter().map(T::to_f64).collect::<Vec<_>>();
    [plain, first].map(|first| {
        let first = first.iter().map(Var::value);
        std::iter::once(y.value()).chain(first).chain(&second).map(numbers).collect()
    })
}

/// Writes down what is worse than its bound; a bound of 0 shows all.
fn check<T: Float>(name: &str, function: Function<T>, bounds: &[Bound], report: &mut String) {
    let truth = truth::<T>(name);
    assert!(truth.len() > 20, "{name} has no table");
    let arguments: Vec<Vec<f64>> = truth.iter().map(|row| row.0.clone()).collect();
    for (pass, results) in ["backward", "recorded"].into_iter().zip(results(function, &arguments)) {
        for (column, got) in results.iter().enumerate() {
            let order = if arguments[0].len() == 1 { column } else { [0, 1, 1, 2, 2, 2][column] };
            let bound = bounds[order];
            let errors =
                got.iter().zip(&truth).map(|(got, row)| error::<T>(*got, row.1[column], bound.size, order));
            let (place, worst) = errors.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
            if worst > bound.ulps {
                let (x, want) = (&truth[place].0, truth[place].1[column]);
                writeln!(
                    report,
                    "{name} of {}, {pass}, column {column} at {x:?}: {worst:.2e} ulp > {bound:?}, {:e} instead of {want:e}",
                    T::NAME, got[place],
                )
                .unwrap();
            }
        }
    }
}

#[test]
fn every_function_is_within_its_bound() {
    let (wide, narrow, bounds) = (functions::<f64>(), functions::<f32>(), bounds());
    let mut report = String::new();
    for ((name, wide), (_, narrow)) in wide.iter().zip(&narrow) {
        let (_, bounds) =
            bounds.iter().find(|row| row.0 == *name).unwrap_or_else(|| panic!("{name} has no bounds"));
        check(name, *wide, &bounds[..3], &mut report);
        check(name, *narrow, &bounds[3..], &mut report);
    }
    assert!(report.is_empty(), "\n{report}");
    assert_eq!(bounds.len(), wide.len(), "a function of the page is not held to its bounds");
}

/// Single points that were once wrong; the values were computed to 30 digits, those at the ends are limits.
#[test]
fn ends_of_domains() {
    const INF: f64 = f64::INFINITY;
    for (name, x, column, expected) in [
        ("atanh", -0.999999999999, 0, -14.162095209226402),
        ("asinh", 1e308, 0, 709.889355822726),
        ("acosh", 1e308, 0, 709.889355822726),
        ("acosh", 1.0 + f64::EPSILON, 0, 2.1073424255447014e-8),
        ("asinh", -1e308, 1, 1e-308),
        ("asin", 1e-20, 2, 1e-20),
        ("asin", 1.0, 2, INF),
        ("asin", -1.0, 2, -INF),
        ("acos", 1.0, 2, -INF),
        ("acos", -1.0, 2, INF),
        ("atanh", 1.0, 2, INF),
        ("atanh", -1.0, 2, -INF),
        ("acosh", 1.0, 2, -INF),
        ("digamma", -1e-310, 0, INF),
        ("digamma", 1e-310, 0, -INF),
        ("digamma", -1e-310, 1, INF),
        ("sigmoid", -740.0, 0, 4.2e-322),
        ("softplus(3)", 1e308, 0, 1e308),
        ("hardswish", 1e308, 0, 1e308),
    ] {
        let (_, function) = functions::<f64>().into_iter().find(|f| f.0 == name).unwrap();
        let [plain, recorded] = results(function, &[vec![x]]);
        for got in [plain[column][0], recorded[column][0]] {
            super::assert_close(got, expected, 1e-15);
        }
    }
    // 1 / 0.1 rounds to 10, but 0.1 is a bit more than a tenth.
    let [plain, recorded] = results(|x: &[Var<f64>]| x[0].fmod(&x[1]), &[vec![1.0, 0.1]]);
    assert_eq!([plain[2][0], recorded[2][0]], [-9.0, -9.0]);
    // Where the length of a point overflows: x / (x^2 + y^2), and the cosine of the angle.
    let large = [vec![1.6e308, 1.6e308]];
    for got in results(|x: &[Var<f64>]| x[0].atan2(&x[1]), &large) {
        super::assert_close(got[1][0], 3.125e-309, 1e-14);
    }
    for got in results(|x: &[Var<f64>]| x[0].hypot(&x[1]), &large) {
        super::assert_close(got[1][0], std::f64::consts::FRAC_1_SQRT_2, 1e-15);
    }
    // With exponent 0 the derivative with respect to the base is 0.
    for x in [0.0, 5e-324, 1e-310, 1e308, INF, f64::NAN] {
        for function in [(|x| x[0].pow(0.0)) as Function<f64>, |x| x[0].pow_scalar(0.0)] {
            let [plain, recorded] = results(function, &[vec![x]]);
            assert_eq!([plain, recorded].map(|r| [r[0][0], r[1][0], r[2][0]]), [[1.0, 0.0, 0.0]; 2], "{x}");
        }
    }
}

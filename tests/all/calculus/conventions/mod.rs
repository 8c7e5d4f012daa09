//! Kinks, zeros, infinities and NaN: values, first and second derivatives are those of PyTorch, but for the departures
//! listed here.
//!
//! `generate.py` asked PyTorch 2.15. Signs of zeros do not count. A departure in `departures.csv` is a function, its
//! arguments, the column (value, first, second derivatives) and the result; the reason stands above each group.

use std::fmt::Write;

use gradus::{Losses, Tensor, Var, grad_create_graph, vjp};

const UNARY: &str = include_str!("unary.csv");
const BINARY: &str = include_str!("binary.csv");
const DEPARTURES: &str = include_str!("departures.csv");

type Function = fn(&[Var<f64>]) -> Var<f64>;

fn functions() -> Vec<(&'static str, Function)> {
    macro_rules! list {
        ($($name:ident)* | $($binary:ident)*) => {
            vec![
                $((stringify!($name), (|x| x[0].$name()) as Function),)*
                $((stringify!($binary), |x| x[0].$binary(&x[1])),)*
                ("hardtanh(-1,2)", |x| x[0].hardtanh(-1.0, 2.0)),
                ("clamp(-1,2)", |x| x[0].clamp(-1.0, 2.0)),
                ("clamp(2,1)", |x| x[0].clamp(2.0, 1.0)),
                ("clamp(-inf,1)", |x| x[0].clamp(f64::NEG_INFINITY, 1.0)),
                ("leaky_relu(0.25)", |x| x[0].leaky_relu(0.25)),
                ("elu(1.5)", |x| x[0].elu(1.5)),
                ("celu(0.5)", |x| x[0].celu(0.5)),
                ("softplus(2,3)", |x| x[0].softplus(2.0, 3.0)),
                ("softplus(1,20)", |x| x[0].softplus(1.0, 20.0)),
                ("huber_loss(1.5)", |x| gradus::HuberLoss::new().delta(1.5).forward(&x[0], Tensor::from([0.0]))),
                ("smooth_l1_loss(1.5)", |x| gradus::SmoothL1Loss::new().beta(1.5).forward(&x[0], Tensor::from([0.0]))),
                ("l1_loss", |x| x[0].l1_loss(Tensor::from([0.0]))),
                ("mse_loss", |x| x[0].mse_loss(Tensor::from([0.0]))),
                ("pow_scalar(0)", |x| x[0].pow_scalar(0.0)),
                ("pow_scalar(0.5)", |x| x[0].pow_scalar(0.5)),
                ("pow_scalar(1)", |x| x[0].pow_scalar(1.0)),
                ("pow_scalar(1.5)", |x| x[0].pow_scalar(1.5)),
                ("pow_scalar(2)", |x| x[0].pow_scalar(2.0)),
                ("pow_scalar(2.5)", |x| x[0].pow_scalar(2.5)),
                ("pow_scalar(3)", |x| x[0].pow_scalar(3.0)),
                ("pow_scalar(-1)", |x| x[0].pow_scalar(-1.0)),
                ("pow_scalar(-0.5)", |x| x[0].pow_scalar(-0.5)),
                ("mul", |x| &x[0] * &x[1]),
                ("div", |x| &x[0] / &x[1]),
            ]
        };
    }
    list! {
        exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square abs sign sin cos tan asin acos atan sinh cosh tanh
        asinh acosh atanh erf erfc lgamma digamma floor ceil trunc round frac sigmoid relu logsigmoid hardsigmoid softsign
        relu6 selu silu mish hardswish gelu gelu_tanh
        | pow atan2 hypot logaddexp xlogy fmod remainder maximum minimum prelu
    }
}

/// The value, the first and the second derivatives, of two numbers by x x, x y, y y.
fn derivatives(function: Function, arguments: &[f64]) -> Vec<f64> {
    let leaves: Vec<Var<f64>> = arguments.iter().map(|x| Var::leaf(Tensor::from([*x]))).collect();
    let leaves: Vec<&Var<f64>> = leaves.iter().collect();
    let owned: Vec<Var<f64>> = leaves.iter().map(|x| (*x).clone()).collect();
    let y = function(&owned).sum(..);
    let first = grad_create_graph(&y, &leaves);
    let mut results = vec![y.item()];
    results.extend(first.iter().map(Var::item));
    for (i, slope) in first.iter().enumerate() {
        let row = if slope.is_tracked() {
            vjp(slope, &Tensor::from([1.0]), &leaves)
        } else {
            vec![None; leaves.len()]
        };
        results.extend(row.into_iter().skip(i).map(|x| x.map_or(0.0, |x| x.item())));
    }
    results
}

#[test]
fn special_points_are_those_of_pytorch() {
    let functions = functions();
    let mut report = String::new();
    let mut departures: Vec<&str> = DEPARTURES.lines().filter(|line| !line.starts_with('#')).collect();
    let total = departures.len();
    let mut met = 0;
    for row in UNARY.lines().chain(BINARY.lines()) {
        let mut cells = row.split(';');
        let name = cells.next().unwrap();
        let numbers: Vec<f64> = cells.map(|cell| cell.parse().unwrap()).collect();
        let (x, want) = numbers.split_at(if numbers.len() == 4 { 1 } else { 2 });
        let (_, function) =
            functions.iter().find(|f| f.0 == name).unwrap_or_else(|| panic!("no function {name}"));
        for (column, (got, want)) in derivatives(*function, x).into_iter().zip(want).enumerate() {
            let same =
                got == *want || got.is_nan() && want.is_nan() || (got - want).abs() <= 1e-14 * want.abs();
            // Without the sign of zero.
            let line = format!("{name};{x:?};{column};{:?}", got + 0.0);
            match departures.iter().position(|departure| *departure == line) {
                Some(place) if !same => {
                    departures.swap_remove(place);
                    met += 1;
                }
                None if same => {}
                _ => writeln!(report, "{line} in PyTorch {want:?}").unwrap(),
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
    assert_eq!(met, total, "departures that are none: {departures:?}");
}

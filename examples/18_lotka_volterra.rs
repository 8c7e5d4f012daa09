//! A differential equation that is fitted through its solver. The equations of Lotka (1925) and Volterra (1926) say how hares
//! and lynxes grow and decline by each other. A Runge-Kutta solver runs through 200 steps and 20 years; the gradient goes
//! back through all of them, to the four rates and the two populations of the first year. Second derivatives at the best fit
//! give standard errors. The pelts (thousands, bought by the Hudson's Bay Company; Hewitt, 1921) and what to expect are as
//! in Carpenter, "Predator-prey population dynamics: the Lotka-Volterra model in Stan", 2018.
//!
//! ```sh
//! cargo run --release --example lotka_volterra
//! ```

use std::error::Error;

use gradus::prelude::*;
use gradus::train::{Chart, Scale};
use gradus_examples::{Options, out, require};

/// Pelts of hares and lynxes in 1900, 1901, ..., 1920.
const PELTS: [[f64; 2]; 21] = [
    [30.0, 4.0],
    [47.2, 6.1],
    [70.2, 9.8],
    [77.4, 35.2],
    [36.3, 59.4],
    [20.6, 41.7],
    [18.1, 19.0],
    [21.4, 13.0],
    [22.0, 8.3],
    [25.4, 9.1],
    [27.1, 7.4],
    [40.3, 8.0],
    [57.0, 12.3],
    [76.6, 19.5],
    [52.3, 45.7],
    [19.5, 51.1],
    [11.2, 29.7],
    [7.6, 15.8],
    [14.6, 9.7],
    [16.2, 10.1],
    [24.7, 8.6],
];
/// Steps of the solver in a year.
const STEPS: usize = 10;

/// The logarithms of all that is fitted: the hares' growth and what a lynx takes from it, the lynxes' decline and what a
/// hare takes from it, and both populations in 1900. So each of them is positive.
#[derive(Module)]
struct Equation {
    logarithms: Parameter<f64>,
}

impl Equation {
    /// The logarithms of the populations at each step, `[years * STEPS + 1, 2]`.
    fn solve(&self, years: usize) -> Var<f64> {
        let rates = self.logarithms.slice(0, ..4).exp();
        // d(log hares) = growth - taken * lynxes; d(log lynxes) = -decline + given * hares
        let own = rates.index_select(0, [0, 2]) * Tensor::from([1.0, -1.0]);
        let by_other = rates.index_select(0, [1, 3]) * Tensor::from([-1.0, 1.0]);
        let change = |y: &Var<f64>| &own + &by_other * y.exp().flip(0);
        let step = 1.0 / STEPS as f64;
        let mut states = vec![self.logarithms.slice(0, 4..)];
        for i in 0..years * STEPS {
            // The classical Runge-Kutta method of fourth order.
            let y = &states[i];
            let k1 = change(y);
            let k2 = change(&(y + &k1 * (step / 2.0)));
            let k3 = change(&(y + &k2 * (step / 2.0)));
            let k4 = change(&(y + &k3 * step));
            states.push(y + (k1 + (k2 + k3) * 2.0 + k4) * (step / 6.0));
        }
        stack(&states.iter().collect::<Vec<_>>(), 0)
    }

    /// The mean square of the logarithm of modelled over counted pelts.
    fn loss(&self, years: usize) -> Var<f64> {
        let counted = Tensor::from(PELTS).log().slice(0, ..=years);
        self.solve(years).slice(0, step(.., STEPS as isize)).mse_loss(counted)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    // The rates that Carpenter expects before he looks at the data, and the pelts of the first year.
    let start = Tensor::from([1.0, 0.05, 1.0, 0.05, PELTS[0][0], PELTS[0][1]]).log();
    let mut equation = Equation { logarithms: Parameter::new(start) };
    let mut adam = Adam::new(0.02);
    // A wrong period is hard to mend once the curves are a whole cycle apart: so the first years come first.
    for (years, steps) in
        options.unless_quick([(6, 200), (12, 200), (20, 800)], [(6, 100), (12, 60), (20, 120)])
    {
        for i in 0..steps {
            adam.follow(&schedule::cosine(steps, 1e-3), i);
            let gradients = equation.loss(years).backward();
            adam.step(&mut equation, &gradients);
        }
        println!("{years:>2} years: loss {:.4}", equation.loss(years).item());
    }

    // With normal errors of the logarithms, the covariance is the inverse of the second derivatives of the log-likelihood.
    let loss = equation.loss(20);
    let count = (2 * PELTS.len()) as f64;
    let information = hessian(&loss, &equation.logarithms) * (count / 2.0 / loss.item());
    let errors = information.inverse()?.diagonal(0, 0, 1).sqrt();
    println!("\n                      fitted             Carpenter");
    let fitted = equation.logarithms.value().exp();
    let published = [(0.55, 0.06), (0.028, 0.004), (0.80, 0.09), (0.024, 0.004)];
    let names = ["growth of hares", "taken by a lynx", "decline of lynxes", "given by a hare"];
    for (i, (name, (mean, deviation))) in names.into_iter().zip(published).enumerate() {
        let (value, error) = (fitted[[i]], fitted[[i]] * errors[[i]]);
        println!("{name:<17}  {value:>7.3} +- {error:.3}   {mean:>7.3} +- {deviation:.3}");
    }

    let curve = no_grad(|| equation.solve(20)).into_value().exp();
    let year = |i: usize, step: f64| 1900.0 + i as f64 * step;
    let line = |animal: usize| (0..=200).map(|i| (year(i, 0.1), curve[[i, animal]])).collect::<Vec<_>>();
    let points =
        |animal: usize| (0..).zip(PELTS).map(|(i, pelts)| (year(i, 1.0), pelts[animal])).collect::<Vec<_>>();
    Chart {
        title: "Hares and lynxes",
        subtitle: "pelts of the Hudson's Bay Company, and the equations of Lotka and Volterra",
        x: "year",
        y: "pelts, thousands",
        scale: Scale::Linear,
        lines: &[
            ("hares, fitted", line(0)),
            ("lynxes, fitted", line(1)),
            ("hares, counted", points(0)),
            ("lynxes, counted", points(1)),
        ],
    }
    .save(out("18_lotka_volterra.svg")?)?;
    println!("picture out/18_lotka_volterra.svg");
    require("the growth of hares", fitted[[0]], options.unless_quick(0.52..0.58, 0.45..0.65))?;
    require("the loss", loss.item(), ..options.unless_quick(0.065, 0.075))
}

//! Linear regression on real data: the body mass of 342 penguins from the length of their flippers. The line of least squares
//! has a closed form (Legendre, 1805; Gauss, 1809), and gradient descent finds the same line. From here on there is no closed
//! form, only the descent.
//!
//! ```sh
//! cargo run --release --example regression
//! ```

use std::error::Error;

use gradus::data::read::csv::Table;
use gradus::metrics::R2;
use gradus::prelude::*;
use gradus_examples::picture::Plot;
use gradus_examples::{Options, data, out, require};

const STEPS: usize = 60;

fn main() -> Result<(), Box<dyn Error>> {
    Options::read()?;
    // Two penguins were not measured.
    let table = Table::read(data("penguins.csv"))?.drop_missing(["flipper_length_mm", "body_mass_g"])?;
    let x = table.numbers::<f64>(["flipper_length_mm"])?;
    let y = table.numbers::<f64>(["body_mass_g"])?;

    // In closed form: of all lines, that with the least squared error solves X'X b = X'y, where X has a column of ones.
    let ones_and_x = Tensor::cat(&[&Tensor::ones(x.shape()), &x], 1);
    let transposed = ones_and_x.t();
    let solution = transposed.matmul(&ones_and_x).solve(&transposed.matmul(&y))?;
    let (intercept, slope) = (solution[[0, 0]], solution[[1, 0]]);
    println!("closed form:   {slope:.4} g for a millimetre, {intercept:.3} g at 0");

    // By descent. Lengths around 200 with a spread of 14 would need steps so small that the intercept hardly moved;
    // standardised lengths are around 0, with a spread of 1.
    let mut line = Sequential::new().push(Standardize::fit(&x)?).push(Linear::new(1, 1, &mut seeded(0)));
    let mut sgd = Sgd::new(0.15);
    for step in 0..=STEPS {
        let gradients = line.forward(&x).mse_loss(&y).backward();
        if step % 10 == 0 {
            println!("step {step:>3}       root mean squared error {:>9.3} g", gradients.loss().sqrt());
        }
        sgd.step(&mut line, &gradients);
    }
    let at = no_grad(|| line.forward([[0.0], [1.0]])).into_value();
    let (found_intercept, found_slope) = (at[[0, 0]], at[[1, 0]] - at[[0, 0]]);
    println!("descent:       {found_slope:.4} g for a millimetre, {found_intercept:.3} g at 0");

    let mut r2 = R2::new();
    r2.update(no_grad(|| line.forward(&x)), &y);
    println!("The line explains {:.1} % of the variance.", 100.0 * r2.value());

    let species = table.texts("species")?;
    let of_species = |name| {
        let points = x.iter().zip(y.iter()).zip(&species).filter(|(_, species)| *species == name);
        (name, points.map(|(point, _)| point).collect())
    };
    let ends = [171.0, 232.0].map(|x| (x, intercept + slope * x)).to_vec();
    Plot {
        title: "A millimetre of flipper is 50 grams of penguin",
        subtitle: &format!("{} penguins, and the line of least squares; R2 = {:.3}", x.len(), r2.value()),
        x: "flipper length (mm)",
        y: "body mass (g)",
        points: &["Adelie", "Chinstrap", "Gentoo"].map(of_species),
        lines: &[("least squares", ends)],
    }
    .save(out("02_regression.svg")?)?;

    require("the slope", slope, 49.685..49.687)?;
    require("the difference of the slopes", (found_slope - slope).abs(), ..1e-6)?;
    require("the difference of the intercepts", (found_intercept - intercept).abs(), ..1e-3)
}

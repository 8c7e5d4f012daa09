//! Ten clients with uneven shares of the digits learn one model, and no digit leaves its client: averaging (McMahan et al.,
//! 2017), with a proximal term (Li et al., 2020), with Adam on the server (Reddi et al., 2021), under masks that hide each
//! update from the server (Bonawitz et al., 2017), and with noise (McMahan et al., 2018); beside training on all digits at
//! one place.
//!
//! ```sh
//! cargo run --release --features federated --example federated -- [--quick]
//! ```

use std::error::Error;
use std::time::Instant;

use gradus::data::order;
use gradus::federated::{
    Client, ClientError, FedAdam, FedAvg, FedProx, Privacy, Report, Round, SecureAggregation, Simulation,
    Strategy,
};
use gradus::metrics::Accuracy;
use gradus::prelude::*;
use gradus_examples::digits::{CLASSES, Digits, PIXELS};
use gradus_examples::picture::Plot;
use gradus_examples::{Options, out, require};

const CLIENTS: usize = 10;
const BATCH: usize = 20;
const RATE: f64 = 0.1;

#[derive(Clone, Module)]
struct Mlp {
    hidden: Linear,
    out: Linear,
}

impl Mlp {
    fn new(rng: &mut impl Rng) -> Self {
        Self { hidden: Linear::new(PIXELS, 32, rng), out: Linear::new(32, CLASSES, rng) }
    }

    /// Images `[n, 64]` to logits `[n, 10]`.
    fn forward(&self, images: &Tensor) -> Var {
        self.out.forward(self.hidden.forward(images).relu())
    }
}

/// Some digits, and how often a round goes through them.
#[derive(Clone)]
struct Share {
    images: Tensor,
    labels: Tensor<i64>,
    epochs: usize,
}

impl Share {
    fn new(digits: &Digits, places: &[usize], epochs: usize) -> Self {
        let places: Tensor<i64> = places.iter().map(|&place| place as i64).collect();
        let (images, labels) =
            (digits.images.index_select(0, &places), digits.labels.index_select(0, &places));
        Self { images, labels, epochs }
    }

    fn accuracy(&self, model: &Mlp) -> f64 {
        let mut accuracy = Accuracy::new();
        accuracy.update(no_grad(|| model.forward(&self.images)), &self.labels);
        accuracy.value()
    }
}

impl Client<Mlp> for Share {
    fn fit(&mut self, model: &mut Mlp, round: &Round) -> Result<Report, ClientError> {
        let (mut sgd, rng) = (Sgd::new(RATE), &mut round.rng());
        for _ in 0..self.epochs {
            for (x, y) in Batches::of((&self.images, &self.labels), BATCH).shuffle(rng) {
                let loss = model.forward(&x).cross_entropy(&y) + round.proximal_term(model);
                sgd.step(model, &loss.backward());
            }
        }
        Ok(Report::new(self.labels.len()))
    }

    fn evaluate(&mut self, model: &Mlp, _round: &Round) -> Result<Report, ClientError> {
        Ok(Report::new(self.labels.len()).metric("accuracy", self.accuracy(model)))
    }
}

struct Course {
    name: &'static str,
    accuracies: Vec<f64>,
    least: f64,
    first: Mlp,
    last: Mlp,
    seconds: f64,
}

/// Runs rounds, and measures the model on the test digits after each.
fn run(
    name: &'static str,
    mut federation: Simulation<Mlp, Share>,
    test: &Share,
    rounds: usize,
) -> Result<Course, Box<dyn Error>> {
    let (begun, mut accuracies, mut first) = (Instant::now(), vec![test.accuracy(federation.model())], None);
    for _ in 0..rounds {
        federation.round()?;
        first.get_or_insert_with(|| federation.model().clone());
        accuracies.push(test.accuracy(federation.model()));
    }
    let reports = federation.evaluate().reports;
    let least = reports.values().map(|report| report.metrics["accuracy"]).fold(1.0, f64::min);
    let last = federation.model().clone();
    let first = first.unwrap_or_else(|| last.clone());
    Ok(Course { name, accuracies, least, first, last, seconds: begun.elapsed().as_secs_f64() })
}

/// The largest difference of two parameters.
fn distance(x: &Mlp, y: &Mlp) -> f64 {
    let pairs = x.parameters().into_iter().zip(y.parameters());
    pairs.map(|(x, y)| f64::from((x.value() - y.value()).abs().max(..).item())).fold(0.0, f64::max)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng) = (Options::read()?, &mut seeded(0));
    let (rounds, epochs) = (options.unless_quick(40, 25), 2);
    let digits = Digits::load()?;
    let [train, test] = order::split(&order::shuffled(digits.labels.len(), rng), [0.8, 0.2]);
    let test = Share::new(&digits, &test, 0);
    let all = Share::new(&digits, &train, epochs);
    let clients: Vec<Share> = order::dirichlet(&all.labels, CLIENTS, 0.3, rng)
        .iter()
        .map(|places| {
            Share::new(&digits, &places.iter().map(|&place| train[place]).collect::<Vec<_>>(), epochs)
        })
        .collect();
    println!("digits of each client, from 0 to 9:");
    for client in &clients {
        let counts =
            (0..CLASSES as i64).map(|digit| client.labels.iter().filter(|&label| label == digit).count());
        println!("  {}", counts.map(|count| format!("{count:4}")).collect::<Vec<_>>().concat());
    }

    let model = Mlp::new(rng);
    let federation = |strategy: Box<dyn Strategy>| {
        Simulation::new(model.clone(), clients.clone()).map(|f| f.strategy(strategy))
    };
    let masks = SecureAggregation::new(CLIENTS / 2)?;
    let mut courses = vec![
        run("central", Simulation::new(model.clone(), [all])?, &test, rounds)?,
        run("FedAvg", federation(Box::new(FedAvg))?, &test, rounds)?,
        run("FedAvg, masked", federation(Box::new(FedAvg))?.secure_aggregation(masks), &test, rounds)?,
        run("FedProx 0.1", federation(Box::new(FedProx::new(0.1)))?, &test, rounds)?,
        run("FedAdam", federation(Box::new(FedAdam::new(0.03)))?, &test, rounds)?,
        run(
            "a third gone",
            federation(Box::new(FedAvg))?.secure_aggregation(SecureAggregation::new(2)?).drop_out(0.33)?,
            &test,
            rounds,
        )?,
    ];
    for (name, multiplier) in [("noise 0.02", 0.02), ("noise 0.2", 0.2)] {
        // Repeatable for this table; leave out the seed where it is to protect anybody.
        let privacy = Privacy::new(1.0, multiplier)?.seeded_noise_for_tests(1);
        courses.push(run(name, federation(Box::new(FedAvg))?.privacy(privacy), &test, rounds)?);
    }

    println!("\n{:16} {:>9} {:>13} {:>13} {:>8}", "", "accuracy", "worst client", "rounds to 90%", "seconds");
    for course in &courses {
        let last = course.accuracies.last().copied().unwrap_or_default();
        let reached = course.accuracies.iter().position(|&accuracy| accuracy >= 0.9);
        let reached = reached.map_or("-".into(), |round| round.to_string());
        println!("{:16} {last:9.4} {:13.4} {reached:>13} {:8.2}", course.name, course.least, course.seconds);
    }
    let lines: Vec<(&str, Vec<(f64, f64)>)> = courses
        .iter()
        .filter(|course| course.name != "FedAvg, masked")
        .map(|course| {
            (course.name, course.accuracies.iter().enumerate().map(|(i, &a)| (i as f64, a)).collect())
        })
        .collect();
    Plot {
        title: "One model of ten clients, whose digits stay with them",
        subtitle: "Accuracy on 360 held-out digits; shares of the clients drawn with concentration 0.3",
        x: "round",
        y: "accuracy",
        points: &[],
        lines: &lines,
    }
    .save(out("federated.svg")?)?;

    let (plain, masked) = (&courses[1], &courses[2]);
    println!(
        "after one round, masks changed parameters by at most {:.1e}",
        distance(&plain.first, &masked.first)
    );
    println!("after all rounds by {:.1e}", distance(&plain.last, &masked.last));
    require("the difference that masks make in one round", distance(&plain.first, &masked.first), ..1e-6)?;
    let last = |course: &Course| course.accuracies.last().copied().unwrap_or_default();
    require("the accuracy of FedAvg", last(plain), options.unless_quick(0.94, 0.9)..)?;
    require("what masks change in accuracy", (last(plain) - last(masked)).abs(), ..0.01)?;
    require("what federation costs", last(&courses[0]) - last(plain), ..options.unless_quick(0.03, 0.08))?;
    Ok(())
}

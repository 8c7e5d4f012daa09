//! A step that is recorded once and run again as a plan: the same bits in less time.
//!
//! A small network learns digits twice from the same weights, in the same batches: by plain steps, and by a
//! compiled step. The example compares all losses and weights bit by bit, times both, shows the plan, and what
//! happens to a function that cannot be compiled.
//!
//! ```sh
//! cargo run --release --example compiled
//! ```

use std::error::Error;
use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use gradus::prelude::*;
use gradus_examples::digits::{CLASSES, Digits, PIXELS};
use gradus_examples::{Options, require};

const BATCH: usize = 16;
const HIDDEN: usize = 24;

#[derive(Module, Clone)]
struct Mlp {
    hidden: Linear,
    out: Linear,
}

impl Mlp {
    /// Images `[n, 64]` to logits `[n, 10]`.
    fn forward(&self, images: &Var) -> Var {
        self.out.forward(self.hidden.forward(images).relu())
    }
}

/// A step of training, which gives the loss: with or without compiling it is the same function.
fn step(mlp: &mut Mlp, sgd: &mut Sgd, (images, labels): (Var, Indices)) -> Var {
    let loss = mlp.forward(&images).cross_entropy(&labels);
    sgd.step(mlp, &loss.clone().backward());
    loss
}

/// Trains; gives the bits of all losses, and the microseconds of a step.
fn train(digits: &Digits, epochs: usize, mut step: impl FnMut((Var, Indices)) -> Var) -> (Vec<u32>, f64) {
    let rng = &mut seeded(1);
    let (mut losses, mut seconds) = (Vec::new(), 0.0);
    for _ in 0..epochs {
        for (images, labels) in Batches::of((&digits.images, &digits.labels), BATCH).shuffle(rng) {
            let start = Instant::now();
            losses.push(step((images.into(), labels.into())));
            seconds += start.elapsed().as_secs_f64();
        }
    }
    let micros = 1e6 * seconds / losses.len() as f64;
    (losses.iter().map(|loss| loss.item().to_bits()).collect(), micros)
}

fn main() -> Result<(), Box<dyn Error>> {
    let epochs = Options::read()?.unless_quick(30, 3);
    let digits = Digits::load()?;

    let rng = &mut seeded(0);
    let mut plain = Mlp { hidden: Linear::new(PIXELS, HIDDEN, rng), out: Linear::new(HIDDEN, CLASSES, rng) };
    let mut mlp = plain.clone();
    let [mut plain_sgd, mut sgd] = [(); 2].map(|()| Sgd::new(0.1).momentum(0.9));

    let (plain_losses, plain_micros) =
        train(&digits, epochs, |batch| step(&mut plain, &mut plain_sgd, batch));
    let mut compiled = Compiled::new(step);
    let (losses, micros) = train(&digits, epochs, |batch| compiled.call(&mut mlp, &mut sgd, batch));
    println!("{} steps with {} parameters", losses.len(), mlp.parameter_count());
    println!("plain steps     {plain_micros:>6.1} us each");
    println!("compiled steps  {micros:>6.1} us each");

    // The last batch of an epoch is smaller, and has a plan of its own, which was used last.
    let plan = compiled.plan().ok_or("there is no plan")?.to_string();
    println!("\nThe first lines of the plan; in brackets the operations that became one pass:");
    for line in plan.lines().filter(|line| !line.contains("= number")).take(8) {
        println!("  {}", if line.len() > 100 { &line[..100] } else { line });
    }
    println!("  ... {} lines", plan.lines().count());

    // A branch on a number: a plan would go on with the branch of the first call.
    let mut branching = Compiled::new(|mlp: &mut Mlp, (): &mut (), images: Var| {
        let logits = mlp.forward(&images);
        if logits.max(..).item() > 10.0 { logits * 0.5 } else { logits }
    });
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let call = AssertUnwindSafe(|| branching.call(&mut mlp, &mut (), digits.images.clone().into()));
    let refusal = panic::catch_unwind(call);
    panic::set_hook(hook);
    let message =
        refusal.err().and_then(|message| message.downcast::<String>().ok()).ok_or("it was not refused")?;
    println!("\nA branch on a number is refused:\n  {message}\n");

    let accuracy =
        mlp.forward(&digits.images.into()).value().argmax(1).eq(&digits.labels).cast::<f32>().mean(..).item();
    println!("accuracy on the digits it learnt from  {:.1} %", 100.0 * accuracy);
    if losses != plain_losses || mlp.state() != plain.state() {
        return Err("compiled steps gave other bits".into());
    }
    println!("all {} losses and all weights have the same bits", losses.len());
    require("the accuracy", f64::from(accuracy), 0.9..)
}

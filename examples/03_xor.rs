//! Exclusive or, the smallest problem that needs a hidden layer: no line separates the inputs that give 1
//! from those that give 0.
//!
//! A network with two inputs, eight hidden units and one output learns it by plain gradient descent. On the
//! way the example shows the tape: what was recorded in one step, and what `backward` walks.
//!
//! ```sh
//! cargo run --release --example xor
//! ```

use gradus::prelude::*;

const STEPS: usize = 2000;

/// A parameter's name on the tape is the path to it: `hidden.weight`.
#[derive(Module)]
struct Mlp {
    hidden: Linear,
    out: Linear,
}

impl Mlp {
    fn forward(&self, x: impl AsVar) -> Var {
        let hidden = self.hidden.forward(x).sigmoid();
        self.out.forward(hidden).sigmoid()
    }
}

fn main() {
    let mut rng = seeded(0);
    let mut mlp = Mlp { hidden: Linear::new(2, 8, &mut rng), out: Linear::new(8, 1, &mut rng) };
    let x = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);

    let mut sgd = Sgd::new(5.0);
    for step in 0..=STEPS {
        let loss = mlp.forward(&x).mse_loss(&y);
        if step == 0 {
            println!("The tape of one step: parameters first, then each operation and the entries it reads.");
            println!(
                "`backward` walks it from the last line to the first.\n\n{}",
                mlp.label_tape(Tape::of(&loss))
            );
        }
        if step % 250 == 0 {
            println!("step {step:>4}   loss {:.6}", loss.item());
        }
        sgd.step(&mut mlp, &loss.backward());
    }

    let prediction = no_grad(|| mlp.forward(&x)).into_value();
    println!("\n x1   x2   prediction   rounded   target");
    for row in 0..4 {
        let (p, target) = (prediction[[row, 0]], y[[row, 0]]);
        println!("{:>3}  {:>3}   {p:>10.4}   {:>7}   {target:>6}", x[[row, 0]], x[[row, 1]], p.round());
    }
    assert_eq!(prediction.round(), y, "the network has not learnt exclusive or");
}

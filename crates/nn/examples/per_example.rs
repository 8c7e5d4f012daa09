//! The time that gradients of single examples take, beside the gradient of the batch.
//!
//! ```sh
//! cargo run --release -p gradus-nn --example per_example
//! ```

use std::time::{Duration, Instant};

use gradus_autograd::{Conv, Indices, Operand, Tensor, Var, seeded};
use gradus_nn::{Conv2d, Linear, Losses, MaxPool2d, Relu, Sequential, per_example_gradients};

/// The shortest of some runs.
fn shortest(runs: usize, mut f: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    (0..runs).map(time).min().unwrap_or_default()
}

fn report(name: &str, model: &Sequential, x: &Tensor<f32>, classes: i64) {
    let runs = 20;
    let count = x.shape()[0] as i64;
    let targets = Tensor::arange(0, count, 1).map(|i| i % classes);
    let batch = shortest(runs, || drop(model.forward(x).cross_entropy(&targets).backward()));
    let (x, targets) = (Var::constant(x), Indices::constant(&targets));
    let inputs = [Operand::Var(&x), Operand::Indices(&targets)];
    let gradients = || {
        let loss = |model: &Sequential, x: &gradus_autograd::Examples| {
            model.forward(x[0].unsqueeze(0)).cross_entropy(x.indices(1).reshape([1]))
        };
        per_example_gradients(model, loss, &inputs, &[Some(0), Some(0)])
    };
    let clipped = shortest(runs, || {
        let gradients = gradients();
        drop(gradients.weighted(&gradients.norms().map(|norm| 1.0 / norm.max(1.0))));
    });
    let whole = shortest(runs, || {
        let gradients = gradients();
        model.iter().for_each(|layer| {
            layer.parameters().into_iter().for_each(|parameter| drop(gradients.get(parameter)));
        });
    });
    let ratio = |time: Duration| time.as_secs_f64() / batch.as_secs_f64();
    println!(
        "{name}: batch {batch:.2?}, clipped sum {clipped:.2?} ({:.2}), all gradients {whole:.2?} ({:.2})",
        ratio(clipped),
        ratio(whole)
    );
}

fn main() {
    let rng = &mut seeded(0);
    let mlp = Sequential::new()
        .push(Linear::new(784, 512, rng))
        .push(Relu)
        .push(Linear::new(512, 256, rng))
        .push(Relu)
        .push(Linear::new(256, 10, rng));
    report("MLP 784-512-256-10, batch 128", &mlp, &Tensor::randn([128, 784], rng), 10);
    let lenet = Sequential::new()
        .push(Conv2d::new(1, 6, 5, Conv::new().padding(2), rng))
        .push(Relu)
        .push(MaxPool2d::new(2))
        .push(Conv2d::new(6, 16, 5, Conv::new(), rng))
        .push(Relu)
        .push(MaxPool2d::new(2))
        .push_fn(|x| x.flatten(1..))
        .push(Linear::new(400, 120, rng))
        .push(Relu)
        .push(Linear::new(120, 84, rng))
        .push(Relu)
        .push(Linear::new(84, 10, rng));
    report("LeNet, batch 64", &lenet, &Tensor::randn([64, 1, 28, 28], rng), 10);
}

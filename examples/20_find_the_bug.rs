//! Finding bugs, with the tool for each kind: a gradient that is wrong (the checker), a number that is not finite (anomaly
//! mode) and a step that is slow (the profiler). Each is shown in a layer that scales rows to length 1, and mended.
//!
//! ```sh
//! cargo run --release --features checks --example find_the_bug
//! ```

use std::error::Error;
use std::panic::{self, AssertUnwindSafe};

use gradus::prelude::*;
use gradus::testing::check_gradients;
use gradus::{Context, Float, Inputs, Operation, Profile, apply};
use gradus_examples::{out, require};

/// Rows of length 1.
#[derive(Debug)]
struct Unit {
    is_mended: bool,
}

impl<T: Float> Operation<T> for Unit {
    fn name(&self) -> &'static str {
        "unit"
    }

    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0] / inputs[0].norm(2.0, keepdim(-1))
    }

    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let (x, cotangent) = (context.input(0), context.cotangent());
        let length = x.norm(2.0, keepdim(-1));
        if self.is_mended {
            let y = x / &length;
            return Some((cotangent - &y * (cotangent * &y).sum(keepdim(-1))) / length);
        }
        // The bug: the length is taken for a constant. Training goes on, only worse.
        Some(cotangent / length)
    }
}

/// The mean of each step of sequences `[n, steps, features]` and all before it, one step after another.
fn running_mean_by_steps(x: &Var) -> Var {
    let mut sums = vec![x.select(1, 0)];
    for step in 1..x.shape()[1] {
        sums.push(&sums[step - 1] + x.select(1, step as isize));
    }
    stack(&sums.iter().collect::<Vec<_>>(), 1) / counts(x)
}

/// The same in one operation.
fn running_mean(x: &Var) -> Var {
    x.cumsum(1) / counts(x)
}

fn counts(x: &Var) -> Tensor {
    Tensor::linspace(1.0, x.shape()[1] as f32, x.shape()[1]).unsqueeze(1)
}

fn main() -> Result<(), Box<dyn Error>> {
    let rng = &mut seeded(0);

    println!("== A wrong gradient: the checker names the operation, and shows both numbers\n");
    let check = |is_mended| {
        check_gradients(move |[x]| apply(Unit { is_mended }, &[x]), [Tensor::from([[3.0, 4.0], [1.0, -2.0]])])
    };
    let error = check(false).expect_err("the rule is wrong");
    println!("{error}\n\nmended: {:?}\n", check(true));
    check(true)?;

    println!("== A number that is not finite: anomaly mode names the line, the layer and the element\n");
    // A row with no positive number is 0 after `Relu`, and has no direction.
    let broken = Sequential::<f32>::new()
        .push(Linear::new(4, 3, rng))
        .push(Relu)
        .push_fn(|x| x / x.square().sum(keepdim(1)).sqrt())
        .push(Linear::new(3, 1, rng));
    let x = Tensor::randn([64, 4], rng);
    println!("the loss is {}", broken.forward(&x).square().mean(..).item());
    let message = message_of(|| {
        detect_anomaly(|| {
            name_layers(&broken);
            let _gradients = broken.forward(&x).square().mean(..).backward();
        });
    });
    println!("{message}\n");
    let mended = Sequential::new()
        .push(Linear::new(4, 3, rng))
        .push(Relu)
        .push_fn(|x| x / (x.square().sum(keepdim(1)) + 1e-6).sqrt())
        .push(Linear::new(3, 1, rng));
    let loss = detect_anomaly(|| mended.forward(&x).square().mean(..).backward()).loss();
    println!("mended: the loss is {loss:.4}\n");

    println!("== A slow step: the profile says where the time goes\n");
    let x = Tensor::randn([16, 200, 32], rng);
    let mut profile_of = |mean: fn(&Var) -> Var| {
        let mut model =
            Sequential::new().push(Linear::new(32, 32, rng)).push_fn(mean).push(Linear::new(32, 1, rng));
        let mut sgd = Sgd::new(0.1);
        let mut step = || {
            let gradients = model.forward(&x).square().mean(..).backward();
            sgd.step(&mut model, &gradients);
        };
        // The first step allocates; later ones use the memory again.
        step();
        profile(step).1
    };
    let [slow, fast] = [running_mean_by_steps, running_mean].map(&mut profile_of);
    let show = |profile: &Profile| {
        println!("{:.2} ms; the longest:", 1e3 * profile.total().as_secs_f64());
        for row in profile.by_operation().iter().take(3) {
            let phase = row.phase.map(|phase| format!("{phase:?}")).unwrap_or_default();
            println!(
                "  {:<12} {phase:<9} {:>4} times {:>7.3} ms",
                row.name,
                row.count,
                1e3 * row.own.as_secs_f64()
            );
        }
    };
    show(&slow);
    println!("mended, with `cumsum`:");
    show(&fast);
    std::fs::write(out("20_slow.svg")?, slow.to_flame_svg())?;
    std::fs::write(out("20_mended.svg")?, fast.to_flame_svg())?;
    println!("flame pictures out/20_slow.svg, out/20_mended.svg");

    if !(error.to_string().contains("operation: unit") && message.contains("`div`") && loss.is_finite()) {
        return Err("a bug was not found, or not mended".into());
    }
    let [slow, fast] = [slow, fast].map(|profile| profile.operations().count() as f64);
    require("the operations left by mending", fast / slow, ..0.1)
}

/// The message of a panic, which is not printed.
fn message_of(f: impl FnOnce()) -> String {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    panic::set_hook(hook);
    match result {
        Ok(()) => String::new(),
        Err(message) => message.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}

//! Nothing is left behind by training, and a backward pass frees the tape as it goes.

use std::cell::RefCell;

use gradus::prelude::*;
use gradus::{Context, Conv, Inputs, Operation, Saves, apply, grad_create_graph, live_nodes, release_memory};

use super::allocator::{live_bytes, with_peak};

/// Bytes that this thread uses, without those that wait for their next use.
fn used_bytes() -> isize {
    release_memory();
    live_bytes()
}

#[derive(Module, Clone)]
struct Mlp {
    hidden: Linear<f64>,
    out: Linear<f64>,
}

impl Mlp {
    fn forward(&self, x: &Var<f64>) -> Var<f64> {
        self.out.forward(self.hidden.forward(x).tanh())
    }
}

/// The entries and bytes that live after each step.
fn train(steps: usize, penalty: bool) -> Vec<(isize, isize)> {
    let rng = &mut seeded(1);
    let mut model = Mlp { hidden: Linear::new(3, 16, rng), out: Linear::new(16, 2, rng) };
    let (x, y) = (Var::leaf(Tensor::randn([8, 3], rng)), Tensor::randn([8, 2], rng));
    let mut sgd = Sgd::new(0.01).momentum(0.9).nesterov().weight_decay(0.01);
    let mut lives = Vec::with_capacity(steps);
    for _ in 0..steps {
        let mut loss = model.forward(&x).mse_loss(&y);
        if penalty {
            let slope = grad_create_graph(&loss, &[&x]).remove(0);
            loss += slope.square().sum(..);
        }
        sgd.step(&mut model, &loss.backward());
        lives.push((live_nodes(), used_bytes()));
    }
    lives
}

#[test]
fn a_thousand_steps_leave_no_more_than_ten() {
    // The first product of matrices makes this thread's workspace for all others.
    train(1, false);
    let before = (live_nodes(), used_bytes());
    for penalty in [false, true] {
        let lives = train(1000, penalty);
        assert_eq!(lives[999], lives[9], "entries and bytes; with a penalty: {penalty}");
        assert_eq!(lives[999].0 - before.0, 5, "the four parameters and x");
    }
    assert_eq!((live_nodes(), used_bytes()), before, "after all is dropped");
}

thread_local! {
    /// Entries and bytes that lived at each call of the rule of [`Probe`].
    static SEEN: RefCell<Vec<(isize, isize)>> = const { RefCell::new(Vec::new()) };
}

/// x + 1, which keeps its output, and looks at the memory during the backward pass.
#[derive(Debug)]
struct Probe;

impl Operation<f64> for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }
    fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
        inputs[0] + 1.0
    }
    fn saves(&self) -> Saves {
        Saves::OUTPUT
    }
    fn vjp(&self, context: &Context<f64>, _input: usize) -> Option<Var<f64>> {
        let gradient = context.cotangent() * context.output().sign();
        SEEN.with_borrow_mut(|seen| seen.push((live_nodes(), used_bytes())));
        Some(gradient)
    }
}

const SIZE: usize = 10_000;
const LENGTH: usize = 50;

fn probes(x: &Var<f64>) -> Var<f64> {
    SEEN.set(Vec::with_capacity(LENGTH));
    (0..LENGTH).fold(x.clone(), |x, _| apply(Probe, &[&x])).sum(..)
}

#[test]
fn a_consumed_loss_is_freed_as_the_pass_goes() {
    let bytes = (SIZE * size_of::<f64>()) as isize;
    let x = Var::leaf(Tensor::ones([SIZE]));
    let before = used_bytes();
    let loss = probes(&x);
    assert!(used_bytes() - before >= LENGTH as isize * bytes, "the tape keeps all outputs");
    let (gradients, peak) = with_peak(|| loss.backward());
    // Three blocks, each at most a quarter larger than what is asked for.
    assert!(peak <= 4 * bytes, "the pass took {peak} bytes more than the tape");
    assert_eq!(gradients.get(&x), Some(&Tensor::ones([SIZE])));
    drop(gradients);
    assert!(used_bytes() - before < bytes, "all is freed");
}

#[test]
fn memory_falls_step_by_step_only_if_the_loss_is_consumed() {
    let bytes = (SIZE * size_of::<f64>()) as isize;
    let x = Var::leaf(Tensor::ones([SIZE]));
    let falls = |seen: &[(isize, isize)]| -> Vec<(isize, isize)> {
        seen.windows(2)
            .map(|pair| (pair[0].0 - pair[1].0, (pair[0].1 - pair[1].1) / (bytes - 1000)))
            .collect()
    };
    let loss = probes(&x);
    let _ = grad(&loss, &[&x]);
    // Of the last but one, the sum's expanded gradient takes no memory.
    assert_eq!(falls(&SEEN.take())[1..], [(0, 0); LENGTH - 2], "a borrowed loss stays");
    drop(loss);
    let loss = probes(&x);
    let _ = loss.backward();
    assert_eq!(falls(&SEEN.take())[1..], [(1, 1); LENGTH - 2], "a consumed loss goes");
}

#[test]
fn constants_and_no_grad_keep_nothing() {
    let x = Var::leaf(Tensor::<f64>::ones([SIZE]));
    let before = (live_nodes(), used_bytes());
    let y = no_grad(|| x.exp().sin().sum(..));
    let z = x.detach().exp().sin().sum(..);
    assert_eq!(live_nodes(), before.0);
    assert!(used_bytes() - before.1 < 1000);
    assert_eq!(y.item(), z.item());
}

/// How many times the bytes of inputs and result a step needs at its peak, tape and gradients included.
fn peak_of(f: impl Fn(&[Var<f32>]) -> Var<f32>, shapes: &[&[usize]]) -> f64 {
    let rng = &mut seeded(0);
    let leaves: Vec<Var<f32>> = shapes.iter().map(|shape| Var::leaf(Tensor::randn(*shape, rng))).collect();
    let elements = leaves.iter().map(Var::len).sum::<usize>() + f(&leaves).len();
    release_memory();
    let ((), peak) = with_peak(|| drop(f(&leaves).sum(..).backward()));
    peak as f64 / (4 * elements) as f64
}

/// Neither all scores of an attention nor all windows of a convolution are ever written down.
#[test]
fn attention_and_convolutions_need_what_their_operands_need() {
    let attention = |length: usize| {
        let attend = |x: &[Var<f32>]| x[0].scaled_dot_product_attention(&x[1], &x[2], None, true, None);
        peak_of(attend, &[&[2, length, 16], &[2, length, 16], &[2, length, 16]])
    };
    // The scores alone would be 32 and 128 times as much as all operands.
    for peak in [attention(2048), attention(8192)] {
        assert!(peak < 4.0, "attention: {peak}");
    }
    let convolution = |size: usize, kernel: usize| {
        let convolve = |x: &[Var<f32>]| x[0].conv2d(&x[1], None, Conv::new().padding(kernel / 2));
        peak_of(convolve, &[&[2, 8, size, size], &[8, 8, kernel, kernel]])
    };
    // Its windows would be up to 49 times the input.
    for peak in [convolution(128, 3), convolution(128, 7), convolution(256, 7)] {
        assert!(peak < 4.0, "convolution: {peak}");
    }
}

//! Checkpoints in compiled steps: the same bits, and no more memory than in a step that is not compiled.

use gradus::prelude::*;
use gradus::{Compiled, Var, checkpoint_layer, checkpoint_sequential, grad_create_graph, track_memory};
use proptest::prelude::*;

type Block = Sequential<f64>;
type Chain = Vec<Vec<Block>>;

/// A block of a random chain, with members of all kinds.
fn block(kind: u8, seed: u64) -> Block {
    let rng = &mut seeded(seed);
    let block = Sequential::new().push(Linear::new(4, 4, rng));
    match kind % 5 {
        0 => block.push(Tanh),
        1 => block.push(BatchNorm1d::new(4)).push(Relu),
        2 => block.push(Dropout::new(0.4, seed)).push(Sigmoid),
        3 => block.push(LayerNorm::new([4])).push(Dropout::new(0.2, seed)),
        _ => block.push(Gelu).push(Linear::new(4, 4, rng)),
    }
}

/// The parts of a chain, with checkpoints of these kinds.
fn forward(chain: &Chain, kinds: &[u8], x: &Var<f64>) -> Var<f64> {
    fn run(block: &Block, x: &Var<f64>) -> Var<f64> {
        block.forward(x)
    }
    chain.iter().zip(kinds).fold(x.clone(), |x, (part, kind)| match kind % 6 {
        0 => part.iter().fold(x, |x, block| run(block, &x)),
        1 => part.iter().fold(x, |x, block| checkpoint_layer(block, &x, run)),
        2 => checkpoint_sequential(part, &x, run),
        3 => {
            checkpoint_layer(part, &x, |part, x| part.iter().fold(x.clone(), |x, block| run(block, &x)).sin())
        }
        // One inside of another.
        4 => checkpoint_layer(part, &x, |part, x| {
            part.iter().fold(x.clone(), |x, block| checkpoint_layer(block, &x, run)) * x
        }),
        // Functions that read variables besides their inputs.
        _ => {
            let (scale, between) = (part[0].parameters()[0].sum(..), x.square());
            let inner = scale.clone();
            checkpoint(&[&x], move |inputs| {
                let factor = inner.clone();
                let again = checkpoint(&[&inputs[0]], move |x| x[0].sin() * x[0].exp() * &factor);
                (&inputs[0] * &inner + &between).tanh() + again.cos()
            }) + scale
        }
    })
}

/// A step of training, with a penalty of the gradient if that is wanted.
fn step(kinds: &[u8], penalty: bool, chain: &mut Chain, adam: &mut Adam<f64>, x: &Var<f64>) -> Var<f64> {
    let x = x + Var::leaf(Tensor::zeros(x.shape()));
    let y = forward(chain, kinds, &x);
    let mut loss = y.square().mean(..) + (&y * &x).sum(..) * 0.1;
    if penalty {
        let gradient = grad_create_graph(&loss, &[&x]).remove(0);
        loss += gradient.square().sum(..) * 0.1;
    }
    adam.step(chain, &loss.clone().backward());
    loss
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Random chains: dropout, running statistics, rules that run as a whole, several checkpoints and nested ones.
    #[test]
    fn compiled_steps_with_checkpoints_are_the_steps(
        blocks in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..4),
        seed: u64, penalty: bool, evaluates: bool, frozen: bool,
    ) {
        let kinds: Vec<u8> = blocks.iter().map(|(.., kind)| *kind).collect();
        // Rules that look at numbers have no derivative of second order in a plan.
        let smooth = |kind: u8| if penalty { [0, 2, 4][usize::from(kind % 3)] } else { kind };
        let mut chain: Chain = (0..).step_by(2).zip(&blocks)
            .map(|(i, (a, b, _))| vec![block(smooth(*a), seed ^ i), block(smooth(*b), seed ^ (i + 1))])
            .collect();
        if frozen {
            chain.freeze(|name| name.ends_with("bias"));
        }
        if evaluates {
            chain.eval();
        }
        let mut twin = chain.clone();
        let (mut adam, mut other) = (Adam::new(0.01), Adam::new(0.01));
        let recorded = kinds.clone();
        let mut compiled = Compiled::new(move |chain: &mut Chain, adam: &mut Adam<f64>, x: Var<f64>| {
            step(&recorded, penalty, chain, adam, &x)
        });
        for i in 0..4 {
            let x = Var::from(Tensor::randn([5, 4], &mut seeded(seed.wrapping_add(i))));
            let expected = step(&kinds, penalty, &mut twin, &mut other, &x);
            let loss = compiled.call(&mut chain, &mut adam, x);
            prop_assert_eq!(loss.value(), expected.value(), "step {}", i);
            prop_assert_eq!(chain.state(), twin.state(), "after step {}", i);
        }
    }
}

/// The tensors of a step of training at its peak, the layers included, in activations of one layer.
fn peak(count: usize, checkpoints: bool, compiles: bool) -> f64 {
    // Only the tensors are counted that are made inside.
    track_memory(|| peak_of_step(count, checkpoints, compiles)).0
}

fn peak_of_step(count: usize, checkpoints: bool, compiles: bool) -> f64 {
    const ROWS: usize = 512;
    let rng = &mut seeded(0);
    let mut layers: Vec<Linear> = (0..count).map(|_| Linear::new(32, 32, rng)).collect();
    let x = Var::from(Tensor::<f32>::randn([ROWS, 32], rng));
    let step = move |layers: &mut Vec<Linear>, sgd: &mut Sgd, x: Var| {
        let run = |layer: &Linear, x: &Var| (layer.forward(x).tanh() * x).sin();
        let y = if checkpoints {
            checkpoint_sequential(layers, &x, run)
        } else {
            layers.iter().fold(x, |x, layer| run(layer, &x))
        };
        let loss = y.square().mean(..);
        sgd.step(layers, &loss.clone().backward());
        loss
    };
    let (mut sgd, mut compiled) = (Sgd::new(0.1), Compiled::new(step));
    let mut call = || {
        let x = x.clone();
        if compiles { compiled.call(&mut layers, &mut sgd, x) } else { step(&mut layers, &mut sgd, x) }
    };
    for _ in 0..3 {
        let _ = call();
    }
    let peak = track_memory(call).1.peak;
    peak as f64 / (size_of::<f32>() * ROWS * 32) as f64
}

/// The memory of a plan with checkpoints grows with the square root of the length of a chain, and is not above the memory of
/// the step without a plan.
#[test]
fn a_plan_computes_again_what_it_does_not_keep() {
    let plan = |count| peak(count, true, true);
    let (short, long) = (plan(16), plan(64));
    // Four times as long, twice the memory; without checkpoints four times.
    assert!(long < 2.3 * short, "{short} {long} activations");
    let (eager, plain) = (peak(64, true, false), peak(64, false, true));
    assert!(
        long <= eager && long < plain / 4.0,
        "{long}, {eager} without a plan, {plain} without checkpoints"
    );
}

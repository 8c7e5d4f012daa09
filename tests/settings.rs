//! Training gives the same bits for any number of threads and any instruction set, and a compiled step has the bits of
//! the instruction set in use.
//!
//! In a binary of its own, because the settings are the process's.

use std::sync::{Mutex, PoisonError};

use gradus::prelude::*;
use gradus::{Compiled, InstructionSet, num_threads, set_num_threads};

#[derive(Module)]
struct Model {
    first: Linear,
    second: Linear,
    out: Linear,
    weight: Parameter,
    bias: Parameter,
}

/// One test at a time.
static LOCK: Mutex<()> = Mutex::new(());

const BATCH: usize = 270;
const WIDTH: usize = 260;

impl Model {
    /// Products, elementwise functions, reductions and the optimizer are all large enough to be shared.
    fn new(rng: &mut impl Rng) -> Self {
        Self {
            first: Linear::new(700, WIDTH, rng),
            second: Linear::new(WIDTH, WIDTH, rng),
            out: Linear::new(WIDTH, 250, rng),
            weight: Parameter::new(Tensor::ones([WIDTH])),
            bias: Parameter::new(Tensor::zeros([WIDTH])),
        }
    }

    fn forward(&self, x: &Var) -> Var {
        let hidden = self.first.forward(x).relu();
        let hidden = hidden.layer_norm([WIDTH], Some(&self.weight), Some(&self.bias), 1e-5).tanh();
        self.out.forward(self.second.forward(&hidden).gelu())
    }
}

/// Losses and parameters after a few steps, as bits.
fn train() -> Vec<u32> {
    let rng = &mut seeded(5);
    let mut model = Model::new(rng);
    let x = Var::constant(Tensor::randn([BATCH, 700], rng));
    let targets = Tensor::arange(0, BATCH as i64, 1).map(|i| i * 7 % 250);
    let mut adam = Adam::new(0.01);
    let mut bits = Vec::new();
    for _ in 0..3 {
        let loss = model.forward(&x).cross_entropy(&targets);
        bits.push(loss.item().to_bits());
        adam.step(&mut model, &loss.backward());
    }
    let parameters = model.parameters();
    bits.extend(parameters.iter().flat_map(|parameter| parameter.value().iter().map(f32::to_bits)));
    bits
}

/// Products choose their instruction set themselves; all other loops use the selected one.
#[test]
fn neither_threads_nor_instructions_change_a_bit() {
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let before = (InstructionSet::current(), num_threads());
    set_num_threads(1);
    let expected = train();
    let losses: Vec<f32> = expected[..3].iter().map(|bits| f32::from_bits(*bits)).collect();
    assert!(losses[0] > losses[1] && losses[1] > losses[2], "it learns: {losses:?}");
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        for threads in [1, 2, 3, 8] {
            set.select();
            set_num_threads(threads);
            let got = train();
            let place = got.iter().zip(&expected).position(|(got, expected)| got != expected);
            assert_eq!(place, None, "{set:?}, {threads} threads: the first that differs");
        }
    }
    before.0.select();
    set_num_threads(before.1);
}

/// Which instructions are one routine, and the bits of products, depend on the instruction set: plans are for one.
#[test]
fn a_compiled_step_follows_the_instruction_set() {
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let before = InstructionSet::current();
    let rng = &mut seeded(1);
    let x = Var::from(Tensor::<f32>::randn([128, 32], rng));
    let mut model = Linear::<f32>::new(32, 32, rng);
    let (mut copy, mut sgd, mut other) = (model.clone(), Sgd::new(0.1), Sgd::new(0.1));
    let step = |model: &mut Linear, sgd: &mut Sgd, x: Var| {
        let y = model.forward(&x);
        let loss = y.matmul(&y.t()).sigmoid().mean(..);
        sgd.step(model, &loss.clone().backward());
        loss
    };
    let mut compiled = Compiled::new(step);
    let [portable, avx2, avx512] = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];
    for set in
        [avx512, portable, avx512, portable, avx2, portable, portable, avx512, avx512, avx2, avx2, avx2]
    {
        set.select();
        let losses = [compiled.call(&mut model, &mut sgd, x.clone()), step(&mut copy, &mut other, x.clone())];
        let [loss, expected] = losses.map(|loss| loss.item().to_bits());
        assert_eq!(loss, expected, "{set:?}");
        assert_eq!(model.weight.value(), copy.weight.value(), "{set:?}");
    }
    before.select();
}

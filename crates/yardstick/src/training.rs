//! Steps of training, inference, and a Hessian-vector product.

use gradus::init::xavier_uniform;
use gradus::prelude::*;
use gradus::{Conv, Conv2d, Embedding, LayerNorm, Lstm, Relu, TransformerBlock};

use crate::bench::Bench;

/// Dense layers.
#[derive(Module)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(sizes: &[usize], rng: &mut impl Rng) -> Self {
        Self { layers: sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1], rng)).collect() }
    }

    /// With an activation between layers.
    fn forward(&self, x: &Var, activation: fn(&Var) -> Var) -> Var {
        let (last, hidden) = self.layers.split_last().expect("there is a layer");
        last.forward(hidden.iter().fold(x.clone(), |x, layer| activation(&layer.forward(&x))))
    }
}

fn labels(count: usize, classes: f32, rng: &mut impl Rng) -> Indices {
    (Tensor::<f32>::rand([count], rng) * classes).cast::<i64>().into()
}

/// Convolutions, and dense layers after them.
#[derive(Module)]
pub(crate) struct LeNet {
    first: Conv2d,
    second: Conv2d,
    dense: Mlp,
}

impl LeNet {
    pub(crate) fn new(rng: &mut impl Rng) -> Self {
        Self {
            first: Conv2d::new(1, 6, [5, 5], Conv::new().padding(2), rng),
            second: Conv2d::new(6, 16, [5, 5], Conv::new(), rng),
            dense: Mlp::new(&[400, 120, 84, 10], rng),
        }
    }

    /// Images `[n, 1, 28, 28]` to logits `[n, 10]`.
    pub(crate) fn forward(&self, x: &Var) -> Var {
        let x = self.first.forward(x).relu().max_pool2d(2);
        let x = self.second.forward(&x).relu().max_pool2d(2);
        self.dense.forward(&x.reshape([x.shape()[0], 400]), Var::relu)
    }
}

fn normal(shape: impl AsRef<[usize]>, rng: &mut impl Rng) -> Var {
    Var::constant(Tensor::randn(shape, rng))
}

/// Training steps, each a forward pass, a backward pass and an update.
pub(crate) fn steps(bench: &mut Bench) {
    let xor = || {
        let x = Var::constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
        let y = Var::constant([[0.0], [1.0], [1.0], [0.0]]);
        (Mlp::new(&[2, 8, 1], &mut seeded(0)), Sgd::new(0.5), (x, y))
    };
    bench.train("xor_step", xor, |mlp, (x, y)| mlp.forward(x, Var::sigmoid).sigmoid().mse_loss(y));
    let digits = || {
        let rng = &mut seeded(0);
        let batch = (normal([64, 64], rng), labels(64, 10.0, rng));
        (Mlp::new(&[64, 128, 10], rng), Sgd::new(0.1), batch)
    };
    bench.train("digits_step", digits, |mlp, (x, y)| mlp.forward(x, Var::relu).cross_entropy(y));
    let mnist = || {
        let rng = &mut seeded(0);
        let batch = (normal([128, 784], rng), labels(128, 10.0, rng));
        (Mlp::new(&[784, 512, 256, 10], rng), Adam::new(1e-3), batch)
    };
    bench.train("mnist_step", mnist, |mlp, (x, y)| mlp.forward(x, Var::relu).cross_entropy(y));
    let wide = || {
        let rng = &mut seeded(0);
        let batch = (normal([256, 1024], rng), normal([256, 1024], rng));
        (Mlp::new(&[1024, 4096, 1024], rng), Sgd::new(0.01), batch)
    };
    bench.train("wide_step", wide, |mlp, (x, y)| mlp.forward(x, Var::gelu_tanh).mse_loss(y));
    let deep = || {
        let rng = &mut seeded(0);
        let batch = (normal([32, 64], rng), normal([32, 64], rng).tanh());
        let mut model = Mlp::new(&[64; 65], rng);
        for layer in &mut model.layers {
            layer.weight.set(xavier_uniform([64, 64], 1.0, rng));
        }
        (model, Sgd::new(0.01), batch)
    };
    bench.train("deep_step", deep, |mlp, (x, y)| mlp.forward(x, Var::tanh).tanh().mse_loss(y));
    let lenet = || {
        let rng = &mut seeded(0);
        let batch = (normal([64, 1, 28, 28], rng), labels(64, 10.0, rng));
        (LeNet::new(rng), Sgd::new(0.05), batch)
    };
    bench.train("lenet_step", lenet, |lenet, (x, y)| lenet.forward(x).cross_entropy(y));
    let conv = || {
        let rng = &mut seeded(0);
        let batch = [(); 2].map(|()| normal([16, 64, 32, 32], rng));
        let [first, second] = [(); 2].map(|()| Conv2d::new(64, 64, [3, 3], Conv::new().padding(1), rng));
        (Sequential::new().push(first).push(Relu {}).push(second), Sgd::new(0.01), batch)
    };
    bench.train("conv_step", conv, |model, [x, y]| model.forward(x).mse_loss(y));
}

/// A Hessian-vector product, and inference.
pub(crate) fn passes(bench: &mut Bench) {
    let digits = || {
        let rng = &mut seeded(0);
        let batch = (normal([64, 64], rng), labels(64, 10.0, rng));
        let mlp = Mlp::new(&[64, 128, 10], rng);
        let vectors: Vec<Var> = mlp.parameters().iter().map(|p| normal(p.shape(), rng)).collect();
        (mlp, (batch, vectors))
    };
    let eager = |mlp: &Mlp, ((x, y), vectors): &((Var, Indices), Vec<Var>)| -> Vec<Tensor> {
        let numbers =
            |vars: Vec<&Var>| -> Vec<Tensor> { vars.into_iter().map(|var| var.value().clone()).collect() };
        let parameters = numbers(mlp.parameters().into_iter().map(|parameter| &**parameter).collect());
        let loss = |p: &[Var]| {
            let hidden = x.linear(&p[0], Some(&p[1])).tanh();
            hidden.linear(&p[2], Some(&p[3])).cross_entropy(y)
        };
        hvp(loss, &parameters, &numbers(vectors.iter().collect()))
    };
    // The slope along the vectors, and its gradients.
    bench.pass("hvp", digits, eager, |mlp, ((x, y), vectors)| -> Vec<Var> {
        let parameters: Vec<&Var> = mlp.parameters().into_iter().map(|parameter| &**parameter).collect();
        let gradients = grad_create_graph(&mlp.forward(x, Var::tanh).cross_entropy(y), &parameters);
        let slopes = gradients.iter().zip(vectors).map(|(gradient, vector)| (gradient * vector).sum(..));
        let slope = slopes.reduce(|slope, term| slope + term).expect("there are parameters");
        grad(&slope, &parameters)
    });
    for rows in [1, 256] {
        let mnist = || {
            let rng = &mut seeded(0);
            (Mlp::new(&[784, 512, 256, 10], rng), normal([rows, 784], rng))
        };
        let forward = |mlp: &Mlp, x: &Var| no_grad(|| mlp.forward(x, Var::relu));
        bench.pass(&format!("infer_{rows}"), mnist, forward, forward);
    }
}

/// A decoder-only transformer.
#[derive(Module)]
struct Gpt {
    tokens: Embedding,
    positions: Parameter,
    blocks: Vec<TransformerBlock>,
    norm: LayerNorm,
    head: Linear,
}

impl Gpt {
    fn new(rng: &mut impl Rng) -> Self {
        Self {
            tokens: Embedding::new(96, 128, rng),
            positions: Parameter::new(Tensor::randn([64, 128], rng)),
            blocks: (0..4).map(|_| TransformerBlock::new(128, 4, 512, rng)).collect(),
            norm: LayerNorm::new([128]),
            head: Linear::new(128, 96, rng).without_bias(),
        }
    }

    fn forward(&self, x: &Indices) -> Var {
        let start = self.tokens.forward(x) + &self.positions;
        let x = self.blocks.iter().fold(start, |x, block| block.forward(&x, None, true));
        self.head.forward(self.norm.forward(&x))
    }
}

/// A recurrent layer, of which the last state is read.
#[derive(Module)]
struct Recurrent {
    lstm: Lstm,
    head: Linear,
}

/// Training steps of models of sequences.
pub(crate) fn sequence_steps(bench: &mut Bench) {
    let gpt = || {
        let rng = &mut seeded(0);
        let [x, y] = [(); 2].map(|()| labels(16 * 64, 96.0, rng));
        (Gpt::new(rng), AdamW::new(3e-4).weight_decay(0.1), [x.reshape([16, 64]), y])
    };
    bench.train("gpt_step", gpt, |gpt, [x, y]| gpt.forward(x).reshape([-1, 96]).cross_entropy(y));
    let lstm = || {
        let rng = &mut seeded(0);
        let batch = (normal([32, 32, 64], rng), labels(32, 10.0, rng));
        let model = Recurrent { lstm: Lstm::new(64, 128, 1, rng), head: Linear::new(128, 10, rng) };
        (model, Sgd::new(0.05), batch)
    };
    bench.train("lstm_step", lstm, |model, (x, y)| {
        let (_, [h, _]) = model.lstm.forward(x, None);
        model.head.forward(h.select(0, 0)).cross_entropy(y)
    });
}

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

fn labels(count: usize, classes: f32, rng: &mut impl Rng) -> Tensor<i64> {
    (Tensor::<f32>::rand([count], rng) * classes).cast()
}

/// A step of training: the loss, its gradients, the update.
fn step<M: Module>(
    mut model: M,
    mut optimizer: impl Optimizer<f32>,
    loss: impl Fn(&M) -> Var,
) -> impl FnMut() -> Tensor {
    move || {
        let loss = loss(&model);
        let value = loss.value().clone();
        optimizer.step(&mut model, &loss.backward());
        value
    }
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

/// Training steps, each a forward pass, a backward pass and an update.
pub(crate) fn steps(bench: &mut Bench) {
    bench.train("xor_step", || {
        let x = Var::constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
        let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);
        let model = Mlp::new(&[2, 8, 1], &mut seeded(0));
        step(model, Sgd::new(0.5), move |mlp| mlp.forward(&x, Var::sigmoid).sigmoid().mse_loss(&y))
    });
    bench.train("digits_step", || {
        let rng = &mut seeded(0);
        let (x, y) = (Var::constant(Tensor::randn([64, 64], rng)), labels(64, 10.0, rng));
        let model = Mlp::new(&[64, 128, 10], rng);
        step(model, Sgd::new(0.1), move |mlp| mlp.forward(&x, Var::relu).cross_entropy(&y))
    });
    bench.train("mnist_step", || {
        let rng = &mut seeded(0);
        let (x, y) = (Var::constant(Tensor::randn([128, 784], rng)), labels(128, 10.0, rng));
        let model = Mlp::new(&[784, 512, 256, 10], rng);
        step(model, Adam::new(1e-3), move |mlp| mlp.forward(&x, Var::relu).cross_entropy(&y))
    });
    bench.train("wide_step", || {
        let rng = &mut seeded(0);
        let (x, y) = (Var::constant(Tensor::randn([256, 1024], rng)), Tensor::randn([256, 1024], rng));
        let model = Mlp::new(&[1024, 4096, 1024], rng);
        step(model, Sgd::new(0.01), move |mlp| mlp.forward(&x, Var::gelu_tanh).mse_loss(&y))
    });
    bench.train("deep_step", || {
        let rng = &mut seeded(0);
        let (x, y) = (Var::constant(Tensor::randn([32, 64], rng)), Tensor::randn([32, 64], rng).tanh());
        let mut model = Mlp::new(&[64; 65], rng);
        for layer in &mut model.layers {
            layer.weight.set(xavier_uniform([64, 64], 1.0, rng));
        }
        step(model, Sgd::new(0.01), move |mlp| mlp.forward(&x, Var::tanh).tanh().mse_loss(&y))
    });
    bench.train("lenet_step", || {
        let rng = &mut seeded(0);
        let (x, y) = (Var::constant(Tensor::randn([64, 1, 28, 28], rng)), labels(64, 10.0, rng));
        step(LeNet::new(rng), Sgd::new(0.05), move |lenet| lenet.forward(&x).cross_entropy(&y))
    });
    bench.train("conv_step", || {
        let rng = &mut seeded(0);
        let shape = [16, 64, 32, 32];
        let (x, y) = (Var::constant(Tensor::randn(shape, rng)), Tensor::randn(shape, rng));
        let [first, second] = [(), ()].map(|()| Conv2d::new(64, 64, [3, 3], Conv::new().padding(1), rng));
        let model = Sequential::new().push(first).push(Relu {}).push(second);
        step(model, Sgd::new(0.01), move |model| model.forward(&x).mse_loss(&y))
    });
}

/// A Hessian-vector product, and inference.
pub(crate) fn passes(bench: &mut Bench) {
    bench.time("hvp", || {
        let rng = &mut seeded(0);
        let (x, y) = (Var::constant(Tensor::randn([64, 64], rng)), labels(64, 10.0, rng));
        let parameters: Vec<Tensor> =
            Mlp::new(&[64, 128, 10], rng).parameters().into_iter().map(|p| p.value().clone()).collect();
        let vectors: Vec<Tensor> = parameters.iter().map(|p| Tensor::randn(p.shape(), rng)).collect();
        let loss = move |p: &[Var]| {
            let hidden = x.linear(&p[0], Some(&p[1])).tanh();
            hidden.linear(&p[2], Some(&p[3])).cross_entropy(&y)
        };
        move || hvp(&loss, &parameters, &vectors)
    });
    for rows in [1, 256] {
        bench.time(&format!("infer_{rows}"), || {
            let rng = &mut seeded(0);
            let (model, x) =
                (Mlp::new(&[784, 512, 256, 10], rng), Var::constant(Tensor::randn([rows, 784], rng)));
            move || no_grad(|| model.forward(&x, Var::relu))
        });
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

    fn forward(&self, x: &Tensor<i64>) -> Var {
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
    bench.train("gpt_step", || {
        let rng = &mut seeded(0);
        let [x, y] = [(); 2].map(|()| labels(16 * 64, 96.0, rng));
        let (model, x) = (Gpt::new(rng), x.reshape([16, 64]));
        let loss = move |gpt: &Gpt| gpt.forward(&x).reshape([-1, 96]).cross_entropy(&y);
        step(model, AdamW::new(3e-4).weight_decay(0.1), loss)
    });
    bench.train("lstm_step", || {
        let rng = &mut seeded(0);
        let (x, y) = (Var::constant(Tensor::randn([32, 32, 64], rng)), labels(32, 10.0, rng));
        let model = Recurrent { lstm: Lstm::new(64, 128, 1, rng), head: Linear::new(128, 10, rng) };
        let loss = move |model: &Recurrent| {
            let (_, [h, _]) = model.lstm.forward(&x, None);
            model.head.forward(h.select(0, 0)).cross_entropy(&y)
        };
        step(model, Sgd::new(0.05), loss)
    });
}

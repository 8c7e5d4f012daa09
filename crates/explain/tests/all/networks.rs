//! Small random networks.

use gradus_autograd::{Conv, Tensor, Var, seeded};
use gradus_nn::{Conv2d, Linear, Losses, Module, Optimizer, Relu, Sequential, Sgd, Tanh};

/// The activation between two layers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Between {
    Relu,
    Tanh,
}

pub(crate) fn perceptron(inputs: usize, classes: usize, between: Between, seed: u64) -> Sequential<f64> {
    let rng = &mut seeded(seed);
    let first = Sequential::new().push(Linear::new(inputs, 7, rng));
    let second = match between {
        Between::Relu => first.push(Relu).push(Linear::new(7, 5, rng)).push(Relu),
        Between::Tanh => first.push(Tanh).push(Linear::new(7, 5, rng)).push(Tanh),
    };
    second.push(Linear::new(5, classes, rng))
}

/// Two convolutions and a linear layer for images of 8 x 8.
#[derive(Module, Clone)]
pub(crate) struct Cnn {
    pub(crate) conv1: Conv2d,
    pub(crate) conv2: Conv2d,
    pub(crate) out: Linear,
}

impl Cnn {
    pub(crate) fn new(seed: u64) -> Self {
        let (rng, conv) = (&mut seeded(seed), || Conv::new().padding(1));
        Self {
            conv1: Conv2d::new(1, 8, 3, conv(), rng),
            conv2: Conv2d::new(8, 8, 3, conv(), rng),
            out: Linear::new(8 * 16, 4, rng),
        }
    }

    /// The activation of the second convolution, and the logits.
    pub(crate) fn with_activation(&self, x: &Var) -> (Var, Var) {
        let x = self.conv1.forward(x).relu().max_pool2d(2);
        let x = self.conv2.forward(x).relu();
        (x.clone(), self.out.forward(x.flatten(1..)))
    }

    pub(crate) fn forward(&self, x: &Var) -> Var {
        self.with_activation(x).1
    }

    /// One that has learnt in which quarter of the image a blob is.
    pub(crate) fn trained(seed: u64) -> Self {
        let (mut model, mut sgd) = (Self::new(seed), Sgd::new(0.05).momentum(0.9));
        for step in 0..60 {
            let (x, y) = blobs(32, seed + step);
            let gradients = model.forward(&Var::constant(x)).cross_entropy(&y).backward();
            sgd.step(&mut model, &gradients);
        }
        model
    }
}

/// Images `[n, 1, 8, 8]` of noise with a bright blob in one of the quarters, and which.
pub(crate) fn blobs(n: usize, seed: u64) -> (Tensor, Tensor<i64>) {
    let rng = &mut seeded(seed);
    let quarters = Tensor::randint([n], 0..4, rng);
    let mut numbers = Tensor::<f32>::uniform([n, 8, 8], 0.0, 0.3, rng).to_vec();
    for (image, quarter) in quarters.iter().enumerate() {
        let corner = (quarter as usize / 2 * 32) + quarter as usize % 2 * 4;
        for place in [9, 10, 17, 18] {
            numbers[image * 64 + corner + place] += 1.0;
        }
    }
    (Tensor::from_vec(numbers, [n, 1, 8, 8]).expect("each image has its pixels"), quarters)
}

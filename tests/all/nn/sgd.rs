//! Gradient descent, against its formulas written out for one number.

use gradus::prelude::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Settings {
    learning_rate: f64,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    weight_decay: f64,
}

fn settings() -> impl Strategy<Value = Settings> {
    let or_zero = |range: std::ops::Range<f64>| prop_oneof![1 => Just(0.0), 3 => range];
    (0.001..1.0, or_zero(0.1..0.99), or_zero(0.1..0.9), any::<bool>(), or_zero(0.01..0.5)).prop_map(
        |(learning_rate, momentum, dampening, nesterov, weight_decay)| Settings {
            learning_rate,
            momentum,
            dampening,
            nesterov,
            weight_decay,
        },
    )
}

impl Settings {
    fn optimizer(&self) -> Sgd<f64> {
        let sgd = Sgd::new(self.learning_rate)
            .momentum(self.momentum)
            .dampening(self.dampening)
            .weight_decay(self.weight_decay);
        if self.nesterov && self.momentum != 0.0 { sgd.nesterov() } else { sgd }
    }

    /// A step of a number; `b` is the velocity, after the first step.
    fn step(&self, p: &mut f64, b: &mut Option<f64>, g: f64) {
        let g = g + self.weight_decay * *p;
        let direction = if self.momentum == 0.0 {
            g
        } else {
            let new = b.map_or(g, |b| self.momentum * b + (1.0 - self.dampening) * g);
            *b = Some(new);
            if self.nesterov { g + self.momentum * new } else { new }
        };
        *p -= self.learning_rate * direction;
    }
}

#[derive(Module)]
struct Two {
    left: Parameter<f64>,
    right: Parameter<f64>,
}

proptest! {
    /// In each step one or both of two parameters have a gradient.
    #[test]
    fn every_step_follows_the_formulas(
        settings in settings(),
        start in prop::array::uniform4(-2.0..2.0_f64),
        steps in prop::collection::vec((prop::array::uniform4(-2.0..2.0_f64), 1..=3_u8), 1..8),
    ) {
        let halves = |x: [f64; 4]| [Tensor::from(&x[..2]), Tensor::from(&x[2..])];
        let [left, right] = halves(start);
        let mut model = Two { left: Parameter::new(left), right: Parameter::new(right) };
        let mut sgd = settings.optimizer();
        let (mut p, mut b) = (start, [None; 4]);
        for (g, which) in steps {
            // The gradient of <g, p> is g.
            let [left, right] = halves(g);
            let terms = [(which & 1 != 0).then(|| &model.left * Var::constant(left)), (which & 2 != 0).then(|| &model.right * Var::constant(right))];
            let loss = terms.into_iter().flatten().reduce(|x, y| x + y).unwrap().sum(..);
            let gradients = loss.backward();
            sgd.step(&mut model, &gradients);
            for i in (0..4).filter(|i| which & (1 << (i / 2)) != 0) {
                settings.step(&mut p[i], &mut b[i], g[i]);
            }
            for (got, expected) in model.left.value().iter().chain(model.right.value().iter()).zip(p) {
                prop_assert!((got - expected).abs() <= 1e-13 * expected.abs().max(1.0), "{} {}", got, expected);
            }
        }
    }

    /// A step does not change the gradients.
    #[test]
    fn gradients_are_not_changed(settings in settings(), start in -2.0..2.0_f64, slope in -2.0..2.0_f64) {
        let mut p = Parameter::new(start);
        let gradients = (&p * slope).sum(..).backward();
        let (mut sgd, mut expected, mut b) = (settings.optimizer(), start, None);
        for _ in 0..4 {
            sgd.step(&mut p, &gradients);
            settings.step(&mut expected, &mut b, slope);
            prop_assert_eq!(gradients.get(&p).map(Tensor::item), Some(slope));
        }
        prop_assert!((p.item() - expected).abs() <= 1e-13 * expected.abs().max(1.0));
    }

    /// The rate can be changed between steps.
    #[test]
    fn the_learning_rate_can_be_set(rates in prop::collection::vec(0.0..1.0_f64, 1..6)) {
        let (mut p, mut sgd) = (Parameter::new(0.0_f64), Sgd::new(99.0));
        for &rate in &rates {
            sgd.set_lr(rate);
            prop_assert_eq!(sgd.lr(), rate);
            let loss = p.sum(..);
            sgd.step(&mut p, &loss.backward());
        }
        prop_assert!((p.item() + rates.iter().sum::<f64>()).abs() < 1e-14);
    }
}

#[derive(Module)]
struct Mlp {
    hidden: Linear<f64>,
    out: Linear<f64>,
}

/// Three steps of a small network with momentum, Nesterov's, and weight decay, computed elsewhere with the
/// derivatives written out.
#[test]
fn a_short_training_run() {
    let layer = |weight: Tensor<f64>, bias: Tensor<f64>| Linear {
        weight: Parameter::new(weight),
        bias: Some(Parameter::new(bias)),
    };
    let mut model = Mlp {
        hidden: layer([[0.5, -0.25], [0.125, 0.75]].into(), [0.1, -0.2].into()),
        out: layer([[1.0, -0.5], [0.25, 0.5]].into(), [0.0, 0.05].into()),
    };
    let x = Var::constant([[1.0, 2.0], [-0.5, 0.25], [0.75, -1.5]]);
    let targets = Tensor::from([0, 1, 1]);
    let mut sgd = Sgd::new(0.3).momentum(0.8).nesterov().weight_decay(0.05);
    let mut losses = Vec::new();
    for _ in 0..3 {
        let loss = model.out.forward(model.hidden.forward(&x).tanh()).cross_entropy(&targets);
        losses.push(loss.item());
        sgd.step(&mut model, &loss.backward());
    }
    let got: Vec<f64> =
        model.parameters().iter().flat_map(|parameter| parameter.value().to_vec()).chain(losses).collect();
    let expected = [
        0.612772882155448,
        0.46187287891601386,
        0.03438708176026971,
        0.4578716356092537,
        -0.07192709653153938,
        0.03241599762213794,
        0.905394598030378,
        0.26073282214136234,
        0.21311254821962197,
        -0.26073282214136234,
        -0.3032706470940843,
        0.34801093294408425,
        1.1320416750396343,
        0.7660534764935947,
        0.5391789132889271,
    ];
    assert!(Tensor::from(got.clone()).allclose(&Tensor::from(expected), 1e-13, 1e-15), "{got:?}");
}

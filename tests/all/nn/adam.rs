//! Adam and `AdamW`: against their formulas written out for one number, and against training runs computed
//! elsewhere, by a program whose runs agree with PyTorch's to the last digits.

use gradus::prelude::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Settings {
    learning_rate: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    amsgrad: bool,
    decoupled: bool,
}

fn settings() -> impl Strategy<Value = Settings> {
    let decay = prop_oneof![1 => Just(0.0), 3 => 0.01..0.5];
    (0.001..1.0, [0.0..0.99, 0.0..0.999], 1e-8..1e-2, decay, any::<bool>(), any::<bool>()).prop_map(
        |(learning_rate, betas, eps, weight_decay, amsgrad, decoupled)| Settings {
            learning_rate,
            betas,
            eps,
            weight_decay,
            amsgrad,
            decoupled,
        },
    )
}

/// A parameter of one element, and its moments.
#[derive(Default, Clone, Copy)]
struct State {
    t: i32,
    p: f64,
    m: f64,
    v: f64,
    largest: f64,
}

impl Settings {
    fn optimizer(&self) -> Box<dyn Optimizer<f64>> {
        let [first, second] = self.betas;
        if self.decoupled {
            let adam = AdamW::new(self.learning_rate).betas(first, second).eps(self.eps);
            let adam = adam.weight_decay(self.weight_decay);
            Box::new(if self.amsgrad { adam.amsgrad() } else { adam })
        } else {
            let adam = Adam::new(self.learning_rate).betas(first, second).eps(self.eps);
            let adam = adam.weight_decay(self.weight_decay);
            Box::new(if self.amsgrad { adam.amsgrad() } else { adam })
        }
    }

    fn step(&self, s: &mut State, g: f64) {
        let [beta1, beta2] = self.betas;
        s.t += 1;
        let g = if self.decoupled { g } else { g + self.weight_decay * s.p };
        if self.decoupled {
            s.p *= 1.0 - self.learning_rate * self.weight_decay;
        }
        s.m = beta1 * s.m + (1.0 - beta1) * g;
        s.v = beta2 * s.v + (1.0 - beta2) * g * g;
        s.largest = s.largest.max(s.v);
        let v = if self.amsgrad { s.largest } else { s.v };
        let (m, v) = (s.m / (1.0 - beta1.powi(s.t)), v / (1.0 - beta2.powi(s.t)));
        s.p -= self.learning_rate * m / (v.sqrt() + self.eps);
    }
}

#[derive(Module)]
struct Two {
    left: Parameter<f64>,
    right: Parameter<f64>,
}

proptest! {
    /// Each of two parameters counts its own steps: in each step, one or both have a gradient.
    #[test]
    fn every_step_follows_the_formulas(
        settings in settings(),
        start in [-2.0..2.0_f64, -2.0..2.0_f64],
        steps in prop::collection::vec(([-2.0..2.0_f64, -2.0..2.0_f64], 1..=3_u8), 1..10),
    ) {
        let mut model = Two { left: Parameter::new(start[0]), right: Parameter::new(start[1]) };
        let mut optimizer = settings.optimizer();
        let mut states = start.map(|p| State { p, ..State::default() });
        for (g, which) in steps {
            let terms = [(which & 1 != 0).then(|| &model.left * g[0]), (which & 2 != 0).then(|| &model.right * g[1])];
            let loss = terms.into_iter().flatten().reduce(|x, y| x + y).unwrap();
            optimizer.step(&mut model, &loss.backward());
            for i in (0..2).filter(|i| which & (1 << i) != 0) {
                settings.step(&mut states[i], g[i]);
            }
            for (got, expected) in [&model.left, &model.right].into_iter().zip(states) {
                let (got, expected) = (got.item(), expected.p);
                prop_assert!((got - expected).abs() <= 1e-11 * expected.abs().max(1.0), "{} {}", got, expected);
            }
        }
    }
}

#[derive(Module)]
struct Mlp {
    hidden: Linear<f64>,
    out: Linear<f64>,
}

/// The parameters and the losses of five steps.
fn train(mut optimizer: impl Optimizer<f64>) -> Tensor<f64> {
    let layer = |weight: [[f64; 2]; 2], bias: [f64; 2]| Linear {
        weight: Parameter::new(weight),
        bias: Some(Parameter::new(bias)),
    };
    let mut model = Mlp {
        hidden: layer([[0.5, -0.25], [0.125, 0.75]], [0.1, -0.2]),
        out: layer([[1.0, -0.5], [0.25, 0.5]], [0.0, 0.05]),
    };
    let x = Var::constant([[1.0, 2.0], [-0.5, 0.25], [0.75, -1.5]]);
    let targets = Tensor::from([0, 1, 1]);
    let mut losses = Vec::new();
    for _ in 0..5 {
        let loss = model.out.forward(model.hidden.forward(&x).tanh()).cross_entropy(&targets);
        losses.push(loss.item());
        optimizer.step(&mut model, &loss.backward());
    }
    let parameters = model.parameters().into_iter().flat_map(|parameter| parameter.value().to_vec());
    Tensor::from(parameters.chain(losses).collect::<Vec<_>>())
}

#[test]
fn a_short_run_of_amsgrad() {
    let got = train(Adam::new(0.1).betas(0.8, 0.95).eps(1e-3).weight_decay(0.05).amsgrad());
    let expected = [
        0.8370335408616953,
        0.20363593581815848,
        -0.3280482297054768,
        0.26150711213046307,
        -0.3236786760799337,
        0.2057197379994143,
        0.7820827970262787,
        -0.029349092831956303,
        0.2883667402447041,
        0.029349092831956164,
        -0.3910366983069219,
        0.4378103140195433,
        1.1320416750396343,
        0.9124884746632039,
        0.7681574471544957,
        0.6722799061165476,
        0.599085371775048,
    ];
    assert!(got.allclose(&Tensor::from(expected), 1e-12, 1e-14), "{got:?}");
}

#[test]
fn a_short_run_of_adamw() {
    let got = train(AdamW::new(0.1).betas(0.9, 0.99).weight_decay(0.5));
    let expected = [
        0.7719182868276623,
        0.21701007455066307,
        -0.3344629195022798,
        0.14000010686801512,
        -0.3497856370676998,
        0.22367512475698745,
        0.6918997742527293,
        0.035666050529900094,
        0.27532639762227057,
        -0.035666050529900094,
        -0.3886079615420799,
        0.42729700841707996,
        1.1320416750396343,
        0.8832509535418872,
        0.7341909053143963,
        0.6448080245561539,
        0.5852756565756951,
    ];
    assert!(got.allclose(&Tensor::from(expected), 1e-12, 1e-14), "{got:?}");
}

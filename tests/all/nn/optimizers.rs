//! The other optimizers against their formulas written out for one number, and what all optimizers have in common.

use gradus::prelude::*;
use gradus::{LearningRate, ReduceLrOnPlateau};
use proptest::prelude::*;

/// A step of a number p with gradient g, given the state, which starts at zeros, and t = 1, 2, ...
type Formula = Box<dyn Fn(&mut f64, f64, &mut [f64; 3], i32)>;

/// An optimizer, and its formula.
struct Pair(Box<dyn Optimizer<f64>>, Formula);

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an optimizer and its formula")
    }
}

fn rmsprop() -> impl Strategy<Value = Pair> {
    let or_zero = |range: std::ops::Range<f64>| prop_oneof![1 => Just(0.0), 3 => range];
    (0.001..0.5, 0.0..0.99, 1e-8..1e-2, or_zero(0.1..0.9), or_zero(0.01..0.5), any::<bool>()).prop_map(
        |(lr, alpha, eps, momentum, decay, centered)| {
            let optimizer = RmsProp::new(lr).alpha(alpha).eps(eps).momentum(momentum).weight_decay(decay);
            let optimizer = if centered { optimizer.centered() } else { optimizer };
            let formula = move |p: &mut f64, g: f64, [v, a, b]: &mut [f64; 3], _| {
                let g = g + decay * *p;
                *v = alpha * *v + (1.0 - alpha) * g * g;
                *a = alpha * *a + (1.0 - alpha) * g;
                let square = if centered { *v - *a * *a } else { *v };
                let u = g / (square.sqrt() + eps);
                *b = momentum * *b + u;
                *p -= lr * if momentum > 0.0 { *b } else { u };
            };
            Pair(Box::new(optimizer), Box::new(formula))
        },
    )
}

fn adagrad() -> impl Strategy<Value = Pair> {
    (0.001..0.5, 0.0..0.5, 0.0..2.0, 1e-10..1e-2, 0.0..0.5).prop_map(|(lr, lr_decay, initial, eps, decay)| {
        let optimizer = Adagrad::new(lr).lr_decay(lr_decay).initial_accumulator_value(initial);
        let optimizer = optimizer.eps(eps).weight_decay(decay);
        let formula = move |p: &mut f64, g: f64, [v, ..]: &mut [f64; 3], t| {
            let g = g + decay * *p;
            *v += g * g;
            *p -= lr / (1.0 + f64::from(t - 1) * lr_decay) * g / ((initial + *v).sqrt() + eps);
        };
        Pair(Box::new(optimizer), Box::new(formula))
    })
}

fn adadelta() -> impl Strategy<Value = Pair> {
    (0.1..2.0, 0.0..0.99, 1e-7..1e-2, 0.0..0.5).prop_map(|(lr, rho, eps, decay)| {
        let optimizer = Adadelta::new(lr).rho(rho).eps(eps).weight_decay(decay);
        let formula = move |p: &mut f64, g: f64, [v, u, _]: &mut [f64; 3], _| {
            let g = g + decay * *p;
            *v = rho * *v + (1.0 - rho) * g * g;
            let d = (*u + eps).sqrt() / (*v + eps).sqrt() * g;
            *u = rho * *u + (1.0 - rho) * d * d;
            *p -= lr * d;
        };
        Pair(Box::new(optimizer), Box::new(formula))
    })
}

#[derive(Module)]
struct Two {
    left: Parameter<f64>,
    right: Parameter<f64>,
}

impl Two {
    fn new([left, right]: [f64; 2]) -> Self {
        Self { left: Parameter::new(left), right: Parameter::new(right) }
    }

    /// Gradients with these numbers; `None` for a parameter without a gradient.
    fn gradients(&self, [left, right]: [Option<f64>; 2]) -> Gradients<f64> {
        let terms = [left.map(|g| &self.left * g), right.map(|g| &self.right * g)];
        terms.into_iter().flatten().reduce(|x, y| x + y).expect("one of them").backward()
    }

    fn numbers(&self) -> [f64; 2] {
        [self.left.item(), self.right.item()]
    }
}

proptest! {
    /// Each of two parameters counts its own steps: in each step, one or both have a gradient.
    #[test]
    fn every_step_follows_the_formulas(
        Pair(mut optimizer, formula) in prop_oneof![rmsprop().boxed(), adagrad().boxed(), adadelta().boxed()],
        start in [-2.0..2.0_f64, -2.0..2.0_f64],
        steps in prop::collection::vec(([-2.0..2.0_f64, -2.0..2.0_f64], 1..=3_u8), 1..10),
    ) {
        let mut model = Two::new(start);
        let (mut p, mut states, mut counts) = (start, [[0.0; 3]; 2], [0; 2]);
        for (g, which) in steps {
            let some = [0, 1].map(|i| (which & (1 << i) != 0).then_some(g[i]));
            let gradients = model.gradients(some);
            optimizer.step(&mut model, &gradients);
            for i in (0..2).filter(|&i| some[i].is_some()) {
                counts[i] += 1;
                formula(&mut p[i], g[i], &mut states[i], counts[i]);
            }
            for (got, expected) in model.numbers().into_iter().zip(p) {
                prop_assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{} {}", got, expected);
            }
        }
    }

    /// A parameter of a group moves as with an optimizer that has the group's options for all parameters.
    #[test]
    fn a_group_is_an_optimizer_of_its_own(
        lr in 0.01..0.5, other_lr in 0.01..0.5, decay in 0.0..0.5, other_decay in 0.0..0.5,
        start in [-2.0..2.0_f64, -2.0..2.0_f64],
        steps in prop::collection::vec([-2.0..2.0_f64, -2.0..2.0_f64], 1..8),
    ) {
        let change = move |adam: AdamW<f64>| adam.learning_rate(other_lr).weight_decay(other_decay).amsgrad();
        let (mut grouped, mut one, mut other) = (Two::new(start), Two::new(start), Two::new(start));
        let plain = || AdamW::new(lr).weight_decay(decay).betas(0.5, 0.5);
        let mut optimizer = plain().group(|name| name == "right", change);
        let (mut for_left, mut for_right) = (plain(), change(plain()));
        for g in steps {
            let g = g.map(Some);
            let gradients = grouped.gradients(g);
            optimizer.step(&mut grouped, &gradients);
            let gradients = one.gradients(g);
            for_left.step(&mut one, &gradients);
            let gradients = other.gradients(g);
            for_right.step(&mut other, &gradients);
        }
        prop_assert_eq!(grouped.numbers(), [one.left.item(), other.right.item()]);
    }

    /// Every group follows a schedule from a rate of its own, and keeps its proportion when the rate is set.
    #[test]
    fn rates_of_groups(first in 0.01..1.0_f64, ratio in 0.1..10.0_f64, lr in 0.0..1.0_f64, step in 0..20_usize) {
        let mut sgd = Sgd::<f64>::new(first).group(|name| name == "right", |sgd| sgd.learning_rate(first * ratio));
        let schedule = |step: usize, lr: f64| lr * 0.9_f64.powi(step as i32) + 0.01;
        sgd.follow(&schedule, step);
        let expected = [first, first * ratio].map(|initial| LearningRate { initial, current: schedule(step, initial) });
        prop_assert_eq!(sgd.learning_rates(), expected);
        sgd.set_lr(lr);
        let [one, other] = [0, 1].map(|i| sgd.learning_rates()[i].current);
        prop_assert!(one == lr && (other - ratio * lr).abs() <= 1e-14 * ratio);
        let mut plateau = ReduceLrOnPlateau::min().patience(0).factor(0.5);
        plateau.observe(1.0, &mut sgd);
        plateau.observe(1.0, &mut sgd);
        let halved = [one, other].map(|lr| if lr > 2e-8 { lr / 2.0 } else { lr });
        prop_assert_eq!([0, 1].map(|i| sgd.learning_rates()[i].current), halved);
    }

    /// Clipping bounds the norm of the gradients and keeps their direction.
    #[test]
    fn clipping_by_the_norm(g in [-9.0..9.0_f64, -9.0..9.0_f64], max in 0.1..20.0) {
        let model = Two::new([1.0, 1.0]);
        let mut gradients = model.gradients(g.map(Some));
        let norm = clip_grad_norm(&mut gradients, &model, max);
        prop_assert!((norm - g[0].hypot(g[1])).abs() <= 1e-14 * norm);
        let factor = (max / (norm + 1e-6)).min(1.0);
        let clipped = [&model.left, &model.right].map(|p| gradients.get(p).unwrap().item());
        prop_assert!((0..2).all(|i| (clipped[i] - factor * g[i]).abs() <= 1e-14 * norm));
        let again = clip_grad_norm(&mut gradients, &model, f64::INFINITY);
        prop_assert!((again - clipped[0].hypot(clipped[1])).abs() <= 1e-14 * norm);
        prop_assert_eq!([&model.left, &model.right].map(|p| gradients.get(p).unwrap().item()), clipped);
    }

    #[test]
    fn clipping_by_value(g in [-9.0..9.0_f64, -9.0..9.0_f64], max in 0.0..10.0) {
        let model = Two::new([1.0, 1.0]);
        let mut gradients = model.gradients(g.map(Some));
        clip_grad_value(&mut gradients, &model, max);
        let clipped = [&model.left, &model.right].map(|p| gradients.get(p).unwrap().item());
        prop_assert_eq!(clipped, g.map(|g| g.clamp(-max, max)));
    }

    /// Gradients of parts add up to the gradients of the whole; tensors that someone else holds do not change.
    #[test]
    fn gradients_of_parts_add_up(
        parts in prop::collection::vec(([-9.0..9.0_f64, -9.0..9.0_f64], 1..=3_u8), 1..6),
        factor in -2.0..2.0_f64,
    ) {
        let model = Two::new([1.0, 1.0]);
        let some = |(g, which): &([f64; 2], u8)| model.gradients([0, 1].map(|i| (which & (1 << i) != 0).then_some(g[i])));
        let mut total = some(&parts[0]);
        let kept: Vec<_> = [&model.left, &model.right].iter().map(|p| total.get(p).cloned()).collect();
        let before: Vec<_> = kept.iter().map(|g| g.as_ref().map(Tensor::item)).collect();
        for part in &parts[1..] {
            total.accumulate(some(part));
        }
        total.scale(factor);
        for (i, p) in [&model.left, &model.right].into_iter().enumerate() {
            let terms: Vec<f64> = parts.iter().filter(|(_, which)| which & (1 << i) != 0).map(|(g, _)| g[i]).collect();
            let expected = (!terms.is_empty()).then(|| terms.iter().sum::<f64>() * factor);
            let got = total.get(p).map(Tensor::item);
            prop_assert_eq!(got.is_some(), expected.is_some());
            prop_assert!(got.zip(expected).is_none_or(|(got, expected)| (got - expected).abs() < 1e-12));
        }
        prop_assert_eq!(kept.iter().map(|g| g.as_ref().map(Tensor::item)).collect::<Vec<_>>(), before);
    }
}

/// A norm that is infinite or NaN is returned, and changes nothing.
#[test]
fn a_norm_that_is_not_finite_is_visible() {
    for broken in [f64::INFINITY, f64::NAN] {
        let p = Parameter::new([1.0, 1.0]);
        let mut gradients = (&p * 1.0).backward_with(&Tensor::from([broken, 2.0]));
        let norm = clip_grad_norm(&mut gradients, &p, 1.0);
        assert!(!norm.is_finite() && norm.is_nan() == broken.is_nan());
        assert_eq!(gradients.get(&p).unwrap()[[1]], 2.0);
    }
}

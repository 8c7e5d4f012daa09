//! What a plan leaves out, and what it must not.

use gradus::prelude::*;
use gradus::{Compiled, Var};

#[test]
fn equal_results_are_computed_once_and_constants_are_folded() {
    let f = |(): &mut (), (): &mut (), x: Var<f64>| {
        let twice = x.exp() * x.exp();
        let constant = Var::from(Tensor::full([3], 2.0)).sin() * 3.0;
        // Not equal: at -0, the first is 0.
        let zeros = [&x + 0.0, &x + -0.0];
        (twice + constant, zeros)
    };
    let mut compiled = Compiled::new(f);
    for x in [[1.0, -0.0, 2.0], [0.5, 0.0, -0.0], [-0.0, 3.0, 1.0]] {
        let x = Var::from(Tensor::from(x));
        let (sum, zeros) = f(&mut (), &mut (), x.clone());
        let (compiled_sum, compiled_zeros) = compiled.call(&mut (), &mut (), x);
        let bits = |x: &Var<f64>| x.value().iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(&compiled_sum), bits(&sum));
        assert_eq!(compiled_zeros.each_ref().map(bits), zeros.each_ref().map(bits));
    }
    let plan = compiled.plan().expect("it was called").to_string();
    assert_eq!(plan.matches("exp").count(), 1, "{plan}");
    assert_eq!(plan.matches("sin").count(), 0, "{plan}");
}

#[test]
fn a_parameter_before_and_after_its_update_is_not_the_same() {
    let mut layer = Linear::<f64>::new(2, 2, &mut seeded(0));
    let f = |layer: &mut Linear<f64>, sgd: &mut Sgd<f64>, x: Var<f64>| {
        let before = layer.forward(&x);
        sgd.step(layer, &before.square().sum(..).backward());
        (before, layer.forward(&x))
    };
    let (mut copy, x) = (layer.clone(), Var::from(Tensor::from([[1.0, 2.0]])));
    let (mut sgds, mut compiled) = ([Sgd::new(0.1), Sgd::new(0.1)], Compiled::new(f));
    for _ in 0..3 {
        let (before, after) = f(&mut copy, &mut sgds[0], x.clone());
        let (compiled_before, compiled_after) = compiled.call(&mut layer, &mut sgds[1], x.clone());
        assert_eq!(compiled_before.value(), before.value());
        assert_eq!(compiled_after.value(), after.value());
        assert_ne!(compiled_after.value(), compiled_before.value());
    }
}

/// Forward and backward pass of a small network are one routine; what is left is the check of the loss and the updates.
#[test]
fn a_small_step_is_a_routine() {
    let rng = &mut seeded(0);
    let mut model: Sequential<f64> =
        Sequential::new().push(Linear::new(2, 8, rng)).push(Sigmoid).push(Linear::new(8, 1, rng));
    let mut step =
        Compiled::new(|model: &mut Sequential<f64>, sgd: &mut Sgd<f64>, (x, y): (Var<f64>, Var<f64>)| {
            let loss = model.forward(&x).mse_loss(&y);
            sgd.step(model, &loss.clone().backward());
            loss
        });
    let (x, y) = (Tensor::randn([4, 2], rng), Tensor::randn([4, 1], rng));
    let mut sgd = Sgd::new(0.1);
    for _ in 0..3 {
        let _ = step.call(&mut model, &mut sgd, (x.clone().into(), y.clone().into()));
    }
    let plan = step.plan().expect("it was called").to_string();
    let names: Vec<&str> = plan
        .lines()
        .filter_map(|line| {
            line.split(['(', ' ']).find(|word| {
                ["routine", "fused", "update", "assert", "linear", "matmul", "sum"].contains(word)
            })
        })
        .collect();
    assert_eq!(names, ["routine", "assert", "update", "update", "update", "update"], "{plan}");
}

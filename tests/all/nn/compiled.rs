//! Compiled steps: the same bits as the steps themselves, and errors where a plan would go stale.

use gradus::prelude::*;
use gradus::{Compiled, Var, clip_grad_norm, clip_grad_value, jvp_create_graph, keepdim, no_grad};
use proptest::prelude::*;

use super::model;

type Pair = (Var<f64>, Var<f64>);

fn batch(seed: u64) -> Pair {
    let rng = &mut seeded(seed);
    (Tensor::randn([6, 3], rng).into(), Tensor::randn([6, 2], rng).into())
}

/// One step of training with clipping, which gives the loss and the predictions.
fn step<O: Optimizer<f64>>(
    model: &mut Sequential<f64>,
    optimizer: &mut O,
    (x, y): Pair,
) -> (Var<f64>, Var<f64>) {
    let prediction = model.forward(&x);
    let loss = prediction.mse_loss(&y);
    let mut gradients = loss.clone().backward();
    clip_grad_norm(&mut gradients, model, 0.1);
    clip_grad_value(&mut gradients, model, 0.05);
    optimizer.step(model, &gradients);
    (loss, prediction)
}

/// Trains with a step and with the compiled step, which must agree in all bits: results, model and optimizer.
macro_rules! agree {
    ($optimizer:expr, $seed:expr) => {{
        let (mut plain, mut plain_optimizer) = (model($seed), $optimizer);
        let (mut model, mut optimizer) = (plain.clone(), $optimizer);
        let mut compiled = Compiled::new(step);
        for i in 0..6 {
            let inputs = batch($seed.wrapping_add(i));
            // In the middle, from outside, a rate and a weight change, and one call is in evaluation mode.
            if i == 4 {
                plain_optimizer.set_lr(0.03);
                optimizer.set_lr(0.03);
                plain.parameters_mut()[0].update(|w| *w *= 0.5);
                model.parameters_mut()[0].update(|w| *w *= 0.5);
            }
            plain.set_training(i != 3);
            model.set_training(i != 3);
            let expected = step(&mut plain, &mut plain_optimizer, inputs.clone());
            let got = compiled.call(&mut model, &mut optimizer, inputs);
            assert_eq!(got.0.value(), expected.0.value(), "the loss of step {i}");
            assert_eq!(got.1.value(), expected.1.value(), "the predictions of step {i}");
            assert_eq!(model.state(), plain.state(), "the model after step {i}");
            assert_eq!(optimizer.state(), plain_optimizer.state(), "the optimizer after step {i}");
        }
    }};
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn steps_of_training_agree(seed in any::<u64>()) {
        agree!(Sgd::new(0.1), seed);
        agree!(Sgd::new(0.1).momentum(0.9).weight_decay(0.01), seed);
        agree!(Adam::new(0.01), seed);
        agree!(AdamW::new(0.01), seed);
    }
}

#[test]
fn shapes_and_frozen_parameters_are_recorded_anew() {
    let mut layer = Linear::<f64>::new(2, 1, &mut seeded(0));
    let mut forward = Compiled::new(|layer: &mut Linear<f64>, (): &mut (), x: Var<f64>| layer.forward(&x));
    for rows in [1, 3, 1, 3, 1, 3] {
        let x = Tensor::randn([rows, 2], &mut seeded(rows as u64));
        let expected = layer.forward(Var::from(&x)).into_value();
        assert_eq!(forward.call(&mut layer, &mut (), x.into()).value(), &expected);
    }
    layer.freeze(|name| name == "weight");
    for factor in [1.0, 2.0, 3.0, 4.0] {
        layer.weight.update(|weight| *weight *= factor);
        let x = Tensor::randn([1, 2], &mut seeded(9));
        let expected = layer.forward(Var::from(&x)).into_value();
        assert_eq!(forward.call(&mut layer, &mut (), x.into()).value(), &expected);
    }
}

#[test]
fn results_are_constants() {
    let mut layer = Linear::<f64>::new(2, 1, &mut seeded(0));
    let mut forward = Compiled::new(|layer: &mut Linear<f64>, (): &mut (), x: Var<f64>| layer.forward(&x));
    for _ in 0..3 {
        assert!(!forward.call(&mut layer, &mut (), Tensor::ones([1, 2]).into()).is_tracked());
    }
}

#[test]
fn second_derivatives_and_no_grad_are_compiled() {
    let mut product = Compiled::new(|(): &mut (), (): &mut (), (x, v): Pair| {
        let x = Var::<f64>::leaf(Tensor::zeros(x.shape())) + x; // a leaf of the function's own
        let y = (&x * x.sin()).sum(..);
        let gradient = gradus::grad_create_graph(&y, &[&x]).remove(0);
        let hessian_product = gradus::grad(&(gradient * v).sum(..), &[&x]).remove(0);
        (hessian_product, no_grad(|| x.exp()))
    });
    for seed in 0..4 {
        let rng = &mut seeded(seed);
        let (x, v) = (Tensor::<f64>::randn([3], rng), Tensor::randn([3], rng));
        let (got, exp) = product.call(&mut (), &mut (), (Var::from(&x), Var::from(&v)));
        let expected =
            gradus::hvp(|x| (&x[0] * x[0].sin()).sum(..), std::slice::from_ref(&x), &[v]).remove(0);
        assert_eq!((got.value(), exp.value()), (&expected, &x.exp()));
    }
}

/// However far from the inputs they are: three gradients of one parameter, of which a plan must not add other two first.
#[test]
fn gradients_add_up_in_the_order_of_the_step() {
    let function = |layer: &mut Linear<f64>, (): &mut (), x: Var<f64>| {
        let weight: &Var<f64> = &layer.weight;
        let parts = (weight * x.sin().cos().exp(), weight.exp(), weight * weight.sin());
        let y = parts.0 + parts.1 + parts.2 + no_grad(|| weight.exp());
        let tangent = jvp_create_graph(&y, &[weight], &[Var::constant(Tensor::ones([8, 8]))]);
        (y.sum(..).backward().var(weight).unwrap().clone(), tangent)
    };
    let (mut layer, mut compiled) = (Linear::new(8, 8, &mut seeded(0)), Compiled::new(function));
    for seed in 0..4 {
        let x = Var::from(Tensor::randn([8, 8], &mut seeded(seed)));
        let expected = function(&mut layer, &mut (), x.clone());
        let got = compiled.call(&mut layer, &mut (), x);
        assert_eq!((got.0.value(), got.1.value()), (expected.0.value(), expected.1.value()));
    }
}

/// What the message of a call says that must not be compiled.
fn refusal(
    function: impl Fn(&mut Linear<f64>, &mut Sgd<f64>, Var<f64>) -> Var<f64> + Send + Sync + 'static,
) -> String {
    let mut compiled = Compiled::new(function);
    let (mut layer, mut sgd) = (Linear::new(2, 1, &mut seeded(0)), Sgd::new(0.1));
    let mut calls = || {
        for _ in 0..2 {
            let _ = compiled.call(&mut layer, &mut sgd, Tensor::ones([1, 2]).into());
        }
    };
    let panic =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut calls)).expect_err("it is refused");
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.unwrap_or_else(|| panic.downcast_ref::<String>().expect("a message").clone())
}

#[test]
fn what_would_go_stale_is_refused() {
    let reads = "a function that is being compiled reads numbers";
    for message in [
        refusal(|layer, _, x| if layer.forward(&x).item() > 0.0 { x } else { -x }),
        refusal(|layer, _, x| layer.forward(&x) * layer.forward(&x).value().to_vec()[0]),
        refusal(|_, _, x| if x.gt(0.5).all(..).item() { x } else { -x }),
        refusal(|layer, _, x| Var::from(layer.forward(&x).sum(..).backward().loss())),
        refusal(|layer, _, x| {
            layer.forward(&x).sum(..).backward().get(&layer.weight).unwrap().clone().into()
        }),
    ] {
        assert!(message.contains(reads), "{message}");
    }
    let message = refusal(|layer, sgd, x| {
        sgd.set_lr(0.2);
        layer.forward(&x)
    });
    assert!(message.contains("sets a learning rate"), "{message}");
    let calls = std::sync::Mutex::new(0.0);
    let message = refusal(move |layer, _, x| {
        *calls.lock().unwrap() += 1.0;
        layer.forward(&x) * *calls.lock().unwrap()
    });
    assert!(message.contains("the second call of a compiled function does something else"), "{message}");
}

#[test]
fn a_loss_that_becomes_nan_is_refused() {
    let mut compiled = Compiled::new(|layer: &mut Linear<f64>, sgd: &mut Sgd<f64>, x: Var<f64>| {
        let loss = layer.forward(&x).sum(..);
        sgd.step(layer, &loss.clone().backward());
        loss
    });
    let (mut layer, mut sgd) = (Linear::new(2, 1, &mut seeded(0)), Sgd::new(0.1));
    for _ in 0..3 {
        let _ = compiled.call(&mut layer, &mut sgd, Tensor::ones([1, 2]).into());
    }
    let before = layer.state();
    let mut call = || compiled.call(&mut layer, &mut sgd, Tensor::full([1, 2], f64::NAN).into());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut call)).is_err());
    assert_eq!(layer.state(), before);
}

/// Functions written from basic operations, whose reductions are a part of a fused pass.
#[test]
fn composed_functions_are_one_pass() {
    type Function = fn(&Var<f64>) -> Var<f64>;
    let functions: [(&str, usize, Function); 5] = [
        ("softmax", 1, |x| {
            let e = (x - x.max(keepdim(-1))).exp();
            &e / e.sum(keepdim(-1))
        }),
        ("layer norm", 1, |x| {
            let centred = x - x.mean(keepdim(-1));
            &centred * (centred.square().mean(keepdim(-1)) + 1e-5).rsqrt()
        }),
        ("gelu", 1, |x| x * 0.5 * ((x * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0)),
        ("focal", 1, |x| -((1.0 - x.sigmoid()).square() * x.sigmoid().log())),
        // A sum of rows that is as long as a row must not be taken for a column.
        ("square", 2, |x| {
            x.slice(0, ..x.shape()[1] as isize) * 2.0 - (x.slice(0, ..x.shape()[1] as isize) * 2.0).sum(-1)
        }),
    ];
    for (name, passes, function) in functions {
        for shape in [[7, 5], [40, 33], [9, 1]] {
            let mut compiled = Compiled::new(move |(): &mut (), (): &mut (), x: Var<f64>| function(&x));
            for seed in 0..4 {
                let x = Tensor::randn(shape, &mut seeded(seed));
                let got = compiled.call(&mut (), &mut (), Var::from(&x));
                assert_eq!(got.value(), function(&Var::from(x)).value(), "{name} of {shape:?}");
            }
            let plan = compiled.plan().expect("there were calls").to_string();
            let fused = plan.lines().filter(|line| line.contains("fused(")).count();
            assert!(fused <= passes && fused >= 1, "{name} of {shape:?}: {plan}");
        }
    }
}

/// After a step, the function reads the parameters as they are then.
#[test]
fn two_steps_in_one_call() {
    let twice = |layer: &mut Linear<f64>, adam: &mut Adam<f64>, x: Var<f64>| {
        let mut losses = Vec::new();
        for _ in 0..2 {
            let loss = layer.forward(&x).square().mean(..);
            adam.step(layer, &loss.clone().backward());
            losses.push(loss);
        }
        (losses, layer.forward(&x))
    };
    let mut plain = Linear::<f64>::new(2, 1, &mut seeded(0));
    let (mut layer, mut adam, mut plain_adam) = (plain.clone(), Adam::new(0.1), Adam::new(0.1));
    let mut compiled = Compiled::new(twice);
    for seed in 0..4 {
        let x = Var::from(Tensor::randn([3, 2], &mut seeded(seed)));
        let (losses, y) = compiled.call(&mut layer, &mut adam, x.clone());
        let (expected_losses, expected) = twice(&mut plain, &mut plain_adam, x);
        assert_eq!(y.value(), expected.value());
        assert_eq!(losses[1].value(), expected_losses[1].value());
        assert_eq!(layer.state(), plain.state());
    }
}

/// A model whose forward pass changes a buffer, in several ways.
#[derive(Module, Clone)]
struct Shadowed {
    weight: gradus::Parameter<f64>,
    shadow: gradus::Buffer<f64>,
}

fn shadowed() -> Shadowed {
    Shadowed { weight: gradus::Parameter::new([2.0, 3.0]), shadow: gradus::Buffer::new([0.0, 0.0]) }
}

#[test]
fn a_buffer_takes_the_value_of_a_parameter() {
    let mut compiled = Compiled::new(|m: &mut Shadowed, (): &mut (), x: Var<f64>| {
        m.shadow.assign(&m.weight);
        x * &m.weight
    });
    let mut model = shadowed();
    for i in 0..5 {
        model.weight.set([f64::from(i), 1.0]);
        let y = compiled.call(&mut model, &mut (), Var::from([1.0, 2.0]));
        assert_eq!(y.value(), &Tensor::from([f64::from(i), 2.0]));
        assert_eq!(model.shadow.value(), Tensor::from([f64::from(i), 1.0]));
    }
}

#[test]
fn changes_that_would_be_made_once_are_refused() {
    fn message(
        function: impl Fn(&mut Shadowed, &mut (), Var<f64>) -> Var<f64> + Send + Sync + 'static,
    ) -> String {
        let mut compiled = Compiled::new(function);
        let mut call = || compiled.call(&mut shadowed(), &mut (), Var::from([1.0, 2.0]));
        let panic =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut call)).expect_err("it is refused");
        panic.downcast_ref::<String>().expect("a message").clone()
    }
    let change = "makes a change that later calls would not make";
    for message in [
        message(|m, (), x| {
            m.weight.update(|weight| *weight *= 2.0);
            x
        }),
        message(|m, (), x| {
            m.weight.set([1.0, 1.0]);
            x
        }),
        message(|m, (), x| {
            m.shadow.update(|shadow| *shadow += 1.0);
            x
        }),
        message(|m, (), x| {
            m.shadow.set([1.0, 1.0]);
            x
        }),
    ] {
        assert!(message.contains(change), "{message}");
    }
    // The value before an assignment, read after it.
    let message = message(|m, (), x| {
        let old = m.shadow.var();
        m.shadow.assign(&(&old * 0.9 + &x * 0.1));
        x - old
    });
    assert!(message.contains("had before it changed"), "{message}");
}

#[test]
fn a_mode_that_the_function_sets_is_refused() {
    let mut compiled = Compiled::new(|m: &mut Sequential<f64>, (): &mut (), x: Var<f64>| {
        m.eval();
        m.forward(&x)
    });
    let mut call = || compiled.call(&mut model(0), &mut (), batch(0).0);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut call)).expect_err("it is refused");
    let message = panic.downcast_ref::<&str>().expect("a message");
    assert!(message.contains("sets a mode of the model"), "{message}");
}

/// Options and lists of inputs with as many variables are other inputs.
#[test]
fn the_structure_of_inputs_matters() {
    type Inputs = (Option<Var<f64>>, Vec<Var<f64>>, Vec<Var<f64>>);
    let function = |(): &mut (), (): &mut (), (a, b, c): Inputs| {
        let sign = if a.is_some() { 1.0 } else { -1.0 };
        let all = [a.into_iter().collect(), b, c];
        let sum = |list: &Vec<Var<f64>>| list.iter().fold(Var::from(Tensor::from(0.0)), |sum, x| sum + x);
        sum(&all[0]) * sign + sum(&all[1]) * 10.0 + sum(&all[2]) * 100.0
    };
    let mut compiled = Compiled::new(function);
    let x = |x: f64| Var::from(Tensor::from(x));
    for _ in 0..3 {
        for inputs in [
            (Some(x(1.0)), vec![x(2.0)], vec![x(3.0)]),
            (None, vec![x(1.0), x(2.0)], vec![x(3.0)]),
            (None, vec![x(1.0)], vec![x(2.0), x(3.0)]),
        ] {
            let got = compiled.call(&mut (), &mut (), inputs.clone());
            assert_eq!(got.value(), function(&mut (), &mut (), inputs).value());
        }
    }
}

#[test]
fn captured_results_are_constants() {
    let captured = Var::leaf(Tensor::from([1.0, 2.0])).exp();
    let expected = captured.value().clone() * 3.0;
    let mut compiled = Compiled::new(move |(): &mut (), (): &mut (), x: Var<f64>| x * &captured);
    for _ in 0..4 {
        let got = compiled.call(&mut (), &mut (), Var::from([3.0, 3.0]));
        assert_eq!(got.value(), &expected);
    }
}

/// Gradients of single examples, and `vmap`, inside of a compiled function.
#[test]
fn transforms_are_compiled() {
    let function = |(): &mut (), (): &mut (), (x, w): Pair| {
        gradus::vmap(|inputs| (&inputs[0] * &inputs[1]).sin().sum(..), &[&x, &w], &[Some(0), None])
    };
    let mut compiled = Compiled::new(function);
    for seed in 0..4 {
        let rng = &mut seeded(seed);
        let inputs = (Var::from(Tensor::randn([5, 3], rng)), Var::from(Tensor::randn([3], rng)));
        let got = compiled.call(&mut (), &mut (), inputs.clone());
        assert_eq!(got.value(), function(&mut (), &mut (), inputs).value());
    }
}

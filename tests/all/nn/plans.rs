//! What a plan leaves out, and what it must not.

use gradus::prelude::*;
use gradus::{Compiled, Var, keepdim, track_memory};

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

/// Comparisons and selects are in the pass of what they read and of what reads them, forward and backward; a mask that is read
/// elsewhere is computed besides.
#[test]
fn comparisons_and_selects_are_part_of_passes() {
    type Loss = fn(&Var<f64>) -> Var<f64>;
    let losses: [(&str, Loss); 6] = [
        ("leaky ReLU", |x| Var::where_(x.gt(0.0), x, x * 0.01)),
        ("clamp", |x| {
            let x = x.masked_fill(x.ge(1.0), 1.0);
            x.masked_fill(x.le(-1.0), -0.0)
        }),
        ("Huber", |x| Var::where_(x.abs().lt(1.0), x.square() * 0.5, x.abs() - 0.5)),
        ("logic", |x| {
            let inside = x.gt(-1.0) & !x.ge(1.0);
            let odd = x.eq(0.0) ^ (x.ne(x) | inside);
            Var::where_(&odd, x.square(), -x).masked_fill(odd & x.lt(0.5), f64::NAN)
        }),
        ("rows", |x| Var::where_(x.gt(x.mean(keepdim(1))), x.exp(), x * x)),
        ("a mask of rows", |x| x.square().masked_fill(x.sum(keepdim(1)).gt(0.0), 2.0)),
    ];
    let (rows, columns) = (70, 90);
    for (name, loss) in losses {
        let step = move |w: &mut Parameter<f64>, (): &mut (), x: Var<f64>| {
            let y = loss(&(&x - &**w));
            let gradients = Var::where_(y.abs().lt(1e6), &y, 0.0).sum(..).backward();
            (y, gradients.var(w).expect("it was read").clone())
        };
        let mut compiled = Compiled::new(step);
        for seed in 0..4 {
            let numbers = Tensor::<f64>::randn([rows, columns], &mut seeded(seed)) * 1.5;
            let special = [0.0, -0.0, f64::NAN, f64::INFINITY, -f64::INFINITY, 1.0, -1.0];
            let place = Tensor::arange(0, (rows * columns) as i64, 1).reshape([rows, columns]);
            // Whole rows of ordinary numbers, too.
            let x = numbers.zip("special", &place, |x, i| {
                if i < 3000 { special.get(i as usize % 31).copied().unwrap_or(x) } else { x }
            });
            let mut w = Parameter::new(Tensor::linspace(-0.5, 0.5, columns));
            let (y, gradient) = step(&mut w, &mut (), x.clone().into());
            let (compiled_y, compiled_gradient) = compiled.call(&mut w, &mut (), x.into());
            let bits = |x: &Var<f64>| {
                x.value().iter().map(|x| if x.is_nan() { 0 } else { x.to_bits() + 1 }).collect::<Vec<_>>()
            };
            assert_eq!(bits(&compiled_y), bits(&y), "{name}");
            assert_eq!(bits(&compiled_gradient), bits(&gradient), "{name}");
        }
        let plan = compiled.plan().expect("it was called").to_string();
        if !name.contains("rows") {
            assert_eq!(plan.matches("fused(").count(), 1, "{name}: {plan}");
        }
        for mask in [" gt ", " lt ", " ge ", " le ", " eq ", " ne ", " logical", " where ", " masked_fill "] {
            assert!(!plan.contains(mask), "{name}: {plan}");
        }
    }
    let f = |(): &mut (), (): &mut (), x: Var<f64>| {
        let mask = x.gt(0.5);
        (Var::where_(&mask, x.exp(), &x), mask)
    };
    let mut compiled = Compiled::new(f);
    for seed in 0..3 {
        let x = Var::from(Tensor::<f64>::randn([rows, columns], &mut seeded(seed)));
        let (y, mask) = f(&mut (), &mut (), x.clone());
        let (compiled_y, compiled_mask) = compiled.call(&mut (), &mut (), x);
        assert_eq!((compiled_y.value(), compiled_mask.value()), (y.value(), mask.value()));
    }
    let plan = compiled.plan().expect("it was called").to_string();
    assert!(plan.contains("= gt ") && plan.contains("fused(exp, where)"), "{plan}");
}

/// The bytes of tensors at the peak of a step of training, after some others.
fn peak_of_step(sizes: &[usize], batch: usize, activation: fn(&Var) -> Var, compiles: bool) -> usize {
    let train = || {
        let rng = &mut seeded(0);
        let mut layers: Vec<Linear> =
            sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1], rng)).collect();
        let x = Var::from(Tensor::<f32>::randn([batch, sizes[0]], rng));
        let labels = Tensor::<f32>::rand([batch], rng) * sizes[sizes.len() - 1] as f32;
        let targets = Indices::from(labels.cast::<i64>());
        let mut sgd = Sgd::new(0.01);
        let step = move |layers: &mut Vec<Linear>, sgd: &mut Sgd, (x, targets): (Var, Indices)| {
            let (last, hidden) = layers.split_last().unwrap();
            let hidden = hidden.iter().fold(x, |x, layer| activation(&layer.forward(&x)));
            let loss = last.forward(&hidden).cross_entropy(&targets);
            sgd.step(layers, &loss.clone().backward());
            loss
        };
        let mut compiled = Compiled::new(step);
        let mut call = || {
            let inputs = (x.clone(), targets.clone());
            if compiles {
                compiled.call(&mut layers, &mut sgd, inputs)
            } else {
                step(&mut layers, &mut sgd, inputs)
            }
        };
        for _ in 0..3 {
            let _ = call();
        }
        track_memory(call).1.peak
    };
    track_memory(train).0
}

#[test]
fn a_plan_needs_no_more_memory_than_the_step_without_it() {
    for (sizes, batch, activation) in [
        (&[64, 128, 10][..], 64, Var::relu as fn(&Var) -> Var),
        (&[196, 128, 64, 10], 128, Var::relu),
        (&[100, 100, 100, 100, 100, 100], 50, Var::tanh),
        (&[30, 200, 40], 300, Var::sigmoid),
    ] {
        let [eager, compiled] =
            [false, true].map(|compiles| peak_of_step(sizes, batch, activation, compiles));
        assert!(compiled <= eager, "{sizes:?}: {compiled} bytes, and {eager} without a plan");
    }
}

/// A pass writes over an operand that dies, unless a view of it is still read, or it is a view itself.
#[test]
fn passes_write_over_operands_that_nobody_reads_later() {
    type Function = fn(&Var<f64>) -> Vec<Var<f64>>;
    let functions: [(&str, Function); 6] = [
        ("a dying operand", |x| vec![(x.matmul(x) * 2.0).exp().matmul(x)]),
        ("one that a view outlives", |x| {
            let y = x.matmul(x);
            let turned = y.t();
            vec![(&y * 0.1).sin().matmul(&turned), turned]
        }),
        ("a view that dies", |x| vec![(x.matmul(x).t() * 0.1).cos().matmul(x)]),
        ("a part", |x| vec![(x.matmul(x).slice(0, 3..) + 1.0).matmul(x)]),
        ("one that is read twice, and two results", |x| {
            let y = x.matmul(x);
            let (sine, square) = (y.sin(), &y * &y + &y);
            vec![sine.matmul(x), square.matmul(x), sine.sum(-1)]
        }),
        ("a chain with sums of rows between", |x| {
            let y = x.matmul(x);
            let z = &y - y.mean(keepdim(1));
            vec![(&z / z.square().mean(keepdim(1)).sqrt()).matmul(x), (z + 1.0).matmul(x)]
        }),
    ];
    let rng = &mut seeded(0);
    for (name, f) in functions {
        let mut compiled = Compiled::new(move |(): &mut (), (): &mut (), x: Var<f64>| f(&x));
        for _ in 0..5 {
            let x = Var::from(Tensor::<f64>::randn([40, 40], rng) * 0.1);
            let expected = f(&x);
            let results = compiled.call(&mut (), &mut (), x);
            for (result, expected) in results.iter().zip(&expected) {
                assert_eq!(result.value(), expected.value(), "{name}");
            }
        }
    }
}

/// A small operation alone is a routine, too. What it gave is not written over by later calls.
#[test]
fn a_small_operation_alone_is_a_routine() {
    type Function = fn(&Var<f64>) -> Var<f64>;
    let functions: [(&str, usize, Function); 4] = [
        ("routine(fused(sin, add))", 2, |x| x.sin() + x),
        ("routine(mul)", 1, |x| x * x),
        ("routine(matmul)", 1, |x| x.matmul(x)),
        ("routine(sum)", 1, |x| x.sum(0)),
    ];
    for size in [3, 20] {
        for (name, operations, function) in functions {
            let mut compiled = Compiled::new(move |(): &mut (), (): &mut (), x: Var<f64>| function(&x));
            let inputs = [0, 1, 2, 3].map(|seed| Var::from(Tensor::randn([size, size], &mut seeded(seed))));
            let results = inputs.each_ref().map(|x| compiled.call(&mut (), &mut (), x.clone()));
            for (result, x) in results.iter().zip(&inputs) {
                assert_eq!(result.value(), function(x).value(), "{name}");
            }
            let plan = compiled.plan().expect("it was called").to_string();
            assert!(plan.contains(name), "{plan}");
            assert!(plan.contains(&format!("1 instructions for {operations} operations")), "{plan}");
        }
    }
}

/// A view may leave memory behind whose axes of size 1 have other strides than a new tensor's.
#[test]
fn memory_that_a_view_leaves_is_new() {
    let rng = &mut seeded(0);
    let [a, b] = [0, 1].map(|_| Tensor::<f64>::randn([400, 400], rng));
    let c = Tensor::<f64>::randn([400, 3], rng);
    let step = move |(): &mut (), (): &mut (), x: Var<f64>| {
        let [a, b] = [&a, &b].map(|matrix| Var::from(matrix.clone()));
        let row = a.matmul(&x).t().matmul(&b);
        [row.sigmoid().matmul(&a), row.sigmoid().sin().matmul(&Var::from(c.clone()))]
    };
    let step = std::sync::Arc::new(step);
    let again = std::sync::Arc::clone(&step);
    let mut compiled = Compiled::new(move |model: &mut (), optimizer: &mut (), x| again(model, optimizer, x));
    for seed in 0..5 {
        let x = Var::from(Tensor::randn([400, 1], &mut seeded(seed)));
        let results = compiled.call(&mut (), &mut (), x.clone());
        let expected = step(&mut (), &mut (), x);
        for (result, expected) in results.iter().zip(&expected) {
            assert_eq!(result.value(), expected.value());
        }
    }
}

/// A plan that fits the inputs is not for another model.
#[test]
fn models_of_other_forms_take_turns() {
    let rng = &mut seeded(0);
    let small: Sequential<f64> = Sequential::new().push(Linear::new(3, 2, rng));
    let deep = small.clone().push(Linear::new(2, 2, rng));
    let mut frozen = deep.clone();
    frozen.freeze(|name| name.starts_with("1."));
    let step = |model: &mut Sequential<f64>, sgd: &mut Sgd<f64>, x: Var<f64>| {
        let loss = model.forward(&x).square().sum(..);
        sgd.step(model, &loss.clone().backward());
        loss
    };
    let mut compiled = Compiled::new(step);
    let mut models =
        [small, deep, frozen].map(|model| [(model.clone(), Sgd::new(0.01)), (model, Sgd::new(0.01))]);
    // Each is recorded twice, and then runs after itself and after the others.
    for turn in [0, 1, 0, 1, 2, 2, 2, 0, 0, 1, 2, 0, 2, 1, 1] {
        let [(model, sgd), (copy, of_copy)] = &mut models[turn];
        let x = Var::from(Tensor::randn([4, 3], rng));
        assert_eq!(compiled.call(model, sgd, x.clone()).item(), step(copy, of_copy, x).item());
        let weights =
            [model, copy].map(|model| model.named_parameters().last().expect("some").1.value().clone());
        assert_eq!(weights[0], weights[1]);
    }
}

//! `vmap` beyond single operations: what a function may do inside of it, and the gradients of single examples.

use gradus::prelude::*;
use gradus::{Examples, Operand, gradients_per_example, vmap_plan};

fn randn(shape: &[usize], seed: u64) -> Var<f64> {
    Var::leaf(Tensor::randn(shape, &mut seeded(seed)))
}

#[track_caller]
fn close(got: &Tensor<f64>, expected: &Tensor<f64>) {
    assert_eq!(got.shape(), expected.shape());
    let distance = (got - expected).abs();
    assert!(distance.le(expected.abs() * 1e-11 + 1e-12).all(..).item(), "{got} differs from {expected}");
}

/// The results of a loop over the first axis.
fn looped(f: impl Fn(Var<f64>) -> Var<f64>, x: &Var<f64>) -> Tensor<f64> {
    x.rows().map(f).collect::<Var<f64>>().into_value()
}

/// A function of one variable.
type Function = fn(&Var<f64>) -> Var<f64>;

#[test]
fn functions_that_read_numbers_are_loops() {
    let x = Var::leaf(Tensor::from([1.0, -2.0, 3.0]));
    let branch = |x: &Examples<f64>| if x[0].item() > 0.0 { x[0].square() } else { &x[0] * 5.0 };
    assert!(vmap_plan(branch, &[&x], &[Some(0)]).is_loop());
    let y = vmap(branch, &[&x], &[Some(0)]);
    assert_eq!(y.value(), &Tensor::from([1.0, -10.0, 9.0]));
    assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([2.0, 5.0, 6.0])));

    // Every way to the numbers is noticed.
    let ways: [Function; 7] = [
        |x| Var::constant(x.value()),
        |x| Var::constant(x.clone().into_value()),
        |x| no_grad(|| x * 2.0),
        |x| Var::constant(x.gt(0.0).cast::<f64>()),
        |x| Var::constant(x.square().backward().get(x).unwrap()),
        |x| Var::constant(jvp(&x.square(), &[x], &[Tensor::from(1.0)])),
        |x| Var::constant(hessian(&(x.square() * x), x)),
    ];
    let constant = Var::constant(x.value());
    for (i, way) in ways.into_iter().enumerate() {
        let y = vmap(|x: &Examples<f64>| way(&x[0]) * 3.0, &[&constant], &[Some(0)]);
        assert_eq!(y.value(), &(looped(|x| way(&Var::leaf(x.value())), &x) * 3.0), "way {i}");
    }
    // In a `vmap` inside of another one, too.
    let x = randn(&[3, 4], 0);
    let inner = |x: &Examples<f64>| vmap(|x: &Examples<f64>| &x[0] * x[0].item(), &[&x[0]], &[Some(0)]);
    close(vmap(inner, &[&x], &[Some(0)]).value(), x.square().value());
}

#[test]
fn gradients_inside_are_those_of_each_example() {
    let (x, w) = (randn(&[5, 3], 1), randn(&[3, 3], 2));
    let f = |x: &Var<f64>| (x.matmul(&w).tanh() * x).norm(3.0, ..);
    let slopes = vmap(|x: &Examples<f64>| grad(&f(&x[0]), &[&x[0]]).remove(0), &[&x], &[Some(0)]);
    let expected = looped(|x| grad(&f(&x), &[&x]).remove(0), &x);
    close(slopes.value(), &expected);
    // As outside of `vmap`, these gradients are constants.
    assert!(!slopes.is_tracked());
    let hvps = vmap(
        |x: &Examples<f64>| {
            let slope = grad_create_graph(&f(&x[0]), &[&x[0]]).remove(0);
            grad(&slope.sum(..), &[&x[0]]).remove(0)
        },
        &[&x],
        &[Some(0)],
    );
    let one = |x: Var<f64>| {
        let product = hvp(|x| f(&x[0]), &[x.value().clone()], &[Tensor::ones([3])]);
        Var::constant(&product[0])
    };
    close(hvps.value(), &looped(one, &x));
    // Through the result: forward mode, and the gradient of a parameter that all examples share.
    let y = vmap(|x: &Examples<f64>| f(&x[0]), &[&x], &[Some(0)]);
    let tangent = Tensor::randn([5, 3], &mut seeded(3));
    let plain: Var<f64> = x.rows().map(|x| f(&x)).collect();
    close(&jvp(&y, &[&x], std::slice::from_ref(&tangent)), &jvp(&plain, &[&x], &[tangent]));
    close(grad(&y.sum(..), &[&w])[0].value(), grad(&plain.sum(..), &[&w])[0].value());
}

#[test]
fn indices_masks_axes_and_several_results() {
    let (x, index) = (randn(&[2, 4, 3], 4), Indices::constant(Tensor::from([[2, 0], [1, 1], [0, 3]])));
    let inputs = [Operand::Var(&x), Operand::Indices(&index)];
    let (taken, [largest, places]) = vmap(
        |x| {
            let taken = x[0].index_select(1, x.indices(1));
            (taken, [x[0].argmax(1).gt(1), x.indices(1).gt(0)])
        },
        &inputs,
        &[Some(-1), Some(0)],
    );
    assert_eq!((taken.shape(), largest.shape(), places.shape()), (&[3, 2, 2][..], &[3, 2][..], &[3, 2][..]));
    for place in 0..3 {
        let own = x.value().select(2, place);
        assert_eq!(taken.value().select(0, place), own.index_select(1, &index.select(0, place)));
        assert_eq!(largest.select(0, place), own.argmax(1).gt(1));
    }
    // No examples are no results, in the right shape.
    let empty = Var::leaf(Tensor::<f64>::zeros([0, 3]));
    assert_eq!(vmap(|x| x[0].sin().sum(..), &[&empty], &[Some(0)]).shape(), [0]);
}

#[test]
fn gradients_of_single_examples() {
    let (x, w, b) = (randn(&[6, 4], 5), randn(&[3, 4], 6), randn(&[3], 7));
    let targets = Indices::constant(Tensor::from([0, 1, 2, 2, 1, 0]));
    let loss = |x: &Var<f64>, target: &Indices<f64>| {
        x.linear(&w, Some(&b)).tanh().softmax_cross_entropy(-1, target, None)
    };
    let inputs = [Operand::Var(&x), Operand::Indices(&targets)];
    let found = gradients_per_example(|x| loss(&x[0], x.indices(1)), &[&w, &b], &inputs, &[Some(0), Some(0)]);
    let weights = Tensor::from([1.0, -2.0, 0.5, 0.0, 3.0, 1.0]);
    let total = found.weighted(&weights);
    let [mut of_w, mut of_b] = [&w, &b].map(|parameter| Tensor::zeros(parameter.shape()));
    for place in 0..6 {
        let own = loss(&x.select(0, place), &Indices::constant(targets.select(0, place)));
        close(&found.losses().select(0, place), own.value());
        let own = own.backward();
        close(&found.get(&w).unwrap().select(0, place), own.get(&w).unwrap());
        close(&found.get(&b).unwrap().select(0, place), own.get(&b).unwrap());
        let norm =
            [&w, &b].map(|parameter| own.get(parameter).unwrap().square().sum(..).item()).iter().sum::<f64>();
        close(&found.norms().select(0, place).square(), &Tensor::from(norm));
        let weight = weights.select(0, place).item();
        of_w += own.get(&w).unwrap() * weight;
        of_b += own.get(&b).unwrap() * weight;
    }
    close(total.get(&w).unwrap(), &of_w);
    close(total.get(&b).unwrap(), &of_b);
}

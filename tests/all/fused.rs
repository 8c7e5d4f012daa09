//! Operations that do several things in one pass, against the same made of other operations: in values, and in
//! gradients of first and second order.

use gradus::prelude::*;
use gradus::testing::{axes_of, shapes};
use gradus::{grad, grad_create_graph};
use proptest::prelude::*;

/// A value, the gradient of its product with a random tensor, and the gradient of a function of that.
fn jet(f: &dyn Fn(&[Var<f64>]) -> Var<f64>, inputs: &[Tensor<f64>]) -> Vec<Tensor<f64>> {
    let leaves: Vec<Var<f64>> = inputs.iter().map(Var::leaf).collect();
    let leaves: Vec<&Var<f64>> = leaves.iter().collect();
    let y = f(&leaves.iter().map(|&leaf| leaf.clone()).collect::<Vec<_>>());
    let weights = Tensor::<f64>::randn(y.shape(), &mut seeded(1));
    let loss = (&y * &weights).sum(..) + y.square().sum(..);
    let first = grad_create_graph(&loss, &leaves);
    let slope = first.iter().fold(Var::from(0.0), |sum, gradient| sum + gradient.sin().sum(..));
    let second = grad(&slope, &leaves);
    let plain = grad(&loss, &leaves);
    let gradients = [first, second, plain].concat();
    std::iter::once(y).chain(gradients).map(Var::into_value).collect()
}

fn agree(
    inputs: &[Tensor<f64>],
    fused: impl Fn(&[Var<f64>]) -> Var<f64>,
    composed: impl Fn(&[Var<f64>]) -> Var<f64>,
) -> Result<(), TestCaseError> {
    for (got, expected) in jet(&fused, inputs).iter().zip(jet(&composed, inputs)) {
        prop_assert_eq!(got.shape(), expected.shape());
        let scale = expected.abs().sum(..).item().max(1.0);
        prop_assert!(got.allclose(&expected, 1e-11, 1e-11 * scale), "{:?} {:?}", got, expected);
    }
    Ok(())
}

proptest! {
    #[test]
    fn linear(front in shapes(0..=3, 0..=3), inner in 1..4_usize, out in 1..4_usize, bias: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let mut inputs = vec![Tensor::randn([&front[..], &[inner]].concat(), rng), Tensor::randn([out, inner], rng)];
        if bias {
            inputs.push(Tensor::randn([out], rng));
        }
        let composed = |x: &[Var<f64>]| {
            let product = x[0].matmul(&x[1].t());
            x.get(2).map_or(product.clone(), |bias| product + bias)
        };
        agree(&inputs, |x| x[0].linear(&x[1], x.get(2)), composed)?;
    }

    #[test]
    fn cross_entropy((shape, axis) in axes_of(1), size in 0.1..10.0, ignored in prop::option::of(-1..2_i64), seed: u64) {
        let rng = &mut seeded(seed);
        let x: Tensor<f64> = Tensor::randn(shape.as_slice(), rng) * size;
        let mut rest = shape.clone();
        let classes = rest.remove(axis.rem_euclid(shape.len() as isize) as usize);
        let targets: Tensor<i64> = (Tensor::<f64>::rand(rest, rng) * classes as f64).cast();
        let kept = ignored.map_or(Tensor::full(targets.shape(), true), |ignored| targets.ne(ignored));
        let count = kept.count(..).item();
        let composed = |x: &[Var<f64>]| {
            let right = x[0].log_softmax(axis).gather(axis, targets.unsqueeze(axis)).squeeze(axis);
            -Var::where_(&kept, right, 0.0).sum(..) / count as f64
        };
        if count > 0 {
            agree(&[x], |x| x[0].softmax_cross_entropy(axis, &targets, ignored), composed)?;
        }
    }

    #[test]
    fn mse_loss(shape in shapes(0..=3, 1..=4), seed: u64) {
        let rng = &mut seeded(seed);
        let inputs = [Tensor::randn(shape.as_slice(), rng), Tensor::randn(shape, rng)];
        agree(&inputs, |x| x[0].mean_squared_error(&x[1]), |x| (&x[0] - &x[1]).square().mean(..))?;
    }

    #[test]
    fn layer_norm(front in shapes(0..=2, 0..=3), last in shapes(1..=2, 1..=4), weight: bool, bias: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let shape = [&front[..], &last].concat();
        let axes: Vec<usize> = (front.len()..shape.len()).collect();
        let inputs = [Tensor::randn(shape, rng), Tensor::randn(last.as_slice(), rng), Tensor::randn(last.as_slice(), rng)];
        let composed = |x: &[Var<f64>]| {
            let centred = &x[0] - x[0].mean(keepdim(axes.as_slice()));
            let variance = x[0].var(keepdim(axes.as_slice()), 0);
            let normal = centred / (variance + 0.1).sqrt();
            let scaled = if weight { normal * &x[1] } else { normal + &x[1] * 0.0 };
            if bias { scaled + &x[2] } else { scaled + &x[2] * 0.0 }
        };
        let fused = |x: &[Var<f64>]| {
            let y = x[0].layer_norm(&last, weight.then_some(&x[1]), bias.then_some(&x[2]), 0.1);
            y + &x[1] * 0.0 + &x[2] * 0.0
        };
        agree(&inputs, fused, composed)?;
    }

    #[test]
    fn gelu_tanh(shape in shapes(0..=2, 0..=4), size in 0.1..10.0, seed: u64) {
        let x: Tensor<f64> = Tensor::randn(shape, &mut seeded(seed)) * size;
        let composed = |x: &[Var<f64>]| {
            let u = (&x[0] + x[0].pow_scalar(3.0) * 0.044_715) * (2.0 / std::f64::consts::PI).sqrt();
            &x[0] * 0.5 * (1.0 + u.tanh())
        };
        agree(&[x], |x| x[0].gelu_tanh(), composed)?;
    }

    /// The softmax of tensors, in a pass of its own, is that of its definition.
    #[test]
    fn softmax((shape, axis) in axes_of(1), seed: u64) {
        let x = Tensor::<f64>::randn(shape, &mut seeded(seed));
        let composed = |x: &[Var<f64>]| x[0].exp() / x[0].exp().sum(keepdim(axis));
        agree(&[x], |x| x[0].softmax(axis), composed)?;
    }

    #[test]
    fn rms_norm(front in shapes(0..=2, 0..=3), last in shapes(1..=2, 1..=4), seed: u64) {
        let rng = &mut seeded(seed);
        let shape = [&front[..], &last].concat();
        let axes: Vec<usize> = (front.len()..shape.len()).collect();
        let inputs = [Tensor::randn(shape, rng), Tensor::randn(last.as_slice(), rng)];
        let composed = |x: &[Var<f64>]| {
            &x[0] / (x[0].square().mean(keepdim(axes.as_slice())) + 0.1).sqrt() * &x[1]
        };
        agree(&inputs, |x| x[0].rms_norm(&last, Some(&x[1]), 0.1), composed)?;
    }

    #[test]
    fn scaled_dot_product_attention(
        [heads, width, values] in prop::array::uniform3(1..4_usize), queries in 1..70_usize, keys in 1..70_usize,
        mask: bool, causal: bool, seed: u64,
    ) {
        let rng = &mut seeded(seed);
        let inputs = [
            Tensor::randn([heads, queries, width], rng),
            Tensor::randn([keys, width], rng),
            Tensor::randn([heads, keys, values], rng),
            Tensor::randn([queries, keys], rng),
        ];
        let composed = |x: &[Var<f64>]| {
            let mut scores = x[0].matmul(&x[1].t()) * 0.5;
            if mask {
                scores += &x[3];
            }
            if causal {
                let (rows, columns) = (Tensor::arange(0, queries as i64, 1), Tensor::arange(0, keys as i64, 1));
                scores = Var::where_(columns.le(rows.unsqueeze(1)), scores, f64::NEG_INFINITY);
            }
            scores.softmax(-1).matmul(&x[2]) + x[3].sum(..) * 0.0
        };
        let fused = |x: &[Var<f64>]| {
            let mask = mask.then_some((&x[3]).into());
            x[0].scaled_dot_product_attention(&x[1], &x[2], mask, causal, Some(0.5)) + x[3].sum(..) * 0.0
        };
        agree(&inputs, fused, composed)?;
    }

    #[test]
    fn lstm(steps in 1..4_usize, [batch, features] in prop::array::uniform2(1..4_usize), hidden in 1..20_usize, seed: u64) {
        let rng = &mut seeded(seed);
        let inputs = [
            Tensor::randn([steps, batch, features], rng),
            Tensor::randn([4 * hidden, features], rng),
            Tensor::randn([4 * hidden, hidden], rng),
            Tensor::randn([4 * hidden], rng),
            Tensor::randn([4 * hidden], rng),
            Tensor::randn([batch, hidden], rng),
            Tensor::randn([batch, hidden], rng),
        ];
        let composed = |x: &[Var<f64>]| {
            let (mut h, mut c, mut all) = (x[5].clone(), x[6].clone(), Vec::new());
            for step in 0..steps as isize {
                let sum = x[0].select(0, step).linear(&x[1], Some(&x[3])) + h.linear(&x[2], Some(&x[4]));
                let gates = sum.split([hidden; 4], 1);
                c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
                h = gates[3].sigmoid() * c.tanh();
                all.push(h.clone());
            }
            stack(&all.iter().collect::<Vec<_>>(), 0) + &h * &c
        };
        let fused = |x: &[Var<f64>]| {
            let (y, [h, c]) = x[0].lstm(Some([&x[5], &x[6]]), [&x[1], &x[2]], Some([&x[3], &x[4]]));
            y + h * c
        };
        agree(&inputs, fused, composed)?;
    }

    #[test]
    fn gru(steps in 1..4_usize, [batch, features] in prop::array::uniform2(1..4_usize), hidden in 1..20_usize, seed: u64) {
        let rng = &mut seeded(seed);
        let inputs = [
            Tensor::randn([steps, batch, features], rng),
            Tensor::randn([3 * hidden, features], rng),
            Tensor::randn([3 * hidden, hidden], rng),
            Tensor::randn([3 * hidden], rng),
            Tensor::randn([3 * hidden], rng),
            Tensor::randn([batch, hidden], rng),
        ];
        let composed = |x: &[Var<f64>]| {
            let (mut h, mut all) = (x[5].clone(), Vec::new());
            for step in 0..steps as isize {
                let a = x[0].select(0, step).linear(&x[1], Some(&x[3])).split([hidden; 3], 1);
                let b = h.linear(&x[2], Some(&x[4])).split([hidden; 3], 1);
                let (r, z) = ((&a[0] + &b[0]).sigmoid(), (&a[1] + &b[1]).sigmoid());
                let n = (&a[2] + r * &b[2]).tanh();
                h = (1.0 - &z) * n + z * h;
                all.push(h.clone());
            }
            stack(&all.iter().collect::<Vec<_>>(), 0) + h.square()
        };
        let fused = |x: &[Var<f64>]| {
            let (y, h) = x[0].gru(Some(&x[5]), [&x[1], &x[2]], Some([&x[3], &x[4]]));
            y + h.square()
        };
        agree(&inputs, fused, composed)?;
    }
}

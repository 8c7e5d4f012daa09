//! What attributions must fulfil, for random networks.

use gradus_autograd::{Tensor, Var, cat, seeded};
use gradus_explain::{
    Attribution, DeepLift, FeatureAblation, GroupAttribution, IntegratedGradients, KernelShap, Lime,
    Occlusion, Penalty, Quadrature, ShapleyValues, SmoothGrad, guided_backprop, input_x_gradient, saliency,
};
use proptest::prelude::*;

use crate::networks::{Between, perceptron};

fn between() -> impl Strategy<Value = Between> {
    prop_oneof![Just(Between::Relu), Just(Between::Tanh)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The attributions add up to f(x) - f(baseline), and `delta` is what is missing.
    #[test]
    fn completeness(between in between(), seed in 0_u64..1000, given in any::<bool>()) {
        let network = perceptron(4, 3, between, seed);
        let model = |x: &Var<f64>| network.forward(x);
        let rng = &mut seeded(seed);
        let x = Tensor::randn([3, 4], rng);
        let baseline = if given { Tensor::randn([1, 4], rng) } else { Tensor::zeros([1, 4]) };
        let target = [2, 0, 1];
        let output = |x: &Tensor<f64>| {
            let y = model(&Var::constant(x.expand([3, 4])));
            Tensor::from([0, 1, 2].map(|row| y.value().select(0, row).select(0, target[row as usize] as isize).item()))
        };
        let whole = output(&x) - output(&baseline);
        let missing = |Attribution { values, delta }: Attribution<f64>| {
            assert!((values.sum(1) - &whole).allclose(&delta, 0.0, 1e-12), "delta is what is missing");
            delta.abs().max(..).item()
        };
        let lifted = DeepLift::new().baseline(baseline.clone()).explain(model, &x, target).unwrap();
        prop_assert!(missing(lifted) < 1e-10);
        let integrated = IntegratedGradients::new().baseline(baseline.clone());
        let of = |steps| missing(integrated.clone().steps(steps).explain(model, &x, target).unwrap());
        match between {
            Between::Tanh => prop_assert!(of(60) < 1e-6),
            // Kinks are met by no rule, but more steps come nearer.
            Between::Relu => prop_assert!(of(400) < 0.02),
        }
        let shapley = ShapleyValues::new().baseline(baseline.clone()).explain(model, &x, target).unwrap();
        prop_assert!(shapley.coefficients.sum(1).allclose(&whole, 0.0, 1e-10));
        // The groups one by one, and all without one, determine the coefficients of any network.
        let ones = Tensor::<i64>::eye(4);
        let coalitions = Tensor::cat(&[&ones, &(Tensor::full([4, 4], 1) - &ones)], 0);
        let kernel = KernelShap::new().coalitions(coalitions).baseline(baseline);
        let kernel = kernel.explain(model, &x, target).unwrap();
        prop_assert!(kernel.coefficients.sum(1).allclose(&whole, 0.0, 1e-9));
    }

    /// An input that a network does not read has no share; and one that it reads twice has the same as its twin.
    #[test]
    fn insensitivity_and_symmetry(between in between(), seed in 0_u64..1000) {
        let network = perceptron(3, 2, between, seed);
        // Of four numbers the first is unused, and the last two come in only as their sum.
        let model = |x: &Var<f64>| {
            let [a, b, c] = [1, 2, 3].map(|i| x.slice(1, i..i + 1));
            network.forward(cat(&[&a, &(&b + &c), &(&b * &c)], 1))
        };
        let mut x = Tensor::<f64>::randn([2, 4], &mut seeded(seed)).to_vec2();
        for row in &mut x {
            row[3] = row[2];
        }
        let x = &Tensor::from_vec(x.concat(), [2, 4]).unwrap();
        let groups = |GroupAttribution { values, .. }| values;
        let shap = KernelShap::new().explain(model, x, 1).unwrap();
        let lime = Lime::new(200, seed).penalty(Penalty::Lasso { alpha: 1e-3 }).explain(model, x, 1).unwrap();
        let exact = [
            ("saliency", saliency(model, x, 1).unwrap()),
            ("input_x_gradient", input_x_gradient(model, x, 1).unwrap()),
            ("integrated", IntegratedGradients::new().explain(model, x, 1).unwrap().values),
            ("deep_lift", DeepLift::new().explain(model, x, 1).unwrap().values),
            ("ablation", groups(FeatureAblation::new().explain(model, x, 1).unwrap())),
            ("occlusion", Occlusion::new([1]).explain(model, x, 1).unwrap()),
            ("shapley", groups(ShapleyValues::new().explain(model, x, 1).unwrap())),
            ("kernel_shap", groups(shap)),
        ];
        for (name, values) in &exact {
            let column = |i| values.select(1, i);
            prop_assert!(column(0).abs().max(..).item() < 1e-10, "{name}: the unused input has {:?}", column(0));
            prop_assert!(column(2).allclose(&column(3), 0.0, 1e-10), "{name}: twins differ: {values:?}");
        }
        let unread = [
            guided_backprop(model, x, 1).unwrap(),
            SmoothGrad::new(4, 0.1, seed).explain(model, x, 1).unwrap(),
        ];
        for values in unread {
            prop_assert!(values.select(1, 0).abs().max(..).item() == 0.0);
        }
        // Drawn samples leave some correlation; the largest coefficient is beyond it.
        let sizes = lime.coefficients.abs();
        prop_assert!(sizes.select(1, 0).max(..).item() <= 0.3 * sizes.max(..).item() + 2e-3);
    }

    /// Explanations of a sum are sums of explanations.
    #[test]
    fn linearity(seed in 0_u64..1000, other in 1000_u64..2000) {
        let networks = [seed, other].map(|seed| perceptron(3, 2, Between::Tanh, seed));
        let models = [&networks[0], &networks[1]].map(|network| move |x: &Var<f64>| network.forward(x));
        let sum = |x: &Var<f64>| models[0](x) + models[1](x) * 2.0;
        let x = &Tensor::<f64>::randn([2, 3], &mut seeded(seed));
        let integrated = |model: &dyn Fn(&Var<f64>) -> Var<f64>| {
            IntegratedGradients::new().rule(Quadrature::Middle).explain(model, x, 0).unwrap().values
        };
        let shapley = |model: &dyn Fn(&Var<f64>) -> Var<f64>| {
            ShapleyValues::new().explain(model, x, 0).unwrap().values
        };
        for explain in [&integrated as &dyn Fn(&dyn Fn(&Var<f64>) -> Var<f64>) -> Tensor<f64>, &shapley] {
            let parts = explain(&models[0]) + explain(&models[1]) * 2.0;
            prop_assert!(explain(&sum).allclose(&parts, 0.0, 1e-10));
        }
    }

    /// Of a linear function, all methods give the same shares.
    #[test]
    fn linear_functions(seed in 0_u64..1000) {
        let rng = &mut seeded(seed);
        let weights = Tensor::<f64>::randn([4, 2], rng);
        let model = |x: &Var<f64>| x.matmul(&Var::constant(&weights)) + 3.0;
        let x = &Tensor::<f64>::randn([3, 4], rng);
        let want = x * weights.select(1, 1);
        let lime = Lime::new(100, seed).penalty(Penalty::Ridge { alpha: 0.0 }).explain(model, x, 1).unwrap();
        let all = [
            input_x_gradient(model, x, 1).unwrap(),
            IntegratedGradients::new().steps(1).explain(model, x, 1).unwrap().values,
            DeepLift::new().explain(model, x, 1).unwrap().values,
            FeatureAblation::new().explain(model, x, 1).unwrap().values,
            Occlusion::new([1]).explain(model, x, 1).unwrap(),
            ShapleyValues::new().explain(model, x, 1).unwrap().values,
            KernelShap::new().explain(model, x, 1).unwrap().values,
            lime.values,
        ];
        for values in all {
            prop_assert!(values.allclose(&want, 1e-9, 1e-9), "{values:?}, not {want:?}");
        }
        prop_assert!(lime.intercept.allclose(&Tensor::full([3], 3.0), 1e-9, 1e-9));
        prop_assert!(lime.fit.allclose(&Tensor::ones([3]), 1e-9, 0.0));
    }
}

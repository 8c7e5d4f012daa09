//! Shapley values and their estimates.

use gradus_autograd::{Tensor, Var, seeded};
use gradus_explain::{Features, KernelShap, Occlusion, ShapleyValues};

use crate::networks::{Between, perceptron};

/// The definition: the mean over all orders.
#[test]
fn shapley_values_are_means_over_orders() {
    let network = perceptron(3, 1, Between::Relu, 3);
    let x = [0.7, -1.2, 2.0];
    let value = |kept: [bool; 3]| {
        let row =
            Tensor::from_vec((0..3).map(|i| if kept[i] { x[i] } else { 0.0 }).collect(), [1, 3]).unwrap();
        network.forward(&Var::constant(row)).item()
    };
    let mut want = [0.0; 3];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut kept = [false; 3];
        for player in order {
            let before = value(kept);
            kept[player] = true;
            want[player] += (value(kept) - before) / 6.0;
        }
    }
    let found = ShapleyValues::new().explain(|x| network.forward(x), &Tensor::from([x]), 0).unwrap();
    assert!(found.values.allclose(&Tensor::from([want]), 1e-12, 1e-12));
}

#[test]
fn more_coalitions_come_nearer() {
    let network = perceptron(12, 2, Between::Tanh, 9);
    let model = |x: &Var<f64>| network.forward(x);
    let x = &Tensor::<f64>::randn([3, 12], &mut seeded(1));
    let exact = ShapleyValues::new().explain(model, x, 1).unwrap().values;
    let error = |samples| {
        let found = KernelShap::new().samples(samples, 0).explain(model, x, 1).unwrap().values;
        (found - &exact).square().mean(..).sqrt().item() / exact.square().mean(..).sqrt().item()
    };
    let errors = [100, 1500, 4094].map(error);
    assert!(errors[0] < 0.5 && errors[1] < 0.1 && errors[2] < 1e-8, "{errors:?}");
}

#[test]
fn a_single_group_has_the_whole() {
    let features = Features::from_mask(&Tensor::from([0, 0])).unwrap();
    let model = |x: &Var<f64>| x.prod(1).unsqueeze(1);
    let x = &Tensor::from([[3.0, 4.0]]);
    for values in [
        ShapleyValues::new().features(features.clone()).explain(model, x, 0).unwrap().values,
        KernelShap::new().features(features).explain(model, x, 0).unwrap().values,
        Occlusion::new([2]).explain(model, x, 0).unwrap(),
    ] {
        assert_eq!(values, Tensor::from([[12.0, 12.0]]));
    }
}

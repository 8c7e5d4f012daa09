//! Chunks, progress, and types of numbers.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use gradus_autograd::{Tensor, Var, seeded};
use gradus_explain::{
    DeepLift, Features, GradCam, IntegratedGradients, KernelShap, Lime, Occlusion, OneGradient,
    PartialDependence, PermutationImportance, ShapleyValues, SmoothGrad, Target,
};

use crate::networks::{Between, Cnn, blobs, perceptron};

/// Chunks change nothing, whatever does not divide into them.
#[test]
fn the_size_of_a_chunk_has_no_influence() {
    let network = perceptron(3, 2, Between::Tanh, 5);
    let most = Cell::new(0);
    let model = |x: &Var<f64>| {
        assert!(x.shape()[0] <= most.get(), "a pass has {} rows", x.shape()[0]);
        network.forward(x)
    };
    let x = &Tensor::<f64>::randn([5, 3], &mut seeded(0));
    let score = |y: &Tensor<f64>| y.sum(..).item();
    let all = |rows: usize| {
        most.set(rows);
        [
            IntegratedGradients::new().steps(7).chunk(rows).explain(model, x, 0).unwrap().values,
            OneGradient::new().chunk(rows).saliency(model, x, 0).unwrap(),
            OneGradient::new().chunk(rows).guided_backprop(model, x, 0).unwrap(),
            DeepLift::new().chunk(rows).explain(model, x, 0).unwrap().values,
            SmoothGrad::new(3, 0.1, 0).chunk(rows).explain(model, x, 0).unwrap(),
            Occlusion::new([2]).chunk(rows).explain(model, x, Target::Predicted).unwrap(),
            ShapleyValues::new().chunk(rows).explain(model, x, 0).unwrap().values,
            KernelShap::new().chunk(rows).explain(model, x, 0).unwrap().values,
            Lime::new(20, 0).chunk(rows).explain(model, x, 0).unwrap().values,
            PartialDependence::new(1).chunk(rows).explain(model, x).unwrap().mean,
            PermutationImportance::new(2, 0).chunk(rows).explain(model, x, score).unwrap().losses,
        ]
    };
    for (i, (whole, parts)) in all(1000).iter().zip(&all(3)).enumerate() {
        assert!(whole.allclose(parts, 1e-12, 1e-12), "method {i}");
    }
    let (cnn, (x, _)) = (Cnn::new(0), blobs(5, 0));
    let [whole, parts] =
        [9, 2].map(|rows| GradCam::new().chunk(rows).explain(|x| cnn.with_activation(x), &x, 0).unwrap());
    assert!(whole.allclose(&parts, 1e-5, 1e-6));
}

#[test]
fn progress_is_told_after_each_pass() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let method =
        ShapleyValues::new().chunk(3).progress(move |done, all| list.lock().unwrap().push((done, all)));
    method.explain(|x: &Var| x.clone(), &Tensor::from([[1.0, 2.0, 3.0]]), 0).unwrap();
    assert_eq!(*told.lock().unwrap(), [(3, 8), (6, 8), (8, 8)]);
}

#[test]
fn nothing_of_the_tape_stays() {
    let (cnn, (x, y)) = (Cnn::new(0), blobs(2, 0));
    let before = gradus_autograd::live_nodes();
    drop(gradus_explain::saliency(|x| cnn.forward(x), &x, &y).unwrap());
    assert_eq!(gradus_autograd::live_nodes(), before);
}

/// In single precision the sums are as exact as it allows.
#[test]
fn single_precision() {
    let (cnn, (x, y)) = (Cnn::trained(3), blobs(3, 5));
    let model = |x: &Var| cnn.forward(x);
    let lifted = DeepLift::new().explain(model, &x, &y).unwrap();
    assert!(lifted.delta.abs().max(..).item() < 1e-4, "{:?}", lifted.delta);
    let integrated = IntegratedGradients::new().steps(200).explain(model, &x, &y).unwrap();
    assert!(integrated.delta.abs().max(..).item() < 0.05, "{:?}", integrated.delta);
    let quarters =
        ShapleyValues::new().features(Features::grid([1, 8, 8], [2, 2])).explain(model, &x, &y).unwrap();
    // The quarter with the blob has the largest share.
    assert_eq!(quarters.coefficients.argmax(1), y);
}

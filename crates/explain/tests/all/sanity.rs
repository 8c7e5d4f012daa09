//! The sanity check of Adebayo et al., "Sanity checks for saliency maps" (2018): an attribution that does not change when the
//! weights are random explains the image, not the model.

use gradus_autograd::{Tensor, Var};
use gradus_explain::{
    DeepLift, Features, GradCam, IntegratedGradients, KernelShap, Occlusion, SmoothGrad, guided_backprop,
    saliency,
};

use crate::networks::{Cnn, blobs};

/// The rank correlation of Spearman between two maps. With their signs: magnitudes of shares are large where the image is.
fn similarity(a: &Tensor, b: &Tensor) -> f64 {
    let ranks = |x: &Tensor| {
        let order = x.reshape([x.len()]).argsort(0, false).argsort(0, false).cast::<f64>();
        &order - order.mean(..)
    };
    let (a, b) = (ranks(a), ranks(b));
    (&a * &b).sum(..).item() / (a.square().sum(..) * b.square().sum(..)).sqrt().item()
}

/// The attributions of a network.
type Method<'a> = &'a dyn Fn(&Cnn) -> Tensor;

#[test]
fn attributions_depend_on_the_weights() {
    let trained = Cnn::trained(1);
    let (x, y) = blobs(6, 999);
    let correct = trained.forward(&Var::constant(&x)).value().argmax(1).eq(&y).cast::<f32>().mean(..).item();
    assert!(correct > 0.9, "the network has learnt its task: {correct}");
    let methods: [(&str, Method); 7] = [
        ("saliency", &|cnn| saliency(|x| cnn.forward(x), &x, &y).unwrap()),
        ("smoothgrad", &|cnn| SmoothGrad::new(10, 0.1, 0).explain(|x| cnn.forward(x), &x, &y).unwrap()),
        ("integrated gradients", &|cnn| {
            IntegratedGradients::new().steps(20).explain(|x| cnn.forward(x), &x, &y).unwrap().values
        }),
        ("deep_lift", &|cnn| DeepLift::new().explain(|x| cnn.forward(x), &x, &y).unwrap().values),
        ("grad_cam", &|cnn| GradCam::new().signed().explain(|x| cnn.with_activation(x), &x, &y).unwrap()),
        ("occlusion", &|cnn| Occlusion::new([1, 2, 2]).explain(|x| cnn.forward(x), &x, &y).unwrap()),
        ("kernel_shap", &|cnn| {
            let method = KernelShap::new().features(Features::grid([1, 8, 8], [4, 4])).samples(400, 0);
            method.explain(|x| cnn.forward(x), &x, &y).unwrap().coefficients
        }),
    ];
    // Several, as the sign of a random map is a matter of luck.
    let random: Vec<Cnn> = (70..80).map(Cnn::new).collect();
    for (name, explain) in methods {
        let of_trained = explain(&trained);
        let others = random.iter().map(|cnn| similarity(&of_trained, &explain(cnn)));
        let other = others.sum::<f64>() / random.len() as f64;
        println!("{name}: {other:.2}");
        assert!(other < 0.6, "{name}: similarity {other} with random weights");
    }
}

/// The known weakness of guided backpropagation: with a random last layer alone, its map is nearer to the first one than the
/// gradient's. It is shown here, so that nobody relies on it.
#[test]
fn guided_backpropagation_hardly_notices_a_random_head() {
    let trained = Cnn::trained(1);
    let (x, y) = blobs(24, 998);
    let cascade = Cnn { out: Cnn::new(78).out, ..trained.clone() };
    let of = |explain: &dyn Fn(&Cnn) -> Tensor| similarity(&explain(&trained), &explain(&cascade));
    let guided = of(&|cnn| guided_backprop(|x| cnn.forward(x), &x, &y).unwrap());
    let gradient = of(&|cnn| saliency(|x| cnn.forward(x), &x, &y).unwrap());
    println!("guided {guided:.2}, gradient {gradient:.2}");
    assert!(guided > gradient);
}

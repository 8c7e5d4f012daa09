//! The exact words of every error and panic, and that a panic names the line of the caller.

use gradus_autograd::{Tensor, Var, no_grad};
use gradus_explain::{
    Bars, DeepLift, ExplainError, FeatureAblation, Features, GradCam, HeatMaps, IntegratedGradients,
    Interpolation, KernelShap, Lime, Occlusion, PartialDependence, Penalty, PermutationImportance,
    Quadrature, ShapleyValues, SmoothGrad, Words, gradient, guided_backprop, input_x_gradient, resize,
    saliency,
};

use crate::panics;

#[track_caller]
fn fails<V>(result: Result<V, ExplainError>, expected: &str) {
    let error = result.err().expect("there was no error");
    assert_eq!(error.to_string(), expected);
    assert_eq!(format!("{error:?}"), expected);
}

fn same(x: &Var<f64>) -> Var<f64> {
    x.clone()
}

fn two() -> Tensor<f64> {
    Tensor::from([[1.0, 2.0], [3.0, 4.0]])
}

#[test]
fn inputs_targets_and_outputs() {
    let empty = |shape: &[usize]| saliency(same, &Tensor::zeros(shape), 0);
    fails(
        empty(&[0, 3]),
        "the input has shape [0, 3]: it must be [batch, ...], with a row and a number in it",
    );
    fails(
        empty(&[2, 0]),
        "the input has shape [2, 0]: it must be [batch, ...], with a row and a number in it",
    );
    fails(empty(&[]), "the input has shape []: it must be [batch, ...], with a row and a number in it");
    let x = &two();
    fails(
        gradient(same, x, 2),
        "the target of row 0 is 2: the model has 2 classes, so it must be from 0 to 1",
    );
    fails(
        gradient(same, x, [0, 7]),
        "the target of row 1 is 7: the model has 2 classes, so it must be from 0 to 1",
    );
    fails(
        gradient(same, x, [0; 3]),
        "there are 3 targets for 2 rows: give one for all rows, or one for each",
    );
    fails(
        gradient(same, x, &Tensor::from([0, -1])),
        "the target of row 1 is -1: the model has 2 classes, so it must be from 0 to 1",
    );
    fails(
        gradient(|x: &Var<f64>| x.sum(1), x, 0),
        "the model's output has shape [2]: for 2 rows it must be [2, classes]",
    );
    fails(
        gradient(|x: &Var<f64>| x.slice(0, ..1), x, 0),
        "the model's output has shape [1, 2]: for 2 rows it must be [2, classes]",
    );
    fails(
        gradient(|x: &Var<f64>| (x - 3.0).log(), x, 0),
        "the output of row 0 is NaN: only finite numbers can be explained",
    );
    fails(
        gradient(|x: &Var<f64>| (x - 1.0).sqrt(), x, 0),
        "the gradient of row 0 is inf: only finite numbers can be explained",
    );
    fails(
        gradient(|x: &Var<f64>| no_grad(|| x * 2.0), x, 0),
        "no gradient leads from the model's output to its input: the model must compute with the variable that it is given, \
         outside of `no_grad` and without `detach`",
    );
    let weight = Var::leaf(two());
    let detached = gradient(|x: &Var<f64>| x.detach() * &weight, x, 0);
    assert!(matches!(detached, Err(ExplainError::NoGradient { to: "its input" })));
    // Methods that need no gradients take such models.
    assert!(ShapleyValues::new().explain(|x: &Var<f64>| x.detach(), x, 0).is_ok());
}

/// Every method looks at the output of the model.
#[test]
fn outputs_that_are_no_classes() {
    let x = &two();
    let sum = |x: &Var<f64>| x.sum(1);
    let text = "the model's output has shape [2]: for 2 rows it must be [2, classes]";
    fails(gradient(sum, x, 0), text);
    fails(saliency(sum, x, 0), text);
    fails(input_x_gradient(sum, x, 0), text);
    fails(guided_backprop(sum, x, 0), text);
    fails(IntegratedGradients::new().explain(sum, x, 0), text);
    fails(SmoothGrad::new(2, 0.1, 0).explain(sum, x, 0), text);
    fails(DeepLift::new().explain(sum, x, 0), text);
    fails(Occlusion::new([1]).explain(sum, x, 0), text);
    fails(FeatureAblation::new().explain(sum, x, 0), text);
    fails(ShapleyValues::new().explain(sum, x, 0), text);
    fails(KernelShap::new().explain(sum, x, 0), text);
    fails(Lime::new(9, 0).explain(sum, x, 0), text);
    fails(
        PermutationImportance::new(2, 0).explain(sum, x, |output: &Tensor<f64>| output.sum(..).item()),
        text,
    );
    fails(PartialDependence::new(0).explain(sum, x), text);
    let image = Tensor::<f64>::ones([2, 1, 2, 2]);
    fails(GradCam::new().explain(|x: &Var<f64>| (x.relu(), x.sum([1, 2, 3])), &image, 0), text);
}

#[test]
fn baselines_noise_and_features() {
    let x = &two();
    let wrong = Tensor::zeros([2]);
    let text = "the baseline has shape [2]: it must be [1, 2] or [2, 2]";
    fails(IntegratedGradients::new().baseline(wrong.clone()).explain(same, x, 0), text);
    fails(DeepLift::new().baseline(wrong.clone()).explain(same, x, 0), text);
    fails(Occlusion::new([1]).baseline(wrong.clone()).explain(same, x, 0), text);
    fails(ShapleyValues::new().baseline(wrong.clone()).explain(same, x, 0), text);
    fails(KernelShap::new().baseline(wrong.clone()).explain(same, x, 0), text);
    fails(Lime::new(9, 0).baseline(wrong.clone()).explain(same, x, 0), text);
    fails(
        FeatureAblation::new().baseline(Tensor::zeros([3, 2])).explain(same, x, 0),
        "the baseline has shape [3, 2]: it must be [1, 2] or [2, 2]",
    );
    fails(
        SmoothGrad::with_noise(Tensor::zeros([5, 2])).explain(same, x, 0),
        "the noise has shape [5, 2]: it must be [5, 2, 2]",
    );
    fails(
        ShapleyValues::new().features(Features::each([3])).explain(same, x, 0),
        "the features have shape [3], a row of the input [2]: they must be equal",
    );
    let mask = |groups: [i64; 3]| Features::from_mask(&Tensor::from(groups));
    let gaps = "the groups of a feature mask must be numbered from 0 without gaps: there is no group 1";
    fails(mask([0, 2, 3]), gaps);
    fails(mask([0, 0, i64::MAX]), gaps);
    fails(
        mask([0, -1, 1]),
        "a group of the feature mask has the number -1: groups must be numbered from 0 without gaps",
    );
    fails(
        Features::from_mask(&Tensor::zeros([0])),
        "the feature mask is of shape [0]: it must be the shape of a row, with a number in it",
    );
    fails(
        ShapleyValues::new().explain(same, &Tensor::zeros([1, 21]), 0),
        "exact Shapley values of 21 groups take 2^21 passes: there may be at most 20 groups; use `KernelShap`, or larger \
         groups",
    );
    let coalitions =
        "the coalitions have shape [1, 3]: it must be [n, 2], with 1 for a group that is kept, else 0";
    fails(KernelShap::new().coalitions(Tensor::from([[1, 0, 1]])).explain(same, x, 0), coalitions);
    fails(Lime::new(1, 0).coalitions(Tensor::from([[1, 0, 1]])).explain(same, x, 0), coalitions);
    assert!(KernelShap::new().coalitions(Tensor::from([[1, 2]])).explain(same, x, 0).is_err());
    fails(
        KernelShap::new().coalitions(Tensor::from([[1, 1]])).explain(same, x, 0),
        "0 samples do not determine 2 coefficients: take more samples, other ones, or a ridge penalty above 0",
    );
    fails(
        Lime::new(9, 0).explain_table(same, x, 0, &Tensor::from([1.0])),
        "the deviation has shape [1]: it must be [2]",
    );
    fails(
        Features::superpixels(&Tensor::<f64>::zeros([3, 3]), 2, 0.1),
        "the image of superpixels is of shape [3, 3]: it must be [channels, height, width], with a pixel in it",
    );
}

#[test]
fn windows_activations_and_maps() {
    let x = &two();
    for (window, stride) in
        [(vec![3], vec![1]), (vec![0], vec![1]), (vec![1, 1], vec![1, 1]), (vec![1], vec![0])]
    {
        let expected = format!(
            "the window {window:?} with stride {stride:?} does not fit a row of shape [2]: each axis needs a size from 1 to \
             the row's, and a stride"
        );
        fails(Occlusion::new(window).stride(stride).explain(same, x, 0), &expected);
    }
    fails(
        GradCam::new().explain(|x: &Var<f64>| (x.relu(), x.relu()), x, 0),
        "the activation has shape [2, 2]: for 2 rows it must be [2, channels, height, width]",
    );
    let image = Tensor::<f64>::ones([1, 1, 2, 2]);
    fails(
        GradCam::new().explain(|x: &Var<f64>| (x.relu(), x.flatten(1..)), &image, 0),
        "no gradient leads from the model's output to the activation: the model must compute with the variable that it is \
         given, outside of `no_grad` and without `detach`",
    );
    fails(
        resize(&Tensor::<f64>::zeros([3]), [2, 2], Interpolation::Nearest),
        "the maps are of shape [3]: it must be [..., height, width], with a pixel in it",
    );
}

#[test]
fn wrong_options() {
    panics(|| IntegratedGradients::<f64>::new().steps(0), "steps: GaussLegendre needs at least 1, not 0");
    panics(|| Quadrature::CaptumTrapezoid.nodes(1), "steps: CaptumTrapezoid needs at least 2, not 1");
    panics(|| IntegratedGradients::<f64>::new().chunk(0), "chunk: there must be a row in each pass");
    panics(|| DeepLift::<f64>::new().eps(0.0), "eps: it is 0, and must be positive");
    panics(|| SmoothGrad::<f64>::new(0, 0.1, 0), "SmoothGrad: there must be a sample");
    panics(
        || SmoothGrad::<f64>::new(1, -0.1, 0),
        "SmoothGrad: the deviation is -0.1: it must be a number from 0 up",
    );
    panics(|| SmoothGrad::<f64>::with_noise(Tensor::zeros([0, 1])), "SmoothGrad: there must be a sample");
    panics(|| KernelShap::<f64>::new().samples(0, 0), "samples: there must be a coalition");
    panics(|| Lime::<f64>::new(0, 0), "Lime: there must be a sample");
    panics(|| Lime::<f64>::new(1, 0).cosine(0.0), "cosine: the width is 0, and must be positive");
    panics(|| Lime::<f64>::new(1, 0).euclidean(-1.0), "euclidean: the width is -1, and must be positive");
    panics(
        || Lime::<f64>::new(1, 0).penalty(Penalty::Ridge { alpha: -1.0 }),
        "penalty: alpha is -1, and must not be negative",
    );
    let given = Lime::<f64>::new(1, 0).coalitions(Tensor::from([[1, 1]]));
    panics(
        || given.explain_table(same, &two(), 0, &Tensor::from([1.0, 1.0])),
        "explain_table: it draws its samples; leave out `coalitions`",
    );
    panics(|| PermutationImportance::new(0, 0), "PermutationImportance: there must be a repeat");
    panics(
        || PartialDependence::new(2).explain(same, &two()),
        "PartialDependence: there is no feature 2 in rows of 2 numbers",
    );
    panics(
        || PartialDependence::<f64>::new(0).grid(Tensor::zeros([0])),
        "grid: the values have shape [0]: it must be [n], with n from 1 up",
    );
    panics(|| Features::along_first([0_usize; 0]), "Features: a row without axes has no first one");
    panics(|| Features::grid([3], [1, 1]), "grid: the shape is [3]: it must be [..., height, width]");
    panics(
        || Features::grid([4, 4], [5, 1]),
        "grid: 5 x 1 cells do not fit an image of 4 x 4: there must be a pixel for each",
    );
    let image = Tensor::<f64>::zeros([1, 2, 2]);
    panics(|| Features::superpixels(&image, 0, 0.1), "superpixels: the count must be at least 1");
    panics(
        || Features::superpixels(&image, 1, 0.0),
        "superpixels: the compactness is 0, and must be positive",
    );
    panics(|| HeatMaps::new("").columns(0), "columns: there must be a panel in a row");
    panics(
        || Bars::new("", &["a"], &[]),
        "Bars: there are 1 names and 0 numbers: there must be one for each",
    );
    panics(
        || Words::new("").line("", &["a"], &[]),
        "Words: there are 1 words and 0 numbers: there must be one for each",
    );
}

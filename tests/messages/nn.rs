//! Layers, losses, initialisation and parameters.

use gradus::init::{fans, kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform};
use gradus::{
    BceWithLogitsLoss, CrossEntropyLoss, HuberLoss, Layer, Linear, Losses, NllLoss, Parameter, Relu,
    Sequential, SmoothL1Loss, Tensor, seeded,
};

use crate::{leaf, panic_of, panics};

#[test]
fn linear() {
    let layer = Linear::<f64>::new(3, 5, &mut seeded(0));
    let message = |shape: &str| {
        format!(
            "linear: the input has shape {shape} and the weight [5, 3]: the last axis of the input must have size 3"
        )
    };
    panics(|| layer.forward(&leaf(&[2, 4])), &message("[2, 4]"));
    panics(|| layer.forward(&leaf(&[])), &message("[]"));
    panics(|| Layer::forward(&layer, &leaf(&[7])), &message("[7]"));
    let too_large = "rand: shape [18446744073709551615, 3] is too large for this machine: its sizes (a 0 \
                     counts as 1) must not multiply to more than 1152921504606846975";
    panics(|| Linear::<f64>::new(3, usize::MAX, &mut seeded(0)), too_large);
    // Behind a pointer the caller's line is not known; the words are the same.
    let model = Sequential::new().push(Relu {}).push(layer.clone());
    assert_eq!(panic_of(|| model.forward(&leaf(&[2, 4]))).0, message("[2, 4]"));
}

#[test]
fn losses() {
    let (x, column) = (leaf(&[4]), leaf(&[4, 1]));
    let shapes = |loss: &str| {
        format!("{loss}: the prediction has shape [4] and the target [4, 1]: they must be equal")
    };
    panics(|| x.mse_loss(&column), &shapes("mse_loss"));
    panics(|| x.mse_loss(column.value()), &shapes("mse_loss"));
    let bce = shapes("binary_cross_entropy_with_logits");
    panics(|| x.binary_cross_entropy_with_logits(&column), &bce);

    let logits = leaf(&[2, 3]);
    panics(
        || logits.cross_entropy(&Tensor::from([0, 1, 2])),
        "cross_entropy: the logits have shape [2, 3] and the targets [3]: the targets must have shape [2], \
         without the axis of classes",
    );
    panics(
        || leaf(&[]).cross_entropy(&Tensor::from(0)),
        "cross_entropy: the logits have shape []: they need an axis of classes",
    );
    let class = |class: i64| {
        format!(
            "cross_entropy: target {class} is out of range for logits of shape [2, 3]: with 3 classes, allowed \
             are 0 to 2"
        )
    };
    panics(|| logits.cross_entropy(&Tensor::from([0, 3])), &class(3));
    panics(|| logits.cross_entropy(&Tensor::from([-1, 5])), &class(-1));
    // Also where not all rows count.
    panics(|| CrossEntropyLoss::new().ignore_index(1).forward(&logits, &Tensor::from([1, 3])), &class(3));
    panics(|| logits.cross_entropy(&Tensor::from([-100, 3])), &class(3));
    panics(|| logits.nll_loss(&Tensor::from([0, 3])), &class(3).replace("cross_entropy", "nll_loss"));
    panics(
        || logits.nll_loss(&Tensor::from([0, 1, 2])),
        "nll_loss: the logits have shape [2, 3] and the targets [3]: the targets must have shape [2], without the axis \
         of classes",
    );
    panics(
        || logits.cross_entropy(&Tensor::from([[1.0, 0.0]])),
        "cross_entropy: the logits have shape [2, 3] and the targets, probabilities, [1, 2]: they must be equal",
    );
    panics(
        || NllLoss::new().weight([1.0, 2.0]).forward(&logits, &Tensor::from([0, 1])),
        "nll_loss: the logits have shape [2, 3] and `weight` [2]: it must be [3], one weight for each class",
    );
    panics(
        || CrossEntropyLoss::new().ignore_index(1).forward(&logits, logits.value()),
        "cross_entropy: `ignore_index` is 1, and the targets are probabilities: it is for targets that are indices",
    );
}

#[test]
fn options_of_losses() {
    panics(
        || CrossEntropyLoss::<f32>::new().label_smoothing(1.5),
        "cross_entropy: `label_smoothing` is 1.5: allowed is 0 to 1",
    );
    panics(|| HuberLoss::new().delta(0.0), "huber_loss: `delta` is 0: it must be positive");
    panics(|| SmoothL1Loss::new().beta(-1.0), "smooth_l1_loss: `beta` is -1: it must not be negative");
    let (x, column) = (leaf(&[4]), leaf(&[4, 1]));
    for loss in [BceWithLogitsLoss::new().weight(&column), BceWithLogitsLoss::new().pos_weight(&column)] {
        let argument = if loss.weight.is_some() { "weight" } else { "pos_weight" };
        panics(
            || loss.forward(&x, &x),
            &format!(
                "binary_cross_entropy_with_logits: the prediction has shape [4] and `{argument}` [4, 1]: it must \
                 broadcast to the prediction's"
            ),
        );
    }
    let shapes = |loss: &str| {
        format!("{loss}: the prediction has shape [4] and the target [4, 1]: they must be equal")
    };
    panics(|| x.l1_loss(&column), &shapes("l1_loss"));
    panics(|| x.huber_loss(&column), &shapes("huber_loss"));
    panics(|| x.smooth_l1_loss(&column), &shapes("smooth_l1_loss"));
    panics(|| x.binary_cross_entropy(&column), &shapes("binary_cross_entropy"));
    panics(|| x.kl_div(&column), &shapes("kl_div"));
}

#[test]
fn initialisation() {
    let message = "fans: the shape is [3]; a weight has at least two axes, [out, in, ...]";
    let rng = &mut seeded(0);
    panics(|| fans(&[3]), message);
    panics(|| xavier_uniform::<f32>([3], 1.0, rng), message);
    panics(|| xavier_normal::<f32>([3], 1.0, rng), message);
    panics(|| kaiming_uniform::<f32>([3], 1.0, rng), message);
    panics(|| kaiming_normal::<f32>([3], 1.0, rng), message);
}

#[test]
fn parameters() {
    let mut parameter = Parameter::new(Tensor::<f64>::ones([2, 3]));
    let message = "set: the new value has shape [3], the parameter [2, 3]: they must be equal";
    panics(|| parameter.set([1.0, 2.0, 3.0]), message);
    assert_eq!(parameter.shape(), [2, 3], "what was refused was not written");
    let message = "update: the new value has shape [3], the variable [2, 3]: they must be equal";
    panics(|| parameter.update(|value| *value = Tensor::ones([3])), message);
    let mut bound = Parameter::bind(leaf(&[]).exp());
    panics(
        || bound.set(1.0),
        "update: the variable is the result of `exp`; only a leaf or a constant can be changed (detach it first)",
    );
}

//! Layers, losses, initialisation and parameters.

use gradus::init::{fans, kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform};
use gradus::{Layer, Linear, Losses, Parameter, Relu, Sequential, Tensor, seeded};

use gradus::{BatchNorm2d, Dropout, Lstm, MultiheadAttention};

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
        "cross_entropy: the logits have shape [] and the targets []: logits need an axis of classes",
    );
    let class = |class: i64| {
        format!(
            "cross_entropy: target {class} is out of range for logits of shape [2, 3]: with 3 classes, allowed \
             are 0 to 2"
        )
    };
    panics(|| logits.cross_entropy(&Tensor::from([0, 3])), &class(3));
    panics(|| logits.cross_entropy(&Tensor::from([-1, 5])), &class(-1));
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

#[test]
fn modes() {
    let mode = |layer: &str| {
        format!(
            "{layer}: the layer is in training mode, in which `forward` would have to change it: call `forward_mut` to \
             train, or `eval` on the model first"
        )
    };
    panics(|| BatchNorm2d::<f64>::new(3).forward(&leaf(&[2, 3, 4, 4])), &mode("BatchNorm2d"));
    panics(|| Dropout::new(0.5, 0).forward(&leaf(&[2])), &mode("Dropout"));
    let model = Sequential::new().push(Dropout::new(0.5, 0));
    assert_eq!(panic_of(|| model.forward(&leaf(&[2]))).0, mode("Dropout"));
    panics(|| Dropout::new(1.5, 0), "Dropout: p is 1.5; it must be between 0 and 1");
    panics(
        || BatchNorm2d::<f64>::new(3).forward_mut(&leaf(&[2, 3])),
        "BatchNorm2d: the input has shape [2, 3]; it must be [batch, channels, height, width]",
    );
}

#[test]
fn sequences() {
    let rng = &mut seeded(0);
    panics(
        || MultiheadAttention::<f64>::new(6, 4, &mut seeded(0)),
        "MultiheadAttention: the width is 6 and num_heads 4: it must divide the width",
    );
    let layer = MultiheadAttention::<f64>::new(6, 2, rng);
    panics(
        || layer.forward(&leaf(&[2, 5]), None, false),
        "MultiheadAttention: an input has shape [2, 5]; it must be [..., length, 6]",
    );
    let layer = Lstm::<f64>::new(2, 3, 1, rng);
    panics(
        || layer.forward(&leaf(&[4, 5, 7]), None),
        "lstm: the input has shape [4, 5, 7], weight_hh [12, 3] and weight_ih [12, 2]: weight_ih must have shape [12, 7]",
    );
    panics(
        || layer.forward(&leaf(&[5, 2]), None),
        "lstm: the input has shape [5, 2]; it must have three axes, [steps, batch, features]",
    );
    let (h, c) = (leaf(&[2, 5, 3]), leaf(&[1, 5, 3]));
    panics(
        || layer.forward(&leaf(&[4, 5, 2]), Some([&c, &h])),
        "Lstm: the state has shape [2, 5, 3]; it must be [layers, batch, hidden] with 1 layers",
    );
}

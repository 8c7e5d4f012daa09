//! Layers, losses, initialisation and parameters.

use gradus::init::{
    fans, kaiming_normal, kaiming_uniform, normal, orthogonal, uniform, xavier_normal, xavier_uniform,
};
use gradus::{
    Adadelta, Adagrad, Adam, BatchNorm1d, BatchNorm2d, BceWithLogitsLoss, CrossEntropyLoss, Dropout,
    HuberLoss, Layer, LearningRate, Linear, Losses, Lstm, MultiheadAttention, NllLoss, Optimizer, Parameter,
    ReduceLrOnPlateau, Relu, RmsProp, Schedule, Sequential, Sgd, SmoothL1Loss, Tensor, clip_grad_norm,
    clip_grad_value, schedule, seeded,
};

use super::{leaf, panic_of, panics};

#[test]
fn linear() {
    let layer = Linear::<f64>::new(3, 5, &mut seeded(0));
    let message = |shape: &str| {
        format!(
            "linear: the input has shape {shape} and the weight [5, 3]: the last axis of the input must have size 3"
        )
    };
    panics(|| layer.forward(leaf(&[2, 4])), &message("[2, 4]"));
    panics(|| layer.forward(leaf(&[])), &message("[]"));
    panics(|| Layer::forward(&layer, &leaf(&[7])), &message("[7]"));
    let too_large = "uniform: shape [18446744073709551615, 3] is too large for this machine: its sizes (a 0 \
                     counts as 1) must not multiply to more than 1152921504606846975";
    panics(|| Linear::<f64>::new(3, usize::MAX, &mut seeded(0)), too_large);
    // Behind a pointer the caller's line is not known; the words are the same.
    let model = Sequential::new().push(Relu).push(layer.clone());
    assert_eq!(panic_of(|| model.forward(leaf(&[2, 4]))).0, message("[2, 4]"));
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
        || logits.cross_entropy(Tensor::from([0, 1, 2])),
        "cross_entropy: the logits have shape [2, 3] and the targets [3]: the targets must have shape [2], \
         without axis 1, which has the classes",
    );
    panics(
        || leaf(&[]).cross_entropy(Tensor::from(0)),
        "cross_entropy: the logits have shape []: they need an axis of classes",
    );
    let class = |class: i64| {
        format!(
            "cross_entropy: target {class} is out of range for logits of shape [2, 3]: with 3 classes, allowed \
             are 0 to 2, and `ignore_index`, -100"
        )
    };
    panics(|| logits.cross_entropy(Tensor::from([0, 3])), &class(3));
    panics(|| logits.cross_entropy(Tensor::from([-1, 5])), &class(-1));
    // Also where not all rows count.
    let other = class(3).replace("-100", "1");
    panics(|| CrossEntropyLoss::new().ignore_index(1).forward(&logits, Tensor::from([1, 3])), &other);
    panics(|| logits.cross_entropy(Tensor::from([-100, 3])), &class(3));
    panics(|| logits.nll_loss(Tensor::from([0, 3])), &class(3).replace("cross_entropy", "nll_loss"));
    panics(
        || logits.nll_loss(Tensor::from([0, 1, 2])),
        "nll_loss: the logits have shape [2, 3] and the targets [3]: the targets must have shape [2], without axis 1, \
         which has the classes",
    );
    panics(
        || logits.cross_entropy(Tensor::from([[1.0, 0.0]])),
        "cross_entropy: the logits have shape [2, 3] and the targets, probabilities, [1, 2]: they must be equal; \
         indices of classes are a `Tensor<i64>`",
    );
    panics(
        || NllLoss::new().weight([1.0, 2.0]).forward(&logits, Tensor::from([0, 1])),
        "nll_loss: the logits have shape [2, 3] and `weight` [2]: it must be [3], one weight for each class",
    );
    panics(
        || CrossEntropyLoss::new().ignore_index(1).forward(&logits, logits.value()),
        "cross_entropy: `ignore_index` is 1, and the targets are probabilities: it is for targets that are indices",
    );
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
fn optimizers() {
    let sgd = || Sgd::<f64>::new(0.1);
    let finite = "it must be 0 or larger, and finite";
    let part = "it must be from 0 to below 1";
    panics(|| Sgd::<f64>::new(-0.1), &format!("learning_rate: the rate is -0.1: {finite}"));
    panics(|| sgd().learning_rate(f64::NAN), &format!("learning_rate: the rate is NaN: {finite}"));
    panics(|| LearningRate::new(f64::INFINITY), &format!("learning_rate: the rate is inf: {finite}"));
    panics(|| sgd().set_lr(-1.0), &format!("set_lr: the learning rate is -1: {finite}"));
    panics(|| sgd().weight_decay(-1.0), &format!("weight_decay: the decay is -1: {finite}"));
    panics(|| sgd().momentum(1.0), &format!("momentum: the momentum is 1: {part}"));
    panics(|| sgd().momentum(0.9).dampening(-0.1), &format!("dampening: the dampening is -0.1: {part}"));
    let nesterov = "nesterov: the momentum is 0: set one above 0 with `momentum` before";
    panics(|| sgd().nesterov(), nesterov);
    panics(|| sgd().momentum(0.5).nesterov().momentum(0.0), nesterov);
    panics(|| Adam::<f64>::new(0.1).betas(0.9, 1.0), &format!("betas: the second is 1: {part}"));
    panics(|| Adam::<f64>::new(0.1).betas(-1.0, 0.9), &format!("betas: the first is -1: {part}"));
    panics(|| Adam::<f64>::new(0.1).eps(-1.0), &format!("eps: eps is -1: {finite}"));
    panics(|| RmsProp::<f64>::new(0.1).alpha(1.5), &format!("alpha: alpha is 1.5: {part}"));
    panics(|| RmsProp::<f64>::new(0.1).momentum(-0.5), &format!("momentum: the momentum is -0.5: {part}"));
    panics(|| Adagrad::<f64>::new(0.1).lr_decay(-0.5), &format!("lr_decay: the decay is -0.5: {finite}"));
    panics(
        || Adagrad::<f64>::new(0.1).initial_accumulator_value(-0.5),
        &format!("initial_accumulator_value: the value is -0.5: {finite}"),
    );
    panics(|| Adadelta::<f64>::new(1.0).rho(f64::NAN), &format!("rho: rho is NaN: {part}"));
}

#[test]
fn groups() {
    let mut layer = Linear::<f64>::new(2, 1, &mut seeded(0));
    let gradients = || layer.weight.sum(..).backward();
    let late = |option: &str| {
        format!("{option}: the option is set after a group was made or a step; options must come before")
    };
    let (line, mut sgd) = (line!(), Sgd::new(0.1).group(|name| name.ends_with("bais"), |sgd| sgd));
    let gradients = gradients();
    let unmatched = format!(
        "step: the group made at {}:{line}:51 holds for no parameter of the model: its predicate \
         matches no name that an earlier group has not already claimed; the names are [\"weight\", \"bias\"]",
        file!()
    );
    panics(|| sgd.step(&mut layer, &gradients), &unmatched);
    let mut shadowed = Sgd::new(0.1).group(|_| true, |sgd| sgd).group(|name| name == "bias", |sgd| sgd);
    assert!(panic_of(|| shadowed.step(&mut layer, &gradients)).0.contains("holds for no parameter"));
    let grouped = Sgd::<f64>::new(0.1).group(|_| true, |sgd| sgd);
    panics(|| grouped.clone().momentum(0.5), &late("momentum"));
    panics(|| grouped.clone().learning_rate(0.5), &late("learning_rate"));
    let mut used = Sgd::new(0.1);
    used.step(&mut layer, &gradients);
    panics(|| used.clone().weight_decay(0.5), &late("weight_decay"));
    panics(
        || used.clone().group(|_| true, |sgd| sgd),
        "group: the optimizer has made steps; groups must come before",
    );
    panics(
        || Sgd::<f64>::new(0.1).group(|_| true, |sgd| sgd.group(|_| true, |sgd| sgd)),
        "group: the options of a group have groups; give each group to the optimizer itself",
    );
}

#[test]
fn schedules() {
    let finite = "it must be 0 or larger, and finite";
    let steps = "it must be 1 or larger";
    panics(|| schedule::step(0, 0.5), &format!("step: step_size is 0: {steps}"));
    panics(|| schedule::multi_step([1], f64::NAN), &format!("multi_step: gamma is NaN: {finite}"));
    panics(|| schedule::exponential(-0.5), &format!("exponential: gamma is -0.5: {finite}"));
    panics(|| schedule::cosine(0, 0.0), &format!("cosine: the number of steps is 0: {steps}"));
    panics(|| schedule::cosine(1, -1.0), &format!("cosine: the lowest rate is -1: {finite}"));
    panics(|| schedule::linear(0.1, 1.0, 0), &format!("linear: the number of steps is 0: {steps}"));
    panics(|| schedule::linear(0.1, -1.0, 1), &format!("linear: the factor end is -1: {finite}"));
    let cycle = schedule::OneCycle::new(0.1, 5);
    let empty = schedule::OneCycle { total_steps: 0, ..cycle };
    panics(|| empty.lr(0, 0.1), &format!("OneCycle: total_steps is 0: {steps}"));
    let long_rise = schedule::OneCycle { pct_start: 1.5, ..cycle };
    panics(|| long_rise.lr(0, 0.1), "OneCycle: pct_start is 1.5: it must be from 0 to 1");
    let flat = schedule::OneCycle { div_factor: 0.0, ..cycle };
    panics(|| flat.lr(0, 0.1), "OneCycle: div_factor is 0: it must be above 0, and finite");
    panics(|| cycle.lr(5, 0.1), "OneCycle: the step is 5: the last one of the cycle is 4");
    let negative = |_: usize, _: f64| -1.0;
    let mut sgd = Sgd::<f64>::new(0.1);
    panics(
        || sgd.follow(&negative, 0),
        &format!("follow: the learning rate of the schedule is -1: {finite}"),
    );
    panics(|| ReduceLrOnPlateau::min().factor(1.0), "factor: the factor is 1: it must be from 0 to below 1");
}

#[test]
fn clipping() {
    let p = Parameter::new([1.0, 2.0]);
    let mut gradients = p.sum(..).backward();
    panics(
        || clip_grad_norm(&mut gradients, &p, -1.0),
        "clip_grad_norm: max_norm is -1: it must be 0 or larger",
    );
    panics(
        || clip_grad_value(&mut gradients, &p, f64::INFINITY),
        "clip_grad_value: max is inf: it must be 0 or larger, and finite",
    );
    panics(
        || gradients.update(&p, |gradient| *gradient = Tensor::from(1.0)),
        "update: the new value has shape [], the variable [2]: they must be equal",
    );
}

#[test]
fn modes() {
    panics(|| Dropout::new(1.5, 0), "Dropout: p is 1.5; it must be between 0 and 1");
    panics(
        || BatchNorm2d::<f64>::new(3).forward(leaf(&[2, 3])),
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
        || layer.forward(leaf(&[2, 5]), None, false),
        "MultiheadAttention: an input has shape [2, 5]; it must be [..., length, 6]",
    );
    let layer = Lstm::<f64>::new(2, 3, 1, rng);
    panics(
        || layer.forward(leaf(&[4, 5, 7]), None),
        "Lstm: the input has shape [4, 5, 7]; it must be [steps, batch, 2]",
    );
    panics(
        || layer.forward(leaf(&[5, 2]), None),
        "Lstm: the input has shape [5, 2]; it must be [steps, batch, 2]",
    );
    let (h, c) = (leaf(&[2, 5, 3]), leaf(&[1, 5, 3]));
    panics(
        || layer.clone().batch_first().forward(leaf(&[4, 5, 7]), None),
        "Lstm: the input has shape [4, 5, 7]; it must be [batch, steps, 2]",
    );
    panics(
        || layer.forward_padded(leaf(&[4, 5, 2]), &[4; 3], None),
        "Lstm: 3 lengths are given for a batch of 5 sequences; there must be one for each",
    );
    panics(
        || layer.forward_padded(leaf(&[4, 5, 2]), &[4, 3, 5, 6, 1], None),
        "Lstm: the length at place 2 is 5; it must be at most 4, the number of steps of the input",
    );
    panics(
        || layer.forward(leaf(&[4, 5, 2]), Some([&c, &h])),
        "Lstm: the state has shape [2, 5, 3]; it must be [1, 5, 3]: [layers, batch, hidden] with 1 layers",
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
    // Set as a field, they are refused as well.
    let x = leaf(&[4]);
    let huber = HuberLoss { delta: -1.0, ..HuberLoss::new() };
    panics(|| huber.forward(&x, &x), "huber_loss: `delta` is -1: it must be positive");
    let smooth = SmoothL1Loss { beta: f64::NAN, ..SmoothL1Loss::new() };
    panics(|| smooth.forward(&x, &x), "smooth_l1_loss: `beta` is NaN: it must not be negative");
    let smoothed = CrossEntropyLoss { label_smoothing: -0.1, ..CrossEntropyLoss::new() };
    panics(
        || smoothed.forward(&x, Tensor::from(1)),
        "cross_entropy: `label_smoothing` is -0.1: allowed is 0 to 1",
    );
    let mut dropout = Dropout::new(0.5, 0);
    dropout.p = 2.0;
    panics(|| dropout.forward(&x), "dropout: p is 2; it must be between 0 and 1");
    let mut norm = BatchNorm1d::<f64>::new(4);
    norm.momentum = -0.5;
    panics(|| norm.forward(leaf(&[2, 4])), "batch_norm: momentum is -0.5; it must be between 0 and 1");
    norm.momentum = 0.5;
    panics(
        || norm.forward(leaf(&[1, 4])),
        "batch_norm: the input has shape [1, 4]: training needs more than one element for each channel",
    );
    panics(
        || uniform::<f64>([2], 1.0, -1.0, &mut seeded(0)),
        "uniform: `low` is 1 and `high` -1: `low` must not be above `high`",
    );
    panics(|| normal::<f64>([2], 0.0, -1.0, &mut seeded(0)), "normal: `std` is -1: it must be 0 or larger");
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
fn kernels_of_layers() {
    let rng = &mut gradus::seeded(0);
    let message = |layer: &str, sizes: &str, axes: usize| {
        format!(
            "{layer}: the kernel is {sizes}: it must be one number for all axes, or one for each of {axes}, at least 1"
        )
    };
    panics(
        || gradus::Conv2d::<f64>::new(1, 1, [3, 3, 3], gradus::Conv::new(), rng),
        &message("Conv2d", "[3, 3, 3]", 2),
    );
    panics(|| gradus::Conv1d::<f64>::new(1, 1, 0, gradus::Conv::new(), rng), &message("Conv1d", "[0]", 1));
    assert_eq!(gradus::Conv2d::<f64>::new(1, 1, 3, gradus::Conv::new(), rng).weight.shape(), [1, 1, 3, 3]);
}

#[test]
fn losses_of_embeddings() {
    let (x, y) = (leaf(&[4, 3]), leaf(&[4, 2]));
    let shapes = |loss: &str, first: &str, second: &str| {
        format!(
            "{loss}: `{first}` has shape [4, 3] and `{second}` [4, 2]: they must be equal, [..., features]"
        )
    };
    panics(|| x.triplet_margin_loss(&y, &x), &shapes("triplet_margin_loss", "anchor", "positive"));
    panics(|| x.triplet_margin_loss(&x, &y), &shapes("triplet_margin_loss", "anchor", "negative"));
    let alike = Tensor::full([3], true);
    panics(|| x.cosine_embedding_loss(&y, &alike), &shapes("cosine_embedding_loss", "prediction", "other"));
    panics(
        || x.cosine_embedding_loss(&x, &alike),
        "cosine_embedding_loss: `alike` has shape [3], and the rows [4]: they must be equal",
    );
    panics(
        || orthogonal::<f64>([3], 1.0, &mut seeded(0)),
        "orthogonal: the shape is [3]; a weight has at least two axes, [out, in, ...]",
    );
}

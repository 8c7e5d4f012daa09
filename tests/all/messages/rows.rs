//! Operations on whole rows: losses, norms, attention and activations that do not fit.

use gradus::Tensor;

use super::{leaf, panics};

#[test]
fn whole_rows() {
    let x = leaf(&[2, 3]);
    let targets = Tensor::from([0_i64, 1]);
    let axis = "cross_entropy: axis 2 is out of range for shape [2, 3]: allowed are -2 to 1";
    panics(|| x.softmax_cross_entropy(2, &targets, None), axis);
    panics(|| x.value().cross_entropy(2, &targets, None), axis);
    panics(
        || x.softmax_cross_entropy(0, &targets, None),
        "cross_entropy: the logits have shape [2, 3] and the targets [2]: the targets must have shape [3], without \
         axis 0, which has the classes",
    );
    let class = "cross_entropy: target 3 is out of range for logits of shape [2, 3]: with 3 classes, allowed are 0 to 2";
    let targets = Tensor::from([0_i64, 3]);
    panics(|| x.softmax_cross_entropy(1, &targets, None), class);
    panics(|| x.value().softmax_minus_one_hot(1, &targets, None, 1.0), class);
    panics(
        || x.mean_squared_error(leaf(&[3])),
        "mse_loss: the prediction has shape [2, 3] and the target [3]: they must be equal",
    );
    let normalized = |shape: &[usize]| {
        format!(
            "layer_norm: shapes [2, 3] and {shape:?} do not fit: the second, the normalized shape, must be the last \
             axes of the first, at least one"
        )
    };
    panics(|| x.layer_norm([2], None, None, 1e-5), &normalized(&[2]));
    panics(|| x.layer_norm([], None, None, 1e-5), &normalized(&[]));
    panics(|| x.layer_norm([1, 2, 3], None, None, 1e-5), &normalized(&[1, 2, 3]));
    let weight = "layer_norm: shapes [2] and [3] do not fit: weight and bias must have the normalized shape";
    panics(|| x.layer_norm([3], Some(&leaf(&[2])), None, 1e-5), weight);
    panics(|| x.layer_norm([3], None, Some(&leaf(&[2])), 1e-5), weight);
}

#[test]
fn norms() {
    let x = leaf(&[2, 6, 4]);
    panics(
        || x.group_norm(4, None, None, 1e-5),
        "group_norm: the input has shape [2, 6, 4] and num_groups is 4: it must divide the number of channels, 6",
    );
    panics(
        || x.group_norm(3, Some(&leaf(&[4])), None, 1e-5),
        "group_norm: the input has shape [2, 6, 4] and the weight [4]: the weight must have shape [6], the input's \
         channels",
    );
    panics(
        || leaf(&[2, 6]).instance_norm(None, None, 1e-5),
        "instance_norm: the input has shape [2, 6]; it must have at least three axes, [batch, channels, ...]",
    );
    panics(
        || leaf(&[6]).batch_norm(None, None, None, true, 0.1, 1e-5),
        "batch_norm: the input has shape [6]; it must have at least two axes, [batch, channels, ...]",
    );
    panics(
        || x.batch_norm(None, None, None, false, 0.1, 1e-5),
        "batch_norm: there are no running statistics; without `training` they are needed",
    );
    panics(
        || x.batch_norm(None, None, None, true, 1.5, 1e-5),
        "batch_norm: momentum is 1.5; it must be between 0 and 1",
    );
    panics(
        || leaf(&[1, 6, 1]).batch_norm(None, None, None, true, 0.1, 1e-5),
        "batch_norm: the input has shape [1, 6, 1]: training needs more than one element for each channel",
    );
    panics(|| x.layer_norm([4], None, None, -1.0), "layer_norm: eps is -1; it must be 0 or larger");
    panics(
        || x.rms_norm([6], None, 1e-5),
        "rms_norm: shapes [2, 6, 4] and [6] do not fit: the second, the normalized shape, must be the last axes of the \
         first, at least one",
    );
}

#[test]
fn attention() {
    let (q, k, v) = (leaf(&[2, 3, 4]), leaf(&[2, 5, 4]), leaf(&[2, 5, 6]));
    let fit = |left: &str, right: &str, expected: &str| {
        format!("scaled_dot_product_attention: shapes {left} and {right} do not fit: {expected}")
    };
    panics(
        || q.scaled_dot_product_attention(&leaf(&[2, 5, 3]), &v, None, false, None),
        &fit("[2, 3, 4]", "[2, 5, 3]", "the last axes of queries and keys must be equal"),
    );
    panics(
        || q.scaled_dot_product_attention(&k, &leaf(&[2, 4, 6]), None, false, None),
        &fit("[2, 5, 4]", "[2, 4, 6]", "keys and values must have the same last axis but one"),
    );
    panics(
        || q.scaled_dot_product_attention(&k, &leaf(&[3, 5, 6]), None, false, None),
        &fit("[2, 3, 4]", "[3, 5, 6]", "the axes of queries and values before the last two must broadcast"),
    );
    let mask = leaf(&[4, 5]);
    panics(
        || q.scaled_dot_product_attention(&k, &v, Some((&mask).into()), false, None),
        &fit(
            "[4, 5]",
            "[2, 3, 5]",
            "the first, the mask, must broadcast to the second, the shape of the scores, [..., queries, keys]",
        ),
    );
}

#[test]
fn activations() {
    let x = leaf(&[2, 3, 4]);
    panics(
        || x.prelu(leaf(&[4])),
        "prelu: the input has shape [2, 3, 4] and the weight [4]: the weight must have shape [1] or [3], one slope for \
         all or for each channel",
    );
    panics(|| x.glu(1), "glu: axis 1 of shape [2, 3, 4] has size 3: it must be even, to be cut in halves");
    panics(|| x.glu(3), "glu: axis 3 is out of range for shape [2, 3, 4]: allowed are -3 to 2");
    let axis = "cosine_similarity: axis 2 is out of range for shape [2, 2]: allowed are -2 to 1";
    panics(|| leaf(&[2, 1]).cosine_similarity(leaf(&[2]), 2, 1e-8), axis);
}

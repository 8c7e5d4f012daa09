//! Operations on shapes, axes and indices that do not fit.

use gradus::{Parameter, Tensor, Var, cat, stack};

use crate::{leaf, panics};

fn broadcast(operation: &str) -> String {
    format!(
        "{operation}: shapes [2, 3] and [4] do not broadcast: counted from the end, sizes must be equal or \
         one of them 1"
    )
}

#[test]
fn operators() {
    let (x, y) = (leaf(&[2, 3]), leaf(&[4]));
    let t = Tensor::<f64>::ones([4]);
    panics(|| &x + &y, &broadcast("add"));
    panics(|| x.clone() + y.clone(), &broadcast("add"));
    panics(|| x.clone() - &y, &broadcast("sub"));
    panics(|| &x * y.clone(), &broadcast("mul"));
    panics(|| &x / &y, &broadcast("div"));
    panics(|| &x + &t, &broadcast("add"));
    panics(|| x.clone() - t.clone(), &broadcast("sub"));
    panics(|| Tensor::<f64>::ones([2, 3]) * &y, &broadcast("mul"));
    panics(|| &Tensor::<f64>::ones([2, 3]) / y.clone(), &broadcast("div"));
    let mut z = x.clone();
    panics(|| z += &y, &broadcast("add"));
    panics(|| z -= y.clone(), &broadcast("sub"));
    panics(|| z *= &t, &broadcast("mul"));
    panics(|| z /= t.clone(), &broadcast("div"));
    let (p, q) = (Parameter::new(Tensor::<f64>::ones([2, 3])), Parameter::new(Tensor::<f64>::ones([4])));
    panics(|| &x + &q, &broadcast("add"));
    panics(|| x.clone() - &q, &broadcast("sub"));
    panics(|| &p * &y, &broadcast("mul"));
    panics(|| &p / y.clone(), &broadcast("div"));
    panics(|| &p + &q, &broadcast("add"));
}

#[test]
fn functions_of_two() {
    let (x, y) = (leaf(&[2, 3]), leaf(&[4]));
    panics(|| x.pow(&y), &broadcast("pow"));
    panics(|| x.atan2(&y), &broadcast("atan2"));
    panics(|| x.hypot(&y), &broadcast("hypot"));
    panics(|| x.maximum(&y), &broadcast("maximum"));
    panics(|| x.minimum(y.value()), &broadcast("minimum"));
    panics(|| Var::where_(&Tensor::from(true), &x, &y), &broadcast("where"));
    panics(|| Var::where_(&Tensor::full([2, 3], true), 0.0, &y), &broadcast("where"));
}

#[test]
fn axes() {
    let x = leaf(&[2, 3]);
    let axis = |operation: &str, axis: isize| {
        format!("{operation}: axis {axis} is out of range for shape [2, 3]: allowed are -2 to 1")
    };
    let index = Tensor::from([0]);
    panics(|| x.sum(2), &axis("sum", 2));
    panics(|| x.mean(-3), &axis("mean", -3));
    panics(|| x.var([0, 2], 1), &axis("var", 2));
    panics(|| x.max(2), &axis("max", 2));
    panics(|| x.min(2), &axis("min", 2));
    panics(|| x.logsumexp(2), &axis("logsumexp", 2));
    panics(|| x.argmax(2), &axis("argmax", 2));
    panics(|| x.softmax(2), &axis("softmax", 2));
    panics(|| x.log_softmax(-3), &axis("log_softmax", -3));
    panics(|| x.permute([0, 2]), &axis("permute", 2));
    panics(|| x.transpose(0, 2), &axis("transpose", 2));
    panics(|| x.transpose(-3, 0), &axis("transpose", -3));
    panics(|| x.squeeze(2), &axis("squeeze", 2));
    panics(|| x.flip(2), &axis("flip", 2));
    panics(|| x.slice(2, ..), &axis("slice", 2));
    panics(|| x.select(-3, 0), &axis("select", -3));
    panics(|| x.split(&[1, 1], 2), &axis("split", 2));
    panics(|| x.gather(2, &index), &axis("gather", 2));
    panics(|| x.scatter_add(2, &index, &x), &axis("scatter_add", 2));
    panics(|| x.index_select(2, &index), &axis("index_select", 2));
    panics(|| x.index_add(2, &index, &x), &axis("index_add", 2));
    panics(|| cat(&[&x, &x], 2), &axis("cat", 2));
    panics(|| cat(&[&x, &x], -3), &axis("cat", -3));
    panics(|| leaf(&[]).sum(0), "sum: axis 0 is out of range for shape []: a 0-d tensor has no axes");
    panics(|| x.sum([0, -2]), "sum: axes [0, -2] of shape [2, 3] name an axis twice");
    panics(|| x.flip([1, 1]), "flip: axes [1, 1] of shape [2, 3] name an axis twice");
    panics(|| x.permute([1, 1]), "permute: axes [1, 1] of shape [2, 3] name an axis twice");
    panics(|| x.permute([1]), "permute: axes is [1] for shape [2, 3]: it must name every axis once");
    panics(|| x.unsqueeze(3), "unsqueeze: axis is 3 for shape [2, 3]: allowed are -3 to 2");
    panics(|| stack(&[&x, &x], 3), "stack: axis is 3 for shape [2, 3]: allowed are -3 to 2");
    panics(|| stack(&[&x], -4), "stack: axis is -4 for shape [2, 3]: allowed are -3 to 2");
    let nothing = |operation: &str| {
        format!("{operation}: axis is 0 for shape [0, 3]: it has size 0 and nothing to choose from")
    };
    panics(|| leaf(&[0, 3]).max(..), &nothing("max"));
    panics(|| leaf(&[0, 3]).min(0), &nothing("min"));
    panics(|| leaf(&[0, 3]).argmax(0), &nothing("argmax"));
}

#[test]
fn shapes() {
    let x = leaf(&[2, 3]);
    let reshape = |to: &str| {
        format!(
            "reshape: shape [2, 3] has 6 elements and does not fit {to}: the sizes must multiply to 6; one may \
             be -1, to be inferred, if no other is 0"
        )
    };
    panics(|| x.reshape([7]), &reshape("[7]"));
    panics(|| x.reshape([4, -1]), &reshape("[4, -1]"));
    panics(
        || x.expand([2, 4]),
        "expand: shapes [2, 3] and [2, 4] do not fit: counted from the end, sizes must be equal or the first one 1",
    );
    let sum_to_size = |shape: &str| {
        format!(
            "sum_to_size: shape {shape} does not broadcast to [2, 3]: counted from the end, its sizes must be \
             equal or 1"
        )
    };
    panics(|| x.sum_to_size([2]), &sum_to_size("[2]"));
    panics(|| x.sum_to_size([1, 2, 3]), &sum_to_size("[1, 2, 3]"));
    panics(|| leaf(&[]).sum_to_size([2, 3]), &sum_to_size("[2, 3]").replace("to [2, 3]", "to []"));
    panics(|| x.item(), "item: the number of elements is 6 for shape [2, 3]: it must be 1");
}

#[test]
fn products_and_joins() {
    let matmul = |left: &[usize], right: &[usize], expected: &str| {
        let message = format!("matmul: shapes {left:?} and {right:?} do not fit: {expected}");
        let (left, right) = (leaf(left), leaf(right));
        panics(|| left.matmul(&right), &message);
    };
    matmul(&[], &[2], "both operands need at least one axis");
    let inner = "the last axis of the left must equal the last but one of the right (or its only one)";
    matmul(&[2, 3], &[2, 3], inner);
    matmul(&[3], &[2], inner);
    matmul(&[4, 2, 3], &[2], inner);
    matmul(&[5, 4, 2, 3], &[2, 3], inner);
    matmul(&[4, 2, 3], &[5, 3, 2], "the axes before the last two must broadcast");
    let linear = |x: &[usize], weight: &[usize], expected: &str| {
        let message = format!("linear: shapes {x:?} and {weight:?} do not fit: {expected}");
        let (x, weight) = (leaf(x), leaf(weight));
        panics(|| x.linear(&weight, None), &message);
        panics(|| x.value().linear(weight.value(), None), &message);
    };
    linear(&[2, 3], &[3], "the second, the weight, must have two axes, [out, in]");
    linear(&[2, 3], &[3, 2], "the last axes of input and weight must be equal");
    linear(&[], &[3, 2], "the last axes of input and weight must be equal");
    panics(
        || leaf(&[2, 3]).linear(&leaf(&[4, 3]), Some(&leaf(&[3]))),
        "linear: shapes [4, 3] and [3] do not fit: the second, the bias, must have the size of the weight's first axis",
    );
    let (x, y) = (leaf(&[2, 3]), leaf(&[3, 2]));
    panics(
        || cat(&[&x, &y], 0),
        "cat: shapes [2, 3] and [3, 2] do not fit: all sizes but that of the joined axis must be equal",
    );
    panics(|| stack(&[&x, &y], 0), "stack: shapes [2, 3] and [3, 2] do not fit: all shapes must be equal");
    panics(|| cat::<f64>(&[], 0), "cat: the list of tensors is empty; it needs at least one");
    panics(|| stack::<f64>(&[], 0), "stack: the list of tensors is empty; it needs at least one");
    let split = "split: sizes is [1, 1] for shape [2, 3]: they must add up to 3, the size of axis 1";
    panics(|| x.split(&[1, 1], 1), split);
    panics(|| x.split(&[1, 1], -1), split);
}

#[test]
fn indices() {
    let x = leaf(&[2, 3]);
    let out = |operation: &str, index: i64| {
        format!("{operation}: index {index} is out of bounds for axis 1 of shape [2, 3]: allowed are 0 to 2")
    };
    let place = |index: i64| Tensor::from([[index]]);
    let list = |index: i64| Tensor::from([index]);
    panics(|| x.gather(1, &place(3)), &out("gather", 3));
    panics(|| x.gather(-1, &place(-1)), &out("gather", -1));
    panics(|| x.scatter_add(1, &place(3), &leaf(&[1, 1])), &out("scatter_add", 3));
    panics(|| x.index_select(1, &list(3)), &out("index_select", 3));
    panics(|| x.index_add(-1, &list(-1), &leaf(&[2, 1])), &out("index_add", -1));
    panics(|| x.select(1, 3), "select: index is 3 for shape [2, 3]: along axis 1, allowed are -3 to 2");
    panics(|| x.select(0, -3), "select: index is -3 for shape [2, 3]: along axis 0, allowed are -2 to 1");
    let shape = |operation: &str| {
        format!(
            "{operation}: shapes [2, 3] and [1] do not fit: the index must have as many axes and be nowhere \
             larger, except along the axis"
        )
    };
    panics(|| x.gather(1, &list(0)), &shape("gather"));
    panics(|| x.scatter_add(1, &list(0), &x), &shape("scatter_add"));
    let source = |operation: &str, index: &str| {
        format!(
            "{operation}: shapes {index} and [2, 2] do not fit: there must be one source element for each place \
             the index names"
        )
    };
    panics(|| x.scatter_add(1, &place(0), &leaf(&[2, 2])), &source("scatter_add", "[1, 1]"));
    panics(|| x.index_add(1, &list(0), &leaf(&[2, 2])), &source("index_add", "[2, 1]"));
    let rank = "index_select: the number of axes of the index is 2 for shape [1, 1]: it must be 1";
    panics(|| x.index_select(1, &place(0)), rank);
}

#[test]
fn whole_rows() {
    let x = leaf(&[2, 3]);
    let targets = Tensor::from([0_i64, 1]);
    let axis = "cross_entropy: axis 2 is out of range for shape [2, 3]: allowed are -2 to 1";
    panics(|| x.softmax_cross_entropy(2, &targets), axis);
    panics(|| x.value().cross_entropy(2, &targets), axis);
    panics(
        || x.softmax_cross_entropy(0, &targets),
        "cross_entropy: the logits have shape [2, 3] and the targets [2]: the targets must have shape [3], without \
         the axis of classes",
    );
    let class = "cross_entropy: target 3 is out of range for logits of shape [2, 3]: with 3 classes, allowed are 0 to 2";
    let targets = Tensor::from([0_i64, 3]);
    panics(|| x.softmax_cross_entropy(1, &targets), class);
    panics(|| x.value().softmax_minus_one_hot(1, &targets, 1.0), class);
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

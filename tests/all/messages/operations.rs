//! Operations on shapes, axes and indices that do not fit.

use gradus::{PadMode, Parameter, Tensor, Var, cat, stack};

use super::{leaf, panics};

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
    panics(|| Var::where_(Tensor::from(true), &x, &y), &broadcast("where"));
    panics(|| Var::where_(Tensor::full([2, 3], true), 0.0, &y), &broadcast("where"));
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
    panics(|| x.split([1, 1], 2), &axis("split", 2));
    panics(|| x.gather(2, &index), &axis("gather", 2));
    panics(|| x.scatter_add(2, &index, &x), &axis("scatter_add", 2));
    panics(|| x.index_select(2, &index), &axis("index_select", 2));
    panics(|| x.index_add(2, &index, &x), &axis("index_add", 2));
    panics(|| cat(&[&x, &x], 2), &axis("cat", 2));
    panics(|| cat(&[&x, &x], -3), &axis("cat", -3));
    panics(|| x.argmin(2), &axis("argmin", 2));
    panics(|| x.prod(2), &axis("prod", 2));
    panics(|| x.std(2, 1), &axis("std", 2));
    panics(|| x.norm(f64::INFINITY, 2), &axis("norm", 2));
    panics(|| x.cumsum(2), &axis("cumsum", 2));
    panics(|| x.cumprod(-3), &axis("cumprod", -3));
    panics(|| x.linear_recurrence(2, &x), &axis("linear_recurrence", 2));
    panics(|| x.sort(2, false), &axis("sort", 2));
    panics(|| x.argsort(2, false), &axis("argsort", 2));
    panics(|| x.median(2), &axis("median", 2));
    panics(|| x.quantile(0.5, -3), &axis("quantile", -3));
    panics(|| x.topk(1, 2, true), &axis("topk", 2));
    panics(|| x.scatter(2, &index, &x), &axis("scatter", 2));
    panics(|| x.chunk(2, 2), &axis("chunk", 2));
    panics(|| x.diagonal(0, 0, 2), &axis("diagonal", 2));
    panics(|| x.repeat_interleave(2, 2), &axis("repeat_interleave", 2));
    panics(|| x.roll(1, 2), &axis("roll", 2));
    // Of a number, 0 and -1 name the only lane there is, but not a part of it.
    panics(|| leaf(&[]).sum(1), "sum: axis 1 is out of range for shape []: a 0-d tensor has no axes");
    panics(|| leaf(&[]).cumsum(1), "cumsum: axis 1 is out of range for shape []: a 0-d tensor has no axes");
    panics(
        || leaf(&[]).select(0, 0),
        "select: axis 0 is out of range for shape []: a 0-d tensor has no axes",
    );
    panics(|| leaf(&[]).slice(0, ..), "slice: axis 0 is out of range for shape []: a 0-d tensor has no axes");
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
    panics(|| leaf(&[0, 3]).argmin(..), &nothing("argmin"));
    panics(|| leaf(&[0, 3]).median(..), &nothing("median"));
    panics(|| leaf(&[0, 3]).quantile(0.5, 0), &nothing("quantile"));
    panics(|| x.quantile(-0.5, 0), "quantile: q is -0.5 for shape [2, 3]: it must be between 0 and 1");
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
        || x.flatten(2..),
        "flatten: the range of axes is 2.. for shape [2, 3]: it must name at least one axis, and only axes of 0..2",
    );
    panics(
        || x.unflatten(1, [2, -1]),
        "unflatten: sizes is [2, -1] for shape [2, 3]: they must multiply to 3, the size of axis 1; one may be -1, \
         to be inferred, if no other is 0",
    );
    panics(
        || x.rearrange("a -> a", &[]),
        "rearrange: pattern \"a -> a\" for shape [2, 3]: the operand must have 1 axes, as many as are left of `->`",
    );
    panics(|| x.split(0, 0), "split: size is 0 for shape [2, 3]: it must be at least 1");
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
fn arrangements() {
    let x = leaf(&[2, 3]);
    let pads = |pads: &str, expected: &str| format!("pad: pads is {pads} for shape [2, 3]: {expected}");
    panics(
        || x.pad([[1, 1]], PadMode::Reflect),
        &pads("[[1, 1]]", "there must be 2 of them, one for each axis"),
    );
    panics(
        || x.pad([[0, 0], [0, 3]], PadMode::Reflect),
        &pads("[[0, 0], [0, 3]]", "along axis 1, reflections may reach 2, its size less 1"),
    );
    panics(
        || x.pad([[-2, -1], [0, 0]], PadMode::Constant(0.0)),
        &pads("[[-2, -1], [0, 0]]", "axis 0 has only 2 to take away"),
    );
    panics(
        || leaf(&[0]).pad([[1, 0]], PadMode::Replicate),
        "pad: pads is [[1, 0]] for shape [0]: axis 0 has size 0 and nothing to replicate",
    );
    panics(|| x.chunk(0, 1), "chunk: chunks is 0 for shape [2, 3]: it must be at least 1");
    panics(|| x.diagonal(0, 1, -1), "diagonal: axes [1, -1] of shape [2, 3] name an axis twice");
    panics(|| x.value().diagonal(0, 1, -1), "diagonal: axes [1, -1] of shape [2, 3] name an axis twice");
    let rank = |operation: &str, shape: &str, rank: usize, expected: &str| {
        format!("{operation}: the number of axes is {rank} for shape {shape}: it must be {expected}")
    };
    panics(|| leaf(&[]).diag(0), &rank("diag", "[]", 0, "1 or 2"));
    panics(|| leaf(&[2]).trace(), &rank("trace", "[2]", 1, "2"));
    panics(|| leaf(&[2]).tril(0), &rank("tril", "[2]", 1, "at least 2"));
    panics(|| leaf(&[2]).triu(0), &rank("triu", "[2]", 1, "at least 2"));
    panics(
        || x.roll([1, 2], 0),
        "roll: shifts is [1, 2] for shape [2, 3]: there must be 1 of them, one for each axis, or one for `..`",
    );
    panics(
        || x.repeat_interleave(2, [0, 1]),
        "repeat_interleave: the axes are [0, 1]: allowed are one axis, or `..`",
    );
    panics(|| x.outer(&x), "outer: shapes [2, 3] and [2, 3] do not fit: both must have one axis");
    panics(
        || leaf(&[2]).dot(&leaf(&[3])),
        "dot: shapes [2] and [3] do not fit: both must have one axis, of the same size",
    );
    panics(
        || leaf(&[3]).linear_recurrence(0, &x),
        "linear_recurrence: shapes [3] and [2, 3] do not fit: the second, of the factors, must expand to the first",
    );
    let k = |k: usize| format!("topk: k is {k} for shape [2, 3]: along axis 1, allowed are 0 to 3");
    panics(|| x.topk(4, -1, true), &k(4));
    let single = "topk: k is 0 for shape []: a tensor without axes has one element: allowed is 1";
    panics(|| leaf(&[]).topk(0, 0, true), single);
    panics(|| leaf(&[]).value().topk(0, -1, true), single);
}

#[test]
fn indices() {
    let x = leaf(&[2, 3]);
    let out = |operation: &str, index: i64| {
        format!("{operation}: index {index} is out of bounds for axis 1 of shape [2, 3]: allowed are 0 to 2")
    };
    let place = |index: i64| Tensor::from([[index]]);
    let list = |index: i64| Tensor::from([index]);
    panics(|| x.gather(1, place(3)), &out("gather", 3));
    panics(|| x.gather(-1, place(-1)), &out("gather", -1));
    panics(|| x.scatter_add(1, place(3), &leaf(&[1, 1])), &out("scatter_add", 3));
    panics(|| x.index_select(1, list(3)), &out("index_select", 3));
    panics(|| x.index_add(-1, list(-1), &leaf(&[2, 1])), &out("index_add", -1));
    panics(|| x.index((.., 3)), "index: subscript is 3 for shape [2, 3]: along axis 1, allowed are -3 to 2");
    panics(
        || x.index_put((.., 1..), leaf(&[3])),
        "index_put: shapes [2, 2] and [3] do not fit: the value must broadcast to the part: counted from the end, \
         sizes must be equal or the second one 1",
    );
    panics(|| leaf(&[]).rows(), "rows: axis 0 is out of range for shape []: a 0-d tensor has no axes");
    panics(|| x.unbind(2), "unbind: axis 2 is out of range for shape [2, 3]: allowed are -2 to 1");
    panics(|| x.select(1, 3), "select: index is 3 for shape [2, 3]: along axis 1, allowed are -3 to 2");
    panics(|| x.select(0, -3), "select: index is -3 for shape [2, 3]: along axis 0, allowed are -2 to 1");
    let shape = |operation: &str| {
        format!(
            "{operation}: shapes [2, 3] and [1] do not fit: the index must have as many axes and be nowhere \
             larger, except along the axis"
        )
    };
    panics(|| x.gather(1, list(0)), &shape("gather"));
    panics(|| x.scatter_add(1, list(0), &x), &shape("scatter_add"));
    let source = |operation: &str, index: &str| {
        format!(
            "{operation}: shapes {index} and [2, 2] do not fit: there must be one source element for each place \
             the index names"
        )
    };
    panics(|| x.scatter_add(1, place(0), &leaf(&[2, 2])), &source("scatter_add", "[1, 1]"));
    panics(|| x.index_add(1, list(0), &leaf(&[2, 2])), &source("index_add", "[2, 1]"));
    panics(|| x.scatter(1, place(3), &leaf(&[1, 1])), &out("scatter", 3));
    panics(|| x.scatter(1, list(0), &x), &shape("scatter"));
    panics(|| x.scatter(1, place(0), &leaf(&[2, 2])), &source("scatter", "[1, 1]"));
    panics(
        || leaf(&[2]).masked_fill(Tensor::full([2, 3], true), 0.0),
        "masked_fill: shapes [2] and [2, 3] do not broadcast: counted from the end, sizes must be equal or one of \
         them 1",
    );
    panics(
        || leaf(&[2]).masked_select(Tensor::full([2, 3], true)),
        "masked_select: shapes [2] and [2, 3] do not broadcast: counted from the end, sizes must be equal or one \
         of them 1",
    );
    panics(
        || leaf(&[2]).gt(0.0) & leaf(&[3]).gt(0.0),
        "logical_and: shapes [2] and [3] do not broadcast: counted from the end, sizes must be equal or one of \
         them 1",
    );
    let table = |index: i64, place: &str| {
        format!(
            "embedding: index {index} at {place} is out of bounds for a table of shape [2, 3]: allowed are 0 to 1"
        )
    };
    panics(|| x.embedding(Tensor::from([[0, 1], [2, 5]]), None), &table(2, "[1, 0]"));
    panics(|| x.embedding(Tensor::from(-1), None), &table(-1, "[]"));
    panics(
        || x.embedding(list(0), Some(2)),
        "embedding: padding_idx is 2 for a table of shape [2, 3]: allowed are -2 to 1",
    );
    panics(
        || Tensor::from([0, 4]).one_hot(4),
        "one_hot: index 4 is out of bounds for axis 1 of shape [2, 4]: allowed are 0 to 3",
    );
    panics(
        || leaf(&[]).index_select(0, Tensor::from([0, 0])),
        "index_select: the number of indices is 2 for shape [2]: for a 0-d tensor it must be 1",
    );
    let rank = "index_select: the number of axes of the index is 2 for shape [1, 1]: it must be 1";
    panics(|| x.index_select(1, place(0)), rank);
}

//! The exact words of every panic, and that each names the line of the caller.

use crate::caught::panics;
use gradus_tensor::{
    Axes, Ellipsis, NewAxis, OrPanic, Slice, Tensor, TensorError, broadcast_shapes, seeded, step,
};

fn tensor(shape: &[usize]) -> Tensor<f64> {
    Tensor::zeros(shape)
}

fn list(index: &[i64]) -> Tensor<i64> {
    index.into()
}

#[test]
fn strides() {
    let x = Tensor::arange(0, 6, 1);
    let error = |strides: &[isize], offset| x.as_strided([2, 3], strides, offset).unwrap_err().to_string();
    assert_eq!(
        error(&[3], 0),
        "as_strided: the number of strides is 1 for shape [2, 3]: there must be one for each axis"
    );
    assert_eq!(
        error(&[3, -1], 1),
        "as_strided: strides is [3, -1] from offset 1 for shape [2, 3]: its elements would lie at -1 to 4, the buffer \
         has 6"
    );
}

#[test]
fn creation() {
    let max = usize::MAX;
    let error = |data: Vec<f32>, shape: &[usize]| Tensor::from_vec(data, shape).unwrap_err().to_string();
    assert_eq!(error(vec![1.0; 3], &[2, 2]), "from_vec: shape [2, 2] needs 4 elements, the data has 3");
    assert_eq!(error(vec![], &[]), "from_vec: shape [] needs 1 elements, the data has 0");
    let too_large = |operation: &str, shape: &str| {
        format!(
            "{operation}: shape {shape} is too large for this machine: its sizes (a 0 counts as 1) must not \
             multiply to more than 1152921504606846975"
        )
    };
    let huge = [max, 2];
    let text = "[18446744073709551615, 2]";
    assert_eq!(error(vec![], &huge), too_large("from_vec", text));
    assert_eq!(error(vec![], &[max, 0, 2]), too_large("from_vec", "[18446744073709551615, 0, 2]"));
    panics(|| Tensor::full(huge, true), &too_large("full", text));
    panics(|| Tensor::<f32>::zeros(huge), &too_large("zeros", text));
    panics(|| Tensor::<i64>::ones(huge), &too_large("ones", text));
    panics(|| Tensor::<f32>::rand(huge, &mut seeded(0)), &too_large("rand", text));
    panics(|| Tensor::<f32>::randn(huge, &mut seeded(0)), &too_large("randn", text));
    panics(|| tensor(&[]).expand(huge), &too_large("expand", text));
    panics(|| Tensor::<f64>::eye(1 << 40), &too_large("eye", "[1099511627776, 1099511627776]"));
    panics(|| Tensor::linspace(0.0, 1.0, max), &too_large("linspace", "[18446744073709551615]"));
    let steps = |steps: &str| {
        format!("arange: the number of steps is {steps}: it must be finite and at most 1152921504606846975")
    };
    panics(|| Tensor::arange(1, 10, 0), &steps("(10 - 1) / 0"));
    panics(|| Tensor::arange(0.0, f64::INFINITY, 1.0), &steps("(inf - 0) / 1"));
    panics(|| Tensor::arange(f64::NAN, 1.0, 1.0), &steps("(1 - NaN) / 1"));
    panics(|| Tensor::arange(0.0, 1.0, f32::NAN), &steps("(1 - 0) / NaN"));
    panics(|| Tensor::arange(0.0, 1e19, 1.0), &steps("(10000000000000000000 - 0) / 1"));
}

/// Tensors that are large only in name, by repeating one element, whose combination is too large.
#[test]
fn large_in_name_only() {
    let many = Tensor::from(1.0).expand([1 << 59]);
    let rows = many.reshape([-1, 1]);
    let too_large = |operation: &str, shape: &str| {
        format!(
            "{operation}: shape {shape} is too large for this machine: its sizes (a 0 counts as 1) must not \
             multiply to more than 1152921504606846975"
        )
    };
    let square = "[576460752303423488, 576460752303423488]";
    panics(|| &many + &rows, &too_large("add", square));
    panics(|| many.gt(&rows), &too_large("gt", square));
    panics(|| Tensor::from(true).where_(&many, &rows), &too_large("where", square));
    panics(|| rows.matmul(&many.reshape([1, -1])), &too_large("matmul", square));
    panics(|| Tensor::cat(&[&many; 40], 0), &too_large("cat", "[18446744073709551615]"));
    panics(|| Tensor::stack(&[&many; 4], 0), &too_large("stack", "[4, 576460752303423488]"));
    let index = list(&[0]).expand([1 << 59]);
    panics(|| tensor(&[1, 9]).index_select(0, &index), &too_large("index_select", "[576460752303423488, 9]"));
}

#[test]
fn axes() {
    let x = tensor(&[2, 3]);
    let axis = |operation: &str, axis: isize| {
        format!("{operation}: axis {axis} is out of range for shape [2, 3]: allowed are -2 to 1")
    };
    panics(|| x.slice(2, ..), &axis("slice", 2));
    panics(|| x.select(-3, 0), &axis("select", -3));
    panics(|| x.permute([0, 5]), &axis("permute", 5));
    panics(|| x.transpose(0, 2), &axis("transpose", 2));
    panics(|| x.transpose(-3, 0), &axis("transpose", -3));
    panics(|| x.squeeze(2), &axis("squeeze", 2));
    panics(|| x.flip([0, 2]), &axis("flip", 2));
    panics(|| x.sum(2), &axis("sum", 2));
    panics(|| x.prod(2), &axis("prod", 2));
    panics(|| x.mean(2), &axis("mean", 2));
    panics(|| x.max(2), &axis("max", 2));
    panics(|| x.min(2), &axis("min", 2));
    panics(|| x.argmax(2), &axis("argmax", 2));
    panics(|| x.argmin(2), &axis("argmin", 2));
    panics(|| x.logsumexp(2), &axis("logsumexp", 2));
    panics(|| x.gt(0.0).all(2), &axis("all", 2));
    panics(|| x.gt(0.0).any(2), &axis("any", 2));
    panics(|| x.reduce("range", 2, |lane| lane[0]), &axis("range", 2));
    panics(|| x.sum(usize::MAX), &axis("sum", isize::MAX));
    panics(|| Tensor::cat(&[&x, &x], 2), &axis("cat", 2));
    panics(|| x.split([1, 1], 2), &axis("split", 2));
    panics(|| x.gather(2, &list(&[])), &axis("gather", 2));
    panics(|| x.scatter_add(2, &list(&[]), &x), &axis("scatter_add", 2));
    panics(|| x.index_select(2, &list(&[])), &axis("index_select", 2));
    panics(|| x.index_add(2, &list(&[]), &x), &axis("index_add", 2));
    panics(|| Axes::from(2).resolve("resolve", x.shape()), &axis("resolve", 2));
    panics(|| tensor(&[]).sum(1), "sum: axis 1 is out of range for shape []: a 0-d tensor has no axes");
    panics(|| x.sum([0, -2]), "sum: axes [0, -2] of shape [2, 3] name an axis twice");
    panics(|| x.permute([1, 1]), "permute: axes [1, 1] of shape [2, 3] name an axis twice");
    panics(|| x.permute([1]), "permute: axes is [1] for shape [2, 3]: it must name every axis once");
    panics(|| tensor(&[3]).t(), "t: the number of axes is 1 for shape [3]: it must be at least 2");
    panics(|| x.unsqueeze(3), "unsqueeze: axis is 3 for shape [2, 3]: allowed are -3 to 2");
    panics(|| x.unsqueeze(-4), "unsqueeze: axis is -4 for shape [2, 3]: allowed are -3 to 2");
    panics(|| Tensor::stack(&[&x], 3), "stack: axis is 3 for shape [2, 3]: allowed are -3 to 2");
}

#[test]
fn shapes() {
    let (x, y) = (tensor(&[2, 3]), tensor(&[4]));
    let broadcast = |operation: &str| {
        format!(
            "{operation}: shapes [2, 3] and [4] do not broadcast: counted from the end, sizes must be equal or \
             one of them 1"
        )
    };
    assert_eq!(broadcast_shapes("f", &[2, 3], &[4]).unwrap_err().to_string(), broadcast("f"));
    panics(|| broadcast_shapes("f", &[2, 3], &[4]).or_panic(), &broadcast("f"));
    panics(|| &x + &y, &broadcast("add"));
    panics(|| x.clone() - y.clone(), &broadcast("sub"));
    panics(|| &x * y.clone(), &broadcast("mul"));
    panics(|| x.clone() / &y, &broadcast("div"));
    panics(|| x.pow(&y), &broadcast("pow"));
    panics(|| x.atan2(&y), &broadcast("atan2"));
    panics(|| x.hypot(&y), &broadcast("hypot"));
    panics(|| x.maximum(&y), &broadcast("maximum"));
    panics(|| x.minimum(&y), &broadcast("minimum"));
    panics(|| x.eq(&y), &broadcast("eq"));
    panics(|| x.ne(&y), &broadcast("ne"));
    panics(|| x.lt(&y), &broadcast("lt"));
    panics(|| x.le(&y), &broadcast("le"));
    panics(|| x.gt(&y), &broadcast("gt"));
    panics(|| x.ge(&y), &broadcast("ge"));
    panics(|| x.isnan().logical_and(y.isnan()), &broadcast("logical_and"));
    panics(|| x.isnan().logical_or(y.isnan()), &broadcast("logical_or"));
    panics(|| x.isnan() ^ y.isnan(), &broadcast("logical_xor"));
    panics(|| x.masked_select(&y.isnan()), &broadcast("masked_select"));
    panics(|| x.isnan().where_(&y, 0.0), &broadcast("where"));
    panics(|| Tensor::from(true).where_(&x, &y), &broadcast("where"));
    panics(|| x.allclose(&y, 0.0, 0.0), &broadcast("allclose"));
    panics(|| x.zip("f", &y, |x, y| x + y), &broadcast("f"));
    panics(
        || x.expand([2, 4]),
        "expand: shapes [2, 3] and [2, 4] do not fit: counted from the end, sizes must be equal or the first one 1",
    );
    let reshape = |from: &str, to: &str| {
        format!(
            "reshape: {from} elements and does not fit {to}: the sizes must multiply to {}; one may be -1, to \
             be inferred, if no other is 0",
            from.rsplit(' ').next().unwrap()
        )
    };
    panics(|| x.reshape([4, -1]), &reshape("shape [2, 3] has 6", "[4, -1]"));
    panics(|| x.reshape([-1, -1]), &reshape("shape [2, 3] has 6", "[-1, -1]"));
    panics(|| x.reshape([-2, -3]), &reshape("shape [2, 3] has 6", "[-2, -3]"));
    panics(|| x.reshape([7]), &reshape("shape [2, 3] has 6", "[7]"));
    panics(|| tensor(&[0]).reshape([0, -1]), &reshape("shape [0] has 0", "[0, -1]"));
    panics(|| x.reshape((4_usize, -1)), &reshape("shape [2, 3] has 6", "[4, -1]"));
    let range = |range: &str| {
        format!(
            "flatten: the range of axes is {range} for shape [2, 3]: it must name at least one axis, and only axes of \
             0..2"
        )
    };
    panics(|| x.flatten(2..), &range("2.."));
    panics(|| x.flatten(0..=2), &range("0..=2"));
    panics(|| x.flatten(-3..), &range("-3.."));
    panics(|| x.flatten(1..1), &range("1..1"));
    panics(|| x.flatten(step(.., -1)), &range("step(.., -1)"));
    panics(|| x.unflatten(2, 1), "unflatten: axis 2 is out of range for shape [2, 3]: allowed are -2 to 1");
    panics(
        || x.unflatten(1, [2, -1]),
        "unflatten: sizes is [2, -1] for shape [2, 3]: they must multiply to 3, the size of axis 1; one may be -1, to \
         be inferred, if no other is 0",
    );
}

#[test]
fn patterns() {
    let x = tensor(&[2, 12]);
    for (pattern, sizes, problem) in [
        ("a b", &[][..], "it must have a `->` between the axes of the operand and of the result"),
        ("a -> a", &[], "the operand must have 1 axes, as many as are left of `->`"),
        ("a b ... c -> a b c ...", &[], "the operand must have at least 3 axes, as many as are left of `->`"),
        ("a b -> a", &[], "`b` is missing on the right of `->`"),
        ("a b -> a b c", &[], "`c` is missing on the left of `->`"),
        ("a ... -> a", &[], "`...` is missing on the right of `->`"),
        ("a b -> a ... b", &[], "`...` is missing on the left of `->`"),
        ("(...) -> ...", &[], "left of `->`, `...` must not be in brackets"),
        ("a b -> a a b", &[], "a name, or `...`, is there twice, at `a b`"),
        (
            "a ((b)) -> a b",
            &[],
            "allowed are names, `1`, one `...`, and brackets that are not nested, at `(b))`",
        ),
        ("a b -> a, b", &[], "allowed are names, `1`, one `...`, and brackets that are not nested, at `, b`"),
        ("a 2 -> a", &[], "allowed are names, `1`, one `...`, and brackets that are not nested, at `2`"),
        ("a b -> (a b", &[], "a bracket is not closed, in `(a b`"),
        ("a (b c) -> a b c", &[], "sizes of `b` and `c` are not given: one may be left out"),
        ("a (b c) -> a b c", &[("b", 5)], "axis 1 has size 12: for `c` it must be a multiple of 5"),
        ("a (b c) -> a b c", &[("b", 0)], "axis 1 has size 12: for `c` it must be a multiple of 0"),
        ("a b -> b a", &[("a", 3)], "axis 0 has size 2, and its names the product 3"),
        ("1 b -> b", &[], "axis 0 has size 2, and its names the product 1"),
        ("a b -> b a", &[("c", 3)], "a size is given for `c`, which is not a name in it"),
        ("a b -> b a", &[("a", 2), ("a", 3)], "two sizes are given for `a`"),
        ("a ... b ... -> ... a b", &[], "a name, or `...`, is there twice, at `...`"),
        ("a ... b -> a ... b ...", &[], "a name, or `...`, is there twice, at `...`"),
    ] {
        let message = format!("rearrange: pattern \"{pattern}\" for shape [2, 12]: {problem}");
        panics(|| x.rearrange(pattern, sizes), &message);
    }
}

#[test]
fn assignment() {
    let (mut x, y) = (tensor(&[3]), tensor(&[2, 3]));
    let mismatch = |operation: &str| {
        format!(
            "{operation}: shapes [3] and [2, 3] do not fit: counted from the end, sizes must be equal or the \
             second one 1"
        )
    };
    panics(|| x += &y, &mismatch("add_assign"));
    panics(|| x += y.clone(), &mismatch("add_assign"));
    panics(|| x -= &y, &mismatch("sub_assign"));
    panics(|| x *= &y, &mismatch("mul_assign"));
    panics(|| x /= &y, &mismatch("div_assign"));
    panics(|| x.zip_inplace(&y, |x, _| x), &mismatch("zip_inplace"));
}

#[test]
fn products_and_joins() {
    let matmul = |left: &[usize], right: &[usize], expected: &str| {
        let message = format!("matmul: shapes {left:?} and {right:?} do not fit: {expected}");
        let (left, right) = (tensor(left), tensor(right));
        panics(|| left.matmul(&right), &message);
    };
    matmul(&[], &[2], "both operands need at least one axis");
    let inner = "the last axis of the left must equal the last but one of the right (or its only one)";
    matmul(&[2, 3], &[2, 3], inner);
    matmul(&[3], &[2], inner);
    matmul(&[4, 2, 3], &[2], inner);
    matmul(&[4, 2, 3], &[5, 3, 2], "the axes before the last two must broadcast");
    let (x, y) = (tensor(&[2, 3]), tensor(&[3, 2]));
    panics(
        || Tensor::cat(&[&x, &y], 0),
        "cat: shapes [2, 3] and [3, 2] do not fit: sizes must be equal on all axes but the joined one",
    );
    panics(
        || Tensor::stack(&[&x, &y], 0),
        "stack: shapes [2, 3] and [3, 2] do not fit: all shapes must be equal",
    );
    panics(|| Tensor::<f32>::cat(&[], 0), "cat: the list of tensors is empty; it needs at least one");
    panics(|| Tensor::<f32>::stack(&[], 0), "stack: the list of tensors is empty; it needs at least one");
    let split = |sizes: &str| {
        format!("split: sizes is {sizes} for shape [2, 3]: they must add up to 3, the size of axis 1")
    };
    panics(|| x.split([1, 1], 1), &split("[1, 1]"));
    panics(|| x.split([usize::MAX, 4], -1), &split("[18446744073709551615, 4]"));
    panics(|| x.split(0, 0), "split: size is 0 for shape [2, 3]: it must be at least 1");
}

#[test]
fn indices() {
    let mut x = tensor(&[2, 3]);
    let out = |operation: &str, index: i64| {
        format!("{operation}: index {index} is out of bounds for axis 1 of shape [2, 3]: allowed are 0 to 2")
    };
    panics(|| x[[0, 3]], &out("index", 3));
    panics(|| x[[0, 3]] = 1.0, &out("index", 3));
    panics(|| x[[0]], "index: the number of indices is 1 for shape [2, 3]: it must be 2");
    panics(|| x[[0]] = 1.0, "index: the number of indices is 1 for shape [2, 3]: it must be 2");
    panics(|| x.item(), "item: the number of elements is 6 for shape [2, 3]: it must be 1");
    let select = "select: index is -4 for shape [2, 3]: along axis 1, allowed are -3 to 2";
    panics(|| x.select(1, -4), select);
    panics(|| tensor(&[0]).select(0, 0), "select: index is 0 for shape [0]: axis 0 is empty");
    let subscripts = |operation: &str, count: usize| {
        format!(
            "{operation}: the number of subscripts is {count} for shape [2, 3]: it must be at most 2, the number of axes"
        )
    };
    panics(|| x.index((0, .., NewAxis, 1)), &subscripts("index", 3));
    panics(|| x.index((Ellipsis, 0, 0, 0)), &subscripts("index", 3));
    panics(|| x.index_put((0, 0, 0, 0), 1.0), &subscripts("index_put", 4));
    panics(|| x.index_put_add((0, 0, 0, 0), 1.0), &subscripts("index_put_add", 4));
    let ellipses = "index: the number of ellipses is 2 for shape [2, 3]: it must be at most 1";
    panics(|| x.index((Ellipsis, 0, Ellipsis)), ellipses);
    let range = "index: subscript is 3 for shape [2, 3]: along axis 1, allowed are -3 to 2";
    panics(|| x.index((Ellipsis, NewAxis, 3)), range);
    panics(|| x.index((0, -4)), &range.replace("is 3", "is -4"));
    panics(|| x.index((0, usize::MAX)), &range.replace("is 3", &format!("is {}", isize::MAX)));
    panics(|| tensor(&[0]).index(-1), "index: subscript is -1 for shape [0]: axis 0 is empty");
    panics(
        || x.index_put((.., 1..), Tensor::zeros([3])),
        "index_put: shapes [2, 2] and [3] do not fit: the value must broadcast to the part: counted from the end, \
         sizes must be equal or the second one 1",
    );
    panics(|| tensor(&[]).rows(), "rows: axis 0 is out of range for shape []: a 0-d tensor has no axes");
    panics(|| x.unbind(2), "unbind: axis 2 is out of range for shape [2, 3]: allowed are -2 to 1");
    panics(|| step(1.., 0), "slice: the step is 0; it must be positive or, to walk backwards, negative");
    let place = |index: i64| Tensor::from([[index]]);
    panics(|| x.gather(1, &place(3)), &out("gather", 3));
    panics(|| x.gather(-1, &place(-1)), &out("gather", -1));
    panics(|| x.scatter_add(1, &place(3), &tensor(&[1, 1])), &out("scatter_add", 3));
    panics(|| x.index_select(1, &list(&[3])), &out("index_select", 3));
    panics(|| x.index_add(1, &list(&[-1]), &tensor(&[2, 1])), &out("index_add", -1));
    panics(
        || tensor(&[0]).gather(0, &list(&[0])),
        "gather: index 0 is out of bounds for axis 0 of shape [0]: the axis is empty",
    );
    let shape = |operation: &str, index: &str| {
        format!(
            "{operation}: shapes [2, 3] and {index} do not fit: the index must have as many axes and be nowhere \
             larger, except along the axis"
        )
    };
    panics(|| x.gather(1, &list(&[0])), &shape("gather", "[1]"));
    let tall = Tensor::zeros([3, 1]);
    panics(|| x.scatter_add(1, &tall, &tensor(&[3, 1])), &shape("scatter_add", "[3, 1]"));
    let source = |operation: &str, index: &str| {
        format!(
            "{operation}: shapes {index} and [2, 2] do not fit: there must be one source element for each place \
             the index names"
        )
    };
    panics(|| x.scatter_add(1, &place(0), &tensor(&[2, 2])), &source("scatter_add", "[1, 1]"));
    panics(|| x.index_add(1, &list(&[0]), &tensor(&[2, 2])), &source("index_add", "[2, 1]"));
    let rank = |operation: &str| {
        format!("{operation}: the number of axes of the index is 2 for shape [1, 1]: it must be 1")
    };
    panics(|| x.index_select(1, &place(0)), &rank("index_select"));
    panics(|| x.index_add(1, &place(0), &tensor(&[2, 1])), &rank("index_add"));
}

#[test]
fn other_arguments() {
    let step = "slice: the step is 0; it must be positive or, to walk backwards, negative";
    panics(|| Slice::new(None, None, 0), step);
    panics(|| Slice::from(1..).step(0), step);
    let empty = tensor(&[0, 3]);
    let nothing = |operation: &str| {
        format!("{operation}: axis is 0 for shape [0, 3]: it has size 0 and nothing to choose from")
    };
    panics(|| empty.max(0), &nothing("max"));
    panics(|| empty.min(..), &nothing("min"));
    panics(|| empty.argmax(0), &nothing("argmax"));
    panics(|| empty.argmin(-2), &nothing("argmin"));
    panics(|| Err::<(), _>("words").or_panic(), "words");
    let error = TensorError::Length { operation: "f", length: 3, shape: [usize::MAX; 2].as_slice().into() };
    let text =
        "f: shape [18446744073709551615, 18446744073709551615] needs too many elements, the data has 3";
    assert_eq!(error.to_string(), text);
}

#[test]
fn several_at_once() {
    let (mut x, mut y) = (tensor(&[2, 3]), tensor(&[3]));
    let message = "zip_inplace_many: shapes [3] and [2, 3] do not fit: they must be equal";
    let other = x.clone();
    panics(|| Tensor::zip_inplace_many([&mut x, &mut y], &other, |pair, _| pair), message);
}

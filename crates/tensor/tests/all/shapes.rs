//! Shape functions against methods: the same shape, or the words of the same panic, for shapes that fit and for shapes
//! with one mistake.

use std::cell::RefCell;
use std::collections::BTreeMap;

use gradus_tensor::shapes::*;
use gradus_tensor::{
    Axes, Conv, Dims, Element, Ellipsis, NewAxis, OrPanic, PadMode, Pool, Pooling, Shape, Slice, Subscript,
    Subscripts, Tensor, TensorError, keepdim,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::caught::caught;

/// Arguments that several operations use, and the one mistake in their shapes.
#[derive(Debug, Clone)]
struct Draw {
    front: Vec<usize>,
    sizes: [usize; 4],
    /// The kind of mistake, the operand, the axis and its size.
    mistake: [usize; 4],
    axis: isize,
    other: isize,
    list: Vec<isize>,
    flag: bool,
}

fn draws() -> impl Strategy<Value = Draw> {
    let front = prop::collection::vec(1..=3_usize, 0..=2);
    let sizes = prop::array::uniform4(1..=3_usize);
    let mistake = (0..=5_usize, 0..=3_usize, 0..=3_usize, 0..=4_usize).prop_map(|(a, b, c, d)| [a, b, c, d]);
    let list = prop::collection::vec(-2..=2_isize, 0..=3);
    (front, sizes, mistake, -3..=3_isize, -3..=3_isize, list, any::<bool>()).prop_map(
        |(front, sizes, mistake, axis, other, list, flag)| Draw {
            front,
            sizes,
            mistake,
            axis,
            other,
            list,
            flag,
        },
    )
}

impl Draw {
    /// The shapes of the operands, perhaps with one mistake: another size, an axis less, or an axis more.
    fn shapes<const N: usize>(&self, shapes: [&[usize]; N]) -> [Vec<usize>; N] {
        let [kind, operand, axis, size] = self.mistake;
        let mut shapes = shapes.map(<[usize]>::to_vec);
        let shape = &mut shapes[operand % N];
        match kind {
            0 => shape.insert(axis.min(shape.len()), size),
            1 if axis < shape.len() => drop(shape.remove(axis)),
            2 | 3 if axis < shape.len() => shape[axis] = size,
            _ => {}
        }
        shapes
    }

    /// The leading axes, then these.
    fn stack(&self, last: &[usize]) -> Vec<usize> {
        [&self.front, last].concat()
    }
}

/// A stack of identity matrices, which have an inverse, or zeros of another shape.
fn tensor(shape: &[usize]) -> Tensor<f64> {
    match *shape {
        [.., n, m] if n == m => Tensor::eye(n).expand(shape),
        _ => Tensor::zeros(shape),
    }
}

fn of<T: Element>(x: Tensor<T>) -> Vec<usize> {
    x.shape().to_vec()
}

/// The number of shapes that each operation has taken, and has refused.
#[derive(Default)]
struct Seen(RefCell<BTreeMap<&'static str, [usize; 2]>>);

impl Seen {
    fn check(
        &self,
        operation: &'static str,
        shape: Result<Shape, TensorError>,
        method: impl FnOnce() -> Vec<usize>,
    ) {
        let mut result = None;
        let panic = caught(|| result = Some(method())).map(|(message, ..)| message);
        let refused = shape.is_err();
        match shape {
            Ok(shape) => assert_eq!((result, panic), (Some(shape.to_vec()), None), "{operation}"),
            Err(error) => assert_eq!((result, panic), (None, Some(error.to_string())), "{operation}"),
        }
        self.0.borrow_mut().entry(operation).or_default()[usize::from(refused)] += 1;
    }
}

/// Runs the checks on many draws; each operation must have taken some and refused some.
fn run(checks: impl Fn(&Seen, &Draw)) {
    let (seen, config) =
        (Seen::default(), Config { cases: 400, failure_persistence: None, ..Config::default() });
    let rng = prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&draws(), |draw| {
        checks(&seen, &draw);
        Ok(())
    });
    outcome.unwrap();
    let seen = seen.0.into_inner();
    let one_sided: Vec<_> = seen.iter().filter(|(_, counts)| counts.contains(&0)).collect();
    assert!(one_sided.is_empty(), "never taken or never refused: {one_sided:?}");
}

#[test]
fn views() {
    run(|seen, draw| {
        let (a, b) = (draw.axis, draw.other);
        let shape = &draw.stack(&draw.sizes[..2]);
        let (x, dims, axes) = (&tensor(shape), Dims::from(&draw.list[..]), Axes::from(&draw.list[..]));
        let slice = Slice::new(Some(b), None, if draw.flag { 1 } else { -2 });
        seen.check("slice", slice_shape(shape, a, slice), || of(x.slice(a, slice)));
        seen.check("select", select_shape(shape, a, b), || of(x.select(a, b)));
        let subscripts =
            [Subscript::At(b), Subscript::Slice(slice), [NewAxis, Ellipsis][usize::from(draw.flag)]];
        let subscripts = &Subscripts::from(&subscripts[draw.mistake[3].min(2)..]);
        let list = &Subscripts::from([Ellipsis, Subscript::At(b), Subscript::At(a)]);
        seen.check("index", index_shape(shape, list), || of(x.index(list)));
        let value = &draw.sizes[..draw.mistake[3] / 2];
        let put_shape = |operation| index_put_shape(operation, shape, subscripts, value);
        seen.check("index_put", put_shape("index_put"), || of(x.index_put(subscripts, tensor(value))));
        seen.check("index_put_add", put_shape("index_put_add"), || {
            of(x.index_put_add(subscripts, tensor(value)))
        });
        seen.check("permute", permute_shape(shape, &dims), || of(x.permute(dims.clone())));
        seen.check("transpose", transpose_shape(shape, a, b), || of(x.transpose(a, b)));
        seen.check("unsqueeze", unsqueeze_shape(shape, a), || of(x.unsqueeze(a)));
        seen.check("squeeze", squeeze_shape(shape, &axes), || of(x.squeeze(axes.clone())));
        seen.check("flip", flip_shape(shape, &axes), || of(x.flip(axes.clone())));
        let range = Slice::from(a..=b);
        seen.check("flatten", flatten_shape(shape, range), || of(x.flatten(range)));
        seen.check("unflatten", unflatten_shape(shape, a, &dims), || of(x.unflatten(a, dims.clone())));
        let size = [("a", draw.mistake[3])];
        let rearranged = |pattern| rearrangement(shape, pattern, &size).map(|[_, _, shape]| shape);
        let pattern = "... (a b) c -> a (... c) b";
        seen.check("rearrange", rearranged(pattern), || of(x.rearrange(pattern, &size)));
        seen.check("reshape", reshape_shape(shape, &dims), || of(x.reshape(dims.clone())));
        let [few, to] = draw.shapes([&draw.sizes[..2], shape]);
        let few_axes = tensor(&few);
        seen.check("expand", expand_shape(&few, &to), || of(few_axes.expand(&to)));
        let few = &draw.front[..];
        seen.check("t", t_shape(few), || of(tensor(few).t()));
        seen.check("tril", triangle_shape("tril", few), || of(tensor(few).tril(a)));
        seen.check("diagonal", diagonal_shape(shape, a, b, 0), || of(x.diagonal(a, b, 0)));
        let [few] = draw.shapes([&draw.sizes[..2]]);
        seen.check("diag", diag_shape(&few, a), || of(tensor(&few).diag(a)));
        seen.check("trace", trace_shape(&few), || of(tensor(&few).trace()));
    });
}

#[test]
fn joins_and_repetitions() {
    run(|seen, draw| {
        let a = draw.axis;
        let shape = &draw.stack(&draw.sizes[..1]);
        let shapes = &draw.shapes([shape, shape, shape])[..if a == 3 { 0 } else { 3 }];
        let (list, tensors) = (
            || shapes.iter().map(|shape| &shape[..]),
            shapes.iter().map(|shape| tensor(shape)).collect::<Vec<_>>(),
        );
        let tensors: Vec<_> = tensors.iter().collect();
        seen.check("cat", cat_shape(list(), a), || of(Tensor::cat(&tensors, a)));
        seen.check("stack", stack_shape(list(), a), || of(Tensor::stack(&tensors, a)));
        let [shape] = &draw.shapes([&draw.stack(&[draw.sizes[0] + draw.sizes[1]])]);
        let (x, sizes) = (&tensor(shape), &draw.sizes[..2]);
        let parts =
            |ranges: Vec<std::ops::Range<usize>>| ranges.into_iter().map(|range| range.len()).collect();
        let lengths = |tensors: Vec<Tensor<f64>>| tensors.iter().map(|x| x.shape()[x.rank() - 1]).collect();
        seen.check("split", split_ranges(shape, &sizes.into(), -1).map(parts), || {
            lengths(x.split(sizes, -1))
        });
        let each = draw.mistake[3];
        seen.check("split by a size", split_ranges(shape, &each.into(), -1).map(parts), || {
            lengths(x.split(each, -1))
        });
        let chunks = draw.mistake[3];
        seen.check("chunk", chunk_ranges(shape, chunks, -1).map(parts), || lengths(x.chunk(chunks, -1)));
        let repeats = draw.mistake[3];
        assert_eq!(tile_shape(shape, &[repeats, 2]).unwrap().to_vec(), of(x.tile([repeats, 2])));
        let axes = if draw.flag { Axes::from(..) } else { Axes::from(&draw.list[..]) };
        seen.check("repeat_interleave", repeat_interleave_shape(shape, repeats, &axes), || {
            of(x.repeat_interleave(repeats, axes.clone()))
        });
        let shifts = Dims::from(&draw.list[..draw.list.len().min(2)]);
        seen.check("roll", roll_shape(shape, &shifts, &axes), || of(x.roll(shifts.clone(), axes.clone())));
    });
}

#[test]
fn lanes_and_reductions() {
    run(|seen, draw| {
        let a = draw.axis;
        let shape = &draw.stack(&draw.sizes[..1]);
        let x = &tensor(shape);
        seen.check("softmax", lanes_shape("softmax", shape, a), || of(x.softmax(a)));
        seen.check("log_softmax", lanes_shape("log_softmax", shape, a), || of(x.log_softmax(a)));
        seen.check("cumsum", lanes_shape("cumsum", shape, a), || of(x.cumsum(a)));
        seen.check("cumprod", lanes_shape("cumprod", shape, a), || of(x.cumprod(a)));
        seen.check("sort", lanes_shape("sort", shape, a), || of(x.sort(a, false).0));
        let k = draw.mistake[3];
        seen.check("topk", topk_shape(shape, k, a), || of(x.topk(k, a, true).1));
        let [factors, of_x] = draw.shapes([&draw.sizes[..1], shape]);
        let (x, factors_of_x) = (&tensor(&of_x), tensor(&factors));
        seen.check("linear_recurrence", linear_recurrence_shape(&of_x, a, &factors), || {
            of(x.linear_recurrence(a, &factors_of_x))
        });
        let shape = &of_x;
        let axes = if draw.flag { keepdim(&draw.list[..]) } else { Axes::from(&draw.list[..]) };
        seen.check("sum", reduced_shape("sum", shape, &axes), || of(x.sum(axes.clone())));
        seen.check("mean", reduced_shape("mean", shape, &axes), || of(x.mean(axes.clone())));
        seen.check("logsumexp", reduced_shape("logsumexp", shape, &axes), || of(x.logsumexp(axes.clone())));
        seen.check("any", reduced_shape("any", shape, &axes), || of(x.gt(0.0).any(axes.clone())));
        seen.check("var", reduced_shape("var", shape, &axes), || of(x.var(axes.clone(), 1)));
        seen.check("max", extreme_shape("max", shape, &axes), || of(x.max(axes.clone())));
        seen.check("argmin", extreme_shape("argmin", shape, &axes), || of(x.argmin(axes.clone())));
        seen.check("median", extreme_shape("median", shape, &axes), || of(x.median(axes.clone())));
        let q = [0.5, 1.5, -0.5, f64::NAN][draw.mistake[2]];
        seen.check("quantile", quantile_shape(shape, q, &axes), || of(x.quantile(q, axes.clone())));
        let p = [2.0, 1.0, f64::INFINITY, f64::NEG_INFINITY][draw.mistake[2]];
        seen.check("norm", norm_shape(shape, p, &axes), || of(x.norm(p, axes.clone())));
        let [to, of_x] = draw.shapes([&draw.sizes[..1], &draw.stack(&draw.sizes[..1])]);
        seen.check("sum_to_size", sum_to_size_shape(&of_x, &to), || of(tensor(&of_x).sum_to_size(&to)));
    });
}

#[test]
fn products_and_equations() {
    run(|seen, draw| {
        let [m, k, n, _] = draw.sizes;
        let [l, r] = draw.shapes([&draw.stack(&[m, k]), &[k, n]]);
        let (x, y) = (tensor(&l), tensor(&r));
        seen.check("matmul", matmul_shape(&l, &r), || of(x.matmul(&y)));
        seen.check("add", broadcast_shapes("add", &l, &r), || of(&x + &y));
        let [l, r] = draw.shapes([&[m], &[if draw.flag { m } else { n }]]);
        let (x, y) = (tensor(&l), tensor(&r));
        seen.check("outer", outer_shape(&l, &r), || of(x.outer(&y)));
        seen.check("dot", dot_shape(&l, &r), || of(x.dot(&y)));
        let [input, weight, bias] = draw.shapes([&draw.stack(&[k]), &[n, k], &[n]]);
        let (x, w, b) = (tensor(&input), tensor(&weight), tensor(&bias));
        let (bias, b) = (draw.flag.then_some(&bias[..]), draw.flag.then_some(&b));
        seen.check("linear", linear_shape(&input, &weight, bias), || of(x.linear(&w, b)));
        let [a, b] = draw.shapes([&draw.stack(&[n, n]), &[n, k][..if draw.flag { 1 } else { 2 }]]);
        let (x, y) = (tensor(&a), tensor(&b));
        seen.check("solve", solve_shape("solve", &a, &b), || of(x.solve(&y).or_panic()));
        let shape = solve_shape("solve_triangular", &a, &b);
        seen.check("solve_triangular", shape, || of(x.solve_triangular(&y, true).or_panic()));
        seen.check("inverse", inverse_shape("inverse", &a), || of(x.inverse().or_panic()));
        seen.check("cholesky", inverse_shape("cholesky", &a), || of(x.cholesky().or_panic()));
        seen.check("det", det_shape("det", &a), || of(x.det()));
        seen.check("slogdet", slogdet_shape(&a), || {
            let [sign, logarithm] = x.slogdet();
            of(Tensor::stack(&[&sign, &logarithm], -1))
        });
        seen.check("eigh", eigh_shape("eigh", &a), || of(x.eigh_packed("eigh").or_panic()));
        let [a, b] = draw.shapes([&draw.stack(&[m, n]), &[m, k][..if draw.flag { 1 } else { 2 }]]);
        let (x, y) = (tensor(&a), tensor(&b));
        seen.check("svd", svd_shape("svd", &a), || of(x.svd_packed("svd").or_panic()));
        seen.check("svdvals", svdvals_shape(&a), || of(x.svdvals().or_panic()));
        seen.check("qr", qr_shape(&a), || of(x.qr_packed()));
        seen.check("pinv", pinv_shape(&a), || of(x.pinv().or_panic()));
        seen.check("lstsq", lstsq_shape(&a, &b), || of(x.lstsq(&y).or_panic()));
    });
}

#[test]
fn indices() {
    run(|seen, draw| {
        let a = draw.axis;
        let shape = &draw.stack(&draw.sizes[..1]);
        let x = &tensor(shape);
        let [at, from] = draw.shapes([shape, shape]);
        let (index, source) = (&Tensor::<i64>::zeros(&at), &tensor(&from));
        seen.check("gather", gather_shape(shape, a, &at), || of(x.gather(a, index)));
        let scatter = scatter_shape("scatter", shape, a, &at, &from);
        seen.check("scatter", scatter, || of(x.scatter(a, index, source)));
        let scatter = scatter_shape("scatter_add", shape, a, &at, &from);
        seen.check("scatter_add", scatter, || of(x.scatter_add(a, index, source)));
        let mut selected = shape.clone();
        selected[0] = draw.sizes[2];
        let [at, from] = draw.shapes([&draw.sizes[2..3], &selected]);
        let (index, source) = (&Tensor::<i64>::zeros(&at), &tensor(&from));
        seen.check("index_select", index_select_shape(shape, a, &at), || of(x.index_select(a, index)));
        seen.check("index_add", index_add_shape(shape, 0, &at, &from), || of(x.index_add(0, index, source)));
        let table = &draw.front;
        seen.check("embedding", embedding_shape(table, &at), || of(tensor(table).embedding(index)));
        let [at] = draw.shapes([&draw.front]);
        let targets = &Tensor::<i64>::zeros(&at);
        seen.check("cross_entropy", cross_entropy_shape(shape, a, &at), || {
            of(x.cross_entropy(a, targets, None))
        });
        let shape = softmax_minus_one_hot_shape(shape, a, &at);
        seen.check("softmax_minus_one_hot", shape, || of(x.softmax_minus_one_hot(a, targets, None, 1.0)));
        let [mask, yes, no] = draw.shapes([&draw.front, &draw.front, &[1]]);
        let (condition, x, y) = (tensor(&mask).gt(0.0), tensor(&yes), tensor(&no));
        seen.check("where", where_shape(&mask, &yes, &no), || of(condition.where_(&x, &y)));
    });
}

#[test]
fn layers() {
    run(|seen, draw| {
        let [m, k, n, l] = draw.sizes;
        let [x, last, w, b] = draw.shapes([&draw.stack(&[m]), &[m], &[m], &[m]]);
        let [x_, w_, b_] = [&x, &w, &b].map(|shape| tensor(shape));
        let eps = draw.axis as f64;
        let shape = normalized_shape("layer_norm", &x, &last, Some(&w), Some(&b), eps);
        seen.check("layer_norm", shape, || of(x_.layer_norm(&last, Some(&w_), Some(&b_), eps)));
        let shape = normalized_shape("rms_norm", &x, &last, Some(&w), None, eps);
        seen.check("rms_norm", shape, || of(x_.rms_norm(&last, Some(&w_), eps)));

        let shapes = [&draw.stack(&[m, k])[..], &draw.stack(&[n, k]), &[n, l], &[m, n]];
        let [q, key, v, mask] = draw.shapes(shapes);
        let [q_, k_, v_, mask_] = [&q, &key, &v, &mask].map(|shape| tensor(shape));
        let (mask, mask_) = (draw.flag.then_some(&mask[..]), draw.flag.then_some(&mask_));
        seen.check("attention", attention_shape(&q, &key, &v, mask), || {
            of(q_.scaled_dot_product_attention(&k_, &v_, mask_, false, 1.0))
        });

        let [x, w, h, c] = draw.shapes([&[m, n, 4 * k], &[4 * k, k], &[n, k], &[n, k]]);
        let [x_, w_, h_, c_] = [&x, &w, &h, &c].map(|shape| tensor(shape));
        seen.check("lstm", lstm_shape(&x, &w, &h, &c), || of(x_.lstm(&w_, &h_, &c_)));
        let [x, w, h, b] = draw.shapes([&[m, n, 3 * k], &[3 * k, k], &[n, k], &[3 * k]]);
        let [x_, w_, h_, b_] = [&x, &w, &h, &b].map(|shape| tensor(shape));
        seen.check("gru", gru_shape(&x, &w, Some(&b), &h), || of(x_.gru(&w_, Some(&b_), &h_)));
    });
}

#[test]
fn windows() {
    run(|seen, draw| {
        let [m, k, n, l] = draw.sizes;
        let padding = [0, 0, 1, 2][draw.mistake[3].min(3)];
        let conv = Conv::new().stride(m).padding(padding).dilation(if draw.flag { 1 } else { 2 });
        let conv = conv.groups(draw.sizes[0] % 3);
        let batch = if draw.flag { vec![m] } else { vec![] };
        let with_batch = |last: &[usize]| [&batch[..], last].concat();
        let [x, w, b] = draw.shapes([&with_batch(&[k, 5, 4]), &[n, k, l, 2], &[n]]);
        let [x_, w_, b_] = [&x, &w, &b].map(|shape| tensor(shape));
        let shape = conv.output_shape("conv2d", 2, &x, &w, Some(&b));
        seen.check("conv2d", shape, || of(x_.conv2d(&w_, Some(&b_), conv.clone())));
        if let Ok(shape) = conv.output_shape("conv2d", 2, &x, &w, None) {
            let [g] = draw.shapes([&shape]);
            let g_ = tensor(&g);
            seen.check("conv2d_input", conv2d_input_shape(&x, &w, &g, &conv), || {
                of(g_.conv2d_input(&x, &w_, conv.clone()))
            });
            seen.check("conv2d_weight", conv2d_weight_shape(&x, &w, &g, &conv), || {
                of(x_.conv2d_weight(&w, &g_, conv.clone()))
            });
        }
        let [x, w, b] = draw.shapes([&with_batch(&[k, 4]), &[n, k, l], &[n]]);
        let [x_, w_, b_] = [&x, &w, &b].map(|shape| tensor(shape));
        let shape = conv.output_shape("conv1d", 1, &x, &w, Some(&b));
        seen.check("conv1d", shape, || of(x_.conv1d(&w_, Some(&b_), conv.clone())));
        let [x, w, b] = draw.shapes([&with_batch(&[k, 4]), &[k, n, l], &[n * (m % 3)]]);
        let [x_, w_, b_] = [&x, &w, &b].map(|shape| tensor(shape));
        let shape = conv.transposed_shape("conv_transpose1d", 1, &x, &w, Some(&b));
        seen.check("conv_transpose1d", shape, || of(x_.conv_transpose1d(&w_, Some(&b_), conv.clone())));
        let [x, w, b] = draw.shapes([&with_batch(&[k, 4, 3]), &[k, n, l, 1], &[n * (m % 3)]]);
        let [x_, w_, b_] = [&x, &w, &b].map(|shape| tensor(shape));
        let shape = conv.transposed_shape("conv_transpose2d", 2, &x, &w, Some(&b));
        seen.check("conv_transpose2d", shape, || of(x_.conv_transpose2d(&w_, Some(&b_), conv.clone())));

        let [x, other] = draw.shapes([&with_batch(&[k, 5, 4]), &with_batch(&[k, 5, 4])]);
        let pool = Pool::new(k).stride(m).padding(padding);
        if let Ok(pooling) = pool.over("max_pool2d", 2, &x) {
            let y = tensor(&other);
            seen.check("pooled_max", pooled_shape(&other, &pooling), || of(y.pooled_max(&pooling)));
            seen.check("pooled_mean", pooled_shape(&other, &pooling), || of(y.pooled_mean(&pooling)));
        }
        let y = tensor(&x);
        let shape = pool.over("max_pool2d", 2, &x).and_then(|pooling| pooled_shape(&x, &pooling));
        seen.check("max_pool2d", shape, || of(y.max_pool2d(pool.clone())));
        let pooling = Pooling::adaptive("adaptive_avg_pool2d", 2, &x, draw.axis);
        let shape = pooling.and_then(|pooling| pooled_shape(&x, &pooling));
        seen.check("adaptive_avg_pool2d", shape, || of(y.adaptive_avg_pool2d(draw.axis)));

        let pads = vec![[draw.axis, draw.other]; draw.sizes[0]];
        let [x] = draw.shapes([&draw.sizes[..2]]);
        let mode = [PadMode::Constant(0.0), PadMode::Reflect, PadMode::Replicate][draw.mistake[2] % 3];
        seen.check("pad", pad_shape(&x, &pads, mode), || of(tensor(&x).pad(&pads, mode)));
    });
}

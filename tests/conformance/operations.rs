//! Which function of gradus each operation of the data is.

use std::ops::Neg;

use gradus::{
    AttentionMask, BceLoss, BceWithLogitsLoss, ClassTargets, Conv, CrossEntropyLoss, HuberLoss, KlDivLoss,
    L1Loss, MatrixNorm, MseLoss, NllLoss, OrPanic, PadMode, Pool, Slice, SmoothL1Loss, Tensor, Var, cat,
    einsum, stack,
};
use serde_json::Value as Json;

use crate::arguments::{Arguments, Outputs, Value};

type V = Var<f64>;
type F = Tensor<f64>;
type B = Tensor<bool>;
/// Functions by the names of operations.
type Table<Function> = &'static [(&'static str, Function)];

/// An operation by its name, applied; `None` if there is none of that name.
pub(crate) fn apply(name: &str, a: &Arguments) -> Option<Outputs> {
    if let Some(f) = find(UNARY, name) {
        return Some(f(a.x()).into());
    }
    if let Some(f) = find(BINARY, name) {
        return Some(f(a.at(0).var(), a.at(1).var()).into());
    }
    if let Some(f) = find(TESTS, name) {
        return Some(f(a.x().value()).into());
    }
    if let Some(f) = find(COMPARISONS, name) {
        return Some(f(a.var("x").value(), a.var("y").value()).into());
    }
    if let Some(f) = find(LOGIC, name) {
        return Some(f(a.bools("x"), a.bools("y")).into());
    }
    find(OTHERS, name).map(|f| f(a))
}

/// A function of one variable by its name, with the default attributes of the data; `None` if there is none of that name.
pub(crate) fn activation(name: &str) -> Option<fn(&V) -> V> {
    const OF_TRAINING: Table<fn(&V) -> V> = &[
        ("celu", |x| x.celu(1.0)),
        ("elu", |x| x.elu(1.0)),
        ("gelu", |x| x.gelu()),
        ("gelu_tanh", |x| x.gelu_tanh()),
        ("hardsigmoid", hardsigmoid),
        ("hardtanh", |x| x.hardtanh(-1.0, 1.0)),
        ("leaky_relu", |x| x.leaky_relu(0.01)),
        ("softplus", |x| x.softplus(1.0, 20.0)),
    ];
    find(OF_TRAINING, name).or_else(|| find(UNARY, name))
}

fn find<Function: Copy>(table: Table<Function>, name: &str) -> Option<Function> {
    table.iter().find(|(other, _)| *other == name).map(|(_, function)| *function)
}

/// A table of methods under their own names.
macro_rules! methods {
    (|$x:ident| $($name:ident)*) => { &[$((stringify!($name), |$x| $x.$name())),*] };
    (|$x:ident, $y:ident| $($name:ident)*) => { &[$((stringify!($name), |$x, $y| $x.$name($y))),*] };
}

const UNARY: Table<fn(&V) -> V> = methods! { |x|
    abs acos acosh asin asinh atan atanh ceil cos cosh det digamma erf erfc exp exp2 expm1 floor frac
    hardsigmoid hardswish lgamma log log10 log1p log2 logdet logsigmoid mish neg reciprocal relu relu6 round
    rsqrt selu sigmoid sign silu sin sinh softsign sqrt square tan tanh trace trunc
};

const BINARY: Table<fn(&V, &V) -> V> = &[
    ("add", |x, y| x + y),
    ("atan2", |x, y| x.atan2(y)),
    ("div", |x, y| x / y),
    ("dot", |x, y| x.dot(y)),
    ("floor_divide", |x, y| x.floor_divide(y)),
    ("fmod", |x, y| x.fmod(y)),
    ("hypot", |x, y| x.hypot(y)),
    ("logaddexp", |x, y| x.logaddexp(y)),
    ("matmul", |x, y| x.matmul(y)),
    ("maximum", |x, y| x.maximum(y)),
    ("minimum", |x, y| x.minimum(y)),
    ("mul", |x, y| x * y),
    ("outer", |x, y| x.outer(y)),
    ("pow", |x, y| x.pow(y)),
    ("prelu", |x, y| x.prelu(y)),
    ("remainder", |x, y| x.remainder(y)),
    ("solve", |x, y| x.solve(y).or_panic()),
    ("sub", |x, y| x - y),
    ("xlogy", |x, y| x.xlogy(y)),
];

const TESTS: Table<fn(&F) -> B> = methods! { |x| isfinite isinf isnan };

const COMPARISONS: Table<fn(&F, &F) -> B> = methods! { |x, y| eq ge gt le lt ne };

const LOGIC: Table<fn(&B, &B) -> B> = methods! { |x, y| logical_and logical_or logical_xor };

macro_rules! operations {
    ($($name:ident: |$a:ident| $result:expr;)*) => { &[$((stringify!($name), |$a| $result.into())),*] };
}

const OTHERS: Table<fn(&Arguments) -> Outputs> = operations! {
    // Elementwise, with attributes or more operands
    addcmul: |a| a.x().addcmul(a.var("a"), a.var("b"), a.float("value"));
    celu: |a| celu(a.x(), a.float("alpha"));
    clamp: |a| {
        let bound = |name, none| a.nullable(name, Arguments::float).unwrap_or(none);
        a.x().clamp(bound("min", f64::NEG_INFINITY), bound("max", f64::INFINITY))
    };
    elu: |a| a.x().elu(a.float("alpha"));
    gelu: |a| match a.text("approximate") {
        "none" => a.x().gelu(),
        "tanh" => a.x().gelu_tanh(),
        other => panic!("approximate is {other}"),
    };
    glu: |a| a.x().glu(a.integer("dim"));
    hardtanh: |a| a.x().hardtanh(a.float("min_val"), a.float("max_val"));
    leaky_relu: |a| a.x().leaky_relu(a.float("negative_slope"));
    lerp: |a| a.var("start").lerp(a.var("end"), a.var("weight"));
    logical_not: |a| a.bools("x").logical_not();
    masked_fill: |a| a.x().masked_fill(a.bools("mask"), a.float("value"));
    pow_scalar: |a| a.x().pow_scalar(a.float("exponent"));
    softplus: |a| a.x().softplus(a.float("beta"), a.float("threshold"));
    where: |a| Var::where_(a.bools("cond"), a.x(), a.var("y"));

    // Reductions
    all: |a| a.bools("x").all(a.axes());
    any: |a| a.bools("x").any(a.axes());
    argmax: |a| a.x().argmax(a.axes());
    argmin: |a| a.x().argmin(a.axes());
    logsumexp: |a| a.x().logsumexp(a.axes());
    max: |a| a.x().max(a.axes());
    mean: |a| a.x().mean(a.axes());
    min: |a| a.x().min(a.axes());
    norm: |a| a.x().norm(a.float("p"), a.axes());
    prod: |a| a.x().prod(a.axes());
    std: |a| a.x().std(a.axes(), a.size("correction"));
    sum: |a| a.x().sum(a.axes());
    var: |a| a.x().var(a.axes(), a.size("correction"));

    // Along an axis
    cosine_similarity: |a| a.var("a").cosine_similarity(a.var("b"), a.integer("dim"), a.float("eps"));
    cumprod: |a| a.x().cumprod(a.integer("dim"));
    cumsum: |a| a.x().cumsum(a.integer("dim"));
    log_softmax: |a| a.x().log_softmax(a.integer("dim"));
    softmax: |a| a.x().softmax(a.integer("dim"));
    sort: |a| a.x().sort(a.integer("dim"), a.flag("descending"));
    topk: |a| a.x().topk(a.size("k"), a.integer("dim"), a.flag("largest"));

    // Shapes
    chunk: |a| a.x().chunk(a.size("chunks"), a.integer("dim"));
    cat: |a| cat(&a.xs(), a.integer("dim"));
    diag: |a| a.x().diag(a.integer("diagonal"));
    diagonal: |a| a.x().diagonal(a.integer("offset"), a.integer("dim1"), a.integer("dim2"));
    expand: |a| a.x().expand(a.sizes("shape"));
    flip: |a| a.x().flip(a.all_or("dims"));
    pad: |a| {
        let value = a.float("value");
        let mode = match a.text("mode") {
            "constant" => PadMode::Constant(value),
            "reflect" => PadMode::Reflect,
            "replicate" => PadMode::Replicate,
            other => panic!("mode is {other}"),
        };
        let pair = |pair: &Json| <[isize; 2]>::try_from(crate::data::integers(pair)).expect("a pair");
        a.x().pad(a.items("pads").iter().map(pair).collect::<Vec<_>>(), mode)
    };
    permute: |a| a.x().permute(a.list("dims"));
    repeat_interleave: |a| a.x().repeat_interleave(a.size("repeats"), a.all_or("dim"));
    reshape: |a| a.x().reshape(a.list("shape"));
    roll: |a| a.x().roll(a.dims("shifts"), a.all_or("dims"));
    select: |a| a.x().select(a.integer("dim"), a.integer("index"));
    slice: |a| {
        let bounds = a.items("starts").iter().zip(a.items("stops")).zip(a.list("steps"));
        bounds.enumerate().fold(a.x().clone(), |x, (axis, ((start, stop), step))| {
            let bound = |bound: &Json| bound.as_i64().map(|bound| bound as isize);
            x.slice(axis as isize, Slice::new(bound(start), bound(stop), step))
        })
    };
    split: |a| a.x().split(a.sizes("sizes"), a.integer("dim"));
    squeeze: |a| a.x().squeeze(a.all_or("dim"));
    stack: |a| stack(&a.xs(), a.integer("dim"));
    tile: |a| a.x().tile(a.sizes("repeats"));
    transpose: |a| a.x().transpose(a.integer("dim0"), a.integer("dim1"));
    tril: |a| a.x().tril(a.integer("diagonal"));
    triu: |a| a.x().triu(a.integer("diagonal"));
    unsqueeze: |a| a.x().unsqueeze(a.integer("dim"));

    // Indices
    embedding: |a| {
        a.var("weight").embedding(a.integers("index"), a.nullable("padding_idx", Arguments::integer))
    };
    gather: |a| a.x().gather(a.integer("dim"), a.integers("index"));
    index_add: |a| a.x().index_add(a.integer("dim"), a.integers("index"), a.var("src"));
    index_select: |a| a.x().index_select(a.integer("dim"), a.integers("index"));
    one_hot: |a| a.integers("x").one_hot(a.size("num_classes"));
    scatter: |a| a.x().scatter(a.integer("dim"), a.integers("index"), a.var("src"));
    scatter_add: |a| a.x().scatter_add(a.integer("dim"), a.integers("index"), a.var("src"));

    // Matrices
    cholesky: |a| a.x().cholesky().or_panic();
    eigh: |a| a.x().eigh().or_panic().to_vec();
    eigvalsh: |a| a.x().eigvalsh().or_panic();
    einsum: |a| einsum(a.text("equation"), &a.xs());
    inverse: |a| a.x().inverse().or_panic();
    linear: |a| a.x().linear(a.var("weight"), a.optional("bias"));
    lstsq: |a| a.at(0).var().lstsq(a.at(1).var()).or_panic();
    matrix_norm: |a| a.x().matrix_norm(match a.label("ord").as_str() {
        "fro" => MatrixNorm::Frobenius,
        "nuc" => MatrixNorm::Nuclear,
        "2" => MatrixNorm::Spectral,
        "-2" => MatrixNorm::SmallestSingular,
        "1" => MatrixNorm::LargestColumn,
        "-1" => MatrixNorm::SmallestColumn,
        "inf" => MatrixNorm::LargestRow,
        "-inf" => MatrixNorm::SmallestRow,
        other => panic!("ord is {other}"),
    });
    pinv: |a| a.x().pinv().or_panic();
    qr: |a| a.x().qr().to_vec();
    slogdet: |a| a.x().slogdet().to_vec();
    solve_triangular: |a| a.var("A").solve_triangular(a.var("b"), a.flag("upper")).or_panic();
    svd: |a| a.x().svd().or_panic().to_vec();
    svdvals: |a| a.x().svdvals().or_panic();

    // Images
    adaptive_avg_pool2d: |a| a.x().adaptive_avg_pool2d(a.dims("output_size"));
    avg_pool2d: |a| a.x().avg_pool2d(pool(a).count_include_pad(a.flag("count_include_pad")));
    conv1d: |a| a.x().conv1d(a.var("weight"), a.optional("bias"), conv(a));
    conv2d: |a| a.x().conv2d(a.var("weight"), a.optional("bias"), conv(a));
    conv_transpose2d: |a| {
        let conv = conv(a).output_padding(a.dims("output_padding"));
        a.x().conv_transpose2d(a.var("weight"), a.optional("bias"), conv)
    };
    max_pool2d: |a| a.x().max_pool2d(pool(a).dilation(a.dims("dilation")));

    // Normalisation and attention
    batch_norm: |a| {
        let running = [a.optional("running_mean"), a.optional("running_var")];
        let running = match running {
            [Some(mean), Some(variance)] => Some([mean, variance]),
            [None, None] => None,
            _ => panic!("one running statistic without the other"),
        };
        let (training, momentum, eps) = (a.flag("training"), a.float("momentum"), a.float("eps"));
        a.x().batch_norm(running, a.optional("weight"), a.optional("bias"), training, momentum, eps)
    };
    group_norm: |a| {
        a.x().group_norm(a.size("num_groups"), a.optional("weight"), a.optional("bias"), a.float("eps"))
    };
    instance_norm: |a| a.x().instance_norm(a.optional("weight"), a.optional("bias"), a.float("eps"));
    layer_norm: |a| {
        let shape = a.sizes("normalized_shape");
        a.x().layer_norm(shape, a.optional("weight"), a.optional("bias"), a.float("eps"))
    };
    rms_norm: |a| a.x().rms_norm(a.sizes("normalized_shape"), a.optional("weight"), a.float("eps"));
    scaled_dot_product_attention: |a| {
        let mask = a.input("mask").map(|mask| match mask {
            Value::Float(mask) => AttentionMask::from(mask),
            mask => mask.bools().into(),
        });
        let scale = a.nullable("scale", Arguments::float);
        a.var("q").scaled_dot_product_attention(a.var("k"), a.var("v"), mask, a.flag("is_causal"), scale)
    };

    // Losses
    bce_loss: |a| {
        let loss = BceLoss { weight: a.optional("weight").cloned(), reduction: a.reduction() };
        loss.forward(a.x(), a.var("target"))
    };
    bce_with_logits_loss: |a| {
        let [weight, pos_weight] = ["weight", "pos_weight"].map(|name| a.optional(name).cloned());
        BceWithLogitsLoss { weight, pos_weight, reduction: a.reduction() }.forward(a.x(), a.var("target"))
    };
    cross_entropy: |a| {
        let loss = CrossEntropyLoss {
            weight: a.optional("weight").cloned(),
            ignore_index: a.integer("ignore_index") as i64,
            label_smoothing: a.float("label_smoothing"),
            reduction: a.reduction(),
        };
        match a.at(1) {
            Value::Float(target) => loss.forward(a.x(), target),
            target => loss.forward(a.x(), ClassTargets::from(target.integers())),
        }
    };
    huber_loss: |a| {
        HuberLoss { delta: a.float("delta"), reduction: a.reduction() }.forward(a.x(), a.var("target"))
    };
    kl_div: |a| {
        let loss = KlDivLoss { log_target: a.flag("log_target"), reduction: a.reduction() };
        loss.forward(a.x(), a.var("target"))
    };
    l1_loss: |a| L1Loss { reduction: a.reduction() }.forward(a.x(), a.var("target"));
    mse_loss: |a| MseLoss { reduction: a.reduction() }.forward(a.x(), a.var("target"));
    nll_loss: |a| {
        let loss = NllLoss {
            weight: a.optional("weight").cloned(),
            ignore_index: a.integer("ignore_index") as i64,
            reduction: a.reduction(),
        };
        loss.forward(a.x(), a.integers("target"))
    };
    smooth_l1_loss: |a| {
        SmoothL1Loss { beta: a.float("beta"), reduction: a.reduction() }.forward(a.x(), a.var("target"))
    };
};

/// The derivatives of the reference are not those of its values: for them it rounds alpha to single precision, in the
/// exponent alone. Gradus does not, so that function is made here, of `celu` at the rounded alpha; the values are those
/// of `celu` itself.
fn celu(x: &Var<f64>, alpha: f64) -> Var<f64> {
    let rounded = f64::from(alpha as f32);
    let differentiated = x.celu(rounded) * (alpha / rounded);
    let correction = (x.celu(alpha) - &differentiated).detach();
    Var::where_(x.value().gt(0.0), x, differentiated + correction)
}

/// In its derivative, as training runs have it, the reference rounds 1/6 to single precision. The values are those of
/// `hardsigmoid` itself.
fn hardsigmoid(x: &Var<f64>) -> Var<f64> {
    let y = x.hardsigmoid();
    let differentiated = &y * (6.0 * f64::from(1.0_f32 / 6.0));
    let correction = (y - &differentiated).detach();
    differentiated + correction
}

fn conv(a: &Arguments) -> Conv {
    Conv::new()
        .stride(a.dims("stride"))
        .padding(a.dims("padding"))
        .dilation(a.dims("dilation"))
        .groups(a.size("groups"))
}

fn pool(a: &Arguments) -> Pool {
    let pool = Pool::new(a.dims("kernel_size")).padding(a.dims("padding")).ceil_mode(a.flag("ceil_mode"));
    match a.nullable("stride", Arguments::dims) {
        Some(stride) => pool.stride(stride),
        None => pool,
    }
}

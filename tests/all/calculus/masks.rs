//! What is masked, ignored, not chosen or has weight 0 has no influence on values and derivatives, whatever it holds.
//!
//! A table of all that can have dead places: each runs with ordinary numbers there, then with NaN and infinities.

use gradus::{
    BceLoss, BceWithLogitsLoss, CrossEntropyLoss, Dropout, KlDivLoss, Losses, NllLoss, PadMode, Pool,
    Reduction, Tensor, Var, jvp, keepdim, seeded, vjp, vjp_create_graph,
};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;
/// For a place that is dead whatever it holds.
const ANY: &[f64] = &[NAN, INF, -INF];
/// For a logit that is dead because its probability is 0, as for -1e5.
const NEVER: &[f64] = &[-INF];

type Function = fn(&Var<f64>) -> Var<f64>;

/// An operation on a matrix `[3, 4]`, and what its dead places may hold. An ordinary number is written as such, a dead
/// place as one beyond 1e4, which is the ordinary number there.
struct Case {
    name: &'static str,
    function: Function,
    input: [[f64; 4]; 3],
    fillings: &'static [f64],
}

/// An ordinary number at a place that is dead.
const DEAD: f64 = 1e5;

fn case(name: &'static str, fillings: &'static [f64], input: [[f64; 4]; 3], function: Function) -> Case {
    Case { name, function, input, fillings }
}

/// The value, the tangent, and the gradient with what follows from it.
struct Results {
    value: Tensor<f64>,
    tangent: Tensor<f64>,
    gradients: [Tensor<f64>; 3],
}

fn results(function: Function, x: &Tensor<f64>) -> Results {
    let mut rng = seeded(7);
    let leaf = Var::leaf(x);
    let y = function(&leaf);
    let cotangent = Tensor::rand(y.shape(), &mut rng) + 0.5;
    let [weight, direction] = [(); 2].map(|()| Tensor::rand(x.shape(), &mut rng) + 0.5);
    let plain = vjp(&y, &cotangent, &[&leaf]).remove(0).expect("depends on the input");
    let recorded = vjp_create_graph(&y, &Var::constant(&cotangent), &[&leaf]).remove(0).expect("as above");
    let second = if recorded.is_tracked() { vjp(&recorded, &weight, &[&leaf]).remove(0) } else { None };
    let second = second.map_or_else(|| Tensor::zeros(x.shape()), Var::into_value);
    Results {
        value: y.value().clone(),
        tangent: jvp(&y, &[&leaf], &[direction]),
        gradients: [plain.into_value(), recorded.into_value(), second],
    }
}

/// What a case gives with ordinary numbers at the dead places it gives with any others, and nothing comes back to them.
fn hold(case: &Case) -> Result<(), String> {
    let ordinary = Tensor::from(case.input);
    let dead = ordinary.abs().eq(DEAD);
    assert!(dead.any(..).item(), "{}: no place is dead", case.name);
    let expected = results(case.function, &ordinary);
    if !expected.gradients.iter().chain([&expected.value]).all(|x| x.isfinite().all(..).item()) {
        return Err(format!("{}: with ordinary numbers a result is not finite", case.name));
    }
    for &filling in case.fillings {
        let got = results(case.function, &dead.where_(filling, &ordinary));
        let pairs = [
            ("value", &got.value, &expected.value),
            ("tangent", &got.tangent, &expected.tangent),
            ("gradient", &got.gradients[0], &expected.gradients[0]),
            ("recorded gradient", &got.gradients[1], &expected.gradients[1]),
            ("second gradient", &got.gradients[2], &expected.gradients[2]),
        ];
        for (what, got, expected) in pairs {
            if !got.allclose(expected, 1e-13, 1e-300) {
                return Err(format!(
                    "{}, {filling}: the {what} is {got:?} instead of {expected:?}",
                    case.name
                ));
            }
        }
        if !got.gradients.iter().all(|gradient| dead.where_(gradient, 0.0).eq(0.0).all(..).item()) {
            return Err(format!(
                "{}, {filling}: a gradient at a dead place is {:?}",
                case.name, got.gradients
            ));
        }
    }
    Ok(())
}

fn hold_all(cases: &[Case]) {
    let failures: Vec<String> = cases.iter().filter_map(|case| hold(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Rows of ordinary numbers around a column that is dead.
const COLUMN: [[f64; 4]; 3] = [[0.3, DEAD, 0.2, 0.7], [0.6, DEAD, 0.9, 0.1], [0.4, DEAD, 0.5, 0.8]];
/// The same with a row that is dead.
const ROW: [[f64; 4]; 3] = [[0.3, 0.6, 0.2, 0.7], [DEAD; 4], [0.4, 0.1, 0.5, 0.8]];
/// The same with a column of logits whose probability is 0.
const LOGITS: [[f64; 4]; 3] = [[0.3, -DEAD, 0.2, 0.7], [0.6, -DEAD, 0.9, 0.1], [0.4, -DEAD, 0.5, 0.8]];
/// One dead place in each row.
const ONE_EACH: [[f64; 4]; 3] = [[0.3, 0.6, 0.2, DEAD], [0.6, DEAD, 0.9, 0.1], [0.4, 0.2, DEAD, 0.8]];

/// One for each number of a row, but 0 at the second: for [`COLUMN`] and [`LOGITS`].
fn without_second() -> Tensor<f64> {
    Tensor::from([0.5, 0.0, 2.0, 1.0])
}

/// Which numbers of a row are not the second.
fn not_second() -> Tensor<bool> {
    without_second().gt(0.0)
}

#[test]
fn what_is_not_chosen_has_no_influence() {
    hold_all(&[
        case("where_", ANY, COLUMN, |x| Var::where_(not_second(), x.exp(), 1.0)),
        case("where_, the other way round", ANY, COLUMN, |x| {
            Var::where_(not_second().logical_not(), 2.0, x.square())
        }),
        case("where_, of roots", &[NAN, INF, -INF, 0.0, -1.0], COLUMN, |x| {
            Var::where_(not_second(), x.sqrt() * x.log() / x, 0.0)
        }),
        case("where_, then a root", ANY, COLUMN, |x| Var::where_(not_second(), x, 0.0).sqrt()),
        case("masked_fill", ANY, COLUMN, |x| x.masked_fill(not_second().logical_not(), 3.0).square()),
        case("lerp", ANY, COLUMN, |x| {
            Var::constant(Tensor::from([1.0, 2.0, 3.0, 4.0])).lerp(x, without_second()).square()
        }),
        case("multiply_no_nan", ANY, COLUMN, |x| x.exp().multiply_no_nan(without_second())),
        case("a masked sum", ANY, COLUMN, |x| Var::where_(not_second(), x.square(), 0.0).sum(1)),
        case("a masked mean", ANY, ROW, |x| {
            let rows = Tensor::from([[true], [false], [true]]);
            Var::where_(&rows, x.softmax(1) * x.logsumexp(keepdim(1)), 0.0).sum(..) / 2.0
        }),
        case("a masked log_softmax", ANY, ROW, |x| {
            Var::where_(Tensor::from([[true], [false], [true]]), x.log_softmax(1), 0.0).square()
        }),
        case("index_select", ANY, COLUMN, |x| x.index_select(1, Tensor::from([3, 0, 2, 0])).square()),
        case("gather", ANY, ONE_EACH, |x| x.gather(1, Tensor::from([[0, 1], [0, 3], [1, 3]])).exp()),
        case("slice", ANY, ROW, |x| x.slice(0, 2..).square()),
        case("select", ANY, COLUMN, |x| x.select(1, 2).square()),
        case("split", ANY, COLUMN, |x| x.split([1, 1, 2], 1).remove(2).square()),
        case("pad, cut off", ANY, [[DEAD; 4], [0.1, 0.2, 0.3, 0.4], [DEAD; 4]], |x| {
            x.pad([[-1, -1], [1, 0]], PadMode::Constant(2.0)).square()
        }),
        case("scatter, overwritten", ANY, COLUMN, |x| {
            x.scatter(1, Tensor::from([[1], [1], [1]]), &x.slice(1, 0..1)).square()
        }),
        case("scatter, a source overwritten", ANY, COLUMN, |x| {
            let index = Tensor::from([[0, 2, 2, 1]]).expand([3, 4]).contiguous();
            Var::constant(Tensor::zeros([3, 5])).scatter(1, &index, x).square()
        }),
        case("embedding", ANY, ROW, |x| x.embedding(Tensor::from([2, 0, 2]), Some(0)).square()),
        case(
            "diagonal",
            ANY,
            [[0.3, DEAD, DEAD, DEAD], [DEAD, 0.5, DEAD, DEAD], [DEAD, DEAD, 0.2, DEAD]],
            |x| x.diagonal(0, 0, 1).square(),
        ),
        case("tril", ANY, [[0.3, DEAD, DEAD, DEAD], [0.4, 0.5, DEAD, DEAD], [0.7, 0.1, 0.2, DEAD]], |x| {
            x.tril(0).square()
        }),
        case("triu", ANY, [[0.3, 0.6, 0.2, 0.7], [DEAD, 0.5, 0.9, 0.1], [DEAD, DEAD, 0.5, 0.8]], |x| {
            x.triu(0).square()
        }),
        case(
            "solve_triangular",
            ANY,
            [[2.0, DEAD, DEAD, 0.3], [0.4, 3.0, DEAD, 0.2], [0.7, 0.1, 2.0, 0.8]],
            |x| x.slice(1, 0..3).solve_triangular(&x.slice(1, 3..4), false).unwrap(),
        ),
        case("max", NEVER, [[0.3, 0.6, -DEAD, 0.7], [0.6, -DEAD, 0.9, 0.1], [-DEAD, 0.2, 0.5, 0.8]], |x| {
            x.max(1).square()
        }),
        case("min", &[INF], ONE_EACH, |x| x.min(1).square()),
        case("topk", NEVER, LOGITS, |x| x.topk(2, 1, true).0.square()),
        case("max_pool1d", NEVER, LOGITS, |x| x.max_pool1d(2).square()),
        case("max_pool2d", NEVER, LOGITS, |x| x.reshape([1, 3, 4]).max_pool2d(Pool::new([3, 2])).square()),
        case("adaptive_max_pool1d", NEVER, LOGITS, |x| x.adaptive_max_pool1d([2]).square()),
        case("maximum", NEVER, LOGITS, |x| x.maximum(0.25).square()),
        case("minimum", &[INF], ONE_EACH, |x| x.minimum(0.5).square()),
        case("clamp", &[INF], ONE_EACH, |x| x.clamp(0.0, 2.0).square()),
        case("hardtanh", NEVER, LOGITS, |x| x.hardtanh(-1.0, 2.0).sqrt().slice(1, 2..)),
        case("relu", NEVER, LOGITS, |x| (x.relu() + 1.0).log()),
        case("relu6", &[INF], ONE_EACH, |x| x.relu6().square()),
        case("hardsigmoid", &[INF], ONE_EACH, |x| x.hardsigmoid().square()),
        case("sigmoid", NEVER, LOGITS, |x| x.sigmoid().square()),
        case("exp", NEVER, LOGITS, |x| x.exp().square()),
        case(
            "dropout",
            ANY,
            [[DEAD, 0.6, DEAD, 0.7], [0.6, DEAD, DEAD, 0.1], [0.4, 0.2, 0.5, DEAD]],
            dropped,
        ),
    ]);
}

/// What remains when the results of the second row are discarded.
fn without_second_row(results: Var<f64>) -> Var<f64> {
    Var::where_(Tensor::from([[true], [false], [true]]), results, 0.0).square()
}

#[test]
fn a_lane_whose_result_is_discarded_has_no_influence() {
    hold_all(&[
        case("sum", ANY, ROW, |x| without_second_row(x.sum(keepdim(1)))),
        case("mean", ANY, ROW, |x| without_second_row(x.mean(keepdim(1)))),
        case("var", ANY, ROW, |x| without_second_row(x.var(keepdim(1), 1))),
        case("std", ANY, ROW, |x| without_second_row(x.std(keepdim(1), 1))),
        case("var of one element", ANY, ROW, |x| {
            // No degrees of freedom: NaN in every row, of which none remains.
            let nothing = Var::where_(Tensor::from(false), x.slice(1, 0..1).var(keepdim(1), 1), 0.0);
            without_second_row(x.square()) + nothing
        }),
        case("norm", ANY, ROW, |x| without_second_row(x.norm(2.0, keepdim(1)))),
        case("norm of order 3", ANY, ROW, |x| without_second_row(x.norm(3.0, keepdim(1)))),
        case("norm of order 1", ANY, ROW, |x| without_second_row(x.norm(1.0, keepdim(1)))),
        case("norm of infinite order", ANY, ROW, |x| without_second_row(x.norm(INF, keepdim(1)))),
        case("prod", ANY, ROW, |x| without_second_row(x.prod(keepdim(1)))),
        case("cumsum", ANY, ROW, |x| without_second_row(x.cumsum(1))),
        case("cumprod", ANY, ROW, |x| without_second_row(x.cumprod(1))),
        case("linear_recurrence", ANY, ROW, |x| without_second_row(x.linear_recurrence(1, x))),
        case("sort", ANY, ROW, |x| without_second_row(x.sort(1, false).0)),
        case("layer_norm", ANY, ROW, |x| without_second_row(x.layer_norm([4], None, None, 1e-5))),
        case("layer_norm with a weight", ANY, ROW, |x| {
            let weight = Var::constant(Tensor::from([0.5, 2.0, -1.0, 0.1]));
            without_second_row(x.layer_norm([4], Some(&weight), None, 1e-5))
        }),
        case("rms_norm", ANY, ROW, |x| without_second_row(x.rms_norm([4], None, 1e-5))),
        case("instance_norm", ANY, ROW, |x| {
            without_second_row(x.reshape([1, 3, 4]).instance_norm(None, None, 1e-5).reshape([3, 4]))
        }),
        case("cosine_similarity", ANY, ROW, |x| {
            let other = Var::constant(Tensor::from([[0.5, 2.0, -1.0, 0.1]]));
            without_second_row(x.cosine_similarity(other, 1, 1e-8).unsqueeze(1))
        }),
    ]);
}

/// The result of a layer that drops the dead places of the case above: the same as where the seed drops what it drops.
fn dropped(x: &Var<f64>) -> Var<f64> {
    let dead = Tensor::from([[DEAD, 0.0, DEAD, 0.0], [0.0, DEAD, DEAD, 0.0], [0.0, 0.0, 0.0, DEAD]]).ne(0.0);
    let seed = |seed: &u64| {
        let kept = Dropout::new(0.4, *seed).forward(Var::constant(Tensor::<f64>::ones([3, 4])));
        kept.value().eq(0.0) == dead
    };
    let seed = (0..100_000).find(seed).expect("some seed drops these");
    Dropout::new(0.4, seed).forward(x).square()
}

#[test]
fn what_has_probability_zero_has_no_influence() {
    hold_all(&[
        case("softmax", NEVER, LOGITS, |x| x.softmax(1)),
        case("softmax, then a root", NEVER, LOGITS, |x| (x.softmax(1) + 1.0).sqrt()),
        case("softmax, entropy", NEVER, LOGITS, |x| {
            let p = x.softmax(1);
            p.xlogy(&p).sum(1)
        }),
        case("log_softmax, weighted", NEVER, LOGITS, |x| x.log_softmax(1).multiply_no_nan(without_second())),
        case("log_softmax, chosen", NEVER, LOGITS, |x| x.log_softmax(1).select(1, 2).exp()),
        case("logsumexp", NEVER, LOGITS, |x| x.logsumexp(1).square()),
        case("logaddexp", NEVER, LOGITS, |x| x.logaddexp(0.5).square()),
        case("cross_entropy", NEVER, LOGITS, |x| x.cross_entropy(Tensor::from([0, 2, 3]))),
        case("cross_entropy of rows", NEVER, LOGITS, |x| {
            let loss = CrossEntropyLoss::new().reduction(Reduction::None);
            loss.forward(x, Tensor::from([0, 2, 3])).square()
        }),
        case("cross_entropy, probabilities", NEVER, LOGITS, |x| {
            x.cross_entropy(Tensor::from([
                [0.5, 0.0, 0.5, 0.0],
                [0.0, 0.0, 1.0, 0.0],
                [0.25, 0.0, 0.25, 0.5],
            ]))
        }),
        case("cross_entropy, probabilities and a class without weight", NEVER, LOGITS, |x| {
            CrossEntropyLoss::new().weight(without_second()).forward(x, Tensor::full([3, 4], 0.25))
        }),
        case("cross_entropy, smoothed, a class without weight", NEVER, LOGITS, |x| {
            let loss = CrossEntropyLoss::new().weight(without_second()).label_smoothing(0.2);
            loss.forward(x, Tensor::from([0, 1, 3]))
        }),
        case("cross_entropy, smoothed to the end", NEVER, LOGITS, |x| {
            let loss = CrossEntropyLoss::new().weight(without_second()).label_smoothing(1.0);
            loss.forward(x, Tensor::from([0, 1, 3]))
        }),
    ]);
}

#[test]
fn what_a_loss_leaves_out_has_no_influence() {
    hold_all(&[
        case("cross_entropy, ignored", ANY, ROW, |x| x.cross_entropy(Tensor::from([2, -100, 0]))),
        case("cross_entropy, ignored, smoothed", ANY, ROW, |x| {
            CrossEntropyLoss::new().label_smoothing(0.2).forward(x, Tensor::from([2, -100, 0]))
        }),
        case("cross_entropy, of a class without weight", ANY, ROW, |x| {
            CrossEntropyLoss::new().weight(without_second()).forward(x, Tensor::from([2, 1, 0]))
        }),
        case("cross_entropy, a row without probabilities", NEVER, LOGITS, |x| {
            x.cross_entropy(Tensor::from([[0.5, 0.0, 0.5, 0.0], [0.0; 4], [0.25, 0.0, 0.25, 0.5]]))
        }),
        case("nll_loss", ANY, ONE_EACH, |x| x.nll_loss(Tensor::from([0, 2, 3]))),
        case("nll_loss, ignored", ANY, ROW, |x| x.nll_loss(Tensor::from([0, -100, 3]))),
        case("nll_loss, of a class without weight", ANY, ROW, |x| {
            NllLoss::new().weight(without_second()).forward(x, Tensor::from([0, 1, 3]))
        }),
        case("kl_div", ANY, COLUMN, |x| x.kl_div(without_second().expand([3, 4]))),
        case("kl_div, of logarithms", ANY, COLUMN, |x| {
            KlDivLoss::new().log_target(true).forward(x, without_second().log().expand([3, 4]))
        }),
        case("kl_div, the logarithm of a target", NEVER, LOGITS, |x| {
            KlDivLoss::new().log_target(true).forward(&Var::constant(Tensor::from(COLUMN).log()), x)
        }),
        case("binary_cross_entropy, weighted", ANY, COLUMN, |x| {
            BceLoss::new().weight(without_second()).forward(x, Tensor::full([3, 4], 0.25))
        }),
        case("binary_cross_entropy_with_logits, weighted", ANY, COLUMN, |x| {
            BceWithLogitsLoss::new().weight(without_second()).forward(x, Tensor::full([3, 4], 0.25))
        }),
        case("binary_cross_entropy_with_logits, missed without weight", ANY, COLUMN, |x| {
            BceWithLogitsLoss::new().pos_weight(without_second()).forward(x, Tensor::ones([3, 4]))
        }),
        case("binary_cross_entropy_with_logits, sure of 0", NEVER, LOGITS, |x| {
            x.binary_cross_entropy_with_logits(not_second().cast::<f64>().expand([3, 4]))
        }),
        case("binary_cross_entropy_with_logits, sure of 1", &[INF], ONE_EACH, |x| {
            x.binary_cross_entropy_with_logits(Tensor::from(ONE_EACH).gt(0.5).cast::<f64>())
        }),
        case("binary_cross_entropy_with_logits, sure of 1, weighted", &[INF], ONE_EACH, |x| {
            let target = Tensor::from(ONE_EACH).gt(0.5).cast::<f64>();
            BceWithLogitsLoss::new().pos_weight(3.0).forward(x, target)
        }),
        case("xlogy", &[INF, -INF, 0.0, -1.0], COLUMN, |x| Var::constant(without_second()).xlogy(x)),
    ]);
}

/// Probabilities as targets give what indices give, also beside a class that is impossible.
#[test]
fn an_impossible_class() {
    let results = |targets: &dyn Fn(&Var<f64>) -> Var<f64>| {
        let x = Var::leaf(Tensor::from([0.0, -INF]));
        let loss = targets(&x);
        (loss.item(), loss.backward().get(&x).unwrap().to_vec())
    };
    assert_eq!(results(&|x| x.cross_entropy(Tensor::from([1.0, 0.0]))), (0.0, vec![0.0, 0.0]));
    assert_eq!(results(&|x| x.cross_entropy(Tensor::from(0))), (0.0, vec![0.0, 0.0]));
    // What is impossible, and happens.
    assert_eq!(results(&|x| x.cross_entropy(Tensor::from([0.5, 0.5]))).0, INF);
    assert_eq!(results(&|x| x.cross_entropy(Tensor::from(1))).0, INF);
    // log(1 + e^-x) at infinite logits, for targets of 0 and 1.
    let logits = Var::leaf(Tensor::from([INF, -INF, INF, -INF]));
    let loss = BceWithLogitsLoss::new().reduction(Reduction::None).forward(&logits, [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(loss.value(), &Tensor::from([0.0, 0.0, INF, INF]));
    assert_eq!(loss.sum(..).backward().get(&logits), Some(&Tensor::from([0.0, 0.0, 1.0, -1.0])));
}

/// A whole loss of weight 0, of numbers that have none.
#[test]
fn losses_of_weight_zero() {
    let x = Var::leaf(Tensor::from([[NAN, 1.0], [INF, -INF]]));
    let targets = Tensor::from([0, 1]);
    let losses = [
        x.cross_entropy(&targets),
        x.nll_loss(&targets),
        x.mse_loss(Tensor::zeros([2, 2])),
        x.l1_loss(Tensor::zeros([2, 2])),
        x.huber_loss(Tensor::zeros([2, 2])),
        x.smooth_l1_loss(Tensor::zeros([2, 2])),
        x.kl_div(Tensor::ones([2, 2])),
        x.binary_cross_entropy(Tensor::ones([2, 2])),
        x.binary_cross_entropy_with_logits(Tensor::ones([2, 2])),
    ];
    for loss in losses {
        let none = loss.multiply_no_nan(0.0);
        assert_eq!(none.item(), 0.0);
        assert_eq!(none.clone().backward().get(&x), Some(&Tensor::zeros([2, 2])));
        let recorded = vjp_create_graph(&none, &Var::constant(Tensor::from(1.0)), &[&x]).remove(0).unwrap();
        assert_eq!(recorded.value(), &Tensor::zeros([2, 2]));
    }
}

/// Running statistics with a momentum of 1 are those of the batch, and with 0 stay as they are.
#[test]
fn running_statistics_of_weight_zero() {
    let nan = Tensor::from([NAN, INF]);
    let x = Var::constant([[1.0, 2.0], [3.0, 6.0]]);
    let updated = |x: &Var<f64>, running: &Tensor<f64>, momentum| {
        let running = &Var::constant(running);
        x.batch_norm(Some([running; 2]), None, None, true, momentum, 1e-5).1.unwrap().map(Var::into_value)
    };
    assert_eq!(updated(&x, &nan, 1.0), [Tensor::from([2.0, 4.0]), Tensor::from([2.0, 8.0])]);
    let kept = Tensor::from([1.0, 2.0]);
    assert_eq!(updated(&(x * NAN), &kept, 0.0), [kept.clone(), kept]);
}

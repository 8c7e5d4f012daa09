//! NaN and infinity: they are handed on where they mean something, and stay out where they do not.

use gradus::{Losses, Tensor, Var, keepdim};
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[test]
fn nan_wins() {
    let x = Var::leaf(Tensor::from([1.0, NAN, -1.0]));
    let kept = |y: Var<f64>| y.value().isnan().to_vec() == [false, true, false];
    assert!(kept(x.relu()) && kept(x.leaky_relu(0.1)) && kept(x.elu(1.0)) && kept(x.clamp(-1.0, 1.0)));
    assert!(
        kept(x.abs())
            && kept(x.sign())
            && kept(x.sigmoid())
            && kept(x.gelu())
            && kept(x.gelu_tanh())
            && kept(x.softplus(1.0, 20.0))
    );
    assert!(kept(x.floor()) && kept(x.round()) && kept(x.maximum(0.0)) && kept(x.minimum(0.0)));
    // On either side, and against anything.
    for other in [1.0, 0.0, INF, -INF, NAN] {
        let (nan, other) = (Var::leaf(Tensor::from(NAN)), Var::leaf(Tensor::from(other)));
        assert!(nan.maximum(&other).item().is_nan() && other.maximum(&nan).item().is_nan());
        assert!(nan.minimum(&other).item().is_nan() && other.minimum(&nan).item().is_nan());
    }
    for result in [x.max(..), x.min(..), x.sum(..), x.mean(..), x.var(.., 0), x.logsumexp(..)] {
        assert!(result.item().is_nan());
    }
    // But only where it is.
    let rows = Var::constant([[1.0, NAN], [2.0, 3.0]]);
    assert_eq!(rows.max(1).value().to_vec()[1], 3.0);
    assert_eq!(rows.softmax(1).value().isnan().to_vec(), [true, true, false, false]);
}

proptest! {
    /// What is not chosen has no influence, on values or gradients, whatever it is.
    #[test]
    fn where_keeps_out_what_is_not_chosen(
        rows in prop::collection::vec((any::<bool>(), -2.0..2.0_f64, prop::sample::select(vec![NAN, INF, -INF, 1.0])), 1..6)
    ) {
        let condition = Tensor::from(rows.iter().map(|row| row.0).collect::<Vec<_>>());
        let column = |dead: bool| {
            let element = |row: &(bool, f64, f64)| if row.0 == dead { row.2 } else { row.1 };
            Var::leaf(Tensor::from(rows.iter().map(element).collect::<Vec<_>>()))
        };
        let (x, y) = (column(false), column(true));
        let chosen = Var::where_(&condition, &x, &y);
        let values = Tensor::from(rows.iter().map(|row| row.1).collect::<Vec<_>>());
        prop_assert_eq!(chosen.value(), &values);
        let gradients = chosen.square().sum(..).backward();
        let expected = |side: bool| condition.eq(side).where_(&values * 2.0, 0.0);
        prop_assert_eq!(gradients.get(&x), Some(&expected(true)));
        prop_assert_eq!(gradients.get(&y), Some(&expected(false)));
    }

    /// Logits of minus infinity, which mask something out: they have no weight, and the rest is as without them.
    #[test]
    fn masked_logits(values in prop::collection::vec(-5.0..5.0_f64, 2..6), place in any::<prop::sample::Index>()) {
        let place = place.index(values.len() + 1);
        let mut masked = values.clone();
        masked.insert(place, -INF);
        let (x, rest) = (Var::leaf(Tensor::from(masked)), Var::leaf(Tensor::from(values)));
        let without = |x: &Tensor<f64>| {
            let mut all = x.to_vec();
            all.remove(place);
            Tensor::from(all)
        };
        let (y, expected) = (x.softmax(0), rest.softmax(0));
        prop_assert_eq!(y.value().to_vec()[place], 0.0);
        prop_assert!(without(y.value()).allclose(expected.value(), 1e-14, 0.0));
        prop_assert_eq!(x.log_softmax(0).value().to_vec()[place], -INF);
        let close = |left: Var<f64>, right: Var<f64>| {
            let (left, right) = (left.backward(), right.backward());
            let (left, right) = (left.get(&x).unwrap(), right.get(&rest).unwrap());
            left.to_vec()[place] == 0.0 && without(left).allclose(right, 1e-12, 1e-15)
        };
        prop_assert!(close(y.square().sum(..), expected.square().sum(..)));
        prop_assert!(close(x.logsumexp(..), rest.logsumexp(..)));
        let target = usize::from(place == 0);
        let (here, there) = (Tensor::from(target as i64), Tensor::from(0));
        prop_assert!(close(x.cross_entropy(&here), rest.cross_entropy(&there)));
    }
}

#[test]
fn infinite_arguments() {
    let slope = |f: fn(&Var<f64>) -> Var<f64>, x: f64| super::jet(f, x)[1];
    for (x, sigmoid, tanh, softplus) in [(INF, 1.0, 1.0, INF), (-INF, 0.0, -1.0, 0.0)] {
        let leaf = Var::leaf(Tensor::from(x));
        assert_eq!(
            (leaf.sigmoid().item(), leaf.tanh().item(), leaf.softplus(1.0, 20.0).item()),
            (sigmoid, tanh, softplus)
        );
        assert_eq!(
            [slope(Var::sigmoid, x), slope(Var::tanh, x), slope(|x| x.softplus(1.0, 20.0), x)],
            [0.0, 0.0, sigmoid]
        );
        assert_eq!([slope(Var::atan, x), slope(Var::erf, x), slope(Var::relu, x)], [0.0, 0.0, sigmoid]);
    }
    // One largest that is infinite has all of the derivative.
    let x = Var::leaf(Tensor::from([1.0, INF, -INF]));
    assert_eq!(x.max(keepdim(0)).sum(..).backward().get(&x), Some(&Tensor::from([0.0, 1.0, 0.0])));
    assert_eq!(x.min(..).backward().get(&x), Some(&Tensor::from([0.0, 0.0, 1.0])));
}

/// The derivatives of NaN, infinity, minus infinity and 0 are those of PyTorch 2.15.
#[test]
fn derivatives_at_special_points() {
    type Function = fn(&Var<f64>) -> Var<f64>;
    let cases: [(&str, Function, [f64; 4]); 20] = [
        ("abs", |x| x.abs(), [0.0, 1.0, -1.0, 0.0]),
        ("relu", |x| x.relu(), [1.0, 1.0, 0.0, 0.0]),
        ("relu6", |x| x.relu6(), [1.0, 0.0, 0.0, 0.0]),
        ("leaky_relu", |x| x.leaky_relu(0.25), [0.25, 1.0, 0.25, 0.25]),
        ("elu", |x| x.elu(1.5), [1.0, 1.0, 0.0, 1.5]),
        ("celu", |x| x.celu(0.5), [1.0, 1.0, 0.0, 1.0]),
        ("hardtanh", |x| x.hardtanh(-1.0, 1.0), [1.0, 0.0, 0.0, 1.0]),
        ("clamp", |x| x.clamp(-1.0, 1.0), [0.0, 0.0, 0.0, 1.0]),
        ("hardsigmoid", |x| x.hardsigmoid(), [0.0, 0.0, 0.0, 1.0 / 6.0]),
        ("hardswish", |x| x.hardswish(), [1.0, 1.0, 0.0, 0.5]),
        ("silu", |x| x.silu(), [NAN, NAN, NAN, 0.5]),
        ("mish", |x| x.mish(), [NAN, NAN, NAN, 0.6]),
        ("softsign", |x| x.softsign(), [NAN, NAN, NAN, 1.0]),
        ("softplus", |x| x.softplus(1.0, 20.0), [NAN, 1.0, 0.0, 0.5]),
        ("logsigmoid", |x| x.logsigmoid(), [NAN, 0.0, 1.0, 0.5]),
        ("acosh", |x| x.acosh(), [NAN, 0.0, 0.0, NAN]),
        ("erfc", |x| x.erfc(), [NAN, 0.0, 0.0, -std::f64::consts::FRAC_2_SQRT_PI]),
        ("lgamma", |x| x.lgamma(), [NAN, INF, NAN, -INF]),
        ("digamma", |x| x.digamma(), [NAN, 0.0, NAN, INF]),
        ("frac", |x| x.frac(), [1.0, 1.0, 1.0, 1.0]),
    ];
    for (name, f, expected) in cases {
        for (x, expected) in [NAN, INF, -INF, 0.0].into_iter().zip(expected) {
            let got = super::jet(f, x)[1];
            assert!(
                (got - expected).abs() < 1e-15 || got == expected || got.is_nan() && expected.is_nan(),
                "{name} at {x}: {got} instead of {expected}"
            );
        }
    }
}

#[test]
fn probabilities_of_nothing() {
    // Rows that are all left out have no mean.
    let x = Var::leaf(Tensor::from([[1.0_f64, 2.0], [3.0, 4.0]]));
    assert!(x.cross_entropy(Tensor::from([-100, -100])).item().is_nan());
    // One that is left out has no influence, whatever it is.
    let x = Var::leaf(Tensor::from([[1.0, 1.0], [NAN, INF]]));
    let loss = x.cross_entropy(Tensor::from([0, -100]));
    assert_eq!(loss.item(), 2.0_f64.ln());
    // The logarithms of 0 are -100, and derivatives stay finite.
    let (x, target) = (Var::leaf(Tensor::from([0.0, 1.0, 0.0, 1.0])), Tensor::from([0.0, 1.0, 1.0, 0.0]));
    let loss = x.binary_cross_entropy(&target);
    assert_eq!(loss.item(), 50.0);
    let large = 1.0 / f64::from(1e-12_f32) / 4.0;
    assert_eq!(loss.backward().get(&x), Some(&Tensor::from([0.0, 0.0, -large, large])));
    // Where the target is 0, so is the divergence, and its derivative with respect to the prediction.
    let x = Var::leaf(Tensor::from([-3.0, 0.0]));
    let loss = x.kl_div([0.0, 1.0]);
    assert_eq!(loss.item(), 0.0);
    assert_eq!(loss.backward().get(&x), Some(&Tensor::from([0.0, -0.5])));
    // A vector of length 0 has no direction.
    let x = Var::leaf(Tensor::from([0.0, 0.0]));
    let cosine = x.cosine_similarity([3.0, 4.0], 0, 0.5);
    assert_eq!(cosine.item(), 0.0);
    assert_eq!(cosine.backward().get(&x), Some(&Tensor::from([1.2, 1.6])));
}

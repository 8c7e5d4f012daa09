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
            && kept(x.softplus())
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
    let slope = |f: fn(&Var<f64>) -> Var<f64>, x: f64| crate::jet(f, x)[1];
    for (x, sigmoid, tanh, softplus) in [(INF, 1.0, 1.0, INF), (-INF, 0.0, -1.0, 0.0)] {
        let leaf = Var::leaf(Tensor::from(x));
        assert_eq!(
            (leaf.sigmoid().item(), leaf.tanh().item(), leaf.softplus().item()),
            (sigmoid, tanh, softplus)
        );
        assert_eq!(
            [slope(Var::sigmoid, x), slope(Var::tanh, x), slope(Var::softplus, x)],
            [0.0, 0.0, sigmoid]
        );
        assert_eq!([slope(Var::atan, x), slope(Var::erf, x), slope(Var::relu, x)], [0.0, 0.0, sigmoid]);
    }
    // One largest that is infinite has all of the derivative.
    let x = Var::leaf(Tensor::from([1.0, INF, -INF]));
    assert_eq!(x.max(keepdim(0)).sum(..).backward().get(&x), Some(&Tensor::from([0.0, 1.0, 0.0])));
    assert_eq!(x.min(..).backward().get(&x), Some(&Tensor::from([0.0, 0.0, 1.0])));
}

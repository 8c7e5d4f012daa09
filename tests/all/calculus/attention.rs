//! Attention beside infinities and NaN: what a query does not see has no influence on it, whatever it holds, and
//! whatever a query does see comes through.

use gradus::prelude::*;
use gradus::{grad_create_graph, vjp, vjp_create_graph};
use proptest::prelude::*;
use proptest::sample::Index;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// Queries, keys, values, and what is added to the scores.
type Operands = [Tensor<f64>; 4];

/// For each query, attention over the keys that it sees, as if there were no others.
fn query_by_query(x: &[Var<f64>], causal: bool) -> Var<f64> {
    let (queries, keys) = (x[0].shape()[0], x[1].shape()[0]);
    let row = |i: usize| {
        let mask = x[3].slice(0, i..i + 1);
        let sees = |&key: &usize| !(causal && key > i) && mask.value().to_vec()[key] != -INF;
        let seen = Tensor::from((0..keys).filter(sees).map(|key| key as i64).collect::<Vec<_>>());
        let (key, value) = (x[1].index_select(0, &seen), x[2].index_select(0, &seen));
        let scores = x[0].slice(0, i..i + 1).matmul(&key.t()) * 0.5 + mask.index_select(1, &seen);
        if seen.is_empty() {
            return scores.matmul(&value);
        }
        let blind = scores.value().max(keepdim(-1)).eq(-INF);
        let weights = Var::where_(&blind, 0.0, scores).softmax(-1);
        Var::where_(&blind, 0.0, weights).matmul(&value)
    };
    let rows: Vec<Var<f64>> = (0..queries).map(row).collect();
    cat(&rows.iter().collect::<Vec<_>>(), 0)
}

fn fused(x: &[Var<f64>], causal: bool) -> Var<f64> {
    x[0].scaled_dot_product_attention(&x[1], &x[2], Some((&x[3]).into()), causal, Some(0.5))
}

/// The result, and its gradients with respect to all operands for a cotangent: plain, and recorded.
fn jet(
    f: impl Fn(&[Var<f64>]) -> Var<f64>,
    operands: &Operands,
    cotangent: &Tensor<f64>,
) -> [Vec<Tensor<f64>>; 2] {
    let leaves: Vec<Var<f64>> = operands.iter().map(Var::leaf).collect();
    let inputs: Vec<&Var<f64>> = leaves.iter().collect();
    let y = f(&leaves);
    let recorded = vjp_create_graph(&y, &Var::constant(cotangent), &inputs);
    [vjp(&y, cotangent, &inputs), recorded].map(|gradients| {
        let gradient = |(gradient, x): (Option<Var<f64>>, &Tensor<f64>)| {
            gradient.map_or_else(|| Tensor::zeros(x.shape()), Var::into_value)
        };
        let gradients = gradients.into_iter().zip(operands).map(gradient);
        std::iter::once(y.value().clone()).chain(gradients).collect()
    })
}

/// Equal up to rounding; infinities and NaN only to themselves.
fn close(left: &Tensor<f64>, right: &Tensor<f64>) -> bool {
    let close = |(x, y): (f64, f64)| {
        x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= 1e-11 * (1.0 + y.abs()) && y.is_finite()
    };
    left.shape() == right.shape() && left.iter().zip(right.iter()).all(close)
}

/// Operands of which some numbers are special ones, and a cotangent.
fn problem() -> impl Strategy<Value = (Operands, Tensor<f64>, bool)> {
    let special = || prop::sample::select(vec![NAN, INF, -INF]);
    let places = prop::collection::vec((0..4_usize, any::<Index>(), special()), 0..3);
    // A key that no query sees may hold anything, numbers close to overflow included.
    let unseen = prop::option::of((any::<Index>(), prop::sample::select(vec![NAN, INF, -INF, 1e300])));
    let sizes = (
        prop_oneof![1..=4_usize, 30..=70_usize],
        prop_oneof![1..=4_usize, 30..=70_usize],
        1..=3_usize,
        1..=3_usize,
    );
    (sizes, places, unseen, 0.0..0.5, any::<bool>(), any::<u64>()).prop_map(
        |((queries, keys, width, values), places, unseen, masked, causal, seed)| {
            let rng = &mut seeded(seed);
            let mut tensors: [Tensor<f64>; 4] =
                [[queries, width], [keys, width], [keys, values], [queries, values]]
                    .map(|shape| Tensor::randn(shape, rng));
            let random = Tensor::<f64>::rand([queries, keys], rng);
            let mut mask = random.map(|x| if x < masked { -INF } else { x });
            for (which, place, special) in places {
                let mut numbers = tensors[which].to_vec();
                let place = place.index(numbers.len());
                numbers[place] = special;
                tensors[which] = Tensor::from(numbers).reshape(tensors[which].shape());
            }
            if let Some((key, special)) = unseen {
                let here = Tensor::arange(0, keys as i64, 1).eq(key.index(keys) as i64);
                mask = mask.masked_fill(&here, -INF);
                for which in [1, 2] {
                    tensors[which] = tensors[which].masked_fill(&here.unsqueeze(1), special);
                }
            }
            let [query, key, value, cotangent] = tensors;
            ([query, key, value, mask], cotangent, causal)
        },
    )
}

proptest! {
    #[test]
    fn what_is_seen_and_nothing_else((operands, cotangent, causal) in problem()) {
        let [expected, _] = jet(|x| query_by_query(x, causal), &operands, &cotangent);
        let [plain, recorded] = jet(|x| fused(x, causal), &operands, &cotangent);
        let names = ["result", "query", "key", "value", "mask"];
        for (i, name) in names.into_iter().enumerate() {
            prop_assert!(close(&plain[i], &expected[i]), "{name}: {:?} instead of {:?}", plain[i], expected[i]);
            // What a slope of 0 is multiplied by has no influence in rules on the tape; in a product of matrices it has.
            let recorded = if i == 0 { recorded[i].clone() } else { recorded[i].masked_fill(&expected[i].isnan(), NAN) };
            prop_assert!(close(&recorded, &expected[i]), "{name}, recorded: {recorded:?} instead of {:?}", expected[i]);
        }
    }

    /// In whichever order the keys come.
    #[test]
    fn keys_in_any_order((operands, cotangent, _) in problem(), seed: u64) {
        let keys = operands[1].shape()[0];
        let order = Tensor::<f64>::rand([keys], &mut seeded(seed)).sort(0, false).1;
        let back = order.sort(0, false).1;
        let [query, key, value, mask] = &operands;
        let moved = [query.clone(), key.index_select(0, &order), value.index_select(0, &order), mask.index_select(1, &order)];
        let [expected, _] = jet(|x| fused(x, false), &operands, &cotangent);
        let [got, _] = jet(|x| fused(x, false), &moved, &cotangent);
        let got = [&got[0], &got[1], &got[2].index_select(0, &back), &got[3].index_select(0, &back), &got[4].index_select(1, &back)];
        for (i, got) in got.into_iter().enumerate() {
            prop_assert!(close(got, &expected[i]), "{i}: {got:?} instead of {:?}", expected[i]);
        }
    }
}

/// NaN times anything is NaN, and a softmax of NaN is NaN: beside a key that is masked, too, and on either side of it.
#[test]
fn nan_beside_a_masked_key() {
    for keys in [[NAN, 1.0], [1.0, NAN]] {
        let mask = Tensor::from(keys.map(|key| if key.is_nan() { 0.0 } else { -INF })).unsqueeze(0);
        let query = Var::constant([[1.0]]);
        let (key, value) = (Var::constant(Tensor::from(keys).unsqueeze(1)), Var::constant([[1.0], [1.0]]));
        let mask = Var::constant(mask);
        let y = query.scaled_dot_product_attention(&key, &value, Some((&mask).into()), false, None);
        assert!(y.item().is_nan(), "{keys:?}");
    }
}

/// The keys behind a query have weight 0 for it, whatever their values: within a block of queries as beyond it.
#[test]
fn later_values_are_out_of_sight() {
    let (query, key) = (Var::constant(Tensor::zeros([40, 1])), Var::constant(Tensor::zeros([40, 1])));
    let numbers = Tensor::arange(0, 40, 1).map(|i| if i < 20 { i as f64 } else { NAN }).unsqueeze(1);
    let value = Var::leaf(numbers);
    let y = query.scaled_dot_product_attention(&key, &value, None, true, None);
    // All scores are equal: means of 0, 1, .., i.
    for (i, y) in y.value().iter().enumerate() {
        assert!(if i < 20 { (y - i as f64 / 2.0).abs() < 1e-12 } else { y.is_nan() }, "{i}: {y}");
    }
    let first = y.slice(0, ..1).sum(..);
    let slope = grad_create_graph(&first, &[&value]).remove(0);
    let expected = Tensor::arange(0, 40, 1).map(|i| f64::from(u8::from(i == 0))).unsqueeze(1);
    assert_eq!(first.backward().get(&value), Some(&expected));
    assert_eq!(slope.value(), &expected);
}

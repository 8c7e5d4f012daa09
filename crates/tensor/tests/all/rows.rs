//! Functions of whole lanes, against their definitions in other operations, in every layout.

use crate::common::*;
use gradus_tensor::{Tensor, keepdim};
use proptest::prelude::*;

/// A tensor and one of its axes, counted from either end.
fn with_axis() -> impl Strategy<Value = (Laid<f64>, isize)> {
    shape(1..=4).prop_flat_map(|shape| {
        let rank = shape.len() as isize;
        (laid_of(&shape, &f64::tame()), -rank..rank)
    })
}

fn targets(x: &Tensor<f64>, axis: isize, seed: u64) -> Tensor<i64> {
    let mut shape = x.shape().to_vec();
    let classes = shape.remove(axis.rem_euclid(x.rank() as isize) as usize) as f64;
    (Tensor::<f64>::rand(shape, &mut gradus_tensor::seeded(seed)) * classes).cast()
}

proptest! {
    #[test]
    fn softmax((x, axis) in with_axis()) {
        let powers = x.tensor.exp();
        let got = x.tensor.softmax(axis);
        prop_assert!(got.allclose(&(&powers / powers.sum(keepdim(axis))), 1e-13, 0.0));
        prop_assert_eq!(got, x.naive.tensor().softmax(axis));
    }

    #[test]
    fn cross_entropy((x, axis) in with_axis(), seed: u64, scale in -2.0..2.0_f64) {
        prop_assume!(!x.tensor.is_empty());
        let targets = targets(&x.tensor, axis, seed);
        let index = targets.unsqueeze(axis);
        let picked = x.tensor.gather(axis, &index);
        let expected = (x.tensor.logsumexp(keepdim(axis)) - picked).mean(..);
        prop_assert!(x.tensor.cross_entropy(axis, &targets, None).allclose(&expected, 1e-13, 1e-13));
        let minus_one = Tensor::full(index.shape(), -1.0);
        let expected = x.tensor.softmax(axis).scatter_add(axis, &index, &minus_one) * scale;
        let got = x.tensor.softmax_minus_one_hot(axis, &targets, None, scale);
        prop_assert!(got.allclose(&expected, 1e-13, 1e-15));
    }

    /// Lanes that are ignored might as well not be there, whatever is in them.
    #[test]
    fn ignored_targets(rows in 0..6_usize, classes in 1..5_usize, ignored in 0..64_u8, index in -3..7_i64, seed: u64) {
        let rng = &mut gradus_tensor::seeded(seed);
        let is_ignored: Tensor<bool> = (0..rows).map(|row| ignored >> row & 1 == 1).collect();
        let x = Tensor::<f64>::randn([rows, classes], rng).masked_fill(&is_ignored.unsqueeze(1), f64::NAN);
        let drawn = Tensor::randint([rows], 0..classes as i64, rng);
        // An index that is a class ignores the rows of this class, too.
        let is_ignored = is_ignored | drawn.eq(index);
        let targets = is_ignored.where_(index, drawn);
        let kept = (!&is_ignored).nonzero().select(1, 0);
        let (x_kept, targets_kept) = (x.index_select(0, &kept), targets.index_select(0, &kept));
        let (loss, expected) =
            (x.cross_entropy(1, &targets, Some(index)), x_kept.cross_entropy(1, &targets_kept, None));
        prop_assert!(loss.allclose(&expected, 1e-14, 0.0) || kept.is_empty() && loss.item().is_nan());
        let gradient = x.softmax_minus_one_hot(1, &targets, Some(index), 0.5);
        let expected = x_kept.softmax_minus_one_hot(1, &targets_kept, None, 0.5);
        prop_assert_eq!(gradient.index_select(0, &kept), expected);
        prop_assert!(gradient.masked_fill(&!is_ignored.unsqueeze(1), 0.0).eq(0.0).all(..).item());
    }

    #[test]
    fn layer_norm(front in shape(0..=2), last in full_shape(1..=2), seed: u64, weighted: bool, biased: bool) {
        let rng = &mut gradus_tensor::seeded(seed);
        let shape = [&front[..], &last].concat();
        let x = Tensor::<f64>::randn(&shape, rng);
        let [weight, bias] = [(); 2].map(|()| Tensor::<f64>::randn(&last, rng));
        let axes: Vec<usize> = (front.len()..shape.len()).collect();
        let centred = &x - x.mean(keepdim(&axes[..]));
        let mut expected = &centred / (centred.square().mean(keepdim(&axes[..])) + 0.25).sqrt();
        if weighted {
            expected *= &weight;
        }
        if biased {
            expected += &bias;
        }
        // Transposed twice, through a copy, so that the rows do not lie together.
        let order: Vec<usize> = (0..shape.len()).rev().collect();
        let turned = x.permute(&order[..]).contiguous().permute(order);
        for x in [&x, &turned] {
            let got = x.layer_norm(&last, weighted.then_some(&weight), biased.then_some(&bias), 0.25);
            prop_assert!(got.allclose(&expected, 1e-13, 1e-13));
        }
    }

    #[test]
    fn linear(front in shape(0..=3), inner in size(), out in size(), seed: u64) {
        let rng = &mut gradus_tensor::seeded(seed);
        let x = Tensor::<f64>::randn([&front[..], &[inner]].concat(), rng);
        let (weight, bias) = (Tensor::<f64>::randn([inner, out], rng), Tensor::<f64>::randn([out], rng));
        let product = x.matmul(&weight);
        prop_assert!(x.linear(&weight.t(), Some(&bias)).allclose(&(&product + &bias), 1e-13, 1e-13));
        prop_assert!(x.linear(&weight.t().contiguous(), None).allclose(&product, 1e-13, 1e-13));
    }
}

#[test]
fn rows_of_nothing() {
    let x = Tensor::<f64>::zeros([0, 3]);
    assert!(x.cross_entropy(1, &Tensor::zeros([0]), None).item().is_nan());
    assert_eq!(x.softmax_minus_one_hot(1, &Tensor::zeros([0]), None, 1.0), x);
    assert_eq!(x.layer_norm([3], None, None, 0.0), x);
    assert_eq!(x.t().layer_norm([0], None, None, 0.0), x.t());
    assert_eq!(x.softmax(0), x);
}

#[test]
fn rows_of_extremes() {
    let x = Tensor::from([[1e300, -1e300, 0.0], [-f64::INFINITY, 0.0, 0.0]]);
    assert_eq!(x.softmax(1), Tensor::from([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]));
    assert_eq!(x.cross_entropy(1, &Tensor::from([1, 0]), None).item(), f64::INFINITY);
    assert_eq!(x.slice(0, ..1).cross_entropy(1, &Tensor::from([1]), None).item(), 2e300);
    // A small loss at large logits keeps as many digits as at small ones.
    let near = Tensor::from([[1e8, 1e8 - 30.0]]);
    assert_eq!(near.cross_entropy(1, &Tensor::from([0]), None).item(), (1.0 + (-30.0_f64).exp()).ln());
}

//! Losses, against their formulas written out.

use gradus::prelude::*;
use gradus::testing::{shapes, tensors};
use proptest::prelude::*;

fn close(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= 1e-13 * expected.abs().max(1.0) || got.is_nan() && expected.is_nan()
}

fn mean(terms: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = terms.len() as f64;
    terms.sum::<f64>() / count
}

/// Two tensors of one shape.
fn pairs(
    range: std::ops::Range<f64>,
    targets: std::ops::Range<f64>,
) -> impl Strategy<Value = (Tensor<f64>, Tensor<f64>)> {
    shapes(0..=3, 0..=4).prop_flat_map(move |shape| {
        (tensors(Just(shape.clone()), range.clone()), tensors(Just(shape), targets.clone()))
    })
}

proptest! {
    #[test]
    fn mse((x, y) in pairs(-3.0..3.0, -3.0..3.0)) {
        let expected = mean(x.to_vec().into_iter().zip(y.to_vec()).map(|(x, y)| (x - y) * (x - y)));
        prop_assert!(close(Var::constant(&x).mse_loss(&y).item(), expected));
        // Targets can be variables, and get the opposite gradient.
        let (x, y) = (Var::leaf(&x), Var::leaf(&y));
        let gradients = x.mse_loss(&y).backward_with(&Tensor::from(1.0));
        prop_assert_eq!(gradients.get(&x).unwrap(), &-gradients.get(&y).unwrap());
        let expected = (x.value() - y.value()) * (2.0 / x.len() as f64);
        prop_assert!(gradients.get(&x).unwrap().allclose(&expected, 1e-14, 0.0));
    }

    #[test]
    fn binary_cross_entropy((x, t) in pairs(-20.0..20.0, 0.0..1.0)) {
        let term = |(x, t): (f64, f64)| {
            let p = 1.0 / (1.0 + (-x).exp());
            -t * p.ln() - (1.0 - t) * (-p).ln_1p()
        };
        let expected = mean(x.to_vec().into_iter().zip(t.to_vec()).map(term));
        let got = Var::constant(&x).binary_cross_entropy_with_logits(&t).item();
        // The naive formula loses digits where p is near 1.
        prop_assert!((got - expected).abs() < 1e-6 || got.is_nan() && expected.is_nan());
        prop_assert!(x.iter().any(|x| x.abs() > 5.0) || close(got, expected), "{} {}", got, expected);
    }

    /// The axis of classes is the second one, or the only one.
    #[test]
    fn cross_entropy(rows in 0..4_usize, classes in 1..5_usize, positions in prop::option::of(0..4_usize), single: bool, seed: u64) {
        let (batch, rest): (Vec<usize>, Vec<usize>) =
            if single { (vec![], vec![]) } else { (vec![rows], positions.into_iter().collect()) };
        let rng = &mut seeded(seed);
        let logits = Tensor::<f64>::randn([&batch[..], &[classes], &rest].concat(), rng);
        let targets: Tensor<i64> = (Tensor::<f64>::rand([&batch[..], &rest].concat(), rng) * classes as f64).cast();
        let got = Var::constant(&logits).cross_entropy(&targets).item();
        let inner: usize = rest.iter().product();
        let (logits, targets) = (logits.to_vec(), targets.to_vec());
        let term = |(i, &target): (usize, &i64)| {
            let logit = |class: usize| logits[(i / inner * classes + class) * inner + i % inner];
            (0..classes).map(|class| logit(class).exp()).sum::<f64>().ln() - logit(target as usize)
        };
        prop_assert!(close(got, mean(targets.iter().enumerate().map(term))));
    }
}

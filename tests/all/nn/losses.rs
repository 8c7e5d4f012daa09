//! Losses, against their formulas written out.

use gradus::prelude::*;
use gradus::testing::{shapes, tensors};
use gradus::{CrossEntropyLoss, MseLoss, Reduction, grad, grad_create_graph};
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

    /// One number is a target for all elements.
    #[test]
    fn targets_of_one_number(x in tensors(shapes(0..=3, 0..=4), 0.1..0.9), target in 0.1..0.9) {
        let (x, full) = (Var::leaf(&x), Tensor::full(x.shape(), target));
        let close = |loss: Var<f64>, expected: Var<f64>| -> Result<(), TestCaseError> {
            let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
            prop_assert!(same(loss.item(), expected.item()), "{} and {}", loss.item(), expected.item());
            if !loss.item().is_nan() {
                let [got, expected] = [loss, expected].map(Var::backward);
                prop_assert_eq!(got.get(&x), expected.get(&x));
            }
            Ok(())
        };
        close(x.mse_loss(target), x.mse_loss(&full))?;
        close(x.l1_loss(target), x.l1_loss(&full))?;
        close(x.huber_loss(target), x.huber_loss(&full))?;
        close(x.binary_cross_entropy(target), x.binary_cross_entropy(&full))?;
        close(x.binary_cross_entropy_with_logits(target), x.binary_cross_entropy_with_logits(&full))?;
        close(x.kl_div(target), x.kl_div(&full))?;
        // The gradient of the target is the sum of the gradients of all elements.
        let target = Var::leaf(Tensor::from(target));
        let gradients = MseLoss::new().reduction(Reduction::Sum).forward(&x, &target).backward();
        let (of_x, of_target) = (gradients.get(&x).unwrap(), gradients.get(&target).unwrap());
        prop_assert!((of_x.sum(..).item() + of_target.item()).abs() < 1e-12);
    }

    /// Each reduction of the same squared errors.
    #[test]
    fn reductions_of_mse((x, y) in pairs(-3.0..3.0, -3.0..3.0)) {
        let squares: Vec<f64> = x.iter().zip(y.iter()).map(|(x, y)| (x - y) * (x - y)).collect();
        let total: f64 = squares.iter().sum();
        let loss = |reduction| MseLoss::new().reduction(reduction).forward(&Var::constant(&x), &y);
        let each = loss(Reduction::None);
        prop_assert_eq!(each.shape(), x.shape());
        prop_assert!(each.value().iter().zip(&squares).all(|(got, expected)| close(got, *expected)));
        prop_assert!(close(loss(Reduction::Sum).item(), total));
        prop_assert!(close(loss(Reduction::Mean).item(), total / squares.len() as f64));
        let rows = x.shape().first().map_or(1.0, |&rows| rows as f64);
        prop_assert!(close(loss(Reduction::BatchMean).item(), total / rows));
    }

    /// Smoothed targets are the probabilities `(1 - s) [class is right] + s / classes`: for indices, for probabilities,
    /// and in the cross-entropy written out.
    #[test]
    fn label_smoothing(rows in 1..4_usize, classes in 1..5_usize, smoothing in 0.0..=1.0_f64, weighted: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let logits = Tensor::<f64>::randn([rows, classes], rng);
        let targets: Tensor<i64> = (Tensor::<f64>::rand([rows], rng) * classes as f64).cast();
        let weight = if weighted { Tensor::<f64>::rand([classes], rng) + 0.1 } else { Tensor::ones([classes]) };
        let loss = CrossEntropyLoss::new().label_smoothing(smoothing).weight(&weight);
        let x = Var::constant(&logits);
        let [mut total, mut of_targets] = [0.0; 2];
        for (row, target) in targets.iter().enumerate() {
            let all = (0..classes).map(|class| logits[[row, class]].exp()).sum::<f64>().ln();
            for class in 0..classes {
                let right = if class as i64 == target { 1.0 } else { 0.0 };
                let probability = (1.0 - smoothing) * right + smoothing / classes as f64;
                total += probability * weight[[class]] * (all - logits[[row, class]]);
                of_targets += right * weight[[class]];
            }
        }
        prop_assert!(close(loss.clone().reduction(Reduction::Sum).forward(&x, &targets).item(), total));
        prop_assert!(close(loss.forward(&x, &targets).item(), total / of_targets));
        let one_hot = Tensor::arange(0_i64, classes as i64, 1).eq(targets.unsqueeze(1)).map(|right| if right { 1.0 } else { 0.0 });
        prop_assert!(close(loss.forward(&x, &one_hot).item(), total / rows as f64));
        if !weighted {
            let plain = CrossEntropyLoss::new().label_smoothing(smoothing);
            prop_assert!(close(plain.forward(&x, &targets).item(), total / of_targets));
        }
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

/// The values, the derivatives and the second derivatives of PyTorch 2.15 where probabilities are saturated: its bounds
/// are part of the convention. The derivative with respect to the target, infinite in PyTorch at 0 and 1, is here the
/// derivative of the bounded value.
#[test]
fn saturated_binary_cross_entropy() {
    // Probability x, target t, value, and the derivatives by x, by t, by x and x, and by x and t.
    let rows = [
        [0.0, 0.0, 0.0, 0.0, 100.0, 0.0, -1e12],
        [1.0, 1.0, 0.0, 0.0, -100.0, 0.0, -1e12],
        [0.0, 1.0, 100.0, -1_000_000_003_995.802_9, 100.0, 9.999_999_999_979_999e23, -1e12],
        [1.0, 0.0, 100.0, 1_000_000_003_995.802_9, -100.0, 9.999_999_999_979_999e23, -1e12],
        [0.0, 0.3, 30.0, -300_000_001_198.740_84, 100.0, 2.999_999_999_993_999_5e23, -1e12],
        [1.0, 0.3, 70.0, 700_000_002_797.061_9, -100.0, 6.999_999_999_985_999e23, -1e12],
        [1e-50, 0.0, 1e-50, 1.000_000_003_995_802_8e-38, 100.0, 9.999_999_999_98e-77, -1e12],
        [1e-50, 1.0, 100.0, -1_000_000_003_995.802_9, 100.0, 9.999_999_999_979_999e23, -1e12],
        [
            1e-13,
            1.0,
            29.933_606_208_922_594,
            -1_000_000_003_995.702_8,
            29.933_606_208_922_495,
            8.264_462_809_900_83e23,
            -1e12,
        ],
        [1e-300, 0.4, 40.0, -400_000_001_598.321_17, 100.0, 3.999_999_999_991_999_6e23, -1e12],
        // Not saturated; the second derivative is (x^2 - 2 x t + t) / (x (1 - x))^2.
        [0.25, 0.5, 0.836_988_216_785_764_1, -4.0 / 3.0, 3.0_f64.ln(), 80.0 / 9.0, -16.0 / 3.0],
        [1e-8, 1.0, 18.420_680_743_952_367, -1e8, 18.420_680_733_952_366, 1e16, -1.000_000_01e8],
    ];
    for [x, target, value, by_x, by_target, by_x_x, by_x_target] in rows {
        let (x, target) = (Var::leaf(Tensor::from(x)), Var::leaf(Tensor::from(target)));
        let loss = x.binary_cross_entropy(&target);
        let plain = grad(&loss, &[&x, &target]);
        let recorded = grad_create_graph(&loss, &[&x, &target]);
        let [of_x, of_target] = [0, 1].map(|i| grad(&recorded[i], &[&x]).remove(0).item());
        let got = [
            loss.item(),
            plain[0].item(),
            plain[1].item(),
            recorded[0].item(),
            recorded[1].item(),
            of_x,
            of_target,
            grad(&recorded[0], &[&target])[0].item(),
        ];
        let expected = [value, by_x, by_target, by_x, by_target, by_x_x, by_x_target, by_x_target];
        for (got, expected) in got.into_iter().zip(expected) {
            let close = (got - expected).abs() <= 1e-12_f64.max(1e-11 * expected.abs()).min(expected.abs());
            assert!(close, "{x:?}, {target:?}: {got:?} instead of {expected:?}");
        }
    }
}

//! Metrics against scikit-learn, and batches against one pass.

use gradus_autograd::{Tensor, Var, seeded};
use gradus_train::metrics::{
    Accuracy, AveragePrecision, Averaging, ConfusionMatrix, IGNORED, MacroRocAuc, Mae, Mean, Metric, Mse, R2,
    Rmse, RocAuc, TopK,
};
use proptest::prelude::*;
use serde_json::Value;

fn close(found: f64, expected: f64) -> bool {
    found == expected
        || (found.is_nan() && expected.is_nan())
        || (found - expected).abs() <= 1e-12 * expected.abs()
}

#[track_caller]
fn agrees(found: f64, expected: &Value, name: &str) {
    // JSON has no NaN.
    let expected = expected.as_f64().unwrap_or(f64::NAN);
    assert!(close(found, expected), "{name}: {found:?}, scikit-learn has {expected:?}");
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().expect("a list").iter().map(|x| x.as_i64().expect("an integer")).collect()
}

fn reference() -> Value {
    serde_json::from_str(include_str!("reference.json")).expect("it is JSON")
}

#[test]
fn classes_agree_with_scikit_learn() {
    for case in reference()["classes"].as_array().unwrap() {
        let targets = Tensor::from(integers(&case["targets"]));
        let scores: Vec<Vec<f64>> = case["scores"].as_array().unwrap().iter().map(numbers).collect();
        let classes = scores[0].len();
        let scores = Tensor::from(scores.concat()).reshape((-1, classes));
        let (mut accuracy, mut top, mut matrix, mut area) =
            (Accuracy::new(), TopK::new(2), ConfusionMatrix::new(classes), MacroRocAuc::new(classes));
        accuracy.update(&scores, &targets);
        top.update(&scores, &targets);
        matrix.update(&scores, &targets);
        area.update(&scores, &targets);
        agrees(accuracy.value(), &case["accuracy"], "accuracy");
        agrees(matrix.value(), &case["accuracy"], "accuracy of the matrix");
        let counts: Vec<i64> = case["confusion"].as_array().unwrap().iter().flat_map(integers).collect();
        assert_eq!(matrix.counts().to_vec(), counts);
        if !case["top2"].is_null() {
            agrees(top.value(), &case["top2"], "top 2");
        }
        if !case["area"].is_null() {
            agrees(area.value(), &case["area"], "area");
        }
        let scores: [fn(&ConfusionMatrix) -> Vec<f64>; 3] =
            [ConfusionMatrix::precision, ConfusionMatrix::recall, ConfusionMatrix::f1];
        for (i, score) in scores.into_iter().enumerate() {
            for (found, expected) in score(&matrix).into_iter().zip(case["each"][i].as_array().unwrap()) {
                agrees(found, expected, "of a class");
            }
            for (averaging, name) in
                [(Averaging::Macro, "macro"), (Averaging::Micro, "micro"), (Averaging::Weighted, "weighted")]
            {
                agrees(averaging.of(&matrix, score), &case[name][i], name);
            }
        }
    }
}

#[test]
fn rankings_agree_with_scikit_learn() {
    for case in reference()["binary"].as_array().unwrap() {
        let (scores, targets) = (numbers(&case["scores"]), Tensor::from(integers(&case["targets"])));
        let (mut area, mut precision) = (RocAuc::new(), AveragePrecision::new());
        area.update(&scores, &targets);
        precision.update(&scores, &targets);
        agrees(area.value(), &case["area"], "area");
        agrees(precision.value(), &case["precision"], "average precision");
    }
}

#[test]
fn errors_agree_with_scikit_learn() {
    for case in reference()["numbers"].as_array().unwrap() {
        let (predictions, targets) = (numbers(&case["predictions"]), numbers(&case["targets"]));
        let (mut mae, mut mse, mut rmse, mut r2) = (Mae::new(), Mse::new(), Rmse::new(), R2::new());
        mae.update(&predictions, &targets);
        mse.update(&predictions, &targets);
        rmse.update(&predictions, &targets);
        r2.update(&predictions, &targets);
        agrees(mae.value(), &case["mae"], "mae");
        agrees(mse.value(), &case["mse"], "mse");
        agrees(rmse.value(), &case["rmse"], "rmse");
        agrees(r2.value(), &case["r2"], "r2");
    }
}

/// Scores with ties of samples, and targets, some of which are ignored.
fn samples() -> impl Strategy<Value = (Vec<f64>, Vec<i64>, usize)> {
    (2_usize..5, 1_usize..40).prop_flat_map(|(classes, n)| {
        let scores = prop::collection::vec((0_i32..6).prop_map(|score| f64::from(score) / 4.0), classes * n);
        let targets = prop::collection::vec(prop_oneof![9 => 0..classes as i64, 1 => Just(IGNORED)], n);
        (scores, targets, Just(classes))
    })
}

proptest! {
    #[test]
    fn batches_of_classes_give_what_one_pass_gives((scores, targets, classes) in samples(), size in 1_usize..9) {
        prop_assume!(targets.iter().any(|target| *target != IGNORED));
        let scores = Tensor::from(scores).reshape((-1, classes));
        let targets = Tensor::from(targets);
        let values = |size: usize| {
            let (mut accuracy, mut top, mut matrix) = (Accuracy::new(), TopK::new(2), ConfusionMatrix::new(classes));
            let (mut of_classes, mut predicted) = (Accuracy::new(), ConfusionMatrix::new(classes));
            let (mut many, mut area, mut precision) =
                (MacroRocAuc::new(classes), RocAuc::new(), AveragePrecision::new());
            // Updates after a reset are the first ones.
            accuracy.update(&scores, &targets);
            accuracy.reset();
            for (scores, targets) in scores.split(size, 0).iter().zip(targets.split(size, 0)) {
                accuracy.update(Var::leaf(scores.clone()), &targets);
                top.update(scores, &targets);
                matrix.update(scores, &targets);
                many.update(scores, &targets);
                of_classes.update_classes(scores.argmax(1), &targets);
                predicted.update_classes(scores.argmax(1), &targets);
                let positive = targets.map(|target| target.min(1));
                area.update(scores.select(1, 0), &positive);
                precision.update(scores.select(1, 0), &positive);
            }
            assert_eq!(matrix, predicted);
            assert_eq!(accuracy.value(), of_classes.value());
            assert_eq!(accuracy.value(), matrix.value());
            [accuracy.value(), top.value(), many.value(), area.value(), precision.value()].map(f64::to_bits)
        };
        prop_assert_eq!(values(size), values(targets.len()));
    }

    /// The definition, pair by pair.
    #[test]
    fn the_area_is_the_part_of_pairs_in_order(samples in prop::collection::vec((0_i32..5, 0_i64..2), 2..30)) {
        let (scores, targets): (Vec<f64>, Vec<i64>) =
            samples.iter().map(|&(score, target)| (f64::from(score), target)).unzip();
        let of = |class| samples.iter().filter(move |(_, target)| *target == class).map(|(score, _)| *score);
        let pairs: Vec<f64> = of(1)
            .flat_map(|p| of(0).map(move |n| f64::from(u8::from(p > n)) + f64::from(u8::from(p == n)) / 2.0))
            .collect();
        let mut area = RocAuc::new();
        area.update(&scores, Tensor::from(targets));
        prop_assert!(close(area.value(), pairs.iter().sum::<f64>() / pairs.len() as f64));
    }

    #[test]
    fn batches_of_numbers_give_what_one_pass_gives(
        pairs in prop::collection::vec((-3.0_f64..3.0, -3.0_f64..3.0), 2..60),
        size in 1_usize..9,
        offset in prop_oneof![Just(0.0), Just(1e6)],
    ) {
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(x, y)| (x + offset, y + offset)).unzip();
        let (x, y) = (Tensor::from(x), Tensor::from(y));
        let values = |size: usize| {
            let (mut mae, mut mse, mut rmse, mut r2, mut mean) =
                (Mae::new(), Mse::new(), Rmse::new(), R2::new(), Mean::new());
            for (x, y) in x.split(size, 0).iter().zip(y.split(size, 0)) {
                mae.update(x, &y);
                mse.update(x, &y);
                rmse.update(x, &y);
                r2.update(x, &y);
                mean.update(x.mean(..).item(), x.len());
            }
            [mae.value(), mse.value(), rmse.value(), r2.value(), mean.value()]
        };
        let (parts, whole) = (values(size), values(x.len()));
        prop_assert_eq!(&parts[..4], &whole[..4]);
        prop_assert!((parts[4] - whole[4]).abs() <= 4.0 * f64::EPSILON * (offset + 3.0));
        // Two passes, about the mean.
        let mean = y.mean(..).item();
        let squares = |x: &Tensor<f64>| x.iter().map(|x| x * x).sum::<f64>();
        let r2 = 1.0 - squares(&(&x - &y)) / squares(&(&y - mean));
        prop_assert!((whole[3] - r2).abs() <= 1e-9 * (1.0 + r2.abs()), "{} {r2}", whole[3]);
    }
}

#[test]
fn means_lose_nothing_and_keep_infinities() {
    let mean = |values: &[f64]| {
        let mut mean = Mean::new();
        for &value in values {
            mean.update(value, 1);
        }
        mean.value()
    };
    assert_eq!(mean(&[1e16, 1.0, 1.0, -1e16]), 0.5);
    assert_eq!(mean(&[1.0, f64::INFINITY, 1.0]), f64::INFINITY);
    assert!(mean(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan() && mean(&[1.0, f64::NAN]).is_nan());
}

#[test]
fn scores_have_their_classes_on_the_axis_of_the_losses() {
    let scores = Tensor::from([[[0.0, 1.0, 0.0], [1.0, 0.0, 2.0]], [[5.0, 0.0, 1.0], [4.0, 0.0, 0.0]]]);
    let targets = Tensor::from([[1, 0, 1], [0, 0, 1]]);
    let mut accuracy = Accuracy::new();
    accuracy.update(&scores, &targets);
    assert_eq!(accuracy.value(), 5.0 / 6.0);
    accuracy.reset();
    accuracy.update([0.0, 2.0, 1.0], Tensor::from(1));
    assert_eq!(accuracy.value(), 1.0);
}

#[test]
fn nan_is_the_largest_score_and_no_ranking() {
    let mut accuracy = Accuracy::new();
    accuracy.update([[f64::NAN, 1.0], [0.0, f64::NAN], [f64::NAN, f64::NAN]], Tensor::from([0, 1, 0]));
    assert_eq!(accuracy.value(), 1.0);
    let (mut area, mut precision) = (RocAuc::new(), AveragePrecision::new());
    area.update([f64::NAN, 1.0], Tensor::from([0, 1]));
    precision.update([f64::NAN, 1.0], Tensor::from([0, 1]));
    assert!(area.value().is_nan() && precision.value().is_nan());
}

#[test]
fn a_class_without_samples_has_no_area() {
    let mut area = MacroRocAuc::new(3);
    area.update([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.5, 0.3, 0.2]], Tensor::from([0, 1, 1]));
    assert_eq!(area.value(), 1.0);
    area.reset();
    area.update([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3]], Tensor::from([2, 2]));
    assert!(area.value().is_nan());
}

proptest! {
    /// The table of a confusion matrix: rows of one width, with all names and counts in them.
    #[test]
    fn tables_are_aligned(names in prop::collection::vec("[a-zé]{1,30}", 1..5), seed: u64) {
        let (classes, rng) = (names.len() as i64, &mut seeded(seed));
        let [targets, predictions] = [(); 2].map(|()| Tensor::randint([200], 0..classes, rng));
        let mut matrix = ConfusionMatrix::with_names(names.clone());
        matrix.update_classes(&predictions, &targets);
        let table = matrix.to_string();
        let width = |line: &str| line.chars().count();
        prop_assert!(table.lines().all(|line| width(line) == width(table.lines().next().unwrap())));
        let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        prop_assert_eq!(&rows.next().unwrap()[3..], &names);
        for (i, row) in rows.enumerate() {
            prop_assert_eq!(row[0], &names[i]);
            let counts: Vec<i64> = row[1..].iter().map(|count| count.parse().unwrap()).collect();
            prop_assert_eq!(counts, matrix.counts().select(0, i as isize).to_vec());
        }
    }
}

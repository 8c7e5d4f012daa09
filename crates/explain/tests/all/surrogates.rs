//! LIME, importance and dependence.

use gradus_autograd::{Tensor, Var, seeded};
use gradus_explain::{
    ExplainError, Features, Lime, PartialDependence, Penalty, PermutationImportance, SmoothGrad, Smoothing,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// At the solution no small change of a coefficient is better.
    #[test]
    fn solutions_are_optimal(seed in 0_u64..1000, alpha in 0.0..0.5, is_ridge in any::<bool>()) {
        let rng = &mut seeded(seed);
        let weights = Tensor::<f64>::randn([5, 1], rng);
        let model = |x: &Var<f64>| x.matmul(&Var::constant(&weights)).tanh() * 3.0;
        let x = Tensor::<f64>::randn([1, 5], rng);
        let samples = Tensor::randint([40, 5], 0..2, rng);
        let penalty = if is_ridge { Penalty::Ridge { alpha } } else { Penalty::Lasso { alpha } };
        let found = Lime::new(1, 0).coalitions(samples.clone()).euclidean(1.5).penalty(penalty).explain(model, &x, 0);
        let found = found.unwrap();
        let kept = samples.cast::<f64>();
        let y = model(&Var::constant(&kept * &x)).into_value().squeeze(1);
        let distances = ((1.0 - &kept) * &x).square().sum(1);
        let w = (distances / (-2.0 * 1.5 * 1.5)).exp();
        let objective = |c: &Tensor<f64>, b: f64| {
            let errors = (&w * (&y - b - (&kept * c).sum(1)).square()).sum(..).item();
            match penalty {
                Penalty::Ridge { alpha } => errors + alpha * c.square().sum(..).item(),
                Penalty::Lasso { alpha } => errors / (2.0 * w.sum(..).item()) + alpha * c.abs().sum(..).item(),
            }
        };
        let best = objective(&found.coefficients, found.intercept.item());
        for j in 0..5 {
            for step in [1e-4, -1e-4] {
                let moved = &found.coefficients + Tensor::from([j]).one_hot(5).cast::<f64>() * step;
                prop_assert!(objective(&moved, found.intercept.item()) >= best);
            }
        }
        prop_assert!(objective(&found.coefficients, found.intercept.item() + 1e-4) >= best);
        prop_assert!((0.0..=1.0 + 1e-12).contains(&found.fit.item()));
    }
}

#[test]
fn a_large_lasso_leaves_nothing() {
    let model = |x: &Var<f64>| x.sum(1).unsqueeze(1);
    let lime = Lime::new(50, 0).penalty(Penalty::Lasso { alpha: 100.0 });
    let found = lime.explain(model, &Tensor::from([[1.0, 2.0]]), 0).unwrap();
    assert_eq!((found.coefficients, found.fit), (Tensor::from([[0.0, 0.0]]), Tensor::from([0.0])));
}

#[test]
fn the_fit_says_how_linear_a_model_is() {
    let lime = |n: f64| {
        Lime::new(300, 0).penalty(Penalty::Ridge { alpha: 0.0 }).explain_table(
            move |x: &Var<f64>| (x * n).sin().sum(1).unsqueeze(1),
            &Tensor::from([[0.1, 0.2]]),
            0,
            &Tensor::from([1.0, 1.0]),
        )
    };
    let fit = |n: f64| lime(n).unwrap().fit.item();
    assert!(fit(0.1) > 0.99 && fit(20.0) < 0.2, "{} {}", fit(0.1), fit(20.0));
}

#[test]
fn too_few_samples_are_an_error() {
    let model = |x: &Var<f64>| x.sum(1).unsqueeze(1);
    let x = &Tensor::from([[1.0, 2.0, 3.0]]);
    let lime = Lime::new(3, 0).penalty(Penalty::Ridge { alpha: 0.0 });
    assert!(matches!(lime.explain(model, x, 0), Err(ExplainError::Underdetermined { groups: 3, .. })));
    // The same sample many times.
    let same = Tensor::from([[1, 0, 1]; 9]);
    assert!(matches!(lime.coalitions(same).explain(model, x, 0), Err(ExplainError::Underdetermined { .. })));
}

#[test]
fn importance_of_groups_and_of_what_is_unused() {
    let x = Tensor::<f64>::randn([100, 4], &mut seeded(0));
    let model = |x: &Var<f64>| (x.select(1, 0) + x.select(1, 1)).unsqueeze(1);
    let y = model(&Var::constant(&x)).into_value();
    let score = |outputs: &Tensor<f64>| -(outputs - &y).square().mean(..).item();
    let groups = Features::from_mask(&Tensor::from([0, 0, 1, 1])).unwrap();
    let importance = PermutationImportance::new(8, 0).features(groups).explain(model, &x, score).unwrap();
    assert_eq!(importance.losses.shape(), [2, 8]);
    assert!(importance.score == 0.0 && importance.mean().select(0, 0).item() > 2.0);
    // Both numbers of the group were dealt together, so what remains is the variance of their sum, twice.
    let spread = y.var(.., 0).item() * 2.0;
    assert!((importance.mean().select(0, 0).item() / spread - 1.0).abs() < 0.2);
    assert_eq!(
        (importance.mean().select(0, 1).item(), importance.deviation().select(0, 1).item()),
        (0.0, 0.0)
    );
}

#[test]
fn dependence_takes_quantiles() {
    let x = Tensor::<f64>::randn([50, 2], &mut seeded(0));
    let dependence = PartialDependence::new(1).explain(|x: &Var<f64>| x * 2.0, &x).unwrap();
    assert_eq!((dependence.grid.len(), dependence.each.shape()), (20, &[20, 50, 2][..]));
    assert_eq!(dependence.grid.select(0, 0).item(), x.select(1, 1).min(..).item());
    assert_eq!(dependence.grid.select(0, 19).item(), x.select(1, 1).max(..).item());
    assert!(dependence.mean.select(1, 1).allclose(&(&dependence.grid * 2.0), 1e-12, 0.0));
    // The other column stays as it is.
    let own = x.select(1, 0).mean(..).item() * 2.0;
    assert!(dependence.mean.select(1, 0).allclose(&Tensor::full([20], own), 1e-12, 1e-12));
}

/// A constant is met by its linear model, also one that is not a sum of powers of two.
#[test]
fn constants_are_explained() {
    let model = |x: &Var<f64>| (x * 0.0).sum(1).unsqueeze(1) + 0.1;
    let surrogate = Lime::new(100, 0).explain(model, &Tensor::from([[1.0, 2.0, 3.0]]), 0).unwrap();
    assert_eq!(surrogate.fit.item(), 1.0);
}

/// Gradients that are large beside their differences: the mean of squares less the square of the mean has no digit.
#[test]
fn variances_have_no_cancellation() {
    let model = |x: &Var<f64>| (x.square() * 0.5 + x * 1e9).sum(1).unsqueeze(1);
    let noise = Tensor::from([[[-1.0]], [[0.0]], [[1.0]], [[2.0]]]);
    let variance = SmoothGrad::with_noise(noise).smoothing(Smoothing::Variance);
    assert_eq!(variance.explain(model, &Tensor::from([[0.0]]), 0).unwrap().item(), 1.25);
}

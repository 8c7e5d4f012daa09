//! Gradients of everything that has one, against differences and known derivatives.

use gradus::distributions::{Bernoulli, Beta, Categorical, Gamma, Normal, Uniform, kl_divergence};
use gradus::testing::check_gradients;
use gradus::{Tensor, Var};
use proptest::prelude::*;

use super::{Family, for_each_family, holds};

for_each_family! {
    /// The entropy, the moments and the divergence, by the parameters of both.
    by_parameters;
}

fn by_parameters<F: Family>() {
    holds((F::parameters(), F::parameters()), |(p, q)| {
        let q = F::new(q);
        // The second parameter of `Bernoulli` only chooses a form.
        let inputs = || p.map(|p| Tensor::full([2], p).slice(0, ..1));
        check_gradients(|[x, y]| F::of(x, y).entropy() + y * 0.0, inputs())?;
        check_gradients(|[x, y]| F::of(x, y).mean() + y * 0.0, inputs())?;
        check_gradients(|[x, y]| F::of(x, y).variance() + y * 0.0, inputs())?;
        if kl_divergence(&F::new(p), &q).item().is_finite() {
            check_gradients(|[x, y]| kl_divergence(&F::of(x, y), &q) + y * 0.0, inputs())?;
        }
        if kl_divergence(&q, &F::new(p)).item().is_finite() {
            check_gradients(|[x, y]| kl_divergence(&q, &F::of(x, y)) + y * 0.0, inputs())?;
        }
        Ok(())
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The logarithm of the density, by the parameters and by the value; all broadcast.
    #[test]
    fn log_probs(p in Normal::<f64>::parameters(), q in Beta::<f64>::parameters(), x in prop::array::uniform2(0.1..0.9)) {
        let column = Tensor::from(x).reshape([2, 1]);
        let row = |p: f64| Tensor::from([p, p + 0.5]);
        check_gradients(|[a, b, x]| Normal::new(a, b).log_prob(x), [row(p[0]), row(p[1]), column.clone()])?;
        check_gradients(|[a, b, x]| Gamma::new(a, b).log_prob(x), [row(q[0]), row(p[1]), column.clone()])?;
        check_gradients(|[a, b, x]| Beta::new(a, b).log_prob(x), [row(q[0]), row(q[1]), column.clone()])?;
        let [low, high] = [row(p[0]), row(p[0] + p[1])];
        let inside = &low + (&high - &low) * &column;
        check_gradients(|[a, b, x]| Uniform::new(a, b).log_prob(x), [low, high, inside])?;
        let coin = Tensor::from([[0.0, 1.0, 1.0]]);
        check_gradients(|[p]| Bernoulli::from_probs(p).log_prob(&coin), [column.clone()])?;
        check_gradients(|[x]| Bernoulli::from_logits(x).log_prob(&coin), [column])?;
    }

    #[test]
    fn categories(logits in prop::array::uniform6(-2.0..2.0_f64), value in prop::array::uniform2(0..3_i64)) {
        let logits = Tensor::from(logits).reshape([2, 3]);
        let value = Tensor::from(value);
        let other = Categorical::from_logits(Tensor::from([0.1, -0.3, 0.5]));
        check_gradients(|[x]| Categorical::from_logits(x).log_prob(&value), [logits.clone()])?;
        check_gradients(|[x]| Categorical::from_logits(x).entropy(), [logits.clone()])?;
        check_gradients(|[x]| kl_divergence(&Categorical::from_logits(x), &other), [logits.clone()])?;
        check_gradients(|[x]| kl_divergence(&other, &Categorical::from_logits(x)), [logits.clone()])?;
        check_gradients(|[x]| Categorical::from_probs(x).log_prob(&value), [logits.exp()])?;
    }

    /// A sample is a smooth function of the parameters.
    #[test]
    fn samples(p in Normal::<f64>::parameters(), seed: u64) {
        let row = |p: f64| Tensor::from([p, p + 0.5]);
        let rng = || gradus::seeded(seed);
        check_gradients(|[x, y]| Normal::new(x, y).rsample(&mut rng()).square(), [row(p[0]), row(p[1])])?;
        check_gradients(
            |[x, y]| Uniform::new(x, y).rsample(&mut rng()).square(),
            [row(p[0]), row(p[0] + p[1])],
        )?;
    }
}

/// Categories of probability 0 neither have nor spoil a gradient.
#[test]
fn impossible_categories() {
    let logits = Var::leaf(Tensor::from([0.0, f64::NEG_INFINITY, 0.0]));
    let of = || Categorical::from_logits(&logits);
    let gradient = of().log_prob(0).backward().get(&logits).unwrap().clone();
    assert_eq!(gradient, Tensor::from([0.5, 0.0, -0.5]));
    for y in [of().entropy(), kl_divergence(&of(), &of())] {
        assert_eq!(y.backward().get(&logits), Some(&Tensor::zeros([3])));
    }
    let probs = Var::leaf(Tensor::from([2.0, 0.0, 2.0]));
    let y = Categorical::from_probs(&probs).log_prob(0);
    assert_eq!(y.backward().get(&probs), Some(&Tensor::from([0.25, 0.0, -0.25])));
}

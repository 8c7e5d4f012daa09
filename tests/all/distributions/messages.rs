//! Parameters that are not allowed, refused at the line of the caller.

use gradus::distributions::{Bernoulli, Beta, Categorical, Gamma, Normal, Uniform, kl_divergence};
use gradus::{Tensor, Var};

use crate::messages::panics;

#[test]
fn parameters() {
    let t = |x: [f64; 2]| Tensor::from(x);
    panics(
        || Normal::new(0.0, t([1.0, -1.0])),
        "Normal: `scale` of shape [2] holds -1: it must be positive and finite",
    );
    panics(|| Normal::new(0.0, 0.0), "Normal: `scale` of shape [] holds 0: it must be positive and finite");
    panics(|| Normal::new(f64::NAN, 1.0), "Normal: `loc` of shape [] holds NaN: it must be finite");
    panics(
        || Normal::new(t([0.0, 1.0]), Tensor::<f64>::ones([3])),
        "Normal: shapes [2] and [3] do not broadcast: counted from the end, sizes must be equal or one of them 1",
    );
    panics(
        || Uniform::new(t([0.0, 1.0]), 1.0),
        "Uniform: `high - low` of shape [2] holds 0: it must be positive and finite, and so must be `low` and `high`",
    );
    panics(
        || Bernoulli::from_probs(t([0.5, 1.5])),
        "Bernoulli: `probs` of shape [2] holds 1.5: it must be between 0 and 1",
    );
    panics(
        || Bernoulli::from_logits(f64::NAN),
        "Bernoulli: `logits` of shape [] holds NaN: it must be a number",
    );
    panics(
        || Gamma::new(t([1.0, f64::INFINITY]), 1.0),
        "Gamma: `concentration` of shape [2] holds inf: it must be positive and finite",
    );
    panics(|| Gamma::new(1.0, -2.0), "Gamma: `rate` of shape [] holds -2: it must be positive and finite");
    panics(
        || Beta::new(0.0, 1.0),
        "Beta: `concentration1` of shape [] holds 0: it must be positive and finite",
    );
    panics(
        || Beta::new(1.0, -1.0),
        "Beta: `concentration0` of shape [] holds -1: it must be positive and finite",
    );
}

#[test]
fn categories() {
    let leaf = |x: [f64; 2]| Var::leaf(Tensor::from(x));
    panics(
        || Categorical::from_logits(Tensor::<f64>::zeros([3, 0])),
        "Categorical: `logits` has shape [3, 0]: its last axis must run over one category at least",
    );
    panics(
        || Categorical::from_probs(1.0),
        "Categorical: `probs` has shape []: its last axis must run over one category at least",
    );
    panics(
        || Categorical::from_logits(leaf([1.0, f64::INFINITY])),
        "Categorical: `logits` of shape [2] holds inf: it must be finite, or minus infinity",
    );
    panics(
        || Categorical::from_probs(leaf([1.0, -1.0])),
        "Categorical: `probs` of shape [2] holds -1: it must be finite and not negative",
    );
    panics(
        || Categorical::from_probs(Tensor::from([[1.0, 1.0], [0.0, 0.0]])),
        "Categorical: a row of `probs` of shape [2, 2] gives all categories the probability 0: one at least must be \
         possible",
    );
    let two = Categorical::from_probs(leaf([1.0, 1.0]));
    panics(
        || two.log_prob(2),
        "Categorical: log_prob: category 2 is out of range: of 2 categories, allowed are 0 to 1",
    );
    panics(
        || two.expand([3]).log_prob(Tensor::from([0, 1])),
        "Categorical: log_prob: the distributions have shape [3] and the value [2]: the first must expand to the second",
    );
    let three = Categorical::from_probs(Tensor::from([1.0, 1.0, 2.0]));
    panics(
        || kl_divergence(&two, &three),
        "kl_divergence: one distribution has 2 categories and the other 3: they must have as many",
    );
    panics(
        || Normal::new(0.0, leaf([1.0, 2.0])).log_prob(Tensor::<f64>::ones([3])),
        "sub: shapes [3] and [2] do not broadcast: counted from the end, sizes must be equal or one of them 1",
    );
}

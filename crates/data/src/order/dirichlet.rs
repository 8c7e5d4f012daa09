//! Uneven parts of labelled data, as the clients of a federation have them.

use gradus_autograd::{Rng, Tensor};

use super::shuffled;

/// Divides labelled samples among `parts` so that each part has its own mix of labels: for every label, the shares of the
/// parts are drawn from a Dirichlet distribution (Yurochkin et al., "Bayesian nonparametric federated learning of neural
/// networks", 2019, after Hsu, Qi and Brown, "Measuring the effects of non-identical data distribution for federated visual
/// classification", 2019, who draw the shares of the labels for parts of one size).
///
/// `concentration` says how even the parts are: at 0.1 most parts have one or two labels and their sizes differ much; at 100
/// all parts are nearly alike. Every sample is in exactly one part, and no part is empty: a part that has drawn nothing gets
/// a sample from the largest.
///
/// ```
/// # mod gradus { pub use gradus_autograd::*; pub mod data { pub use gradus_data::*; } }
/// use gradus::{Tensor, seeded};
/// use gradus::data::order;
///
/// let labels: Tensor<i64> = (0..1000).map(|i| i % 10).collect();
/// let parts = order::dirichlet(&labels, 5, 0.3, &mut seeded(0));
/// assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 1000);
/// ```
///
/// # Panics
/// If `parts` is 0 or more than the samples, or `concentration` is not positive and finite.
#[track_caller]
pub fn dirichlet(
    labels: &Tensor<i64>,
    parts: usize,
    concentration: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Vec<Vec<usize>> {
    let samples = labels.len();
    assert!(
        (1..=samples).contains(&parts),
        "dirichlet: `parts` is {parts}, and there are {samples} samples: it must be 1 at least and no more than the samples"
    );
    assert!(
        concentration > 0.0 && concentration.is_finite(),
        "dirichlet: `concentration` is {concentration}: it must be positive and finite"
    );
    let (order, labels) = (shuffled(samples, rng), labels.to_vec());
    let mut classes = labels.clone();
    classes.sort_unstable();
    classes.dedup();
    let mut divided = vec![Vec::new(); parts];
    for class in classes {
        let members: Vec<usize> = order.iter().copied().filter(|&i| labels[i] == class).collect();
        let (mut sum, mut start) = (0.0, 0);
        for (part, share) in divided.iter_mut().zip(shares(parts, concentration, rng)) {
            sum += share;
            let end = ((sum * members.len() as f64).round() as usize).clamp(start, members.len());
            part.extend(&members[start..end]);
            start = end;
        }
        // The shares may sum to a little less than 1.
        divided[parts - 1].extend(&members[start..]);
    }
    while let Some(empty) = divided.iter().position(Vec::is_empty) {
        let largest = divided.iter_mut().max_by_key(|part| part.len()).expect("there is a part");
        let moved = largest.pop();
        divided[empty].extend(moved);
    }
    divided
}

/// A draw from the symmetric Dirichlet distribution: independent gamma variables, divided by their sum. They are kept as
/// logarithms, as samples with a small concentration are less than the least `f64`.
fn shares(count: usize, concentration: f64, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
    let logs: Vec<f64> = (0..count).map(|_| log_gamma_variable(concentration, rng)).collect();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// The logarithm of a gamma variable (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000), through
/// the variable of the next concentration, which the method needs below 1.
fn log_gamma_variable(concentration: f64, rng: &mut (impl Rng + ?Sized)) -> f64 {
    let d = concentration + 1.0 - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let normal = Tensor::<f64>::randn([1], rng).item();
        let [accepted, raised] = [0; 2].map(|_| 1.0 - Tensor::<f64>::rand([1], rng).item());
        let v = (1.0 + c * normal).powi(3);
        if v > 0.0 && accepted.ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return (d * v).ln() + raised.ln() / concentration;
        }
    }
}

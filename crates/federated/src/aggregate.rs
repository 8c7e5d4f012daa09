//! Sums and means of updates.

use crate::client::Report;
use crate::layout::Change;

/// A sound update of a client.
pub(crate) struct Contribution {
    pub(crate) client: u64,
    pub(crate) weight: f64,
    pub(crate) change: Change,
    pub(crate) report: Report,
}

/// The weighted sum of changes.
pub(crate) struct Sum {
    pub(crate) numbers: Vec<f64>,
    pub(crate) weight: f64,
    pub(crate) counters: Vec<i64>,
}

/// The weighted mean of changes, and the largest counters.
pub(crate) struct Mean {
    pub(crate) numbers: Vec<f64>,
    pub(crate) counters: Vec<i64>,
}

/// Adds up in the order of the clients, so that the sum is repeatable.
pub(crate) fn sum(contributions: &[Contribution], len: usize) -> Sum {
    let mut sum = Sum { numbers: vec![0.0; len], weight: 0.0, counters: Vec::new() };
    for Contribution { weight, change, .. } in contributions {
        for (sum, x) in sum.numbers.iter_mut().zip(&change.numbers) {
            *sum += weight * x;
        }
        sum.weight += weight;
        if sum.counters.is_empty() {
            sum.counters.clone_from(&change.counters);
        }
        for (most, counter) in sum.counters.iter_mut().zip(&change.counters) {
            *most = (*most).max(*counter);
        }
    }
    sum
}

impl Sum {
    pub(crate) fn mean(self) -> Mean {
        let numbers = self.numbers.iter().map(|x| x / self.weight).collect();
        Mean { numbers, counters: self.counters }
    }
}

//! Counts of numbers, and the range whose quantised numbers have the least error.

use crate::error::QuantError;
use crate::params::{Params, Scheme};

/// Counts of numbers in equal bins, from the least to the largest; the last bin has its upper end.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<f64>,
    low: f64,
    high: f64,
}

/// The parts of a bin that are moved on their own when the range grows.
const PARTS: usize = 16;
/// The number of places at which each end is tried.
const TRIALS: u32 = 64;

impl Histogram {
    pub(crate) fn new(bins: usize) -> Self {
        Self { counts: vec![0.0; bins], low: f64::NAN, high: f64::NAN }
    }

    pub(crate) fn counts(&self) -> &[f64] {
        &self.counts
    }

    fn width(&self) -> f64 {
        (self.high - self.low) / self.counts.len() as f64
    }

    /// The bin of a number within the range.
    fn bin(&self, x: f64) -> usize {
        let place = (x - self.low) / (self.high - self.low) * self.counts.len() as f64;
        // NaN, of a range of one number, becomes 0.
        (place as usize).min(self.counts.len() - 1)
    }

    /// Counts numbers; with the ones before they lie from `low` to `high`.
    pub(crate) fn add(&mut self, numbers: impl Iterator<Item = f64>, low: f64, high: f64) {
        if self.low.is_nan() {
            (self.low, self.high) = (low, high);
        } else if low < self.low || high > self.high {
            let mut wider = Self { counts: vec![0.0; self.counts.len()], low, high };
            let part = self.width() / PARTS as f64;
            for (bin, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
                for i in 0..PARTS {
                    let middle = self.low + self.width() * bin as f64 + part * (i as f64 + 0.5);
                    let place = wider.bin(middle);
                    wider.counts[place] += count / PARTS as f64;
                }
            }
            *self = wider;
        }
        for x in numbers {
            let bin = self.bin(x);
            self.counts[bin] += 1.0;
        }
    }

    /// The parameters with the least error among ranges whose ends are moved towards 0.
    pub(crate) fn best(&self, scheme: &Scheme) -> Result<Params, QuantError> {
        let mut best = Params::of_range(&[self.low], &[self.high], scheme)?;
        let mut least = self.squared_error(&best);
        let ends = |end: f64| (0..TRIALS).map(move |i| end * (1.0 - f64::from(i) / f64::from(TRIALS)));
        for low in ends(self.low.min(0.0)) {
            for high in ends(self.high.max(0.0)) {
                let params = Params::of_range(&[low], &[high], scheme)?;
                let error = self.squared_error(&params);
                if error < least {
                    (best, least) = (params, error);
                }
            }
        }
        Ok(best)
    }

    /// The sum of the squared errors of the numbers, if they are uniform within their bins.
    fn squared_error(&self, params: &Params) -> f64 {
        let ((low, high), width) = (params.range(0), self.width());
        let scale = f64::from(params.scales()[0]);
        if width == 0.0 {
            let x = self.low.clamp(low, high);
            return (self.low - (x / scale).round_ties_even() * scale).powi(2);
        }
        let mut error = 0.0;
        for (bin, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let left = self.low + width * bin as f64;
            let right = left + width;
            // Beyond the last level it is the squared distance, whose integral is a third of a cube.
            let beyond = |near: f64, far: f64| (far.max(0.0).powi(3) - near.max(0.0).powi(3)) / 3.0;
            let outside = beyond(low - right, low - left) + beyond(left - high, right - high);
            let [from, to] = [left, right].map(|x| rounding_error(x.clamp(low, high) / scale));
            error += count / width * (outside + scale.powi(3) * (to - from));
        }
        error
    }
}

/// The integral of the squared distance to the nearest integer, from 0 to x: a twelfth for each integer, and a third of a cube.
fn rounding_error(x: f64) -> f64 {
    let nearest = (x + 0.5).floor();
    nearest / 12.0 + (x - nearest).powi(3) / 3.0
}

//! Observers: from the numbers that pass by to the range that they need.

use gradus_autograd::{Float, Tensor, shapes};

use crate::error::QuantError;
use crate::histogram::Histogram;
use crate::params::{Params, Scheme};

/// Watches numbers, batch by batch, and chooses the [`Params`] that fit them.
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_quant::{Observer, Scheme};
///
/// let mut observer = Observer::moving_average(0.5, &Scheme::int8().symmetric());
/// assert!(observer.params().is_err()); // nothing was observed
/// observer.observe(&Tensor::from([-1.0_f32, 2.0]))?;
/// observer.observe(&Tensor::from([-3.0_f32, 0.0]))?;
/// assert_eq!(observer.range()?, (&[-2.0][..], &[1.0][..]));
/// assert_eq!(observer.params()?.scales(), [2.0 / 127.5]);
/// # Ok::<(), gradus_quant::QuantError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Observer {
    scheme: Scheme,
    statistic: Statistic,
    /// The least numbers, one or one for each channel; empty as long as nothing was observed.
    low: Vec<f64>,
    high: Vec<f64>,
}

#[derive(Debug, Clone)]
enum Statistic {
    MinMax,
    MovingAverage(f64),
    Histogram(Histogram),
}

impl Observer {
    /// The range from the least to the largest of all numbers.
    pub fn min_max(scheme: &Scheme) -> Self {
        Self::new(scheme, Statistic::MinMax)
    }

    /// The range of the first batch, moved by a part `constant` of the way to the range of each further one.
    ///
    /// # Panics
    /// If the constant is not between 0 and 1.
    #[track_caller]
    pub fn moving_average(constant: f64, scheme: &Scheme) -> Self {
        assert!(
            (0.0..=1.0).contains(&constant),
            "moving_average: the constant is {constant}; it must be between 0 and 1"
        );
        Self::new(scheme, Statistic::MovingAverage(constant))
    }

    /// Counts numbers in bins, and cuts the range where the mean squared error of the quantised numbers is least: a few numbers
    /// far out do not make all others coarse. Numbers count as uniform within a bin; 2048 bins are usual.
    ///
    /// # Panics
    /// If there are no bins, or the scheme has scales for channels.
    #[track_caller]
    pub fn histogram(bins: usize, scheme: &Scheme) -> Self {
        assert!(bins > 0, "histogram: there must be a bin");
        assert!(scheme.axis().is_none(), "histogram: there must be one scale for all channels");
        Self::new(scheme, Statistic::Histogram(Histogram::new(bins)))
    }

    fn new(scheme: &Scheme, statistic: Statistic) -> Self {
        Self { scheme: scheme.clone(), statistic, low: Vec::new(), high: Vec::new() }
    }

    /// Looks at a batch; one without numbers changes nothing.
    ///
    /// # Errors
    /// If a number is NaN or infinite, or there are not as many channels as before. Nothing has changed then.
    ///
    /// # Panics
    /// If there is no axis of channels.
    #[track_caller]
    pub fn observe<T: Float>(&mut self, x: &Tensor<T>) -> Result<(), QuantError> {
        if x.is_empty() {
            return Ok(());
        }
        check_finite("observe", x)?;
        let (low, high) = self.ranges(x);
        if self.low.is_empty() {
            (self.low, self.high) = (low.clone(), high.clone());
        } else if self.low.len() != low.len() {
            let (axis, channels) = (self.scheme.axis().unwrap_or(0), low.len());
            return Err(QuantError::Channels { axis, channels, expected: self.low.len() });
        }
        let constant =
            if let Statistic::MovingAverage(constant) = self.statistic { Some(constant) } else { None };
        for (channel, (low, high)) in low.iter().zip(&high).enumerate() {
            let (seen_low, seen_high) = (&mut self.low[channel], &mut self.high[channel]);
            if let Some(constant) = constant {
                *seen_low += constant * (low - *seen_low);
                *seen_high += constant * (high - *seen_high);
            } else {
                (*seen_low, *seen_high) = (seen_low.min(*low), seen_high.max(*high));
            }
        }
        if let Statistic::Histogram(histogram) = &mut self.statistic {
            histogram.add(x.iter().map(gradus_autograd::Number::to_f64), self.low[0], self.high[0]);
        }
        Ok(())
    }

    /// The least and the largest number, of all or of each channel.
    #[track_caller]
    fn ranges<T: Float>(&self, x: &Tensor<T>) -> (Vec<f64>, Vec<f64>) {
        let numbers = |x: Tensor<T>| x.iter().map(gradus_autograd::Number::to_f64).collect();
        let Some(axis) = self.scheme.axis() else { return (numbers(x.min(..)), numbers(x.max(..))) };
        assert!(axis < x.rank(), "observe: there is no axis {axis} of channels in shape {:?}", x.shape());
        let rows = x.transpose(0, axis as isize).contiguous().reshape((x.shape()[axis] as isize, -1));
        (numbers(rows.min(1)), numbers(rows.max(1)))
    }

    /// The least and the largest number so far, as the statistic has them: one, or one for each channel.
    ///
    /// # Errors
    /// If nothing was observed.
    pub fn range(&self) -> Result<(&[f64], &[f64]), QuantError> {
        if self.low.is_empty() {
            return Err(QuantError::NoData("observer".into()));
        }
        Ok((&self.low, &self.high))
    }

    /// The counts of a [`histogram`](Self::histogram), from the least number to the largest; of other observers nothing.
    pub fn counts(&self) -> Option<&[f64]> {
        if let Statistic::Histogram(histogram) = &self.statistic { Some(histogram.counts()) } else { None }
    }

    /// The parameters for what was observed.
    ///
    /// # Errors
    /// If nothing was.
    pub fn params(&self) -> Result<Params, QuantError> {
        let (low, high) = self.range()?;
        match &self.statistic {
            Statistic::Histogram(histogram) => histogram.best(&self.scheme),
            _ => Params::of_range(low, high, &self.scheme),
        }
    }
}

/// Whether all numbers are finite.
pub(crate) fn check_finite<T: Float>(name: &str, x: &Tensor<T>) -> Result<(), QuantError> {
    match x.iter().enumerate().find(|(_, x)| !x.is_finite()) {
        None => Ok(()),
        Some((place, value)) => Err(QuantError::NotFinite {
            name: name.into(),
            index: shapes::place_of(place, x.shape()).to_vec(),
            value: value.to_f64(),
        }),
    }
}

//! Errors of predicted numbers.

use gradus_autograd::{AsVar, Float};

use super::scores::check_shapes;
use super::{Metric, Sum, check_any};

/// Pairs of predictions and targets, in double precision.
#[track_caller]
fn pairs<T: Float>(
    metric: &str,
    predictions: impl AsVar<T>,
    targets: impl AsVar<T>,
    mut add: impl FnMut(f64, f64),
) {
    let (predictions, targets) = (predictions.as_var(), targets.as_var());
    check_shapes(metric, predictions.shape(), targets.shape());
    for (prediction, target) in predictions.value().iter().zip(targets.value().iter()) {
        add(prediction.to_f64(), target.to_f64());
    }
}

/// Metrics that are a mean over all numbers of a function of prediction and target.
macro_rules! errors {
    ($($(#[$doc:meta])* $metric:ident: |$error:ident| $term:expr, |$mean:ident| $value:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $metric {
            sum: Sum,
            count: usize,
        }

        impl $metric {
            /// Of nothing yet.
            pub fn new() -> Self {
                Self::default()
            }

            /// Adds predictions and targets of the same shape.
            ///
            /// # Panics
            /// If the shapes differ.
            #[track_caller]
            pub fn update<T: Float>(&mut self, predictions: impl AsVar<T>, targets: impl AsVar<T>) {
                pairs(stringify!($metric), predictions, targets, |prediction, target| {
                    let $error = prediction - target;
                    self.sum.add($term);
                    self.count += 1;
                });
            }
        }

        impl Metric for $metric {
            #[track_caller]
            fn value(&self) -> f64 {
                check_any(stringify!($metric), self.count > 0);
                let $mean = self.sum.value() / self.count as f64;
                $value
            }

            fn reset(&mut self) {
                *self = Self::default();
            }
        }
    )*};
}

errors! {
    /// The mean absolute error.
    ///
    /// ```
    /// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
    /// use gradus::metrics::{Mae, Metric, Mse, R2, Rmse};
    ///
    /// let (predictions, targets) = ([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]);
    /// let (mut mae, mut mse, mut rmse, mut r2) = (Mae::new(), Mse::new(), Rmse::new(), R2::new());
    /// mae.update(predictions, targets);
    /// mse.update(predictions, targets);
    /// rmse.update(predictions, targets);
    /// r2.update(predictions, targets);
    /// assert_eq!((mae.value(), mse.value(), rmse.value()), (0.5, 0.375, 0.375_f64.sqrt()));
    /// assert!((r2.value() - 0.9486).abs() < 1e-4);
    /// ```
    Mae: |error| error.abs(), |mean| mean;
    /// The mean squared error; [`Mae`] has an example.
    Mse: |error| error * error, |mean| mean;
    /// The square root of the mean squared error; [`Mae`] has an example.
    Rmse: |error| error * error, |mean| mean.sqrt();
}

/// The coefficient of determination: 1 - (the sum of squared errors) / (the sum of squared deviations of the targets from
/// their mean); [`Mae`] has an example.
///
/// If all targets are equal, its value is 1 for errors of 0 and 0 for others; of a single number, it is NaN; as in
/// scikit-learn.
#[derive(Debug, Clone, Copy, Default)]
pub struct R2 {
    errors: Sum,
    count: usize,
    /// The first target, from which the others are measured.
    first: f64,
    /// Of the targets (Welford, "Note on a method for calculating corrected sums of squares and products", 1962).
    mean: Sum,
    deviations: Sum,
}

impl R2 {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds predictions and targets of the same shape.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn update<T: Float>(&mut self, predictions: impl AsVar<T>, targets: impl AsVar<T>) {
        pairs("R2", predictions, targets, |prediction, target| {
            let error = prediction - target;
            self.errors.add(error * error);
            self.count += 1;
            if self.count == 1 {
                self.first = target;
            }
            let target = target - self.first;
            let before = target - self.mean.value();
            self.mean.add(before / self.count as f64);
            self.deviations.add(before * (target - self.mean.value()));
        });
    }
}

impl Metric for R2 {
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("R2", self.count > 0);
        match (self.errors.value(), self.deviations.value()) {
            _ if self.count == 1 => f64::NAN,
            (0.0, 0.0) => 1.0,
            (_, 0.0) => 0.0,
            (errors, deviations) => 1.0 - errors / deviations,
        }
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

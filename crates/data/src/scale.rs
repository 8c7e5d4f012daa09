//! Scaling of features.

use gradus_autograd::shapes::place_of;
use gradus_autograd::{AsVar, Axes, Float, Tensor, Var, keepdim};
use gradus_nn::{Buffer, Layer, Module, layer_scope};

use crate::error::DataError;

/// A scaler: `(x - shift) / scale`, both found in data by `$statistics`.
macro_rules! scaler {
    ($(#[$documentation:meta])* $name:ident { $shift:ident, $scale:ident } $statistics:ident) => {
        $(#[$documentation])*
        ///
        /// It is a module, so that a model that has it as a field saves and loads it: as buffers, which are not trained.
        #[derive(Debug, Clone, Module)]
        pub struct $name<T: Float = f32> {
            /// Subtracted from each feature.
            pub $shift: Buffer<T>,
            /// What each feature is divided by; 1 if it is constant.
            pub $scale: Buffer<T>,
        }

        impl<T: Float> $name<T> {
            /// One that changes nothing, to load a state into. The shape is `[features]`, or with
            /// [`fit_axes`](Self::fit_axes) the one of the data with size 1 in place of the axes.
            pub fn new(shape: impl AsRef<[usize]>) -> Self {
                let shape = shape.as_ref();
                Self { $shift: Buffer::new(Tensor::zeros(shape)), $scale: Buffer::new(Tensor::ones(shape)) }
            }

            /// From data `[..., features]`, for each place of the last axis.
            ///
            /// # Errors
            /// [`DataError::NotFinite`] if a number is NaN or infinite, [`DataError::Range`] if differences of the numbers are.
            ///
            /// # Panics
            /// If there are no numbers, or no axis.
            #[track_caller]
            pub fn fit(x: &Tensor<T>) -> Result<Self, DataError> {
                assert!(x.rank() > 0, "fit: the data have no axis: they must be [..., features]");
                check_numbers(x)?;
                let rows = x.reshape((-1, *x.shape().last().expect("there is an axis")));
                let [shift, scale] = fitted(&rows, &0.into(), $statistics)?;
                Ok(Self { $shift: Buffer::new(shift), $scale: Buffer::new(scale) })
            }

            /// From data over these axes: `fit_axes(&images, [0, 2, 3])` of images `[n, channels, height, width]` has
            /// numbers for each channel.
            ///
            /// # Errors
            /// [`DataError::NotFinite`] if a number is NaN or infinite, [`DataError::Range`] if differences of the numbers are.
            ///
            /// # Panics
            /// If there are no numbers, or an axis is out of range or named twice.
            #[track_caller]
            pub fn fit_axes(x: &Tensor<T>, axes: impl Into<Axes>) -> Result<Self, DataError> {
                check_numbers(x)?;
                let [shift, scale] = fitted(x, &keepdim(axes), $statistics)?;
                Ok(Self { $shift: Buffer::new(shift), $scale: Buffer::new(scale) })
            }

            /// The features of a model's input, scaled.
            ///
            /// # Panics
            /// If the shape does not broadcast with the buffers.
            #[track_caller]
            pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
                let scope = layer_scope(self);
                let shift = &*x.as_var() - Var::constant(self.$shift.value());
                scope.gives(shift / Var::constant(self.$scale.value()))
            }

            /// The features scaled, as numbers.
            ///
            /// # Panics
            /// As [`forward`](Self::forward).
            #[track_caller]
            pub fn transform(&self, x: &Tensor<T>) -> Tensor<T> {
                (x - self.$shift.value()) / self.$scale.value()
            }

            /// The features as they were before [`transform`](Self::transform), up to rounding.
            ///
            /// # Panics
            /// As [`forward`](Self::forward).
            #[track_caller]
            pub fn inverse(&self, y: &Tensor<T>) -> Tensor<T> {
                y * self.$scale.value() + self.$shift.value()
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                Self::forward(self, x)
            }
        }
    };
}

scaler! {
    /// Features minus their mean, divided by their standard deviation (with correction 0): on the data of the fit they have
    /// mean 0 and variance 1. A constant feature becomes 0.
    ///
    /// ```
    /// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
    /// use gradus::Tensor;
    /// use gradus::data::Standardize;
    ///
    /// # fn main() -> Result<(), gradus::data::DataError> {
    /// let train = Tensor::from([[1.0, 7.0], [3.0, 7.0]]);
    /// let scaler = Standardize::<f64>::fit(&train)?;
    /// let scaled = scaler.transform(&train);
    /// assert_eq!(scaled, Tensor::from([[-1.0, 0.0], [1.0, 0.0]]));
    /// assert_eq!(scaler.inverse(&scaled), train);
    /// # Ok(())
    /// # }
    /// ```
    Standardize { mean, std } moments
}

scaler! {
    /// Features minus their least number, divided by the range of their numbers: on the data of the fit they lie between 0
    /// and 1. A constant feature becomes 0.
    ///
    /// ```
    /// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
    /// use gradus::Tensor;
    /// use gradus::data::MinMax;
    ///
    /// # fn main() -> Result<(), gradus::data::DataError> {
    /// let train = Tensor::from([[1.0, 7.0], [2.0, 7.0], [5.0, 7.0]]);
    /// let scaled = MinMax::<f64>::fit(&train)?.transform(&train);
    /// assert_eq!(scaled, Tensor::from([[0.0, 0.0], [0.25, 0.0], [1.0, 0.0]]));
    /// # Ok(())
    /// # }
    /// ```
    MinMax { min, range } extremes
}

fn moments<T: Float>(x: &Tensor<T>, axes: &Axes) -> [Tensor<T>; 2] {
    [x.mean(axes.clone()), x.std(axes.clone(), 0)]
}

fn extremes<T: Float>(x: &Tensor<T>, axes: &Axes) -> [Tensor<T>; 2] {
    let least = x.min(axes.clone());
    let range = x.max(axes.clone()) - &least;
    [least, range]
}

/// Shift and scale of each feature over the axes.
#[track_caller]
fn fitted<T: Float>(
    x: &Tensor<T>,
    axes: &Axes,
    statistics: fn(&Tensor<T>, &Axes) -> [Tensor<T>; 2],
) -> Result<[Tensor<T>; 2], DataError> {
    let (least, largest) = (x.min(axes.clone()), x.max(axes.clone()));
    let [shift, scale] = statistics(x, axes);
    let reach = (&largest - &shift).maximum(&shift - &least).maximum(&scale);
    if let Some(number) = reach.iter().position(|reach| !reach.is_finite()) {
        let [low, high] = [&least, &largest].map(|numbers| numbers.to_vec()[number].to_f64());
        return Err(DataError::Range { index: place_of(number, shift.shape()).to_vec(), low, high });
    }
    // The mean of equal numbers may be rounded to another one, and then no difference is 0.
    let constant = least.eq(&largest);
    let shift = constant.where_(&least, &shift);
    // A deviation may be too small for a number, too.
    Ok([shift, scale.masked_fill(&constant.logical_or(scale.eq(T::ZERO)), T::ONE)])
}

#[track_caller]
fn check_numbers<T: Float>(x: &Tensor<T>) -> Result<(), DataError> {
    assert!(!x.is_empty(), "fit: the data have shape {:?}: there must be numbers", x.shape());
    let Some((number, value)) = x.iter().enumerate().find(|(_, value)| !value.is_finite()) else {
        return Ok(());
    };
    Err(DataError::NotFinite { index: place_of(number, x.shape()).to_vec(), value: value.to_f64() })
}

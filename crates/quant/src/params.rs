//! Scales and zero points.

use std::ops::RangeInclusive;

use gradus_autograd::{Float, Tensor, Var, int8, shapes};
use gradus_nn::{Packed, StateTensor};

use crate::error::QuantError;

/// The levels that numbers are rounded to, and how their scales are chosen.
///
/// ```
/// use gradus_quant::Scheme;
///
/// let activations = Scheme::uint8();
/// let weights = Scheme::int8().levels(-127..=127).symmetric().per_channel(0);
/// assert_eq!((activations.low(), weights.low()), (0, -127));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    low: i32,
    high: i32,
    pub(crate) symmetric: bool,
    axis: Option<usize>,
}

impl Scheme {
    /// Levels from -128 to 127, with a zero point (affine), one scale for all numbers.
    pub fn int8() -> Self {
        Self { low: -128, high: 127, symmetric: false, axis: None }
    }

    /// Levels from 0 to 255, with a zero point (affine), one scale for all numbers.
    pub fn uint8() -> Self {
        Self { low: 0, high: 255, ..Self::int8() }
    }

    /// Levels from -127 to 127 around 0, a scale for each index of the first axis: for the weights of layers.
    pub fn weights() -> Self {
        Self::int8().levels(-127..=127).symmetric().per_channel(0)
    }

    /// Other levels: fewer bits, or a range without -128.
    ///
    /// # Panics
    /// If there are fewer than two levels, or they do not fit 8 bits with or without a sign.
    #[must_use]
    #[track_caller]
    pub fn levels(self, levels: RangeInclusive<i32>) -> Self {
        let (low, high) = (*levels.start(), *levels.end());
        assert!(
            are_levels(low.into(), high.into()),
            "levels: {levels:?}: there must be two at least, within -128..=127 or 0..=255"
        );
        Self { low, high, ..self }
    }

    /// Scales for a range around 0, without a zero point: 0 is the level in the middle.
    #[must_use]
    pub fn symmetric(self) -> Self {
        Self { symmetric: true, ..self }
    }

    /// A scale for each index of an axis.
    #[must_use]
    pub fn per_channel(self, axis: usize) -> Self {
        Self { axis: Some(axis), ..self }
    }

    /// The lowest level.
    pub fn low(&self) -> i32 {
        self.low
    }

    /// The highest level.
    pub fn high(&self) -> i32 {
        self.high
    }

    /// The axis whose indices have scales of their own.
    pub fn axis(&self) -> Option<usize> {
        self.axis
    }
}

/// Whether levels are two at least, and fit 8 bits with or without a sign.
fn are_levels(low: f64, high: f64) -> bool {
    low < high && if low < 0.0 { low >= -128.0 && high <= 127.0 } else { high <= 255.0 }
}

/// The scales and zero points that turn numbers into levels: `round(x / scale) + zero_point`, halves to even, cut to the levels.
///
/// Scales are held in `f32`, as in a file: a model that is loaded computes the same bits.
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_quant::{Params, Scheme};
///
/// let params = Params::of_range(&[-1.0], &[2.0], &Scheme::uint8())?;
/// let x = Tensor::from([-1.0_f32, 0.0, 0.51, 9.0]);
/// assert_eq!(params.quantize(&x)?, Tensor::from([0, 85, 128, 255]));
/// assert!(params.dequantize::<f32>(&params.quantize(&x)?).allclose(&Tensor::from([-1.0, 0.0, 0.506, 2.0]), 1e-3, 0.0));
/// assert!(Params::of_range(&[f64::NAN], &[1.0], &Scheme::uint8()).is_err());
/// # Ok::<(), gradus_quant::QuantError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    scheme: Scheme,
}

/// The smallest scale, of numbers that are all 0; PyTorch's.
pub(crate) const LEAST_SCALE: f64 = 1.0 / (1 << 23) as f64;

impl Params {
    /// One scale and zero point, or one for each channel.
    ///
    /// # Errors
    /// If a scale is not positive and finite, or a zero point is no level.
    ///
    /// # Panics
    /// If there are not as many zero points as scales, or several without an axis.
    #[track_caller]
    pub fn new(scales: Vec<f32>, zero_points: Vec<i32>, scheme: &Scheme) -> Result<Self, QuantError> {
        assert!(
            scales.len() == zero_points.len() && (scheme.axis.is_some() || scales.len() == 1),
            "params: {} scales and {} zero points: there must be as many of each, and one if there is no axis",
            scales.len(),
            zero_points.len()
        );
        for (channel, (&scale, &zero_point)) in scales.iter().zip(&zero_points).enumerate() {
            if !(scale > 0.0 && scale.is_finite()) {
                return Err(QuantError::Scale { channel, scale });
            }
            if !(scheme.low..=scheme.high).contains(&zero_point) {
                let (low, high) = (scheme.low, scheme.high);
                return Err(QuantError::ZeroPoint { channel, zero_point, low, high });
            }
        }
        Ok(Self { scales, zero_points, scheme: scheme.clone() })
    }

    /// The parameters for numbers in a range, or in one for each channel; a range is widened to hold 0, so that 0 has a level
    /// of its own (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    /// 2018, section 2.1).
    ///
    /// # Errors
    /// If an end is NaN or infinite, or the lower one is above the other.
    ///
    /// # Panics
    /// If there are not as many upper ends as lower ones, or several without an axis.
    #[track_caller]
    pub fn of_range(low: &[f64], high: &[f64], scheme: &Scheme) -> Result<Self, QuantError> {
        assert_eq!(low.len(), high.len(), "params: lower and upper ends");
        let levels = f64::from(scheme.high - scheme.low);
        let (mut scales, mut zero_points) = (Vec::new(), Vec::new());
        for (channel, (&low, &high)) in low.iter().zip(high).enumerate() {
            if !(low.is_finite() && high.is_finite() && low <= high) {
                return Err(QuantError::Range { channel, low, high });
            }
            let (low, high) = (low.min(0.0), high.max(0.0));
            let (scale, zero_point) = if scheme.symmetric {
                ((-low).max(high) / (levels / 2.0), (scheme.low + scheme.high + 1).div_euclid(2))
            } else {
                let scale = ((high - low) / levels).max(LEAST_SCALE);
                let zero_point = scheme.low - (low / scale).round_ties_even() as i32;
                (scale, zero_point.clamp(scheme.low, scheme.high))
            };
            scales.push(scale.max(LEAST_SCALE) as f32);
            zero_points.push(zero_point);
        }
        Self::new(scales, zero_points, scheme)
    }

    /// The parameters for the numbers of a tensor.
    ///
    /// # Errors
    /// If the tensor is empty, or a number is NaN or infinite.
    #[track_caller]
    pub fn of<T: Float>(x: &Tensor<T>, scheme: &Scheme) -> Result<Self, QuantError> {
        let mut observer = crate::Observer::min_max(scheme);
        observer.observe(x)?;
        observer.params()
    }

    /// The scales: one, or one for each channel.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The levels of 0: one, or one for each channel.
    pub fn zero_points(&self) -> &[i32] {
        &self.zero_points
    }

    /// The levels, and the axis of channels.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The least and the largest number that a level of a channel stands for.
    pub fn range(&self, channel: usize) -> (f64, f64) {
        let of = |level: i32| f64::from(level - self.zero_points[channel]) * f64::from(self.scales[channel]);
        (of(self.scheme.low), of(self.scheme.high))
    }

    /// One number for each channel, shaped to broadcast to a tensor of this rank.
    #[track_caller]
    pub(crate) fn broadcast<T: Float>(
        &self,
        shape: &[usize],
        numbers: impl Iterator<Item = f64>,
    ) -> Tensor<T> {
        let numbers: Tensor<T> = numbers.map(T::from_f64).collect();
        let Some(axis) = self.scheme.axis else { return numbers.select(0, 0) };
        assert!(
            shape.get(axis) == Some(&numbers.len()),
            "quantize: {} scales along axis {axis} of shape {shape:?}: there must be one for each index",
            numbers.len()
        );
        let mut sizes = vec![1; shape.len()];
        sizes[axis] = numbers.len();
        numbers.reshape(sizes)
    }

    fn scales_for<T: Float>(&self, shape: &[usize]) -> Tensor<T> {
        self.broadcast(shape, self.scales.iter().map(|&scale| scale.into()))
    }

    fn zero_points_for<T: Float>(&self, shape: &[usize]) -> Tensor<T> {
        self.broadcast(shape, self.zero_points.iter().map(|&zero_point| zero_point.into()))
    }

    /// The levels of numbers, in the shape of `x`.
    ///
    /// # Errors
    /// If a number is NaN, which no level stands for.
    ///
    /// # Panics
    /// If the axis of channels has another size than there are scales.
    #[track_caller]
    pub fn quantize<T: Float>(&self, x: &Tensor<T>) -> Result<Tensor<i64>, QuantError> {
        if let Some(place) = x.iter().position(gradus_autograd::Number::is_nan) {
            let index = shapes::place_of(place, x.shape()).to_vec();
            return Err(QuantError::NotFinite { name: "quantize".into(), index, value: f64::NAN });
        }
        let [low, high] = [self.scheme.low, self.scheme.high].map(f64::from).map(T::from_f64);
        let levels = (x / self.scales_for(x.shape())).round() + self.zero_points_for::<T>(x.shape());
        Ok(levels.clamp(low, high).cast())
    }

    /// The numbers that levels stand for, `(level - zero_point) * scale`, in the shape of the levels.
    ///
    /// # Panics
    /// If the axis of channels has another size than there are scales.
    #[track_caller]
    pub fn dequantize<T: Float>(&self, levels: &Tensor<i64>) -> Tensor<T> {
        (levels.cast::<T>() - self.zero_points_for::<T>(levels.shape())) * self.scales_for(levels.shape())
    }

    /// [`Var::fake_quantize`] with these scales, zero points and levels.
    ///
    /// # Panics
    /// If the axis of channels has another size than there are scales.
    #[track_caller]
    pub fn fake_quantize<T: Float>(&self, x: &Var<T>) -> Var<T> {
        let (scale, zero_point) = (self.scales_for::<T>(x.shape()), self.zero_points_for::<T>(x.shape()));
        x.fake_quantize(scale, zero_point, self.scheme.low.into()..=self.scheme.high.into())
    }

    /// The levels as kernels take them, with the first zero point.
    pub(crate) fn kernel_levels(&self) -> int8::Levels {
        int8::Levels { low: self.scheme.low, high: self.scheme.high, zero_point: self.zero_points[0] }
    }
}

/// The lowest and the highest level, the scales and the zero points: numbers of a state mean something only with all of them.
impl Packed for Params {
    fn to_state(&self) -> StateTensor {
        let ends = [self.scheme.low, self.scheme.high].map(f64::from);
        let scales = self.scales.iter().map(|&scale| scale.into());
        let zero_points = self.zero_points.iter().map(|&zero_point| zero_point.into());
        StateTensor::F64(ends.into_iter().chain(scales).chain(zero_points).collect())
    }
    fn set_state(&mut self, numbers: &StateTensor) {
        let StateTensor::F64(numbers) = numbers else { return };
        let (numbers, count) = (numbers.to_vec(), self.scales.len());
        (self.scheme.low, self.scheme.high) = (numbers[0] as i32, numbers[1] as i32);
        self.scales = numbers[2..2 + count].iter().map(|&scale| scale as f32).collect();
        self.zero_points = numbers[2 + count..].iter().map(|&zero_point| zero_point as i32).collect();
    }
    fn check(&self, numbers: &StateTensor) -> Option<String> {
        let StateTensor::F64(numbers) = numbers else { return None };
        let (numbers, count) = (numbers.to_vec(), self.scales.len());
        if numbers.len() != 2 + 2 * count {
            return None; // The shape is compared as well.
        }
        let (low, high) = (numbers[0], numbers[1]);
        if !are_levels(low, high) || low.fract() != 0.0 || high.fract() != 0.0 {
            return Some(format!(
                "the levels are {low} to {high}: they must be within -128 to 127 or 0 to 255"
            ));
        }
        let (scales, zero_points) = numbers[2..].split_at(count);
        let scale = scales.iter().find(|&&scale| !(scale as f32 > 0.0 && (scale as f32).is_finite()));
        if let Some(scale) = scale {
            return Some(format!("a scale is {scale}: scales must be positive and finite"));
        }
        let wrong = zero_points.iter().find(|zero| !(low..=high).contains(zero) || zero.fract() != 0.0)?;
        Some(format!("a zero point is {wrong}: it must be one of the levels, {low} to {high}"))
    }
}

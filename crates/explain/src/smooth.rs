//! Means of explanations over noisy copies of the input.

use gradus_autograd::{Float, Tensor, Var, seeded};

use crate::error::{ExplainError, Result};
use crate::input::{Input, tensor};
use crate::passes::{Passes, Rows, pass_options};
use crate::target::Target;

/// The number that stands for the explanations of the noisy copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smoothing {
    /// The mean (Smilkov et al., "`SmoothGrad`", 2017).
    Mean,
    /// The mean of the squares (Hooker et al., "A benchmark for interpretability methods", 2018).
    Square,
    /// The variance (Adebayo et al., "Local explanation methods for deep neural networks lack sensitivity", 2018).
    Variance,
}

/// `SmoothGrad` and its relatives: explanations of noisy copies of the input, put together.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::{SmoothGrad, Smoothing, input_x_gradient};
///
/// let model = |x: &Var<f64>| x.square().sum(1).unsqueeze(1);
/// let x = Tensor::from([[1.0, -2.0]]);
/// let smooth = SmoothGrad::new(400, 0.1, 0);
/// assert!(smooth.explain(model, &x, 0)?.allclose(&Tensor::from([[2.0, -4.0]]), 0.0, 0.05));
/// // The gradient 2 x of noise with variance 0.01 has the variance 0.04.
/// let variance = smooth.clone().smoothing(Smoothing::Variance).explain(model, &x, 0)?;
/// assert!(variance.allclose(&Tensor::from([[0.04, 0.04]]), 0.0, 0.01));
/// // Any other method.
/// smooth.explain_by(&x, |x| input_x_gradient(model, x, 0))?;
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SmoothGrad<T: Float = f32> {
    noise: Noise<T>,
    smoothing: Smoothing,
    passes: Passes,
}

#[derive(Debug, Clone)]
enum Noise<T: Float> {
    Drawn { samples: usize, deviation: f64, seed: u64 },
    Given(Tensor<T>),
}

impl<T: Float> SmoothGrad<T> {
    /// The mean over a number of copies with normal noise of a standard deviation, drawn with a seed. The paper takes a tenth to a
    /// fifth of the range of the input for the deviation.
    ///
    /// # Panics
    /// If there are no samples, or the deviation is negative or not finite.
    #[track_caller]
    pub fn new(samples: usize, deviation: f64, seed: u64) -> Self {
        assert!(samples > 0, "SmoothGrad: there must be a sample");
        assert!(
            deviation >= 0.0 && deviation.is_finite(),
            "SmoothGrad: the deviation is {deviation}: it must be a number from 0 up"
        );
        let noise = Noise::Drawn { samples, deviation, seed };
        Self { noise, smoothing: Smoothing::Mean, passes: Passes::default() }
    }

    /// The mean over copies with this noise, `[samples, batch, ...]`.
    ///
    /// # Panics
    /// If there are no samples.
    #[track_caller]
    pub fn with_noise(noise: impl Into<Tensor<T>>) -> Self {
        let noise = noise.into();
        assert!(
            noise.shape().first().is_some_and(|&samples| samples > 0),
            "SmoothGrad: there must be a sample"
        );
        Self { noise: Noise::Given(noise), smoothing: Smoothing::Mean, passes: Passes::default() }
    }

    /// Sets the number that stands for all copies.
    #[must_use]
    pub fn smoothing(mut self, smoothing: Smoothing) -> Self {
        self.smoothing = smoothing;
        self
    }

    pass_options! { passes }

    /// The gradients, put together, in the shape of `x` `[batch, ...]`.
    ///
    /// # Errors
    /// As [`gradient`](crate::gradient()), and if the noise has another shape.
    pub fn explain(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Tensor<T>> {
        let input = Input::new(&model, x, &target.into(), &self.passes)?;
        let noise = self.noise(x)?;
        let (samples, size, numbers) = (noise.shape()[0], input.size(), noise.to_vec());
        let fill = |job: usize, to: &mut Vec<T>| {
            let (row, sample) = (job / samples, job % samples);
            let noise = &numbers[sample * x.len() + row * size..][..size];
            to.extend(input.row(row).iter().zip(noise).map(|(&x, &noise)| x + noise));
        };
        let rows = Rows { shape: input.row_shape(), count: input.rows() * samples, fill: &fill };
        let mut moments = vec![Moments::default(); x.len()];
        let mut take = |job: usize, gradient: &[T]| add(&mut moments[job / samples * size..], gradient);
        self.passes.gradients(&model, &rows, &|job| input.classes[job / samples], &mut take)?;
        Ok(input.tensor(moments.iter().map(|moments| moments.finish(self.smoothing))))
    }

    /// As [`explain`](Self::explain), by any other method that gives an explanation in the shape of the input.
    ///
    /// # Errors
    /// As the method, and if the noise has another shape.
    pub fn explain_by(
        &self,
        x: &Tensor<T>,
        method: impl Fn(&Tensor<T>) -> Result<Tensor<T>>,
    ) -> Result<Tensor<T>> {
        let noise = self.noise(x)?;
        let (samples, mut moments) = (noise.shape()[0], vec![Moments::default(); x.len()]);
        self.passes.clone().one_by_one().each(samples, |range| {
            let explanation = method(&(x + noise.select(0, range.start as isize)))?;
            if explanation.shape() != x.shape() {
                let (shape, expected) = (explanation.shape().to_vec(), vec![x.shape().to_vec()]);
                return Err(ExplainError::Shape { kind: "explanation", shape, expected });
            }
            add(&mut moments, &explanation.to_vec());
            Ok(())
        })?;
        Ok(tensor(moments.iter().map(|moments| moments.finish(self.smoothing)), x.shape()))
    }

    fn noise(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let with = |samples: usize| [&[samples], x.shape()].concat();
        match &self.noise {
            Noise::Drawn { samples, deviation, seed } => {
                Ok(Tensor::normal(with(*samples), 0.0, *deviation, &mut seeded(*seed)))
            }
            Noise::Given(noise) if noise.shape() == with(noise.shape()[0]) => Ok(noise.clone()),
            Noise::Given(noise) => {
                let (shape, expected) = (noise.shape().to_vec(), vec![with(noise.shape()[0])]);
                Err(ExplainError::Shape { kind: "noise", shape, expected })
            }
        }
    }
}

/// The mean, the mean of the squares and the sum of squared distances from the mean, of the explanations so far (Welford,
/// "Note on a method for calculating corrected sums of squares and products", 1962): without cancellation.
#[derive(Clone, Default)]
struct Moments {
    count: f64,
    mean: f64,
    square: f64,
    distances: f64,
}

impl Moments {
    fn add(&mut self, number: f64) {
        self.count += 1.0;
        let before = number - self.mean;
        self.mean += before / self.count;
        self.square += (number * number - self.square) / self.count;
        self.distances += before * (number - self.mean);
    }

    fn finish(&self, smoothing: Smoothing) -> f64 {
        match smoothing {
            Smoothing::Mean => self.mean,
            Smoothing::Square => self.square,
            Smoothing::Variance => self.distances / self.count,
        }
    }
}

fn add<T: Float>(moments: &mut [Moments], numbers: &[T]) {
    moments.iter_mut().zip(numbers).for_each(|(moments, number)| moments.add(number.to_f64()));
}

//! Private gradients.

use std::fmt::{self, Debug, Formatter};

use gradus_autograd::{Examples, Float, Gradients, Operand, Tensor, Var};
use gradus_nn::{Module, State, StateError, Stateful, per_example_gradients};

use crate::accountant::Accountant;
use crate::clipping::{ClippedSum, Clipping};
use crate::error::{PrivacyError, Result, checked, noise, rate};
use crate::refuse::{check_layers, keep_buffers};
use crate::secure::SecureRng;

/// Gives standard normal numbers of a shape.
type Normal = Box<dyn FnMut(&[usize]) -> Tensor<f64> + Send>;

/// Gradients with differential privacy (Abadi et al., "Deep learning with differential privacy", 2016), for any optimizer:
///
/// ```text
/// gradient = (sum over examples of g min(1, max_norm / |g|) + noise_multiplier max_norm z) / (sampling_rate samples)
/// ```
///
/// with z standard normal from a [`SecureRng`]. What the optimizer does with it, momentum, schedules and the like, needs no
/// more privacy. The sum is divided by the *expected* size of a batch, as the drawn one tells who is in it; an empty batch gives
/// noise alone. Each batch must be drawn anew, each example with probability `sampling_rate`
/// (`gradus::data::PoissonBatches`): epsilon does not hold for shuffled batches of one size.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } pub mod privacy { pub use gradus_privacy::*; } }
/// use gradus::data::PoissonBatches;
/// use gradus::privacy::{DpSgd, Plan, SecureRng};
/// use gradus::{Adam, Indices, Linear, Losses, Operand, Optimizer, Tensor, Var, seeded};
///
/// let x = Tensor::<f32>::randn([400, 3], &mut seeded(0));
/// let y: Tensor<i64> = x.select(1, 0).map(|x| i64::from(x > 0.0));
///
/// let plan = Plan { sampling_rate: 0.1, steps: 30, delta: 1e-4 };
/// let mut private = DpSgd::new(400, plan.sampling_rate)?.max_norm(0.5)?.noise_multiplier(plan.noise_multiplier(3.0)?)?;
/// let (mut model, mut adam) = (Linear::new(3, 2, &mut seeded(1)), Adam::new(0.1));
/// for (x, y) in PoissonBatches::new((&x, &y), plan.sampling_rate, SecureRng::new()?).take(plan.steps) {
///     let (x, y) = (Var::constant(x), Indices::constant(y));
///     let gradients = private.gradients(
///         &model,
///         |model, x| model.forward(x[0].unsqueeze(0)).cross_entropy(x.indices(1).reshape([1])),
///         &[Operand::Var(&x), Operand::Indices(&y)],
///         &[Some(0), Some(0)],
///     )?;
///     adam.step(&mut model, &gradients);
/// }
/// assert!(private.epsilon(1e-4)? <= 3.0);
/// # Ok::<(), gradus_privacy::PrivacyError>(())
/// ```
pub struct DpSgd {
    samples: usize,
    sampling_rate: f64,
    max_norm: f64,
    noise_multiplier: f64,
    clipping: Clipping,
    normal: Normal,
    is_secure: bool,
    accountant: Accountant,
}

impl DpSgd {
    /// For a data set of this many samples, each of which joins a batch with this probability; with a clipping norm and a noise
    /// multiplier of 1.
    ///
    /// # Errors
    /// If there are no samples, the rate is not above 0 and up to 1, or the operating system has no random numbers.
    pub fn new(samples: usize, sampling_rate: f64) -> Result<Self> {
        checked("samples", samples as f64, samples > 0, "1 or larger")?;
        checked("sampling_rate", rate(sampling_rate)?, sampling_rate > 0.0, "above 0")?;
        let mut rng = SecureRng::new()?;
        Ok(Self {
            samples,
            sampling_rate,
            max_norm: 1.0,
            noise_multiplier: 1.0,
            clipping: Clipping::Flat,
            normal: Box::new(move |shape| Tensor::randn(shape, &mut rng)),
            is_secure: true,
            accountant: Accountant::new(),
        })
    }

    /// Sets the norm to which the gradient of each example is clipped. It does not change epsilon: a small one distorts the
    /// gradient, a large one brings more noise. A good one is near the median of the norms.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn max_norm(mut self, max_norm: f64) -> Result<Self> {
        let is_right = max_norm > 0.0 && max_norm.is_finite();
        self.max_norm = checked("max_norm", max_norm, is_right, "above 0 and finite")?;
        Ok(self)
    }

    /// Sets the standard deviation of the noise, in units of the clipping norm; see
    /// [`Plan::noise_multiplier`](crate::Plan::noise_multiplier). With 0 there is no noise, and epsilon is infinite.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn noise_multiplier(mut self, noise_multiplier: f64) -> Result<Self> {
        let is_right = noise(noise_multiplier)?.is_finite();
        self.noise_multiplier = checked("noise_multiplier", noise_multiplier, is_right, "finite")?;
        Ok(self)
    }

    /// Sets how gradients are clipped.
    #[must_use]
    pub fn clipping(self, clipping: Clipping) -> Self {
        Self { clipping, ..self }
    }

    /// Uses an accountant with other orders, or one that has counted steps on the same data.
    #[must_use]
    pub fn accountant(self, accountant: Accountant) -> Self {
        Self { accountant, ..self }
    }

    /// Takes the same noise in each run. Whoever knows the seed can take it away again: such a model is not private.
    #[must_use]
    pub fn seeded_for_tests(self, seed: u64) -> Self {
        let mut rng = SecureRng::seeded_for_tests(seed);
        self.noise_for_tests(move |shape| Tensor::randn(shape, &mut rng))
    }

    /// Takes noise from a function, which should give standard normal numbers of a shape: it is called for each trained
    /// parameter in turn. Such a model is not private.
    #[must_use]
    pub fn noise_for_tests(self, normal: impl FnMut(&[usize]) -> Tensor<f64> + Send + 'static) -> Self {
        Self { normal: Box::new(normal), is_secure: false, ..self }
    }

    /// The private gradients of a batch, one step of the accountant. The loss gets one example at a time, and inputs and axes
    /// are as for [`per_example_gradients`].
    ///
    /// [`Gradients::loss`] is the sum of the losses by the expected size of a batch, and *not* private; nor is an error, which
    /// depends on the data. Parameters that are frozen get no gradient; all others get noise.
    ///
    /// # Errors
    /// Those of [`clipped_sum`](Self::clipped_sum) and [`add_noise`](Self::add_noise); then the step does not count.
    ///
    /// # Panics
    /// Like `per_example_gradients`; and in a compiled step, which would add the same noise in each call.
    #[track_caller]
    pub fn gradients<'a, T: Float, M: Module<T>, A: Copy + Into<Operand<'a, T>>>(
        &mut self,
        model: &M,
        loss: impl Fn(&M, &Examples<T>) -> Var<T>,
        inputs: &[A],
        in_axes: &[Option<isize>],
    ) -> Result<Gradients<T>> {
        let sum = self.clipped_sum(model, loss, inputs, in_axes)?;
        self.add_noise(model, sum)
    }

    /// The sum of the clipped gradients of some examples, without noise: for batches that do not fit into memory at once, whose
    /// parts are [added up](ClippedSum::accumulate).
    ///
    /// # Errors
    /// [`PrivacyError::Layer`] if a layer in training mode keeps statistics, [`PrivacyError::Buffer`] if the loss changes a
    /// buffer otherwise, [`PrivacyError::NotFinite`] if a gradient is NaN or infinite. The model is as it was.
    ///
    /// # Panics
    /// Like `per_example_gradients`.
    #[track_caller]
    pub fn clipped_sum<'a, T: Float, M: Module<T>, A: Copy + Into<Operand<'a, T>>>(
        &self,
        model: &M,
        loss: impl Fn(&M, &Examples<T>) -> Var<T>,
        inputs: &[A],
        in_axes: &[Option<isize>],
    ) -> Result<ClippedSum<T>> {
        check_layers(model)?;
        let found = keep_buffers(model, || per_example_gradients(model, loss, inputs, in_axes))?;
        self.clipping.sum(&found, self.max_norm)
    }

    /// The private gradients of a whole batch, one step of the accountant.
    ///
    /// Sum and noise are added in double precision, and rounded to the type of the parameters afterwards.
    ///
    /// # Errors
    /// [`PrivacyError::Batch`] if there are more examples than in the data set.
    ///
    /// # Panics
    /// If the sum was clipped to another norm, or is of another model.
    #[track_caller]
    pub fn add_noise<T: Float>(
        &mut self,
        model: &impl Module<T>,
        sum: ClippedSum<T>,
    ) -> Result<Gradients<T>> {
        let ClippedSum { mut gradients, batch, max_norm } = sum;
        assert!(
            max_norm == self.max_norm,
            "add_noise: the sum is clipped to norm {max_norm}, the noise is for norm {}: they must be equal",
            self.max_norm
        );
        if batch > self.samples {
            return Err(PrivacyError::Batch { batch, samples: self.samples });
        }
        let deviation = self.noise_multiplier * self.max_norm;
        for parameter in model.parameters().into_iter().filter(|parameter| parameter.is_trainable()) {
            assert!(
                gradients.var(parameter).is_some(),
                "add_noise: a trainable parameter of the model has no sum: it is of another model"
            );
            if deviation > 0.0 {
                let noise = (self.normal)(parameter.shape()) * deviation;
                gradients.update(parameter, |gradient| *gradient = (gradient.cast::<f64>() + noise).cast());
            }
        }
        gradients.scale(1.0 / self.expected_batch());
        self.accountant.add(self.sampling_rate, self.noise_multiplier, 1)?;
        Ok(gradients)
    }

    /// The expected size of a batch, by which sums are divided.
    pub fn expected_batch(&self) -> f64 {
        self.sampling_rate * self.samples as f64
    }

    /// The epsilon of all steps so far; see [`Accountant::epsilon`].
    ///
    /// # Errors
    /// If delta is not between 0 and 1.
    pub fn epsilon(&self, delta: f64) -> Result<f64> {
        self.accountant.epsilon(delta)
    }

    /// The steps so far.
    pub fn steps(&self) -> &Accountant {
        &self.accountant
    }
}

impl Stateful for DpSgd {
    /// The steps of the accountant. The generator of the noise is not part of it: noise that is drawn twice is no noise.
    fn state(&self) -> State {
        self.accountant.state()
    }
    fn load_state(&mut self, state: &State) -> std::result::Result<(), StateError> {
        self.accountant.load_state(state)
    }
}

impl Debug for DpSgd {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { samples, sampling_rate, max_norm, noise_multiplier, clipping, is_secure, .. } = self;
        let source = if *is_secure { "secure" } else { "not secure" };
        write!(
            f,
            "DpSgd: {samples} samples at rate {sampling_rate}, clipped to {max_norm} ({clipping:?}), noise \
             {noise_multiplier} ({source})"
        )
    }
}

//! The accountant: what training has given away.

use std::fmt::{self, Debug, Formatter};
use std::sync::OnceLock;

use gradus_autograd::Tensor;
use gradus_nn::{State, StateError, Stateful};

use crate::error::{PrivacyError, Result, checked, noise, order as order_of, probability, rate};
use crate::losses::{self, Steps};
use crate::rdp::of_step;

/// The orders of Google's `dp-accounting`: 1.1, 1.2, ... 10.9, 11, 12, ... 63, 128, 256, 512, 1024.
pub fn default_orders() -> &'static [f64] {
    static ORDERS: OnceLock<Vec<f64>> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let tenths = (1..100).map(|i| 1.0 + f64::from(i) / 10.0);
        let whole = (11..64).chain([128, 256, 512, 1024]).map(f64::from);
        tenths.chain(whole).collect()
    })
}

/// Counts the steps of training, and says what they have given away: by Renyi differential privacy (Mironov, "Renyi
/// differential privacy", 2017), which adds up over steps, with the conversion of Canonne, Kamath and Steinke ("The discrete
/// Gaussian for differential privacy", 2020, proposition 12):
///
/// ```text
/// epsilon = min over orders a of   rdp(a) + log(1 - 1 / a) - log(delta a) / (a - 1)
/// ```
///
/// Epsilon holds for all steps together, also for who sees every model on the way, and is never below the true one, but for
/// rounding (1e-12 of it).
///
/// Its [`state`](Self::state) is the list of the steps. In a checkpoint beside the model, it goes on with it. Steps that come
/// after a checkpoint and are thrown away with their model do count for whoever has seen that model.
///
/// ```
/// use gradus_privacy::Accountant;
///
/// let mut accountant = Accountant::new();
/// accountant.add(0.01, 1.0, 1000)?;
/// let first = accountant.epsilon(1e-5)?;
/// accountant.add(0.01, 2.0, 1000)?; // with more noise
/// let both = accountant.epsilon(1e-5)?;
/// assert!(2.0 < first && first < both && both < 3.0);
/// # Ok::<(), gradus_privacy::PrivacyError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Accountant {
    orders: Vec<f64>,
    phases: Vec<Phase>,
}

/// Steps of one kind.
#[derive(Clone, PartialEq)]
struct Phase {
    sampling_rate: f64,
    noise_multiplier: f64,
    steps: usize,
    /// Of one step, at each order.
    rdp: Vec<f64>,
}

impl Default for Accountant {
    fn default() -> Self {
        Self { orders: default_orders().to_vec(), phases: Vec::new() }
    }
}

impl Accountant {
    /// Of no steps yet, with the [`default_orders`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Of no steps yet, with other orders. More orders give a smaller epsilon, or the same.
    ///
    /// # Errors
    /// If there are no orders, or one is not from 1.000001 to 65536.
    pub fn with_orders(orders: impl Into<Vec<f64>>) -> Result<Self> {
        let orders = orders.into();
        checked("the number of orders", orders.len() as f64, !orders.is_empty(), "1 or larger")?;
        for &order in &orders {
            order_of(order)?;
        }
        Ok(Self { orders, phases: Vec::new() })
    }

    /// Counts steps of the sampled Gaussian mechanism; see [`rdp`](crate::rdp()).
    ///
    /// # Errors
    /// If the rate is not from 0 to 1, or the noise multiplier is negative.
    pub fn add(&mut self, sampling_rate: f64, noise_multiplier: f64, steps: usize) -> Result<()> {
        let (q, s) = (rate(sampling_rate)?, noise(noise_multiplier)?);
        match self.phases.last_mut() {
            Some(last) if (last.sampling_rate, last.noise_multiplier) == (q, s) => {
                last.steps = last.steps.saturating_add(steps);
            }
            _ => {
                let rdp = self.orders.iter().map(|&order| of_step(q, s, order)).collect();
                self.phases.push(Phase { sampling_rate: q, noise_multiplier: s, steps, rdp });
            }
        }
        Ok(())
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.phases.iter().fold(0, |sum, phase| sum.saturating_add(phase.steps))
    }

    /// The orders.
    pub fn orders(&self) -> &[f64] {
        &self.orders
    }

    /// The Renyi differential privacy of all steps together, at each order.
    pub fn rdp(&self) -> Vec<f64> {
        let steps = self.phases.iter().filter(|phase| phase.steps > 0);
        steps.fold(vec![0.0; self.orders.len()], |mut sums, phase| {
            for (sum, rdp) in sums.iter_mut().zip(&phase.rdp) {
                *sum += phase.steps as f64 * rdp;
            }
            sums
        })
    }

    /// The epsilon of all steps together: with probability 1 - `delta`, no result is more than exp(epsilon) times as likely
    /// with an example as without it. Infinite if a step had no noise.
    ///
    /// # Errors
    /// If delta is not between 0 and 1.
    pub fn epsilon(&self, delta: f64) -> Result<f64> {
        Ok(self.best(delta)?.0)
    }

    /// A smaller epsilon for the same steps, from the whole distribution of the privacy loss on a grid in place of its moments
    /// (Koskela, Jälkö and Honkela, "Computing tight differential privacy guarantees using FFT", 2020; Doroshenko et al.,
    /// "Connect the dots", 2022). It is pessimistic: the grid, what it cuts off and the rounding of the transform count against
    /// it. It takes up to a second or two for each kind of steps. Never above [`epsilon`](Self::epsilon), which it is where a
    /// grid does not do: with hardly any noise, or a tiny delta.
    ///
    /// ```
    /// use gradus_privacy::{Accountant, gaussian_epsilon};
    ///
    /// let mut accountant = Accountant::new();
    /// accountant.add(1.0, 4.0, 10)?;
    /// let (exact, tight, moments) =
    ///     (gaussian_epsilon(4.0, 10, 1e-5)?, accountant.tight_epsilon(1e-5)?, accountant.epsilon(1e-5)?);
    /// assert!(exact < tight && tight < 1.001 * exact && 1.05 * tight < moments);
    /// # Ok::<(), gradus_privacy::PrivacyError>(())
    /// ```
    ///
    /// # Errors
    /// If delta is not between 0 and 1.
    pub fn tight_epsilon(&self, delta: f64) -> Result<f64> {
        let moments = self.epsilon(delta)?;
        // Beyond, exponentials overflow.
        if moments > 600.0 {
            return Ok(moments);
        }
        let steps = self.phases.iter().map(|phase| Steps {
            sampling_rate: phase.sampling_rate,
            noise_multiplier: phase.noise_multiplier,
            count: phase.steps,
        });
        Ok(losses::epsilon(&steps.collect::<Vec<_>>(), delta).map_or(moments, |tight| tight.min(moments)))
    }

    /// The order at which [`epsilon`](Self::epsilon) has its minimum. At an end of the list, more orders would give less.
    ///
    /// # Errors
    /// If delta is not between 0 and 1.
    pub fn best_order(&self, delta: f64) -> Result<f64> {
        Ok(self.best(delta)?.1)
    }

    fn best(&self, delta: f64) -> Result<(f64, f64)> {
        let delta = probability(delta)?;
        let of_order = |(&a, r): (&f64, f64)| {
            if r.is_nan() {
                return (f64::INFINITY, a);
            }
            // The total variation is at most sqrt(1 - exp(-r)) (Bretagnolle and Huber, 1979): below delta nothing is left.
            if delta * delta + (-r).exp_m1() > 0.0 {
                return (0.0, a);
            }
            let epsilon = r + (-1.0 / a).ln_1p() - (delta * a).ln() / (a - 1.0);
            (epsilon.max(0.0), a)
        };
        let all = self.orders.iter().zip(self.rdp()).map(of_order);
        let smaller = |best: (f64, f64), next: (f64, f64)| if next.0 < best.0 { next } else { best };
        Ok(all.reduce(smaller).expect("there is an order"))
    }

    /// The steps, as `sampling_rate`, `noise_multiplier` and `steps` of each kind.
    pub fn state(&self) -> State {
        let of = |get: fn(&Phase) -> f64| self.phases.iter().map(get).collect::<Vec<f64>>();
        let steps: Vec<i64> = self.phases.iter().map(|phase| phase.steps as i64).collect();
        let mut state = State::new();
        state.insert("sampling_rate", Tensor::from(of(|phase| phase.sampling_rate)));
        state.insert("noise_multiplier", Tensor::from(of(|phase| phase.noise_multiplier)));
        state.insert("steps", Tensor::from(steps));
        state
    }

    /// Replaces the steps; the orders stay.
    ///
    /// # Errors
    /// If a list is missing or of another length, or a number is out of range. The accountant is then as it was.
    pub fn load_state(&mut self, state: &State) -> std::result::Result<(), StateError> {
        let misfit = |name: &str, form: &'static str| StateError::Value {
            name: name.into(),
            form,
            found: state.get(name).map(|tensor| (tensor.dtype(), tensor.shape().into())),
        };
        let numbers = |name: &str| -> std::result::Result<Vec<f64>, StateError> {
            let numbers = state.tensor::<f64>(name).filter(|numbers| numbers.rank() == 1);
            Ok(numbers.ok_or_else(|| misfit(name, "a list of f64"))?.to_vec())
        };
        let (rates, noises) = (numbers("sampling_rate")?, numbers("noise_multiplier")?);
        let steps = state.tensor::<i64>("steps").map(Tensor::to_vec).unwrap_or_default();
        if steps.len() != rates.len() || noises.len() != rates.len() {
            return Err(misfit("steps", "as many i64 as there are rates and noise multipliers"));
        }
        let mut loaded = Self { orders: self.orders.clone(), phases: Vec::new() };
        for ((q, s), steps) in rates.into_iter().zip(noises).zip(steps) {
            let steps =
                usize::try_from(steps).map_err(|_| misfit("steps", "a list of i64, none negative,"))?;
            loaded
                .add(q, s, steps)
                .map_err(|_| misfit("sampling_rate", "with `noise_multiplier`, numbers in their range,"))?;
        }
        *self = loaded;
        Ok(())
    }
}

impl Stateful for Accountant {
    fn state(&self) -> State {
        self.state()
    }
    fn load_state(&mut self, state: &State) -> std::result::Result<(), StateError> {
        self.load_state(state)
    }
}

impl Debug for Accountant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let phases = self.phases.iter().map(|Phase { sampling_rate, noise_multiplier, steps, .. }| {
            format!("{steps} steps of rate {sampling_rate} with noise {noise_multiplier}")
        });
        write!(f, "Accountant: {}", phases.collect::<Vec<_>>().join(", "))
    }
}

/// Steps that are planned: each example joins each of `steps` batches with probability `sampling_rate`, and the promise may
/// fail with probability `delta`, which should be far below 1 / samples.
///
/// ```
/// use gradus_privacy::Plan;
///
/// // 20 epochs of 60,000 samples in batches of 600.
/// let plan = Plan { sampling_rate: 0.01, steps: 2000, delta: 1e-5 };
/// let noise = plan.noise_multiplier(3.0)?;
/// let epsilon = plan.epsilon(noise)?;
/// assert!(2.999 < epsilon && epsilon <= 3.0);
/// # Ok::<(), gradus_privacy::PrivacyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The probability with which an example joins a batch: the expected size of a batch by the number of samples.
    pub sampling_rate: f64,
    /// The number of steps.
    pub steps: usize,
    /// The probability with which the promise of epsilon may fail.
    pub delta: f64,
}

/// The largest noise multiplier that is looked at.
const MOST_NOISE: f64 = 1e6;

impl Plan {
    /// The epsilon of all steps, with this noise.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn epsilon(&self, noise_multiplier: f64) -> Result<f64> {
        let mut accountant = Accountant::new();
        accountant.add(self.sampling_rate, noise_multiplier, self.steps)?;
        accountant.epsilon(self.delta)
    }

    /// The least noise with which all steps stay within an epsilon, to six digits and rounded up; 0 for an infinite one.
    ///
    /// # Errors
    /// [`PrivacyError::Unreachable`] with the smallest epsilon if no noise is enough; or if a number is out of range.
    pub fn noise_multiplier(&self, epsilon: f64) -> Result<f64> {
        checked("epsilon", epsilon, epsilon > 0.0, "above 0")?;
        if self.epsilon(0.0)? <= epsilon {
            return Ok(0.0);
        }
        let (mut low, mut high) = (LEAST, MOST_NOISE);
        let smallest = self.epsilon(high)?;
        if smallest > epsilon {
            return Err(PrivacyError::Unreachable { epsilon, delta: self.delta, most: high, smallest });
        }
        // Epsilon falls with the noise.
        while high > low * (1.0 + 1e-7) {
            let middle = (low * high).sqrt();
            if self.epsilon(middle)? <= epsilon { high = middle } else { low = middle }
        }
        Ok(high)
    }
}

/// A noise multiplier that keeps no promise.
const LEAST: f64 = 1e-3;

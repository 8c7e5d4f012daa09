//! Pruning: scores of weights or channels, and masks that set the least important ones to 0.

use std::collections::BTreeMap;

use gradus_autograd::{Float, Gradients, Tensor, keepdim};
use gradus_nn::{MemberMut, Module, Parameter, Path, State, StateError};

use crate::error::{CompressError, check_rate};

/// A part of a parameter that is scored and pruned as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A single weight.
    Weight,
    /// All weights of an output: a slice of the first axis.
    Channel,
}

/// The units that compete with each other for a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The units of all parameters.
    Global,
    /// The units of one parameter; the same share of each is pruned.
    Each,
}

/// The importance of the weights or channels of some parameters, by name.
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_compress::{Scores, Unit};
/// use gradus_nn::{Linear, Module};
///
/// let mut layer = Linear::<f64>::new(2, 2, &mut seeded(0));
/// layer.weight.set([[1.0, -2.0], [3.0, 0.5]]);
/// let scores = Scores::magnitude(&layer, Unit::Weight, |name| name == "weight");
/// assert_eq!(scores.get("weight"), Some(&Tensor::from([[1.0, 2.0], [3.0, 0.5]])));
///
/// let gradients = layer.forward(Tensor::from([1.0, 10.0])).sum(..).backward();
/// let scores = Scores::taylor(&layer, &gradients, Unit::Channel, |name| name == "weight");
/// assert_eq!(scores.get("weight"), Some(&Tensor::from([[19.0 * 19.0], [8.0 * 8.0]])));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scores<T: Float = f32>(BTreeMap<String, Tensor<T>>);

impl<T: Float> Scores<T> {
    /// The magnitude of each weight (Han et al., "Learning both weights and connections for efficient neural networks", 2015),
    /// or the 2-norm of each channel, of the parameters whose names are selected.
    pub fn magnitude(model: &dyn Module<T>, unit: Unit, select: impl Fn(&str) -> bool) -> Self {
        Self::of(model, select, |_, weight| match unit {
            Unit::Weight => weight.abs(),
            Unit::Channel => weight.norm(2.0, keepdim(all_but_first(weight))),
        })
    }

    /// The change of the loss, to first order and squared, if a weight or a channel were 0: `(g w)^2`, of a channel
    /// the square of the sum (Molchanov et al., "Importance estimation for neural network pruning", 2019, equation 8). Sum
    /// the scores of several batches with [`add`](Self::add). Selected parameters without a gradient have score 0.
    pub fn taylor(
        model: &dyn Module<T>,
        gradients: &Gradients<T>,
        unit: Unit,
        select: impl Fn(&str) -> bool,
    ) -> Self {
        Self::of(model, select, |parameter, weight| {
            let product = match gradients.get(parameter) {
                Some(gradient) => weight * gradient,
                None => Tensor::zeros(weight.shape()),
            };
            match unit {
                Unit::Weight => product.square(),
                Unit::Channel => product.sum(keepdim(all_but_first(weight))).square(),
            }
        })
    }

    fn of(
        model: &dyn Module<T>,
        select: impl Fn(&str) -> bool,
        score: impl Fn(&Parameter<T>, &Tensor<T>) -> Tensor<T>,
    ) -> Self {
        let named = model.named_parameters().into_iter().filter(|(name, _)| select(name));
        Self(named.map(|(name, parameter)| (name, score(parameter, parameter.value()))).collect())
    }

    /// Adds the scores of another batch.
    ///
    /// # Panics
    /// If they are of other parameters.
    #[track_caller]
    pub fn add(&mut self, other: &Self) {
        assert!(
            self.0.keys().eq(other.0.keys()),
            "add: the scores are of {:?} and of {:?}: they must be of the same parameters",
            self.0.keys().collect::<Vec<_>>(),
            other.0.keys().collect::<Vec<_>>()
        );
        for (sum, scores) in self.0.values_mut().zip(other.0.values()) {
            *sum += scores;
        }
    }

    /// The scores of a parameter, in its shape; those of channels have size 1 along all axes but the first.
    pub fn get(&self, name: &str) -> Option<&Tensor<T>> {
        self.0.get(name)
    }
}

fn all_but_first<T: Float>(weight: &Tensor<T>) -> Vec<isize> {
    (1..weight.rank() as isize).collect()
}

/// Scores by the names of parameters, of computations of your own.
impl<T: Float> FromIterator<(String, Tensor<T>)> for Scores<T> {
    fn from_iter<I: IntoIterator<Item = (String, Tensor<T>)>>(scores: I) -> Self {
        Self(scores.into_iter().collect())
    }
}

/// Which weights or channels of a model stay, by the names of parameters.
///
/// Masks are values beside the model: they fit its clones and what is loaded from its files, and have a
/// [`state`](Self::state) themselves. Training does not know of them; [`apply`](Self::apply) after each step keeps what is
/// pruned at 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Masks(BTreeMap<String, Tensor<bool>>);

impl Masks {
    /// Keeps the units with the largest scores and prunes this share of them, rounded to whole units; of equals the
    /// first stay.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, seeded};
    /// use gradus_compress::{Masks, Scope, Scores, Unit};
    /// use gradus_nn::{Linear, Module};
    ///
    /// let mut layer = Linear::<f64>::new(2, 2, &mut seeded(0));
    /// layer.weight.set([[1.0, -2.0], [3.0, 0.5]]);
    /// let masks = Masks::prune(&Scores::magnitude(&layer, Unit::Weight, |name| name == "weight"), 0.5, Scope::Each)?;
    /// assert_eq!(masks.get("weight"), Some(&Tensor::from([[false, true], [true, false]])));
    /// masks.apply(&mut layer)?;
    /// assert_eq!(layer.weight.value(), &Tensor::from([[0.0, -2.0], [3.0, 0.0]]));
    /// # Ok::<(), gradus_compress::CompressError>(())
    /// ```
    ///
    /// # Errors
    /// If the share is not at least 0 and less than 1, no parameter is scored, or a score is NaN.
    pub fn prune<T: Float>(scores: &Scores<T>, rate: f64, scope: Scope) -> Result<Self, CompressError> {
        check_rate("prune", "rate", rate)?;
        if scores.0.is_empty() {
            return Err(CompressError::argument("prune", "scores", "empty", "of a parameter at least"));
        }
        for (name, score) in &scores.0 {
            if score.isnan().any(..).item() {
                return Err(CompressError::parameter("prune", name, "has a score that is NaN"));
            }
        }
        let names: Vec<&str> = scores.0.keys().map(String::as_str).collect();
        let groups: Vec<Vec<&str>> = match scope {
            Scope::Global => vec![names],
            Scope::Each => names.into_iter().map(|name| vec![name]).collect(),
        };
        let masks = groups.iter().flat_map(|group| {
            let lines: Vec<Tensor<T>> = group.iter().map(|name| scores.0[*name].reshape([-1])).collect();
            let all = Tensor::cat(&lines.iter().collect::<Vec<_>>(), 0);
            let order = all.argsort(0, true).to_vec();
            // Rounding must not take the last unit.
            let pruned = ((rate * all.len() as f64).round() as usize).min(all.len().saturating_sub(1));
            let mut kept = vec![true; all.len()];
            for &place in &order[all.len() - pruned..] {
                kept[place as usize] = false;
            }
            let mut kept = kept.into_iter();
            let mask = |name: &&str| {
                let score = &scores.0[*name];
                let kept: Vec<bool> = kept.by_ref().take(score.len()).collect();
                (String::from(*name), Tensor::from(kept).reshape(score.shape()))
            };
            group.iter().map(mask).collect::<Vec<_>>()
        });
        Ok(Self(masks.collect()))
    }

    /// Sets what is pruned to 0.
    ///
    /// # Errors
    /// If the model does not have a parameter of a name, or of another shape. It is then as it was.
    pub fn apply<T: Float>(&self, model: &mut dyn Module<T>) -> Result<(), CompressError> {
        let shapes: BTreeMap<String, Vec<usize>> =
            model.named_parameters().into_iter().map(|(name, x)| (name, x.shape().to_vec())).collect();
        for (name, mask) in &self.0 {
            let fits = |shape: &Vec<usize>| {
                let sizes = || shape.iter().zip(mask.shape());
                shape.len() == mask.rank()
                    && (sizes().all(|(x, m)| x == m)
                        || sizes().enumerate().all(|(axis, (x, m))| *m == if axis == 0 { *x } else { 1 }))
            };
            match shapes.get(name) {
                Some(shape) if fits(shape) => {}
                Some(shape) => {
                    let fault = format!("has shape {shape:?}, the mask is for {:?}", mask.shape());
                    return Err(CompressError::parameter("apply", name, fault));
                }
                None => {
                    let fault = format!("is no parameter of the model; the names are {:?}", shapes.keys());
                    return Err(CompressError::parameter("apply", name, fault));
                }
            }
        }
        model.visit_mut(Path::ROOT, &mut |path, member| {
            let MemberMut::Parameter(parameter) = member else { return };
            if let Some(mask) = self.0.get(&path.to_string()) {
                let mask = mask.expand(parameter.shape());
                parameter.update(|weight| {
                    weight.zip_inplace(&mask, |weight, keep| if keep { weight } else { T::ZERO });
                });
            }
        });
        Ok(())
    }

    /// The names of the parameters that have masks.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The mask of a parameter: true is what stays. Masks of channels have size 1 along all axes but the first.
    pub fn get(&self, name: &str) -> Option<&Tensor<bool>> {
        self.0.get(name)
    }

    /// The places on the first axis of a parameter where something stays: the channels to keep.
    ///
    /// # Errors
    /// If there is no mask of this name.
    pub fn kept(&self, name: &str) -> Result<Vec<usize>, CompressError> {
        let mask = self.0.get(name).ok_or_else(|| {
            let fault = format!("has no mask; there are masks of {:?}", self.0.keys());
            CompressError::parameter("kept", name, fault)
        })?;
        let rows = mask.reshape((mask.shape()[0], -1)).any(1);
        Ok(rows.iter().enumerate().filter_map(|(place, kept)| kept.then_some(place)).collect())
    }

    /// The share of units that is pruned.
    pub fn rate(&self) -> f64 {
        let (mut kept, mut all) = (0, 0);
        for mask in self.0.values() {
            kept += mask.iter().filter(|&kept| kept).count();
            all += mask.len();
        }
        1.0 - kept as f64 / f64::max(all as f64, 1.0)
    }

    /// The masks under their names, to be saved.
    pub fn state(&self) -> State {
        let mut state = State::new();
        for (name, mask) in &self.0 {
            state.insert(name.clone(), mask.clone());
        }
        state
    }

    /// Masks that were saved.
    ///
    /// # Errors
    /// [`StateError::Value`] if a tensor does not hold `bool`.
    pub fn from_state(state: &State) -> Result<Self, StateError> {
        let mask = |name: &str| match state.tensor::<bool>(name) {
            Some(mask) => Ok((name.to_owned(), mask.clone())),
            // The error that reading a value gives.
            None => state.value::<bool>(name).map(|value| (name.to_owned(), Tensor::from(value))),
        };
        state.names().map(mask).collect::<Result<_, _>>().map(Self)
    }
}

/// A share that rises from one number to another, fast at first and slowly at the end (Zhu and Gupta, "To prune, or not to
/// prune", 2017): `to + (from - to) (1 - progress)^3`.
///
/// ```
/// use gradus_compress::Gradual;
///
/// let rates = Gradual::new(0.0, 0.5, 100)?;
/// assert_eq!([rates.at(0), rates.at(50), rates.at(100), rates.at(200)], [0.0, 0.4375, 0.5, 0.5]);
/// assert_eq!(
///     Gradual::new(0.0, 1.5, 100).unwrap_err().to_string(),
///     "Gradual::new: `to` is 1.5: it must be at least 0 and less than 1"
/// );
/// # Ok::<(), gradus_compress::CompressError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gradual {
    from: f64,
    to: f64,
    steps: usize,
}

impl Gradual {
    /// From one share to another in a number of steps.
    ///
    /// # Errors
    /// If a share is not at least 0 and less than 1.
    pub fn new(from: f64, to: f64, steps: usize) -> Result<Self, CompressError> {
        check_rate("Gradual::new", "from", from)?;
        check_rate("Gradual::new", "to", to)?;
        Ok(Self { from, to, steps })
    }

    /// The share at a step, counted from 0; at the last one and behind it, the second number.
    pub fn at(&self, step: usize) -> f64 {
        if step >= self.steps {
            return self.to;
        }
        let left = (1.0 - step as f64 / self.steps as f64).powi(3);
        self.from * left + self.to * (1.0 - left)
    }
}

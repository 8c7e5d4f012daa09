//! Clients: the owners of local data.

use std::collections::BTreeMap;

use gradus_autograd::{Float, Var, Xoshiro256PlusPlus, seeded};
use gradus_nn::{Module, State, StateTensor};

use crate::error::ClientError;

/// The owner of local data, who trains and evaluates models on them. The same client takes part in a
/// [`Simulation`](crate::Simulation) and, with the feature `flower`, in a federation of Flower.
///
/// The methods get a copy of the model of the federation, in training mode for `fit` and in evaluation mode for `evaluate`.
/// Only the model and the report leave the client.
pub trait Client<M> {
    /// Trains the model on the local data, and reports how many examples there are.
    ///
    /// # Errors
    /// Any error leaves this client out of the round.
    fn fit(&mut self, model: &mut M, round: &Round) -> Result<Report, ClientError>;

    /// Evaluates the model on local data: reports how many examples there are, and metrics such as `loss` and `accuracy`.
    ///
    /// # Errors
    /// Any error leaves this client out of the evaluation.
    fn evaluate(&mut self, model: &M, round: &Round) -> Result<Report, ClientError>;
}

/// A client's report: its number of examples, by which it is weighted, and means over them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The number of examples.
    pub examples: u64,
    /// Means over these examples, by name.
    pub metrics: BTreeMap<String, f64>,
}

impl Report {
    /// A report without metrics.
    pub fn new(examples: usize) -> Self {
        Self { examples: examples as u64, metrics: BTreeMap::new() }
    }

    /// Adds a mean over the examples.
    #[must_use]
    pub fn metric(mut self, name: impl Into<String>, value: f64) -> Self {
        self.metrics.insert(name.into(), value);
        self
    }

    /// Why no mean can use it, if so.
    pub(crate) fn fault(&self) -> Option<String> {
        match self.examples {
            0 => return Some("it has no examples".into()),
            // Flower counts in signed numbers.
            many if i64::try_from(many).is_err() => {
                return Some(format!("it has {many} examples, more than 2^63 - 1"));
            }
            _ => (),
        }
        let (name, value) = self.metrics.iter().find(|(_, value)| !value.is_finite())?;
        Some(format!("the metric {name:?} is {value}"))
    }
}

/// The settings of a round for a client.
#[derive(Debug, Clone)]
pub struct Round {
    pub(crate) number: u64,
    pub(crate) seed: u64,
    pub(crate) proximal: f64,
    pub(crate) global: State,
    pub(crate) settings: BTreeMap<String, Setting>,
}

/// A setting that a server sends with a round.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "named after their values")]
pub enum Setting {
    Float(f64),
    Integer(i128),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Setting>),
}

impl Round {
    /// The number of the round, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The factor mu of the proximal term; 0 unless the strategy is [`FedProx`](crate::FedProx).
    pub fn proximal(&self) -> f64 {
        self.proximal
    }

    /// A setting that the server of Flower sent along. A [`Simulation`](crate::Simulation) sends none.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    /// A generator for this client and this round, the same in every run.
    pub fn rng(&self) -> Xoshiro256PlusPlus {
        seeded(self.seed)
    }

    /// The term that [`FedProx`](crate::FedProx) adds to the loss of a client: `mu / 2` times the squared distance of the
    /// trainable parameters from those that the round began with. It is 0 if mu is 0, so that one client serves all strategies.
    ///
    /// # Panics
    /// If the model has other parameters than the model of the federation.
    #[track_caller]
    pub fn proximal_term<T: Float>(&self, model: &impl Module<T>) -> Var<T> {
        let mut term = Var::constant(T::ZERO);
        if self.proximal == 0.0 {
            return term;
        }
        for (name, parameter) in model.named_parameters() {
            if !parameter.is_trainable() {
                continue;
            }
            let start = match self.global.get(&name) {
                Some(StateTensor::F32(start)) => start.cast::<T>(),
                Some(StateTensor::F64(start)) => start.cast::<T>(),
                _ => panic!("proximal_term: the model of the federation has no parameter {name:?}"),
            };
            term += (parameter - start).square().sum(..);
        }
        term * T::from_f64(0.5 * self.proximal)
    }
}

/// The means of reports, weighted by examples. A metric that not all reports have is averaged over those that do.
pub(crate) fn means(reports: &[Report]) -> Report {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for report in reports {
        for (name, value) in &report.metrics {
            let sum = sums.entry(name).or_default();
            sum.0 += value * report.examples as f64;
            sum.1 += report.examples as f64;
        }
    }
    let mean = |(name, (sum, weight)): (&str, (f64, f64))| (name.to_string(), sum / weight);
    Report {
        examples: reports.iter().fold(0, |sum, report| sum.saturating_add(report.examples)),
        metrics: sums.into_iter().map(mean).collect(),
    }
}

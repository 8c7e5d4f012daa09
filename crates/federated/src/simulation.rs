//! A federation in one process.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use gradus_autograd::{Float, seeded};
use gradus_nn::{Module, State};

use crate::aggregate::{self, Contribution};
use crate::client::{Client, Report, Round, means};
use crate::error::FederatedError;
use crate::layout::Layout;
use crate::privacy::{Privacy, PrivacyRecord, secure_generator};
use crate::sampling::{Sampling, coins, mix};
use crate::strategy::{FedAvg, Strategy};

/// A federation in one process: a model, its clients, and rounds in which some of them train it.
///
/// A round gives a copy of the model to each client that was drawn, checks every update that comes back, averages those that
/// are sound, weighted by their numbers of examples, and lets the [`Strategy`] make its step. An update that is not sound is
/// left out and reported; if nothing is left, the model stays as it was. All draws follow from the seed, the round and the
/// client, so that a run is repeatable; with [`Privacy`] the noise and the choice of clients come from the operating system.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_federated::{Client, ClientError, Report, Round, Simulation};
/// use gradus_nn::{Linear, Losses, Module, Optimizer, Sgd};
///
/// struct Sensor {
///     x: Tensor,
///     y: Tensor,
/// }
///
/// impl Client<Linear> for Sensor {
///     fn fit(&mut self, model: &mut Linear, round: &Round) -> Result<Report, ClientError> {
///         let mut sgd = Sgd::new(0.1);
///         for _ in 0..5 {
///             let loss = model.forward(&self.x).mse_loss(&self.y) + round.proximal_term(model);
///             sgd.step(model, &loss.backward());
///         }
///         Ok(Report::new(self.x.shape()[0]))
///     }
///
///     fn evaluate(&mut self, model: &Linear, _round: &Round) -> Result<Report, ClientError> {
///         let loss = model.forward(&self.x).mse_loss(&self.y).item();
///         Ok(Report::new(self.x.shape()[0]).metric("loss", loss.into()))
///     }
/// }
///
/// let rng = &mut seeded(0);
/// let sensors = [-1.0, 0.0, 1.0].map(|shift| {
///     let x = Tensor::randn([20, 1], rng) + shift;
///     Sensor { y: &x * 3.0 - 1.0, x }
/// });
/// let mut simulation = Simulation::new(Linear::new(1, 1, rng), sensors)?;
/// for _ in 0..40 {
///     let report = simulation.round()?;
///     assert_eq!(report.used, [0, 1, 2]);
/// }
/// assert!(simulation.evaluate().mean.metrics["loss"] < 1e-3);
/// # Ok::<(), gradus_federated::FederatedError>(())
/// ```
pub struct Simulation<M, C, T = f32> {
    model: M,
    clients: Vec<C>,
    layout: Layout,
    strategy: Box<dyn Strategy>,
    sampling: Sampling,
    drop_out: f64,
    privacy: Option<Privacy>,
    #[cfg(feature = "secure-aggregation")]
    secure: Option<crate::SecureAggregation>,
    seed: u64,
    rounds: u64,
    private_rounds: u64,
    element: PhantomData<fn() -> T>,
}

/// The course of a round.
#[derive(Debug)]
pub struct RoundReport {
    /// The number of the round, from 1.
    pub number: u64,
    /// The clients that were drawn.
    pub drawn: Vec<u64>,
    /// The clients that dropped out.
    pub dropped: Vec<u64>,
    /// The clients whose updates were used.
    pub used: Vec<u64>,
    /// The clients that failed or whose updates were left out, each with its error.
    pub rejected: Vec<FederatedError>,
    /// The sum of examples and the weighted means of the metrics that the used clients reported.
    pub mean: Report,
}

/// The metrics of the model that clients report.
#[derive(Debug)]
pub struct Evaluation {
    /// The sum of examples and the weighted means of the metrics.
    pub mean: Report,
    /// The report of each client that gave one.
    pub reports: BTreeMap<u64, Report>,
    /// The errors of the others.
    pub rejected: Vec<FederatedError>,
}

impl<T: Float, M: Module<T> + Clone, C: Client<M>> Simulation<M, C, T> {
    /// A federation of these clients, numbered from 0, that all take part in each round, with [`FedAvg`].
    ///
    /// # Errors
    /// If there is no client, or the model cannot be averaged.
    pub fn new(model: M, clients: impl IntoIterator<Item = C>) -> Result<Self, FederatedError> {
        let (layout, clients) = (Layout::of(&model)?, clients.into_iter().collect::<Vec<C>>());
        if clients.is_empty() {
            return Err(FederatedError::argument(
                "Simulation::new",
                "clients",
                "empty",
                "one client at least",
            ));
        }
        Ok(Self {
            model,
            clients,
            layout,
            strategy: Box::new(FedAvg),
            sampling: Sampling::All,
            drop_out: 0.0,
            privacy: None,
            #[cfg(feature = "secure-aggregation")]
            secure: None,
            seed: 0,
            rounds: 0,
            private_rounds: 0,
            element: PhantomData,
        })
    }

    /// Sets how the mean update becomes the next model.
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy + 'static) -> Self {
        self.strategy = Box::new(strategy);
        self
    }

    /// Sets which clients take part in a round.
    ///
    /// # Errors
    /// If it can draw nobody.
    pub fn sampling(mut self, sampling: Sampling) -> Result<Self, FederatedError> {
        sampling.check()?;
        self.sampling = sampling;
        Ok(self)
    }

    /// Sets the probability with which a client that was drawn does not answer: its battery is empty, its network gone.
    ///
    /// # Errors
    /// Unless it is from 0 to below 1.
    pub fn drop_out(mut self, probability: f64) -> Result<Self, FederatedError> {
        if !(0.0..1.0).contains(&probability) {
            let expected = "at least 0 and less than 1";
            return Err(FederatedError::argument("drop_out", "probability", probability, expected));
        }
        self.drop_out = probability;
        Ok(self)
    }

    /// Makes the updates differentially private.
    #[must_use]
    pub fn privacy(mut self, privacy: Privacy) -> Self {
        self.privacy = Some(privacy);
        self
    }

    /// Adds updates up under masks: the server sees their sum alone.
    #[cfg(feature = "secure-aggregation")]
    #[must_use]
    pub fn secure_aggregation(mut self, secure: crate::SecureAggregation) -> Self {
        self.secure = Some(secure);
        self
    }

    /// Sets the seed of all draws that privacy does not keep from everybody; 0 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The model of the federation.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The clients.
    pub fn clients(&self) -> &[C] {
        &self.clients
    }

    /// The numbers that an accountant needs, if updates are private.
    pub fn privacy_record(&self) -> Option<PrivacyRecord> {
        let privacy = self.privacy.as_ref()?;
        let noise_multiplier = privacy.noise_multiplier();
        let is_hidden = privacy.minimum().is_none();
        let sampling_rate = if is_hidden { self.sampling.rate(self.clients.len()) } else { 1.0 };
        Some(PrivacyRecord { rounds: self.private_rounds, sampling_rate, noise_multiplier })
    }

    /// Runs a round.
    ///
    /// # Errors
    /// If the round as a whole cannot be: privacy with [`Sampling::Number`], which accountants of Poisson sampling do not
    /// cover, too few updates for the privacy or secrecy that was asked for, or no random bytes. The model is then as it was.
    /// Errors of single clients are in the report.
    pub fn round(&mut self) -> Result<RoundReport, FederatedError> {
        if let (Some(_), Sampling::Number(_)) = (&self.privacy, self.sampling) {
            let expected =
                "All or Poisson: what a fixed number of clients does to privacy is another formula";
            return Err(FederatedError::argument("round", "sampling", "Number", expected));
        }
        self.rounds += 1;
        let number = self.rounds;
        let rng = &mut seeded(mix([self.seed, number, u64::MAX]));
        let drawn = match &self.privacy {
            // Sampling hides a client only from those who do not know who was drawn.
            Some(privacy) if !privacy.is_seeded() => {
                let rng = &mut secure_generator().map_err(FederatedError::Randomness)?;
                self.sampling.draw(self.clients.len(), rng)
            }
            _ => self.sampling.draw(self.clients.len(), rng),
        };
        let gone: Vec<usize> = coins(drawn.len(), self.drop_out, rng).into_iter().map(|i| drawn[i]).collect();
        let global = self.model.state();
        let mut report = RoundReport {
            number,
            drawn: drawn.iter().map(|&client| client as u64).collect(),
            dropped: gone.iter().map(|&client| client as u64).collect(),
            used: Vec::new(),
            rejected: Vec::new(),
            mean: Report::default(),
        };
        let mut contributions = Vec::new();
        for &client in drawn.iter().filter(|client| !gone.contains(client)) {
            let fitted = self.fit(client, &global);
            #[cfg(feature = "secure-aggregation")]
            let fitted = fitted.and_then(|contribution| match &self.secure {
                Some(secure) => secure.check(drawn.len(), &contribution, &self.layout).map(|()| contribution),
                None => Ok(contribution),
            });
            match fitted {
                Ok(contribution) => contributions.push(contribution),
                Err(error) => report.rejected.push(error),
            }
        }
        let Some(mean) = self.mean(&report, &contributions)? else { return Ok(report) };
        let mut numbers = mean.numbers;
        if numbers.iter().any(|x| !x.is_finite()) {
            return Err(FederatedError::Overflow { round: number });
        }
        self.strategy.step(&mut numbers[..self.layout.parameters()]);
        let counters = Some(mean.counters.as_slice()).filter(|counters| !counters.is_empty());
        let next = self.layout.moved(&global, &numbers, counters);
        // Steps and types may be too narrow for finite means.
        if !self.layout.is_finite(&next) {
            return Err(FederatedError::Overflow { round: number });
        }
        self.model.load_state(&next)?;
        let reports: Vec<Report> = contributions.iter().map(|c| c.report.clone()).collect();
        report.used = contributions.iter().map(|c| c.client).collect();
        report.mean = means(&reports);
        Ok(report)
    }

    /// The mean change, or nothing if there is no contribution.
    fn mean(
        &mut self,
        report: &RoundReport,
        contributions: &[Contribution],
    ) -> Result<Option<aggregate::Mean>, FederatedError> {
        let number = report.number;
        if let Some(needed) = self.privacy.as_ref().and_then(Privacy::minimum)
            && contributions.len() < needed
        {
            return Err(FederatedError::TooFew { round: number, got: contributions.len(), needed });
        }
        if contributions.is_empty() && self.privacy.is_none() {
            return Ok(None);
        }
        #[cfg(feature = "secure-aggregation")]
        let sum = match &self.secure {
            Some(secure) => secure.sum(number, &report.drawn, contributions, &self.layout)?,
            None => aggregate::sum(contributions, self.layout.len()),
        };
        #[cfg(not(feature = "secure-aggregation"))]
        let sum = aggregate::sum(contributions, self.layout.len());
        let Some(privacy) = &self.privacy else { return Ok(Some(sum.mean())) };
        // Noise even if nobody came: that nobody came is private, too.
        let mut sum = sum;
        privacy.noise_of_server(number, &mut sum.numbers)?;
        self.private_rounds += 1;
        sum.weight = self.sampling.rate(self.clients.len()) * self.clients.len() as f64;
        sum.counters.clear();
        Ok(Some(sum.mean()))
    }

    /// One client's part of a round.
    fn fit(&mut self, client: usize, global: &State) -> Result<Contribution, FederatedError> {
        let mut model = self.model.clone();
        model.train();
        let round = self.tell(client, global);
        let number = client as u64;
        let fitted = self.clients[client].fit(&mut model, &round);
        let report = fitted.map_err(|source| FederatedError::Client { client: number, source })?;
        let mut change = self.layout.change(number, global, &model.state())?;
        check(number, &report)?;
        let mut weight = report.examples as f64;
        if let Some(privacy) = &self.privacy {
            privacy.protect(self.rounds, number, &mut change.numbers)?;
            weight = 1.0;
        }
        Ok(Contribution { client: number, weight, change, report })
    }

    /// Asks all clients to evaluate the model.
    pub fn evaluate(&mut self) -> Evaluation {
        let (global, mut reports, mut rejected) = (self.model.state(), BTreeMap::new(), Vec::new());
        let mut model = self.model.clone();
        model.eval();
        for client in 0..self.clients.len() {
            let (round, number) = (self.tell(client, &global), client as u64);
            let report = self.clients[client].evaluate(&model, &round);
            let report = report.map_err(|source| FederatedError::Client { client: number, source });
            match report.and_then(|report| check(number, &report).map(|()| report)) {
                Ok(report) => drop(reports.insert(number, report)),
                Err(error) => rejected.push(error),
            }
        }
        let all: Vec<Report> = reports.values().cloned().collect();
        Evaluation { mean: means(&all), reports, rejected }
    }

    fn tell(&self, client: usize, global: &State) -> Round {
        Round {
            number: self.rounds,
            seed: mix([self.seed, self.rounds, client as u64]),
            proximal: self.strategy.proximal(),
            global: global.clone(),
            settings: BTreeMap::new(),
        }
    }

    /// Everything that rounds change, for a checkpoint: the model, the numbers of the strategy, and the number of rounds.
    /// Clients keep what is theirs.
    pub fn state(&self) -> State {
        let mut state = State::new();
        state.insert_part("model.", &self.model.state());
        state.insert_part("strategy.", &self.strategy.state());
        state.insert("rounds", self.rounds);
        state.insert("private_rounds", self.private_rounds);
        state
    }

    /// Goes on from a [`state`](Self::state).
    ///
    /// # Errors
    /// If the state is of another model or strategy. The simulation is then as it was.
    pub fn load_state(&mut self, state: &State) -> Result<(), FederatedError> {
        let (rounds, private_rounds) = (state.value("rounds")?, state.value("private_rounds")?);
        let strategy = self.strategy.state();
        self.strategy.load_state(&state.part("strategy."), self.layout.parameters())?;
        if let Err(error) = self.model.load_state(&state.part("model.")) {
            self.strategy.load_state(&strategy, self.layout.parameters())?;
            return Err(error.into());
        }
        (self.rounds, self.private_rounds) = (rounds, private_rounds);
        Ok(())
    }
}

/// Refuses reports that no mean can use.
fn check(client: u64, report: &Report) -> Result<(), FederatedError> {
    report.fault().map_or(Ok(()), |fault| Err(FederatedError::Report { client, fault }))
}

//! Strategies: how the server turns the mean update into the next model.

use gradus_nn::State;

use crate::error::FederatedError;

/// How the server turns the mean of the clients' updates into a step of the model.
pub trait Strategy {
    /// The factor mu of the proximal term in the clients' losses; see [`Round::proximal_term`](crate::Round::proximal_term).
    fn proximal(&self) -> f64 {
        0.0
    }

    /// Turns the mean change of the trainable parameters, in the order of a [`Layout`](crate::Layout), into the change that
    /// the model makes. Buffers, such as running statistics, always change by their mean.
    fn step(&mut self, change: &mut [f64]);

    /// The numbers that the strategy keeps from round to round, for a checkpoint.
    fn state(&self) -> State {
        State::new()
    }

    /// Loads what [`state`](Self::state) gave, for a model with `len` numbers in its trainable parameters.
    ///
    /// # Errors
    /// If it is the state of another strategy or for another model; this one is then as it was.
    fn load_state(&mut self, state: &State, len: usize) -> Result<(), FederatedError> {
        let _ = len;
        match state.names().next() {
            None => Ok(()),
            Some(name) => Err(FederatedError::Model {
                name: name.into(),
                fault: "is of another strategy: this one keeps nothing".into(),
            }),
        }
    }
}

impl<S: Strategy + ?Sized> Strategy for Box<S> {
    fn proximal(&self) -> f64 {
        (**self).proximal()
    }
    fn step(&mut self, change: &mut [f64]) {
        (**self).step(change);
    }
    fn state(&self) -> State {
        (**self).state()
    }
    fn load_state(&mut self, state: &State, len: usize) -> Result<(), FederatedError> {
        (**self).load_state(state, len)
    }
}

/// Federated averaging: the model moves by the mean update (McMahan, Moore, Ramage, Hampson and Arcas,
/// "Communication-efficient learning of deep networks from decentralized data", 2017, algorithm 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FedAvg;

impl Strategy for FedAvg {
    fn step(&mut self, _change: &mut [f64]) {}
}

/// Federated averaging whose clients are held back by a proximal term, for data that differ much from client to client
/// (Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith, "Federated optimization in heterogeneous networks", 2020).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FedProx(f64);

impl FedProx {
    /// With this factor mu, from 0 on: 0.001 to 1 in the paper. With 0 it is [`FedAvg`].
    ///
    /// # Panics
    /// If the factor is negative or not finite.
    #[track_caller]
    pub fn new(mu: f64) -> Self {
        assert!(mu >= 0.0 && mu.is_finite(), "FedProx::new: `mu` is {mu}: it must be at least 0 and finite");
        Self(mu)
    }
}

impl Strategy for FedProx {
    fn proximal(&self) -> f64 {
        self.0
    }
    fn step(&mut self, _change: &mut [f64]) {}
}

/// Adam on the server, with the mean update in place of a descent direction (Reddi et al., "Adaptive federated optimization",
/// 2021, algorithm 2): for the mean change d of a parameter, `m = beta1 m + (1 - beta1) d`,
/// `v = beta2 v + (1 - beta2) d^2`, and the parameter changes by `lr m / (sqrt(v) + tau)`. As in the paper, m starts at 0 and v
/// at `tau^2`, and neither is corrected for its start.
#[derive(Debug, Clone, PartialEq)]
pub struct FedAdam {
    lr: f64,
    betas: [f64; 2],
    tau: f64,
    moments: [Vec<f64>; 2],
}

impl FedAdam {
    /// With a learning rate, betas of 0.9 and 0.99 and a `tau` of 0.001.
    ///
    /// # Panics
    /// If the rate is not positive and finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self {
        assert!(
            lr > 0.0 && lr.is_finite(),
            "FedAdam::new: `lr` is {lr}: it must be positive and finite; 0.01 is a start"
        );
        Self { lr, betas: [0.9, 0.99], tau: 1e-3, moments: [Vec::new(), Vec::new()] }
    }

    /// Sets how adaptive the steps are: the smaller, the more. 0.001 by default.
    ///
    /// # Panics
    /// If it is not positive and finite.
    #[must_use]
    #[track_caller]
    pub fn tau(mut self, tau: f64) -> Self {
        assert!(tau > 0.0 && tau.is_finite(), "tau: it is {tau}: it must be positive and finite");
        self.tau = tau;
        self
    }

    /// Sets the parts of the moments that a round keeps.
    ///
    /// # Panics
    /// Unless both are from 0 to below 1.
    #[must_use]
    #[track_caller]
    pub fn betas(mut self, first: f64, second: f64) -> Self {
        for beta in [first, second] {
            assert!((0.0..1.0).contains(&beta), "betas: one is {beta}: both must be from 0 to below 1");
        }
        self.betas = [first, second];
        self
    }
}

impl Strategy for FedAdam {
    fn step(&mut self, change: &mut [f64]) {
        let ([beta1, beta2], tau) = (self.betas, self.tau);
        let [first, second] = &mut self.moments;
        if first.is_empty() {
            (*first, *second) = (vec![0.0; change.len()], vec![tau * tau; change.len()]);
        }
        for ((d, m), v) in change.iter_mut().zip(first).zip(second) {
            *m = beta1 * *m + (1.0 - beta1) * *d;
            *v = beta2 * *v + (1.0 - beta2) * *d * *d;
            *d = self.lr * *m / (v.sqrt() + tau);
        }
    }

    fn state(&self) -> State {
        let mut state = State::new();
        for (name, moment) in ["m", "v"].into_iter().zip(&self.moments) {
            state.insert(name, moment.iter().copied().collect::<gradus_nn::Tensor<f64>>());
        }
        state
    }

    fn load_state(&mut self, state: &State, len: usize) -> Result<(), FederatedError> {
        let moment = |name: &str| {
            let tensor = state.tensor::<f64>(name).filter(|tensor| tensor.shape().len() == 1);
            tensor.map(gradus_nn::Tensor::to_vec).ok_or_else(|| FederatedError::Model {
                name: name.into(),
                fault: "is missing or no vector of f64: it is not a state of FedAdam".into(),
            })
        };
        let moments = [moment("m")?, moment("v")?];
        for (name, moment) in ["m", "v"].into_iter().zip(&moments) {
            let refuse = |fault| Err(FederatedError::Model { name: name.into(), fault });
            // Before the first round there are none.
            if moment.len() != len && !moments.iter().all(Vec::is_empty) {
                return refuse(format!("has {} numbers, and the model {len}", moment.len()));
            }
            if moment.iter().any(|x| !x.is_finite() || name == "v" && *x < 0.0) {
                return refuse("has numbers that no round gives: NaN, infinite or a negative square".into());
            }
        }
        self.moments = moments;
        Ok(())
    }
}

//! Rounds of sound clients.

use gradus_autograd::{Tensor, seeded};
use gradus_data::order;
use gradus_federated::{FedAdam, FedAvg, FedProx, Sampling, Simulation, Strategy};
use gradus_nn::{BatchNorm1d, Dropout, Linear, Module, Sequential};
use proptest::prelude::*;

use crate::common::{Model, Points, distance, model, numbers, simulation};

/// The model that each client would make, computed by hand.
fn local(clients: &[Points], start: &Model) -> Vec<Vec<f64>> {
    let train = |client: &Points| {
        let mut model = start.clone();
        client.train(&mut model);
        numbers(&model)
    };
    clients.iter().map(train).collect()
}

#[test]
fn a_federation_of_one_is_local_training() {
    let mut federated = simulation(1);
    let mut alone = model();
    for _ in 0..5 {
        federated.round().unwrap();
        federated.clients()[0].train(&mut alone);
        assert!(distance(&numbers(federated.model()), &numbers(&alone)) < 1e-14);
    }
}

#[test]
fn the_mean_is_weighted_by_examples() {
    let mut federated = simulation(3);
    let locals = local(federated.clients(), federated.model());
    let report = federated.round().unwrap();
    let expected: Vec<f64> =
        (0..3).map(|i| (5.0 * locals[0][i] + 10.0 * locals[1][i] + 15.0 * locals[2][i]) / 30.0).collect();
    assert!(distance(&numbers(federated.model()), &expected) < 1e-14);
    assert_eq!((report.mean.examples, report.used, report.rejected.len()), (30, vec![0, 1, 2], 0));
}

#[test]
fn one_local_step_of_all_clients_is_a_step_on_all_data() {
    // McMahan et al. (2017): with one step on all local data, averaging is gradient descent on the union.
    let clients = (0..3).map(|client| Points { steps: 1, ..Points::new(client, 5 * (client as usize + 1)) });
    let clients: Vec<Points> = clients.collect();
    let all = Points {
        x: Tensor::cat(&clients.iter().map(|client| &client.x).collect::<Vec<_>>(), 0),
        y: Tensor::cat(&clients.iter().map(|client| &client.y).collect::<Vec<_>>(), 0),
        ..clients[0].clone()
    };
    let mut federated = Simulation::<_, _, f64>::new(model(), clients).unwrap();
    let mut central = model();
    for _ in 0..20 {
        federated.round().unwrap();
        all.train(&mut central);
    }
    assert!(distance(&numbers(federated.model()), &numbers(&central)) < 1e-12);
}

#[test]
fn the_proximal_term_holds_clients_back() {
    let moved = |mu: f64| {
        let mut federated = simulation(3).strategy(FedProx::new(mu));
        federated.round().unwrap();
        distance(&numbers(federated.model()), &numbers(&model()))
    };
    let mut plain = simulation(3).strategy(FedAvg);
    plain.round().unwrap();
    assert_eq!(moved(0.0), distance(&numbers(plain.model()), &numbers(&model())));
    let moves = [0.0, 1.0, 9.0].map(moved);
    assert!(moves.windows(2).all(|pair| pair[0] > 1.02 * pair[1]), "{moves:?}");
}

/// Gradient descent with the gradient of the proximal term written out: `mu (w - w0)`.
#[test]
fn the_gradient_of_the_proximal_term() {
    let (mu, client) = (0.7, Points::new(0, 5));
    let (start, mut by_hand) = (numbers(&model()), model());
    for _ in 0..client.steps {
        let gradients = client.loss(&by_hand).backward();
        let mut at = 0;
        for parameter in by_hand.parameters_mut() {
            let gradient = gradients.get(parameter).unwrap().clone();
            parameter.update(|value| {
                let begun = Tensor::from_vec(start[at..at + value.len()].to_vec(), value.shape()).unwrap();
                at += value.len();
                *value = &*value - (gradient + (&*value - begun) * mu) * 0.05;
            });
        }
    }
    let mut federated = simulation(1).strategy(FedProx::new(mu));
    federated.round().unwrap();
    assert!(distance(&numbers(federated.model()), &numbers(&by_hand)) < 1e-14);
}

/// Two rounds of algorithm 2 of Reddi et al. (2021), by hand.
#[test]
fn adam_on_the_server() {
    let (lr, beta1, beta2, tau) = (0.1, 0.8, 0.9, 0.01);
    let mut adam = FedAdam::new(lr).betas(beta1, beta2).tau(tau);
    let mut change = [0.5, -0.25];
    adam.step(&mut change);
    let [m, v] = [0.2 * 0.5, 0.9 * tau * tau + 0.1 * 0.25];
    assert!((change[0] - lr * m / (v.sqrt() + tau)).abs() < 1e-15);
    let mut change = [1.0, 1.0];
    adam.step(&mut change);
    let [m, v] = [0.8 * m + 0.2, 0.9 * v + 0.1];
    assert!((change[0] - lr * m / (v.sqrt() + tau)).abs() < 1e-15);

    let mut federated = simulation(3).strategy(FedAdam::new(0.1));
    for _ in 0..150 {
        federated.round().unwrap();
    }
    assert!(federated.evaluate().mean.metrics["loss"] < 1e-2);
}

#[test]
fn runs_are_repeatable_and_go_on_from_a_state() {
    let make = |seed| {
        let federated = simulation(6).strategy(FedAdam::new(0.05)).seed(seed);
        federated.sampling(Sampling::Number(3)).unwrap().drop_out(0.3).unwrap()
    };
    let (mut whole, mut first) = (make(1), make(1));
    let mut courses = Vec::new();
    for round in 0..8 {
        let report = whole.round().unwrap();
        assert_eq!(report.drawn.len(), 3);
        assert!(report.used.iter().all(|client| !report.dropped.contains(client)));
        courses.push(report.drawn);
        if round < 4 {
            first.round().unwrap();
        }
    }
    assert!(courses.windows(2).any(|pair| pair[0] != pair[1]), "not always the same clients");
    let mut second = make(1);
    second.load_state(&first.state()).unwrap();
    for _ in 0..4 {
        second.round().unwrap();
    }
    assert_eq!(second.state(), whole.state());
    let mut other = make(2);
    (0..8).for_each(|_| drop(other.round().unwrap()));
    assert_ne!(other.state(), whole.state());
}

#[test]
fn poisson_sampling_draws_at_its_rate() {
    let mut federated = simulation(40).sampling(Sampling::Poisson(0.3)).unwrap();
    let drawn: usize = (0..30).map(|_| federated.round().unwrap().drawn.len()).sum();
    // Of 1,200 coins the share is known to 0.013; six times that.
    let share = drawn as f64 / 1200.0;
    assert!((share - 0.3).abs() < 0.08, "{share}");
}

#[test]
fn a_state_of_another_simulation_changes_nothing() {
    let mut federated = simulation(2).strategy(FedAdam::new(0.1));
    federated.round().unwrap();
    let before = federated.state();
    let error = federated.load_state(&simulation(2).state()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model cannot be averaged: \"m\" is missing or no vector of f64: it is not a state of FedAdam"
    );
    for (name, numbers) in [
        ("model.0.weight", vec![0.0; 7]),
        ("strategy.m", vec![0.0; 2]),
        ("strategy.v", vec![0.0; 2]),
        ("strategy.v", vec![0.1, -0.1, 0.1]),
        ("strategy.m", vec![f64::NAN; 3]),
    ] {
        let mut other = before.clone();
        other.insert(name, numbers.iter().copied().collect::<Tensor<f64>>());
        assert!(federated.load_state(&other).is_err(), "{name} {numbers:?}");
    }
    assert!(simulation(2).load_state(&before).is_err(), "FedAvg keeps nothing");
    assert_eq!(federated.state(), before);
}

#[test]
fn buffers_are_averaged_counters_grow_frozen_parameters_stay() {
    /// Examples, and the number of forward passes over them.
    struct Normal(Tensor, usize);
    type Net = Sequential<f32>;
    impl gradus_federated::Client<Net> for Normal {
        fn fit(
            &mut self,
            model: &mut Net,
            _: &gradus_federated::Round,
        ) -> Result<gradus_federated::Report, gradus_federated::ClientError> {
            assert!(model.is_training());
            (1..self.1).for_each(|_| drop(model.forward(&self.0)));
            let loss = model.forward(&self.0).square().mean(..);
            gradus_nn::Optimizer::step(&mut gradus_nn::Sgd::new(0.1), model, &loss.backward());
            Ok(gradus_federated::Report::new(self.0.shape()[0]))
        }
        fn evaluate(
            &mut self,
            model: &Net,
            _: &gradus_federated::Round,
        ) -> Result<gradus_federated::Report, gradus_federated::ClientError> {
            assert!(!model.is_training());
            let examples = self.0.shape()[0];
            Ok(gradus_federated::Report::new(examples).metric("examples", examples as f64))
        }
    }
    let rng = &mut seeded(3);
    let mut net =
        Net::new().push(Linear::new(2, 3, rng)).push(BatchNorm1d::new(3)).push(Dropout::new(0.5, 9));
    net.freeze(|name| name == "0.bias");
    let before = net.state();
    let data = [(Tensor::randn([4, 2], rng), 2), (Tensor::randn([12, 2], rng), 1)];
    let means = data.clone().map(|(x, passes)| {
        let net = net.clone();
        (0..passes).for_each(|_| drop(net.forward(&x)));
        net.state().tensor::<f32>("1.running_mean").unwrap().to_vec()
    });
    // Adam makes steps of the parameters alone.
    let clients = data.map(|(x, passes)| Normal(x, passes));
    let mut federated = Simulation::new(net, clients).unwrap().strategy(FedAdam::new(0.1));
    federated.round().unwrap();
    let after = federated.model().state();
    assert_eq!(after.get("0.bias"), before.get("0.bias"));
    assert_ne!(after.get("0.weight"), before.get("0.weight"));
    assert_eq!(after.value::<i64>("1.num_batches_tracked").unwrap(), 2, "the largest");
    let running = after.tensor::<f32>("1.running_mean").unwrap().to_vec();
    for ((mean, first), second) in running.iter().zip(&means[0]).zip(&means[1]) {
        assert!((mean - (0.25 * first + 0.75 * second)).abs() < 1e-6);
    }
    let mean = federated.evaluate().mean;
    // Weighted by examples: (4 * 4 + 12 * 12) / 16.
    assert_eq!((mean.examples, mean.metrics["examples"]), (16, 10.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_sample_is_in_one_part(
        classes in 1_i64..6, samples in 1_usize..300, parts in 1_usize..20, seed: u64, log in -3.0..3.0_f64,
    ) {
        let parts = parts.min(samples);
        let labels: Tensor<i64> = (0..samples as i64).map(|i| i % classes).collect();
        let divided = order::dirichlet(&labels, parts, 10_f64.powf(log), &mut seeded(seed));
        prop_assert_eq!(divided.len(), parts);
        prop_assert!(divided.iter().all(|part| !part.is_empty()));
        let mut all = divided.concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..samples).collect::<Vec<_>>());
    }
}

#[test]
fn the_concentration_says_how_even_parts_are() {
    // The share of one of k parts has the variance (k - 1) / (k^2 (k c + 1)).
    let labels = Tensor::<i64>::zeros([4000]);
    for concentration in [0.05, 0.3, 5.0] {
        let draws = 2000;
        let rng = &mut seeded(11);
        let squares: f64 = (0..draws)
            .map(|_| {
                (order::dirichlet(&labels, 4, concentration, rng)[0].len() as f64 / 4000.0 - 0.25).powi(2)
            })
            .sum();
        let expected = 3.0 / (16.0 * (4.0 * concentration + 1.0));
        let ratio = squares / f64::from(draws) / expected;
        assert!((0.9..1.1).contains(&ratio), "{concentration}: {ratio}");
    }
}

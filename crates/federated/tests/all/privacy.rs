//! Clipping and noise.

use gradus_federated::{Privacy, PrivacyRecord, Sampling};
use proptest::prelude::*;

use crate::common::{distance, model, numbers, simulation};

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

proptest! {
    #[test]
    fn clipping_keeps_the_direction_and_bounds_the_norm(
        update in prop::collection::vec(-1e3..1e3_f64, 1..20), clip in 1e-3..1e4_f64, scale in prop::sample::select(vec![1.0, 1e200, 1e-200]),
    ) {
        let update: Vec<f64> = update.iter().map(|x| x * scale).collect();
        let mut clipped = update.clone();
        let before = Privacy::new(clip, 0.0).unwrap().clip(&mut clipped);
        prop_assert!(norm(&clipped) <= clip * (1.0 + 1e-12));
        if before <= clip {
            prop_assert_eq!(clipped, update);
        } else {
            prop_assert!((norm(&clipped) / clip - 1.0).abs() < 1e-12);
            for (c, u) in clipped.iter().zip(&update) {
                prop_assert!((c - u / before * clip).abs() <= clip * 1e-12);
            }
        }
    }
}

#[test]
fn without_noise_the_step_is_the_sum_of_clipped_updates_over_the_expected_clients() {
    let clip = 1e-3;
    let mut federated = simulation(4).privacy(Privacy::new(clip, 0.0).unwrap());
    federated.round().unwrap();
    let step: Vec<f64> =
        numbers(federated.model()).iter().zip(numbers(&model())).map(|(x, y)| x - y).collect();
    // Every update is longer than the bound: four vectors of norm `clip`, divided by 4.
    assert!(norm(&step) <= clip && norm(&step) > 0.5 * clip);

    // Divided by the expected number, whoever came: with drop-outs the step is shorter.
    let mut dropping = simulation(4).privacy(Privacy::new(clip, 0.0).unwrap()).drop_out(0.6).unwrap().seed(3);
    let report = dropping.round().unwrap();
    assert!(report.used.len() < 4 && !report.used.is_empty());
    let step: Vec<f64> =
        numbers(dropping.model()).iter().zip(numbers(&model())).map(|(x, y)| x - y).collect();
    assert!(norm(&step) <= clip * report.used.len() as f64 / 4.0 * (1.0 + 1e-9));
}

/// The noise of many rounds, from the same start.
fn noise(privacy: impl Fn(u64) -> Privacy) -> Vec<f64> {
    let mut quiet = simulation(4).privacy(Privacy::new(0.1, 0.0).unwrap());
    quiet.round().unwrap();
    let quiet = numbers(quiet.model());
    let of_seed = |seed: u64| {
        let mut federated = simulation(4).privacy(privacy(seed));
        federated.round().unwrap();
        // The sum of four updates is four times the step.
        numbers(federated.model()).iter().zip(&quiet).map(|(x, y)| (x - y) * 4.0).collect::<Vec<_>>()
    };
    (0..500).flat_map(of_seed).collect()
}

#[test]
fn the_noise_of_the_sum_has_the_deviation_asked_for() {
    let of_server = noise(|seed| Privacy::new(0.1, 3.0).unwrap().seeded_noise_for_tests(seed));
    let of_clients = noise(|seed| {
        Privacy::new(0.1, 3.0).unwrap().noise_by_clients(4).unwrap().seeded_noise_for_tests(seed)
    });
    let from_the_system = noise(|_| Privacy::new(0.1, 3.0).unwrap());
    for noise in [of_server, of_clients, from_the_system] {
        let deviation = (noise.iter().map(|x| x * x).sum::<f64>() / noise.len() as f64).sqrt();
        // 1,500 numbers: the deviation is known to 1.8 %; six times that.
        assert!((deviation / 0.3 - 1.0).abs() < 0.11, "{deviation}");
        let mean = noise.iter().sum::<f64>() / noise.len() as f64;
        assert!(mean.abs() < 6.0 * 0.3 / (noise.len() as f64).sqrt(), "{mean}");
    }
}

#[test]
fn the_default_noise_cannot_be_repeated() {
    let run = |privacy: Privacy| {
        let mut federated = simulation(4).privacy(privacy).seed(5);
        federated.round().unwrap();
        numbers(federated.model())
    };
    let privacy = || Privacy::new(0.1, 1.0).unwrap();
    assert_ne!(run(privacy()), run(privacy()));
    assert_eq!(run(privacy().seeded_noise_for_tests(1)), run(privacy().seeded_noise_for_tests(1)));
    assert!(
        distance(&run(privacy().seeded_noise_for_tests(1)), &run(privacy().seeded_noise_for_tests(2))) > 1e-3
    );
}

/// The seed of a simulation says nothing of who takes part in a private round.
#[test]
fn nobody_knows_who_is_drawn() {
    let drawn = |privacy: Privacy| {
        let mut federated = simulation(40).privacy(privacy).sampling(Sampling::Poisson(0.5)).unwrap();
        federated.round().unwrap().drawn
    };
    let privacy = || Privacy::new(0.1, 1.0).unwrap();
    assert_ne!(drawn(privacy()), drawn(privacy()));
    assert_eq!(drawn(privacy().seeded_noise_for_tests(1)), drawn(privacy().seeded_noise_for_tests(2)));
}

#[test]
fn what_an_accountant_needs() {
    let mut federated =
        simulation(4).privacy(Privacy::new(0.1, 1.5).unwrap()).sampling(Sampling::Poisson(0.05)).unwrap();
    let start = numbers(federated.model());
    let mut empty = 0;
    for _ in 0..10 {
        empty += usize::from(federated.round().unwrap().used.is_empty());
    }
    assert!(empty > 0, "some rounds drew nobody, and had noise like the others");
    assert_ne!(numbers(federated.model()), start);
    assert_eq!(
        federated.privacy_record(),
        Some(PrivacyRecord { rounds: 10, sampling_rate: 0.05, noise_multiplier: 1.5 })
    );
    assert_eq!(simulation(2).privacy_record(), None);
    // Noise of the clients tells how many they are: sampling gives nothing.
    let privacy = Privacy::new(0.1, 1.5).unwrap().noise_by_clients(1).unwrap();
    let federated = simulation(4).privacy(privacy).sampling(Sampling::Poisson(0.5)).unwrap();
    assert_eq!(federated.privacy_record().unwrap().sampling_rate, 1.0);
}

#[test]
fn privacy_that_cannot_be() {
    let text = |result: Result<Privacy, gradus_federated::FederatedError>| result.unwrap_err().to_string();
    assert_eq!(text(Privacy::new(0.0, 1.0)), "Privacy::new: `clip` is 0: it must be positive and finite");
    assert_eq!(
        text(Privacy::new(1.0, f64::NAN)),
        "Privacy::new: `noise_multiplier` is NaN: it must be at least 0 and finite"
    );
    assert!(Privacy::new(1.0, 1.0).unwrap().noise_by_clients(0).is_err());

    let mut fixed =
        simulation(4).privacy(Privacy::new(1.0, 1.0).unwrap()).sampling(Sampling::Number(2)).unwrap();
    assert_eq!(
        fixed.round().unwrap_err().to_string(),
        "round: `sampling` is Number: it must be All or Poisson: what a fixed number of clients does to privacy is another formula"
    );
    let mut few = simulation(4).privacy(Privacy::new(1.0, 1.0).unwrap().noise_by_clients(5).unwrap());
    assert_eq!(
        few.round().unwrap_err().to_string(),
        "round 1: 4 updates came in, and 5 are needed: the model stays as it was"
    );
    assert_eq!(numbers(few.model()), numbers(&model()));
    assert_eq!(few.privacy_record().unwrap().rounds, 0);
}

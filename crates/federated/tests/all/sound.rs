//! Updates that are not sound are left out, and the round goes on.

use gradus_federated::{Sampling, Simulation};
use gradus_nn::Sequential;

use crate::common::{Model, Points, Way, model, numbers, simulation};

fn with(way: Way) -> Simulation<Model, Points, f64> {
    let clients =
        (0..3).map(|i| Points::new(i, 5 * (i as usize + 1)).way(if i == 2 { way } else { Way::Sound }));
    Simulation::new(model(), clients).unwrap()
}

#[test]
fn bad_updates_are_left_out_with_client_and_parameter() {
    let mut without = simulation(2);
    without.round().unwrap();
    for (way, message) in [
        (
            Way::Number(f64::NAN),
            "client 2: its update is left out: \"0.weight\" has NaN as element 1: all numbers must be finite",
        ),
        (
            Way::Number(f64::INFINITY),
            "client 2: its update is left out: \"0.weight\" has inf as element 1: all numbers must be finite",
        ),
        (
            Way::Wider,
            "client 2: its update is left out: \"0.weight\" has the shape [1, 3], in the model of the federation [1, 2]",
        ),
        (Way::Deeper, "client 2: its update is left out: \"1.bias\" is not in the model of the federation"),
        (Way::Fails, "client 2: the battery is empty"),
        (Way::NoExamples, "client 2: its report is left out: it has no examples"),
        (Way::InfiniteLoss, "client 2: its report is left out: the metric \"loss\" is inf"),
    ] {
        let mut federated = with(way);
        let report = federated.round().unwrap();
        assert_eq!(report.rejected.len(), 1);
        assert_eq!(report.rejected[0].to_string(), message);
        assert_eq!(report.used, [0, 1]);
        assert_eq!(numbers(federated.model()), numbers(without.model()), "the round goes on with the others");
        assert_eq!(report.mean.examples, 15);
    }
    assert_eq!(with(Way::Fails).evaluate().rejected[0].to_string(), "client 2: the battery is empty");
}

#[test]
fn examples_beyond_all_numbers_do_not_overflow() {
    let clients = (0..3).map(|i| Points::new(i, 5).way(Way::Examples(i64::MAX as u64)));
    let mut federated = Simulation::<_, _, f64>::new(model(), clients).unwrap();
    assert_eq!(federated.round().unwrap().mean.examples, u64::MAX);
    let report = with(Way::Examples(1 << 63)).round().unwrap();
    assert_eq!(
        report.rejected[0].to_string(),
        "client 2: its report is left out: it has 9223372036854775808 examples, more than 2^63 - 1"
    );
}

#[cfg(feature = "secure-aggregation")]
#[test]
fn what_masks_cannot_hold_is_left_out() {
    use gradus_federated::SecureAggregation;
    for (way, fault) in [
        (Way::Number(1e13), "client 2: its update is left out: \"0.weight\" has 1"),
        (Way::Examples(1 << 60), "client 2: its "),
    ] {
        let mut federated = with(way).secure_aggregation(SecureAggregation::new(2).unwrap());
        let report = federated.round().unwrap();
        assert_eq!((report.used, report.rejected.len()), (vec![0, 1], 1));
        let message = report.rejected[0].to_string();
        assert!(message.starts_with(fault) && message.contains("masks take at most"), "{message}");
    }
}

#[test]
fn a_round_without_updates_changes_nothing() {
    let clients = (0..2).map(|i| Points::new(i, 5).way(Way::Number(f64::NAN)));
    let mut federated = Simulation::<_, _, f64>::new(model(), clients).unwrap();
    let report = federated.round().unwrap();
    assert_eq!((report.used.len(), report.rejected.len()), (0, 2));
    assert_eq!(numbers(federated.model()), numbers(&model()));
}

#[test]
fn a_sum_that_overflows_changes_nothing() {
    let clients = (0..2).map(|i| Points::new(i, 5).way(Way::Number(1.7e308)));
    let mut federated = Simulation::<_, _, f64>::new(model(), clients).unwrap();
    assert_eq!(
        federated.round().unwrap_err().to_string(),
        "round 1: the sum of the updates is not finite: the model stays as it was"
    );
    assert_eq!(numbers(federated.model()), numbers(&model()));
}

#[test]
fn arguments_that_make_no_sense() {
    let none = Simulation::<Model, Points, f64>::new(model(), []);
    assert_eq!(
        none.err().unwrap().to_string(),
        "Simulation::new: `clients` is empty: it must be one client at least"
    );
    let sampling = |sampling| simulation(2).sampling(sampling).err().unwrap().to_string();
    assert_eq!(
        sampling(Sampling::Number(0)),
        "sampling: `number` is 0: it must be at least 1: a round needs a client"
    );
    assert_eq!(
        sampling(Sampling::Poisson(f64::NAN)),
        "sampling: `rate` is NaN: it must be more than 0 and at most 1"
    );
    assert_eq!(
        simulation(2).drop_out(1.0).err().unwrap().to_string(),
        "drop_out: `probability` is 1: it must be at least 0 and less than 1"
    );
}

#[test]
#[should_panic(expected = "FedProx::new: `mu` is -1: it must be at least 0 and finite")]
fn a_negative_proximal_factor() {
    let _ = gradus_federated::FedProx::new(-1.0);
}

#[test]
fn the_layout_of_a_model() {
    let layout = gradus_federated::Layout::of::<f64>(&model()).unwrap();
    assert_eq!((layout.len(), layout.parameters(), layout.is_empty()), (3, 3, false));
    let empty = Sequential::<f32>::new();
    assert!(gradus_federated::Layout::of(&empty).unwrap().is_empty());
}

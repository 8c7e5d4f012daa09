//! Encrypted evaluations equal plain ones.

use gradus_autograd::Tensor;
use gradus_encrypted::{Client, IntegerNetwork, Packing, Server};
use proptest::prelude::*;

use crate::samples::{equals_plain, networks};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn of_many_samples((network, samples) in networks(2, 2)) {
        equals_plain(&network, Packing::Batch, &samples);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn of_one_sample((network, samples) in networks(1, 2)) {
        equals_plain(&network, Packing::Single, &samples);
    }
}

/// Weights from -2 to 2 that differ everywhere.
fn weights(outputs: usize, inputs: usize) -> Vec<Vec<i64>> {
    let weight = |o: usize, i: usize| ((o * o * 7 + i * 5 + o * i * 3) % 5) as i64 - 2;
    (0..outputs).map(|o| (0..inputs).map(|i| weight(o, i)).collect()).collect()
}

#[test]
fn of_layers_wider_than_a_ciphertext() {
    // 128 x 64 weights are more than a row of slots: the inputs come in several ciphertexts, and the second map has diagonals.
    let network = IntegerNetwork::new(100, 0..=1).unwrap().linear(&weights(40, 100), &[3; 40]).unwrap();
    let network = network.linear(&weights(5, 40), &[-1; 5]).unwrap().linear(&weights(9, 5), &[2; 9]).unwrap();
    let sample: Vec<i64> = (0..100).map(|i| i * i % 3 % 2).collect();
    equals_plain(&network, Packing::Single, &[sample]);
}

#[test]
fn of_a_full_batch_of_extremes() {
    let network =
        IntegerNetwork::new(2, -3..=3).unwrap().linear(&weights(2, 2), &[0, 1]).unwrap().square().unwrap();
    let network = network.linear(&weights(2, 2), &[-1, 0]).unwrap().square().unwrap();
    let capacity = Server::new(network.clone(), Packing::Batch).unwrap().plan().capacity();
    let samples: Vec<Vec<i64>> =
        (0..capacity as i64).map(|i| vec![i % 7 - 3, if i % 2 == 0 { 3 } else { -3 }]).collect();
    equals_plain(&network, Packing::Batch, &samples);
}

#[test]
fn of_rows_without_weights() {
    let network = IntegerNetwork::new(2, 0..=1).unwrap().linear(&[vec![0, 0], vec![1, 0]], &[-5, 0]).unwrap();
    for packing in [Packing::Batch, Packing::Single] {
        equals_plain(&network.clone().square().unwrap(), packing, &[vec![1, 1]]);
    }
}

#[test]
fn samples_that_do_not_fit() {
    let server = Server::new(crate::samples::small(), Packing::Single).unwrap();
    let client = Client::new(server.setup()).unwrap();
    let message = |samples: &[i64]| client.encrypt_integers(samples).unwrap_err().to_string();
    assert_eq!(message(&[1, 2, 3]), "the samples have 3 numbers: the network takes 2");
    assert_eq!(message(&[]), "the samples have 0 numbers: the network takes 2");
    assert_eq!(message(&[1, 5]), "the samples have 5 at input 1: inputs are from 0 to 4");
    assert_eq!(message(&[1, 2, 3, 4]), "the samples are 2: at most 1 fit into a query");
    let nan = Tensor::from([[f32::NAN, 1.0]]);
    assert!(client.encrypt(&nan).unwrap_err().to_string().ends_with("at input 0: inputs are from 0 to 4"));
    // One sample, without an axis of samples, and four numbers that could be two samples.
    for shape in [&[2][..], &[1, 4], &[4, 1], &[]] {
        let fault = client.encrypt(&Tensor::zeros(shape)).unwrap_err().to_string();
        let expected =
            format!("the samples have shape {shape:?}: they must have [samples, ...], with 2 numbers each");
        assert_eq!(fault, expected);
    }
    assert!(client.encrypt(&Tensor::zeros([1, 2, 1])).is_ok());
}

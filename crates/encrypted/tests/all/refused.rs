//! Networks that do not fit are refused, by name.

use gradus_encrypted::{EncryptedError, IntegerNetwork, Packing, Plan, Server};

fn error<T>(result: Result<T, EncryptedError>) -> String {
    result.err().expect("an error").to_string()
}

fn line(scale: i64) -> IntegerNetwork {
    IntegerNetwork::new(1, -1..=1).unwrap().linear(&[vec![scale]], &[0]).unwrap()
}

#[test]
fn values_beyond_64_bits() {
    let squared = line(1 << 20).square().unwrap();
    assert_eq!(
        error(squared.square()),
        "layer 0 (linear): values may reach 2^80.0, and at most 2^61.0 fit: use fewer levels of weights or inputs, or \
         smaller layers"
    );
    let wide = line((1 << 31) - 1).linear(&[vec![(1 << 31) - 1]], &[0]).unwrap_err();
    assert!(wide.to_string().starts_with("layer 1 (linear): values may reach 2^62.0"), "{wide}");
}

#[test]
fn values_beyond_every_plaintext_modulus() {
    let network = line(3).linear(&[vec![1 << 30]], &[0]).unwrap().linear(&[vec![1 << 20]], &[0]).unwrap();
    assert_eq!(
        error(Server::new(network, Packing::Batch)),
        "layer 2 (linear): values may reach 2^51.6, and at most 2^44.0 fit: use fewer levels of weights or inputs, or \
         smaller layers"
    );
}

#[test]
fn too_many_squares() {
    let mut network = line(1);
    for _ in 0..10 {
        network = network.square().unwrap().linear(&[vec![1]], &[0]).unwrap();
    }
    let message = error(Plan::new(&network, Packing::Batch));
    assert!(
        message.starts_with("layer 8 (linear): the noise may exceed what can be decrypted by"),
        "{message}"
    );
    assert!(message.contains("with values up to 2^0.0"), "{message}");
    assert_eq!(network.degree(), 1024);
}

#[test]
fn layers_too_wide_for_one_sample() {
    let network =
        IntegerNetwork::new(1, 0..=1).unwrap().linear(&vec![vec![1]; 8193], &vec![0; 8193]).unwrap();
    assert_eq!(
        error(Plan::new(&network, Packing::Single)),
        "layer 0 (linear): it has 8193 outputs or inputs, and 8192 fit into a ciphertext: use `Packing::Batch`"
    );
}

#[test]
fn arguments_that_make_no_sense() {
    let empty = IntegerNetwork::new(2, 0..=1).unwrap();
    assert_eq!(
        error(Plan::new(&empty, Packing::Batch)),
        "network is empty: it must be a network with layers"
    );
    assert_eq!(error(IntegerNetwork::new(0, 0..=1)), "inputs is 0: it must be from 1 to 2^20");
    let backwards = std::ops::RangeInclusive::new(1, 0);
    assert_eq!(
        error(IntegerNetwork::new(1, backwards)),
        "range is 1..=0: it must be not empty, with ends below 2^31"
    );
    assert_eq!(
        error(empty.clone().linear(&[vec![1, 2, 3]], &[0])),
        "weight is 1 rows of 3: it must be at least one row of 2, and a bias of as many rows"
    );
    assert_eq!(
        error(empty.clone().linear(&[vec![1 << 31, 0]], &[0])),
        "weight is 2147483648: it must be below 2^31"
    );
    assert_eq!(error(empty.evaluate(&[0, 0, 0, 0])), "the samples have 4 numbers: one sample has 2");
}

//! Random networks, and the way through all roles.

use gradus_encrypted::{Client, Decrypted, IntegerNetwork, Keys, Packing, Query, Reply, Server, Setup};
use proptest::collection::vec;
use proptest::prelude::*;

/// The width of a layer, its weights and biases drawn row by row, and whether it is squared.
type Layer = (usize, Vec<i64>, Vec<i64>, bool);

fn layer(largest: i64) -> impl Strategy<Value = Layer> {
    (1_usize..=4, vec(-largest..=largest, 25), vec(-5_i64..=5, 5), any::<bool>())
}

/// A network of the layers, each as wide as drawn.
fn build(inputs: usize, (low, high): (i64, i64), layers: &[Layer]) -> IntegerNetwork {
    let mut network = IntegerNetwork::new(inputs, low..=high).unwrap();
    for (width, weights, biases, square) in layers {
        let before = network.outputs();
        let rows: Vec<Vec<i64>> = weights.chunks(5).take(*width).map(|row| row[..before].to_vec()).collect();
        network = network.linear(&rows, &biases[..*width]).unwrap();
        if *square {
            network = network.square().unwrap();
        }
    }
    network
}

/// Networks of up to three layers of up to four units with weights up to `largest`, of which up to `squares` are squared, and
/// samples in range.
pub(crate) fn networks(
    squares: usize,
    largest: i64,
) -> impl Strategy<Value = (IntegerNetwork, Vec<Vec<i64>>)> {
    let range = (-3_i64..=2, 0_i64..=6).prop_map(|(low, width)| (low, low + width));
    (1_usize..=5, range, vec(layer(largest), 1..=3)).prop_flat_map(move |(inputs, range, mut layers)| {
        let mut left = squares;
        for (.., square) in &mut layers {
            *square &= left > 0;
            left -= usize::from(*square);
        }
        let network = build(inputs, range, &layers);
        // The ends of the range are drawn as often as all between.
        let number = prop_oneof![Just(range.0), Just(range.1), range.0..=range.1];
        (Just(network), vec(vec(number, inputs), 1..=3))
    })
}

/// One unit: `(3 x - 2 y + 1)^2` of two inputs from 0 to 4.
pub(crate) fn small() -> IntegerNetwork {
    IntegerNetwork::new(2, 0..=4).unwrap().linear(&[vec![3, -2]], &[1]).unwrap().square().unwrap()
}

/// From server to client and back, as bytes.
pub(crate) fn answer(server: &Server, samples: &[i64]) -> Decrypted {
    let client = Client::new(&Setup::from_bytes(server.setup().as_bytes().to_vec()).unwrap()).unwrap();
    let keys = Keys::from_bytes(client.keys().unwrap().as_bytes().to_vec()).unwrap();
    let session = server.session(&keys).unwrap();
    let (query, pending) = client.encrypt_integers(samples).unwrap();
    let reply = session.evaluate(&Query::from_bytes(query.as_bytes().to_vec()).unwrap()).unwrap();
    client.decrypt(&Reply::from_bytes(reply.as_bytes().to_vec()).unwrap(), &pending).unwrap()
}

/// The encrypted evaluation equals the plain one, and leaves at least the noise budget that was proven.
#[track_caller]
pub(crate) fn equals_plain(network: &IntegerNetwork, packing: Packing, samples: &[Vec<i64>]) {
    let server = Server::new(network.clone(), packing).unwrap();
    let samples = &samples[..samples.len().min(server.plan().capacity())];
    let answer = answer(&server, &samples.concat());
    let plain: Vec<i64> = samples.iter().flat_map(|x| network.evaluate(x).unwrap()).collect();
    assert_eq!(answer.integers.to_vec(), plain, "{network:?}");
    assert_eq!(answer.integers.shape(), [samples.len(), network.outputs()]);
    assert!(answer.budget >= server.plan().reply_budget(), "{} of {}", answer.budget, server.plan());
}

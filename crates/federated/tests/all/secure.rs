//! Secure aggregation: sums are exact, one masked vector says nothing, and messages that do not belong are refused.

use std::collections::BTreeMap;

use gradus_federated::secure::{
    Advertised, FixedPoint, Letters, Masked, Reveals, SecureClient, SecureError, SecureServer, Shared, Terms,
    Vectors,
};
use gradus_federated::{Privacy, SecureAggregation};
use proptest::prelude::*;

use crate::common::{distance, model, numbers, simulation};

const SESSION: [u8; 16] = [7; 16];

fn terms(threshold: usize, len: usize) -> Terms {
    Terms::new(SESSION, threshold, len).unwrap()
}

/// Clients whose keys went out, and a server with the roster.
type Advertising = (Vec<SecureClient<Advertised>>, SecureServer<Letters>, Vec<u8>);

fn advertised(terms: Terms, ids: &[u64]) -> Result<Advertising, SecureError> {
    let (mut server, mut clients) = (SecureServer::new(terms), Vec::new());
    for &id in ids {
        let (client, keys) = SecureClient::seeded_for_tests(terms, id, 1000 + id);
        assert_eq!(server.receive(&keys).unwrap(), id);
        clients.push(client);
    }
    let (server, roster) = server.close()?;
    Ok((clients, server, roster))
}

type Sharing = (Vec<SecureClient<Shared>>, SecureServer<Vectors>, BTreeMap<u64, Vec<u8>>);

/// Clients that shared their secrets; those of whom `stays` says no have dropped out before.
fn shared(terms: Terms, ids: &[u64], stays: impl Fn(u64) -> bool) -> Result<Sharing, SecureError> {
    let (clients, mut server, roster) = advertised(terms, ids)?;
    let mut sharing = Vec::new();
    for (client, &id) in clients.into_iter().zip(ids) {
        if stays(id) {
            let (client, letters) = client.share(&roster)?;
            server.receive(&letters)?;
            sharing.push(client);
        }
    }
    let (server, inboxes) = server.close()?;
    Ok((sharing, server, inboxes))
}

type Masking = (Vec<SecureClient<Masked>>, SecureServer<Reveals>, Vec<u8>);

fn masked(
    (clients, mut server, inboxes): Sharing,
    vectors: &BTreeMap<u64, Vec<u64>>,
    stays: impl Fn(u64) -> bool,
) -> Result<Masking, SecureError> {
    let mut masking = Vec::new();
    for (client, (id, inbox)) in clients.into_iter().zip(&inboxes) {
        if stays(*id) {
            let (client, vector) = client.mask(inbox, &vectors[id])?;
            server.receive(&vector)?;
            masking.push(client);
        }
    }
    let (server, survivors) = server.close()?;
    Ok((masking, server, survivors))
}

/// The whole protocol, in which each client leaves at one of four steps; 3 stays to the end. The sum, and who is in it.
fn run(
    threshold: usize,
    vectors: &BTreeMap<u64, Vec<u64>>,
    leaves: &[u8],
) -> Result<(Vec<u64>, Vec<u64>), SecureError> {
    let ids: Vec<u64> = vectors.keys().copied().collect();
    let leaves: BTreeMap<u64, u8> = ids.iter().copied().zip(leaves.iter().copied()).collect();
    let terms = terms(threshold, vectors[&ids[0]].len());
    let sharing = shared(terms, &ids, |id| leaves[&id] > 0)?;
    let (clients, mut server, survivors) = masked(sharing, vectors, |id| leaves[&id] > 1)?;
    let names = server.survivors().to_vec();
    for (client, id) in clients.into_iter().zip(&names) {
        if leaves[id] > 2 {
            server.receive(&client.reveal(&survivors)?)?;
        }
    }
    Ok((server.sum()?, names))
}

fn plain(vectors: &BTreeMap<u64, Vec<u64>>, names: &[u64]) -> Vec<u64> {
    let len = vectors.values().next().unwrap().len();
    (0..len).map(|i| names.iter().fold(0_u64, |sum, id| sum.wrapping_add(vectors[id][i]))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever leaves at whatever step, the sum is exactly that of the vectors that came, or there is none.
    #[test]
    fn the_sum_is_exact(
        words in prop::collection::vec(prop::collection::vec(any::<u64>(), 5), 2..7),
        leaves in prop::collection::vec(0_u8..4, 7),
        threshold in 2_usize..5,
        stay in any::<bool>(),
    ) {
        let leaves = if stay { vec![3; 7] } else { leaves };
        // Numbers that are not in sequence.
        let vectors: BTreeMap<u64, Vec<u64>> = (0..).map(|i| 3 + i * i * 5).zip(words).collect();
        let count = |step: u8| leaves[..vectors.len()].iter().filter(|&&leave| leave > step).count();
        match run(threshold, &vectors, &leaves) {
            Ok((sum, names)) => {
                prop_assert_eq!(names.len(), count(1));
                prop_assert_eq!(sum, plain(&vectors, &names));
                prop_assert!(count(2) >= threshold);
            }
            Err(SecureError::TooFew { .. }) => prop_assert!(count(2) < threshold || vectors.len() < threshold),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    /// Bytes that were changed, cut or made up never end the server, and never give a wrong sum in silence.
    #[test]
    fn foreign_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), place in 0_usize..300, bit in 0_u8..8) {
        let terms = terms(2, 4);
        let mut server = SecureServer::new(terms);
        prop_assert!(server.receive(&bytes).is_err());
        let vectors: BTreeMap<u64, Vec<u64>> = (1..=4).map(|id| (id, vec![id; 4])).collect();
        let sharing = shared(terms, &[1, 2, 3, 4], |_| true).unwrap();
        let (clients, mut server, survivors) = masked(sharing, &vectors, |id| id != 4).unwrap();
        // One message of three is broken, after the sound ones: whatever becomes of it, two are enough.
        for (i, client) in clients.into_iter().enumerate().rev() {
            let mut message = client.reveal(&survivors).unwrap();
            let length = message.len();
            prop_assert!(server.receive(&message[..place % length]).is_err(), "cut off");
            if i == 0 {
                message[place % length] ^= 1 << bit;
                drop(server.receive(&message));
            } else {
                server.receive(&message).unwrap();
            }
        }
        prop_assert_eq!(server.sum().unwrap(), vec![6; 4]);
    }

    #[test]
    fn fixed_point_rounds_toward_zero(values in prop::collection::vec(-1e6..1e6_f64, 1..20), bits in 0_u32..30) {
        let fixed = FixedPoint::new(bits, 100).unwrap();
        let decoded = fixed.decode(&fixed.encode(&values).unwrap());
        prop_assert!(distance(&values, &decoded) < 2_f64.powi(-(bits as i32)));
        prop_assert!(values.iter().zip(&decoded).all(|(value, decoded)| decoded.abs() <= value.abs()), "longer");
    }
}

#[test]
fn fixed_point_refuses_what_could_overflow() {
    let fixed = FixedPoint::new(0, 4).unwrap();
    let largest = (i64::MAX / 4) as f64 * (1.0 - 1e-15);
    // Four times the largest number is still a number.
    let words = fixed.encode(&[largest]).unwrap();
    let sum = (0..4).fold(0_u64, |sum, _| sum.wrapping_add(words[0]));
    assert!((fixed.decode(&[sum])[0] / (4.0 * largest) - 1.0).abs() < 1e-12);
    for value in [largest * 1.01, -largest * 1.01, f64::NAN, f64::INFINITY] {
        assert!(matches!(fixed.encode(&[0.0, value]), Err(SecureError::Range { index: 1, .. })), "{value}");
    }
    assert_eq!(
        FixedPoint::new(60, 1).unwrap_err().to_string(),
        "FixedPoint::new: `fraction_bits` is 60: it must be at most 52"
    );
    assert!(FixedPoint::new(8, 0).is_err());
}

/// The masked vector of one client.
fn one_masked(seed: u64, words: &[u64]) -> Vec<u64> {
    let terms = terms(2, words.len());
    let (mut server, mut clients) = (SecureServer::new(terms), Vec::new());
    for id in 1..=3 {
        let (client, keys) = SecureClient::seeded_for_tests(terms, id, seed * 10 + id);
        server.receive(&keys).unwrap();
        clients.push(client);
    }
    let (mut server, roster) = server.close().unwrap();
    let mut sharing = Vec::new();
    for client in clients {
        let (client, letters) = client.share(&roster).unwrap();
        server.receive(&letters).unwrap();
        sharing.push(client);
    }
    let (_, inboxes) = server.close().unwrap();
    let (_, message) = sharing.remove(0).mask(&inboxes[&1], words).unwrap();
    message[37..].chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// Seen alone, a masked vector is noise: bytes uniform, whatever the vector, and nothing in common with it or with the same
/// vector of another session.
#[test]
fn one_masked_vector_says_nothing() {
    let len = 1 << 14;
    let zeros = vec![0; len];
    let ramp: Vec<u64> = (0..len as u64).map(|i| i << 20).collect();
    for (seed, words) in [(1, &zeros), (2, &ramp)] {
        let masked = one_masked(seed, words);
        assert_eq!(masked.len(), len);
        let mut counts = [0_u32; 256];
        for byte in masked.iter().flat_map(|word| word.to_le_bytes()) {
            counts[byte as usize] += 1;
        }
        let expected = (8 * len) as f64 / 256.0;
        let chi: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        // 255 degrees of freedom: 255 +- 22.6; five deviations either way.
        assert!((chi - 255.0).abs() < 113.0, "{chi}");
        let correlation = |x: &[u64], y: &[u64]| {
            let centred = |words: &[u64]| {
                let words: Vec<f64> = words.iter().map(|word| word.cast_signed() as f64).collect();
                let mean = words.iter().sum::<f64>() / len as f64;
                let norm = words.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt();
                words.iter().map(|x| (x - mean) / norm).collect::<Vec<f64>>()
            };
            centred(x).iter().zip(centred(y)).map(|(x, y)| x * y).sum::<f64>() * (len as f64).sqrt()
        };
        // In deviations: the correlation of independent vectors has the deviation 1 / sqrt(len).
        assert!(correlation(&masked, &ramp).abs() < 5.0);
        let again = one_masked(seed + 10, words);
        assert!(correlation(&masked, &again).abs() < 5.0);
        let same = masked.iter().zip(&again).filter(|(x, y)| x == y).count();
        assert_eq!(same, 0);
    }
    // The control: the statistic does see a vector that is not masked.
    assert!(ramp.iter().filter(|word| word.to_le_bytes()[7] == 0).count() == len);
}

/// A client that was slow, not gone: its vector comes after the others have revealed its pair masks. Its own mask still
/// covers it, which is what that mask is for.
#[test]
fn a_late_vector_stays_covered() {
    let vectors: BTreeMap<u64, Vec<u64>> = (1..=3).map(|id| (id, vec![id; 2])).collect();
    let (mut clients, mut server, inboxes) = shared(terms(2, 2), &[1, 2, 3], |_| true).unwrap();
    let late = clients.pop().unwrap();
    let mut masking = Vec::new();
    for (client, id) in clients.into_iter().zip(1..) {
        let (client, message) = client.mask(&inboxes[&id], &vectors[&id]).unwrap();
        server.receive(&message).unwrap();
        masking.push(client);
    }
    let (mut server, survivors) = server.close().unwrap();
    let (late, message) = late.mask(&inboxes[&3], &vectors[&3]).unwrap();
    assert!(server.receive(&message).is_err(), "a vector is no share");
    assert_eq!(late.reveal(&survivors).unwrap_err().to_string(), "client 3: is not among the survivors");
    for client in masking {
        server.receive(&client.reveal(&survivors).unwrap()).unwrap();
    }
    assert_eq!(server.sum().unwrap(), [3, 3]);
}

#[test]
fn messages_that_do_not_belong() {
    let t = terms(2, 1);
    let other = Terms::new([8; 16], 2, 1).unwrap();
    let mut server = SecureServer::new(t);
    let (client, keys) = SecureClient::seeded_for_tests(t, 1, 1);
    server.receive(&keys).unwrap();
    assert_eq!(server.receive(&keys).unwrap_err().to_string(), "client 1: has sent its keys before");
    let foreign = SecureClient::seeded_for_tests(other, 2, 2).1;
    assert_eq!(
        server.receive(&foreign).unwrap_err().to_string(),
        "a message of public keys belongs to another session"
    );
    let mut newer = keys.clone();
    newer[3] = 2;
    assert_eq!(
        server.receive(&newer).unwrap_err().to_string(),
        "a message of public keys: its version is 2, and this program has 1"
    );
    let mut longer = SecureClient::seeded_for_tests(t, 5, 2).1;
    longer.push(0);
    assert_eq!(
        server.receive(&longer).unwrap_err().to_string(),
        "a message of public keys: 1 bytes follow its end"
    );
    assert_eq!(
        server.receive(b"GSA").unwrap_err().to_string(),
        "a message of public keys: it ends 2 bytes early"
    );
    assert_eq!(server.close().unwrap_err().to_string(), "public keys: 1 clients, and the threshold is 2");
    // A client does not take a roster in which it stands under other keys, as a server that stands between would need.
    let (_, _, roster) = advertised(t, &[1, 2]).unwrap();
    assert_eq!(
        client.share(&roster).unwrap_err().to_string(),
        "client 1: is not in the roster under its own keys"
    );
    let (clients, server, inboxes) = shared(t, &[1, 2], |_| true).unwrap();
    drop(server);
    let client = clients.into_iter().next().unwrap();
    assert_eq!(
        client.mask(&inboxes[&1], &[1, 2]).unwrap_err().to_string(),
        "client 1: has a vector of 2 words, and the terms say 1"
    );
    assert_eq!(
        Terms::new([0; 16], 1, 1).unwrap_err().to_string(),
        "Terms::new: `threshold` is 1: it must be at least 2: a sum of one vector hides nothing"
    );
}

/// A letter that somebody changed is not read; the others have enough shares without it.
#[test]
fn a_changed_letter_is_noticed() {
    let vectors: BTreeMap<u64, Vec<u64>> = (1..=4).map(|id| (id, vec![id; 2])).collect();
    let (clients, mut server, mut inboxes) = shared(terms(3, 2), &[1, 2, 3, 4], |_| true).unwrap();
    // The last byte of the inbox of client 1 is in the letter of client 4.
    *inboxes.get_mut(&1).unwrap().last_mut().unwrap() ^= 1;
    let mut masking = Vec::new();
    for (client, id) in clients.into_iter().zip(1..) {
        let (client, message) = client.mask(&inboxes[&id], &vectors[&id]).unwrap();
        server.receive(&message).unwrap();
        masking.push(client);
    }
    assert_eq!((masking[0].unread(), masking[1].unread()), (vec![4], vec![]));
    let (mut server, survivors) = server.close().unwrap();
    for (revealed, client) in masking.into_iter().enumerate() {
        assert!(revealed >= 3 || server.sum().is_err());
        server.receive(&client.reveal(&survivors).unwrap()).unwrap();
    }
    assert_eq!(server.sum().unwrap(), [10, 10]);
}

/// A client that reveals a false share spoils nothing, if there is one share more than needed.
#[test]
fn a_false_share_is_left_out() {
    let vectors: BTreeMap<u64, Vec<u64>> = (1..=4).map(|id| (id, vec![id; 2])).collect();
    for liar in 1..=4 {
        let sharing = shared(terms(3, 2), &[1, 2, 3, 4], |_| true).unwrap();
        let (clients, mut server, survivors) = masked(sharing, &vectors, |_| true).unwrap();
        for (client, id) in clients.into_iter().zip(1..) {
            let mut message = client.reveal(&survivors).unwrap();
            let limb = message.len() - 8;
            message[limb] ^= u8::from(id == liar);
            server.receive(&message).unwrap();
        }
        assert_eq!(server.sum().unwrap(), [10, 10], "{liar}");
        assert!(format!("{server:?}").ends_with("step: Reveals }"));
    }
}

#[test]
fn a_simulation_with_masks_gives_the_plain_result() {
    let run = |secure: bool, drop_out: f64| {
        let mut federated = simulation(6).seed(4).drop_out(drop_out).unwrap();
        if secure {
            federated = federated.secure_aggregation(SecureAggregation::new(2).unwrap());
        }
        for _ in 0..5 {
            federated.round().unwrap();
        }
        numbers(federated.model())
    };
    for drop_out in [0.0, 0.3] {
        let (plain, secure) = (run(false, drop_out), run(true, drop_out));
        assert!(distance(&plain, &secure) < 1e-6, "{drop_out}: {}", distance(&plain, &secure));
        assert!(distance(&plain, &secure) > 0.0, "rounding shows that there was fixed point");
    }
    let mut few = simulation(3).secure_aggregation(SecureAggregation::new(4).unwrap());
    assert_eq!(
        few.round().unwrap_err().to_string(),
        "round 1: 3 updates came in, and 4 are needed: the model stays as it was"
    );
    assert_eq!(numbers(few.model()), numbers(&model()));
}

#[test]
fn masks_and_noise_together() {
    let run = |secure: bool| {
        let privacy = Privacy::new(0.1, 0.5).unwrap().noise_by_clients(4).unwrap().seeded_noise_for_tests(2);
        let mut federated = simulation(4).privacy(privacy);
        if secure {
            federated = federated.secure_aggregation(SecureAggregation::new(4).unwrap());
        }
        federated.round().unwrap();
        numbers(federated.model())
    };
    assert!(distance(&run(true), &run(false)) < 1e-6);
}

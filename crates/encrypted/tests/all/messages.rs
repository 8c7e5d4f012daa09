//! Messages that are cut, changed, forged or for somebody else.

use std::sync::LazyLock;

use gradus_encrypted::{Client, EncryptedError, Keys, Packing, Pending, Query, Reply, Server, Setup};
use proptest::prelude::*;

use crate::samples::small;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::new(small(), Packing::Single).unwrap());

/// A conversation, and its messages.
struct Talk {
    client: Client,
    keys: Keys,
    query: Query,
    reply: Reply,
}

static TALK: LazyLock<Talk> = LazyLock::new(|| {
    let client = Client::new(SERVER.setup()).unwrap();
    let keys = client.keys().unwrap();
    let (query, _) = client.encrypt_integers(&[4, 1]).unwrap();
    let reply = SERVER.session(&keys).unwrap().evaluate(&query).unwrap();
    Talk { client, keys, query, reply }
});

fn error<T>(result: Result<T, EncryptedError>) -> String {
    result.err().expect("an error").to_string()
}

/// The documented checksum, of a message without its own.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64 ^ 0x9e37_79b9_7f4a_7c15, |state, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let state = (state ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^ (state >> 32)
    })
}

/// A message with a change, and a checksum that fits again.
fn forged(message: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = message[..message.len() - 8].to_vec();
    change(&mut bytes);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// A query and what is remembered of it, both fresh.
fn ask() -> (Reply, Pending) {
    let (query, pending) = TALK.client.encrypt_integers(&[4, 1]).unwrap();
    (SERVER.session(&TALK.keys).unwrap().evaluate(&query).unwrap(), pending)
}

#[test]
fn every_truncation_of_a_setup() {
    let bytes = SERVER.setup().as_bytes();
    for length in 0..bytes.len() {
        assert!(Setup::from_bytes(bytes[..length].to_vec()).is_err(), "{length}");
    }
    assert!(Setup::from_bytes([bytes, &[0]].concat()).is_err());
    assert_eq!(Setup::from_bytes(bytes.to_vec()).unwrap(), *SERVER.setup());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn truncations_and_changed_bytes_are_found(place in any::<prop::sample::Index>(), flip in 1_u8..) {
        let bytes = TALK.reply.as_bytes();
        let place = place.index(bytes.len());
        prop_assert!(Reply::from_bytes(bytes[..place].to_vec()).is_err());
        let mut changed = bytes.to_vec();
        changed[place] ^= flip;
        prop_assert!(Reply::from_bytes(changed).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn forged_setups_never_panic(place in any::<prop::sample::Index>(), flip in 1_u8..) {
        let bytes = forged(SERVER.setup().as_bytes(), |bytes| {
            // The body begins after 43 bytes of header; its digest is the one of the body.
            let place = 43 + place.index(bytes.len() - 43);
            bytes[place] ^= flip;
            let digest = checksum(&bytes[43..]);
            bytes[11..19].copy_from_slice(&digest.to_le_bytes());
        });
        // Whatever a client accepts, it can encrypt for.
        if let Ok(client) = Client::new(&Setup::from_bytes(bytes)?) {
            let _ = client.encrypt_integers(&[1, 1]);
        }
    }

    #[test]
    fn forged_queries_keys_and_replies_never_panic(place in any::<prop::sample::Index>(), flip in 1_u8.., kind in 0_usize..3) {
        let original = [TALK.keys.as_bytes(), TALK.query.as_bytes(), TALK.reply.as_bytes()][kind];
        let bytes = forged(original, |bytes| {
            let place = 43 + place.index(bytes.len() - 43);
            bytes[place] ^= flip;
        });
        // A change that is read without an error leaves noise, and never another answer.
        let (reply, pending) = match kind {
            0 => {
                let Ok(session) = SERVER.session(&Keys::from_bytes(bytes)?) else { return Ok(()) };
                let (query, pending) = TALK.client.encrypt_integers(&[4, 1])?;
                (session.evaluate(&query)?, pending)
            }
            1 => {
                let Ok(reply) = SERVER.session(&TALK.keys)?.evaluate(&Query::from_bytes(bytes)?) else { return Ok(()) };
                let (other, pending) = TALK.client.encrypt_integers(&[4, 1])?;
                // The reply answers the forged query: it is given the identifier of the one that waits.
                let identifier = other.as_bytes()[27..35].to_vec();
                (Reply::from_bytes(forged(reply.as_bytes(), |bytes| bytes[27..35].copy_from_slice(&identifier)))?, pending)
            }
            _ => {
                let (own, pending) = ask();
                let identifier = own.as_bytes()[27..35].to_vec();
                let bytes = forged(&bytes, |bytes| bytes[27..35].copy_from_slice(&identifier));
                (Reply::from_bytes(bytes)?, pending)
            }
        };
        if let Ok(answer) = TALK.client.decrypt(&reply, pending) {
            prop_assert_eq!(answer.integers.to_vec(), [121]);
        }
    }
}

#[test]
fn frames_that_are_wrong() {
    let bytes = TALK.query.as_bytes();
    let query = |bytes: Vec<u8>| error(Query::from_bytes(bytes));
    assert_eq!(
        query(b"PNG".to_vec()),
        "the bytes are not a message of encrypted inference: it does not begin with GRADUSHE"
    );
    assert_eq!(query(bytes[..20].to_vec()), "the message has 20 bytes: it must have 51");
    let cut = bytes[..bytes.len() - 1].to_vec();
    assert_eq!(
        query(cut),
        format!("the message has {} bytes: it must have {}", bytes.len() - 1, bytes.len())
    );
    assert_eq!(
        query(forged(bytes, |bytes| bytes[8] = 9)),
        "the message has version 9: this program reads version 1"
    );
    assert_eq!(query(TALK.reply.as_bytes().to_vec()), "the message is reply: it must be query");
    let mut changed = bytes.to_vec();
    changed[100] ^= 1;
    assert_eq!(query(changed), "the checksum of the message does not fit: its bytes have changed on the way");
}

#[test]
fn bodies_that_are_wrong() {
    let session = SERVER.session(&TALK.keys).unwrap();
    let body = |change: fn(&mut Vec<u8>)| {
        let bytes = forged(TALK.query.as_bytes(), |bytes| {
            change(bytes);
            let length = bytes.len() as u64 - 43;
            bytes[35..43].copy_from_slice(&length.to_le_bytes());
        });
        error(session.evaluate(&Query::from_bytes(bytes).unwrap()))
    };
    assert_eq!(body(|bytes| bytes.truncate(60)), "query: its body is too short");
    assert_eq!(body(|bytes| bytes.push(0)), "query: its body is too long");
    assert_eq!(body(|bytes| bytes[43] = 7), "query: a ciphertext has 7 polynomials: it must have [2]");
    assert_eq!(
        body(|bytes| bytes[80..90].fill(255)),
        "query: a number of a ciphertext is not below its modulus"
    );
}

#[test]
fn messages_of_another_network_or_client() {
    let talk = &*TALK;
    let other_network = Server::new(small(), Packing::Batch).unwrap();
    assert!(
        error(other_network.session(&talk.keys))
            .starts_with("keys: made for another network or other parameters")
    );

    let other = Client::new(SERVER.setup()).unwrap();
    let (query, pending) = other.encrypt_integers(&[0, 0]).unwrap();
    let session = SERVER.session(&talk.keys).unwrap();
    assert!(error(session.evaluate(&query)).starts_with("query: made with another secret key"));
    assert!(error(other.decrypt(&talk.reply, pending)).starts_with("reply: made with another secret key"));

    let (_, pending) = talk.client.encrypt_integers(&[4, 1]).unwrap();
    assert_eq!(error(talk.client.decrypt(&talk.reply, pending)), "the reply answers another query");
}

#[test]
fn ciphertexts_of_another_key_do_not_decrypt() {
    // A query of a stranger that claims to be the client's, and so does the reply: only the noise tells.
    let stranger = Client::new(SERVER.setup()).unwrap();
    let (query, _) = stranger.encrypt_integers(&[4, 1]).unwrap();
    let (own, pending) = TALK.client.encrypt_integers(&[4, 1]).unwrap();
    let query = forged(query.as_bytes(), |bytes| bytes[19..35].copy_from_slice(&own.as_bytes()[19..35]));
    let reply = SERVER.session(&TALK.keys).unwrap().evaluate(&Query::from_bytes(query).unwrap()).unwrap();
    assert_eq!(
        error(TALK.client.decrypt(&reply, pending)),
        "output 0: the noise of the ciphertext is too large to decrypt it: it was made with another key, or changed"
    );
}

#[test]
fn no_message_and_no_debug_output_has_the_key() {
    assert!(!format!("{:?} {:?}", TALK.client, *SERVER).contains("coefficients"));
}

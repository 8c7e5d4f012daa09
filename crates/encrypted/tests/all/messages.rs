//! Messages that are cut, changed, forged or for somebody else.

use std::sync::LazyLock;

use gradus_encrypted::{
    Client, EncryptedError, Keys, Packing, Pending, Query, Reply, Server, Session, Setup,
};
use proptest::prelude::*;

use crate::samples::small;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::new(small(), Packing::Single).unwrap());

/// A conversation, and its messages.
struct Talk {
    client: Client,
    keys: Keys,
    query: Query,
    pending: Pending,
    reply: Reply,
}

static TALK: LazyLock<Talk> = LazyLock::new(|| {
    let client = Client::new(SERVER.setup()).unwrap();
    let keys = client.keys().unwrap();
    let (query, pending) = client.encrypt_integers(&[4, 1]).unwrap();
    let reply = SERVER.session(&keys).unwrap().evaluate(&query).unwrap();
    Talk { client, keys, query, pending, reply }
});

static SESSION: LazyLock<Session<'static>> = LazyLock::new(|| SERVER.session(&TALK.keys).unwrap());

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
    (SESSION.evaluate(&query).unwrap(), pending)
}

/// The four messages, and their readers.
type Reader = fn(Vec<u8>) -> Result<(), EncryptedError>;

fn kinds() -> [(&'static [u8], Reader); 4] {
    let talk = &*TALK;
    [
        (SERVER.setup().as_bytes(), |bytes| Setup::from_bytes(bytes).map(drop)),
        (talk.keys.as_bytes(), |bytes| Keys::from_bytes(bytes).map(drop)),
        (talk.query.as_bytes(), |bytes| Query::from_bytes(bytes).map(drop)),
        (talk.reply.as_bytes(), |bytes| Reply::from_bytes(bytes).map(drop)),
    ]
}

/// The bytes of the header, in front of the body.
const HEADER: usize = 43;

#[test]
fn every_truncation() {
    for (bytes, read) in kinds() {
        // Every length around the header and the checksum, and some within the body.
        let (near, all) = (|length: &usize| *length < 80, bytes.len());
        let lengths = (0..all).filter(|length| near(length) || all - length < 12 || length % (all / 7) == 0);
        for length in lengths {
            match read(bytes[..length].to_vec()).unwrap_err() {
                EncryptedError::NotAMessage { .. } => assert_eq!(length, 0),
                EncryptedError::Length { found, expected } => {
                    assert_eq!(
                        (found, expected),
                        (length, if length < HEADER + 8 { HEADER + 8 } else { all })
                    );
                }
                error => panic!("{length}: {error}"),
            }
        }
        assert!(matches!(read([bytes, &[0]].concat()), Err(EncryptedError::Length { .. })));
        assert_eq!(read(bytes.to_vec()), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_changed_byte(kind in 0_usize..4, place in any::<prop::sample::Index>(), in_header: bool, flip in 1_u8..) {
        let (bytes, read) = kinds()[kind];
        let place = place.index(if in_header { HEADER } else { bytes.len() });
        let mut changed = bytes.to_vec();
        changed[place] ^= flip;
        let error = read(changed).unwrap_err();
        let is_named = match place {
            0..8 => matches!(error, EncryptedError::NotAMessage { .. }),
            8..10 => matches!(error, EncryptedError::Version { .. }),
            35..HEADER => matches!(error, EncryptedError::Length { .. }),
            _ => matches!(error, EncryptedError::Checksum),
        };
        prop_assert!(is_named, "{place}: {error}");
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
                let Ok(reply) = SESSION.evaluate(&Query::from_bytes(bytes)?) else { return Ok(()) };
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
        if let Ok(answer) = TALK.client.decrypt(&reply, &pending) {
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

/// A message with another body, whose length and checksum fit; the digest of a setup, too.
fn with_body(message: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    forged(message, |bytes| {
        let mut body = bytes.split_off(HEADER);
        change(&mut body);
        bytes[35..HEADER].copy_from_slice(&(body.len() as u64).to_le_bytes());
        if bytes[10] == 0 {
            bytes[11..19].copy_from_slice(&checksum(&body).to_le_bytes());
        }
        bytes.extend_from_slice(&body);
    })
}

/// Brings a message to its receiver, who reads the body.
fn receive(kind: usize, bytes: Vec<u8>) -> Result<(), EncryptedError> {
    match kind {
        0 => Client::new(&Setup::from_bytes(bytes)?).map(drop),
        1 => SERVER.session(&Keys::from_bytes(bytes)?).map(drop),
        2 => SESSION.evaluate(&Query::from_bytes(bytes)?).map(drop),
        _ => TALK.client.decrypt(&Reply::from_bytes(bytes)?, &TALK.pending).map(drop),
    }
}

#[test]
fn bodies_that_are_cut_or_longer() {
    for (kind, (bytes, _)) in kinds().into_iter().enumerate() {
        let length = bytes.len() - HEADER - 8;
        for cut in [0, 1, 2, 3, 10, length / 3, length / 2, length - 9, length - 1] {
            let error = receive(kind, with_body(bytes, |body| body.truncate(cut))).unwrap_err();
            assert!(matches!(error, EncryptedError::Malformed { .. }), "{kind}, {cut} of {length}: {error}");
        }
        let error = receive(kind, with_body(bytes, |body| body.push(0))).unwrap_err();
        assert!(matches!(error, EncryptedError::Malformed { .. }), "{kind}: {error}");
        assert_eq!(receive(kind, with_body(bytes, |_| ())), Ok(()));
    }
}

#[test]
fn bodies_that_are_wrong() {
    let body = |kind, change: fn(&mut Vec<u8>)| error(receive(kind, with_body(kinds()[kind].0, change)));
    let query = |change| body(2, change);
    assert_eq!(query(|body| body.truncate(17)), "query: its body is too short");
    assert_eq!(query(|body| body.push(0)), "query: its body is too long");
    assert_eq!(query(|body| body[0] = 7), "query: a ciphertext has 7 polynomials: it must have [2]");
    let number = "query: a number of a ciphertext is not below its modulus";
    assert_eq!(query(|body| body[37..47].fill(255)), number);
    // Two flags and 14 numbers: the degree, the number of moduli, the plaintext modulus, ...
    let parameters = "setup: it has parameters that this crate does not use";
    for change in [
        |body: &mut Vec<u8>| body[2..10].copy_from_slice(&2048_u64.to_le_bytes()),
        |body: &mut Vec<u8>| body[10] = 9,
        |body: &mut Vec<u8>| body[18] ^= 2,
    ] {
        assert_eq!(body(0, change), parameters);
    }
    // Plaintext moduli with slots that are not prime, or too large for the ciphertexts.
    let step = 2 * SERVER.plan().degree() as u64;
    let is_prime = |n: u64| (2..1 << 23).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    let with_slots = |least: u64| (least / step + 1..).map(move |k| k * step + 1);
    let composite = with_slots(1 << 20).find(|&t| !is_prime(t)).unwrap();
    let large = with_slots(1 << 43).find(|&t| is_prime(t)).unwrap();
    for modulus in [composite, large] {
        let setup = with_body(kinds()[0].0, |body| body[18..26].copy_from_slice(&modulus.to_le_bytes()));
        assert_eq!(error(receive(0, setup)), parameters, "{modulus}");
    }
    assert_eq!(body(0, |body| body[26] = 0), "setup: its numbers contradict each other");
    // Two blocks with their lengths, the first with the key for products.
    let without_products = |body: &mut Vec<u8>| {
        let length = u64::from_le_bytes(body[..8].try_into().unwrap()) as usize;
        body.drain(..length);
        body[..8].fill(0);
    };
    assert_eq!(body(1, without_products), "keys: the keys are for another computation");
}

#[test]
fn keys_of_other_parameters() {
    // Keys of a client of another network that say they are for this one.
    let other =
        Server::new(small().linear(&[vec![9]], &[0]).unwrap().square().unwrap(), Packing::Single).unwrap();
    let keys = Client::new(other.setup()).unwrap().keys().unwrap();
    assert_ne!(other.plan().modulus_bits(), SERVER.plan().modulus_bits());
    let claimed =
        forged(keys.as_bytes(), |bytes| bytes[11..19].copy_from_slice(&TALK.keys.as_bytes()[11..19]));
    let error = receive(1, claimed).unwrap_err();
    assert!(matches!(error, EncryptedError::Malformed { kind: "keys", .. }), "{error}");
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
    assert!(error(SESSION.evaluate(&query)).starts_with("query: made with another secret key"));
    assert!(error(other.decrypt(&talk.reply, &pending)).starts_with("reply: made with another secret key"));

    let (_, pending) = talk.client.encrypt_integers(&[4, 1]).unwrap();
    assert_eq!(error(talk.client.decrypt(&talk.reply, &pending)), "the reply answers another query");
}

#[test]
fn ciphertexts_of_another_key_do_not_decrypt() {
    // A query of a stranger that claims to be the client's, and so does the reply: only the noise tells.
    let stranger = Client::new(SERVER.setup()).unwrap();
    let (query, _) = stranger.encrypt_integers(&[4, 1]).unwrap();
    let (own, pending) = TALK.client.encrypt_integers(&[4, 1]).unwrap();
    let query = forged(query.as_bytes(), |bytes| bytes[19..35].copy_from_slice(&own.as_bytes()[19..35]));
    let reply = SESSION.evaluate(&Query::from_bytes(query).unwrap()).unwrap();
    assert_eq!(
        error(TALK.client.decrypt(&reply, &pending)),
        "output 0: the noise of the ciphertext is too large to decrypt it: it was made with another key, or changed"
    );
}

#[test]
fn stray_replies_leave_the_query_waiting() {
    let talk = &*TALK;
    let (query, pending) = talk.client.encrypt_integers(&[4, 1]).unwrap();
    let reply = SESSION.evaluate(&query).unwrap();
    let other_network = Server::new(small(), Packing::Batch).unwrap();
    let batch = Client::new(other_network.setup()).unwrap();
    let foreign = other_network.session(&batch.keys().unwrap()).unwrap();
    let foreign = foreign.evaluate(&batch.encrypt_integers(&[4, 1]).unwrap().0).unwrap();
    let stranger = Client::new(SERVER.setup()).unwrap();
    let strange = SERVER.session(&stranger.keys().unwrap()).unwrap();
    let strange = strange.evaluate(&stranger.encrypt_integers(&[4, 1]).unwrap().0).unwrap();
    let claimed =
        forged(strange.as_bytes(), |bytes| bytes[19..35].copy_from_slice(&reply.as_bytes()[19..35]));

    let refused = |stray: &Reply| talk.client.decrypt(stray, &pending).unwrap_err();
    assert!(matches!(refused(&foreign), EncryptedError::Setup { kind: "reply", .. }));
    assert!(matches!(refused(&strange), EncryptedError::Key { kind: "reply", .. }));
    assert!(matches!(refused(&talk.reply), EncryptedError::OtherQuery));
    let cut = Reply::from_bytes(with_body(reply.as_bytes(), |body| body.truncate(99))).unwrap();
    assert!(matches!(refused(&cut), EncryptedError::Malformed { kind: "reply", .. }));
    let claimed = Reply::from_bytes(claimed).unwrap();
    assert!(matches!(refused(&claimed), EncryptedError::Undecryptable { output: 0 }));
    // The right reply comes at last.
    assert_eq!(talk.client.decrypt(&reply, &pending).unwrap().integers.to_vec(), [121]);
}

#[test]
fn no_debug_output_has_the_key() {
    assert!(!format!("{:?} {:?}", TALK.client, *SERVER).contains("coefficients"));
}

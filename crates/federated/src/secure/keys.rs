//! Keys, masks and sealed letters.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

use super::Terms;

pub(super) type Key = [u8; 32];

/// The uses of a key, which keep keys of one use from another.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// A mask that two clients share; the same for both.
    Pair,
    /// The mask of one client alone.
    Own,
    /// A letter from the first client to the second.
    Letter,
}

/// HKDF with SHA-256 (RFC 5869), bound to the session, the use and both clients.
pub(super) fn derive(terms: &Terms, usage: Use, [first, second]: [u64; 2], secret: &Key) -> Key {
    let (usage, [first, second]) = match usage {
        // Both clients of a pair must come to the same key.
        Use::Pair => (b'p', [first.min(second), first.max(second)]),
        Use::Own => (b'o', [first, second]),
        Use::Letter => (b'l', [first, second]),
    };
    let mut key = [0; 32];
    let info = [&b"gradus secure aggregation 1"[..], &[usage], &first.to_le_bytes(), &second.to_le_bytes()];
    let kdf = Hkdf::<Sha256>::new(Some(&terms.session), secret);
    kdf.expand_multi_info(&info, &mut key).expect("32 bytes are no more than HKDF gives");
    key
}

/// What two clients alone know: the agreement of X25519 (RFC 7748). Nothing if the other key is one of the few of low order,
/// with which everybody would know it.
pub(super) fn agree(own: &StaticSecret, other: &Key) -> Option<Key> {
    let shared = own.diffie_hellman(&PublicKey::from(*other));
    shared.was_contributory().then(|| shared.to_bytes())
}

/// Adds the mask of a key to words, or takes it away: the stream of ChaCha20 (RFC 8439).
pub(super) fn mask(words: &mut [u64], key: &Key, add: bool) {
    let mut stream = ChaCha20::new(&(*key).into(), &[0; 12].into());
    let mut bytes = [0; 4096];
    for words in words.chunks_mut(bytes.len() / 8) {
        bytes.fill(0);
        stream.apply_keystream(&mut bytes);
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            let mask = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            *word = if add { word.wrapping_add(mask) } else { word.wrapping_sub(mask) };
        }
    }
}

/// A letter under a key of its own, which is used once: ChaCha20-Poly1305 (RFC 8439).
pub(super) fn seal(key: &Key, text: &[u8]) -> Vec<u8> {
    let cipher = ChaCha20Poly1305::new(&(*key).into());
    cipher.encrypt(&[0; 12].into(), text).expect("a short text can be sealed")
}

/// The text of a letter, if nobody has changed it.
pub(super) fn open(key: &Key, letter: &[u8]) -> Option<Vec<u8>> {
    ChaCha20Poly1305::new(&(*key).into()).decrypt(&[0; 12].into(), letter).ok()
}

/// Fixes a seed without saying it.
pub(super) fn commitment(terms: &Terms, client: u64, seed: &Key) -> Key {
    let mut hash = Sha256::new();
    hash.update(b"gradus secure aggregation 1 seed");
    hash.update(terms.session);
    hash.update(client.to_le_bytes());
    hash.update(seed);
    hash.finalize().into()
}

/// The public half of a secret key.
pub(super) fn public(secret: Key) -> Key {
    PublicKey::from(&StaticSecret::from(secret)).to_bytes()
}

//! The client's steps.

use std::collections::{BTreeMap, BTreeSet};

use chacha20::ChaCha20Rng;
use rand::{Rng, SeedableRng};
use x25519_dalek::StaticSecret;

use super::keys::{Key, Use, agree, commitment, derive, mask, open, public, seal};
use super::messages::{Kind, Reader, Writer};
use super::shamir::{LIMBS, Share, is_share, split};
use super::{SecureError, Terms};
use crate::privacy::secure_generator;

/// A client in one step of the protocol, which its type names: [`Advertised`], [`Shared`] or [`Masked`]. Each step uses up
/// the one before, so that no step is taken twice: two vectors under one mask would show their difference.
#[derive(Debug)]
pub struct SecureClient<Step> {
    terms: Terms,
    id: u64,
    step: Step,
}

/// The step after the public keys went out.
pub struct Advertised {
    rng: ChaCha20Rng,
    mask_key: StaticSecret,
    letter_key: StaticSecret,
    seed: Key,
}

/// The step after the shares of the secrets went out.
pub struct Shared {
    mask_key: StaticSecret,
    letter_key: StaticSecret,
    seed: Key,
    roster: BTreeMap<u64, PublicKeys>,
}

/// The step after the masked vector went out.
pub struct Masked {
    /// Of each client that shared its secrets, the shares of its mask key and of its seed, if its letter could be read.
    shares: BTreeMap<u64, Option<[Share; 2]>>,
}

/// Secrets are not printed.
macro_rules! silent {
    ($($step:ident)*) => {$(
        impl std::fmt::Debug for $step {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($step))
            }
        }
    )*};
}
pub(super) use silent;
silent! { Advertised Shared Masked PublicKeys }

/// The public keys of a client: for masks and for letters.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct PublicKeys {
    pub(super) mask: Key,
    pub(super) letter: Key,
}

impl PublicKeys {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<(u64, Self), SecureError> {
        Ok((reader.number()?, Self { mask: reader.key()?, letter: reader.key()? }))
    }
    pub(super) fn write(self, id: u64, writer: Writer) -> Writer {
        writer.number(id).key(&self.mask).key(&self.letter)
    }
}

impl SecureClient<Advertised> {
    /// A client with this number, and the message with its public keys. Keys are drawn from ChaCha20 with a key of the
    /// operating system.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn new(terms: Terms, id: u64) -> Result<(Self, Vec<u8>), SecureError> {
        let rng = secure_generator().map_err(SecureError::Randomness)?;
        Ok(Self::of_generator(terms, id, rng))
    }

    /// As [`new`](Self::new), with keys that follow from a seed: for tests. Whoever knows the seed knows the masks.
    pub fn seeded_for_tests(terms: Terms, id: u64, seed: u64) -> (Self, Vec<u8>) {
        Self::of_generator(terms, id, ChaCha20Rng::seed_from_u64(seed))
    }

    fn of_generator(terms: Terms, id: u64, mut rng: ChaCha20Rng) -> (Self, Vec<u8>) {
        let mut key = || {
            let mut key = [0; 32];
            rng.fill_bytes(&mut key);
            key
        };
        let [mask_key, letter_key, seed] = [key(), key(), key()];
        let keys = PublicKeys { mask: public(mask_key), letter: public(letter_key) };
        let message = keys.write(id, Writer::new(Kind::Advertisement, &terms)).finish();
        let step = Advertised { rng, mask_key: mask_key.into(), letter_key: letter_key.into(), seed };
        (Self { terms, id, step }, message)
    }

    /// Reads the roster, and gives the message with shares of this client's secrets, each sealed for one other client.
    ///
    /// # Errors
    /// If the roster is malformed, has fewer clients than the threshold, a client twice, a key that agrees with nobody, or
    /// not this client under its own keys.
    pub fn share(self, roster: &[u8]) -> Result<(SecureClient<Shared>, Vec<u8>), SecureError> {
        let Self { terms, id, step: Advertised { mut rng, mask_key, letter_key, seed } } = self;
        let mut reader = Reader::new(Kind::Roster, &terms, roster)?;
        let members = reader.list(72, PublicKeys::read)?;
        reader.end()?;
        let roster: BTreeMap<u64, PublicKeys> = members.iter().copied().collect();
        if roster.len() < members.len() {
            let mut seen = BTreeSet::new();
            let twice = members.iter().find(|(id, _)| !seen.insert(*id)).expect("the map is shorter");
            return Err(SecureError::client(twice.0, "is in the roster twice"));
        }
        terms.enough("the roster", roster.len())?;
        let own = PublicKeys { mask: public(mask_key.to_bytes()), letter: public(letter_key.to_bytes()) };
        if roster.get(&id) != Some(&own) {
            return Err(SecureError::client(id, "is not in the roster under its own keys"));
        }
        let key_shares = split(&mask_key.to_bytes(), terms.threshold, roster.len(), &mut rng);
        let seed_shares = split(&seed, terms.threshold, roster.len(), &mut rng);
        let mut letters = Vec::new();
        for ((&other, keys), shares) in roster.iter().zip(key_shares.iter().zip(&seed_shares)) {
            let text: Vec<u8> =
                [shares.0, shares.1].into_iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
            let key = if other == id {
                // A letter to oneself: the key is as secret as the other ones.
                Some(letter_key.to_bytes())
            } else {
                agree(&letter_key, &keys.letter)
            };
            let key = key.ok_or_else(|| SecureError::client(other, "has a public key of low order"))?;
            letters.push((other, seal(&derive(&terms, Use::Letter, [id, other], &key), &text)));
        }
        let message = Writer::new(Kind::Shares, &terms)
            .number(id)
            .key(&commitment(&terms, id, &seed))
            .list(&letters, |writer, (other, letter)| writer.number(*other).bytes(letter))
            .finish();
        Ok((SecureClient { terms, id, step: Shared { mask_key, letter_key, seed, roster } }, message))
    }
}

impl SecureClient<Shared> {
    /// Reads the inbox, and gives the message with the masked words: the mask of this client's seed, and one mask for each
    /// other client that shared its secrets, which the client with the smaller number adds and the other takes away.
    ///
    /// # Errors
    /// If the inbox is malformed, from fewer clients than the threshold, or names strangers, or there are more or fewer words
    /// than the terms say.
    pub fn mask(self, inbox: &[u8], words: &[u64]) -> Result<(SecureClient<Masked>, Vec<u8>), SecureError> {
        let Self { terms, id, step: Shared { mask_key, letter_key, seed, roster } } = self;
        terms.check_len(id, words.len())?;
        let mut reader = Reader::new(Kind::Inbox, &terms, inbox)?;
        let letters = reader.list(16, |reader| Ok((reader.number()?, reader.bytes()?)))?;
        reader.end()?;
        let mut shares = BTreeMap::new();
        for (sender, letter) in letters {
            let Some(keys) = roster.get(&sender) else {
                return Err(SecureError::client(sender, "is in the inbox and not in the roster"));
            };
            let key =
                if sender == id { Some(letter_key.to_bytes()) } else { agree(&letter_key, &keys.letter) };
            let text = key.and_then(|key| open(&derive(&terms, Use::Letter, [sender, id], &key), letter));
            if shares.insert(sender, text.as_deref().and_then(read_shares)).is_some() {
                return Err(SecureError::client(sender, "is in the inbox twice"));
            }
        }
        terms.enough("the inbox", shares.len())?;
        if !shares.contains_key(&id) {
            return Err(SecureError::client(id, "has an inbox without its own letter"));
        }
        let mut masked = words.to_vec();
        mask(&mut masked, &derive(&terms, Use::Own, [id, id], &seed), true);
        for &other in shares.keys().filter(|other| **other != id) {
            let shared = agree(&mask_key, &roster[&other].mask);
            let shared = shared.ok_or_else(|| SecureError::client(other, "has a public key of low order"))?;
            mask(&mut masked, &derive(&terms, Use::Pair, [id, other], &shared), id < other);
        }
        let message = Writer::new(Kind::Masked, &terms).number(id).words(&masked).finish();
        Ok((SecureClient { terms, id, step: Masked { shares } }, message))
    }
}

/// Nothing, if they are not of the field: the server would refuse them.
fn read_shares(text: &[u8]) -> Option<[Share; 2]> {
    if text.len() != 2 * 8 * LIMBS {
        return None;
    }
    let numbers: Vec<u64> = text
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
        .collect();
    let (key, seed) = numbers.split_at_checked(LIMBS)?;
    let shares = [key.try_into().ok()?, seed.try_into().ok()?];
    shares.iter().all(is_share).then_some(shares)
}

impl SecureClient<Masked> {
    /// The clients whose letters could not be read: this client has no shares of their secrets, and says so by leaving them
    /// out of its last message.
    pub fn unread(&self) -> Vec<u64> {
        self.step.shares.iter().filter(|(_, shares)| shares.is_none()).map(|(&id, _)| id).collect()
    }

    /// Reads whose vectors arrived, and gives the last message: for each of them the share of its seed, for the others the
    /// share of their mask key. Never both of one client, which would uncover its vector.
    ///
    /// # Errors
    /// If the list is malformed, names fewer clients than the threshold, strangers or a client twice, or not this client.
    pub fn reveal(self, survivors: &[u8]) -> Result<Vec<u8>, SecureError> {
        let Self { terms, id, step: Masked { shares } } = self;
        let mut reader = Reader::new(Kind::Survivors, &terms, survivors)?;
        let listed = reader.words()?;
        reader.end()?;
        let survivors: BTreeSet<u64> = listed.iter().copied().collect();
        if survivors.len() < listed.len() {
            return Err(SecureError::client(id, "got a list of survivors that names a client twice"));
        }
        terms.enough("the survivors", survivors.len())?;
        if let Some(&stranger) = survivors.iter().find(|survivor| !shares.contains_key(survivor)) {
            return Err(SecureError::client(stranger, "is a survivor and was not in the inbox"));
        }
        if !survivors.contains(&id) {
            return Err(SecureError::client(id, "is not among the survivors"));
        }
        let revealed: Vec<(u64, Share)> = shares
            .into_iter()
            .filter_map(|(other, shares)| {
                let [key, seed] = shares?;
                Some((other, if survivors.contains(&other) { seed } else { key }))
            })
            .collect();
        let message =
            Writer::new(Kind::Reveal, &terms).number(id).list(&revealed, |writer, (other, share)| {
                share.iter().fold(writer.number(*other), |writer, &limb| writer.number(limb))
            });
        Ok(message.finish())
    }
}

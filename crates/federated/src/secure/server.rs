//! The server's steps.

use std::collections::BTreeMap;

use x25519_dalek::StaticSecret;

use super::client::{PublicKeys, silent};
use super::keys::{Key, Use, agree, commitment, derive, mask, public};
use super::messages::{Kind, Reader, Writer};
use super::shamir::{Share, join};
use super::{SecureError, Terms};

/// The server in one step of the protocol, which its type names: [`Keys`], [`Letters`], [`Vectors`] or [`Reveals`]. In each it
/// receives the messages of clients, in any order, and closes the step when enough have come or the time is up. Whoever has
/// not come by then has dropped out.
#[derive(Debug)]
pub struct SecureServer<Step> {
    terms: Terms,
    step: Step,
}

/// The step in which public keys come in.
#[derive(Debug, Default)]
pub struct Keys {
    roster: BTreeMap<u64, PublicKeys>,
}

/// The step in which sealed shares come in.
#[derive(Debug)]
pub struct Letters {
    roster: BTreeMap<u64, PublicKeys>,
    /// For each sender the commitment to its seed, and its letters.
    letters: BTreeMap<u64, (Key, BTreeMap<u64, Vec<u8>>)>,
}

/// The step in which masked vectors come in.
#[derive(Debug)]
pub struct Vectors {
    roster: BTreeMap<u64, PublicKeys>,
    commitments: BTreeMap<u64, Key>,
    survivors: Vec<u64>,
    sum: Vec<u64>,
}

/// The step in which shares of secrets come in.
pub struct Reveals {
    vectors: Vectors,
    /// For each revealing client its point and its shares.
    shares: BTreeMap<u64, (u64, BTreeMap<u64, Share>)>,
}

silent! { Reveals }

/// A message for each client, by its number.
pub type Inboxes = BTreeMap<u64, Vec<u8>>;

impl SecureServer<Keys> {
    /// A server that waits for public keys.
    pub fn new(terms: Terms) -> Self {
        Self { terms, step: Keys::default() }
    }

    /// Takes a client's public keys, and returns its number.
    ///
    /// # Errors
    /// If the message is malformed, or the client has sent keys before: the first ones count.
    pub fn receive(&mut self, message: &[u8]) -> Result<u64, SecureError> {
        let mut reader = Reader::new(Kind::Advertisement, &self.terms, message)?;
        let (id, keys) = PublicKeys::read(&mut reader)?;
        reader.end()?;
        if self.step.roster.contains_key(&id) {
            return Err(SecureError::client(id, "has sent its keys before"));
        }
        self.step.roster.insert(id, keys);
        Ok(id)
    }

    /// Closes the step, and gives the roster, a message to every client in it.
    ///
    /// # Errors
    /// If there are fewer clients than the threshold.
    pub fn close(self) -> Result<(SecureServer<Letters>, Vec<u8>), SecureError> {
        let Self { terms, step: Keys { roster } } = self;
        terms.enough("public keys", roster.len())?;
        let members: Vec<(u64, PublicKeys)> = roster.iter().map(|(&id, &keys)| (id, keys)).collect();
        let message =
            Writer::new(Kind::Roster, &terms).list(&members, |writer, (id, keys)| keys.write(*id, writer));
        Ok((SecureServer { terms, step: Letters { roster, letters: BTreeMap::new() } }, message.finish()))
    }
}

impl SecureServer<Letters> {
    /// Takes a client's sealed shares, and returns its number.
    ///
    /// # Errors
    /// If the message is malformed, does not have one letter for each client of the roster, or the client is a stranger or has
    /// sent shares before.
    pub fn receive(&mut self, message: &[u8]) -> Result<u64, SecureError> {
        let mut reader = Reader::new(Kind::Shares, &self.terms, message)?;
        let (id, commitment) = (reader.number()?, reader.key()?);
        let letters = reader.list(16, |reader| Ok((reader.number()?, reader.bytes()?.to_vec())))?;
        reader.end()?;
        if !self.step.roster.contains_key(&id) {
            return Err(SecureError::client(id, "has sent shares and is not in the roster"));
        }
        if self.step.letters.contains_key(&id) {
            return Err(SecureError::client(id, "has sent its shares before"));
        }
        if !letters.iter().map(|(other, _)| other).eq(self.step.roster.keys()) {
            return Err(SecureError::client(
                id,
                "has not sent one letter to each client of the roster, in order",
            ));
        }
        self.step.letters.insert(id, (commitment, letters.into_iter().collect()));
        Ok(id)
    }

    /// Closes the step, and gives each client that sent shares its inbox.
    ///
    /// # Errors
    /// If there are fewer clients than the threshold.
    pub fn close(self) -> Result<(SecureServer<Vectors>, Inboxes), SecureError> {
        let Self { terms, step: Letters { roster, letters } } = self;
        terms.enough("sealed shares", letters.len())?;
        let inbox = |&recipient: &u64| {
            let senders: Vec<(u64, &[u8])> =
                letters.iter().map(|(&sender, (_, letters))| (sender, &letters[&recipient][..])).collect();
            let message = Writer::new(Kind::Inbox, &terms)
                .list(&senders, |writer, (sender, letter)| writer.number(*sender).bytes(letter));
            (recipient, message.finish())
        };
        let inboxes = letters.keys().map(inbox).collect();
        let commitments = letters.iter().map(|(&id, (commitment, _))| (id, *commitment)).collect();
        let sum = vec![0; terms.len];
        Ok((
            SecureServer { terms, step: Vectors { roster, commitments, survivors: Vec::new(), sum } },
            inboxes,
        ))
    }
}

impl SecureServer<Vectors> {
    /// Takes a client's masked vector, and returns its number.
    ///
    /// # Errors
    /// If the message is malformed, the vector has another length than the terms say, or the client has no inbox or has sent
    /// a vector before.
    pub fn receive(&mut self, message: &[u8]) -> Result<u64, SecureError> {
        let mut reader = Reader::new(Kind::Masked, &self.terms, message)?;
        let (id, words) = (reader.number()?, reader.words()?);
        reader.end()?;
        if !self.step.commitments.contains_key(&id) {
            return Err(SecureError::client(id, "has sent a vector and no shares before"));
        }
        if self.step.survivors.contains(&id) {
            return Err(SecureError::client(id, "has sent its vector before"));
        }
        self.terms.check_len(id, words.len())?;
        for (sum, word) in self.step.sum.iter_mut().zip(words) {
            *sum = sum.wrapping_add(word);
        }
        self.step.survivors.push(id);
        Ok(id)
    }

    /// Closes the step, and gives the list of clients whose vectors came, a message to each of them.
    ///
    /// # Errors
    /// If there are fewer clients than the threshold.
    pub fn close(mut self) -> Result<(SecureServer<Reveals>, Vec<u8>), SecureError> {
        self.terms.enough("masked vectors", self.step.survivors.len())?;
        self.step.survivors.sort_unstable();
        let message = Writer::new(Kind::Survivors, &self.terms).words(&self.step.survivors).finish();
        let step = Reveals { vectors: self.step, shares: BTreeMap::new() };
        Ok((SecureServer { terms: self.terms, step }, message))
    }
}

impl SecureServer<Reveals> {
    /// The clients whose vectors are in the sum, in order.
    pub fn survivors(&self) -> &[u64] {
        &self.step.vectors.survivors
    }

    /// Takes a client's shares, and returns its number.
    ///
    /// # Errors
    /// If the message is malformed, names strangers, or the client is no survivor or has sent its shares before.
    pub fn receive(&mut self, message: &[u8]) -> Result<u64, SecureError> {
        let mut reader = Reader::new(Kind::Reveal, &self.terms, message)?;
        let id = reader.number()?;
        let shares = reader.list(48, |reader| Ok((reader.number()?, reader.share()?)))?;
        reader.end()?;
        let Vectors { roster, commitments, survivors, .. } = &self.step.vectors;
        if !survivors.contains(&id) {
            return Err(SecureError::client(id, "has revealed shares and is no survivor"));
        }
        if self.step.shares.contains_key(&id) {
            return Err(SecureError::client(id, "has revealed its shares before"));
        }
        if let Some((stranger, _)) = shares.iter().find(|(other, _)| !commitments.contains_key(other)) {
            return Err(SecureError::client(id, format!("has revealed a share of the stranger {stranger}")));
        }
        let point =
            1 + roster.keys().position(|&other| other == id).expect("survivors are in the roster") as u64;
        self.step.shares.insert(id, (point, shares.into_iter().collect()));
        Ok(id)
    }

    /// The sum of the survivors' words, modulo `2^64`, without any mask.
    ///
    /// # Errors
    /// If fewer clients than the threshold have revealed shares of a secret, or shares do not fit their secret. One false
    /// share does no harm where there is one more than the threshold. More messages may still come, and the sum be asked for
    /// again.
    pub fn sum(&self) -> Result<Vec<u64>, SecureError> {
        let terms = &self.terms;
        let Vectors { roster, commitments, survivors, sum } = &self.step.vectors;
        let mut sum = sum.clone();
        for (&id, known) in commitments {
            if survivors.contains(&id) {
                let secret = self.secret(id, |secret| commitment(terms, id, secret) == *known)?;
                mask(&mut sum, &derive(terms, Use::Own, [id, id], &secret), false);
            } else {
                // The masks that the survivors share with a client that has gone.
                let key = StaticSecret::from(self.secret(id, |secret| public(*secret) == roster[&id].mask)?);
                for &other in survivors {
                    let shared = agree(&key, &roster[&other].mask).ok_or_else(|| misfit(id))?;
                    mask(&mut sum, &derive(terms, Use::Pair, [id, other], &shared), id < other);
                }
            }
        }
        Ok(sum)
    }

    /// The secret of a client, from the first run of neighbouring shares that gives one that fits.
    fn secret(&self, id: u64, fits: impl Fn(&Key) -> bool) -> Result<Key, SecureError> {
        let shares = self.step.shares.values();
        let shares: Vec<(u64, Share)> =
            shares.filter_map(|(point, shares)| Some((*point, *shares.get(&id)?))).collect();
        self.terms.enough("revealed shares", shares.len())?;
        let run = |start: usize| -> Vec<(u64, Share)> {
            shares.iter().cycle().skip(start).take(self.terms.threshold).copied().collect()
        };
        (0..shares.len())
            .find_map(|start| join(&run(start)).filter(|secret| fits(secret)))
            .ok_or_else(|| misfit(id))
    }
}

fn misfit(id: u64) -> SecureError {
    SecureError::client(id, "has secrets that the revealed shares do not fit")
}

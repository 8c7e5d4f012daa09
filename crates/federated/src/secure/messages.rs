//! Messages as bytes: a header with version, kind and session, and numbers in little-endian order.

use super::keys::Key;
use super::shamir::{LIMBS, Share, is_share};
use super::{SecureError, Terms};

const MAGIC: [u8; 3] = *b"GSA";
const VERSION: u8 = 1;

/// The kinds of messages, in the order of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Advertisement = 1,
    Roster,
    Shares,
    Inbox,
    Masked,
    Survivors,
    Reveal,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Advertisement => "public keys",
            Self::Roster => "the roster",
            Self::Shares => "sealed shares",
            Self::Inbox => "an inbox",
            Self::Masked => "a masked vector",
            Self::Survivors => "the survivors",
            Self::Reveal => "revealed shares",
        }
    }
}

pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(kind: Kind, terms: &Terms) -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([VERSION, kind as u8]);
        bytes.extend(terms.session);
        Self(bytes)
    }
    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }
    pub(super) fn key(mut self, key: &Key) -> Self {
        self.0.extend(key);
        self
    }
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let mut writer = self.number(bytes.len() as u64);
        writer.0.extend(bytes);
        writer
    }
    pub(super) fn words(self, words: &[u64]) -> Self {
        words.iter().fold(self.number(words.len() as u64), |writer, &word| writer.number(word))
    }
    /// A list of items, each written by a function.
    pub(super) fn list<I>(self, items: &[I], write: impl Fn(Self, &I) -> Self) -> Self {
        items.iter().fold(self.number(items.len() as u64), write)
    }
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what a [`Writer`] wrote. Nothing is allocated by a length that the bytes do not bear out.
pub(super) struct Reader<'a> {
    kind: Kind,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(kind: Kind, terms: &Terms, bytes: &'a [u8]) -> Result<Self, SecureError> {
        let mut reader = Self { kind, rest: bytes };
        if reader.take(3)? != MAGIC {
            return Err(reader.malformed("it does not begin as messages of secure aggregation do"));
        }
        let [version, found] = reader.array()?;
        if version != VERSION {
            return Err(reader.malformed(format!("its version is {version}, and this program has {VERSION}")));
        }
        if found != kind as u8 {
            return Err(reader.malformed(format!("its kind is {found}, and this step needs {}", kind as u8)));
        }
        if reader.array()? != terms.session {
            return Err(SecureError::Session { expected: kind.name() });
        }
        Ok(reader)
    }

    pub(super) fn malformed(&self, fault: impl Into<String>) -> SecureError {
        SecureError::Malformed { expected: self.kind.name(), fault: fault.into() }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], SecureError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.malformed(format!("it ends {} bytes early", count - self.rest.len())));
        };
        self.rest = rest;
        Ok(taken)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], SecureError> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were taken"))
    }
    pub(super) fn number(&mut self) -> Result<u64, SecureError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    pub(super) fn key(&mut self) -> Result<Key, SecureError> {
        self.array()
    }
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], SecureError> {
        let count = self.count(1)?;
        self.take(count)
    }
    pub(super) fn words(&mut self) -> Result<Vec<u64>, SecureError> {
        self.list(8, Self::number)
    }
    pub(super) fn share(&mut self) -> Result<Share, SecureError> {
        let mut share = [0; LIMBS];
        for limb in &mut share {
            *limb = self.number()?;
        }
        if is_share(&share) { Ok(share) } else { Err(self.malformed("a share is not in the field")) }
    }
    /// A list of items of at least `size` bytes.
    pub(super) fn list<I>(
        &mut self,
        size: usize,
        read: impl Fn(&mut Self) -> Result<I, SecureError>,
    ) -> Result<Vec<I>, SecureError> {
        (0..self.count(size)?).map(|_| read(self)).collect()
    }
    fn count(&mut self, size: usize) -> Result<usize, SecureError> {
        let count = self.number()?;
        match usize::try_from(count) {
            Ok(fitting) if fitting <= self.rest.len() / size => Ok(fitting),
            _ => Err(self.malformed(format!("it names {count} items and is too short for them"))),
        }
    }
    /// The end of the message, where nothing may follow.
    pub(super) fn end(self) -> Result<(), SecureError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.malformed(format!("{} bytes follow its end", self.rest.len())))
    }
}

//! Messages between client and server.
//!
//! | bytes | |
//! | ---: | --- |
//! | 8 | magic, `GRADUSHE` |
//! | 2 | version, little-endian as all numbers |
//! | 1 | kind |
//! | 8 | digest of the setup that the message belongs to |
//! | 8 | identifier of the secret key, random; 0 in a setup |
//! | 8 | identifier of the query, random; 0 in a setup and in keys |
//! | 8 | length of the body |
//! | | body |
//! | 8 | checksum of all before |
//!
//! Checksum and digests are not cryptographic: they find accidents. An attacker between both sides can forge messages, so send
//! them through an authenticated channel such as TLS.

use crate::error::EncryptedError;

const MAGIC: &[u8; 8] = b"GRADUSHE";
const VERSION: u16 = 1;
const HEADER: usize = 8 + 2 + 1 + 8 + 8 + 8 + 8;

/// The fields of a header that differ between messages of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Envelope {
    /// The digest of the setup.
    pub(crate) setup: u64,
    /// The identifier of the secret key.
    pub(crate) key: u64,
    /// The identifier of the query.
    pub(crate) query: u64,
}

impl Envelope {
    /// An error unless setup and key are the same as in another envelope.
    pub(crate) fn belongs_to(self, kind: &'static str, expected: Self) -> Result<(), EncryptedError> {
        if self.setup != expected.setup {
            return Err(EncryptedError::Setup { kind, found: self.setup, expected: expected.setup });
        }
        if self.key != expected.key {
            return Err(EncryptedError::Key { kind, found: self.key, expected: expected.key });
        }
        Ok(())
    }
}

/// A checksum of 64 bits. A change within one word of eight bytes is always found, as each step is a bijection of the state and
/// of the word; any other very probably, unless made on purpose.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64 ^ 0x9e37_79b9_7f4a_7c15;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 32;
    }
    state
}

/// The bytes of a message.
pub(crate) fn frame(kind: u8, envelope: Envelope, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + body.len() + 8);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.push(kind);
    for field in [envelope.setup, envelope.key, envelope.query, body.len() as u64] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(body);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

const KINDS: [&str; 4] = ["setup", "keys", "query", "reply"];

/// The envelope of a message, after everything about the frame was checked.
fn open(kind: u8, bytes: &[u8]) -> Result<Envelope, EncryptedError> {
    let (length, least) = (bytes.len(), HEADER + 8);
    if !bytes.starts_with(&MAGIC[..length.min(8)]) || bytes.is_empty() {
        return Err(EncryptedError::NotAMessage { fault: "it does not begin with GRADUSHE" });
    }
    if length < least {
        return Err(EncryptedError::Length { found: length, expected: least });
    }
    let number = |place: usize| u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"));
    let version = u16::from_le_bytes([bytes[8], bytes[9]]);
    if version != VERSION {
        return Err(EncryptedError::Version { found: version, known: VERSION });
    }
    let body = usize::try_from(number(HEADER - 8)).unwrap_or(usize::MAX);
    let expected = body.saturating_add(least);
    if length != expected {
        return Err(EncryptedError::Length { found: length, expected });
    }
    if checksum(&bytes[..length - 8]) != number(length - 8) {
        return Err(EncryptedError::Checksum);
    }
    if bytes[10] != kind {
        let found = KINDS.get(usize::from(bytes[10])).copied();
        let found = found.ok_or(EncryptedError::NotAMessage { fault: "its kind is unknown" })?;
        return Err(EncryptedError::Kind { found, expected: KINDS[usize::from(kind)] });
    }
    Ok(Envelope { setup: number(11), key: number(19), query: number(27) })
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            bytes: Vec<u8>,
            envelope: Envelope,
        }

        impl $name {
            pub(crate) const KIND: &'static str = KINDS[$kind];

            pub(crate) fn new(envelope: Envelope, body: &[u8]) -> Self {
                Self { bytes: frame($kind, envelope, body), envelope }
            }

            /// The message that was received: magic, version, kind, length and checksum are checked here, the contents where
            /// the message is used.
            ///
            /// # Errors
            /// If the bytes are not a whole message of this kind.
            pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, EncryptedError> {
                Ok(Self { envelope: open($kind, &bytes)?, bytes })
            }

            /// The message to send.
            pub fn as_bytes(&self) -> &[u8] {
                &self.bytes
            }

            pub(crate) fn envelope(&self) -> Envelope {
                self.envelope
            }

            pub(crate) fn body(&self) -> &[u8] {
                &self.bytes[HEADER..self.bytes.len() - 8]
            }
        }
    )*};
}

messages! {
    /// From the server to its clients: parameters, ranges and layout, and nothing of the weights.
    Setup, 0;
    /// From a client to the server, once: the keys for evaluation. They do not decrypt.
    Keys, 1;
    /// From a client to the server: encrypted samples.
    Query, 2;
    /// From the server to the client: encrypted outputs.
    Reply, 3;
}

/// Reads the body of a message from its beginning.
pub(crate) struct Reader<'a> {
    kind: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(kind: &'static str, body: &'a [u8]) -> Self {
        Self { kind, rest: body }
    }

    pub(crate) fn fault(&self, fault: impl Into<String>) -> EncryptedError {
        EncryptedError::Malformed { kind: self.kind, fault: fault.into() }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], EncryptedError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| self.fault("its body is too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], EncryptedError> {
        Ok(self.take(N)?.try_into().expect("as many bytes as taken"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, EncryptedError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u64, EncryptedError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn end(self) -> Result<(), EncryptedError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fault("its body is too long")) }
    }
}

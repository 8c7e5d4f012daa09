//! Numbers as bytes.

use gradus_autograd::Element;

/// Elements that travel between ranks: `f32`, `f64` and `i64`, in little-endian order on every machine.
pub trait Wire: Element {
    /// The bytes of an element.
    #[doc(hidden)]
    const SIZE: usize = size_of::<Self>();

    /// Writes elements to a buffer of their size.
    #[doc(hidden)]
    fn write(elements: impl IntoIterator<Item = Self>, bytes: &mut [u8]);

    /// The elements of a buffer.
    #[doc(hidden)]
    fn read(bytes: &[u8]) -> impl Iterator<Item = Self>;
}

macro_rules! impl_wire {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn write(elements: impl IntoIterator<Item = Self>, bytes: &mut [u8]) {
                for (bytes, element) in bytes.as_chunks_mut().0.iter_mut().zip(elements) {
                    *bytes = element.to_le_bytes();
                }
            }
            fn read(bytes: &[u8]) -> impl Iterator<Item = Self> {
                bytes.as_chunks().0.iter().map(|&bytes| Self::from_le_bytes(bytes))
            }
        }
    )*};
}
impl_wire!(f32, f64, i64);

/// The bytes of elements.
pub(crate) fn bytes<E: Wire>(elements: &[E]) -> Vec<u8> {
    let mut bytes = vec![0; elements.len() * E::SIZE];
    E::write(elements.iter().copied(), &mut bytes);
    bytes
}

/// A fingerprint of bytes: FNV-1a (Fowler, Noll and Vo, 1991) by words of 64 bits. It finds accidents, not attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u64);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        // The product leaves the low bits to the low bits of the words.
        self.0 ^= self.0 >> 32;
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for &word in words {
            self.word(u64::from_le_bytes(word));
        }
        for &byte in rest {
            self.word(byte.into());
        }
        self.word(bytes.len() as u64);
    }
}

//! Shared weights as bytes.

use crate::error::CompressError;
use crate::share::Shared;

const MAGIC: &[u8; 4] = b"GDS1";
/// The bits of the distance from one element that is not 0 to the next; a longer one passes over elements of value 0.
const WIDTHS: std::ops::RangeInclusive<u32> = 1..=8;

/// Numbers of a few bits each, the lowest bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn push(&mut self, number: usize, width: u32) {
        for bit in 0..width {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().expect("just pushed") |= ((number >> bit & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl Reader<'_> {
    fn take(&mut self, width: u32) -> Option<usize> {
        let mut number = 0;
        for bit in 0..width {
            let byte = self.bytes.get(self.used / 8)?;
            number |= usize::from(byte >> (self.used % 8) & 1) << bit;
            self.used += 1;
        }
        Some(number)
    }

    /// 32 bits.
    fn word(&mut self) -> Option<u32> {
        self.take(32).map(|word| word as u32)
    }
}

impl Shared {
    /// The length of what [`bytes`](Self::bytes) begin with: sizes, number of values, and widths.
    pub fn head_length(&self) -> usize {
        MAGIC.len() + 4 * (self.shape().len() + 2) + 2
    }

    /// The shape, the values and the packed places.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let sizes = [self.shape().len(), self.values().len()];
        for &size in sizes.iter().chain(self.shape()) {
            out.extend((size as u32).to_le_bytes());
        }
        let width = bits_for(self.values().len());
        let shortest =
            WIDTHS.map(|gap| (self.packed(width, gap), gap)).min_by_key(|(packed, _)| packed.len());
        let dense = self.packed(width, 0);
        let (packed, gap) = shortest.filter(|(sparse, _)| sparse.len() < dense.len()).unwrap_or((dense, 0));
        out.extend([width as u8, gap as u8]);
        out.extend(self.values().iter().flat_map(|value| value.to_le_bytes()));
        out.extend(packed);
        out
    }

    /// The places: of all elements, or of the elements that are not 0, with distances of `gap` bits.
    fn packed(&self, width: u32, gap: u32) -> Vec<u8> {
        let mut bits = Bits::default();
        let zero = self.zero();
        let most = (1 << gap) - 1;
        let mut passed = 0;
        for &place in self.places() {
            let place = usize::from(place);
            if gap > 0 && Some(place) == zero && passed < most {
                passed += 1;
                continue;
            }
            bits.push(passed, gap);
            bits.push(place, width);
            passed = 0;
        }
        if let (Some(zero), 1..) = (zero, passed) {
            bits.push(passed - 1, gap);
            bits.push(zero, width);
        }
        bits.bytes
    }

    /// Reads what [`bytes`](Self::bytes) wrote.
    ///
    /// # Errors
    /// If the bytes are others.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CompressError> {
        let fault = |fault: &str| CompressError::Layer {
            operation: "Shared::from_bytes",
            fault: format!("{fault}; the bytes must be those of `Shared::bytes`"),
        };
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| fault("the bytes do not begin with GDS1"))?;
        let read = || {
            let mut reader = Reader { bytes: rest, used: 0 };
            let [rank, count] = [reader.word()?, reader.word()?];
            let shape: Vec<usize> =
                (0..rank).map(|_| reader.word().map(|size| size as usize)).collect::<Option<_>>()?;
            let [width, gap] = [reader.take(8)? as u32, reader.take(8)? as u32];
            let values: Vec<f32> =
                (0..count).map(|_| reader.word().map(f32::from_bits)).collect::<Option<_>>()?;
            let length = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))?;
            // Memory for no more elements than so many bits can tell of.
            if gap > *WIDTHS.end() || width > 16 || length > rest.len().saturating_mul(8 << gap) {
                return None;
            }
            let zero = values.iter().position(|&value| value == 0.0).unwrap_or(0) as u16;
            let mut places = Vec::with_capacity(length);
            while places.len() < length {
                let passed = reader.take(gap)?;
                places.extend(std::iter::repeat_n(zero, passed));
                places.push(u16::try_from(reader.take(width)?).ok()?);
            }
            if places.len() > length {
                return None;
            }
            let known = places.iter().all(|&place| usize::from(place) < values.len());
            known.then(|| Self::from_parts(shape, values, places))
        };
        read().ok_or_else(|| fault("the bytes end early or contradict themselves"))
    }
}

/// The number of bits that tell so many values apart, at least 1.
fn bits_for(count: usize) -> u32 {
    count.saturating_sub(1).checked_ilog2().map_or(1, |bits| bits + 1)
}

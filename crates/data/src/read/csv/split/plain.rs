//! Texts without quotes, cut 64 bytes at a time.

use super::Part;
use crate::read::csv::Format;

/// The rows of the bytes from `at` on, and whether all of these are ASCII; nothing if there is a quote or a fault.
pub(super) fn split(bytes: &[u8], at: usize, format: &Format) -> Option<(Part, bool)> {
    let ends = [format.delimiter, b'\n', b'\r'].map(everywhere);
    let quote = everywhere(format.quote);
    let (mut part, mut seen) = (Part::default(), 0);
    // Of the row.
    let (mut start, mut before) = (at, 0);
    for (from, block) in (at..).step_by(64).zip(bytes[at..].chunks(64)) {
        let mut padded = [0; 64];
        let words = if let Ok(block) = <&[u8; 64]>::try_from(block) {
            block
        } else {
            padded[..block.len()].copy_from_slice(block);
            &padded
        };
        let (mut hits, mut quotes) = (0, 0);
        for (i, &word) in words.as_chunks().0.iter().enumerate() {
            let word = u64::from_le_bytes(word);
            seen |= word;
            quotes |= !differs(word, quote);
            let other = ends.iter().fold(u64::MAX, |other, &end| other & differs(word, end));
            hits |= bits(!other) << (8 * i);
        }
        // Zeros behind the end of the text are no bytes of it.
        hits &= u64::MAX >> (64 - block.len());
        if quotes & HIGH != 0 && block.contains(&format.quote) {
            return None;
        }
        while hits != 0 {
            let end = from + hits.trailing_zeros() as usize;
            hits &= hits - 1;
            // A row of more than 4 GiB is found out at its end.
            let length = end - start;
            if bytes[end] == format.delimiter {
                part.ends.push(length as u32);
                continue;
            }
            if !(length == 0 && bytes[end] == b'\n' && end > at && bytes[end - 1] == b'\r') {
                end_row(&mut part, &bytes[start..end], start, before, format)?;
                before = part.ends.len();
            }
            start = end + 1;
        }
    }
    if start < bytes.len() {
        end_row(&mut part, &bytes[start..], start, before, format)?;
    }
    Some((part, seen & HIGH == 0))
}

/// Ends the last cell of a row, and the row.
fn end_row(part: &mut Part, line: &[u8], start: usize, before: usize, format: &Format) -> Option<()> {
    part.ends.push(u32::try_from(line.len()).ok()?);
    part.end_row(line, start, before, format.delimiter).ok()
}

/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A word of eight equal bytes.
fn everywhere(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// In the highest bit of each byte, whether the byte differs from the same byte of another word. The other bits mean nothing.
#[inline(always)]
fn differs(word: u64, other: u64) -> u64 {
    let difference = word ^ other;
    ((difference & !HIGH) + !HIGH) | difference
}

/// The highest bits of the eight bytes, side by side.
#[inline(always)]
fn bits(word: u64) -> u64 {
    ((word & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

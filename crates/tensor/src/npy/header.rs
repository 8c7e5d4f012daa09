//! The header of an array's file: a dictionary in Python's notation.

use super::error::Fault;
use crate::shape::{Shape, element_count};

const MAGIC: &[u8] = b"\x93NUMPY";

/// NumPy has no arrays of more axes.
const MAX_RANK: usize = 64;

/// The type of the elements in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
}

/// The header's description of the data.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The size of an element in bytes.
    pub(super) width: usize,
    pub(super) big_endian: bool,
    /// Whether the first index runs fastest.
    pub(super) fortran_order: bool,
    pub(super) shape: Shape,
}

impl Header {
    /// The header at the start of a file, and where the data begin, which have the length that the header says. The file
    /// has `length` bytes, of which the first may be enough here.
    pub(super) fn read(file: &[u8], length: usize) -> Result<(Self, usize), Fault> {
        let (start, end) = extent(file)?;
        let header = Parser { bytes: &file[..end], at: start }.header()?;
        let (found, shape) = (length - end, &header.shape);
        let needed =
            element_count(shape).and_then(|count| count.checked_mul(header.width)).ok_or_else(|| {
                Fault::Shape { shape: format!("{shape:?}"), reason: "more elements than a machine can hold" }
            })?;
        if found != needed {
            return Err(Fault::Length { start: end, shape: shape.to_vec(), needed, found });
        }
        Ok((header, end))
    }

    /// The start of a file with row-major data.
    pub(super) fn write(descr: &str, shape: &[usize]) -> Result<Vec<u8>, Fault> {
        if shape.len() > MAX_RANK {
            return Err(too_many_axes(shape));
        }
        let sizes = match shape {
            [size] => format!("{size},"),
            _ => shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
        };
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
        // Spaces and an end of line, so that the data begin at a multiple of 64 bytes.
        let start = MAGIC.len() + 4;
        let end = (start + text.len() + 1).next_multiple_of(64);
        let length = u16::try_from(end - start).expect("64 sizes take less than 64 KiB");
        let mut bytes = [MAGIC, &[1, 0], &length.to_le_bytes(), text.as_bytes()].concat();
        bytes.resize(end - 1, b' ');
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn too_many_axes(shape: &[usize]) -> Fault {
    Fault::Shape { shape: format!("{shape:?}"), reason: "arrays have at most 64 axes" }
}

/// Where the dictionary begins and ends.
fn extent(file: &[u8]) -> Result<(usize, usize), Fault> {
    let truncated = |end: u64| Fault::Truncated { length: file.len(), end };
    if !MAGIC.starts_with(&file[..file.len().min(MAGIC.len())]) || file.is_empty() {
        return Err(Fault::Magic { zip: file.starts_with(b"PK") });
    }
    let (start, length) = match file.get(6..) {
        Some([1, 0, low, high, ..]) => (10, u64::from(u16::from_le_bytes([*low, *high]))),
        Some([2 | 3, 0, a, b, c, d, ..]) => (12, u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
        Some([1, 0, ..]) => return Err(truncated(10)),
        Some([2 | 3, 0, ..]) => return Err(truncated(12)),
        Some([major, minor, ..]) => return Err(Fault::Version(*major, *minor)),
        _ => return Err(truncated(10)),
    };
    let end = start as u64 + length;
    match usize::try_from(end) {
        Ok(end) if end <= file.len() => Ok((start, end)),
        _ => Err(truncated(end)),
    }
}

/// Reads the file up to the end of the header, beginning at a byte.
struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn header(mut self) -> Result<Header, Fault> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{', "a dictionary")?;
        while !self.take(b'}') {
            self.peek();
            let byte = self.at;
            let key = self.string("a key in quotation marks")?;
            self.expect(b':', "a colon")?;
            let repeated = match key.as_str() {
                "descr" => descr.replace(self.descr()?).is_some(),
                "fortran_order" => fortran_order.replace(self.truth()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                _ => return Err(Fault::Key { byte, key, reason: "besides descr, fortran_order and shape" }),
            };
            if repeated {
                return Err(Fault::Key { byte, key, reason: "twice" });
            }
            if !self.take(b',') && self.peek() != Some(b'}') {
                return Err(self.fault("a comma or the end of the dictionary"));
            }
        }
        if self.peek().is_some() {
            return Err(self.fault("nothing behind the dictionary"));
        }
        let (kind, width, big_endian) = descr.ok_or(Fault::Missing("descr"))?;
        let fortran_order = fortran_order.ok_or(Fault::Missing("fortran_order"))?;
        let shape = shape.ok_or(Fault::Missing("shape"))?;
        Ok(Header { kind, width, big_endian, fortran_order, shape })
    }

    fn fault(&self, expected: &'static str) -> Fault {
        Fault::Header { byte: self.at, expected }
    }

    /// The rest, from the next byte that is no space.
    fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes[self.at..].trim_ascii_start();
        self.at = self.bytes.len() - rest.len();
        rest
    }

    fn peek(&mut self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(self.fault(expected)) }
    }

    /// Text in single or double quotation marks.
    fn string(&mut self, expected: &'static str) -> Result<String, Fault> {
        let [mark @ (b'\'' | b'"'), rest @ ..] = self.rest() else { return Err(self.fault(expected)) };
        let length = rest.iter().position(|byte| byte == mark).ok_or_else(|| self.fault(expected))?;
        self.at += length + 2;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    /// The kind, the width and whether the first byte is the most significant one.
    fn descr(&mut self) -> Result<(Kind, usize, bool), Fault> {
        if self.peek() == Some(b'[') {
            return Err(Fault::Descr("are structures".into()));
        }
        let text = self.string("the type of the elements in quotation marks")?;
        let kind = match text.get(1..) {
            Some("b1") => Some((Kind::Bool, 1)),
            Some("i1") => Some((Kind::Signed, 1)),
            Some("i2") => Some((Kind::Signed, 2)),
            Some("i4") => Some((Kind::Signed, 4)),
            Some("i8") => Some((Kind::Signed, 8)),
            Some("u1") => Some((Kind::Unsigned, 1)),
            Some("u2") => Some((Kind::Unsigned, 2)),
            Some("u4") => Some((Kind::Unsigned, 4)),
            Some("u8") => Some((Kind::Unsigned, 8)),
            Some("f2") => Some((Kind::Float, 2)),
            Some("f4") => Some((Kind::Float, 4)),
            Some("f8") => Some((Kind::Float, 8)),
            _ => None,
        };
        match (text.bytes().next(), kind) {
            // The order of one byte does not matter; more bytes must have one.
            (Some(order @ (b'<' | b'>')), Some((kind, width))) => Ok((kind, width, order == b'>')),
            (Some(b'|' | b'='), Some((kind, 1))) => Ok((kind, 1, false)),
            (Some(b'|'), _) if text.starts_with("|O") => {
                Err(Fault::Descr("are pickled objects (`|O`), which could run any program".into()))
            }
            _ => Err(Fault::Descr(format!("of type `{text}`"))),
        }
    }

    fn truth(&mut self) -> Result<bool, Fault> {
        let rest = self.rest();
        for (word, truth) in [("True", true), ("False", false)] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(truth);
            }
        }
        Err(self.fault("True or False"))
    }

    fn shape(&mut self) -> Result<Shape, Fault> {
        self.expect(b'(', "a tuple of sizes")?;
        let mut shape = Shape::new();
        while !self.take(b')') {
            shape.push(self.size(&shape)?);
            if shape.len() > MAX_RANK {
                return Err(too_many_axes(&shape));
            }
            // A single number in parentheses is no tuple.
            if !self.take(b',') && (shape.len() == 1 || self.peek() != Some(b')')) {
                return Err(self.fault("a comma behind a size"));
            }
        }
        Ok(shape)
    }

    fn size(&mut self, before: &[usize]) -> Result<usize, Fault> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(b"-"));
        let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.fault("a size"));
        }
        let text = str::from_utf8(&rest[..sign + digits]).expect("digits are text");
        let wrong = |reason| {
            let sizes: Vec<_> = before.iter().map(usize::to_string).chain([text.into()]).collect();
            Fault::Shape { shape: format!("({}, ...", sizes.join(", ")), reason }
        };
        if sign > 0 {
            return Err(wrong("a size is negative"));
        }
        let size = text.parse().map_err(|_| wrong("more elements than a machine can hold"))?;
        self.at += digits;
        // Python 2 wrote long integers so.
        self.take(b'L');
        Ok(size)
    }
}

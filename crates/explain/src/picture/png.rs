//! Images of pixels as PNG (ISO/IEC 15948), and as text for a page.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use super::Colour;

/// An image, row by row.
pub(super) struct Raster {
    pub(super) width: usize,
    pub(super) height: usize,
    pixels: Vec<Colour>,
}

impl Raster {
    /// A white image.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![[255; 3]; width * height] }
    }

    /// Fills a rectangle; what is outside of the image is left out.
    pub(super) fn fill(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2], colour: Colour) {
        let right = self.width.min(x + width);
        for row in y..self.height.min(y + height) {
            if x < right {
                self.pixels[row * self.width + x..row * self.width + right].fill(colour);
            }
        }
    }

    /// Draws another image with its corner here.
    pub(super) fn draw(&mut self, [x, y]: [usize; 2], other: &Self) {
        for (row, pixels) in other.pixels.chunks_exact(other.width).enumerate() {
            self.pixels[(y + row) * self.width + x..][..other.width].copy_from_slice(pixels);
        }
    }

    /// Writes a number in letters of 3 x 5 squares, each of 2 x 2 pixels.
    pub(super) fn number(&mut self, [x, y]: [usize; 2], number: &str, colour: Colour) {
        for (i, glyph) in number.chars().map(glyph).enumerate() {
            for square in (0..15).filter(|square| glyph >> (14 - square) & 1 == 1) {
                self.fill([x + 8 * i + 2 * (square % 3), y + 2 * (square / 3)], [2, 2], colour);
            }
        }
    }

    /// The bytes of a PNG file: 8 bits for each of red, green and blue.
    pub(super) fn to_png(&self) -> Vec<u8> {
        let mut header = Vec::new();
        for size in [self.width, self.height] {
            header.extend(u32::try_from(size).expect("an image of fewer pixels").to_be_bytes());
        }
        header.extend([8, 2, 0, 0, 0]);
        let mut data = ZlibEncoder::new(Vec::new(), Compression::default());
        for row in self.pixels.chunks_exact(self.width) {
            // Each row begins with its filter: none.
            let bytes = [&[0], row.as_flattened()].concat();
            data.write_all(&bytes).expect("memory can be written");
        }
        let data = data.finish().expect("memory can be written");
        let parts: [([u8; 4], &[u8]); 3] = [(*b"IHDR", &header), (*b"IDAT", &data), (*b"IEND", &[])];
        let chunks = parts.map(|(name, data)| chunk(name, data)).concat();
        [&b"\x89PNG\r\n\x1a\n"[..], &chunks].concat()
    }

    /// The address of an image that a page holds itself.
    pub(super) fn to_url(&self) -> String {
        format!("data:image/png;base64,{}", base64(&self.to_png()))
    }
}

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut check = Crc::new();
    check.update(&name);
    check.update(data);
    let length = u32::try_from(data.len()).expect("an image of fewer bytes");
    [&length.to_be_bytes()[..], &name, data, &check.sum().to_be_bytes()].concat()
}

/// Three bytes as four letters (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= three.len() { letter.into() } else { '=' });
        }
    }
    text
}

/// The squares of a letter that occurs in numbers, row by row from the highest of 15 bits.
fn glyph(letter: char) -> u16 {
    match letter {
        '0' => 0b111_101_101_101_111,
        '1' => 0b010_110_010_010_111,
        '2' => 0b111_001_111_100_111,
        '3' => 0b111_001_111_001_111,
        '4' => 0b101_101_111_001_001,
        '5' => 0b111_100_111_001_111,
        '6' => 0b111_100_111_101_111,
        '7' => 0b111_001_010_010_010,
        '8' => 0b111_101_111_101_111,
        '9' => 0b111_101_111_001_111,
        '-' => 0b000_000_111_000_000,
        '.' => 0b000_000_000_000_010,
        'e' => 0b000_111_111_100_111,
        _ => 0,
    }
}

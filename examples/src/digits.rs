//! The handwritten digits in `data/digits.csv.gz`; see `data/README.md` for where they come from.

use gradus::Tensor;
use gradus::data::read::{ReadError, csv::Format};

/// The number of pixels along one side of an image.
pub const SIDE: usize = 8;
/// The number of pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// The number of classes: the digits 0 to 9.
pub const CLASSES: usize = 10;

/// Images of digits, and which digits they are.
#[derive(Debug, Clone)]
pub struct Digits {
    /// `[digits, 64]`: the pixels row by row, from 0 for paper to 1 for ink.
    pub images: Tensor,
    /// `[digits]`: 0 to 9.
    pub labels: Tensor<i64>,
}

impl Digits {
    /// The 1,797 digits that come with the examples.
    ///
    /// # Errors
    /// If somebody has changed the file.
    pub fn load() -> Result<Self, ReadError> {
        let table = Format::new().no_header().from_bytes(include_bytes!("../data/digits.csv.gz"))?;
        let (pixels, label) = table.names().split_at(PIXELS);
        let images = table.numbers::<f32>(pixels)? / 16.0;
        Ok(Self { images, labels: table.labels(&label[0], CLASSES)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_that_come_with_the_examples() -> Result<(), ReadError> {
        let digits = Digits::load()?;
        assert_eq!((digits.images.shape(), digits.labels.shape()), (&[1797, 64][..], &[1797][..]));
        assert_eq!((digits.images.min(..).item(), digits.images.max(..).item()), (0.0, 1.0));
        // Two lines of the source, counted from its end.
        assert_eq!(digits.labels.slice(0, -2..), Tensor::from([9, 8]));
        Ok(())
    }
}

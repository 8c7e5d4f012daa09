//! Bars for features.

use std::fmt::Write as _;
use std::path::Path;

use super::{FAINT, INK, css, diverging, page, rectangle, short, text, write};
use crate::error::Result;

const ROW: f64 = 26.0;
const TOP: f64 = 64.0;
/// The length of all bars together.
const LENGTH: f64 = 420.0;
/// The room for the number at the end of a bar.
const NUMBER: f64 = 76.0;

/// One bar for each feature, the longest first: red to the right for positive numbers, blue to the left for negative ones.
///
/// ```
/// use gradus_explain::Bars;
///
/// let bars = Bars::new("Why a penguin is a Gentoo", &["flipper", "bill", "mass"], &[0.8, -0.3, 0.1]);
/// assert_eq!(bars.to_svg().matches("<rect").count(), 1 + 3);
/// assert!(bars.most(2).to_svg().contains("1 other"));
/// ```
#[derive(Debug, Clone)]
pub struct Bars {
    title: String,
    bars: Vec<(String, f64)>,
}

impl Bars {
    /// A bar for each name and number.
    ///
    /// # Panics
    /// If there are not as many numbers as names.
    #[track_caller]
    pub fn new(title: impl Into<String>, names: &[impl AsRef<str>], numbers: &[f64]) -> Self {
        assert!(
            names.len() == numbers.len(),
            "Bars: there are {} names and {} numbers: there must be one for each",
            names.len(),
            numbers.len()
        );
        let mut bars: Vec<(String, f64)> =
            names.iter().map(|name| name.as_ref().into()).zip(numbers.iter().copied()).collect();
        bars.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        Self { title: title.into(), bars }
    }

    /// Keeps this number of the longest bars, and adds the others up in one.
    #[must_use]
    pub fn most(mut self, count: usize) -> Self {
        if self.bars.len() > count {
            let others = self.bars.split_off(count);
            let sum = others.iter().map(|(_, number)| number).sum();
            let plural = if others.len() == 1 { "" } else { "s" };
            self.bars.push((format!("{} other{plural}", others.len()), sum));
        }
        self
    }

    /// The picture as SVG.
    pub fn to_svg(&self) -> String {
        let finite = || self.bars.iter().map(|(_, number)| *number).filter(|number| number.is_finite());
        let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
        let scale = if high > low { LENGTH / (high - low) } else { 0.0 };
        let letters = self.bars.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let left = 32.0 + 7.5 * letters as f64 + NUMBER;
        let zero = left - low * scale;
        let limit = high.max(-low);
        let mut body = String::new();
        for (i, (name, number)) in self.bars.iter().enumerate() {
            let y = TOP + i as f64 * ROW;
            body += &text(left - NUMBER, y + 17.0, 14, "end", INK, name);
            let length = if number.is_finite() { number * scale } else { 0.0 };
            // Not so pale that a short bar cannot be seen.
            let colour =
                diverging((0.6 + 0.4 * number.abs() / limit.max(f64::MIN_POSITIVE)).copysign(*number));
            body += &rectangle(zero.min(zero + length), y + 3.0, length.abs(), ROW - 6.0, &css(colour));
            let (x, anchor) =
                if length < 0.0 { (zero + length - 6.0, "end") } else { (zero + length + 6.0, "start") };
            body += &text(x, y + 17.0, 12, anchor, FAINT, &short(*number));
        }
        let bottom = TOP + self.bars.len() as f64 * ROW;
        let axis = format!("M{zero:.1} {TOP}V{bottom:.1}");
        // Writing to a string does not fail.
        let _ = writeln!(body, "<path d=\"{axis}\" stroke=\"{FAINT}\" stroke-width=\"1\"/>");
        let wide = 48.0 + 10.5 * self.title.chars().count() as f64;
        page((left + LENGTH + NUMBER + 8.0).max(wide), bottom + 24.0, &self.title, body)
    }

    /// Writes the picture to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path.as_ref(), self.to_svg().as_bytes())
    }
}

//! Pictures of explanations: heat maps, bars and coloured words.

mod bars;
mod heat_map;
mod png;
mod words;

use std::fmt::Display;
use std::path::Path;

use gradus_autograd::file;
use gradus_autograd::xml::Escaped;

pub use bars::Bars;
pub use heat_map::{HeatMaps, Panel};
pub use words::Words;

use crate::error::{ExplainError, Result};

const INK: &str = "#333333";
const FAINT: &str = "#6e6e6e";

/// Red, green and blue.
type Colour = [u8; 3];

/// From blue over white to red (Brewer, "`RdBu`", 2003), which colour-blind readers tell apart.
const DIVERGING: [Colour; 9] = [
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
];

/// The colour of a number from -1 (blue) over 0 (white) to 1 (red).
fn diverging(number: f64) -> Colour {
    let place = f64::midpoint(number.clamp(-1.0, 1.0), 1.0) * (DIVERGING.len() - 1) as f64;
    let first = (place as usize).min(DIVERGING.len() - 2);
    mixed(DIVERGING[first], DIVERGING[first + 1], place - first as f64)
}

/// The first colour, and from it a part of the way to the second.
fn mixed(from: Colour, to: Colour, part: f64) -> Colour {
    std::array::from_fn(|i| {
        (f64::from(from[i]) + part * (f64::from(to[i]) - f64::from(from[i]))).round() as u8
    })
}

fn css([red, green, blue]: Colour) -> String {
    format!("rgb({red},{green},{blue})")
}

/// A number with three digits.
fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".into(),
        size @ 1e-3..1e5 => format!("{number:.*}", (2 - size.log10().floor() as i32).max(0) as usize),
        _ => format!("{number:.2e}"),
    }
}

fn text(x: f64, y: f64, size: u32, anchor: &str, colour: &str, text: &str) -> String {
    let style =
        format!("font-family=\"sans-serif\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\"");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{}</text>\n", Escaped(text))
}

fn rectangle(x: f64, y: f64, width: f64, height: f64, fill: &str) -> String {
    format!("<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>\n")
}

/// An SVG of this size with a title.
fn page(width: f64, height: f64, title: &str, body: impl Display) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}{body}</svg>\n",
        text(24.0, 36.0, 20, "start", INK, title)
    )
}

/// Replaces a file at once.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    file::replace(path, bytes).map_err(|source| ExplainError::Io { path: path.into(), source })
}

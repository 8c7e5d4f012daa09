//! Points in squares side by side.

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use gradus::Tensor;

use super::{INK, page, text};

/// The side of a panel, and the space around it, in pixels.
const PANEL: f64 = 220.0;
const GAP: f64 = 20.0;
/// The space above the first panel, for the two lines of the title.
const HEAD: f64 = 84.0;
/// The space above each panel, for its label.
const LABEL: f64 = 22.0;

/// Panels of points side by side, each a square around the origin.
///
/// ```
/// use gradus::Tensor;
/// use gradus_examples::picture::{Panel, Scatter};
///
/// let panel = Panel { label: "step 0".into(), far: Tensor::zeros([3, 2]), near: Tensor::ones([2, 2]) };
/// let picture = Scatter { title: "Points", subtitle: "3 and 2", reach: 2.0, columns: 4, panels: &[panel] };
/// assert_eq!(picture.to_svg().matches("<circle").count(), 5);
/// ```
#[derive(Debug, Clone)]
pub struct Scatter<'a> {
    /// The statement of the picture.
    pub title: &'a str,
    /// A second line below the title.
    pub subtitle: &'a str,
    /// The largest coordinate that a panel shows.
    pub reach: f32,
    /// The number of panels in a row.
    pub columns: usize,
    /// The panels, row by row.
    pub panels: &'a [Panel],
}

/// One square of points. Those that it does not reach are left out.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The line above it.
    pub label: String,
    /// Grey points in the background, `[n, 2]`.
    pub far: Tensor,
    /// Blue points in the foreground, `[n, 2]`.
    pub near: Tensor,
}

impl Scatter<'_> {
    /// The picture as SVG.
    pub fn to_svg(&self) -> String {
        let columns = self.columns.min(self.panels.len()).max(1);
        let rows = self.panels.len().div_ceil(columns);
        let width = GAP + columns as f64 * (PANEL + GAP);
        let height = HEAD + rows as f64 * (LABEL + PANEL + GAP);
        let mut svg = String::new();
        for (i, panel) in self.panels.iter().enumerate() {
            let left = GAP + (i % columns) as f64 * (PANEL + GAP);
            let top = HEAD + (i / columns) as f64 * (LABEL + PANEL + GAP) + LABEL;
            svg += &text(left, top - 7.0, 15, "start", INK, &panel.label);
            let frame = "fill=\"none\" stroke=\"#bbbbbb\"";
            let _ = writeln!(
                svg,
                "<rect x=\"{left}\" y=\"{top}\" width=\"{PANEL}\" height=\"{PANEL}\" {frame}/>"
            );
            self.points(&mut svg, [left, top], &panel.far, "#bdbdbd");
            self.points(&mut svg, [left, top], &panel.near, "#0072b2");
        }
        page((width, height), self.title, self.subtitle, &svg)
    }

    /// Writes the picture to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        fs::write(path, self.to_svg())
    }

    fn points(&self, svg: &mut String, [left, top]: [f64; 2], points: &Tensor, colour: &str) {
        let _ = writeln!(svg, "<g fill=\"{colour}\" fill-opacity=\"0.7\">");
        for point in points.to_vec2() {
            if point.iter().all(|coordinate| coordinate.abs() < self.reach) {
                let place = |coordinate: f32| f64::from(coordinate / self.reach + 1.0) * PANEL / 2.0;
                let (x, y) = (left + place(point[0]), top + place(-point[1]));
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.4\"/>");
            }
        }
        *svg += "</g>\n";
    }
}

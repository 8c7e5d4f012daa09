//! Charts, written as SVG.

use std::path::Path;

use gradus_autograd::file;
use plotters::prelude::*;

use crate::error::TrainError;

/// Lines are drawn between whole units: at half this size, in which the chart is shown, they look smooth.
const SIZE: (u32, u32) = (1600, 920);

const INK: RGBColor = RGBColor(51, 51, 51);
const FAINT: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(228, 228, 228);
/// Blue, vermilion, green and purple that colour-blind readers tell apart (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// Lines over one axis, such as the losses of a run by epoch.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::train::{Chart, Scale};
///
/// let chart = Chart {
///     title: "Learning",
///     subtitle: "two lines",
///     x: "epoch",
///     y: "loss",
///     scale: Scale::Logarithmic,
///     lines: &[("training", vec![(1.0, 0.5), (2.0, 0.05)]), ("test", vec![(1.0, 0.6), (2.0, 0.1)])],
/// };
/// assert!(chart.to_svg()?.starts_with("<svg"));
/// # Ok::<(), gradus::train::TrainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// The statement of the chart.
    pub title: &'a str,
    /// A second line below the title.
    pub subtitle: &'a str,
    /// The quantity from left to right.
    pub x: &'a str,
    /// The quantity from bottom to top.
    pub y: &'a str,
    /// The scale from bottom to top.
    pub scale: Scale,
    /// The lines: a name for the legend, which is in the emptiest corner if there are several lines, and points (x, y).
    /// Points that the scale does not have, such as NaN, are left out.
    pub lines: &'a [(&'a str, Vec<(f64, f64)>)],
}

/// The scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances for equal differences.
    Linear,
    /// Equal distances for equal ratios, of positive numbers.
    Logarithmic,
}

impl Chart<'_> {
    /// Writes the chart to a file, which is replaced at once.
    ///
    /// # Errors
    /// As [`to_svg`](Self::to_svg), and if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TrainError> {
        let path = path.as_ref();
        file::replace(path, self.to_svg()?.as_bytes()).map_err(TrainError::io("write", path))
    }

    /// The chart as SVG.
    ///
    /// # Errors
    /// If no point is left to draw.
    pub fn to_svg(&self) -> Result<String, TrainError> {
        let place = |&(x, y): &(f64, f64)| match self.scale {
            Scale::Linear => (x, y),
            Scale::Logarithmic => (x, y.log10()),
        };
        let finite = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
        let lines: Vec<(&str, Vec<(f64, f64)>)> = self
            .lines
            .iter()
            .map(|(name, points)| (*name, points.iter().map(place).filter(finite).collect()))
            .collect();
        if lines.iter().all(|(_, points)| points.is_empty()) {
            return Err(TrainError::Chart("there are no points that its scale has".into()));
        }
        self.draw(&lines).map_err(|error| TrainError::Chart(error.to_string()))
    }

    /// The chart of points at their places on the scale.
    fn draw(&self, lines: &[(&str, Vec<(f64, f64)>)]) -> Result<String, Box<dyn std::error::Error>> {
        let bounds = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
        };
        let points = || lines.iter().flat_map(|(_, points)| points);
        let (left, right) = bounds(&mut points().map(|&(x, _)| x));
        let (low, high) = bounds(&mut points().map(|&(_, y)| y));
        let logarithmic = self.scale == Scale::Logarithmic;
        let (low, high) = if logarithmic {
            // The scale needs two powers of ten to be read.
            match (low - 0.1, high + 0.1) {
                (low, high) if high.floor() > low.ceil() => (low, high),
                (low, high) => (low.floor(), high.ceil()),
            }
        } else {
            let margin = if high > low { (high - low) * 0.05 } else { low.abs().max(1.0) * 0.05 };
            (low - margin, high + margin)
        };
        let y_labels = if logarithmic { (high.floor() - low.ceil()) as usize + 1 } else { 8 };
        let y_label = |y: &f64| match self.scale {
            Scale::Linear => format!("{}", (y * 1e9).round() / 1e9),
            Scale::Logarithmic => format!("{:.*}", (-y).max(0.0) as usize, 10_f64.powf(*y)),
        };

        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let text = |size: u32, colour: RGBColor| ("sans-serif", size).into_font().color(&colour);
        area.fill(&WHITE)?;
        area.draw_text(self.title, &text(48, INK), (48, 36))?;
        area.draw_text(self.subtitle, &text(32, FAINT), (48, 100))?;
        let mut chart = ChartBuilder::on(&area)
            .margin(48)
            .margin_top(168)
            .set_label_area_size(LabelAreaPosition::Left, 128)
            .set_label_area_size(LabelAreaPosition::Bottom, 96)
            .build_cartesian_2d(left..right.max(left + 1.0), low..high)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.stroke_width(2))
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT.stroke_width(2))
            .set_all_tick_mark_size(10)
            .label_style(text(30, INK))
            .axis_desc_style(text(32, INK))
            .x_desc(self.x)
            .x_label_formatter(&f64::to_string)
            .y_desc(self.y)
            .y_labels(y_labels)
            .y_label_formatter(&y_label)
            .draw()?;
        for ((name, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(5);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 48, y)], style));
        }
        // A single line is named by the title.
        if lines.len() > 1 {
            chart
                .configure_series_labels()
                .position(emptiest_corner(lines, [left, right], [low, high]))
                .legend_area_size(64)
                .margin(32)
                .label_font(text(32, INK))
                .draw()?;
        }
        drop(chart);
        drop(area);
        let (width, height) = SIZE;
        let size = |width, height| format!("width=\"{width}\" height=\"{height}\"");
        Ok(svg.replacen(&size(width, height), &size(width / 2, height / 2), 1))
    }
}

/// The corner that the fewest parts of the lines pass through, for the legend.
fn emptiest_corner(
    lines: &[(&str, Vec<(f64, f64)>)],
    [left, right]: [f64; 2],
    [low, high]: [f64; 2],
) -> SeriesLabelPosition {
    const PARTS: u32 = 16;
    let passing = |from_right: bool, from_top: bool| {
        let pairs = lines.iter().flat_map(|(_, points)| points.windows(2));
        let places = pairs.flat_map(|pair| {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            (0..=PARTS).map(move |i| {
                let part = f64::from(i) / f64::from(PARTS);
                (x0 + part * (x1 - x0), y0 + part * (y1 - y0))
            })
        });
        let is_inside = |&(x, y): &(f64, f64)| {
            let (x, y) = ((x - left) / (right - left), (y - low) / (high - low));
            (if from_right { 1.0 - x } else { x }) < 0.4 && (if from_top { 1.0 - y } else { y }) < 0.3
        };
        places.filter(is_inside).count()
    };
    let corners = [
        (SeriesLabelPosition::UpperRight, [true, true]),
        (SeriesLabelPosition::UpperLeft, [false, true]),
        (SeriesLabelPosition::LowerRight, [true, false]),
        (SeriesLabelPosition::LowerLeft, [false, false]),
    ];
    let best = corners.into_iter().min_by_key(|(_, [right, top])| passing(*right, *top));
    best.map_or(SeriesLabelPosition::UpperRight, |(corner, _)| corner)
}

//! Charts, written as SVG.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use plotters::prelude::*;

/// Where charts go, below the root of the repository.
const FOLDER: &str = "out";

/// Lines are drawn between whole units: at half this size, in which the chart is shown, they look smooth.
const SIZE: (u32, u32) = (1600, 920);

const INK: RGBColor = RGBColor(51, 51, 51);
const FAINT: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(228, 228, 228);
/// Blue, vermilion, green and purple that colour-blind readers tell apart (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// Lines over one axis, such as the losses of a run by epoch, on a logarithmic scale.
#[derive(Debug)]
pub struct Chart<'a> {
    /// What the chart says.
    pub title: &'a str,
    /// What else there is to say.
    pub subtitle: &'a str,
    /// What runs from left to right.
    pub x: &'a str,
    /// What runs from bottom to top.
    pub y: &'a str,
    /// The lines: a name for the legend, and points (x, y).
    pub lines: &'a [(&'a str, Vec<(f64, f64)>)],
}

impl Chart<'_> {
    /// Writes the chart to `out/` and returns its path, relative to the root of the repository.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, file: &str) -> Result<PathBuf, Box<dyn Error>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::create_dir_all(root.join(FOLDER))?;
        let path = Path::new(FOLDER).join(file);
        fs::write(root.join(&path), self.svg()?)?;
        Ok(path)
    }

    fn svg(&self) -> Result<String, Box<dyn Error>> {
        let bounds = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
        };
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let (left, right) = bounds(&mut points().map(|&(x, _)| x));
        let (low, high) = bounds(&mut points().map(|&(_, y)| y.log10()));
        if ![left, right, low, high].iter().all(|bound| bound.is_finite()) {
            return Err("a chart needs points, and its logarithmic scale positive numbers".into());
        }
        // The scale needs two powers of ten to be read.
        let (low, high) = match (low - 0.1, high + 0.1) {
            (low, high) if high.floor() > low.ceil() => (low, high),
            (low, high) => (low.floor(), high.ceil()),
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
            .y_labels((high.floor() - low.ceil()) as usize + 1)
            .y_label_formatter(&|power| format!("{:.*}", (-power).max(0.0) as usize, 10_f64.powf(*power)))
            .draw()?;
        for ((name, points), colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(5);
            chart
                .draw_series(LineSeries::new(points.iter().map(|&(x, y)| (x, y.log10())), style))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 48, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .legend_area_size(64)
            .margin(32)
            .label_font(text(32, INK))
            .draw()?;
        drop(chart);
        drop(area);
        let (width, height) = SIZE;
        let size = |width, height| format!("width=\"{width}\" height=\"{height}\"");
        Ok(svg.replacen(&size(width, height), &size(width / 2, height / 2), 1))
    }
}

//! Heat maps over images.

use std::fmt::Write as _;
use std::path::Path;

use gradus_autograd::{Float, Number, Tensor};

use super::png::Raster;
use super::{FAINT, INK, diverging, mixed, page, short, text, write};
use crate::error::{ExplainError, Result};

/// The size of the longer side of a panel.
const SIDE: usize = 176;
const GAP: usize = 20;
/// The height of the title and the number of a panel.
const CAPTION: usize = 44;
const TOP: usize = 56;
const LEGEND: usize = 56;

/// Heat maps side by side, each over its image if it has one: red speaks for the class, blue against it.
///
/// Each map has a scale of its own, from minus its largest magnitude to plus that, which stands beneath it: the units of
/// methods differ.
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_explain::{HeatMaps, Panel};
///
/// let image = Tensor::from([[0.0, 1.0], [1.0, 0.0]]);
/// let values = Tensor::from([[0.5, -2.0], [0.0, 1.0]]);
/// let maps = HeatMaps::new("Two methods")
///     .columns(3)
///     .panel(Panel::image("the image", &image)?)
///     .panel(Panel::map("saliency", &values.abs())?)
///     .panel(Panel::map("gradient", &values)?.over(&image)?);
/// assert!(maps.to_svg().contains("data:image/png;base64,"));
/// assert!(maps.to_png().starts_with(b"\x89PNG"));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HeatMaps {
    title: String,
    columns: usize,
    panels: Vec<Panel>,
}

/// An image, a heat map, or both.
#[derive(Debug, Clone)]
pub struct Panel {
    title: String,
    height: usize,
    width: usize,
    values: Option<Vec<f64>>,
    /// Colours from 0 to 1.
    image: Option<Vec<[f64; 3]>>,
    is_ink: bool,
}

/// The planes of numbers of `[height, width]` or `[channels, height, width]`.
type Planes = (usize, usize, Vec<Vec<f64>>);

fn planes<T: Float>(picture: &'static str, numbers: &Tensor<T>) -> Result<Planes> {
    let (height, width) = match *numbers.shape() {
        [height, width] | [_, height, width] if !numbers.is_empty() => (height, width),
        _ => {
            let expected = "[height, width] or [channels, height, width], and not empty";
            return Err(ExplainError::Picture { picture, shape: numbers.shape().to_vec(), expected });
        }
    };
    let all: Vec<f64> = numbers.iter().map(Number::to_f64).collect();
    Ok((height, width, all.chunks_exact(height * width).map(<[f64]>::to_vec).collect()))
}

impl Panel {
    /// A heat map: values `[height, width]`, or `[channels, height, width]`, whose channels are added up.
    ///
    /// # Errors
    /// If the values have another shape.
    pub fn map<T: Float>(title: impl Into<String>, values: &Tensor<T>) -> Result<Self> {
        let (height, width, planes) = planes("a heat map is", values)?;
        let sum = |i: usize| planes.iter().map(|plane| plane[i]).sum();
        let values = Some((0..height * width).map(sum).collect());
        Ok(Self { title: title.into(), height, width, values, image: None, is_ink: false })
    }

    /// An image: `[height, width]`, `[1, height, width]` or, in colours, `[3, height, width]`, of which the least number is drawn
    /// black and the largest white.
    ///
    /// # Errors
    /// If the image has another shape.
    pub fn image<T: Float>(title: impl Into<String>, image: &Tensor<T>) -> Result<Self> {
        let (height, width, planes) = planes("an image is", image)?;
        let panel = Self { title: title.into(), height, width, values: None, image: None, is_ink: false };
        panel.with_image(image.shape(), &planes)
    }

    /// The map over an image of the same height and width; see [`image`](Self::image).
    ///
    /// # Errors
    /// If the image has another shape.
    pub fn over<T: Float>(self, image: &Tensor<T>) -> Result<Self> {
        let (height, width, planes) = planes("the image under a heat map is", image)?;
        if [height, width] != [self.height, self.width] {
            let (picture, shape) = ("the image under a heat map is", image.shape().to_vec());
            return Err(ExplainError::Picture {
                picture,
                shape,
                expected: "as high and wide as the map (`resize` it)",
            });
        }
        self.with_image(image.shape(), &planes)
    }

    /// Draws the largest numbers of the image dark, as ink on paper.
    #[must_use]
    pub fn ink(mut self) -> Self {
        self.is_ink = true;
        self
    }

    fn with_image(mut self, shape: &[usize], planes: &[Vec<f64>]) -> Result<Self> {
        if ![1, 3].contains(&planes.len()) {
            let expected = "[height, width], [1, height, width] or [3, height, width]";
            return Err(ExplainError::Picture { picture: "an image is", shape: shape.to_vec(), expected });
        }
        let all = || planes.iter().flatten().filter(|number| number.is_finite());
        let low = all().copied().fold(f64::INFINITY, f64::min);
        let range = all().copied().fold(f64::NEG_INFINITY, f64::max) - low;
        let level = |number: f64| if range > 0.0 { ((number - low) / range).clamp(0.0, 1.0) } else { 1.0 };
        let pixel = |i: usize| std::array::from_fn(|channel| level(planes[channel % planes.len()][i]));
        self.image = Some((0..self.height * self.width).map(pixel).collect());
        Ok(self)
    }

    /// The largest magnitude of the map.
    fn limit(&self) -> f64 {
        let sizes = self.values.iter().flatten().map(|value| value.abs()).filter(|size| size.is_finite());
        sizes.fold(0.0, f64::max)
    }

    fn raster(&self) -> Raster {
        let cell = (SIDE / self.height.max(self.width)).max(1);
        let mut raster = Raster::new(self.width * cell, self.height * cell);
        let limit = self.limit();
        for i in 0..self.height * self.width {
            let value = self.values.as_ref().map(|values| if limit > 0.0 { values[i] / limit } else { 0.0 });
            let image = self.image.as_ref().map(|image| {
                image[i].map(|level| (255.0 * if self.is_ink { 1.0 - level } else { level }).round() as u8)
            });
            let colour = match (value, image) {
                (Some(value), _) if value.is_nan() => [255, 0, 255],
                // The image shines through pale where the map says nothing.
                (Some(value), Some(image)) => mixed(
                    mixed(image, [255; 3], 0.5),
                    diverging(value.signum()),
                    value.abs().min(1.0).sqrt() * 0.9,
                ),
                (Some(value), None) => diverging(value),
                (None, image) => image.unwrap_or([255; 3]),
            };
            raster.fill([i % self.width * cell, i / self.width * cell], [cell; 2], colour);
        }
        raster
    }
}

/// The corner of a panel, and the panel, drawn.
type Placed<'a> = ([usize; 2], &'a Panel, Raster);

impl HeatMaps {
    /// No panels yet, in rows of four.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), columns: 4, panels: Vec::new() }
    }

    /// Sets the number of panels in a row.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn columns(mut self, columns: usize) -> Self {
        assert!(columns > 0, "columns: there must be a panel in a row");
        self.columns = columns;
        self
    }

    /// Adds a panel.
    #[must_use]
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// The size of the picture, and each panel drawn, with its corner.
    fn layout(&self) -> ([usize; 2], Vec<Placed<'_>>) {
        let rasters: Vec<Raster> = self.panels.iter().map(Panel::raster).collect();
        let side = |size: fn(&Raster) -> usize| rasters.iter().map(size).max().unwrap_or(SIDE).max(SIDE);
        let (wide, high) = (side(|raster| raster.width) + GAP, side(|raster| raster.height) + CAPTION + GAP);
        let columns = self.columns.min(self.panels.len()).max(2);
        let size = [GAP + columns * wide, TOP + self.panels.len().div_ceil(self.columns) * high + LEGEND];
        let corner = |i: usize| [GAP + i % self.columns * wide, TOP + i / self.columns * high];
        let placed = rasters.into_iter().zip(&self.panels).enumerate();
        (size, placed.map(|(i, (raster, panel))| (corner(i), panel, raster)).collect())
    }

    /// The colours from -1 to 1, from left to right.
    fn bar(width: usize) -> Raster {
        let mut bar = Raster::new(width, 12);
        for x in 0..width {
            bar.fill([x, 0], [1, 12], diverging(2.0 * x as f64 / (width - 1) as f64 - 1.0));
        }
        bar
    }

    /// The picture as SVG, which holds the pixels itself.
    pub fn to_svg(&self) -> String {
        let ([width, height], panels) = self.layout();
        let mut body = String::new();
        let mut image = |[x, y]: [usize; 2], raster: &Raster| {
            let size = format!("width=\"{}\" height=\"{}\"", raster.width, raster.height);
            // Writing to a string does not fail.
            let _ = writeln!(body, "<image x=\"{x}\" y=\"{y}\" {size} href=\"{}\"/>", raster.to_url());
        };
        let bar = Self::bar(2 * SIDE - 40);
        let y = height - LEGEND + 8;
        image([GAP, y], &bar);
        for ([x, y], _, raster) in &panels {
            image([*x, y + 24], raster);
        }
        for ([x, y], panel, raster) in &panels {
            let (x, y) = (*x as f64, *y as f64);
            body += &text(x, y + 16.0, 14, "start", INK, &panel.title);
            if panel.values.is_some() {
                let limit = format!("\u{b1} {}", short(panel.limit()));
                body += &text(x, y + 24.0 + raster.height as f64 + 15.0, 12, "start", FAINT, &limit);
            }
        }
        let (left, right, y) = (GAP as f64, (GAP + bar.width) as f64, y as f64 + 28.0);
        for (x, anchor, words) in [
            (left, "start", "against"),
            (f64::midpoint(left, right), "middle", "0"),
            (right, "end", "for the class"),
        ] {
            body += &text(x, y, 12, anchor, FAINT, words);
        }
        page(width as f64, height as f64, &self.title, body)
    }

    /// The picture as a PNG file: without titles, with the scale of each map in numbers.
    pub fn to_png(&self) -> Vec<u8> {
        let ([width, height], panels) = self.layout();
        let mut picture = Raster::new(width, height);
        let grey = [110; 3];
        for ([x, y], panel, raster) in &panels {
            picture.draw([*x, y + 24], raster);
            if panel.values.is_some() {
                picture.number([*x, y + 30 + raster.height], &short(panel.limit()), grey);
            }
        }
        let bar = Self::bar(2 * SIDE - 40);
        let y = height - LEGEND + 8;
        picture.draw([GAP, y], &bar);
        for (place, number) in [(GAP, "-1"), (GAP + bar.width / 2 - 3, "0"), (GAP + bar.width - 6, "1")] {
            picture.number([place, y + 18], number, grey);
        }
        picture.to_png()
    }

    /// Writes the picture to a file: as PNG if its name ends in `.png`, or else as SVG.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("png")) {
            write(path, &self.to_png())
        } else {
            write(path, self.to_svg().as_bytes())
        }
    }
}

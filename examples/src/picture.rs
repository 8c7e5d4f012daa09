//! Pictures as SVG: points and lines over two axes, and rows of small images.

use std::path::Path;
use std::{fs, io};

use gradus::Tensor;

const INK: &str = "#333333";
const FAINT: &str = "#6e6e6e";
const GRID: &str = "#e4e4e4";
const FONT: &str = "font-family=\"sans-serif\"";
/// Blue, vermilion, green and purple that colour-blind readers tell apart (Okabe and Ito, 2008).
const FEW: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/// Colours for up to ten groups, on the lines of Paul Tol's "muted" scheme (SRON/EPS/TN/09-002, 2021).
const MANY: [&str; 10] = [
    "#332288", "#d55e00", "#117733", "#882255", "#44aa99", "#ddaa33", "#cc6677", "#0072b2", "#aa4499",
    "#777777",
];
/// Grey levels of images.
const LEVELS: usize = 16;

/// Points and lines over two axes.
#[derive(Debug, Clone)]
pub struct Plot<'a> {
    /// The statement of the picture.
    pub title: &'a str,
    /// A second line below the title.
    pub subtitle: &'a str,
    /// The quantity from left to right.
    pub x: &'a str,
    /// The quantity from bottom to top.
    pub y: &'a str,
    /// Groups of points (x, y), with a name for the legend. A group whose name is one character is drawn with it.
    pub points: &'a [(&'a str, Vec<(f64, f64)>)],
    /// Lines through points (x, y), with a name for the legend.
    pub lines: &'a [(&'a str, Vec<(f64, f64)>)],
}

/// The frame of the axes in a picture of `SIZE`.
const SIZE: (f64, f64) = (800.0, 560.0);
const LEFT: f64 = 84.0;
const TOP: f64 = 84.0;
/// Right of this is the legend, if there is one.
const LEGEND: f64 = 640.0;
const BOTTOM: f64 = 496.0;

impl Plot<'_> {
    /// Writes the picture to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        fs::write(path, self.to_svg())
    }

    /// The picture as SVG.
    pub fn to_svg(&self) -> String {
        let has_legend =
            !self.lines.is_empty() || self.points.iter().any(|(name, _)| name.chars().count() > 1);
        let right = if has_legend { LEGEND } else { SIZE.0 - 24.0 };
        let all = || self.points.iter().chain(self.lines).flat_map(|(_, points)| points);
        let (x_range, y_range) = (range(all().map(|p| p.0)), range(all().map(|p| p.1)));
        let place_x = |x: f64| LEFT + (x - x_range.0) / (x_range.1 - x_range.0) * (right - LEFT);
        let place_y = |y: f64| BOTTOM - (y - y_range.0) / (y_range.1 - y_range.0) * (BOTTOM - TOP);
        let mut body = String::new();
        for y in ticks(y_range) {
            let at = place_y(y);
            body += &path(&format!("M{LEFT} {at:.1}H{right}"), &stroke(GRID, 1.0));
            body += &text(LEFT - 8.0, at + 5.0, 14, "end", INK, &tidy(y));
        }
        for x in ticks(x_range) {
            body += &text(place_x(x), BOTTOM + 20.0, 14, "middle", INK, &tidy(x));
        }
        body += &path(&format!("M{LEFT} {TOP}V{BOTTOM}H{right}"), &stroke(FAINT, 1.0));
        body += &text(f64::midpoint(LEFT, right), BOTTOM + 46.0, 16, "middle", INK, self.x);
        let middle = f64::midpoint(TOP, BOTTOM);
        let y_name = text(26.0, middle, 16, "middle", INK, self.y);
        body += &group(&format!("rotate(-90 26 {middle})"), &y_name);

        let colours: &[&str] = if self.points.len() + self.lines.len() <= FEW.len() { &FEW } else { &MANY };
        let mut colours = colours.iter().cycle();
        let mut legend = TOP + 12.0;
        for ((name, points), colour) in self.points.iter().zip(&mut colours) {
            let mark = |x: f64, y: f64| match name.chars().count() {
                1 => text(x, y + 4.0, 12, "middle", colour, name),
                _ => format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\" fill=\"{colour}\" fill-opacity=\"0.6\"/>\n"
                ),
            };
            body.extend(points.iter().map(|&(x, y)| mark(place_x(x), place_y(y))));
            if name.chars().count() > 1 {
                body += &mark(LEGEND + 28.0, legend - 5.0);
                body += &text(LEGEND + 44.0, legend, 15, "start", INK, name);
                legend += 24.0;
            }
        }
        for ((name, points), colour) in self.lines.iter().zip(&mut colours) {
            let place = |&(x, y): &(f64, f64)| format!("{:.1} {:.1}", place_x(x), place_y(y));
            let places: Vec<String> = points.iter().map(place).collect();
            body += &path(&format!("M{}", places.join("L")), &stroke(colour, 2.5));
            body += &path(&format!("M{} {}h24", LEGEND + 16.0, legend - 5.0), &stroke(colour, 2.5));
            body += &text(LEGEND + 44.0, legend, 15, "start", INK, name);
            legend += 24.0;
        }
        page(SIZE, self.title, self.subtitle, &body)
    }
}

/// Rows of images `[n, height, width]` with pixels from 0 (white) to 1 (black), each row with a name, as SVG.
pub fn images(title: &str, subtitle: &str, rows: &[(&str, Tensor)]) -> String {
    const PIXEL: f64 = 5.0;
    let left = 24.0 + 9.0 * rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) as f64;
    let (mut body, mut right, mut y) = (String::new(), left, TOP);
    for (name, images) in rows {
        let [count, height, width] = *images.shape() else {
            panic!("images: a row has shape {:?}: it must be [n, height, width]", images.shape())
        };
        let row_height = height as f64 * PIXEL;
        body += &text(20.0, y + row_height / 2.0 + 5.0, 14, "start", INK, name);
        let mut paths = vec![String::new(); LEVELS];
        for (i, pixel) in images.iter().enumerate() {
            let (image, row, column) = (i / (height * width), i / width % height, i % width);
            let level = (pixel.clamp(0.0, 1.0) * (LEVELS - 1) as f32).round() as usize;
            let x = image * (width + 1) + column;
            paths[level].extend(["M", &x.to_string(), " ", &row.to_string(), "h1v1h-1z"]);
        }
        let grey = |level| 250 - 235 * level / (LEVELS - 1);
        let fill = |level| format!("fill=\"rgb({0},{0},{0})\" shape-rendering=\"crispEdges\"", grey(level));
        let pixels: String = paths.iter().enumerate().map(|(level, d)| path(d, &fill(level))).collect();
        body += &group(&format!("translate({left} {y}) scale({PIXEL})"), &pixels);
        right = right.max(left + (count * (width + 1)) as f64 * PIXEL);
        y += row_height + PIXEL;
    }
    let wide = 10.0 * title.chars().count().max(subtitle.chars().count()) as f64;
    page((right.max(wide) + 24.0, y + 24.0), title, subtitle, &body)
}

fn page((width, height): (f64, f64), title: &str, subtitle: &str, body: &str) -> String {
    let size = format!("width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\"");
    let title = text(24.0, 36.0, 22, "start", INK, title) + &text(24.0, 60.0, 15, "start", FAINT, subtitle);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" {size}>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         {title}{body}</svg>\n"
    )
}

fn path(d: &str, style: &str) -> String {
    format!("<path d=\"{d}\" {style}/>\n")
}

fn stroke(colour: &str, width: f64) -> String {
    format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"")
}

fn group(transform: &str, content: &str) -> String {
    format!("<g transform=\"{transform}\">\n{content}</g>\n")
}

fn text(x: f64, y: f64, size: u32, anchor: &str, colour: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let style = format!("{FONT} font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\"");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{text}</text>\n")
}

/// The range of numbers, with a margin.
fn range(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let wider = |(low, high): (f64, f64), x: f64| (low.min(x), high.max(x));
    let (low, high) = numbers.filter(|x| x.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), wider);
    if low > high {
        return (0.0, 1.0);
    }
    let margin = if high > low { 0.04 * (high - low) } else { 0.5 };
    (low - margin, high + margin)
}

/// Round numbers in a range, about six.
fn ticks((low, high): (f64, f64)) -> impl Iterator<Item = f64> {
    let power = 10_f64.powf(((high - low) / 6.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| (high - low) / step <= 7.0).unwrap_or(10.0 * power);
    ((low / step).ceil() as i64..=(high / step).floor() as i64).map(move |i| i as f64 * step)
}

/// A number without the last digits of a sum.
fn tidy(x: f64) -> String {
    format!("{}", (x * 1e9).round() / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_in_the_range() {
        let ticks: Vec<String> = ticks((-0.3, 1.1)).map(tidy).collect();
        assert_eq!(ticks, ["-0.2", "0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(super::ticks((170.0, 235.0)).count(), 7);
    }

    #[test]
    fn marks_of_points_and_pixels() {
        let points = [("a & b", vec![(0.0, 0.0), (1.0, 2.0)]), ("7", vec![(0.5, 1.0)])];
        let plot = Plot { title: "t", subtitle: "s", x: "x", y: "y", points: &points, lines: &[] };
        let svg = plot.to_svg();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("a &amp; b") && svg.contains(">7<"));
        let svg = images("t", "s", &[("row", Tensor::eye(3).reshape((1, 3, 3)))]);
        assert_eq!(svg.matches("h1v1h-1z").count(), 9);
        assert!(svg.contains("<path d=\"M0 0h1v1h-1zM1 1h1v1h-1zM2 2h1v1h-1z\" fill=\"rgb(15,15,15)\""));
    }
}

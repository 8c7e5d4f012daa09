//! Curves over epochs, in SVG that takes its colours from the style of the page.

use std::fmt::{self, Write};

use gradus_autograd::xml::Escaped;

/// The size of the picture, and of the part with the lines.
const SIZE: (f64, f64) = (640.0, 300.0);
const LEFT: f64 = 74.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 36.0;

/// The most points of a line, and the most places that show their numbers under the pointer.
const POINTS: usize = 1000;
const PLACES: usize = 250;

/// A line with its place in the legend.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) name: String,
    /// The numbers of its colour and of its pattern.
    pub(super) colour: usize,
    pub(super) dash: usize,
    /// Epochs and values.
    pub(super) points: Vec<(f64, f64)>,
}

impl Curve {
    /// The classes of the style.
    fn classes(&self) -> String {
        format!("line c{} dash{}", self.colour % 6, self.dash % 3)
    }
}

/// An axis: its ends, and whether equal distances are equal ratios.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// For these values. It is logarithmic if they are positive, span more than two powers of ten, and half of them would be
    /// in its lowest part otherwise: a loss that falls, and not a rate that is reduced to nothing.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let [low, .., high] = values[..] else {
            let middle = values.first().copied();
            return Self::between(middle.unwrap_or(0.0), middle.unwrap_or(1.0), false);
        };
        Self::between(low, high, low > 0.0 && high / low > 100.0 && high / values[values.len() / 2] > 8.0)
    }

    /// Between these values, with a margin.
    fn between(low: f64, high: f64, logarithmic: bool) -> Self {
        let (low, high) = if logarithmic { (low.log10(), high.log10()) } else { (low, high) };
        // Differences of huge numbers may overflow.
        let margin = (high / 2.0 - low / 2.0) * 0.1;
        let margin = match low.abs() * 0.05 {
            _ if margin > 0.0 => margin,
            0.0 => 1.0,
            part => part.max(f64::MIN_POSITIVE),
        };
        let [low, high] = [low - margin, high + margin].map(|x| x.clamp(f64::MIN, f64::MAX));
        Self { low, high, logarithmic }
    }

    /// The place of a value, from 0 to 1; `None` if the axis does not have it.
    fn place(self, value: f64) -> Option<f64> {
        let value = if self.logarithmic { value.log10() } else { value };
        let place = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        place.is_finite().then_some(place)
    }

    /// The values that are written beside the axis.
    fn ticks(self) -> Vec<f64> {
        let inside = |value: &f64| self.place(*value).is_some_and(|place| (0.0..=1.0).contains(&place));
        if self.logarithmic {
            let powers = self.low.floor() as i32..=self.high.ceil() as i32;
            let step = ((self.high - self.low) / 6.0).ceil().max(1.0) as usize;
            return powers.step_by(step).map(|power| 10_f64.powi(power)).filter(inside).collect();
        }
        let step = nice_step((self.high / 2.0 - self.low / 2.0) / 3.0);
        let first = (self.low / step).ceil();
        (0..8).map(|i| (first + f64::from(i)) * step).filter(inside).collect()
    }
}

/// The least of 1, 2 and 5 times a power of ten that is no smaller.
fn nice_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough * 0.999);
    step.unwrap_or(10.0 * power)
}

/// A number with four digits, and as few characters as show them.
pub(super) fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let size = x.abs();
    if !x.is_finite() || !(1e-3..1e6).contains(&size) {
        let text = format!("{x:.3e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, ""));
        let digits =
            if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        return if power.is_empty() { digits.into() } else { format!("{digits}e{power}") };
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{x:.decimals$}");
    if decimals == 0 {
        return grouped(&text);
    }
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// A number beside an axis, where there is little room.
fn short(x: f64) -> String {
    if (1e4..1e6).contains(&x.abs()) { format!("{}k", number(x / 1e3)) } else { number(x) }
}

/// Whole numbers of five digits and more, in groups of three.
pub(super) fn grouped(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if digits.len() < 5 {
        return text.into();
    }
    let mut out = String::from(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The legend: a list of samples and names.
pub(super) fn write_keys(out: &mut String, curves: &[Curve]) -> fmt::Result {
    out.push_str("<ul class=\"keys\">");
    for curve in curves {
        write!(
            out,
            "<li><svg viewBox=\"0 0 26 8\" aria-hidden=\"true\"><path class=\"{}\" d=\"M0 4H26\"/></svg>{}</li>",
            curve.classes(),
            Escaped(&curve.name)
        )?;
    }
    out.push_str("</ul>\n");
    Ok(())
}

/// The picture.
pub(super) fn write_chart(out: &mut String, title: &str, curves: &[Curve]) -> fmt::Result {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let axis = Axis::of(points().map(|&(_, value)| value));
    let (first, last) =
        points().fold((f64::INFINITY, 0.0_f64), |(low, high), &(x, _)| (low.min(x), high.max(x)));
    let x = |epoch: f64| {
        let part = if last > first { (epoch - first) / (last - first) } else { 0.5 };
        LEFT + part * (SIZE.0 - LEFT - RIGHT)
    };
    let y = |value: f64| {
        axis.place(value).map(|place| TOP + (1.0 - place) * (SIZE.1 - TOP - BOTTOM)).filter(|y| y.is_finite())
    };
    let (width, height) = SIZE;
    let title = Escaped(title);
    writeln!(
        out,
        "<svg class=\"chart\" role=\"img\" aria-label=\"{title}\" viewBox=\"0 0 {width} {height}\">"
    )?;
    for tick in axis.ticks() {
        if let Some(at) = y(tick) {
            let (end, text, base) = (width - RIGHT, LEFT - 8.0, at + 4.5);
            writeln!(out, "<path class=\"rule\" d=\"M{LEFT} {at:.1}H{end}\"/>")?;
            writeln!(out, "<text class=\"y\" x=\"{text}\" y=\"{base:.1}\">{}</text>", short(tick))?;
        }
    }
    for tick in epoch_ticks(first, last) {
        writeln!(out, "<text class=\"x\" x=\"{:.1}\" y=\"{}\">{tick}</text>", x(tick), height - 10.0)?;
    }
    for curve in curves {
        let mut path = String::new();
        let mut is_open = false;
        for (epoch, value) in thinned(&curve.points) {
            let at = y(value);
            if let Some(at) = at {
                write!(path, "{}{:.1} {at:.1}", if is_open { 'L' } else { 'M' }, x(epoch))?;
            }
            is_open = at.is_some();
        }
        if !path.is_empty() {
            // A line of one point is a dot.
            let end = if curve.points.len() == 1 { "h0.1" } else { "" };
            let round = if end.is_empty() { "" } else { " stroke-linecap=\"round\" stroke-width=\"6\"" };
            writeln!(out, "<path class=\"{}\"{round} d=\"{path}{end}\"/>", curve.classes())?;
        }
    }
    write_places(out, curves, &x, &y)?;
    out.push_str("</svg>\n");
    Ok(())
}

/// Places over the width of the picture that show the numbers of their epoch under the pointer.
fn write_places(
    out: &mut String,
    curves: &[Curve],
    x: &dyn Fn(f64) -> f64,
    y: &dyn Fn(f64) -> Option<f64>,
) -> fmt::Result {
    let mut epochs: Vec<f64> =
        curves.iter().flat_map(|curve| &curve.points).map(|&(epoch, _)| epoch).collect();
    epochs.sort_by(f64::total_cmp);
    epochs.dedup();
    let step = epochs.len().div_ceil(PLACES).max(1);
    let epochs: Vec<f64> = epochs.into_iter().rev().step_by(step).collect();
    let half = (SIZE.0 - LEFT - RIGHT) / (2.0 * (epochs.len().max(2) - 1) as f64);
    for epoch in epochs {
        let at = x(epoch);
        write!(out, "<g class=\"at\"><title>epoch {epoch}")?;
        let mut dots = String::new();
        for curve in curves {
            let Some(&(_, value)) = curve.points.iter().find(|(other, _)| *other == epoch) else { continue };
            write!(out, "&#10;{} {}", Escaped(&curve.name), number(value))?;
            if let Some(at_y) = y(value) {
                let colour = curve.colour % 6;
                write!(dots, "<circle class=\"dot c{colour}\" cx=\"{at:.1}\" cy=\"{at_y:.1}\" r=\"4\"/>")?;
            }
        }
        let (left, right) = ((at - half).max(LEFT), (at + half).min(SIZE.0 - RIGHT));
        let (bottom, height) = (SIZE.1 - BOTTOM, SIZE.1 - BOTTOM - TOP);
        writeln!(
            out,
            "</title><rect class=\"hit\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{height}\"/><path \
             class=\"cursor\" d=\"M{at:.1} {TOP}V{bottom}\"/>{dots}</g>",
            right - left
        )?;
    }
    Ok(())
}

/// The epochs that are written below the picture.
fn epoch_ticks(first: f64, last: f64) -> Vec<f64> {
    if first >= last {
        return if first.is_finite() { vec![first] } else { Vec::new() };
    }
    let step = nice_step((last - first) / 7.0).max(1.0);
    let start = (first / step).ceil() * step;
    (0..20).map(|i| start + f64::from(i) * step).take_while(|tick| *tick <= last).collect()
}

/// The points of a line, of each stretch of a long one the lowest and the highest.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let stretch = (2 * points.len()).div_ceil(POINTS);
    let extremes = |points: &[(f64, f64)]| {
        let order = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let mut ends =
            [points.iter().min_by(order), points.iter().max_by(order)].map(|end| *end.expect("a point"));
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    };
    points.chunks(stretch).flat_map(extremes).collect()
}

//! Printing, like NumPy: aligned columns, long tensors shortened.

use std::fmt::{self, Debug, Display, Formatter, Write};

use crate::element::Element;
use crate::layout::Layout;
use crate::tensor::Tensor;

/// Tensors with more elements are printed with `...` in place of the middle.
const THRESHOLD: usize = 1000;
/// The number of elements that are printed at each end of a shortened axis.
const EDGE: usize = 3;
/// The width of a line.
const LINE: usize = 100;

/// Like NumPy's `print`: rows in brackets, columns aligned, more than 1,000 elements shortened. Floats show
/// up to 4 decimals (or the precision of the format, `{:.2}`), in scientific notation if they span too wide
/// a range.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// assert_eq!(Tensor::from([[1.0, -2.5], [10.25, 0.0]]).to_string(), "\
/// [[ 1.   -2.5 ]
///  [10.25  0.  ]]");
/// assert_eq!(Tensor::from([true, false]).to_string(), "[ true false]");
/// ```
impl<T: Element> Display for Tensor<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("[]");
        }
        let shortened = self.len() > THRESHOLD;
        let positions = shown_positions(self.layout(), shortened);
        // By reference, so that everything else is compiled once and not in every program.
        let shown: Vec<&dyn Display> =
            positions.into_iter().map(|position| &self.buffer()[position] as &dyn Display).collect();
        let cells = align(&shown, matches!(T::NAME, "f32" | "f64"), f.precision().unwrap_or(4));
        let mut cells = cells.iter();
        let mut out = String::new();
        write_axis(&mut out, self.shape(), 0, shortened, &mut cells);
        f.write_str(&out)
    }
}

/// The type, the shape and the elements.
impl<T: Element> Debug for Tensor<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor<{}> {:?}", T::NAME, self.shape())?;
        f.write_char(if self.rank() > 1 && !self.is_empty() { '\n' } else { ' ' })?;
        Display::fmt(self, f)
    }
}

/// The indices of an axis that are printed.
fn shown_indices(size: usize, shortened: bool) -> impl Iterator<Item = usize> + Clone {
    let cut = shortened && size > 2 * EDGE;
    (0..if cut { EDGE } else { size }).chain(if cut { size - EDGE } else { size }..size)
}

/// The places of the elements that are printed, in logical order.
fn shown_positions(layout: &Layout, shortened: bool) -> Vec<usize> {
    let mut positions = vec![layout.offset];
    for (&size, &stride) in layout.shape.iter().zip(&layout.strides) {
        let indices = shown_indices(size, shortened);
        let along =
            |start: usize| indices.clone().map(move |i| start.wrapping_add_signed(i as isize * stride));
        positions = positions.into_iter().flat_map(along).collect();
    }
    positions
}

/// The texts of the elements, all of one width.
fn align(elements: &[&dyn Display], floats: bool, precision: usize) -> Vec<String> {
    let texts: Vec<String> = if floats {
        format_floats(elements, precision)
    } else {
        elements.iter().map(ToString::to_string).collect()
    };
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    texts.into_iter().map(|text| format!("{text:>width$}")).collect()
}

/// All elements with the same number of decimals: at most `precision`, without zeros that no element needs.
fn format_floats(elements: &[&dyn Display], precision: usize) -> Vec<String> {
    let fixed: Vec<String> = elements.iter().map(|x| format!("{x:.precision$}")).collect();
    let magnitudes = || {
        elements
            .iter()
            .filter_map(|x| x.to_string().parse::<f64>().ok())
            .map(f64::abs)
            .filter(|x| x.is_finite() && *x > 0.0)
    };
    let (largest, smallest) = (magnitudes().fold(0.0, f64::max), magnitudes().fold(f64::INFINITY, f64::min));
    if largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1e6 {
        return scientific(elements, precision);
    }
    let decimals =
        |text: &String| text.find('.').map_or(0, |point| text.trim_end_matches('0').len() - point - 1);
    let needed = fixed.iter().map(decimals).max().unwrap_or(0);
    let finish = |text: String| match text.find('.') {
        // Like NumPy: zeros that no element needs are dropped, and zeros that only others need become blanks.
        Some(point) => {
            let kept = text.trim_end_matches('0').len().max(point + 1);
            format!("{:<width$}", &text[..kept], width = point + 1 + needed)
        }
        None => text,
    };
    fixed.into_iter().map(finish).collect()
}

/// Like [`format_floats`], in scientific notation, with exponents of one width.
fn scientific(elements: &[&dyn Display], precision: usize) -> Vec<String> {
    let texts: Vec<String> = elements
        .iter()
        .map(|x| match x.to_string().parse::<f64>() {
            Ok(x) if x.is_finite() => format!("{x:.precision$e}"),
            _ => x.to_string(),
        })
        .collect();
    let parts = || texts.iter().filter_map(|text| text.split_once('e'));
    let decimals =
        |mantissa: &str| mantissa.split_once('.').map_or(0, |(_, d)| d.trim_end_matches('0').len());
    let needed = parts().map(|(mantissa, _)| decimals(mantissa)).max().unwrap_or(0);
    let digits = |exponent: &str| exponent.trim_start_matches('-').len();
    let width = 1 + parts().map(|(_, exponent)| digits(exponent)).max().unwrap_or(0).max(2);
    let finish = |text: &String| {
        let Some((mantissa, exponent)) = text.split_once('e') else { return text.clone() };
        let kept = mantissa.find('.').map_or(mantissa.len(), |point| point + 1 + needed);
        let exponent: i32 = exponent.parse().expect("written as an integer");
        format!("{}e{exponent:+0width$}", &mantissa[..kept])
    };
    texts.iter().map(finish).collect()
}

/// Writes an axis and the axes within it; `cells` yields the texts in order.
fn write_axis(
    out: &mut String,
    shape: &[usize],
    depth: usize,
    shortened: bool,
    cells: &mut std::slice::Iter<'_, String>,
) {
    let Some((&size, inner)) = shape.split_first() else {
        // A lone number looks like one: 2.0 and 1e-10, where a column has 2. and 1.e-10.
        let cell = cells.next().map_or("", |cell| cell.trim()).replace(".e", "e");
        out.push_str(&cell);
        return out.push_str(if cell.ends_with('.') { "0" } else { "" });
    };
    out.push('[');
    let cut = shortened && size > 2 * EDGE;
    let blank_lines = "\n".repeat(inner.len().max(1));
    let mut column = depth + 1;
    for (n, _) in shown_indices(size, shortened).enumerate() {
        let dots = cut && n == EDGE;
        if inner.is_empty() {
            let cell = cells.next().map_or("", String::as_str);
            let width = cell.chars().count() + 1 + if dots { 4 } else { 0 };
            // The line may end in one closing bracket for each that is open.
            if n > 0 && column + width + depth > LINE {
                out.push('\n');
                out.push_str(&" ".repeat(depth + 1));
                column = depth + 1;
            } else if n > 0 {
                out.push(' ');
            }
            out.push_str(if dots { "... " } else { "" });
            out.push_str(cell);
            column += width;
        } else {
            let indent = " ".repeat(depth + 1);
            if n > 0 {
                out.push_str(&blank_lines);
                out.push_str(&indent);
            }
            if dots {
                out.push_str("...");
                out.push_str(&blank_lines);
                out.push_str(&indent);
            }
            write_axis(out, inner, depth + 1, shortened, cells);
        }
    }
    out.push(']');
}

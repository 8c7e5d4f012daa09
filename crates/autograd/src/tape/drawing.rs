//! The tape, or anything else that is made of earlier things, as a picture.

use std::fmt::{self, Write};

use gradus_tensor::Float;

use super::list::{Tape, TapeNode};
use super::placing::{Graph, Places};
use crate::xml::Escaped;

/// The height of a box, the distance of rows, and the space around everything.
const BOX: f64 = 40.0;
const PITCH: f64 = 78.0;
const MARGIN: f64 = 24.0;
/// The advance of a letter at the size of names, and the most letters that are shown.
const LETTER: f64 = 7.4;
const LETTERS: usize = 32;

const STYLE: &str = "
.tape .ground { fill: #fff }
.tape .edge { fill: none; stroke: #8b95a5; stroke-width: 1.3 }
.tape .tip { fill: #8b95a5 }
.tape rect { stroke-width: 1.2 }
.tape .operation rect { fill: #e9f0fb; stroke: #9fb8dd }
.tape .result rect { fill: #e0f3e6; stroke: #8cc3a0 }
.tape .parameter rect { fill: #fdedd6; stroke: #dfb67c }
.tape .leaf rect { fill: #f1f1f1; stroke: #bdbdbd }
.tape .data rect { fill: #f0eafa; stroke: #bba8dd }
.tape text { fill: #20262e; text-anchor: middle; font: 12px ui-monospace, Menlo, Consolas, monospace }
.tape .shape { fill: #5d6673; font-size: 11px }
@media (prefers-color-scheme: dark) {
  .tape .ground { fill: #16191d }
  .tape .operation rect { fill: #22304a; stroke: #4b689c }
  .tape .result rect { fill: #1d3a2a; stroke: #4a8a64 }
  .tape .parameter rect { fill: #46351c; stroke: #95723b }
  .tape .leaf rect { fill: #2b2e33; stroke: #676c74 }
  .tape .data rect { fill: #352b4b; stroke: #7660a3 }
  .tape text { fill: #e8ebef }
  .tape .shape { fill: #a3acb9 }
}
";

/// A box of a picture.
pub(crate) struct Drawn {
    /// Its class in the style.
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) name: String,
    pub(crate) shape: String,
    /// The boxes that it is made of.
    pub(crate) inputs: Vec<usize>,
    /// Whether it has no inputs, and stands just above the first box that reads it.
    pub(crate) is_leaf: bool,
}

impl<T: Float> Tape<T> {
    /// The tape as a picture in SVG, drawn without another program: operations from top to bottom, each below its inputs, with
    /// names and shapes. Leaves that have a [label](Self::label), data and the result have colours of their own; attributes are
    /// shown under the pointer. It has a ground of its own and follows the reader's choice of light or dark.
    ///
    /// ```
    /// use gradus_autograd::{Tape, Tensor, Var};
    ///
    /// let w = Var::leaf(Tensor::from([1.0, 2.0]));
    /// let svg = Tape::of(&(&w * 3.0).sum(0)).label(&w, "weight").to_svg();
    /// assert!(svg.starts_with("<svg"));
    /// assert!(svg.contains("<title>%2 = sum %1 { axes: [0], keepdim: false } : [] f64</title>"));
    /// # // std::fs::write("tape.svg", svg)?;
    /// ```
    pub fn to_svg(&self) -> String {
        let last = self.len().wrapping_sub(1);
        let drawn = |node: TapeNode<'_, T>| Drawn {
            kind: match node.operation() {
                "input" => "data",
                "leaf" if node.label() != "leaf" => "parameter",
                "leaf" => "leaf",
                _ if node.position() == last => "result",
                _ => "operation",
            },
            title: node.to_string(),
            name: shown(node.label()),
            shape: shown(&format!("{:?}", node.shape())),
            inputs: node.inputs().flatten().collect(),
            is_leaf: self.nodes()[node.position()].is_leaf(),
        };
        draw(&self.iter().map(drawn).collect::<Vec<_>>())
    }
}

/// The picture of boxes, each behind its inputs.
pub(crate) fn draw(boxes: &[Drawn]) -> String {
    let graph = Graph {
        rows: rows_of(boxes),
        widths: boxes.iter().map(width).collect(),
        inputs: boxes.iter().map(|drawn| drawn.inputs.clone()).collect(),
    };
    let mut out = String::new();
    write_svg(&mut out, boxes, &graph, &graph.place()).expect("a string takes everything");
    out
}

/// The row of each box: below all of its inputs; of a leaf, just above the first box that reads it.
fn rows_of(boxes: &[Drawn]) -> Vec<usize> {
    let mut rows: Vec<usize> = Vec::with_capacity(boxes.len());
    for drawn in boxes {
        rows.push(drawn.inputs.iter().map(|&input| rows[input] + 1).max().unwrap_or(0));
    }
    let mut first = vec![usize::MAX; rows.len()];
    for (drawn, &row) in boxes.iter().zip(&rows) {
        for &input in &drawn.inputs {
            first[input] = first[input].min(row);
        }
    }
    for (place, _) in boxes.iter().enumerate().filter(|(_, drawn)| drawn.is_leaf) {
        rows[place] = if first[place] == usize::MAX { 0 } else { first[place] - 1 };
    }
    rows
}

fn write_svg(out: &mut String, boxes: &[Drawn], graph: &Graph, places: &Places) -> fmt::Result {
    let rows = graph.rows.iter().max().map_or(0, |last| last + 1);
    let (width, height) =
        (places.width + 2.0 * MARGIN, (rows as f64 * PITCH - (PITCH - BOX)).max(0.0) + 2.0 * MARGIN);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tape\" role=\"img\" width=\"{width:.0}\" \
         height=\"{height:.0}\" viewBox=\"0 0 {width:.1} {height:.1}\">\n<style>{STYLE}</style>\n<defs><marker \
         id=\"tape-tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" \
         orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>"
    )?;
    (0..boxes.len()).try_for_each(|i| write_edges(out, i, graph, places))?;
    boxes.iter().enumerate().try_for_each(|(i, drawn)| write_box(out, drawn, i, graph, places))?;
    writeln!(out, "</svg>")
}

fn top(row: usize) -> f64 {
    MARGIN + row as f64 * PITCH
}

/// The edges to a box. They arrive in the order in which they come from left to right.
fn write_edges(out: &mut String, i: usize, graph: &Graph, places: &Places) -> fmt::Result {
    let (inputs, passes) = (&graph.inputs[i], &places.passes[i]);
    let last = |k: usize| passes[k].last().copied().unwrap_or(places.middles[inputs[k]]);
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by(|&a, &b| last(a).total_cmp(&last(b)));
    for (port, &k) in order.iter().enumerate() {
        let part = (port + 1) as f64 / (inputs.len() + 1) as f64 - 0.5;
        let end = places.middles[i] + part * 0.7 * graph.widths[i];
        let (mut x, row) = (MARGIN + places.middles[inputs[k]], graph.rows[inputs[k]]);
        let mut y = top(row) + BOX;
        write!(out, "<path class=\"edge\" marker-end=\"url(#tape-tip)\" d=\"M{x:.1} {y:.1}")?;
        for (next, row) in passes[k].iter().chain([&end]).zip(row + 1..) {
            let (next, below) = (next + MARGIN, top(row));
            let half = f64::midpoint(y, below);
            write!(out, "C{x:.1} {half:.1} {next:.1} {half:.1} {next:.1} {below:.1}")?;
            (x, y) = (next, below);
            if row < graph.rows[i] {
                y += BOX;
                write!(out, "V{y:.1}")?;
            }
        }
        writeln!(out, "\"><title>%{} to %{i}</title></path>", inputs[k])?;
    }
    Ok(())
}

fn write_box(out: &mut String, drawn: &Drawn, i: usize, graph: &Graph, places: &Places) -> fmt::Result {
    let (middle, width, y) = (MARGIN + places.middles[i], graph.widths[i], top(graph.rows[i]));
    let kind = drawn.kind;
    let [title, name, shape] = [&drawn.title, &drawn.name, &drawn.shape].map(|text| Escaped(text));
    let x = middle - width / 2.0;
    writeln!(
        out,
        "<g class=\"{kind}\"><title>{title}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{BOX:.1}\" rx=\"6\"/><text x=\"{middle:.1}\" y=\"{:.1}\">{name}</text><text class=\"shape\" \
         x=\"{middle:.1}\" y=\"{:.1}\">{shape}</text></g>",
        y + 17.0,
        y + 32.0
    )
}

/// The width of a box.
fn width(drawn: &Drawn) -> f64 {
    let letters = |text: &str| -> f64 {
        // Letters of East Asia are twice as wide in a font of one width.
        text.chars().map(|letter| if letter < '\u{1100}' { 1.0 } else { 2.0 }).sum()
    };
    (letters(&drawn.name).max(letters(&drawn.shape)) * LETTER + 20.0).max(56.0)
}

/// A text on one line, cut to what is shown.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(LETTERS).collect();
    if text.chars().nth(LETTERS).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

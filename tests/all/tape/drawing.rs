//! The tape as a picture: everything is drawn, once, and nothing overlaps.

use gradus::prelude::*;
use proptest::prelude::*;
use roxmltree::{Document, Node};

/// A box: left, top, right, bottom.
type Rect = [f64; 4];

/// The boxes and edges of a picture.
struct Drawn {
    width: f64,
    height: f64,
    /// The boxes with their titles and names, in the order of the tape.
    boxes: Vec<(String, String, Rect)>,
    /// The edges: their titles, first and last points, and all points.
    edges: Vec<(String, Vec<[f64; 2]>)>,
}

fn number(node: Node, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Node<'a, 'a> {
    node.children().find(|child| child.has_tag_name(name)).unwrap()
}

/// The points of a path of M, C and V.
fn points(path: &str) -> Vec<[f64; 2]> {
    let mut points: Vec<[f64; 2]> = Vec::new();
    let starts: Vec<usize> = path.match_indices(['M', 'C', 'V']).map(|(i, _)| i).collect();
    for (i, &start) in starts.iter().enumerate() {
        let part = &path[start..starts.get(i + 1).copied().unwrap_or(path.len())];
        let numbers: Vec<f64> = part[1..].split(' ').map(|number| number.parse().unwrap()).collect();
        match &part[..1] {
            "V" => points.push([points.last().unwrap()[0], numbers[0]]),
            _ => points.extend(numbers.chunks_exact(2).map(|point| [point[0], point[1]])),
        }
    }
    points
}

fn drawn(svg: &str) -> Drawn {
    let document = Document::parse(svg).unwrap_or_else(|error| panic!("{error} in {svg}"));
    let root = document.root_element();
    let view: Vec<f64> =
        root.attribute("viewBox").unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
    let title = |node| child(node, "title").text().unwrap().to_owned();
    let mut drawn = Drawn { width: view[2], height: view[3], boxes: vec![], edges: vec![] };
    for node in root.children() {
        if node.has_tag_name("g") {
            let rect = child(node, "rect");
            let [x, y, width, height] = ["x", "y", "width", "height"].map(|name| number(rect, name));
            let name = child(node, "text").text().unwrap_or_default().to_owned();
            drawn.boxes.push((title(node), name, [x, y, x + width, y + height]));
        } else if node.attribute("class") == Some("edge") {
            drawn.edges.push((title(node), points(node.attribute("d").unwrap())));
        }
    }
    drawn
}

/// A text with characters that XML has.
fn possible(text: &str) -> String {
    let is_bad = |c: char| (c.is_control() && !"\n\t\r".contains(c)) || "\u{fffe}\u{ffff}".contains(c);
    text.chars().map(|c| if is_bad(c) { '\u{fffd}' } else { c }).collect()
}

/// The picture of a tape, after everything that must hold.
fn check(tape: &Tape<f64>) -> Result<Drawn, TestCaseError> {
    let drawn = drawn(&tape.to_svg());
    let titles: Vec<&str> = drawn.boxes.iter().map(|(title, ..)| title.as_str()).collect();
    let expected: Vec<String> = tape.iter().map(|node| possible(&node.to_string())).collect();
    prop_assert_eq!(titles, expected, "each node has one box");
    let mut expected: Vec<String> = Vec::new();
    for node in tape.iter() {
        expected.extend(node.inputs().flatten().map(|input| format!("%{input} to %{}", node.position())));
    }
    let mut edges: Vec<String> = drawn.edges.iter().map(|(title, _)| title.clone()).collect();
    edges.sort();
    expected.sort();
    prop_assert_eq!(edges, expected, "each input of each node has one edge");
    for (i, (_, _, a)) in drawn.boxes.iter().enumerate() {
        prop_assert!(
            a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= drawn.width && a[3] <= drawn.height,
            "{a:?} is outside"
        );
        for (_, _, b) in &drawn.boxes[..i] {
            let apart = a[2] < b[0] || b[2] < a[0] || a[3] < b[1] || b[3] < a[1];
            prop_assert!(apart, "{a:?} and {b:?} overlap");
        }
    }
    for (title, points) in &drawn.edges {
        let ends = title.split(" to ").map(|end| end[1..].parse::<usize>().unwrap()).collect::<Vec<_>>();
        let [from, to] = [ends[0], ends[1]].map(|end| drawn.boxes[end].2);
        let (first, last) = (points[0], points[points.len() - 1]);
        prop_assert!(
            first[1] == from[3] && (from[0]..=from[2]).contains(&first[0]),
            "{title} begins at {first:?}"
        );
        prop_assert!(last[1] == to[1] && (to[0]..=to[2]).contains(&last[0]), "{title} ends at {last:?}");
        for [x, y] in points {
            let inside = (0.0..=drawn.width).contains(x) && (0.0..=drawn.height).contains(y);
            prop_assert!(inside, "{title} passes {x}, {y}");
        }
        // Edges pass rows between boxes, not behind them.
        for pass in
            points.windows(2).filter(|pair| pair[0][0] == pair[1][0] && pair[1][1] - pair[0][1] == 40.0)
        {
            for (_, name, other) in &drawn.boxes {
                let crosses = (other[0]..=other[2]).contains(&pass[0][0]) && pass[0][1] == other[1];
                prop_assert!(!crosses, "{title} passes behind {name}");
            }
        }
    }
    // Nothing but a margin is left free.
    let places = drawn.boxes.iter().flat_map(|(_, _, rect)| [rect[0], rect[2]]);
    let passed = drawn.edges.iter().flat_map(|(_, points)| points.iter().map(|point| point[0]));
    let all: Vec<f64> = places.chain(passed).collect();
    let ends = |end: fn(f64, f64) -> f64| all.iter().copied().reduce(end);
    if let (Some(left), Some(right)) = (ends(f64::min), ends(f64::max)) {
        prop_assert!(left <= 30.0 && right >= drawn.width - 30.0, "{left} to {right} of {}", drawn.width);
    }
    Ok(drawn)
}

/// A tape that a list of choices makes: each operation reads one or two of the values so far.
fn random(leaves: usize, choices: &[(usize, usize, usize)]) -> (Vec<Var<f64>>, Var<f64>) {
    let mut values: Vec<Var<f64>> =
        (0..leaves).map(|i| Var::leaf(Tensor::ones([2, i + 1]).sum(0).sum(0))).collect();
    for &(kind, a, b) in choices {
        let (a, b) = (&values[a % values.len()], &values[b % values.len()]);
        let next = match kind % 5 {
            0 => a + b,
            1 => a * b,
            2 => a.exp(),
            3 => a.sin().expand([3, 2]).sum(..),
            _ => a.maximum(b),
        };
        values.push(next);
    }
    let all = values[leaves..].iter().fold(values[0].clone(), |sum, value| sum + value);
    (values, all)
}

proptest! {
    #[test]
    fn all_is_drawn_once_and_nothing_overlaps(
        leaves in 1_usize..6,
        choices in prop::collection::vec((any::<usize>(), any::<usize>(), any::<usize>()), 0..60),
        label in ".{0,50}",
    ) {
        let (values, result) = random(leaves, &choices);
        let tape = Tape::of(&result).label(&values[0], label.clone());
        let last = Tape::of(values.last().unwrap());
        check(&last)?;
        let drawn = check(&tape)?;
        if tape.len() > 1 && label.chars().count() <= 32 && !label.chars().any(char::is_control) {
            prop_assert!(drawn.boxes.iter().any(|(_, name, _)| *name == label));
        }
    }
}

#[test]
fn a_constant_a_leaf_and_a_long_chain_have_a_picture() {
    assert!(check(&Tape::of(&Var::constant(1.0))).unwrap().boxes.is_empty());
    let leaf = Var::leaf(Tensor::from(1.0));
    assert_eq!(check(&Tape::of(&leaf)).unwrap().boxes.len(), 1);
    let chain = (0..300).fold(leaf.clone(), |x, i| if i % 3 == 0 { x * &leaf } else { x.exp() });
    let drawn = check(&Tape::of(&chain)).unwrap();
    assert_eq!((drawn.boxes.len(), drawn.edges.len()), (301, 400));
}

/// Crossings that need not be are not drawn: two chains from two leaves stay side by side, however they are mixed in time.
#[test]
fn chains_side_by_side_do_not_cross() {
    let [a, b] = [1.0, 2.0].map(|x| Var::leaf(Tensor::from(x)));
    let (mut x, mut y) = (a.clone(), b.clone());
    for i in 0..6 {
        (x, y) = if i % 2 == 0 {
            (x.exp(), y.sin())
        } else {
            let z = y.sin();
            (x.exp(), z)
        };
    }
    let drawn = check(&Tape::of(&(x * y))).unwrap();
    let middles = |name: &str| -> Vec<f64> {
        let boxes = drawn.boxes.iter().filter(|(_, other, _)| other == name);
        boxes.map(|(_, _, rect)| f64::midpoint(rect[0], rect[2])).collect()
    };
    let (exps, sins) = (middles("exp"), middles("sin"));
    let sides = exps.iter().zip(&sins).map(|(x, y)| x < y).collect::<Vec<_>>();
    assert!(sides.iter().all(|side| *side == sides[0]), "{exps:?} {sins:?}");
}

#[test]
fn kinds_have_colours_of_their_own() {
    let (w, x) = (Var::leaf(Tensor::<f64>::ones([2])), Var::input(Tensor::<f64>::ones([2])));
    let hidden = Var::leaf(Tensor::<f64>::ones([2]));
    let y = gradus::keep_values(|| (&w * &x + &hidden).sum(..));
    let svg = Tape::of(&y).label(&w, "weight").to_svg();
    for kind in ["parameter", "data", "leaf", "operation", "result"] {
        assert!(svg.contains(&format!("<g class=\"{kind}\">")), "{kind}");
    }
    assert!(svg.contains("prefers-color-scheme: dark"));
}

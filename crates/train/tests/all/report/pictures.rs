//! The curves of a page: where their points are.

use gradus_train::{Epoch, Run};
use proptest::prelude::*;
use roxmltree::Node;

use super::parsed;

/// The numbers in a path of absolute commands.
fn numbers(path: &str) -> Vec<f64> {
    let is_number = |c: char| c.is_ascii_digit() || ".-".contains(c);
    path.split(|c| !is_number(c)).filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()).collect()
}

/// Each line of a page as its points, in units of the picture.
fn lines(page: &str) -> Vec<Vec<f64>> {
    let document = parsed(page);
    let is_line = |node: &Node| {
        node.attribute("class").is_some_and(|class| class.starts_with("line"))
            && node.parent().is_some_and(|parent| parent.attribute("class") == Some("chart"))
    };
    document
        .descendants()
        .filter(is_line)
        .map(|node| numbers(node.attribute("d").unwrap().trim_end_matches("h0.1")))
        .collect()
}

fn page(epochs: &[usize], values: &[f64]) -> String {
    let mut run = Run::default();
    for (&number, &value) in epochs.iter().zip(values) {
        let mut epoch = Epoch::default();
        (epoch.epoch, epoch.values) = (number, vec![("loss".into(), value)]);
        run.epochs.push(epoch);
    }
    run.to_html()
}

proptest! {
    /// Whatever the numbers, all points are inside of the picture, and those that are finite are drawn.
    #[test]
    fn all_points_are_inside(
        values in prop::collection::vec(prop_oneof![any::<f64>(), 0.0..1.0, Just(0.0), Just(f64::MAX), Just(f64::MIN)], 1..12),
        step in prop_oneof![Just(1_usize), 1..1_000_000_usize],
    ) {
        let epochs: Vec<usize> = (1..=values.len()).map(|i| i * step).collect();
        let page = page(&epochs, &values);
        let lines = lines(&page);
        let finite = values.iter().filter(|value| value.is_finite()).count();
        let points = lines.iter().map(|line| line.len() / 2).sum::<usize>();
        prop_assert_eq!(points, finite, "{:?}", lines);
        for point in lines.iter().flat_map(|line| line.chunks_exact(2)) {
            prop_assert!((0.0..=640.0).contains(&point[0]) && (0.0..=300.0).contains(&point[1]), "{:?}", point);
        }
    }
}

/// Larger numbers are higher, and equal ratios are equal distances if the numbers span powers of ten.
#[test]
fn places_follow_the_numbers() {
    let [line] = &lines(&page(&[1, 2, 3], &[1.0, 2.0, 4.0]))[..] else { panic!("one line") };
    let (rise, next) = (line[1] - line[3], line[3] - line[5]);
    assert!(rise > 10.0 && (next - 2.0 * rise).abs() < 0.2, "{line:?}");
    let [line] = &lines(&page(&[1, 2, 3], &[1.0, 0.03, 0.0009]))[..] else { panic!("one line") };
    assert!(((line[3] - line[1]) - (line[5] - line[3])).abs() < 0.2, "{line:?}");
}

/// A long run stays a page that a browser opens: of each stretch the extremes are drawn.
#[test]
fn long_runs_are_thinned() {
    let epochs: Vec<usize> = (1..=2500).collect();
    let values: Vec<f64> =
        epochs.iter().map(|&epoch| if epoch == 1234 { 9.0 } else { 1.0 / epoch as f64 }).collect();
    let run = page(&epochs, &values);
    let [line] = &lines(&run)[..] else { panic!("one line") };
    assert!(line.len() <= 2 * 1002, "{} points", line.len() / 2);
    let highest = line.chunks_exact(2).map(|point| point[1]).fold(f64::INFINITY, f64::min);
    assert!(highest < 50.0, "the one high number is drawn");
    assert!(run.matches("class=\"at\"").count() <= 250);
}

//! What the network gets right and wrong, in the terminal.

use std::array::from_fn;

use console::style;
use gradus::metrics::ConfusionMatrix;
use gradus::prelude::*;
use gradus_examples::digits::{CLASSES, Digits, SIDE};

/// A column of the terminal is half as wide as a line is high: two columns make a square pixel.
const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
/// Four images fit side by side into 80 columns.
const IMAGES: usize = 4;

/// How often each digit, by row, was taken for each, by column.
pub(crate) fn confusion_matrix(predictions: &Tensor<i64>, labels: &Tensor<i64>) {
    let mut matrix = ConfusionMatrix::new(CLASSES);
    matrix.update_classes(predictions, labels);
    let counts = matrix.counts();

    let row = |title: &str, cells: [String; CLASSES]| println!("{title:>5}  {}", cells.concat());
    println!("\n{:>31}", "read as");
    row("true", from_fn(|class| format!("{class:>4}")));
    for label in 0..CLASSES {
        let cell = |prediction| match counts[[label, prediction]] {
            0 => format!("{:>4}", style("·").dim()),
            count if prediction == label => format!("{:>4}", style(count).green()),
            count => format!("{:>4}", style(count).red().bold()),
        };
        row(&label.to_string(), from_fn(cell));
    }
}

/// Draws some of the images that were taken for another digit.
pub(crate) fn misread(predictions: &Tensor<i64>, digits: &Digits) {
    let wrong: Vec<i64> =
        (0..).zip(&predictions.ne(&digits.labels)).filter_map(|(i, wrong)| wrong.then_some(i)).collect();
    println!("\n{} of {} digits are misread", wrong.len(), digits.labels.len());

    let shown = &wrong[..wrong.len().min(IMAGES)];
    let images = digits.select(shown).images.reshape((-1, SIDE, SIDE));
    for row in 0..SIDE {
        for image in 0..shown.len() {
            let shade = |column| SHADES[(images[[image, row, column]] * 4.0).round() as usize];
            print!("  {}  ", (0..SIDE).map(shade).collect::<String>());
        }
        println!();
    }
    for &i in shown {
        let (label, prediction) = (digits.labels[[i as usize]], predictions[[i as usize]]);
        print!("  {:<18}", format!("true {label}, read as {prediction}"));
    }
    println!("\n");
}

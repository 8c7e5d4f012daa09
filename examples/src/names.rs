//! Given names as rows of numbers: those in `data/names.txt`, or a longer list.

use std::iter::repeat;
use std::path::Path;
use std::{fs, io};

use gradus::Tensor;

/// The end of a name, and what stands before its first letter. 1 to 26 are the letters.
pub const END: i64 = 0;
/// The number of letters and of the end.
pub const LETTERS: usize = 27;
/// The places of a row: 15 letters and the end. Letters beyond are cut off.
pub const PLACES: usize = 16;
/// The number at places behind the end, which a cross-entropy ignores.
const IGNORED: i64 = -100;

/// The names of a file, one a line; without a file, the 4,000 that come with the examples.
///
/// # Errors
/// If the file cannot be read.
pub fn read(file: Option<&Path>) -> io::Result<Vec<String>> {
    let text = match file {
        Some(file) => fs::read_to_string(file)?,
        None => include_str!("../data/names.txt").into(),
    };
    Ok(text.lines().map(str::to_ascii_lowercase).collect())
}

/// A row for each name, `[names, 16]`: its letters, the end, and then -100. Each number is the target at its place: what
/// follows the letters before it.
pub fn targets(names: &[String]) -> Tensor<i64> {
    let row = |name: &String| {
        let letters: Vec<i64> =
            name.bytes().filter(u8::is_ascii_lowercase).map(|b| i64::from(b - b'a') + 1).collect();
        letters.into_iter().chain([END]).chain(repeat(IGNORED)).take(PLACES)
    };
    names.iter().flat_map(row).collect::<Tensor<i64>>().reshape((-1, PLACES))
}

/// The letters that a model reads to foretell these targets `[n, 16]`: the same letters, one place later.
pub fn inputs(targets: &Tensor<i64>) -> Tensor<i64> {
    let start = Tensor::full([targets.shape()[0], 1], END);
    Tensor::cat(&[&start, &targets.slice(1, ..-1).maximum(END)], 1)
}

/// The text of a row, up to its end.
pub fn text(row: impl IntoIterator<Item = i64>) -> String {
    row.into_iter().take_while(|&i| i != END).map(|i| char::from(b'a' + i as u8 - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_rows() {
        let names = read(None).expect("the names are in the repository");
        assert_eq!(names.len(), 4000);
        let rows =
            targets(&["Zoë".into(), "abcdefghijklmnopq".into()].map(|name: String| name.to_lowercase()));
        assert_eq!(rows.slice(1, ..4), Tensor::from([[26, 15, END, IGNORED], [1, 2, 3, 4]]));
        assert_eq!(inputs(&rows).slice(1, ..4), Tensor::from([[END, 26, 15, END], [END, 1, 2, 3]]));
        assert_eq!(text(&rows.select(0, 0)), "zo");
        assert_eq!(text(&rows.select(0, 1)), "abcdefghijklmnop");
    }
}

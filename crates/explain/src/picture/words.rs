//! Coloured words.

use std::fmt::Write as _;
use std::path::Path;

use gradus_autograd::xml::Escaped;

use super::{css, diverging, short, write};
use crate::error::Result;

const STYLE: &str = "body{font:16px/2 sans-serif;color:#333;max-width:50em;margin:2em auto;padding:0 1em}\
h1{font-size:20px}p{margin:.4em 0}.c{color:#6e6e6e;margin-right:1em}.w{padding:.2em .15em;border-radius:.2em;white-space:pre}\
.b{display:inline-block;width:16em;height:.8em;vertical-align:middle;margin:0 .6em}";

/// Texts whose words, or letters, are coloured: red speaks for the class, blue against it. A page of HTML that needs nothing else.
///
/// ```
/// use gradus_explain::Words;
///
/// let words = Words::new("Reviews").line("good: 0.9", &["<b>", "great"], &[0.1, 2.0]);
/// let html = words.to_html();
/// assert!(html.contains("&lt;b&gt;</span> <span") && html.contains(">great<"));
/// ```
#[derive(Debug, Clone)]
pub struct Words {
    title: String,
    between: &'static str,
    lines: Vec<(String, Vec<(String, f64)>)>,
}

impl Words {
    /// A page without lines.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), between: " ", lines: Vec::new() }
    }

    /// Sets the words without a space between them: they are letters, or parts of words.
    #[must_use]
    pub fn letters(mut self) -> Self {
        self.between = "";
        self
    }

    /// Adds a text with a caption, and a number for each word. Each line has a scale of its own.
    ///
    /// # Panics
    /// If there are not as many numbers as words.
    #[must_use]
    #[track_caller]
    pub fn line(mut self, caption: impl Into<String>, words: &[impl AsRef<str>], numbers: &[f64]) -> Self {
        assert!(
            words.len() == numbers.len(),
            "Words: there are {} words and {} numbers: there must be one for each",
            words.len(),
            numbers.len()
        );
        let words = words.iter().map(|word| word.as_ref().into()).zip(numbers.iter().copied());
        self.lines.push((caption.into(), words.collect()));
        self
    }

    /// The page.
    pub fn to_html(&self) -> String {
        let title = Escaped(&self.title);
        let stops: Vec<String> = (-4..=4).map(|i| css(diverging(f64::from(i) / 4.0))).collect();
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><title>{title}</title>\
             <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p class=\"c\">against<span class=\"b\" \
             style=\"background:linear-gradient(to right,{})\"></span>for the class</p>\n",
            stops.join(",")
        );
        // Writing to a string does not fail.
        for (caption, words) in &self.lines {
            let sizes = words.iter().map(|(_, number)| number.abs()).filter(|size| size.is_finite());
            let limit = sizes.fold(0.0, f64::max);
            let span = |(word, number): &(String, f64)| {
                let part = if limit > 0.0 { number / limit } else { 0.0 };
                let ink = if part.abs() > 0.8 { "#fff" } else { "#333" };
                let (word, colour, number) = (Escaped(word), css(diverging(part)), short(*number));
                format!(
                    "<span class=\"w\" style=\"background:{colour};color:{ink}\" title=\"{number}\">{word}</span>"
                )
            };
            let spans: Vec<String> = words.iter().map(span).collect();
            let caption = Escaped(caption);
            let _ = writeln!(html, "<p><span class=\"c\">{caption}</span>{}</p>", spans.join(self.between));
        }
        html.push_str("</body></html>\n");
        html
    }

    /// Writes the page to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path.as_ref(), self.to_html().as_bytes())
    }
}

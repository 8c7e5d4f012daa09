//! Names of the members of a model.

use std::fmt::{self, Display, Formatter};

/// The place of a member in a model, displayed with dots: `hidden.0.weight`.
///
/// A path borrows its parent, so that a walk over a model allocates nothing.
///
/// ```
/// use gradus_nn::Path;
///
/// assert_eq!(Path::ROOT.field("hidden").index(0).field("weight").to_string(), "hidden.0.weight");
/// assert!(Path::ROOT.field("hidden").index(10) == *"hidden.10");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Root,
    Field(&'a str),
    /// A field whose name has a number before its last part.
    Numbered(&'a str, usize, &'a str),
    Index(usize),
}

impl Path<'_> {
    /// The model itself, whose name is empty.
    pub const ROOT: Path<'static> = Path { parent: None, segment: Segment::Root };

    /// A field of the struct at this path.
    pub fn field<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { parent: Some(self), segment: Segment::Field(name) }
    }

    /// An element of the container at this path.
    pub fn index(&self, index: usize) -> Path<'_> {
        Path { parent: Some(self), segment: Segment::Index(index) }
    }

    /// A field whose name has a number before its last part, which may be empty: `weight_ih_l0_reverse`.
    pub(crate) fn numbered<'b>(&'b self, name: &'b str, number: usize, end: &'b str) -> Path<'b> {
        Path { parent: Some(self), segment: Segment::Numbered(name, number, end) }
    }
}

/// Equal to the text that the path is displayed as; the comparison allocates nothing.
impl PartialEq<str> for Path<'_> {
    fn eq(&self, text: &str) -> bool {
        let rest = match self.segment {
            Segment::Root => Some(text),
            Segment::Field(name) => text.strip_suffix(name),
            Segment::Numbered(name, number, end) => text
                .strip_suffix(end)
                .and_then(|rest| strip_number(rest, number))
                .and_then(|rest| rest.strip_suffix(name)),
            Segment::Index(index) => strip_number(text, index),
        };
        match (rest, self.parent.filter(|parent| parent.parent.is_some())) {
            (Some(rest), Some(parent)) => rest.strip_suffix('.').is_some_and(|rest| parent == rest),
            (rest, _) => rest == Some(""),
        }
    }
}

/// The text without this number at its end.
fn strip_number(mut text: &str, mut number: usize) -> Option<&str> {
    loop {
        text = text.strip_suffix(char::from(b'0' + (number % 10) as u8))?;
        number /= 10;
        if number == 0 {
            return Some(text);
        }
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| parent.parent.is_some()) {
            write!(f, "{parent}.")?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Field(name) => f.write_str(name),
            Segment::Numbered(name, number, end) => write!(f, "{name}{number}{end}"),
            Segment::Index(index) => write!(f, "{index}"),
        }
    }
}

//! Reshaping and permuting by a pattern of named axes, as einops does (Rogozhnikov, 2022).

use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::shape::{Shape, element_count};
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// The axes split, permuted and merged as a pattern of names says: `(h w)` is one axis that is split into, or merged
    /// from, `h` and `w`; `1` is an axis of size 1; `...` stands for any axes. `sizes` gives the sizes of names that the
    /// shape does not tell; one name of each split axis may be left out. A view where strides can express the result.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let tokens = Tensor::<f32>::zeros([8, 12, 3]);
    /// let images = tokens.rearrange("b (h w) c -> b c h w", &[("h", 4)]);
    /// assert_eq!(images.shape(), [8, 3, 4, 3]);
    /// assert_eq!(images.rearrange("b ... -> (...) b", &[]).shape(), [36, 8]);
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).rearrange("i j -> (j i)", &[]), Tensor::from([1, 3, 2, 4]));
    /// ```
    ///
    /// # Panics
    /// If the pattern cannot be read, a name is not exactly once on each side, or the sizes do not fit the shape.
    #[track_caller]
    pub fn rearrange(&self, pattern: &str, sizes: &[(&str, usize)]) -> Self {
        let [split, order, merged] = rearrangement(self.shape(), pattern, sizes).or_panic();
        self.reshape(split).permute(order).reshape(merged)
    }
}

/// The shape in which all names have an axis, their order in the result, and the shape of the result.
#[doc(hidden)]
pub fn rearrangement(
    shape: &[usize],
    pattern: &str,
    sizes: &[(&str, usize)],
) -> Result<[Shape; 3], TensorError> {
    plan(shape, pattern, sizes).map_err(|problem| {
        TensorError::invalid("rearrange", format!("pattern \"{pattern}\" for shape {shape:?}: {problem}"))
    })
}

/// A name, or one of the axes that `...` stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Label<'a> {
    Name(&'a str),
    Rest(usize),
}

/// The labels of one axis: one, or those in brackets.
type Group<'a> = Vec<Label<'a>>;

fn plan(shape: &[usize], pattern: &str, sizes: &[(&str, usize)]) -> Result<[Shape; 3], String> {
    let Some((left, right)) = pattern.split_once("->") else {
        return Err("it must have a `->` between the axes of the operand and of the result".into());
    };
    let (axes, has_rest) = (read(left, 0)?.len(), left.contains("..."));
    if right.contains("...") != has_rest {
        let side = if has_rest { "right" } else { "left" };
        return Err(format!("`...` is missing on the {side} of `->`"));
    }
    if axes > shape.len() || axes < shape.len() && !has_rest {
        let least = if has_rest { "at least " } else { "" };
        return Err(format!("the operand must have {least}{axes} axes, as many as are left of `->`"));
    }
    let rest = shape.len() - axes;
    let (from, to) = (read(left, rest)?, read(right, rest)?);
    if from.len() != shape.len() {
        return Err("left of `->`, `...` must not be in brackets".into());
    }
    let (labels, result) = (from.concat(), to.concat());
    for (some, others, side) in [(&labels, &result, "right"), (&result, &labels, "left")] {
        if let Some(label) = some.iter().find(|label| !others.contains(label)) {
            return Err(format!("{} is missing on the {side} of `->`", shown(*label)));
        }
    }
    for (place, (name, _)) in sizes.iter().enumerate() {
        if !labels.contains(&Label::Name(name)) {
            return Err(format!("a size is given for `{name}`, which is not a name in it"));
        }
        if sizes[..place].iter().any(|(other, _)| other == name) {
            return Err(format!("two sizes are given for `{name}`"));
        }
    }
    let mut split = Shape::new();
    for (axis, (group, &size)) in from.iter().zip(shape).enumerate() {
        split.extend(split_axis(axis, size, group, sizes)?);
    }
    if element_count(&split).is_none() {
        return Err(format!("the sizes of its names, {split:?}, multiply to too much"));
    }
    let place = |label: &Label| labels.iter().position(|other| other == label).expect("on both sides");
    let merged = to.iter().map(|group| group.iter().map(|label| split[place(label)]).product()).collect();
    Ok([split.clone(), result.iter().map(place).collect(), merged])
}

/// The sizes of the labels of one axis.
fn split_axis(axis: usize, size: usize, group: &[Label], sizes: &[(&str, usize)]) -> Result<Shape, String> {
    let given =
        |label: &Label| sizes.iter().find(|(name, _)| *label == Label::Name(name)).map(|&(_, size)| size);
    let known: usize = group.iter().filter_map(given).fold(1, usize::saturating_mul);
    let unknown: Vec<Label> = group.iter().copied().filter(|label| given(label).is_none()).collect();
    let left = match unknown[..] {
        [] if known == size => 1,
        [_] if known > 0 && size.is_multiple_of(known) => size / known,
        [] => return Err(format!("axis {axis} has size {size}, and its names the product {known}")),
        [label] => {
            let name = shown(label);
            return Err(format!("axis {axis} has size {size}: for {name} it must be a multiple of {known}"));
        }
        [first, second, ..] => {
            let names = [shown(first), shown(second)];
            return Err(format!("sizes of {} and {} are not given: one may be left out", names[0], names[1]));
        }
    };
    Ok(group.iter().map(|label| given(label).unwrap_or(left)).collect())
}

fn shown(label: Label) -> String {
    match label {
        Label::Name(name) => format!("`{name}`"),
        Label::Rest(_) => "`...`".into(),
    }
}

/// The axes of one side, where `...` stands for `rest` axes.
fn read(side: &str, rest: usize) -> Result<Vec<Group<'_>>, String> {
    let mut groups: Vec<Group> = vec![];
    let (mut open, mut place, mut has_rest) = (None::<Group>, 0, false);
    while let Some(next) = side[place..].chars().next() {
        let text = &side[place..];
        let problem = |problem: &str| Err(format!("{problem}, at `{}`", text.trim_end()));
        let mut length = next.len_utf8();
        let mut found = vec![];
        // It may stand for no axis.
        let is_second = text.starts_with("...") && std::mem::replace(&mut has_rest, true);
        match next {
            ' ' => {}
            '(' if open.is_none() => open = Some(vec![]),
            ')' if open.is_some() => groups.extend(open.take()),
            '1' => found.push(vec![]),
            '.' if text.starts_with("...") => {
                length = 3;
                found.extend((0..rest).map(|axis| vec![Label::Rest(axis)]));
            }
            _ if next.is_alphabetic() || next == '_' => {
                let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
                length = end.unwrap_or(text.len());
                found.push(vec![Label::Name(&text[..length])]);
            }
            _ => return problem("allowed are names, `1`, one `...`, and brackets that are not nested"),
        }
        let mut named = groups.iter().chain(&open).flatten();
        if is_second || named.any(|label| found.iter().flatten().any(|new| new == label)) {
            return problem("a name, or `...`, is there twice");
        }
        match &mut open {
            Some(open) => open.extend(found.concat()),
            None => groups.extend(found),
        }
        place += length;
    }
    if open.is_some() {
        return Err(format!("a bracket is not closed, in `{}`", side.trim()));
    }
    Ok(groups)
}

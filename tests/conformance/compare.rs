//! When a result agrees with a stored one.

use gradus::{Element, Tensor};

/// A relative and an absolute tolerance.
#[derive(Clone, Copy)]
pub(crate) struct Tolerance {
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
    pub(crate) nan: Nan,
}

/// What agrees with a stored NaN.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nan {
    /// NaN alone.
    Agrees,
    /// Anything.
    IsNoAnswer,
}

impl Tolerance {
    /// Whether a number agrees with a stored one: both are NaN, or they are equal, or near enough.
    pub(crate) fn accepts(self, got: f64, want: f64) -> bool {
        let near = || (got - want).abs() <= self.absolute + self.relative * want.abs();
        // Near infinity, everything would be within an infinite tolerance.
        let same = got == want || want.is_nan() && (got.is_nan() || self.nan == Nan::IsNoAnswer);
        same || want.is_finite() && near()
    }
}

/// What is wrong with numbers, if anything.
pub(crate) fn floats(
    what: &str,
    got: &Tensor<f64>,
    want: &Tensor<f64>,
    tolerance: Tolerance,
) -> Option<String> {
    compare(what, got, want, |got, want| tolerance.accepts(got, want))
}

/// What is wrong with what must be equal, if anything.
pub(crate) fn exact<T: Element>(what: &str, got: &Tensor<T>, want: &Tensor<T>) -> Option<String> {
    compare(what, got, want, |got, want| got == want)
}

fn compare<T: Element>(
    what: &str,
    got: &Tensor<T>,
    want: &Tensor<T>,
    agree: impl Fn(T, T) -> bool,
) -> Option<String> {
    if got.shape() != want.shape() {
        return Some(format!("{what}: got shape {:?}, want {:?}", got.shape(), want.shape()));
    }
    let mut wrong = got.iter().zip(want.iter()).enumerate().filter(|&(_, (got, want))| !agree(got, want));
    let (place, (first, wanted)) = wrong.next()?;
    let more = match wrong.count() {
        0 => String::new(),
        more => format!(" ({more} more)"),
    };
    Some(format!("{what}{:?}: got {first:?}, want {wanted:?}{more}", index(place, got.shape())))
}

/// The index of an element in logical order.
fn index(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let i = place % size;
            place /= size;
            i
        })
        .collect();
    index.reverse();
    index
}

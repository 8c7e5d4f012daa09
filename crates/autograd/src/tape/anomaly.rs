//! The words of [`detect_anomaly`](crate::detect_anomaly): which number is not finite, and where it came from.

use gradus_tensor::shapes::place_of;
use gradus_tensor::{Float, Tensor, broadcast_shapes};

use super::node::Node;
use super::operand::OperandValue;
use super::operation::Operation;
use super::watch;

pub(crate) fn is_finite<T: Float>(x: &Tensor<T>) -> bool {
    x.isfinite().all(..).item()
}

/// Panics if a number of a result is NaN, or infinite without an infinity among inputs and attributes. The operation is the
/// one that ran last; those that another one is made of may compute with infinities.
#[track_caller]
pub(super) fn check<T: Float>(operation: &dyn Operation<T>, inputs: &[OperandValue<T>], value: &Tensor<T>) {
    if is_finite(value) {
        return;
    }
    let (place, is_nested) = watch::last_in_words();
    if is_nested || has_infinite_attribute(operation) {
        return;
    }
    let numbers: Vec<(usize, &Tensor<T>)> = inputs
        .iter()
        .enumerate()
        .filter_map(|(i, input)| match input {
            OperandValue::Number(x) => Some((i, *x)),
            _ => None,
        })
        .collect();
    let any = |is: fn(&T) -> bool| numbers.iter().find(|(_, x)| x.iter().any(|x| is(&x)));
    let is_nan = value.iter().any(T::is_nan);
    let given = any(|x| x.is_nan()).map(|found| ("NaN", found));
    let given = given.or_else(|| any(|x| !x.is_finite()).map(|found| ("infinite", found)));
    if !is_nan && given.is_some() {
        return;
    }
    let is_culprit = |x: &T| if is_nan { x.is_nan() } else { !x.is_finite() };
    let flat = value.iter().position(|x| is_culprit(&x)).expect("a number is not finite");
    let number = value.iter().nth(flat).expect("it was found there").to_f64();
    let origin = match given {
        None => {
            let same = |(i, x): &(usize, &Tensor<T>)| {
                let fits =
                    broadcast_shapes("", x.shape(), value.shape()).is_ok_and(|s| s[..] == *value.shape());
                fits.then(|| {
                    format!("input {i} is {}", x.expand(value.shape()).iter().nth(flat).expect("it fits"))
                })
            };
            let there: Vec<String> = numbers.iter().filter_map(same).collect();
            if there.is_empty() {
                "from finite inputs".to_string()
            } else {
                format!("from finite inputs; there {}", there.join(" and "))
            }
        }
        Some((kind, (i, x))) => {
            let flat = x.iter().position(|x| if kind == "NaN" { x.is_nan() } else { !x.is_finite() });
            let place = place_of(flat.expect("it was found"), x.shape());
            format!("as element {place:?} of input {i} was {kind} already")
        }
    };
    panic!(
        "forward: element {:?} of the result of `{}` is {number}, {origin}; `{}` was called at {place}",
        place_of(flat, value.shape()),
        operation.name(),
        operation.name(),
    );
}

/// Whether an infinity is meant so: it is an attribute, as of `masked_fill`.
fn has_infinite_attribute<T: Float>(operation: &dyn Operation<T>) -> bool {
    let text = format!("{operation:?}");
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "inf" | "NaN"))
}

/// The end of a message about the gradient of a node: the call in the forward pass.
pub(crate) fn call_of<T: Float>(node: &Node<T>) -> String {
    let Some(place) = &node.place else { return String::new() };
    format!("; `{}` was called at {}", node.name(), watch::in_words(place))
}

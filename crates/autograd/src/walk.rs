//! The walk over the tape: from the result back to its origins, deepest entry first.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::hash_map::Entry as Slot;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use gradus_tensor::{Float, Shape};

use crate::entry::{AddressMap, Entry, address};
use crate::operation::Context;
use crate::var::Var;

/// As many gradients as a small table holds, which most small models need; it grows for others.
const FEW: usize = 14;

/// Entries, which are held so that no others get their addresses, with their gradients.
pub(crate) type Found<T> = AddressMap<usize, (Arc<Entry<T>>, Var<T>)>;

/// What stops a backward pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackwardError {
    #[error(
        "backward: operation `{operation}` has no gradient rule for input {input}; \
         implement `Operation::vjp` for it, or `detach` the input"
    )]
    NoRule { operation: &'static str, input: usize },
    #[error(
        "backward: the rule of operation `{operation}` for input {input} gave a gradient of shape {got:?}, \
         which does not reduce to the input's {expected:?}"
    )]
    RuleShape { operation: &'static str, input: usize, got: Shape, expected: Shape },
}

/// An entry that waits for its turn; the deepest is the greatest.
struct Pending<T: Float>(Arc<Entry<T>>);

impl<T: Float> Ord for Pending<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equally deep ones the last made: contributions then add up in one order, whatever else is walked.
        (self.0.depth, self.0.number).cmp(&(other.0.depth, other.0.number))
    }
}
impl<T: Float> PartialOrd for Pending<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T: Float> PartialEq for Pending<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<T: Float> Eq for Pending<T> {}

/// Hands the finished gradient of every `wanted` entry to `keep`.
///
/// An entry's depth exceeds that of all its inputs, so once it is the deepest one waiting, everything made
/// from it is done and its gradient is complete: the order is that of the tape read backwards, found
/// without sorting it first. Entries are let go as soon as they are done.
///
/// Returns the gradients of the leaves and of what else is `wanted`; behind entries of a depth below `floor`
/// nothing is looked for.
pub(crate) fn walk<T: Float>(
    root: Arc<Entry<T>>,
    cotangent: Var<T>,
    floor: usize,
    wanted: impl Fn(&Arc<Entry<T>>) -> bool,
) -> Result<Found<T>, BackwardError> {
    let leads_on = |entry: &Entry<T>| !entry.is_leaf() && entry.depth > floor;
    // Shared with the rules, which may add to a gradient in place.
    let gradients = RefCell::new(Found::with_capacity_and_hasher(FEW, BuildHasherDefault::new()));
    let mut pending = BinaryHeap::new();
    if leads_on(&root) {
        pending.push(Pending(Arc::clone(&root)));
    }
    gradients.borrow_mut().insert(address(&root), (root, cotangent));
    while let Some(Pending(entry)) = pending.pop() {
        let (_, gradient) =
            gradients.borrow_mut().remove(&address(&entry)).expect("whatever waits has a gradient");
        let operation = entry.operation.as_deref().expect("leaves do not wait");
        let context = Context::new(&entry, &gradient).within(&gradients);
        for (i, input) in entry.inputs.iter().enumerate() {
            let Some(origin) = input.entry.as_ref().filter(|origin| origin.depth >= floor) else {
                continue;
            };
            let contribution = operation
                .vjp(&context, i)
                .ok_or_else(|| BackwardError::NoRule { operation: operation.name(), input: i })?;
            let contribution = reduce_to(contribution, input.value.shape(), operation.name(), i)?;
            let replaces = context.has_taken();
            match gradients.borrow_mut().entry(address(origin)) {
                // The first contribution is moved in, not added to zeros.
                Slot::Vacant(slot) => {
                    slot.insert((Arc::clone(origin), contribution));
                    if leads_on(origin) {
                        pending.push(Pending(Arc::clone(origin)));
                    }
                }
                Slot::Occupied(mut slot) if replaces => slot.get_mut().1 = contribution,
                Slot::Occupied(mut slot) => {
                    let sum = std::mem::replace(&mut slot.get_mut().1, gradient.clone());
                    slot.get_mut().1 = add(sum, contribution);
                }
            }
        }
        if wanted(&entry) {
            gradients.borrow_mut().insert(address(&entry), (entry, gradient));
        }
    }
    Ok(gradients.into_inner())
}

/// The sum of two contributions; in place where that is safe and nothing is recorded.
fn add<T: Float>(sum: Var<T>, contribution: Var<T>) -> Var<T> {
    if sum.is_tracked() || contribution.is_tracked() {
        return sum + contribution;
    }
    let mut total = sum.into_value();
    total += contribution.value();
    total.into()
}

/// Undoes broadcasting: sums over the axes that were added or repeated.
pub(crate) fn reduce_to<T: Float>(
    gradient: Var<T>,
    shape: &[usize],
    operation: &'static str,
    input: usize,
) -> Result<Var<T>, BackwardError> {
    if gradient.shape() == shape {
        return Ok(gradient);
    }
    match gradus_tensor::broadcast_shapes(operation, shape, gradient.shape()) {
        Ok(common) if common[..] == *gradient.shape() => Ok(gradient.sum_to_size(shape)),
        _ => Err(BackwardError::RuleShape {
            operation,
            input,
            got: gradient.shape().into(),
            expected: shape.into(),
        }),
    }
}

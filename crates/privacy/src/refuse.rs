//! Layers by which examples would get into a model past the noise.

use gradus_autograd::{Float, Tensor};
use gradus_nn::{Member, Module, Path};

use crate::error::{PrivacyError, Result};

/// A layer of a model.
struct Seen {
    name: String,
    kind: &'static str,
    is_training: bool,
    has_buffers: bool,
}

/// Refuses layers in training mode that have buffers: batch normalisation, and observers of ranges. The loss gets one example
/// at a time, so that these are the only layers in which examples could meet.
pub(crate) fn check_layers<T: Float>(model: &impl Module<T>) -> Result<()> {
    let root = Seen { name: String::new(), kind: "model", is_training: false, has_buffers: false };
    let mut layers = vec![root];
    model.visit(Path::ROOT, &mut |path, member| {
        let name = path.to_string();
        // The innermost layer around a member is the one with the longest name.
        let is_around = |layer: &&mut Seen| {
            let rest = name.strip_prefix(&*layer.name);
            rest.is_some_and(|rest| layer.name.is_empty() || rest.is_empty() || rest.starts_with('.'))
        };
        let owner = layers.iter_mut().rev().filter(is_around).max_by_key(|layer| layer.name.len());
        let owner = owner.expect("the model is around all");
        match member {
            Member::Mode(training) => owner.is_training |= training,
            Member::Buffer(_) => owner.has_buffers = true,
            Member::Layer(id) => {
                layers.push(Seen { name, kind: id.type_name(), is_training: false, has_buffers: false });
            }
            _ => (),
        }
    });
    match layers.into_iter().find(|layer| layer.is_training && layer.has_buffers) {
        None => Ok(()),
        Some(Seen { name, kind, .. }) => {
            let kind = kind.split('<').next().unwrap_or(kind);
            let kind = kind.rsplit("::").next().unwrap_or(kind).to_string();
            Err(PrivacyError::Layer { name, kind })
        }
    }
}

/// Runs `f`, and refuses it if a buffer of the model has changed; the buffers are then as they were.
pub(crate) fn keep_buffers<T: Float, M: Module<T>, R>(model: &M, f: impl FnOnce() -> R) -> Result<R> {
    let before: Vec<Tensor<T>> =
        model.named_buffers().into_iter().map(|(_, buffer)| buffer.value()).collect();
    let result = f();
    let mut changed = None;
    for ((name, buffer), before) in model.named_buffers().into_iter().zip(before) {
        let same = |x: T, y: T| x == y || x.is_nan() && y.is_nan();
        let after = buffer.value();
        if !before.iter().zip(after.iter()).all(|(x, y)| same(x, y)) {
            buffer.set(before);
            changed.get_or_insert(name);
        }
    }
    match changed {
        None => Ok(result),
        Some(name) => Err(PrivacyError::Buffer { name }),
    }
}

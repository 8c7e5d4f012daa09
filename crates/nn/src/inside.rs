//! Layers as parts of a program that a profile, a summary and the search for anomalies show.

use std::any::type_name;
use std::ptr::from_ref;

use gradus_autograd::watch::{self, Guard, LayerKey};
use gradus_autograd::{Float, Var};

use crate::member::Member;
use crate::module::Module;
use crate::path::Path;

/// The identity of a layer in memory, its address and its type: how a layer that runs is found in its model, whose visitors
/// see it as [`Member::Layer`]. Layers without fields may share an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerId(LayerKey);

impl LayerId {
    /// The identity of a layer.
    pub fn of<L>(layer: &L) -> Self {
        Self((from_ref(layer).addr(), type_name::<L>()))
    }

    /// The type of the layer, with its modules.
    pub fn type_name(&self) -> &'static str {
        self.0.1
    }
}

/// A layer that runs, until this is dropped; made by [`layer_scope`].
#[derive(Debug)]
#[must_use = "the layer runs until this is dropped"]
pub struct LayerScope(Option<Guard>);

impl LayerScope {
    /// Notes the result of the layer, and returns it.
    #[inline]
    pub fn gives<T: Float>(&self, y: Var<T>) -> Var<T> {
        if let Some(guard) = &self.0 {
            guard.gives(y.shape(), y.len() * size_of::<T>());
        }
        y
    }
}

/// Says that a layer runs: until the result is dropped, operations are shown as a part of it. All layers of this crate do so; in
/// the `forward` of a layer of your own, operations between its layers would otherwise belong to whatever is around it.
///
/// While nobody looks, with [`profile`](gradus_autograd::profile), [`summary`](crate::summary) or
/// [`detect_anomaly`](gradus_autograd::detect_anomaly), it tests a flag and does nothing.
///
/// ```standalone_crate
/// use gradus_autograd::{Tensor, Var, profile, seeded};
/// use gradus_nn::{Linear, Module, layer_scope, name_layers};
/// # extern crate gradus_nn as gradus;
///
/// #[derive(Module)]
/// struct Residual {
///     inner: Linear,
/// }
///
/// impl Residual {
///     #[track_caller]
///     fn forward(&self, x: &Var) -> Var {
///         let scope = layer_scope(self);
///         scope.gives(x + self.inner.forward(x).tanh())
///     }
/// }
///
/// let model = vec![Residual { inner: Linear::new(3, 3, &mut seeded(0)) }];
/// let x = Var::constant(Tensor::ones([1, 3]));
/// let (_, profile) = profile(|| {
///     name_layers(&model);
///     model[0].forward(&x)
/// });
/// let ran: Vec<String> = profile.operations().map(|event| format!("{} in {}", event.name, event.path)).collect();
/// assert_eq!(ran, ["linear in 0.inner", "tanh in 0", "add in 0"]);
/// ```
#[inline]
#[track_caller]
pub fn layer_scope<L>(layer: &L) -> LayerScope {
    LayerScope(watch::layer(|| LayerId::of(layer).0, ""))
}

/// [`layer_scope`] of a layer of this crate, whose own lines are of no interest to users.
#[inline]
#[track_caller]
pub(crate) fn open<L>(layer: &L) -> LayerScope {
    LayerScope(watch::layer(|| LayerId::of(layer).0, file!()))
}

/// A scope with a name, for a loss.
#[inline]
#[track_caller]
pub(crate) fn open_named(name: &'static str) -> LayerScope {
    LayerScope(watch::named(name, file!()))
}

/// Makes the paths of the layers of a model known to whoever looks: inside of [`profile`](gradus_autograd::profile) and
/// [`detect_anomaly`](gradus_autograd::detect_anomaly), until its end; elsewhere it does nothing. A step of an optimizer with
/// the model does the same. The model must not move in between: layers are found by their addresses.
///
/// ```should_panic
/// use gradus_autograd::{Var, detect_anomaly, seeded};
/// use gradus_nn::{Linear, Sequential, name_layers};
///
/// let model = Sequential::<f64>::new().push(Linear::new(1, 1, &mut seeded(0))).push_fn(|x| x.log());
/// // forward: element [0, 0] of the result of `log` is NaN, from finite inputs; there input 0 is
/// // -0.35; `log` was called at src/main.rs:4:93, in `1` (Function)
/// detect_anomaly(|| {
///     name_layers(&model);
///     model.forward([[-1.0], [1.0]])
/// });
/// ```
pub fn name_layers<T: Float>(model: &(impl Module<T> + ?Sized)) {
    watch::name_layers(|| {
        let mut named = Vec::new();
        model.visit(Path::ROOT, &mut |path, member| {
            if let Member::Layer(id) = member {
                named.push((id.0, path.to_string()));
            }
        });
        named
    });
}

//! Looking on: which operations and layers run, for how long, and which line of the program called them.
//!
//! Whoever looks, the profiler or the search for anomalies, sets a flag of the thread. While it is not set, an
//! operation tests it and nothing else happens. While it is, running operations and layers are *frames* on a stack.

mod frames;
mod scopes;

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gradus_tensor::{Float, Shape};

pub use self::frames::Guard;
use self::frames::WATCH;
pub(crate) use self::frames::{collect, until_the_last};
pub(crate) use self::scopes::Place;
use self::scopes::{Name, Path, Scope, home_of, short};
use super::mode;
use super::node::Node;
use super::operation::Operation;

/// The address and the type of a layer; only the paths of a model tell more.
pub type LayerKey = (usize, &'static str);

/// The kind of a part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// An operation computes its result.
    Forward,
    /// A rule computes gradients; operations that it is made of belong to this phase, too.
    Backward,
    /// An optimizer changes parameters, or gradients are clipped.
    Update,
    /// A layer or a named scope, with all that runs in it.
    Scope,
}

/// An operation, its gradient, a step of an optimizer or a scope that ran in [`profile`](crate::profile).
#[derive(Debug, Clone)]
pub struct Event {
    /// What it did.
    pub phase: Phase,
    /// The name of the operation or of the scope; of a layer its type.
    pub name: Cow<'static, str>,
    /// The path of the layer in its model, such as `encoder.0.attention`; empty outside of layers.
    pub path: Arc<str>,
    /// The time since the beginning of the profile.
    pub start: Duration,
    /// The time it took.
    pub total: Duration,
    /// The time it took without operations inside of it.
    pub own: Duration,
    /// The number of events around it.
    pub depth: usize,
    /// Whether there are no operations around it.
    pub is_outermost: bool,
    /// The shapes of the inputs.
    pub inputs: Vec<Shape>,
    /// The shape of the result.
    pub output: Option<Shape>,
    /// The number of bytes of the result.
    pub bytes: usize,
    /// The number of multiplications, each with an addition; see
    /// [`Operation::multiply_adds`](crate::Operation::multiply_adds).
    pub multiply_adds: u64,
    /// The line of the program that called it.
    pub line: &'static Location<'static>,
    pub(crate) scope: Option<Arc<Scope>>,
    started: Instant,
}

/// Shapes and sizes of an operation, of which a frame does not know.
#[derive(Debug, Default)]
pub(crate) struct Details {
    pub(crate) inputs: Vec<Shape>,
    pub(crate) output: Option<Shape>,
    pub(crate) bytes: usize,
    pub(crate) multiply_adds: u64,
}

/// Opens a frame for an operation.
#[cold]
#[track_caller]
pub(crate) fn operation(name: &'static str) -> Guard {
    let line = Location::caller();
    WATCH.with_borrow_mut(|watch| {
        let scope = watch.frames.last().and_then(|frame| frame.scope.clone());
        let place = Place { scope, line: watch.users_line(line) };
        watch.open(Phase::Forward, name.into(), place)
    })
}

/// Opens a frame for an operation, if somebody looks on.
#[inline]
#[track_caller]
pub(crate) fn begin(name: impl FnOnce() -> &'static str) -> Option<Guard> {
    if mode::is_watching() { Some(operation(name())) } else { None }
}

/// Opens a frame for the gradient rule of a node, if somebody looks on.
#[inline]
pub(crate) fn begin_rule<T: Float>(operation: &Arc<dyn Operation<T>>, node: &Node<T>) -> Option<Guard> {
    if mode::is_watching() { Some(rule(operation.name(), node.place.as_deref())) } else { None }
}

#[cold]
fn rule(name: &'static str, place: Option<&Place>) -> Guard {
    let here = Place { scope: None, line: Location::caller() };
    WATCH.with_borrow_mut(|watch| watch.open(Phase::Backward, name.into(), place.cloned().unwrap_or(here)))
}

/// Opens a frame for a change of parameters or gradients, if somebody looks on.
/// It has the name of a function or of a type.
#[doc(hidden)]
#[inline]
#[track_caller]
pub fn update(name: &'static str) -> Option<Guard> {
    if mode::is_watching() { Some(open_update(name)) } else { None }
}

#[cold]
#[track_caller]
fn open_update(name: &'static str) -> Guard {
    let place = Place { scope: None, line: Location::caller() };
    WATCH.with_borrow_mut(|watch| watch.open(Phase::Update, short(name).into(), place))
}

/// Opens the scope of a layer in a file of a library, if somebody looks on.
#[doc(hidden)]
#[inline]
#[track_caller]
pub fn layer(key: impl FnOnce() -> LayerKey, file: &'static str) -> Option<Guard> {
    if !mode::is_watching() {
        return None;
    }
    Some(open_scope(Name::Layer(key()), file))
}

/// Opens a scope with a name in a file of a library, if somebody looks on.
#[doc(hidden)]
#[inline]
#[track_caller]
pub fn named(name: &'static str, file: &'static str) -> Option<Guard> {
    if !mode::is_watching() {
        return None;
    }
    Some(open_scope(Name::Given(name.into()), file))
}

#[cold]
#[track_caller]
fn open_scope(name: Name, file: &'static str) -> Guard {
    let line = Location::caller();
    WATCH.with_borrow_mut(|watch| {
        watch.open_scope(name, line, if file.is_empty() { "" } else { home_of(file) })
    })
}

/// Runs `f` as a part of the program with a name, under which a [`profile`](crate::profile) shows what runs in it.
/// Layers are such parts by themselves.
///
/// ```
/// use gradus_autograd::{Tensor, Var, profile, scope};
///
/// let x = Var::leaf(Tensor::from([1.0, 2.0]));
/// let (_, profile) = profile(|| scope("encode", || x.exp()).sum(..));
/// let paths: Vec<(&str, &str)> = profile.operations().map(|event| (&*event.name, &*event.path)).collect();
/// assert_eq!(paths, [("exp", "encode"), ("sum", "")]);
/// ```
#[track_caller]
pub fn scope<R>(name: &str, f: impl FnOnce() -> R) -> R {
    // A closure would hide the caller's line.
    let _scope =
        if mode::is_watching() { Some(open_scope(Name::Given(name.to_string().into()), "")) } else { None };
    f()
}

/// Makes the paths of layers known until nobody looks on any more.
#[doc(hidden)]
pub fn name_layers(named: impl FnOnce() -> Vec<(LayerKey, String)>) {
    if !mode::is_watching() {
        return;
    }
    let mut paths: HashMap<LayerKey, Vec<String>> = HashMap::new();
    for (key, path) in named() {
        paths.entry(key).or_default().push(path);
    }
    WATCH.with_borrow_mut(|watch| watch.paths.extend(paths));
}

/// The place of the operation that ran last, for the node that it becomes.
#[cold]
pub(crate) fn last_place() -> Option<Box<Place>> {
    WATCH.with_borrow_mut(|watch| watch.last.take()).map(Box::new)
}

/// The place of the operation that ran last, in words; and whether it ran inside of another one.
pub(crate) fn last_in_words() -> (String, bool) {
    WATCH.with_borrow(|watch| {
        let is_nested = watch.frames.iter().any(|frame| frame.phase != Phase::Scope);
        (watch.last.as_ref().map_or(String::new(), in_words), is_nested)
    })
}

/// The line and the layer: `src/main.rs:12:9, in the layer `encoder.0` (Linear)`.
pub(crate) fn in_words(place: &Place) -> String {
    let path = WATCH.with_borrow(|watch| Path::of(place.scope.as_deref(), &watch.paths).to_string());
    let layer = match place.scope.as_deref().map(|scope| &scope.name) {
        None => String::new(),
        Some(Name::Layer((_, name))) if path.is_empty() || path.ends_with(short(name)) => {
            format!(", in `{}`", if path.is_empty() { short(name) } else { &path })
        }
        Some(Name::Layer((_, name))) => format!(", in `{path}` ({})", short(name)),
        Some(Name::Given(_)) => format!(", in `{path}`"),
    };
    format!("{}{layer}", place.line)
}

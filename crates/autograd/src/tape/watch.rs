//! Looking on: which operations and layers run, for how long, and which line of the program called them.
//!
//! Whoever looks, the profiler or the search for anomalies, sets a flag of the thread. While it is not set, an
//! operation tests it and nothing else happens. While it is, running operations and layers are *frames* on a stack.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gradus_tensor::{CountedFor, Float, Shape};

use super::mode;
use super::node::Node;
use super::operation::Operation;

/// A part of a program that is open while it runs: a layer, or what was named by [`scope`].
#[derive(Debug)]
pub(crate) struct Scope {
    parent: Option<Arc<Scope>>,
    name: Name,
    /// The number of scopes of the same name that were opened before in the same run of the parent.
    ordinal: usize,
    /// The sources of the library that it belongs to; empty for a user's own.
    home: &'static str,
}

/// The name of a [`Scope`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Given(Cow<'static, str>),
    /// The address and the type of a layer.
    Layer(LayerKey),
}

/// The address and the type of a layer; only the paths of a model tell more.
pub type LayerKey = (usize, &'static str);

/// Where a node of the tape was made.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) scope: Option<Arc<Scope>>,
    pub(crate) line: &'static Location<'static>,
}

/// What a part of a step does.
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
    /// Whether an event around it has the same name and phase.
    pub is_repeated: bool,
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

/// Something that runs.
struct Frame {
    phase: Phase,
    name: Cow<'static, str>,
    scope: Option<Arc<Scope>>,
    line: &'static Location<'static>,
    started: Instant,
    /// The time of the end, if it is not that of closing.
    ended: Option<Instant>,
    /// The time of operations inside.
    nested: Duration,
    details: Details,
    /// Memory is counted for the operation while it runs.
    _counted: Option<CountedFor>,
    /// The scopes that were opened inside, with their number.
    opened: HashMap<Name, usize>,
}

#[derive(Default)]
struct Watch {
    frames: Vec<Frame>,
    events: Vec<Event>,
    /// The number of profiles that collect events.
    profiles: usize,
    /// The paths of each layer; several for layers without fields at one address.
    paths: HashMap<LayerKey, Vec<String>>,
    opened: HashMap<Name, usize>,
    /// The place of the operation that ran last, for its node.
    last: Option<Place>,
    /// Guards of an earlier watch close nothing.
    epoch: u64,
}

thread_local! {
    static WATCH: RefCell<Watch> = RefCell::default();
}

/// The folder of the sources that a file is in.
fn home_of(file: &str) -> &str {
    file.rfind("src").map_or(file, |end| &file[..end])
}

impl Watch {
    /// The line of the user's program that led to a line: not in a library whose scope is open.
    fn users_line(&self, line: &'static Location<'static>) -> &'static Location<'static> {
        let own = home_of(file!());
        let is_users = |line: &Location, scope: &Option<Arc<Scope>>| {
            let home = scope.as_ref().map_or("", |scope| scope.home);
            !line.file().starts_with(own) && (home.is_empty() || !line.file().starts_with(home))
        };
        let innermost = self.frames.last().and_then(|frame| frame.scope.clone());
        if is_users(line, &innermost) {
            return line;
        }
        let around = |frame: &&Frame| is_users(frame.line, &innermost);
        self.frames.iter().rev().find(around).map_or(line, |frame| frame.line)
    }

    fn open(&mut self, phase: Phase, name: Cow<'static, str>, place: Place) -> Guard {
        // What runs inside of a rule or a step is a part of it.
        let around = self.frames.iter().rev().map(|frame| frame.phase).find(|phase| *phase != Phase::Scope);
        let phase = match (phase, around) {
            (Phase::Forward, Some(around)) => around,
            _ => phase,
        };
        let counted = match &name {
            Cow::Borrowed(name) if phase != Phase::Scope => {
                Some(CountedFor::new(name, phase == Phase::Backward, Some(place.line)))
            }
            _ => None,
        };
        self.frames.push(Frame {
            _counted: counted,
            phase,
            name,
            scope: place.scope,
            line: place.line,
            started: Instant::now(),
            ended: None,
            nested: Duration::ZERO,
            details: Details::default(),
            opened: HashMap::new(),
        });
        Guard { place: self.frames.len() - 1, epoch: self.epoch, closes: true, of_one_thread: PhantomData }
    }

    fn open_scope(&mut self, name: Name, line: &'static Location<'static>, home: &'static str) -> Guard {
        let parent = self.frames.last().and_then(|frame| frame.scope.clone());
        if let (Name::Layer(_), Some(frame), Some(scope)) = (&name, self.frames.last(), &parent)
            && frame.phase == Phase::Scope
            && scope.name == name
        {
            // A method of a layer that calls another one.
            let place = self.frames.len() - 1;
            return Guard { place, epoch: self.epoch, closes: false, of_one_thread: PhantomData };
        }
        let opened = self.frames.last_mut().map_or(&mut self.opened, |frame| &mut frame.opened);
        let count = opened.entry(name.clone()).or_default();
        let ordinal = *count;
        *count += 1;
        let shown = match &name {
            Name::Given(name) => name.clone(),
            Name::Layer((_, name)) => Cow::Borrowed(short(name)),
        };
        let line = self.users_line(line);
        let scope = Some(Arc::new(Scope { parent, name, ordinal, home }));
        self.open(Phase::Scope, shown, Place { scope, line })
    }

    fn close(&mut self, place: usize) {
        self.frames.truncate(place + 1);
        let Some(frame) = self.frames.pop() else { return };
        let total = frame.ended.unwrap_or_else(Instant::now) - frame.started;
        let is_scope = frame.phase == Phase::Scope;
        if let Some(around) = self.frames.last_mut() {
            around.nested += if is_scope { frame.nested } else { total };
        }
        self.last = Some(Place { scope: frame.scope.clone(), line: frame.line });
        if self.profiles > 0 {
            let same = |around: &Frame| around.name == frame.name && around.phase == frame.phase;
            let Details { inputs, output, bytes, multiply_adds } = frame.details;
            self.events.push(Event {
                phase: frame.phase,
                is_repeated: self.frames.iter().any(same),
                is_outermost: self.frames.iter().all(|frame| frame.phase == Phase::Scope),
                name: frame.name,
                path: Arc::from(""),
                start: Duration::ZERO,
                total,
                own: total.saturating_sub(frame.nested),
                depth: self.frames.len(),
                inputs,
                output,
                bytes,
                multiply_adds,
                line: frame.line,
                scope: frame.scope,
                started: frame.started,
            });
        }
    }

    /// The path of a scope, which may be empty; the parts of the path that are not of layers with a known place come
    /// first.
    fn path(&self, scope: Option<&Scope>) -> Path {
        let Some(scope) = scope else { return Path::default() };
        let parent = self.path(scope.parent.as_deref());
        let paths = match &scope.name {
            Name::Given(_) => None,
            Name::Layer(key) => self.paths.get(key),
        };
        let inside = |path: &&String| {
            parent.layer.is_empty()
                || path
                    .strip_prefix(&*parent.layer)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let candidates: Vec<&String> = paths.into_iter().flatten().filter(inside).collect();
        if let Some(&layer) = candidates.get(scope.ordinal % candidates.len().max(1)) {
            return Path { front: parent.front, layer: layer.clone() };
        }
        let name = match &scope.name {
            Name::Given(name) => name,
            Name::Layer((_, name)) => short(name),
        };
        Path { front: join(&parent.to_string(), name), layer: String::new() }
    }
}

/// The path of a scope.
#[derive(Default)]
struct Path {
    /// Scopes that were given a name, and layers of an unknown place.
    front: String,
    /// The place in the model; empty for the model itself.
    layer: String,
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&join(&self.front, &self.layer))
    }
}

fn join(front: &str, name: &str) -> String {
    match (front, name) {
        ("", name) | (name, "") => name.to_string(),
        _ => format!("{front} > {name}"),
    }
}

/// The name of a type without its modules and parameters.
#[doc(hidden)]
pub fn short(name: &'static str) -> &'static str {
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

/// Closes a frame when dropped.
#[derive(Debug)]
#[must_use]
pub struct Guard {
    place: usize,
    epoch: u64,
    closes: bool,
    of_one_thread: PhantomData<*const ()>,
}

impl Guard {
    /// Whether there is a frame to close.
    fn is_open(&self, watch: &Watch) -> bool {
        self.epoch == watch.epoch && self.place < watch.frames.len()
    }

    /// Stops the clock, notes shapes and sizes, and closes the frame.
    pub(crate) fn finish(self, details: impl FnOnce() -> Details) {
        let now = Instant::now();
        let details = if WATCH.with_borrow(|watch| watch.profiles > 0) { Some(details()) } else { None };
        WATCH.with_borrow_mut(|watch| {
            if self.is_open(watch) {
                let frame = &mut watch.frames[self.place];
                frame.details = details.unwrap_or_default();
                frame.ended = Some(now);
            }
        });
    }

    /// Notes the result of a layer.
    #[doc(hidden)]
    pub fn gives(&self, shape: &[usize], bytes: usize) {
        WATCH.with_borrow_mut(|watch| {
            if self.is_open(watch) {
                let details = &mut watch.frames[self.place].details;
                (details.output, details.bytes) = (Some(shape.into()), bytes);
            }
        });
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.closes {
            WATCH.with_borrow_mut(|watch| {
                if self.is_open(watch) {
                    watch.close(self.place);
                }
            });
        }
    }
}

/// Runs `f`, and forgets everything afterwards, also after a panic, unless somebody else still looks on.
pub(super) fn until_the_last<R>(is_watched: bool, f: impl FnOnce() -> R) -> R {
    struct Forget(bool);
    impl Drop for Forget {
        fn drop(&mut self) {
            if !self.0 {
                WATCH.with_borrow_mut(|watch| *watch = Watch { epoch: watch.epoch + 1, ..Watch::default() });
            }
        }
    }
    let _forget = Forget(is_watched);
    f()
}

/// Runs `f`, and returns the events in it besides its result.
pub(crate) fn collect<R>(f: impl FnOnce() -> R) -> (R, Vec<Event>, Duration) {
    mode::with_watching(|| {
        let first = WATCH.with_borrow_mut(|watch| {
            watch.profiles += 1;
            watch.events.len()
        });
        let started = Instant::now();
        let result = f();
        let total = started.elapsed();
        let events = WATCH.with_borrow_mut(|watch| {
            watch.profiles -= 1;
            let mut events = watch.events[first..].to_vec();
            let mut paths: HashMap<*const Scope, Arc<str>> = HashMap::new();
            for event in &mut events {
                let Some(scope) = &event.scope else { continue };
                let path = paths.entry(Arc::as_ptr(scope));
                event.path = Arc::clone(path.or_insert_with(|| watch.path(Some(scope)).to_string().into()));
                event.start = event.started.saturating_duration_since(started);
            }
            events
        });
        (result, events, total)
    })
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
#[doc(hidden)]
#[track_caller]
pub fn update(name: &'static str) -> Option<Guard> {
    let place = Place { scope: None, line: Location::caller() };
    mode::is_watching().then(|| WATCH.with_borrow_mut(|watch| watch.open(Phase::Update, name.into(), place)))
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
    let _scope = mode::is_watching().then(|| open_scope(Name::Given(name.to_string().into()), ""));
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
pub(super) fn last_place() -> Option<Box<Place>> {
    WATCH.with_borrow_mut(|watch| watch.last.take()).map(Box::new)
}

/// The place of the operation that ran last, in words; and whether it ran inside of another one.
pub(super) fn last_in_words() -> (String, bool) {
    WATCH.with_borrow(|watch| {
        let is_nested = watch.frames.iter().any(|frame| frame.phase != Phase::Scope);
        (watch.last.as_ref().map_or(String::new(), in_words), is_nested)
    })
}

/// The line and the layer: `src/main.rs:12:9, in the layer `encoder.0` (Linear)`.
pub(crate) fn in_words(place: &Place) -> String {
    let path = WATCH.with_borrow(|watch| watch.path(place.scope.as_deref()).to_string());
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

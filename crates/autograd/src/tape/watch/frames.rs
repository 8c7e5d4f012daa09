//! The stack of what runs.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gradus_tensor::CountedFor;

use super::scopes::{Name, Path, Place, Scope, home_of, short};
use super::{Details, Event, LayerKey, Phase};
use crate::tape::mode;

/// Something that runs.
pub(super) struct Frame {
    pub(super) phase: Phase,
    name: Cow<'static, str>,
    pub(super) scope: Option<Arc<Scope>>,
    line: &'static Location<'static>,
    started: Instant,
    /// The end, if it came before the frame is closed.
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
pub(super) struct Watch {
    pub(super) frames: Vec<Frame>,
    events: Vec<Event>,
    /// The number of profiles that collect events.
    profiles: usize,
    /// The paths of each layer; several for layers without fields at one address.
    pub(super) paths: HashMap<LayerKey, Vec<String>>,
    opened: HashMap<Name, usize>,
    /// The place of the operation that ran last, for its node.
    pub(super) last: Option<Place>,
    /// Guards of an earlier watch close nothing.
    epoch: u64,
}

thread_local! {
    pub(super) static WATCH: RefCell<Watch> = RefCell::default();
}

impl Watch {
    /// The line of the user's program that led to a line: not in a library whose scope is open.
    pub(super) fn users_line(&self, line: &'static Location<'static>) -> &'static Location<'static> {
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

    pub(super) fn open(&mut self, phase: Phase, name: Cow<'static, str>, place: Place) -> Guard {
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

    pub(super) fn open_scope(
        &mut self,
        name: Name,
        line: &'static Location<'static>,
        home: &'static str,
    ) -> Guard {
        let parent = self.frames.last().and_then(|frame| frame.scope.clone());
        if let (Name::Layer(_), Some(frame), Some(scope)) = (&name, self.frames.last(), &parent)
            && frame.phase == Phase::Scope
            && scope.name == name
        {
            // A method of a layer that calls another one.
            let place = self.frames.len() - 1;
            return Guard { place, epoch: self.epoch, closes: false, of_one_thread: PhantomData };
        }
        let is_layer = |frame: &Frame| {
            let name = frame.scope.as_ref().map(|scope| &scope.name);
            frame.phase == Phase::Scope && matches!(name, Some(Name::Layer(_)))
        };
        let layer = self.frames.iter().rfind(|frame| is_layer(frame));
        let ordinal = layer.map_or(&self.opened, |frame| &frame.opened).get(&name).copied().unwrap_or(0);
        for opened in self.frames.iter_mut().map(|frame| &mut frame.opened).chain([&mut self.opened]) {
            *opened.entry(name.clone()).or_default() += 1;
        }
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
            let Details { inputs, output, bytes, multiply_adds } = frame.details;
            self.events.push(Event {
                phase: frame.phase,
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
pub(crate) fn until_the_last<R>(is_watched: bool, f: impl FnOnce() -> R) -> R {
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

/// The events of a profile are collected until this is dropped.
struct Collecting;

impl Collecting {
    /// With the number of events before.
    fn start() -> (Self, usize) {
        let before = WATCH.with_borrow_mut(|watch| {
            watch.profiles += 1;
            watch.events.len()
        });
        (Self, before)
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        WATCH.with_borrow_mut(|watch| {
            watch.profiles = watch.profiles.saturating_sub(1);
            if watch.profiles == 0 {
                watch.events.clear();
            }
        });
    }
}

/// Runs `f`, and returns the events in it besides its result.
pub(crate) fn collect<R>(f: impl FnOnce() -> R) -> (R, Vec<Event>, Duration) {
    mode::with_watching(|| {
        let (_collecting, before) = Collecting::start();
        let started = Instant::now();
        let result = f();
        let total = started.elapsed();
        let mut events = WATCH.with_borrow(|watch| watch.events[before..].to_vec());
        let mut paths: HashMap<*const Scope, Arc<str>> = HashMap::new();
        for event in &mut events {
            event.start = event.started.saturating_duration_since(started);
            let Some(scope) = &event.scope else { continue };
            let path = || WATCH.with_borrow(|watch| Path::of(Some(scope), &watch.paths).to_string().into());
            event.path = Arc::clone(paths.entry(Arc::as_ptr(scope)).or_insert_with(path));
        }
        (result, events, total)
    })
}

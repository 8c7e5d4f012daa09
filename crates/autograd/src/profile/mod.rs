//! The profile of a step: which operations ran, for how long, in which layers.

mod flame;
mod table;
mod trace;

use std::collections::HashMap;
use std::time::Duration;

use crate::tape::watch::collect;
use crate::tape::{Event, Phase};

/// Runs `f`, a step of training for example, and measures every operation in it, forward and backward, and every step of
/// an optimizer. Returns the result of `f` and the [`Profile`], which prints itself as tables.
///
/// Measured is what this thread does. Layers of `gradus-nn` are shown under their paths in the model if an optimizer has made a
/// step with the model inside of `f`, or `name_layers` was called there; under their types otherwise, as always inside of
/// `checkpoint_layer`. Two models that run in one `f` are kept apart by a [`scope`](crate::scope) for each. Measuring
/// costs about a microsecond an operation; outside of `profile`, operations test a flag.
///
/// ```
/// use gradus_autograd::{Tensor, Var, profile};
///
/// let w = Var::leaf(Tensor::<f32>::ones([64, 64]));
/// let (gradients, profile) = profile(|| w.matmul(&w).tanh().sum(..).backward());
/// assert!(gradients.get(&w).is_some());
/// let mut names: Vec<&str> = profile.operations().map(|event| &*event.name).collect();
/// names.truncate(3);
/// assert_eq!(names, ["matmul", "tanh", "sum"]);
/// println!("{profile}");
/// # let folder = std::env::temp_dir();
/// std::fs::write(folder.join("trace.json"), profile.to_chrome_trace())?; // for chrome://tracing or ui.perfetto.dev
/// std::fs::write(folder.join("flame.svg"), profile.to_flame_svg())?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn profile<R>(f: impl FnOnce() -> R) -> (R, Profile) {
    let (result, mut events, total) = collect(f);
    events.sort_by_key(|event| (event.start, event.depth));
    (result, Profile { events, total })
}

/// The operations and scopes that ran in [`profile`].
#[derive(Debug, Clone)]
pub struct Profile {
    events: Vec<Event>,
    total: Duration,
}

/// A row of a table of a [`Profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRow {
    /// The operation, the path of the layer or the line of the program.
    pub name: String,
    /// What was done, unless the row is of all phases.
    pub phase: Option<Phase>,
    /// The number of times.
    pub count: usize,
    /// The time without operations inside of others, which have rows of their own: these times add up to the time of all
    /// operations.
    pub own: Duration,
    /// The time with operations inside, such as the products in the gradient rule of a dense layer.
    pub total: Duration,
    /// The number of bytes of the results.
    pub bytes: usize,
    /// The number of multiplications with an addition.
    pub multiply_adds: u64,
}

impl Profile {
    /// The time that all took.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// The time in none of the operations: the program itself, the bookkeeping of the tape, and measuring.
    pub fn outside(&self) -> Duration {
        self.total.saturating_sub(self.operations().map(|event| event.own).sum())
    }

    /// Operations, gradients, steps and scopes in the order in which they began.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The same without scopes.
    pub fn operations(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| event.phase != Phase::Scope)
    }

    /// The number of multiplications with an addition.
    pub fn multiply_adds(&self) -> u64 {
        self.operations().map(|event| event.multiply_adds).sum()
    }

    /// A row for each operation and phase, the longest time first. An operation that the gradient rule of another one is made
    /// of has the phase of the rule.
    pub fn by_operation(&self) -> Vec<ProfileRow> {
        self.rows(|event| (event.name.to_string(), Some(event.phase)))
    }

    /// A row for each layer and phase, the longest time first; the name is empty for whatever runs outside of layers, and
    /// what runs in a layer inside of another one counts for the inner one.
    pub fn by_layer(&self) -> Vec<ProfileRow> {
        self.rows(|event| (event.path.to_string(), Some(event.phase)))
    }

    /// A row for each line of the program that called operations, the longest time first.
    pub fn by_line(&self) -> Vec<ProfileRow> {
        self.rows(|event| (event.line.to_string(), None))
    }

    fn rows(&self, key: impl Fn(&Event) -> (String, Option<Phase>)) -> Vec<ProfileRow> {
        let mut places: HashMap<(String, Option<Phase>), usize> = HashMap::new();
        let mut rows: Vec<ProfileRow> = Vec::new();
        // The depths and rows of the operations around an event, whose time a row counts once.
        let mut around: Vec<(usize, usize)> = Vec::new();
        for event in &self.events {
            around.retain(|&(depth, _)| depth < event.depth);
            if event.phase == Phase::Scope {
                continue;
            }
            let key = key(event);
            let place = *places.entry(key.clone()).or_insert(rows.len());
            if place == rows.len() {
                let (name, phase) = key;
                let zero = Duration::ZERO;
                rows.push(ProfileRow {
                    name,
                    phase,
                    count: 0,
                    own: zero,
                    total: zero,
                    bytes: 0,
                    multiply_adds: 0,
                });
            }
            let row = &mut rows[place];
            row.count += 1;
            row.own += event.own;
            if around.iter().all(|&(_, row)| row != place) {
                row.total += event.total;
            }
            around.push((event.depth, place));
            row.bytes += event.bytes;
            row.multiply_adds += event.multiply_adds;
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.own));
        rows
    }
}

//! How far a run is.

use std::fmt::{self, Debug, Formatter, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar in the terminal, or lines of text at intervals where the standard error is not a terminal.
///
/// It goes around any iterator, and shows how many steps are done and how long the others will take; the body of the loop
/// may [report](Self::report) numbers and samples. Clones share the bar.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::train::Progress;
///
/// let progress = Progress::new().label("epoch 1");
/// for batch in progress.over([[0.0, 1.0], [2.0, 3.0]]) {
///     let loss = batch[0] + batch[1];
///     progress.report(batch.len(), &[("loss", loss)]);
/// }
/// ```
#[derive(Clone)]
pub struct Progress(Arc<Mutex<Shown>>);

struct Shown {
    place: Place,
    label: String,
    /// The time between two lines.
    every: Duration,
    /// When the text was shown last.
    last: Instant,
    start: Instant,
    done: usize,
    steps: Option<usize>,
    samples: usize,
    values: String,
}

enum Place {
    Bar(ProgressBar),
    Lines(Box<dyn Write + Send>),
}

/// A bar is drawn no more often than this.
const FRAME: Duration = Duration::from_millis(50);

impl Progress {
    /// On the standard error: a bar in a terminal, and otherwise a line every 10 seconds and at the end.
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        if bar.is_hidden() {
            return Self::lines(io::stderr());
        }
        let style = ProgressStyle::with_template("{bar:32.cyan/dim} {msg}");
        let style = style.expect("the template is right").progress_chars("━━─");
        Self::at(Place::Bar(bar.with_style(style)), FRAME)
    }

    /// Lines of text to a writer, one every 10 seconds and at the end.
    pub fn lines(writer: impl Write + Send + 'static) -> Self {
        Self::at(Place::Lines(Box::new(writer)), Duration::from_secs(10))
    }

    fn at(place: Place, every: Duration) -> Self {
        let (now, label, values) = (Instant::now(), String::new(), String::new());
        let shown =
            Shown { place, label, every, last: now, start: now, done: 0, steps: None, samples: 0, values };
        Self(Arc::new(Mutex::new(shown)))
    }

    /// Sets the time between two lines of text; a bar does not mind.
    #[must_use]
    pub fn every(self, interval: Duration) -> Self {
        let mut shown = self.shown();
        if let Place::Lines(_) = shown.place {
            shown.every = interval;
        }
        drop(shown);
        self
    }

    /// Sets the text before the numbers.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        self.set_label(label);
        self
    }

    /// Changes the text before the numbers.
    pub fn set_label(&self, label: impl Into<String>) {
        self.shown().label = label.into();
    }

    pub(crate) fn current_label(&self) -> String {
        self.shown().label.clone()
    }

    /// The items, each of which is a step that is done when the next is asked for.
    pub fn over<I: IntoIterator>(&self, items: I) -> Steps<I::IntoIter> {
        let mut steps = self.over_silently(items);
        steps.says_end = true;
        steps
    }

    /// As [`over`](Self::over), without a text that stays.
    pub(crate) fn over_silently<I: IntoIterator>(&self, items: I) -> Steps<I::IntoIter> {
        let items = items.into_iter();
        let steps = match items.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        };
        self.shown().begin(steps);
        Steps { items, progress: self.clone(), running: false, says_end: false }
    }

    /// A function that shows how many of all steps are done, for work that is not a loop of the caller's: it takes these two
    /// numbers after each step.
    ///
    /// ```
    /// # mod gradus { pub mod train { pub use gradus_train::*; } }
    /// use gradus::train::Progress;
    ///
    /// let tell = Progress::new().label("occlusion").counter();
    /// for done in 1..=100 {
    ///     tell(done, 100);
    /// }
    /// ```
    pub fn counter(&self) -> impl Fn(usize, usize) + Send + Sync + 'static {
        let progress = self.clone();
        move |done, steps| {
            let mut shown = progress.shown();
            if shown.steps != Some(steps) || done < shown.done {
                shown.begin(Some(steps));
            }
            shown.done = done;
            if done < steps {
                shown.show();
            } else {
                shown.end(true);
                shown.steps = None;
            }
        }
    }

    /// Sets the numbers to show, and adds samples to those that were seen.
    pub fn report(&self, samples: usize, values: &[(&str, f64)]) {
        let mut shown = self.shown();
        shown.samples += samples;
        shown.values = described(values);
    }

    /// Writes a line of text that stays.
    pub fn line(&self, text: &str) {
        match &mut self.shown().place {
            Place::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            // Training goes on if nobody reads how far it is.
            Place::Lines(writer) => drop(writeln!(writer, "{text}")),
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Debug for Progress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.shown().text()).finish()
    }
}

/// Numbers with their names, as they are shown.
pub(crate) fn described(values: &[(&str, f64)]) -> String {
    let number = |value: f64| match value.abs() {
        0.0 | 1e-3..1e6 => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    };
    let values: Vec<String> =
        values.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
    values.join("  ")
}

impl Shown {
    fn begin(&mut self, steps: Option<usize>) {
        let now = Instant::now();
        (self.last, self.start, self.done, self.samples, self.steps) = (now, now, 0, 0, steps);
        self.values.clear();
        if let Place::Bar(bar) = &self.place {
            bar.reset();
            match steps {
                Some(steps) => bar.set_length(steps as u64),
                None => bar.unset_length(),
            }
        }
    }

    /// Shows the text if it is time.
    fn show(&mut self) {
        if self.last.elapsed() < self.every {
            return;
        }
        self.last = Instant::now();
        let text = self.text();
        match &mut self.place {
            Place::Bar(bar) => {
                bar.set_message(text);
                bar.set_position(self.done as u64);
            }
            // Training goes on if nobody reads how far it is.
            Place::Lines(writer) => drop(writeln!(writer, "{text}")),
        }
    }

    /// Takes the bar away; writes the text as a line that stays, if it is asked for.
    fn end(&mut self, says_end: bool) {
        let text = self.text();
        match &mut self.place {
            Place::Bar(bar) => {
                bar.finish_and_clear();
                if says_end {
                    eprintln!("{text}");
                }
            }
            Place::Lines(writer) if says_end => drop(writeln!(writer, "{text}")),
            Place::Lines(_) => {}
        }
    }

    fn text(&self) -> String {
        let mut text = if self.label.is_empty() { String::new() } else { format!("{}  ", self.label) };
        // Writing to a string does not fail.
        let _ = match self.steps {
            Some(steps) => write!(text, "{}/{steps}", self.done),
            None => write!(text, "{}", self.done),
        };
        if !self.values.is_empty() {
            let _ = write!(text, "  {}", self.values);
        }
        let seconds = self.start.elapsed().as_secs_f64();
        if self.samples > 0 && seconds > 0.0 {
            let _ = write!(text, "  {:.0} samples/s", self.samples as f64 / seconds);
        }
        if let Some(left) = self.steps.map(|steps| steps.saturating_sub(self.done))
            && self.done > 0
            && left > 0
        {
            let left = (seconds / self.done as f64 * left as f64).round() as u64;
            let _ = write!(text, "  {}:{:02} left", left / 60, left % 60);
        }
        text
    }
}

/// The items of an iterator, as [`Progress::over`] shows them.
#[derive(Debug)]
pub struct Steps<I> {
    items: I,
    progress: Progress,
    /// Whether an item was given out whose step is not done.
    running: bool,
    /// Whether a line stays at the end.
    says_end: bool,
}

impl<I: Iterator> Iterator for Steps<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let item = self.items.next();
        if self.running {
            let mut shown = self.progress.shown();
            shown.done += 1;
            if item.is_some() {
                shown.show();
            } else {
                shown.end(self.says_end);
            }
        }
        self.running = item.is_some();
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<I: ExactSizeIterator> ExactSizeIterator for Steps<I> {}

/// A loop that is left in the middle leaves no bar.
impl<I> Drop for Steps<I> {
    fn drop(&mut self) {
        if self.running {
            self.progress.shown().end(false);
        }
    }
}

//! How far a run is.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar in a terminal, and a line now and then in a log.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    every: u64,
}

impl Progress {
    /// Of `steps` steps; in a log, one line for `every` steps.
    pub fn new(steps: usize, every: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:32.cyan/dim} {pos:>3}/{len}  {msg}");
        let style = style.expect("the template is right").progress_chars("━━─");
        Self { bar: ProgressBar::new(steps as u64).with_style(style), every: every as u64 }
    }

    /// One more step is done, with this result.
    pub fn advance(&self, message: String) {
        let step = self.bar.position() + 1;
        if self.bar.is_hidden() && step.is_multiple_of(self.every) {
            println!("{step:>3}/{}  {message}", self.bar.length().unwrap_or(0));
        }
        self.bar.set_message(message);
        self.bar.set_position(step);
    }

    /// All steps are done: the bar stays as it is.
    pub fn finish(&self) {
        self.bar.abandon();
    }
}

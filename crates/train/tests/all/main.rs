//! Tests of what surrounds the steps of training.

#[path = "../../../tensor/tests/all/caught.rs"]
mod caught;
#[cfg(feature = "plot")]
mod chart;
mod fit;
mod gradients;
mod interrupt;
mod keep;
mod log;
mod messages;
mod metrics;
#[cfg(feature = "progress")]
mod progress;
#[cfg(feature = "report")]
mod report;
mod runs;
mod tensorboard;

pub(crate) use caught::panics;

use std::path::PathBuf;

/// A folder of a test's own, which is removed with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gradus-train-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder can be made");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

//! Results of gradus held against stored results of `PyTorch`.
//!
//!     cargo test --release -p gradus-tests --test conformance
//!
//! Environment variables:
//!
//! - `GRADUS_CONFORMANCE`: the folder of the data; without it, the part of them in `tests/conformance/data`.
//! - `GRADUS_CONFORMANCE_ONLY`: only operations and models whose name contains this.

mod data;
mod report;
mod training;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::Report;

fn main() -> ExitCode {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/data");
    let folder = std::env::var_os("GRADUS_CONFORMANCE").map_or_else(committed, PathBuf::from);
    let mut report = Report::default();
    match training::run(&folder.join("training"), &mut report) {
        Ok(()) if report.finish() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            println!("conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

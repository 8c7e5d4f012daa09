//! Results of gradus held against stored results of `PyTorch`: values, gradients, second derivatives and forward
//! mode of single operations, in any layout, whole training runs, files that other programs wrote, explanations, and private training.
//!
//!     cargo test --release -p gradus-tests --test conformance
//!
//! It prints a line for each operation with what failed beneath it, and in the end
//! `conformance: N passed, N failed, N unsupported`. Environment variables:
//!
//! - `GRADUS_CONFORMANCE`: the folder of the data, with any of `ops/index.json`, `training/index.json`,
//!   `interop/index.json`, `explain/index.json`, `quantize/index.json` and `privacy/index.json` and the files that they name, or
//!   one of these folders itself; without it, the part of them in `tests/conformance/data`.
//! - `GRADUS_CONFORMANCE_ONLY`: only operations whose name contains this, and nothing else.
//!
//! The format is described in `tests/conformance/data/README.md`. Where the answer is a choice (the derivative at a kink, for
//! example) the case is a *convention*, and counted apart.

mod arguments;
mod cases;
mod compare;
mod data;
mod explain;
mod interop;
mod operations;
mod privacy;
mod quantize;
mod report;
mod training;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use cases::text;
use compare::Nan;
use data::{Archive, Result};
use report::{Outcome, Report};
use serde_json::Value;

/// The conventions of the reference that gradus does not follow on purpose: operation, case, and why.
///
/// A case in which only places differ where the reference has NaN is a departure too, [`NO_ANSWER`].
const KNOWN_DEPARTURES: &[(&str, &str, &str)] = &[(
    "sum",
    "cancel",
    "1e16 + 1 - 1e16 is 1, as it should be; the reference adds up in another order and gives 0",
)];

/// Departures of an operation in any case, where the values stored for it are not those of one function.
const INCONSISTENT_REFERENCE: &[(&str, &str)] = &[
    ("digamma", "infinite at a pole, which the reference misses by a rounding error"),
    ("lgamma", "infinite at a pole, which the reference misses by a rounding error"),
    ("prelu", "at 0 the derivative is the weight in every mode; in the reference forward mode has 1"),
    ("sign", "NaN stays NaN, as in NumPy; the reference gives 0"),
];

/// Why a number is a better answer than the NaN of the reference.
const NO_ANSWER: &str =
    "a number where the reference has NaN: the limit, or no influence of what has weight or cotangent 0";

/// The message of the last panic.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/data");
    let folder = std::env::var_os("GRADUS_CONFORMANCE").map_or_else(committed, PathBuf::from);
    let only = std::env::var("GRADUS_CONFORMANCE_ONLY").ok();
    let mut report = Report::default();
    let mut parts: Vec<Part> =
        vec![("ops", |folder, only, report| operations(folder, only.unwrap_or(""), report))];
    if only.is_none() {
        parts.push(("training", |folder, _, report| training::run(folder, report)));
        parts.push(("explain", |folder, _, report| explain::run(folder, report)));
        parts.push(("interop", |folder, _, report| interop::run(folder, report)));
        parts.push(("privacy", |folder, _, report| privacy::run(folder, report)));
        parts.push(("quantize", |folder, _, report| quantize::run(folder, report)));
    }
    let mut errors: Vec<String> = Vec::new();
    let mut found = false;
    for (name, run) in parts {
        let is_own = match name {
            // Cases of both have models.
            "explain" => explain::is_at(&folder) && !privacy::is_folder(&folder),
            "privacy" => privacy::is_folder(&folder),
            "quantize" => quantize::is_folder(&folder),
            _ => false,
        };
        let part = if is_own || folder.ends_with(name) { folder.clone() } else { folder.join(name) };
        if part.is_dir() {
            found = true;
            errors.extend(run(&part, only.as_deref(), &mut report).err());
        }
    }
    if !found {
        let expected = "there is no folder ops, training, interop, explain, quantize or privacy";
        errors.push(format!("{}: {expected}", folder.display()));
    }
    for error in &errors {
        println!("conformance: {error}");
    }
    if report.finish() && errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A folder of the data, and what runs it: it takes the folder and the text that names of operations must contain.
type Part = (&'static str, fn(&Path, Option<&str>, &mut Report) -> Result<()>);

fn operations(folder: &Path, only: &str, report: &mut Report) -> Result<()> {
    let mut by_operation: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for case in data::cases(&folder.join("index.json"))? {
        by_operation.entry(text(&case, "op").into()).or_default().push(case);
    }
    for (operation, cases) in by_operation.iter().filter(|(operation, _)| operation.contains(only)) {
        report.begin(operation);
        let archive = Archive::open(&folder.join(text(&cases[0], "file")))?;
        for case in cases {
            let name = text(case, "case");
            let outcome = caught(|| cases::run(case, &archive, Nan::Agrees));
            if case["convention"] == true {
                let known = |(op, case, _): &&(&str, &str, &str)| (*op, *case) == (operation, name);
                let mut departure = KNOWN_DEPARTURES.iter().find(known).map(|(_, _, reason)| *reason);
                if departure.is_none() && matches!(outcome, Outcome::Failed(_)) {
                    let numbers = caught(|| cases::run(case, &archive, Nan::IsNoAnswer));
                    let inconsistent = INCONSISTENT_REFERENCE.iter().find(|(op, _)| op == operation);
                    departure = match numbers {
                        Outcome::Passed => Some(NO_ANSWER),
                        _ => inconsistent.map(|(_, reason)| *reason),
                    };
                }
                report.add_convention(name, outcome, departure);
            } else {
                report.add(name, outcome);
            }
        }
    }
    Ok(())
}

/// What `run` returns; if it panics, a failure with the message, which is not printed.
fn caught(run: impl FnOnce() -> Outcome) -> Outcome {
    let hook = take_hook();
    set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    set_hook(hook);
    outcome.unwrap_or_else(|_| {
        let message = std::mem::take(&mut *PANIC.lock().unwrap_or_else(PoisonError::into_inner));
        Outcome::Failed(vec![message.replace('\n', " ")])
    })
}

//! How fast gradus is: training steps, other passes and single operations, timed.
//!
//! One line of JSON for each workload on standard output; beside it, on standard error, the loss before and after
//! and the most memory that the process has had so far. The exit status is 1 if a training did not learn.
//!
//! ```sh
//! cargo run --release -p gradus-yardstick -- --threads 2 --only '^matmul_|_step$' --seconds 1
//! ```
//!
//! `--mode compiled` runs the same as [`Compiled`](gradus::Compiled) functions, after a check that they give the same bits.
//!
//! `read` times the readers of files, on files that it writes into a temporary folder, or into one that is given and kept;
//! `read.py` reads the same ones with NumPy and pandas. `prefetch` prints the share of training in the time of a small CNN
//! whose batches are made by its own threads, or by others:
//!
//! ```sh
//! cargo run --release -p gradus-yardstick -- read --threads 2 --folder out/read > gradus.jsonl
//! python3 crates/yardstick/read.py out/read > others.jsonl
//! cargo run --release -p gradus-yardstick -- prefetch --threads 2
//! ```
//!
//! `quantize` times a forward pass with 8-bit integers beside one with numbers; `quantize.py` does so by turns with PyTorch.
//!
//! Beside the lines of other frameworks, which their programs write in the same form, they become a table and a
//! chart:
//!
//! ```sh
//! cargo run --release -p gradus-yardstick -- report --svg out/yardstick.svg gradus.jsonl others.jsonl
//! ```

#![forbid(unsafe_code)]

mod bench;
mod chart;
mod composed;
mod operations;
mod prefetch;
mod quantize;
mod read;
mod report;
mod training;

use std::path::PathBuf;
use std::process::ExitCode;

use bench::{Bench, Mode};
use regex_lite::Regex;

pub(crate) const USAGE: &str =
    "usage: gradus-yardstick [--mode eager|compiled] [--threads N] [--only REGEX] [--seconds S]
       gradus-yardstick read [--folder PATH] [--idx FILE] [--threads N] [--only REGEX] [--seconds S]
       gradus-yardstick prefetch [--threads N]
       gradus-yardstick quantize [--threads N] [--only REGEX] [--seconds S]
       gradus-yardstick report [--svg PATH] FILE...";

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Bench, String> {
    let (mut threads, mut only, mut seconds, mut mode) = (1, String::new(), 2.0, Mode::Eager);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        let invalid = |error: &dyn std::fmt::Display| format!("{option} {value}: {error}");
        match option.as_str() {
            "--threads" => threads = value.parse().map_err(|error| invalid(&error))?,
            "--mode" => mode = value.parse().map_err(|error| invalid(&error))?,
            "--only" => only.clone_from(&value),
            "--seconds" => seconds = value.parse().map_err(|error| invalid(&error))?,
            _ => return Err(format!("there is no option {option}")),
        }
    }
    let only = Regex::new(&only).map_err(|error| format!("--only {only}: {error}"))?;
    Ok(Bench::new(threads, only, seconds, mode))
}

/// Takes an option with a path out of the arguments.
fn path(arguments: &mut Vec<String>, option: &str) -> Result<Option<PathBuf>, String> {
    let Some(place) = arguments.iter().position(|argument| argument == option) else { return Ok(None) };
    let (_, path) = (arguments.remove(place), arguments.get(place));
    let path = path.ok_or_else(|| format!("{option} needs a value"))?.into();
    arguments.remove(place);
    Ok(Some(path))
}

fn time_reading(arguments: impl Iterator<Item = String>) -> Result<ExitCode, String> {
    let mut arguments = arguments.collect();
    let (folder, idx) = (path(&mut arguments, "--folder")?, path(&mut arguments, "--idx")?);
    let mut bench = parse(arguments.into_iter())?;
    gradus::set_num_threads(bench.threads());
    read::all(&mut bench, folder, idx).map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn time(mut bench: Bench) -> ExitCode {
    gradus::set_num_threads(bench.threads());
    training::steps(&mut bench);
    training::sequence_steps(&mut bench);
    training::passes(&mut bench);
    operations::all(&mut bench);
    composed::all(&mut bench);
    if bench.all_learnt() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let usage = |message| format!("{message}\n{USAGE}");
    let command =
        arguments.next_if(|argument| ["report", "read", "prefetch", "quantize"].contains(&argument.as_str()));
    let done = match command.as_deref() {
        Some("report") => report::run(arguments).map(|()| ExitCode::SUCCESS),
        Some("read") => time_reading(arguments).map_err(usage),
        Some("quantize") => parse(arguments)
            .map(|mut bench| {
                gradus::set_num_threads(bench.threads());
                quantize::all(&mut bench);
                ExitCode::SUCCESS
            })
            .map_err(usage),
        Some(_) => parse(arguments).map(|bench| prefetch::shares(&bench)).map_err(usage),
        None => parse(arguments).map(time).map_err(usage),
    };
    done.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::from(2)
    })
}

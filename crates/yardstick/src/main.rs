//! How fast gradus is: training steps, other passes and single operations, timed.
//!
//! One line of JSON for each workload on standard output; beside it, on standard error, the loss before and after
//! and the most memory that the process has had so far. The exit status is 1 if a training did not learn.
//!
//! ```sh
//! cargo run --release -p gradus-yardstick -- --threads 2 --only '^matmul_|_step$' --seconds 1
//! ```
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
mod operations;
mod report;
mod training;

use std::process::ExitCode;

use bench::Bench;
use regex_lite::Regex;

pub(crate) const USAGE: &str = "usage: gradus-yardstick [--threads N] [--only REGEX] [--seconds S]
       gradus-yardstick report [--svg PATH] FILE...";

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Bench, String> {
    let (mut threads, mut only, mut seconds) = (1, String::new(), 2.0);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        let invalid = |error: &dyn std::fmt::Display| format!("{option} {value}: {error}");
        match option.as_str() {
            "--threads" => threads = value.parse().map_err(|error| invalid(&error))?,
            "--only" => only.clone_from(&value),
            "--seconds" => seconds = value.parse().map_err(|error| invalid(&error))?,
            _ => return Err(format!("there is no option {option}")),
        }
    }
    let only = Regex::new(&only).map_err(|error| format!("--only {only}: {error}"))?;
    Ok(Bench::new(threads, only, seconds))
}

fn time(mut bench: Bench) -> ExitCode {
    gradus::set_num_threads(bench.threads());
    training::steps(&mut bench);
    training::sequence_steps(&mut bench);
    training::passes(&mut bench);
    operations::all(&mut bench);
    if bench.all_learnt() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let done = if arguments.next_if(|argument| argument == "report").is_some() {
        report::run(arguments).map(|()| ExitCode::SUCCESS)
    } else {
        parse(arguments).map(time).map_err(|message| format!("{message}\n{USAGE}"))
    };
    done.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::from(2)
    })
}

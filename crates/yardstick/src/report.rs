//! The measurements of several programs, side by side: a table, and the comparisons that the chart draws.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex_lite::Regex;

use crate::bench::Mode;
use crate::chart;

/// One of ours, and the peers that it is not raced against though they are shown.
pub(crate) struct Racer {
    peer: &'static str,
    headings: [&'static str; 3],
    beside: &'static [&'static str],
}

/// Plain calls race against plain calls; compiled functions against compilers of whole programs, too. What hand-written code
/// reaches is a limit for both.
pub(crate) static RACERS: [Racer; 2] = [
    Racer {
        peer: Mode::Eager.peer(),
        headings: ["gradus", "best other", "ratio"],
        beside: &["limit-", "jax", "torch-compile"],
    },
    Racer {
        peer: Mode::Compiled.peer(),
        headings: ["compiled", "best, with compilers", "ratio"],
        beside: &["limit-"],
    },
];

const DIGITS: i32 = 3;

/// The kinds of workload, by which tables and chart are ordered.
pub(crate) const GROUPS: [&str; 4] = ["Small steps", "Large steps", "Products", "Elementwise and reductions"];

/// Which of the `GROUPS` a workload belongs to.
pub(crate) fn group(workload: &str) -> usize {
    match workload {
        "xor_step" | "digits_step" | "deep_step" | "hvp" | "infer_1" => 0,
        _ if workload.ends_with("_step") || workload.starts_with("infer_") => 1,
        _ if workload.starts_with("matmul_") => 2,
        _ => 3,
    }
}

/// One line of a program's output.
#[derive(Debug, PartialEq)]
struct Line {
    peer: String,
    workload: String,
    threads: usize,
    micros: f64,
}

impl Line {
    /// The lines are flat: names and numbers, no escapes, nothing nested.
    fn parse(line: &str) -> Result<Self, String> {
        static FIELD: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r#""(\w+)"\s*:\s*(?:"([^"]*)"|([^\s",}]+))"#).expect("a valid pattern")
        });
        let line = line.trim();
        if !(line.starts_with('{') && line.ends_with('}')) {
            return Err("not a JSON object on one line".into());
        }
        let fields: BTreeMap<&str, &str> = FIELD
            .captures_iter(line)
            .filter_map(|field| Some((field.get(1)?.as_str(), field.get(2).or(field.get(3))?.as_str())))
            .collect();
        let field = |name| fields.get(name).copied().ok_or_else(|| format!("there is no \"{name}\""));
        let (threads, micros) = (field("threads")?, field("min_us")?);
        Ok(Self {
            peer: field("peer")?.into(),
            workload: field("workload")?.into(),
            threads: threads.parse().map_err(|error| format!("\"threads\": {threads}: {error}"))?,
            micros: (micros.parse().ok())
                .filter(|micros: &f64| micros.is_finite() && *micros > 0.0)
                .ok_or_else(|| format!("\"min_us\": {micros} is not a time"))?,
        })
    }
}

/// The times of one workload.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) workload: String,
    times: BTreeMap<String, f64>,
}

impl Row {
    fn ours(&self, racer: &Racer) -> Option<f64> {
        self.times.get(racer.peer).copied()
    }

    /// The fastest of those that are raced against.
    fn best_other(&self, racer: &Racer) -> Option<(&str, f64)> {
        let raced =
            |peer: &str| !is_ours(peer) && !racer.beside.iter().any(|beside| peer.starts_with(beside));
        let others = self.times.iter().filter(|(peer, _)| raced(peer));
        others.map(|(peer, &micros)| (peer.as_str(), micros)).min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// That peer, and how many times as fast as it we are.
    pub(crate) fn speed(&self, racer: &Racer) -> Option<(&str, f64)> {
        let (peer, micros) = self.best_other(racer)?;
        Some((peer, micros / self.ours(racer)?))
    }

    /// Our time, the best other one, and the ratio of both.
    fn cells(&self, racer: &Racer) -> [Option<String>; 3] {
        [
            self.ours(racer).map(significant),
            self.best_other(racer).map(|(peer, micros)| format!("{} {peer}", significant(micros))),
            self.speed(racer).map(|(_, speed)| format!("{:.2}", 1.0 / speed)),
        ]
    }
}

fn is_ours(peer: &str) -> bool {
    RACERS.iter().any(|racer| racer.peer == peer)
}

/// The least times by number of threads and workload.
#[derive(Default)]
pub(crate) struct Report {
    /// In order of appearance, without ourselves.
    peers: Vec<String>,
    /// Workloads group by group, each in order of appearance.
    pub(crate) tables: BTreeMap<usize, Vec<Row>>,
}

impl Report {
    /// Adds the lines of a file. Empty ones and those that begin with `#` are passed over.
    fn add(&mut self, file: &str, text: &str) -> Result<(), String> {
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let line = Line::parse(line).map_err(|error| format!("{file}:{number}: {error}"))?;
            if !is_ours(&line.peer) && !self.peers.contains(&line.peer) {
                self.peers.push(line.peer.clone());
            }
            let table = self.tables.entry(line.threads).or_default();
            let place = table.iter().position(|row| row.workload == line.workload).unwrap_or_else(|| {
                let place = table.partition_point(|row| group(&row.workload) <= group(&line.workload));
                table.insert(place, Row { workload: line.workload, ..Row::default() });
                place
            });
            let time = table[place].times.entry(line.peer).or_insert(line.micros);
            *time = time.min(line.micros);
        }
        Ok(())
    }

    /// Those of ours that were timed; plain calls if none was.
    pub(crate) fn racers(&self) -> Vec<&'static Racer> {
        let timed = |racer: &Racer| self.tables.values().flatten().any(|row| row.ours(racer).is_some());
        let [eager, compiled] = &RACERS;
        match (timed(eager), timed(compiled)) {
            (_, false) => vec![eager],
            (true, true) => vec![eager, compiled],
            (false, true) => vec![compiled],
        }
    }

    /// A table in Markdown for each number of threads.
    fn markdown(&self) -> String {
        let mut text = String::new();
        let racers = self.racers();
        for (&threads, rows) in &self.tables {
            let peers = || self.peers.iter().map(String::as_str);
            let _ = writeln!(text, "{}, microseconds\n", plural(threads));
            let ours = racers.iter().flat_map(|racer| racer.headings);
            let headings: Vec<&str> = std::iter::once("workload").chain(ours).chain(peers()).collect();
            let _ = writeln!(text, "| {} |", headings.join(" | "));
            let _ = writeln!(text, "| --- |{}", " ---: |".repeat(headings.len() - 1));
            for row in rows {
                let ours = racers.iter().flat_map(|racer| row.cells(racer));
                let theirs = peers().map(|peer| row.times.get(peer).copied().map(significant));
                let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".into());
                let cells: Vec<String> = ours.chain(theirs).map(or_none).collect();
                let _ = writeln!(text, "| `{}` | {} |", row.workload, cells.join(" | "));
            }
            for racer in &racers {
                let ratios: Vec<f64> =
                    rows.iter().filter_map(|row| Some(1.0 / row.speed(racer)?.1)).collect();
                if !ratios.is_empty() {
                    let mean =
                        (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
                    let worst = ratios.iter().copied().fold(0.0, f64::max);
                    let whose = if racers.len() > 1 { format!(" of {}", racer.peer) } else { String::new() };
                    let _ = writeln!(
                        text,
                        "\nGeometric mean of the ratios{whose} {mean:.2}, largest {worst:.2}."
                    );
                }
            }
            text.push('\n');
        }
        text
    }
}

/// "1 thread", "2 threads".
pub(crate) fn plural(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// A positive number to three significant digits, thousands apart.
pub(crate) fn significant(x: f64) -> String {
    let before = |x: f64| x.log10().floor() as i32 + 1;
    let unit = 10_f64.powi(before(x) - DIGITS);
    let rounded = (x / unit).round() * unit;
    let decimals = (DIGITS - before(rounded)).max(0) as usize;
    let text = format!("{rounded:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut number = String::new();
    for (i, digit) in whole.char_indices() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            number.push(',');
        }
        number.push(digit);
    }
    number + rest
}

/// Prints the tables of the files and writes the chart, if one is asked for.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let (mut svg, mut report, mut files) = (None, Report::default(), 0);
    while let Some(argument) = arguments.next() {
        if argument == "--svg" {
            svg = Some(arguments.next().ok_or("--svg needs a value")?);
            continue;
        }
        let text = fs::read_to_string(&argument).map_err(|error| format!("{argument}: {error}"))?;
        report.add(&argument, &text)?;
        files += 1;
    }
    if files == 0 {
        return Err(format!("report needs files\n{}", crate::USAGE));
    }
    if let Some(path) = svg {
        let chart = chart::svg(&report)?;
        let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, chart));
        written.map_err(|error| format!("{path}: {error}"))?;
    }
    print!("{}", report.markdown());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(peer: &str, workload: &str, micros: f64) -> String {
        format!(
            r#"{{"peer": "{peer}", "workload": "{workload}", "threads": 2, "median_us": 9e9, "min_us": {micros}}}"#
        )
    }

    #[test]
    fn a_line_is_read_in_any_order_of_its_fields() {
        let expected =
            Line { peer: "torch-eager".into(), workload: "xor_step".into(), threads: 2, micros: 215.344 };
        let text =
            r#"{"min_us":215.344,"threads":2, "peer" : "torch-eager", "workload": "xor_step", "iters": 7}"#;
        assert_eq!(Line::parse(text), Ok(expected));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_with_its_place() {
        let good = line("gradus", "xor_step", 1.0);
        for (bad, message) in [
            (r#"{"peer": "numpy", "wor"#, "f:3: not a JSON object on one line"),
            (r#"{"peer": "numpy", "threads": 1, "min_us": 1}"#, "f:3: there is no \"workload\""),
            (&good.replace(": 2", ": two"), "f:3: \"threads\": two: invalid digit found in string"),
            (&good.replace(": 1}", ": NaN}"), "f:3: \"min_us\": NaN is not a time"),
        ] {
            let text = format!("# a remark\n{good}\n{bad}\n");
            assert_eq!(Report::default().add("f", &text).unwrap_err(), message);
        }
    }

    #[test]
    fn we_race_against_the_least_time_of_the_fastest_other_framework() {
        let times = [
            ("gradus", 9.0),
            ("gradus", 4.0),
            ("candle", 8.0),
            ("dfdx", 6.0),
            ("dfdx", 7.0),
            ("limit-rust", 1.0),
            ("jax-loop", 1.0),
            ("torch-compile", 1.0),
        ];
        let mut report = Report::default();
        for (peer, micros) in times {
            report.add("f", &line(peer, "hvp", micros)).unwrap();
        }
        report.add("f", &line("candle", "lenet_step", 5000.0)).unwrap();
        let rows = &report.tables[&2];
        assert_eq!(rows[0].speed(&RACERS[0]), Some(("dfdx", 1.5)));
        assert_eq!(rows[1].speed(&RACERS[0]), None);
        let text = report.markdown();
        assert!(
            text.contains("| `hvp` | 4.00 | 6.00 dfdx | 0.67 | 8.00 | 6.00 | 1.00 | 1.00 | 1.00 |"),
            "{text}"
        );
        assert!(text.contains("| `lenet_step` | - | 5,000 candle | - | 5,000 | - | - | - | - |"), "{text}");
    }

    #[test]
    fn compiled_functions_race_against_compilers_too() {
        let mut report = Report::default();
        for (peer, micros) in [("gradus", 4.0), ("gradus-compiled", 2.0), ("dfdx", 6.0), ("jax-loop", 3.0)] {
            report.add("f", &line(peer, "hvp", micros)).unwrap();
        }
        let rows = &report.tables[&2];
        assert_eq!(
            RACERS.each_ref().map(|racer| rows[0].speed(racer)),
            [Some(("dfdx", 1.5)), Some(("jax-loop", 1.5))]
        );
        let text = report.markdown();
        assert!(text.contains(
            "| workload | gradus | best other | ratio | compiled | best, with compilers | ratio |"
        ));
        assert!(
            text.contains("| `hvp` | 4.00 | 6.00 dfdx | 0.67 | 2.00 | 3.00 jax-loop | 0.67 | 6.00 | 3.00 |"),
            "{text}"
        );
        assert!(text.contains("Geometric mean of the ratios of gradus-compiled 0.67"), "{text}");
    }

    #[test]
    fn numbers_have_three_digits() {
        let numbers = [0.07164, 0.9996, 5.0, 58.26, 99.97, 999.6, 2416.8, 1234567.0];
        let texts = ["0.0716", "1.00", "5.00", "58.3", "100", "1,000", "2,420", "1,230,000"];
        assert_eq!(numbers.map(significant), texts);
    }
}

//! The page of one run, or of several side by side.

use std::fmt::{self, Write};
use std::fs;
use std::path::Path;

use gradus_autograd::xml::Escaped;
use serde_json::Value;

use super::curve::{Curve, grouped, number, write_chart, write_keys};
use super::run::{Run, names};
use super::tables;
use crate::error::TrainError;

const DATA_START: &str = "<script type=\"application/json\" id=\"gradus-runs\">";
const DATA_END: &str = "</script>";

/// The page as HTML that is XML as well. It needs no other file.
pub(super) fn page(title: &str, runs: &[Run]) -> String {
    let mut out = String::new();
    write_page(&mut out, title, runs).expect("a string takes everything");
    out
}

impl Run {
    /// The data in the page of a report.
    ///
    /// # Errors
    /// If the file cannot be read, or is not the page of one report.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        let path = path.as_ref();
        let page = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
        let fault = |fault: &str| TrainError::Report { path: path.into(), fault: fault.into() };
        let data = data(&page).ok_or_else(|| fault("it is not the page of a report"))?;
        let data: Value = serde_json::from_str(data).map_err(|error| fault(&error.to_string()))?;
        match data.as_array().map(Vec::as_slice) {
            Some([run]) => Self::from_json(run).ok_or_else(|| fault("it has no data of a report")),
            Some(runs) => Err(fault(&format!("it is the page of {} runs: there must be one", runs.len()))),
            None => Err(fault("it has no data of a report")),
        }
    }

    /// The page.
    pub fn to_html(&self) -> String {
        page(&self.title, std::slice::from_ref(self))
    }
}

/// The JSON in a page.
pub(super) fn data(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(DATA_START)?;
    Some(rest.split_once(DATA_END)?.0)
}

/// A table of one run, behind whose title a text says which run it is.
type Table = fn(&mut String, &Run, &str) -> fmt::Result;

fn write_page(out: &mut String, title: &str, runs: &[Run]) -> fmt::Result {
    let shown = Escaped(title);
    let style = include_str!("style.css");
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\" />\n<title>{shown}</title>\n<style>\n{style}</style>\n</head>\n\
         <body>\n<main>\n<header><h1>{shown}</h1>"
    )?;
    for run in runs {
        let name = if runs.len() > 1 { format!("{}: ", run.title) } else { String::new() };
        writeln!(out, "<p>{}{}</p>", Escaped(&name), Escaped(&course(run)))?;
    }
    out.push_str("</header>\n");
    if let [run] = runs {
        write_tiles(out, run)?;
    }
    out.push_str("<div class=\"grid\">\n");
    for (title, curves) in charts(runs) {
        writeln!(out, "<figure class=\"card\"><h2>{} by epoch</h2>", Escaped(&title))?;
        write_keys(out, &curves)?;
        write_chart(out, &format!("{title} by epoch"), &curves)?;
        out.push_str("</figure>\n");
    }
    if runs.len() > 1 {
        tables::write_last(out, runs)?;
    }
    tables::write_settings(out, runs)?;
    let each: [Table; 3] = [tables::write_confusion, tables::write_operations, tables::write_model];
    for write_table in each {
        for run in runs {
            let of = if runs.len() > 1 { format!(": {}", run.title) } else { String::new() };
            write_table(out, run, &of)?;
        }
    }
    let runs: Vec<Value> = runs.iter().map(Run::to_json).collect();
    writeln!(out, "</div>\n</main>\n{DATA_START}{}{DATA_END}\n</body>\n</html>", script(&Value::from(runs)))
}

/// JSON that ends no script and that a parser of XML takes, too: in strings, the only place for them, these characters may
/// be written by number.
fn script(data: &Value) -> String {
    let mut out = String::new();
    for letter in data.to_string().chars() {
        if matches!(letter, '<' | '>' | '&' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}') {
            let _ = write!(out, "\\u{:04x}", letter as u32);
        } else {
            out.push(letter);
        }
    }
    out
}

/// The course of a run in a line.
fn course(run: &Run) -> String {
    let epochs = run.epochs.len();
    let seconds: f64 = run.epochs.iter().map(|epoch| epoch.seconds).sum();
    let samples: usize = run.epochs.iter().map(|epoch| epoch.samples).sum();
    let mut text = format!("{epochs} epoch{}", if epochs == 1 { "" } else { "s" });
    if epochs > 0 {
        let _ = write!(text, " in {}", duration(seconds));
    }
    if samples > 0 && seconds > 0.0 {
        let _ = write!(text, ", {} samples a second", grouped(&format!("{:.0}", samples as f64 / seconds)));
    }
    text
}

fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// The last number of each name, with the lowest and the highest.
fn write_tiles(out: &mut String, run: &Run) -> fmt::Result {
    let Some(last) = run.epochs.last() else { return Ok(()) };
    out.push_str("<section class=\"tiles\">\n");
    for (name, value) in &last.values {
        let curve = run.curve(name);
        let finite = curve.iter().map(|&(_, value)| value).filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        write!(out, "<div class=\"tile\"><span>{}</span><b>{}</b>", Escaped(name), number(*value))?;
        if low < high {
            write!(out, "<span>{} to {}</span>", number(low), number(high))?;
        }
        out.push_str("</div>\n");
    }
    out.push_str("</section>\n");
    Ok(())
}

/// The charts with their lines: those that were asked for, then one for each last word of the other names, such as `loss` of
/// `loss` and `test loss`. Colours tell names apart, or the runs if there are several; then patterns tell names apart.
fn charts(runs: &[Run]) -> Vec<(String, Vec<Curve>)> {
    let mut groups: Vec<(String, Vec<String>)> = runs.iter().flat_map(|run| run.charts.clone()).collect();
    // Runs of one program ask for the same charts.
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    groups.dedup();
    let order = |title: &str| runs.iter().flat_map(|run| &run.charts).position(|chart| chart.0 == title);
    groups.sort_by_key(|(title, _)| order(title));
    for name in names(runs) {
        if groups.iter().any(|(_, names)| names.iter().any(|other| other == name)) {
            continue;
        }
        let last = name.rsplit([' ', '_', '/', '-', '.']).next().unwrap_or(name);
        match groups.iter_mut().find(|(title, _)| title == last) {
            Some((_, names)) => names.push(name.into()),
            None => groups.push((last.into(), vec![name.into()])),
        }
    }
    let curve = |run: usize, place: usize, name: &str, points: Vec<(f64, f64)>| {
        let several = runs.len() > 1;
        let (colour, dash) = if several { (run, place) } else { (place, 0) };
        let name = if several { format!("{}: {name}", runs[run].title) } else { name.into() };
        Curve { name, colour, dash, points }
    };
    let mut charts: Vec<(String, Vec<Curve>)> = Vec::new();
    for (title, names) in groups {
        let lines = names.iter().enumerate().flat_map(|(place, name)| {
            runs.iter().enumerate().map(move |(run, data)| curve(run, place, name, data.curve(name)))
        });
        charts.push((title, lines.collect()));
    }
    let speeds = runs.iter().enumerate().map(|(run, data)| curve(run, 0, "samples a second", data.speed()));
    charts.push(("samples a second".into(), speeds.collect()));
    for (_, curves) in &mut charts {
        curves.retain(|curve| !curve.points.is_empty());
    }
    charts.retain(|(_, curves)| !curves.is_empty());
    charts
}

//! The tables of a page.

use std::fmt::{self, Write};

use gradus_autograd::xml::Escaped;

use super::curve::{grouped, number};
use super::run::{OperationTime, Run, names};

/// The start of a card with a table in a box of its own, which scrolls if the table is wide.
fn start(out: &mut String, title: &str, class: &str) -> fmt::Result {
    let title = Escaped(title);
    write!(
        out,
        "<section class=\"card\"><h2>{title}</h2><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"{title}\"><table class=\"{class}\">"
    )
}

const END: &str = "</tbody></table></div></section>\n";

/// The names of columns, of which these are numbers.
fn header(out: &mut String, cells: &[&str], numbers: std::ops::Range<usize>) -> fmt::Result {
    out.push_str("<thead><tr>");
    for (place, cell) in cells.iter().enumerate() {
        let class = if numbers.contains(&place) { " class=\"number\"" } else { "" };
        write!(out, "<th{class}>{}</th>", Escaped(cell))?;
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    Ok(())
}

/// The names of the runs, behind a first cell.
fn run_header(out: &mut String, first: &str, runs: &[Run]) -> fmt::Result {
    let titles = runs.iter().map(|run| run.title.as_str());
    header(out, &std::iter::once(first).chain(titles).collect::<Vec<_>>(), 0..0)
}

/// The last numbers of runs side by side.
pub(super) fn write_last(out: &mut String, runs: &[Run]) -> fmt::Result {
    start(out, "last epoch", "wide")?;
    run_header(out, "", runs)?;
    for name in names(runs) {
        write!(out, "<tr><th>{}</th>", Escaped(name))?;
        for run in runs {
            let last = run.curve(name).last().map(|&(_, value)| number(value));
            write!(out, "<td>{}</td>", last.unwrap_or_default())?;
        }
        out.push_str("</tr>\n");
    }
    out.push_str(END);
    Ok(())
}

/// The settings, a column for each run; those that differ are marked.
pub(super) fn write_settings(out: &mut String, runs: &[Run]) -> fmt::Result {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flat_map(|run| &run.settings) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    start(out, "settings", "wide")?;
    if runs.len() > 1 {
        run_header(out, "", runs)?;
    } else {
        out.push_str("<tbody>\n");
    }
    for name in names {
        let value =
            |run: &Run| run.settings.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
        let values: Vec<Option<String>> = runs.iter().map(value).collect();
        let class = if values.windows(2).any(|pair| pair[0] != pair[1]) { " class=\"differs\"" } else { "" };
        write!(out, "<tr{class}><th>{}</th>", Escaped(name))?;
        for value in values {
            write!(out, "<td>{}</td>", Escaped(&value.unwrap_or_default()))?;
        }
        out.push_str("</tr>\n");
    }
    out.push_str(END);
    Ok(())
}

/// The confusion matrix. A cell is the deeper in colour, the larger its part of the row is.
pub(super) fn write_confusion(out: &mut String, run: &Run, of: &str) -> fmt::Result {
    if run.confusion.is_empty() {
        return Ok(());
    }
    let name = |class: usize| run.classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    let names: Vec<String> = (0..run.confusion.len()).map(name).collect();
    start(out, &format!("confusion matrix{of}: targets by row, predictions by column"), "matrix")?;
    header(out, &std::iter::once("").chain(names.iter().map(String::as_str)).collect::<Vec<_>>(), 0..0)?;
    for (target, row) in run.confusion.iter().enumerate() {
        let all = row.iter().fold(0_u64, |all, count| all.saturating_add(*count));
        let target_name = Escaped(&names[target]);
        write!(out, "<tr><th>{target_name}</th>")?;
        for (prediction, &count) in row.iter().enumerate() {
            if count == 0 {
                out.push_str("<td></td>");
                continue;
            }
            let part = count as f64 / all as f64;
            let kind = if target == prediction { "right" } else { "wrong" };
            // The smallest part is seen, too.
            let depth = 0.18 + 0.82 * part;
            let strong = if depth > 0.6 { " strong" } else { "" };
            let percent = 100.0 * part;
            write!(
                out,
                "<td class=\"{kind}{strong}\" style=\"--p: {depth:.2}\" title=\"{target_name} taken for {}: {count} of {all} \
                 ({percent:.1} %)\">{}</td>",
                Escaped(&names[prediction]),
                grouped(&count.to_string())
            )?;
        }
        out.push_str("</tr>\n");
    }
    out.push_str(END);
    Ok(())
}

/// The operations, those that took most time first.
pub(super) fn write_operations(out: &mut String, run: &Run, of: &str) -> fmt::Result {
    if run.operations.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<&OperationTime> = run.operations.iter().collect();
    rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let all: f64 = rows.iter().map(|row| row.seconds).sum();
    start(out, &format!("slowest operations{of}"), "wide")?;
    header(out, &["operation", "calls", "ms", "share", ""], 1..4)?;
    for row in rows {
        let part = if all > 0.0 && row.seconds > 0.0 { (100.0 * row.seconds / all).min(100.0) } else { 0.0 };
        writeln!(
            out,
            "<tr><th>{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td \
             class=\"number\">{part:.1} %</td><td class=\"share\"><i style=\"width: {part:.1}%\"></i></td></tr>",
            Escaped(&row.name),
            grouped(&row.calls.to_string()),
            number(row.seconds * 1e3)
        )?;
    }
    out.push_str(END);
    Ok(())
}

/// The parameters and buffers of the model, with totals.
pub(super) fn write_model(out: &mut String, run: &Run, of: &str) -> fmt::Result {
    if run.model.is_empty() {
        return Ok(());
    }
    let count = |shape: &[usize]| shape.iter().fold(1_usize, |count, size| count.saturating_mul(*size));
    let total = |kinds: &[&str]| {
        let rows = run.model.iter().filter(|(_, kind, _)| kinds.contains(&kind.as_str()));
        let sum = rows.fold(0_usize, |sum, (.., shape)| sum.saturating_add(count(shape)));
        grouped(&sum.to_string())
    };
    let (all, trainable) = (total(&["trainable", "frozen"]), total(&["trainable"]));
    start(out, &format!("model{of}: {all} parameters, {trainable} trainable"), "wide")?;
    header(out, &["name", "shape", "numbers", "kind"], 2..3)?;
    for (name, kind, shape) in &run.model {
        writeln!(
            out,
            "<tr><th>{}</th><td class=\"shape\">{shape:?}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            Escaped(name),
            grouped(&count(shape).to_string()),
            Escaped(kind)
        )?;
    }
    out.push_str(END);
    Ok(())
}

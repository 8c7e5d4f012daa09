//! How many times as fast as the best other framework we are, as bars in a stand-alone SVG.

use std::fmt::Write;

use crate::report::{GROUPS, Report, group, plural, significant};

// In CSS pixels. The background is part of the picture, so that it can be read on a dark page too.
const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
/// Where the first panel begins; before it stand the names of the workloads.
const LEFT: f64 = 124.0;
/// Where the first heading of a group begins; before it stand titles and the scale.
const TOP: f64 = 128.0;
const GAP: f64 = 24.0;
const ROW: f64 = 19.0;
const BAR: f64 = 12.0;
const HEADING: f64 = 32.0;
const FONT: f64 = 12.0;
/// The width of a character of that size, roughly.
const CHARACTER: f64 = 6.4;

const INK: &str = "#333333";
const FAINT: &str = "#6e6e6e";
const GRID: &str = "#e4e4e4";
/// Blue and vermilion, which colour-blind readers tell apart (Okabe and Ito, 2008).
const FASTER: &str = "#0072b2";
const SLOWER: &str = "#d55e00";

/// The places of a logarithmic axis that have a line, at most `most` of them.
fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let of = |digits: &[f64]| -> Vec<f64> {
        let all =
            decades.clone().flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
        all.filter(|tick| (low..=high).contains(tick)).collect()
    };
    let fine = of(&[1.0, 2.0, 5.0]);
    if fine.len() <= most { fine } else { of(&[1.0]) }
}

/// The chart: a panel for each number of threads, a row for each workload that can be compared.
pub(crate) fn svg(report: &Report) -> Result<String, String> {
    // The rows that some panel has, in order; names and speeds are found again by name.
    let mut workloads: Vec<&str> = Vec::new();
    let mut speeds = Vec::new();
    let racers = report.racers();
    for row in report.tables.values().flatten() {
        let before = speeds.len();
        speeds.extend(racers.iter().filter_map(|racer| row.speed(racer)));
        if speeds.len() > before && !workloads.contains(&row.workload.as_str()) {
            workloads.push(&row.workload);
        }
    }
    workloads.sort_by_key(|workload| group(workload));
    if speeds.is_empty() {
        return Err(
            "there is nothing to draw: no workload was timed on gradus and on another framework".into()
        );
    }
    let low = speeds.iter().fold(1.0, |low, (_, speed)| speed.min(low)) * 0.9;
    let high = speeds.iter().fold(2.0, |high, (_, speed)| speed.max(high));
    let number = |speed: f64| {
        let number = if speed < 1.0 { format!("{speed:.2}") } else { significant(speed) };
        number + "\u{d7}"
    };
    let longest =
        speeds.iter().map(|(peer, speed)| number(*speed).chars().count() + peer.chars().count()).max();
    let room = (longest.unwrap_or(0) + 2) as f64 * CHARACTER;
    let panels = report.tables.len() as f64;
    let panel = (WIDTH - LEFT - MARGIN + GAP) / panels - GAP;
    let scale = |x: f64| (x / low).ln() / (high / low).ln() * (panel - room).max(40.0);

    let mut body = String::new();
    let mut text = |x: f64, y: f64, attributes: &str, content: &str| {
        let _ = writeln!(body, r#"<text x="{x:.1}" y="{y:.1}" {attributes}>{content}</text>"#);
    };
    text(MARGIN, 40.0, r#"font-size="20" font-weight="600""#, "gradus against the fastest other framework");
    let subtitle = if racers.len() > 1 {
        "times as fast, logarithmic; pale bars are compiled functions, which race against compilers, too"
    } else {
        "times as fast, on a logarithmic scale; beside each bar the framework that it is compared with"
    };
    let row_height = ROW * racers.len() as f64;
    text(MARGIN, 62.0, &format!(r#"font-size="13" fill="{FAINT}""#), subtitle);

    // Names, where their rows are, and the path of a line through all rows, which spares the headings.
    let (mut y, mut last, mut rows, mut down) = (TOP, usize::MAX, Vec::new(), String::new());
    for workload in workloads {
        if group(workload) != last {
            last = group(workload);
            text(MARGIN, y + 22.0, r#"font-weight="600""#, GROUPS[last]);
            y += HEADING;
            let _ = write!(down, "m0 {HEADING}");
        }
        text(LEFT - 10.0, y + 13.5, r#"text-anchor="end""#, &escape(workload));
        rows.push((workload, y));
        y += row_height;
        let _ = write!(down, "v{row_height}");
    }
    let mut x0 = LEFT;
    for (&threads, table) in &report.tables {
        let place = |x: f64| x0 + scale(x);
        let _ = writeln!(body, r#"<text x="{x0:.1}" y="100" font-weight="600">{}</text>"#, plural(threads));
        for tick in ticks(low, high, (scale(high) / 45.0) as usize) {
            let x = place(tick);
            let (colour, width) = if tick == 1.0 { (FAINT, 1.5) } else { (GRID, 1.0) };
            let _ = writeln!(
                body,
                r#"<path d="M{x:.1} {TOP}{down}" fill="none" stroke="{colour}" stroke-width="{width}"/>"#
            );
            let _ = writeln!(
                body,
                r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle" font-size="11" fill="{FAINT}">{tick}&#215;</text>"#,
                TOP - 2.0,
            );
        }
        let bars = rows.iter().flat_map(|&(workload, y)| {
            let row = table.iter().find(|row| row.workload == workload);
            let speed = move |(i, racer): (usize, _)| Some((i, y + i as f64 * ROW, row?.speed(racer)?));
            racers.iter().copied().enumerate().filter_map(speed)
        });
        for (i, y, (peer, speed)) in bars {
            let (from, to) = (place(speed.min(1.0)), place(speed.max(1.0)));
            let colour = if speed < 1.0 { SLOWER } else { FASTER };
            let opacity = if i == 0 { "" } else { r#" fill-opacity="0.55""# };
            let _ = writeln!(
                body,
                r#"<rect x="{from:.1}" y="{:.1}" width="{:.1}" height="{BAR}" fill="{colour}"{opacity}/>"#,
                y + (ROW - BAR) / 2.0,
                (to - from).max(1.0),
            );
            let _ = writeln!(
                body,
                r#"<text x="{:.1}" y="{:.1}">{} <tspan fill="{FAINT}">{}</tspan></text>"#,
                to + 5.0,
                y + 13.5,
                number(speed),
                escape(peer)
            );
        }
        x0 += panel + GAP;
    }
    let height = y + MARGIN;
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0}" viewBox="0 0 {WIDTH} {height:.0}" font-family="-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif" font-size="{FONT}" fill="{INK}">
<title>How many times as fast as the fastest other framework gradus is</title>
<rect width="{WIDTH}" height="{height:.0}" rx="8" fill="#ffffff"/>
{body}</svg>
"##
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_few_lines() {
        assert_eq!(ticks(0.45, 6.0, 5), [0.5, 1.0, 2.0, 5.0]);
        assert_eq!(ticks(0.3, 120.0, 5), [1.0, 10.0, 100.0]);
    }
}

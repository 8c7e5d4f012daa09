//! A profile as tables.

use std::fmt::{self, Display, Formatter, Write};
use std::time::Duration;

use gradus_tensor::Bytes;

use super::{Phase, Profile, ProfileRow};

impl Display for Phase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Update => "update",
            Self::Scope => "scope",
        })
    }
}

/// The time in all, in operations and outside of them, then a table by operation and one by layer; all shares are of the
/// whole time.
impl Display for Profile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let outside = self.outside();
        writeln!(
            f,
            "{} in all: {} ({}) in {} operations, {} ({}) outside of them; {} multiply-adds",
            time(self.total),
            time(self.total.saturating_sub(outside)),
            self.share(self.total.saturating_sub(outside)),
            self.operations().count(),
            time(outside),
            self.share(outside),
            count(self.multiply_adds()),
        )?;
        for (title, rows) in [("operation", self.by_operation()), ("layer", self.by_layer())] {
            f.write_char('\n')?;
            self.table(f, title, &rows)?;
        }
        Ok(())
    }
}

impl Profile {
    fn share(&self, part: Duration) -> String {
        format!("{:.1} %", 100.0 * part.as_secs_f64() / self.total.as_secs_f64().max(f64::MIN_POSITIVE))
    }

    fn table(&self, f: &mut Formatter<'_>, title: &str, rows: &[ProfileRow]) -> fmt::Result {
        let header = [title, "phase", "count", "own", "share", "total", "results", "multiply-adds"];
        let mut cells = vec![header.map(String::from)];
        cells.extend(rows.iter().map(|row| {
            [
                if row.name.is_empty() { "(outside of layers)".into() } else { row.name.clone() },
                row.phase.map_or(String::new(), |phase| phase.to_string()),
                row.count.to_string(),
                time(row.own),
                self.share(row.own),
                time(row.total),
                Bytes(row.bytes).to_string(),
                count(row.multiply_adds),
            ]
        }));
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        for row in &cells {
            let mut line = String::new();
            for (i, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if i < 2 {
                    write!(line, "{cell:width$}  ")?;
                } else {
                    write!(line, "{cell:>width$}  ")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A time with three digits or so.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} us", s * 1e6),
    }
}

fn count(number: u64) -> String {
    let thousands = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match thousands.iter().find(|(size, _)| number as f64 >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", number as f64 / size),
        None => number.to_string(),
    }
}

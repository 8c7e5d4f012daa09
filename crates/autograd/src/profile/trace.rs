//! A profile as a file for the viewers of browsers.

use std::fmt::Write;

use super::{Phase, Profile};

impl Profile {
    /// The events in the format of Chrome's tracing, JSON with an array `traceEvents` of complete events; `chrome://tracing`,
    /// <https://ui.perfetto.dev> and others show it as a time line. (The format: "Trace Event Format", Google, 2016.)
    pub fn to_chrome_trace(&self) -> String {
        let mut out = String::from("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
        for (i, event) in self.events.iter().enumerate() {
            let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
            let _ = write!(
                out,
                "{}\n{{\"name\":{},\"cat\":\"{}\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{:.3},\"dur\":{:.3},\"args\":{{\
                 \"layer\":{},\"line\":{}",
                if i == 0 { "" } else { "," },
                quoted(&event.name),
                event.phase,
                micros(event.start),
                micros(event.total),
                quoted(&event.path),
                quoted(&event.line.to_string()),
            );
            if event.phase != Phase::Scope {
                let _ = write!(
                    out,
                    ",\"inputs\":{},\"multiply_adds\":{}",
                    quoted(&format!("{:?}", event.inputs)),
                    event.multiply_adds
                );
            }
            if let Some(output) = &event.output {
                let _ = write!(out, ",\"output\":\"{output:?}\",\"bytes\":{}", event.bytes);
            }
            out.push_str("}}");
        }
        out.push_str("\n]}\n");
        out
    }
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

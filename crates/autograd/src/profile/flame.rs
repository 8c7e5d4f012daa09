//! A profile as a flame graph: what ran inside of what, as wide as it took long (Gregg, "The flame graph", 2016).

use std::fmt::Write;
use std::time::Duration;

use super::table::time;
use super::{Event, Phase, Profile};
use crate::xml::Escaped;

/// All runs of something inside of the same things.
struct Branch {
    name: String,
    phase: Phase,
    total: Duration,
    count: usize,
    children: Vec<Branch>,
}

impl Branch {
    fn new(name: String, phase: Phase) -> Self {
        Self { name, phase, total: Duration::ZERO, count: 0, children: Vec::new() }
    }

    /// The child of a name, which is made if it is not there.
    fn child(&mut self, event: &Event) -> &mut Self {
        let name = match event.phase {
            Phase::Backward => format!("{} (backward)", event.name),
            Phase::Scope => match event.path.rsplit(" > ").next() {
                // A layer of a model.
                Some(path) if !path.is_empty() && *path != *event.name => format!("{path} ({})", event.name),
                _ => event.name.to_string(),
            },
            _ => event.name.to_string(),
        };
        let found = self.children.iter().position(|child| child.name == name);
        let place = found.unwrap_or_else(|| {
            self.children.push(Self::new(name, event.phase));
            self.children.len() - 1
        });
        &mut self.children[place]
    }

    /// The time outside of all children.
    fn own(&self) -> Duration {
        self.total.saturating_sub(self.children.iter().map(|child| child.total).sum())
    }

    fn depth(&self) -> usize {
        1 + self.children.iter().map(Self::depth).max().unwrap_or(0)
    }

    fn fold(&self, front: &str, out: &mut String) {
        let path = format!("{front}{}", self.name.replace([';', '\n'], " "));
        let _ = writeln!(out, "{path} {}", self.own().as_nanos());
        for child in &self.children {
            child.fold(&format!("{path};"), out);
        }
    }
}

/// The sizes of the picture.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 20.0;
/// The width of a character of 12 pixels.
const CHARACTER: f64 = 7.3;

const STYLE: &str = "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1c2733}\
.page{fill:#fbfbf9}.note{fill:#555f6a}\
.forward{fill:#9cc3e6}.backward{fill:#f2b79b}.update{fill:#b9d8a4}.scope{fill:#d9d5e8}\
@media(prefers-color-scheme:dark){.page{fill:#1b1e23}.note{fill:#a5adb6}}";

impl Profile {
    fn tree(&self) -> Branch {
        let mut root = Branch::new("all".into(), Phase::Scope);
        (root.total, root.count) = (self.total, 1);
        // The names on the way to an event; a deeper event that begins later is inside.
        let mut way: Vec<&Event> = Vec::new();
        for event in &self.events {
            way.retain(|around| around.depth < event.depth);
            let around = way.iter().fold(&mut root, |branch, around| branch.child(around));
            let branch = around.child(event);
            branch.total += event.total;
            branch.count += 1;
            way.push(event);
        }
        root
    }

    /// A line for each stack of names, `all;Linear;linear 1234`, with the nanoseconds outside of what is further inside:
    /// the input of the usual tools for flame graphs.
    pub fn to_folded(&self) -> String {
        let mut out = String::new();
        self.tree().fold("", &mut out);
        out
    }

    /// A flame graph as SVG: each box is as wide as its time, and stands on the box that it ran in. A tooltip has name,
    /// time and share.
    pub fn to_flame_svg(&self) -> String {
        let tree = self.tree();
        let height = ROW * tree.depth() as f64 + 36.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\
             <style>{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
             <text class=\"note\" x=\"8\" y=\"18\">{} in all; blue forward, orange backward, green update</text>\n",
            time(self.total)
        );
        let scale = (WIDTH - 16.0) / self.total.as_secs_f64().max(f64::MIN_POSITIVE);
        self.draw(&tree, 8.0, height - ROW - 8.0, scale, &mut out);
        out.push_str("</svg>\n");
        out
    }

    fn draw(&self, branch: &Branch, x: f64, y: f64, scale: f64, out: &mut String) {
        let width = branch.total.as_secs_f64() * scale;
        if width < 0.2 {
            return;
        }
        let name = Escaped(&branch.name);
        let _ = writeln!(
            out,
            "<g><title>{name}: {} ({:.1} %), {} times</title><rect class=\"{}\" x=\"{x:.2}\" y=\"{y}\" width=\"{:.2}\" \
             height=\"{}\" rx=\"2\"/>{}</g>",
            time(branch.total),
            100.0 * branch.total.as_secs_f64() / self.total.as_secs_f64(),
            branch.count,
            branch.phase,
            (width - 0.6).max(0.2),
            ROW - 1.0,
            label(&branch.name, x, y, width),
        );
        let mut x = x;
        for child in &branch.children {
            self.draw(child, x, y - ROW, scale, out);
            x += child.total.as_secs_f64() * scale;
        }
    }
}

/// The name as far as there is room for it.
fn label(name: &str, x: f64, y: f64, width: f64) -> String {
    let room = ((width - 6.0) / CHARACTER).max(0.0) as usize;
    if room < 3 {
        return String::new();
    }
    let text: String = if name.chars().count() <= room {
        name.into()
    } else {
        name.chars().take(room - 2).chain("..".chars()).collect()
    };
    format!("<text x=\"{:.2}\" y=\"{}\">{}</text>", x + 3.0, y + 14.0, Escaped(&text))
}

//! Text in XML and HTML.

use std::fmt::{self, Display, Formatter, Write};

/// A text between tags or in an attribute. Characters that XML cannot have, such as most control characters, become U+FFFD.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            // A parser would make a space or a line feed of them.
            '\n' | '\t' | '\r' => write!(f, "&#{};", letter as u32),
            c if c.is_control() || ['\u{fffe}', '\u{ffff}'].contains(&c) => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

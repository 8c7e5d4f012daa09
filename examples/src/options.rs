//! The command line of an example, and the check at its end.

use std::error::Error;
use std::ops::RangeBounds;
use std::path::PathBuf;

/// The options that every example understands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--quick`: a shorter run, which still checks its result.
    pub quick: bool,
    /// `--data PATH`: a file or folder of data that is not in the repository.
    pub data: Option<PathBuf>,
}

impl Options {
    /// The options of this process.
    ///
    /// # Errors
    /// If there is an argument of another name, or no path behind `--data`.
    pub fn read() -> Result<Self, Box<dyn Error>> {
        Ok(Self::parse(lexopt::Parser::from_env())?)
    }

    fn parse(mut arguments: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next()? {
            match argument {
                lexopt::Arg::Long("quick") => options.quick = true,
                lexopt::Arg::Long("data") => options.data = Some(arguments.value()?.into()),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }

    /// The first of two values, or the second in a quick run.
    pub fn unless_quick<T>(&self, whole: T, quick: T) -> T {
        if self.quick { quick } else { whole }
    }
}

/// Holds a result of an example against the range that it has to be in, which makes an example a test.
///
/// # Errors
/// If the value is outside the range; the message has both.
pub fn require(
    name: &str,
    value: f64,
    range: impl RangeBounds<f64> + std::fmt::Debug,
) -> Result<(), Box<dyn Error>> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} is {value:.6}, not in {range:?}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_their_errors() {
        let parse = |arguments: &[&str]| {
            Options::parse(lexopt::Parser::from_args(arguments)).map_err(|error| error.to_string())
        };
        assert_eq!(parse(&[]), Ok(Options::default()));
        assert_eq!(parse(&["--data", "a", "--quick"]), Ok(Options { quick: true, data: Some("a".into()) }));
        assert_eq!(parse(&["--fast"]), Err("invalid option '--fast'".into()));
        assert_eq!(parse(&["--data"]), Err("missing argument for option '--data'".into()));
    }

    #[test]
    fn a_result_outside_its_range_is_an_error() {
        assert!(require("the accuracy", 0.98, 0.97..).is_ok());
        let error = require("the accuracy", f64::NAN, 0.97..).expect_err("NaN is in no range");
        assert_eq!(error.to_string(), "the accuracy is NaN, not in 0.97..");
    }
}

//! Options in JSON, none of which may be passed over.

use serde_json::{Map, Value};

use crate::compare::{Nan, Tolerance};
use crate::data::Result;

/// The options of something; each is taken out when it is read, and in the end none may be left.
#[derive(Clone)]
pub(crate) struct Options {
    /// What they are options of, for messages.
    of: String,
    entries: Map<String, Value>,
}

impl Options {
    pub(crate) fn of(what: &str, options: &Value) -> Result<Self> {
        let entries = options.as_object().ok_or_else(|| format!("{what}: {options} has no names"))?;
        Ok(Self { of: what.into(), entries: entries.clone() })
    }

    /// What is said of a name, unless it is nothing.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.entries.remove(name).filter(|value| !value.is_null())
    }

    fn required<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| format!("{} without {name}", self.of))
    }

    /// What `read` makes of the option, if it is there.
    fn optional<T>(&mut self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        let wrong = |value: &Value| format!("{} with {name} {value}", self.of);
        let value = self.entries.get(name).filter(|value| !value.is_null());
        let read = value.map(|value| read(value).ok_or_else(|| wrong(value))).transpose()?;
        self.take(name);
        Ok(read)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String> {
        let text = self.optional(name, |value| value.as_str().map(str::to_owned))?;
        self.required(name, text)
    }

    pub(crate) fn text_or(&mut self, name: &str, default: &str) -> Result<String> {
        let text = self.optional(name, |value| value.as_str().map(str::to_owned))?;
        Ok(text.unwrap_or_else(|| default.into()))
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        let text = |item: &Value| item.as_str().map(str::to_owned);
        let texts = self.optional(name, |value| value.as_array()?.iter().map(text).collect())?;
        self.required(name, texts)
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<f64> {
        let number = self.optional(name, number)?;
        self.required(name, number)
    }

    pub(crate) fn number_or(&mut self, name: &str, default: f64) -> Result<f64> {
        Ok(self.optional(name, number)?.unwrap_or(default))
    }

    pub(crate) fn count(&mut self, name: &str) -> Result<usize> {
        let count = self.optional(name, count)?;
        self.required(name, count)
    }

    pub(crate) fn count_or(&mut self, name: &str, default: usize) -> Result<usize> {
        Ok(self.optional(name, count)?.unwrap_or(default))
    }

    pub(crate) fn counts(&mut self, name: &str) -> Result<Vec<usize>> {
        let counts = self.optional(name, |value| value.as_array()?.iter().map(count).collect())?;
        self.required(name, counts)
    }

    /// Two numbers.
    fn pair(&mut self, name: &str) -> Result<Option<[f64; 2]>> {
        self.optional(name, |value| {
            let numbers: Vec<f64> = value.as_array()?.iter().map(number).collect::<Option<_>>()?;
            numbers.try_into().ok()
        })
    }

    pub(crate) fn pair_or(&mut self, name: &str, default: [f64; 2]) -> Result<[f64; 2]> {
        Ok(self.pair(name)?.unwrap_or(default))
    }

    pub(crate) fn tolerance(&mut self, name: &str) -> Result<Tolerance> {
        let pair = self.pair(name)?;
        let [relative, absolute] = self.required(name, pair)?;
        Ok(Tolerance { relative, absolute, nan: Nan::Agrees })
    }

    /// Whether something is asked for.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool> {
        Ok(self.optional(name, Value::as_bool)?.unwrap_or(false))
    }

    /// Options in these options.
    pub(crate) fn group(&mut self, name: &str) -> Result<Option<Self>> {
        self.take(name).map(|options| Self::of(name, &options)).transpose()
    }

    /// That all options were read, but those that ask for nothing.
    pub(crate) fn finish(self) -> Result<()> {
        let left = self.entries.iter().find(|(_, value)| !value.is_null() && **value != false);
        left.map_or(Ok(()), |(name, value)| Err(format!("{} with {name} {value}", self.of)))
    }
}

fn count(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

/// A number, or the name of one that JSON does not have.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

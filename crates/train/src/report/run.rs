//! The data of a report, and their JSON.

use gradus_autograd::{Phase, ProfileRow};
use gradus_nn::SummaryRow;
use serde_json::{Map, Value, json};

/// The data of a [`Report`](super::Report): of one run of training.
///
/// A page has them, too, as JSON: [`Run::read`] reads them again, for a comparison.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Run {
    /// The title.
    pub title: String,
    /// The settings, by name.
    pub settings: Vec<(String, String)>,
    /// The rows of the epochs.
    pub epochs: Vec<Epoch>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The samples of each class, by row, that were taken for each class.
    pub confusion: Vec<Vec<u64>>,
    /// The parameters and buffers of the model: name, kind (`trainable`, `frozen` or `buffer`) and shape.
    pub model: Vec<(String, String, Vec<usize>)>,
    /// The operations with their times.
    pub operations: Vec<OperationTime>,
    /// The charts that were asked for: a title, and the names of their lines.
    pub charts: Vec<(String, Vec<String>)>,
}

/// An epoch of a [`Run`].
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Epoch {
    /// The number, from 1.
    pub epoch: usize,
    /// The named numbers.
    pub values: Vec<(String, f64)>,
    /// The time since the row before, in seconds.
    pub seconds: f64,
    /// The samples that it took; 0 if nothing is said.
    pub samples: usize,
}

/// The time that an operation took, as a profiler measures it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationTime {
    /// The name, such as `conv2d` or `conv2d, backward`.
    pub name: String,
    /// The number of calls.
    pub calls: usize,
    /// The time of all calls, in seconds.
    pub seconds: f64,
}

/// The time of the operation without those inside of it.
impl From<ProfileRow> for OperationTime {
    fn from(row: ProfileRow) -> Self {
        let name = match row.phase {
            Some(Phase::Backward) => format!("{}, backward", row.name),
            _ => row.name,
        };
        Self { name, calls: row.count, seconds: row.own.as_secs_f64() }
    }
}

impl Run {
    /// The numbers of one name, by epoch.
    pub fn curve(&self, name: &str) -> Vec<(f64, f64)> {
        let value = |epoch: &Epoch| Some(epoch.values.iter().find(|(other, _)| other == name)?.1);
        self.epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?))).collect()
    }

    /// The samples a second, by epoch, of the epochs whose samples are known.
    pub fn speed(&self) -> Vec<(f64, f64)> {
        let speed = |epoch: &Epoch| epoch.samples as f64 / epoch.seconds;
        let known = self.epochs.iter().filter(|epoch| epoch.samples > 0 && epoch.seconds > 0.0);
        known.map(|epoch| (epoch.epoch as f64, speed(epoch))).collect()
    }

    pub(super) fn model_of(rows: &[SummaryRow]) -> Vec<(String, String, Vec<usize>)> {
        rows.iter().map(|row| (row.name.clone(), row.kind.into(), row.shape.clone())).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let epoch = |epoch: &Epoch| {
            let values: Vec<Value> =
                epoch.values.iter().map(|(name, value)| json!([name, number(*value)])).collect();
            json!({
                "epoch": epoch.epoch, "values": values, "seconds": number(epoch.seconds), "samples": epoch.samples,
            })
        };
        let operation =
            |operation: &OperationTime| json!([operation.name, operation.calls, number(operation.seconds)]);
        json!({
            "title": self.title,
            "settings": self.settings,
            "epochs": self.epochs.iter().map(epoch).collect::<Vec<_>>(),
            "classes": self.classes,
            "confusion": self.confusion,
            "model": self.model,
            "operations": self.operations.iter().map(operation).collect::<Vec<_>>(),
            "charts": self.charts,
        })
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let run = value.as_object()?;
        let epoch = |value: &Value| {
            let epoch = value.as_object()?;
            Some(Epoch {
                epoch: count(epoch.get("epoch")?)?,
                values: list(epoch, "values", |pair| {
                    let [name, value] = array(pair)?;
                    Some((text(name)?, read_number(value)?))
                })?,
                seconds: read_number(epoch.get("seconds")?)?,
                samples: count(epoch.get("samples")?)?,
            })
        };
        let confusion: Vec<Vec<u64>> =
            list(run, "confusion", |row| row.as_array()?.iter().map(Value::as_u64).collect())?;
        let classes = list(run, "classes", text)?;
        let is_square = confusion.iter().all(|row| row.len() == confusion.len());
        Some(Self {
            title: text(run.get("title")?)?,
            settings: list(run, "settings", |pair| {
                let [name, value] = array(pair)?;
                Some((text(name)?, text(value)?))
            })?,
            epochs: list(run, "epochs", epoch)?,
            classes,
            confusion: is_square.then_some(confusion)?,
            model: list(run, "model", |row| {
                let [name, kind, shape] = array(row)?;
                let shape = shape.as_array()?.iter().map(count).collect::<Option<_>>()?;
                Some((text(name)?, text(kind)?, shape))
            })?,
            operations: list(run, "operations", |row| {
                let [name, calls, seconds] = array(row)?;
                Some(OperationTime {
                    name: text(name)?,
                    calls: count(calls)?,
                    seconds: read_number(seconds)?,
                })
            })?,
            charts: list(run, "charts", |chart| {
                let [title, names] = array(chart)?;
                Some((text(title)?, names.as_array()?.iter().map(text).collect::<Option<_>>()?))
            })?,
        })
    }
}

/// A number; JSON has no others than finite ones, so that `NaN`, `inf` and `-inf` are strings.
fn number(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { json!(format!("{x:?}")) }
}

fn read_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(String::from)
}

fn count(value: &Value) -> Option<usize> {
    value.as_u64()?.try_into().ok()
}

fn array<const N: usize>(value: &Value) -> Option<&[Value; N]> {
    value.as_array()?.as_slice().try_into().ok()
}

fn list<R>(from: &Map<String, Value>, name: &str, read: impl Fn(&Value) -> Option<R>) -> Option<Vec<R>> {
    from.get(name)?.as_array()?.iter().map(read).collect()
}

/// The names of all runs, each once, in order.
pub(super) fn names(runs: &[Run]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flat_map(|run| &run.epochs).flat_map(|epoch| &epoch.values) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

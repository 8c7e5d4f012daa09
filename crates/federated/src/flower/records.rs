//! Records of Flower as states, settings and reports, and back.

use std::collections::BTreeMap;

use gradus_autograd::npy::{self, Array};
use gradus_nn::{State, StateTensor};
use prost::Message;

use super::objects::{Builder, Object, Objects, array_bytes};
use super::wire::{ObjectTree, RecordValue, Signeds, Value, ValueItem, ValueRecord};
use crate::client::{Report, Setting};

/// The content of a message: arrays and settings.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Content {
    pub(super) arrays: State,
    pub(super) settings: BTreeMap<String, Setting>,
}

/// Reads the content of a message whose objects are all here.
pub(super) fn read(objects: &Objects, message: &str) -> Result<Content, String> {
    let message = Object::get(objects, message, "Message")?;
    let [record] = message.parts[..] else { return Err("a message without content".into()) };
    let mut content = Content::default();
    let mut has_arrays = false;
    for (key, name) in Object::get(objects, record, "RecordDict")?.references()? {
        let object = objects.get(&name).ok_or_else(|| format!("there is no object {name}"))?;
        let object = Object::read(object)?;
        match object.kind {
            "ArrayRecord" if has_arrays => return Err("two records of arrays: which is the model?".into()),
            "ArrayRecord" => {
                has_arrays = true;
                for (parameter, array) in object.references()? {
                    let tensor = tensor(&array_bytes(objects, &array)?);
                    let tensor = tensor.map_err(|fault| format!("the array {parameter:?}: {fault}"))?;
                    content.arrays.insert(parameter, tensor);
                }
            }
            "ConfigRecord" | "MetricRecord" => content.settings.extend(settings(object.body)?),
            kind => return Err(format!("the record {key:?} is a {kind}")),
        }
    }
    Ok(content)
}

fn tensor(bytes: &[u8]) -> Result<StateTensor, String> {
    Ok(match npy::from_bytes(bytes).map_err(|error| error.to_string())? {
        Array::F32(tensor) => tensor.into(),
        Array::F64(tensor) => tensor.into(),
        Array::I64(tensor) => tensor.into(),
        Array::Bool(tensor) => tensor.into(),
        array @ Array::U64(_) => return Err(format!("elements of type {} are no parameters", array.dtype())),
    })
}

fn settings(body: &[u8]) -> Result<BTreeMap<String, Setting>, String> {
    let record = ValueRecord::decode(body).map_err(|error| error.to_string())?;
    let setting = |item: ValueItem| {
        let value = item.value.and_then(|value| value.value);
        let value = value.ok_or_else(|| format!("the setting {:?} has no value", item.key))?;
        Ok((item.key, setting(value)))
    };
    record.items.into_iter().map(setting).collect()
}

fn setting(value: Value) -> Setting {
    match value {
        Value::Double(x) => Setting::Float(x),
        Value::Signed(i) => Setting::Integer(i.into()),
        Value::Unsigned(i) => Setting::Integer(i.into()),
        Value::Bool(b) => Setting::Bool(b),
        Value::Text(text) => Setting::Text(text),
        Value::Bytes(bytes) => Setting::Bytes(bytes),
        Value::Doubles(list) => Setting::List(list.values.into_iter().map(Setting::Float).collect()),
        Value::Signeds(Signeds { values }) => {
            Setting::List(values.into_iter().map(|i| Setting::Integer(i.into())).collect())
        }
        Value::Unsigneds(list) => {
            Setting::List(list.values.into_iter().map(|i| Setting::Integer(i.into())).collect())
        }
        Value::Bools(list) => Setting::List(list.values.into_iter().map(Setting::Bool).collect()),
        Value::Texts(list) => Setting::List(list.values.into_iter().map(Setting::Text).collect()),
        Value::ByteLists(list) => Setting::List(list.values.into_iter().map(Setting::Bytes).collect()),
    }
}

/// Adds a state as a record of arrays, in the order of the names.
pub(super) fn arrays(builder: &mut Builder, state: &State) -> Result<ObjectTree, String> {
    let mut parts = Vec::new();
    for (name, tensor) in state.iter() {
        let (dtype, array): (&str, Array) = match tensor {
            StateTensor::F32(tensor) => ("float32", tensor.clone().into()),
            StateTensor::F64(tensor) => ("float64", tensor.clone().into()),
            StateTensor::I64(tensor) => ("int64", tensor.clone().into()),
            StateTensor::Bool(tensor) => ("bool", tensor.clone().into()),
            other => return Err(format!("{name:?} has elements of type {}", other.dtype())),
        };
        let shape = array.shape().to_vec();
        let bytes = npy::to_bytes(array).map_err(|error| format!("{name:?}: {error}"))?;
        parts.push((name.to_string(), builder.array(dtype, &shape, &bytes)));
    }
    Ok(builder.record("ArrayRecord", parts))
}

/// Adds a report as a record of metrics, with the number of examples under the key that strategies weight by.
pub(super) fn metrics(builder: &mut Builder, report: &Report) -> ObjectTree {
    let item =
        |(key, value): (String, Value)| ValueItem { key, value: Some(RecordValue { value: Some(value) }) };
    let examples = ("num-examples".to_string(), Value::Signed(report.examples.cast_signed()));
    let metrics = report.metrics.iter().map(|(name, value)| (name.clone(), Value::Double(*value)));
    let items = std::iter::once(examples).chain(metrics).map(item).collect();
    builder.message("MetricRecord", Vec::new(), &ValueRecord { items })
}

/// The first tensor with NaN or an infinity.
pub(super) fn not_finite(state: &State) -> Option<&str> {
    let is_finite = |tensor: &StateTensor| match tensor {
        StateTensor::F32(tensor) => tensor.iter().all(f32::is_finite),
        StateTensor::F64(tensor) => tensor.iter().all(f64::is_finite),
        _ => true,
    };
    state.iter().find(|(_, tensor)| !is_finite(tensor)).map(|(name, _)| name)
}

//! Reading: archives of tensors in the safetensors format, and the JSON beside them.

use std::fs;
use std::path::Path;

use gradus::{Element, Tensor};
use serde_json::{Map, Value};

pub(crate) type Result<T, E = String> = std::result::Result<T, E>;

/// A file of tensors by name.
///
/// Methods panic about what is missing or has another type: it is a mistake in the data or in the runner, and
/// whoever runs a case reports it as a failure.
pub(crate) struct Archive {
    header: Map<String, Value>,
    bytes: Vec<u8>,
}

impl Archive {
    /// Reads a file: the length of the header, the header in JSON, the data.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let mut bytes = fs::read(path).map_err(|error| wrong(&error))?;
        let length = bytes.first_chunk().ok_or_else(|| wrong(&"no header"))?;
        let end = 8 + u64::from_le_bytes(*length) as usize;
        let header = bytes.get(8..end).ok_or_else(|| wrong(&"a header longer than the file"))?;
        let header = serde_json::from_slice(header).map_err(|error| wrong(&error))?;
        bytes.drain(..end);
        Ok(Self { header, bytes })
    }

    /// The type of a tensor's elements: `F64`, `I64` or `BOOL`.
    pub(crate) fn dtype(&self, key: &str) -> &str {
        self.header[key]["dtype"].as_str().unwrap_or_else(|| panic!("no tensor {key} in the file"))
    }

    pub(crate) fn f64(&self, key: &str) -> Tensor<f64> {
        self.tensor(key, "F64", f64::from_le_bytes)
    }

    pub(crate) fn i64(&self, key: &str) -> Tensor<i64> {
        self.tensor(key, "I64", i64::from_le_bytes)
    }

    pub(crate) fn bool(&self, key: &str) -> Tensor<bool> {
        self.tensor(key, "BOOL", |[byte]| byte != 0)
    }

    /// Integers of any of the stored types.
    pub(crate) fn integers(&self, key: &str) -> Tensor<i64> {
        match self.dtype(key) {
            "I8" => self.tensor(key, "I8", |bytes| i8::from_le_bytes(bytes).into()),
            "U8" => self.tensor(key, "U8", |bytes| u8::from_le_bytes(bytes).into()),
            "I32" => self.tensor(key, "I32", |bytes| i32::from_le_bytes(bytes).into()),
            _ => self.i64(key),
        }
    }

    fn tensor<T: Element, const N: usize>(
        &self,
        key: &str,
        dtype: &str,
        number: fn([u8; N]) -> T,
    ) -> Tensor<T> {
        let entry = self.header.get(key).unwrap_or_else(|| panic!("no tensor {key} in the file"));
        assert!(entry["dtype"] == dtype, "{key} is {}, not {dtype}", entry["dtype"]);
        let [begin, end] = integers(&entry["data_offsets"])[..] else { panic!("{key} has no two offsets") };
        let (chunks, rest) = self.bytes[begin as usize..end as usize].as_chunks::<N>();
        assert!(rest.is_empty(), "{key} ends within a number");
        let numbers = chunks.iter().map(|&bytes| number(bytes)).collect();
        Tensor::from_vec(numbers, sizes(&entry["shape"])).unwrap_or_else(|error| panic!("{key}: {error}"))
    }
}

/// The list `cases` of an index.
pub(crate) fn cases(index: &Path) -> Result<Vec<Value>> {
    let text = fs::read(index).map_err(|error| format!("{}: {error}", index.display()))?;
    let mut json: Value =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", index.display()))?;
    match json["cases"].take() {
        Value::Array(cases) if json["format"] == 1 => Ok(cases),
        _ => Err(format!("{}: no list of cases in format 1", index.display())),
    }
}

/// A list of integers in JSON.
pub(crate) fn integers(list: &Value) -> Vec<isize> {
    let integer = |item: &Value| item.as_i64().unwrap_or_else(|| panic!("{item} is not an integer")) as isize;
    list.as_array().unwrap_or_else(|| panic!("{list} is not a list")).iter().map(integer).collect()
}

/// A list of integers in JSON that are not negative.
pub(crate) fn sizes(list: &Value) -> Vec<usize> {
    let size = |item| usize::try_from(item).unwrap_or_else(|_| panic!("{item} is negative"));
    integers(list).into_iter().map(size).collect()
}

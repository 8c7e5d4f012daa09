//! What a case hands to an operation, and what it gets back.

use std::cell::RefCell;
use std::collections::BTreeSet;

use gradus::{Axes, Dims, Indices, Reduction, Tensor, Var, keepdim};
use serde_json::{Map, Value as Json};

use crate::data::{integers, sizes};

/// An input or an output.
#[derive(Clone)]
pub(crate) enum Value {
    Float(Var<f64>),
    Integer(Tensor<i64>),
    Bool(Tensor<bool>),
}

/// Inputs and attributes of a case, by name.
///
/// Methods panic about what is missing or of another type, and [`check_all_used`](Self::check_all_used) about what
/// nobody asked for: nothing that a case says is overlooked.
pub(crate) struct Arguments<'a> {
    inputs: &'a [(String, Value)],
    attributes: &'a Map<String, Json>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(inputs: &'a [(String, Value)], attributes: &'a Map<String, Json>) -> Self {
        Self { inputs, attributes, used: RefCell::default() }
    }

    pub(crate) fn check_all_used(&self) {
        let used = self.used.borrow();
        let unused = |name: &&String| !used.contains(*name);
        let names = self.inputs.iter().map(|(name, _)| name).chain(self.attributes.keys());
        let unused: Vec<&String> = names.filter(unused).collect();
        assert!(unused.is_empty(), "the runner does not use {unused:?}");
    }

    // Inputs

    /// An input by its name, if it is there.
    pub(crate) fn input(&self, name: &str) -> Option<&'a Value> {
        let (name, value) = self.inputs.iter().find(|(other, _)| other == name)?;
        self.used.borrow_mut().insert(name.clone());
        Some(value)
    }

    /// The input at this place, for operations whose inputs are all needed.
    pub(crate) fn at(&self, position: usize) -> &'a Value {
        let (name, _) = self.inputs.get(position).unwrap_or_else(|| panic!("no input {position}"));
        self.input(name).expect("just found")
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&'a Var<f64>> {
        self.input(name).map(Value::var)
    }

    pub(crate) fn var(&self, name: &str) -> &'a Var<f64> {
        self.optional(name).unwrap_or_else(|| panic!("no input {name}"))
    }

    /// The input that most operations begin with.
    pub(crate) fn x(&self) -> &'a Var<f64> {
        self.var("x")
    }

    /// All inputs.
    pub(crate) fn xs(&self) -> Vec<&'a Var<f64>> {
        (0..self.inputs.len()).map(|i| self.var(&format!("xs{i}"))).collect()
    }

    pub(crate) fn integers(&self, name: &str) -> &'a Tensor<i64> {
        self.input(name).unwrap_or_else(|| panic!("no input {name}")).integers()
    }

    pub(crate) fn bools(&self, name: &str) -> &'a Tensor<bool> {
        self.input(name).unwrap_or_else(|| panic!("no input {name}")).bools()
    }

    // Attributes

    fn attribute(&self, name: &str) -> &'a Json {
        self.used.borrow_mut().insert(name.into());
        self.attributes.get(name).unwrap_or_else(|| panic!("no attribute {name}"))
    }

    /// Something else than null, in the form that `read` gives it.
    pub(crate) fn nullable<T>(&self, name: &str, read: impl FnOnce(&Self, &str) -> T) -> Option<T> {
        let is_null = self.attribute(name).is_null();
        (!is_null).then(|| read(self, name))
    }

    pub(crate) fn float(&self, name: &str) -> f64 {
        match self.attribute(name) {
            Json::String(text) if text == "inf" => f64::INFINITY,
            Json::String(text) if text == "-inf" => f64::NEG_INFINITY,
            Json::String(text) if text == "nan" => f64::NAN,
            number => number.as_f64().unwrap_or_else(|| panic!("{name} is {number}, no number")),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> isize {
        let value = self.attribute(name);
        value.as_i64().unwrap_or_else(|| panic!("{name} is {value}, no integer")) as isize
    }

    pub(crate) fn size(&self, name: &str) -> usize {
        let value = self.integer(name);
        usize::try_from(value).unwrap_or_else(|_| panic!("{name} is {value}, no size"))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.attribute(name);
        value.as_bool().unwrap_or_else(|| panic!("{name} is {value}, neither true nor false"))
    }

    pub(crate) fn text(&self, name: &str) -> &'a str {
        let value = self.attribute(name);
        value.as_str().unwrap_or_else(|| panic!("{name} is {value}, no text"))
    }

    /// A text or a whole number, as text.
    pub(crate) fn label(&self, name: &str) -> String {
        match self.attribute(name) {
            Json::String(text) => text.clone(),
            number => number.as_f64().unwrap_or_else(|| panic!("{name} is {number}, no label")).to_string(),
        }
    }

    pub(crate) fn list(&self, name: &str) -> Vec<isize> {
        integers(self.attribute(name))
    }

    pub(crate) fn sizes(&self, name: &str) -> Vec<usize> {
        sizes(self.attribute(name))
    }

    /// The items of a list, which may be of any kind.
    pub(crate) fn items(&self, name: &str) -> &'a [Json] {
        let value = self.attribute(name);
        value.as_array().unwrap_or_else(|| panic!("{name} is {value}, no list"))
    }

    /// One integer, or one for each axis.
    pub(crate) fn dims(&self, name: &str) -> Dims {
        if self.attribute(name).is_array() { self.list(name).into() } else { self.integer(name).into() }
    }

    /// The attribute of this name as axes, of which null means all.
    pub(crate) fn all_or(&self, name: &str) -> Axes {
        self.nullable(name, Self::dims).map_or(Axes::from(..), |dims| dims.as_slice().into())
    }

    /// The attributes `dim` and `keepdim` of a reduction.
    pub(crate) fn axes(&self) -> Axes {
        let axes = self.all_or("dim");
        if self.flag("keepdim") { keepdim(axes) } else { axes }
    }

    pub(crate) fn reduction(&self) -> Reduction {
        match self.text("reduction") {
            "none" => Reduction::None,
            "mean" => Reduction::Mean,
            "sum" => Reduction::Sum,
            "batchmean" => Reduction::BatchMean,
            other => panic!("reduction is {other}"),
        }
    }
}

impl Value {
    pub(crate) fn var(&self) -> &Var<f64> {
        let Self::Float(var) = self else { panic!("an input is {}, not f64", self.dtype()) };
        var
    }

    pub(crate) fn integers(&self) -> &Tensor<i64> {
        let Self::Integer(tensor) = self else { panic!("an input is {}, not i64", self.dtype()) };
        tensor
    }

    pub(crate) fn bools(&self) -> &Tensor<bool> {
        let Self::Bool(tensor) = self else { panic!("an input is {}, not bool", self.dtype()) };
        tensor
    }

    pub(crate) fn dtype(&self) -> &'static str {
        match self {
            Self::Float(_) => "F64",
            Self::Integer(_) => "I64",
            Self::Bool(_) => "BOOL",
        }
    }
}

/// What an operation returned.
pub(crate) struct Outputs(pub(crate) Vec<Value>);

impl From<Var<f64>> for Outputs {
    fn from(var: Var<f64>) -> Self {
        Self(vec![Value::Float(var)])
    }
}

impl From<Tensor<i64>> for Outputs {
    fn from(tensor: Tensor<i64>) -> Self {
        Self(vec![Value::Integer(tensor)])
    }
}

impl From<Indices<f64>> for Outputs {
    fn from(indices: Indices<f64>) -> Self {
        indices.into_value().into()
    }
}

impl From<Tensor<bool>> for Outputs {
    fn from(tensor: Tensor<bool>) -> Self {
        Self(vec![Value::Bool(tensor)])
    }
}

impl From<Vec<Var<f64>>> for Outputs {
    fn from(vars: Vec<Var<f64>>) -> Self {
        Self(vars.into_iter().map(Value::Float).collect())
    }
}

impl From<(Var<f64>, Indices<f64>)> for Outputs {
    fn from((var, indices): (Var<f64>, Indices<f64>)) -> Self {
        Self(vec![Value::Float(var), Value::Integer(indices.into_value())])
    }
}

/// A result, and running statistics.
impl From<(Var<f64>, Option<[Var<f64>; 2]>)> for Outputs {
    fn from((var, running): (Var<f64>, Option<[Var<f64>; 2]>)) -> Self {
        std::iter::once(var).chain(running.into_iter().flatten()).collect::<Vec<_>>().into()
    }
}

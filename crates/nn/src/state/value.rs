//! One tensor of a state.

use std::any::Any;
use std::fmt::{self, Display, Formatter};

use gradus_autograd::{Element, Float, Tensor, Xoshiro256PlusPlus};

/// A tensor with elements of any type that a state can hold. Half precision is held in `f32`, and integers of 8 bits in
/// `i64`, which have all their numbers; a file of 8 bits is read as `i64`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "named after their elements")]
pub enum StateTensor {
    F32(Tensor<f32>),
    F64(Tensor<f64>),
    F16(Tensor<f32>),
    Bf16(Tensor<f32>),
    I64(Tensor<i64>),
    I8(Tensor<i64>),
    U8(Tensor<i64>),
    Bool(Tensor<bool>),
}

/// The type of the elements of a [`StateTensor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the types")]
pub enum Dtype {
    F32,
    F64,
    F16,
    Bf16,
    I64,
    I8,
    U8,
    Bool,
}

impl Display for Dtype {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I64 => "i64",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        })
    }
}

/// Element types that a tensor of a state can be read as: `f32`, `f64`, `i64` and `bool`.
pub trait Stored: Element {
    #[doc(hidden)]
    const DTYPE: Dtype;
    #[doc(hidden)]
    fn of(tensor: &StateTensor) -> Option<&Tensor<Self>>;
    #[doc(hidden)]
    fn store(tensor: Tensor<Self>) -> StateTensor;
}

/// Types of values in a state, for [`State::value`](super::State::value): numbers, truth values and generators.
pub trait Value: Sized {
    #[doc(hidden)]
    const FORM: &'static str;
    #[doc(hidden)]
    fn of(tensor: &StateTensor) -> Option<Self>;
}

macro_rules! stored {
    ($($element:ty => $variant:ident;)*) => {$(
        impl Stored for $element {
            const DTYPE: Dtype = Dtype::$variant;
            fn of(tensor: &StateTensor) -> Option<&Tensor<Self>> {
                match tensor {
                    StateTensor::$variant(tensor) => Some(tensor),
                    _ => None,
                }
            }
            fn store(tensor: Tensor<Self>) -> StateTensor {
                StateTensor::$variant(tensor)
            }
        }

        impl From<Tensor<$element>> for StateTensor {
            fn from(tensor: Tensor<$element>) -> Self {
                Self::$variant(tensor)
            }
        }

        impl From<$element> for StateTensor {
            fn from(value: $element) -> Self {
                Self::$variant(Tensor::from(value))
            }
        }

        impl Value for $element {
            const FORM: &'static str = concat!("one element of ", stringify!($element));
            fn of(tensor: &StateTensor) -> Option<Self> {
                <Self as Stored>::of(tensor).filter(|tensor| tensor.len() == 1).map(Tensor::item)
            }
        }
    )*};
}

stored! {
    f32 => F32;
    f64 => F64;
    i64 => I64;
    bool => Bool;
}

/// Integers of other types, which are stored as `i64`; one beyond its range keeps its bits.
macro_rules! integers {
    ($($integer:ty => $to:expr, $from:expr;)*) => {$(
        impl From<$integer> for StateTensor {
            fn from(value: $integer) -> Self {
                Self::from($to(value))
            }
        }

        impl Value for $integer {
            const FORM: &'static str = concat!("one element of i64 in the range of ", stringify!($integer));
            fn of(tensor: &StateTensor) -> Option<Self> {
                <i64 as Value>::of(tensor).and_then($from)
            }
        }
    )*};
}

integers! {
    i32 => i64::from, |value| value.try_into().ok();
    u32 => i64::from, |value| value.try_into().ok();
    u64 => u64::cast_signed, |value| Some(value.cast_unsigned());
    usize => |value: usize| (value as u64).cast_signed(), |value| value.cast_unsigned().try_into().ok();
}

impl From<&Xoshiro256PlusPlus> for StateTensor {
    /// The four words of the state.
    fn from(rng: &Xoshiro256PlusPlus) -> Self {
        Tensor::from(rng.state().map(u64::cast_signed)).into()
    }
}

impl Value for Xoshiro256PlusPlus {
    const FORM: &'static str = "a generator, as four i64 that are not all 0,";
    fn of(tensor: &StateTensor) -> Option<Self> {
        let words: [i64; 4] = <i64 as Stored>::of(tensor)?.to_vec().try_into().ok()?;
        Self::from_state(words.map(i64::cast_unsigned))
    }
}

impl StateTensor {
    /// The type of the elements.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::F16(_) => Dtype::F16,
            Self::Bf16(_) => Dtype::Bf16,
            Self::I64(_) => Dtype::I64,
            Self::I8(_) => Dtype::I8,
            Self::U8(_) => Dtype::U8,
            Self::Bool(_) => Dtype::Bool,
        }
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(tensor) | Self::F16(tensor) | Self::Bf16(tensor) => tensor.shape(),
            Self::F64(tensor) => tensor.shape(),
            Self::I64(tensor) | Self::I8(tensor) | Self::U8(tensor) => tensor.shape(),
            Self::Bool(tensor) => tensor.shape(),
        }
    }

    /// Whether types, shapes and bits are equal.
    pub(super) fn same_bits(&self, other: &Self) -> bool {
        let equal = match (self, other) {
            (Self::F32(x), Self::F32(y)) | (Self::F16(x), Self::F16(y)) | (Self::Bf16(x), Self::Bf16(y)) => {
                x.iter().map(f32::to_bits).eq(y.iter().map(f32::to_bits))
            }
            (Self::F64(x), Self::F64(y)) => x.iter().map(f64::to_bits).eq(y.iter().map(f64::to_bits)),
            (x, y) => x == y,
        };
        equal && self.shape() == other.shape()
    }

    /// A tensor of `f32` or `f64`.
    pub(crate) fn of<T: Float>(tensor: &Tensor<T>) -> Self {
        let any: &dyn Any = tensor;
        match (any.downcast_ref::<Tensor<f32>>(), any.downcast_ref::<Tensor<f64>>()) {
            (Some(tensor), _) => tensor.clone().into(),
            (_, Some(tensor)) => tensor.clone().into(),
            _ => unreachable!("a float is f32 or f64"),
        }
    }

    /// The tensor, if its elements are `T`.
    pub(crate) fn float<T: Float>(&self) -> Option<&Tensor<T>> {
        let any: &dyn Any = match self {
            Self::F32(tensor) => tensor,
            Self::F64(tensor) => tensor,
            _ => return None,
        };
        any.downcast_ref()
    }

    /// Numbers as `T`, and the largest relative error of the conversion; see [`State::convert`](super::State::convert).
    pub(super) fn convert<T: Float + Stored>(&self) -> (Self, f64) {
        match self {
            _ if self.dtype() == T::DTYPE => (self.clone(), 0.0),
            Self::F32(tensor) | Self::F16(tensor) | Self::Bf16(tensor) => rounded::<f32, T>(tensor),
            Self::F64(tensor) => rounded::<f64, T>(tensor),
            Self::I64(_) | Self::I8(_) | Self::U8(_) | Self::Bool(_) => (self.clone(), 0.0),
        }
    }
}

fn rounded<S: Float, T: Float + Stored>(tensor: &Tensor<S>) -> (StateTensor, f64) {
    let converted: Tensor<T> = tensor.cast();
    let error = |(old, new): (S, T)| {
        let (old, new) = (old.to_f64(), new.to_f64());
        if old == new || old.is_nan() {
            0.0
        } else if new == 0.0 {
            f64::INFINITY
        } else {
            ((new - old) / old).abs()
        }
    };
    let worst = tensor.iter().zip(converted.iter()).map(error).fold(0.0, f64::max);
    (T::store(converted), worst)
}

/// The type of `T`, which is `f32` or `f64`.
pub(super) fn dtype_of<T: Float>() -> Dtype {
    if T::NAME == f32::NAME { Dtype::F32 } else { Dtype::F64 }
}

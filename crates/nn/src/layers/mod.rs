//! Layers.

mod activation;
mod attention;
mod conv;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod pool;
mod recurrent;
mod sequential;
mod transformer;

pub use activation::{
    Celu, Elu, Gelu, GeluTanh, Glu, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu, LogSoftmax, Logsigmoid,
    Mish, Relu, Relu6, Selu, Sigmoid, Silu, Softmax, Softplus, Softsign, Square, Tanh,
};
pub use attention::MultiheadAttention;
pub use conv::{Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use linear::Linear;
pub use norm::{BatchNorm1d, BatchNorm2d, GroupNorm, InstanceNorm2d, LayerNorm, RmsNorm};
pub use pool::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d,
    Flatten, MaxPool1d, MaxPool2d,
};
pub use recurrent::{Gru, Lstm, RecurrentLayer, Rnn};
pub use sequential::{CloneLayer, Layer, Sequential};
pub use transformer::TransformerBlock;

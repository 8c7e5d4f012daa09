//! Kernels that are compiled in this crate, once for each type of number.
//!
//! A generic function is compiled anew in every program and every test that calls it. For a line over elements that
//! is nothing, but these are long, and some exist for three instruction sets.

#![allow(private_interfaces, reason = "nobody outside of this crate can name the trait")]

use super::conv::weight as conv_weight;
use super::recurrent::{gru, lstm};
use super::{attention, conv, matmul, norm, pool, softmax};
use crate::kernels::attention::{Attention, Head};
use crate::kernels::conv::Geometry;
use crate::kernels::matmul::MatrixRef;
use crate::kernels::pool::Windows;
use crate::kernels::recurrent::Sizes;
use crate::runtime::Buffer;

macro_rules! compiled {
    ($($module:ident::$name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        /// The functions of these names in `kernels`, which say what they do.
        pub trait Kernels: Copy + 'static {$(
            fn $name($($argument: $type),*) -> $result;
        )*}
        compiled! { @implement f32, $($module::$name($($argument: $type),*) -> $result;)* }
        compiled! { @implement f64, $($module::$name($($argument: $type),*) -> $result;)* }
    };
    (@implement $float:ty, $($module:ident::$name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Kernels for $float {$(
            fn $name($($argument: $type),*) -> $result {
                $module::$name($($argument),*)
            }
        )*}
    };
}

compiled! {
    matmul::products(pairs: &[(MatrixRef<'_, Self>, MatrixRef<'_, Self>)], bias: Option<&[Self]>) -> Buffer<Self>;

    softmax::softmax_rows(x: &[Self], length: usize) -> Buffer<Self>;
    softmax::log_softmax_rows(x: &[Self], length: usize) -> Buffer<Self>;
    softmax::cross_entropy_rows(x: &[Self], length: usize, targets: &[usize]) -> Buffer<Self>;
    softmax::softmax_minus_one_hot_rows(
        x: &[Self], length: usize, targets: &[usize], scale: Self
    ) -> Buffer<Self>;

    norm::normalize_rows(
        x: &[Self], length: usize, weight: Option<&[Self]>, bias: Option<&[Self]>, eps: f64, centred: bool
    ) -> Buffer<Self>;
    norm::normalize_rows_gradient(
        x: &[Self], g: &[Self], length: usize, weight: Option<&[Self]>, eps: f64, centred: bool
    ) -> (Buffer<Self>, Buffer<Self>, usize);

    conv::conv(x: &[Self], weight: &[Self], bias: Option<&[Self]>, geometry: &Geometry) -> Buffer<Self>;
    conv::conv_input(g: &[Self], weight: &[Self], geometry: &Geometry) -> Buffer<Self>;
    conv_weight::conv_weight(x: &[Self], g: &[Self], geometry: &Geometry) -> Buffer<Self>;

    pool::max_pool(x: &[Self], windows: Windows<'_>) -> Buffer<Self>;
    pool::max_pool_places(x: &[Self], windows: Windows<'_>) -> Buffer<i64>;
    pool::max_pool_gradient(x: &[Self], g: &[Self], windows: Windows<'_>) -> Buffer<Self>;
    pool::avg_pool(x: &[Self], windows: Windows<'_>) -> Buffer<Self>;
    pool::avg_pool_gradient(g: &[Self], windows: Windows<'_>) -> Buffer<Self>;

    attention::attention(
        heads: &[Head<'_, Self>], size: [usize; 2], attention: Attention<Self>
    ) -> Buffer<Self>;
    attention::attention_gradient(
        heads: &[Head<'_, Self>], gradients: &[MatrixRef<'_, Self>], attention: Attention<Self>
    ) -> [Buffer<Self>; 3];

    lstm::lstm(
        sizes: Sizes, input: &[Self], weight: MatrixRef<'_, Self>, start: [&[Self]; 2]
    ) -> Buffer<Self>;
    lstm::lstm_gradient(
        sizes: Sizes, out: &[Self], gradient: &[Self], weight: MatrixRef<'_, Self>, c0: &[Self]
    ) -> [Buffer<Self>; 3];
    gru::gru(
        sizes: Sizes, input: &[Self], weight: MatrixRef<'_, Self>, bias: Option<&[Self]>, h0: &[Self]
    ) -> Buffer<Self>;
    gru::gru_gradient(
        sizes: Sizes, out: &[Self], gradient: &[Self], weight: MatrixRef<'_, Self>, h0: &[Self]
    ) -> [Buffer<Self>; 3];
}

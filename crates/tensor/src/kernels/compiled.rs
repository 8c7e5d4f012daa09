//! Kernels that are compiled in this crate, once for each type of number.
//!
//! A generic function is compiled anew in every program and every test that calls it. For a line over elements that
//! is nothing, but these are long, and some exist for three instruction sets.

#![allow(private_interfaces, reason = "nobody outside of this crate can name the trait")]

use std::mem::MaybeUninit;

use super::conv::weight as conv_weight;
use super::fused::{self, FusedStep, Given, Stages};
use super::int8::{Panels, conv as int8_conv, convert as int8};
use super::recurrent::{gru, lstm};
use super::reduce::{self, sum};
use super::routine::{self, Call};
use super::{attention, conv, copy, matmul, norm, pool, softmax};
use crate::kernels::attention::{Attention, Head};
use crate::kernels::conv::Geometry;
use crate::kernels::matmul::MatrixRef;
use crate::kernels::pool::Windows;
use crate::kernels::recurrent::Sizes;
use crate::layout::Strided;
use crate::runtime::Buffer;

macro_rules! compiled {
    ($(#[$doc:meta])* $trait:ident for $($type:ty),*: $functions:tt) => {
        compiled! { @declare $(#[$doc])* $trait $functions }
        $(compiled! { @implement $trait $type, $functions })*
    };
    (
        @declare $(#[$doc:meta])* $trait:ident
        {$($module:ident::$name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*}
    ) => {
        $(#[$doc])*
        pub trait $trait: Copy + 'static {$(
            fn $name($($argument: $type),*) -> $result;
        )*}
    };
    (
        @implement $trait:ident $number:ty,
        {$($module:ident::$name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*}
    ) => {
        impl $trait for $number {$(
            fn $name($($argument: $type),*) -> $result {
                $module::$name($($argument),*)
            }
        )*}
    };
}

compiled! { /// The functions of these names in `kernels`, which say what they do, for all elements.
ElementKernels for f32, f64, i64, bool: {
    copy::copy_elements(x: Strided<'_, Self>) -> Buffer<Self>;
    copy::overwrite_copy(x: Strided<'_, Self>, out: &mut [Self]) -> ();
} }

compiled! { /// The functions of these names in `kernels`, which say what they do, for all numbers.
NumberKernels for f32, f64, i64: {
    sum::sum_row(row: &[Self]) -> Self;
    reduce::sum_along(x: Strided<'_, Self>, axes: &[usize], divisor: Self) -> Buffer<Self>;
    reduce::product_along(x: Strided<'_, Self>, axes: &[usize]) -> Buffer<Self>;
    reduce::extreme_along(x: Strided<'_, Self>, axes: &[usize], largest: bool) -> Buffer<Self>;
    reduce::place_along(x: Strided<'_, Self>, axes: &[usize], largest: bool) -> Buffer<i64>;
} }

compiled! { /// The functions of these names in `kernels`, which say what they do.
Kernels for f32, f64: {
    sum::sum_row_squares(row: &[Self], origin: Self) -> Self;
    reduce::sum_squares_along(x: Strided<'_, Self>, axes: &[usize]) -> Buffer<Self>;
    softmax::logsumexp_along(x: Strided<'_, Self>, axes: &[usize]) -> Buffer<Self>;

    matmul::write_product(
        out: &mut [MaybeUninit<Self>], lhs: MatrixRef<'_, Self>, rhs: MatrixRef<'_, Self>, bias: Option<&[Self]>
    ) -> ();
    matmul::write_products(
        out: &mut [MaybeUninit<Self>], pairs: &[(MatrixRef<'_, Self>, MatrixRef<'_, Self>)], bias: Option<&[Self]>
    ) -> ();

    softmax::softmax_rows(x: &[Self], length: usize) -> Buffer<Self>;
    softmax::log_softmax_rows(x: &[Self], length: usize) -> Buffer<Self>;
    softmax::cross_entropy_rows(x: &[Self], length: usize, targets: &[Option<usize>]) -> Buffer<Self>;
    softmax::softmax_minus_one_hot_rows(
        x: &[Self], length: usize, targets: &[Option<usize>], scale: Self
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

    int8::quantize_rows(
        x: &[Self], length: usize, scales: &[f32], zero_point: u8, levels: [u8; 2]
    ) -> (Buffer<u8>, bool);
    int8::scale_rows(
        sums: &[i32], stride: usize, columns: usize, scales: [&[f64]; 2], bias: Option<&[Self]>
    ) -> Buffer<Self>;
    int8_conv::conv2d_scaled(
        groups: &[Panels], x: (&[u8], usize), geometry: &Geometry, padding_and_most: [u8; 2], scales: (f64, &[f64]),
        bias: Option<&[Self]>
    ) -> Buffer<Self>;
    fused::overwrite_reduction(
        out: &mut [Self], x: Strided<'_, Self>, axes: &[usize], reduction: fused::Reduction
    ) -> ();
    fused::plan(
        shape: &[usize], row_axes: usize, inputs: &[&[usize]], steps: &[FusedStep<Self>], outputs: &[u32]
    ) -> Stages<Self>;
    fused::run_stages(stages: &Stages<Self>, inputs: &[Given<'_, Self>], outputs: &mut [&mut [Self]]) -> ();

    routine::run_routine(call: Call<'_, Self>) -> ();

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
} }

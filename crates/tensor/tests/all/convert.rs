//! Numbers of other types, iterators and nested lists in and out.

use crate::caught::panics;
use crate::common::*;
use gradus_tensor::{Number, Numeric, Tensor, TensorError};
use proptest::prelude::*;

/// The nearest `f32` of an integer, found by comparing distances in integers.
fn is_nearest(x: u64, y: f32) -> bool {
    let distance = |y: f32| (i128::from(x) - y as i128).abs();
    let (below, above) = (f32::from_bits(y.to_bits().saturating_sub(1)), f32::from_bits(y.to_bits() + 1));
    distance(y) <= distance(below).min(distance(above))
}

macro_rules! conversions {
    ($($type:ident)*) => {$(
        proptest! {
            /// Each number becomes the one that Rust's own conversion gives, or the bound of the integers.
            #[test]
            fn $type(data: Vec<$type>) {
                let shape = [data.len()];
                let double = Tensor::<f64>::cast_from(&data, shape).unwrap();
                let single = Tensor::<f32>::cast_from(&data, shape).unwrap();
                let integers = Tensor::<i64>::cast_from(&data, shape).unwrap();
                for (i, &x) in data.iter().enumerate() {
                    prop_assert_eq!(double[[i]].bits(), (x as f64).bits());
                    prop_assert_eq!(single[[i]].bits(), (x as f32).bits());
                    prop_assert_eq!(integers[[i]], (x as i128).clamp(i64::MIN.into(), i64::MAX.into()) as i64);
                }
            }
        }
    )*};
}
#[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "one text for several types")]
mod conversions {
    use super::*;
    conversions! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64 }
}

proptest! {
    /// Integers above all of `i64` are rounded once, also beside the middle of two numbers.
    #[test]
    fn large_integers_are_rounded_once(middle in (1_u64 << 23)..(1 << 24), offset in -2..=2_i64) {
        let x = ((2 * middle + 1) << 39).wrapping_add_signed(offset);
        prop_assume!(x > i64::MAX as u64);
        prop_assert!(is_nearest(x, x.to_element::<f32>()));
        prop_assert_eq!(x.to_element::<f32>(), x as f32);
    }

    /// A list of numbers, collected.
    #[test]
    fn iterators(data: Vec<f64>) {
        let x: Tensor<f64> = data.iter().copied().collect();
        check(&x, &Naive { shape: vec![data.len()], data });
    }

    /// Nested lists in and out are the same lists.
    #[test]
    fn nested_lists(x in laid::<f64>(2..=2), y in laid::<bool>(3..=3)) {
        let rows = x.tensor.to_vec2();
        prop_assert_eq!(rows.len(), x.naive.shape[0]);
        let again = Tensor::try_from(rows.as_slice()).unwrap();
        if !rows.is_empty() {
            check(&again, &x.naive);
        }
        let matrices = y.tensor.to_vec3();
        let again = Tensor::try_from(matrices.clone()).unwrap();
        prop_assert_eq!(again.to_vec3(), matrices);
        if !y.naive.shape[..2].contains(&0) {
            check(&again, &y.naive);
        }
    }

    /// Lists of arrays.
    #[test]
    fn lists_of_arrays(rows: Vec<[i64; 3]>, matrices: Vec<[[i64; 2]; 3]>) {
        let naive = Naive { shape: vec![rows.len(), 3], data: rows.concat() };
        check(&Tensor::from(rows.as_slice()), &naive);
        check(&Tensor::from(rows), &naive);
        let naive = Naive { shape: vec![matrices.len(), 3, 2], data: matrices.as_flattened().concat() };
        check(&Tensor::from(matrices.as_slice()), &naive);
        check(&Tensor::from(matrices), &naive);
    }

    /// One list that is longer or shorter than the first is an error that names it.
    #[test]
    fn ragged_lists(shape in prop::array::uniform3(1..4_usize), place in 1..4_usize, longer: bool) {
        let [a, m, n] = shape;
        let mut rows = vec![vec![0.0; n]; place + a];
        let length = if longer { n + 1 } else { n - 1 };
        rows[place].resize(length, 0.0);
        let message = Tensor::try_from(rows.clone()).unwrap_err().to_string();
        let expected = format!("has length {length}, and the first of its depth {n}: they must be equal");
        prop_assert_eq!(message, format!("try_from: the list at [{place}] {}", &expected));
        let matrices = vec![vec![vec![0.0; n]; place + a], rows];
        let message = Tensor::try_from(matrices).unwrap_err().to_string();
        prop_assert_eq!(message, format!("try_from: the list at [1, {place}] {}", &expected));
        let matrices = vec![vec![vec![0.0; n]; m], vec![vec![0.0; n]; m + 1]];
        let message = Tensor::try_from(matrices).unwrap_err().to_string();
        prop_assert_eq!(
            message,
            format!("try_from: the list at [1] has length {}, and the first of its depth {m}: they must be equal", m + 1)
        );
    }
}

#[test]
fn messages() {
    let error = Tensor::<f32>::cast_from(&[1_u8, 2, 3], [2, 2]).unwrap_err();
    assert_eq!(error.to_string(), "cast_from: shape [2, 2] needs 4 elements, the data has 3");
    let error = Tensor::<f32>::cast_from::<u8>(&[], [usize::MAX, 2]).unwrap_err();
    assert!(matches!(error, TensorError::TooLarge { .. }));
    let x = Tensor::from([1.0, 2.0]);
    panics(|| x.to_vec2(), "to_vec2: the number of axes is 1 for shape [2]: it must be 2");
    panics(|| x.to_vec3(), "to_vec3: the number of axes is 1 for shape [2]: it must be 3");
    assert_eq!(f64::NAN.to_element::<i64>(), 0);
    assert_eq!(<f64 as Number>::from_i64(3), 3.0);
}

#[cfg(feature = "ndarray")]
mod arrays {
    use super::*;
    use ndarray::{Array2, ArrayD, Axis};

    law! {
        /// An array of any layout gives its elements, and the elements give the array, without a copy if no axis runs
        /// backwards.
        [f32 f64 i64 bool]
        fn there_and_back(x in laid::<T>(0..=4)) {
            let array = x.tensor.to_ndarray();
            prop_assert_eq!(array.shape(), x.tensor.shape());
            let elements: Vec<u64> = array.iter().map(|&x| Value::bits(x)).collect();
            prop_assert_eq!(elements, bits(&x.tensor));
            let forward = x.tensor.strides().iter().all(|&step| step >= 0);
            prop_assert!(array.is_view() == forward || x.tensor.is_empty());
            check(&Tensor::from(&array), &x.naive);
            check(&Tensor::from(array), &x.naive);
            let owned: ArrayD<T> = (&x.tensor).into();
            check(&Tensor::from(owned), &x.naive);
        }
    }

    #[test]
    fn layouts_of_arrays() {
        let mut array = Array2::from_shape_fn((2, 3), |(i, j)| (10 * i + j) as i64);
        assert_eq!(Tensor::from(array.t()), Tensor::from([[0, 10], [1, 11], [2, 12]]));
        array.invert_axis(Axis(1));
        assert_eq!(Tensor::from(array.view()), Tensor::from([[2, 1, 0], [12, 11, 10]]));
    }
}

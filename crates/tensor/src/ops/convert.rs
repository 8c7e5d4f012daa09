//! Numbers of other types, iterators and nested lists in and out.

use crate::element::{Element, Number};
use crate::error::TensorError;
use crate::shape::checked_count;
use crate::tensor::Tensor;

/// A number of one of Rust's own types, from which elements are made: see [`Tensor::cast_from`].
///
/// ```
/// use gradus_tensor::Numeric;
///
/// assert_eq!((200_u8.to_element::<f32>(), u64::MAX.to_element::<i64>()), (200.0, i64::MAX));
/// ```
pub trait Numeric: Copy {
    /// The nearest number of an element type, rounded once; an integer drops the fraction, saturates, and makes 0 of
    /// NaN.
    fn to_element<T: Number>(self) -> T;
}

macro_rules! numeric {
    ($($type:ty)*; |$x:ident| $element:expr) => {$(
        impl Numeric for $type {
            #[inline]
            fn to_element<T: Number>(self) -> T {
                let $x = self;
                $element
            }
        }
    )*};
}
numeric! { i8 i16 i32 u8 u16 u32; |x| T::from_i64(x.into()) }
numeric! { i64 isize; |x| T::from_i64(x as i64) }
numeric! { f32; |x| T::from_f64(x.into()) }
numeric! { f64; |x| T::from_f64(x) }
numeric! { u64 usize; |x| match i64::try_from(x) {
    Ok(x) => T::from_i64(x),
    Err(_) if T::INTEGER => T::from_i64(i64::MAX),
    Err(_) => {
        // The last bit stands for both that are left out, so that rounding a half goes the right way.
        let half = T::from_i64((x >> 1 | x & 1) as i64);
        half + half
    }
} }

/// Data of other types than elements: bytes of an image, counts, labels.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let pixels: &[u8] = &[0, 51, 102, 255];
/// let image = Tensor::<f32>::cast_from(pixels, [2, 2])? / 255.0;
/// assert_eq!(image, Tensor::from([[0.0, 0.2], [0.4, 1.0]]));
/// let labels = Tensor::<i64>::cast_from(&[3_usize, 1], [2])?;
/// assert_eq!(labels, Tensor::from([3, 1]));
/// # Ok::<(), gradus_tensor::TensorError>(())
/// ```
impl<T: Number> Tensor<T> {
    /// Row-major data of any of Rust's number types with a shape, each number converted to the nearest element (see
    /// [`Numeric`]).
    ///
    /// # Errors
    /// [`TensorError::Length`] if the shape has another number of elements, [`TensorError::TooLarge`] if it has more
    /// than a machine can hold.
    pub fn cast_from<N: Numeric>(data: &[N], shape: impl AsRef<[usize]>) -> Result<Self, TensorError> {
        let shape = shape.as_ref();
        check_length("cast_from", data.len(), shape)?;
        Ok(Self::from_slice(&data.iter().map(|x| x.to_element()).collect::<Vec<T>>(), shape))
    }
}

/// An error unless the shape has this number of elements.
pub(super) fn check_length(
    operation: &'static str,
    length: usize,
    shape: &[usize],
) -> Result<(), TensorError> {
    if checked_count(operation, shape)? == length {
        return Ok(());
    }
    Err(TensorError::Length { operation, length, shape: shape.into() })
}

/// One axis.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let squares: Tensor<i64> = (0..5).map(|i| i * i).collect();
/// assert_eq!(squares, Tensor::from([0, 1, 4, 9, 16]));
/// ```
impl<T: Element> FromIterator<T> for Tensor<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        elements.into_iter().collect::<Vec<T>>().into()
    }
}

/// Lists of rows that are equally long by their type.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let mut points = vec![[0.5, 1.5]];
/// points.push([2.5, 3.5]);
/// assert_eq!(Tensor::from(points), Tensor::from([[0.5, 1.5], [2.5, 3.5]]));
/// ```
#[diagnostic::do_not_recommend]
impl<T: Element, const N: usize> From<Vec<[T; N]>> for Tensor<T> {
    fn from(rows: Vec<[T; N]>) -> Self {
        rows.as_slice().into()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element, const N: usize> From<&[[T; N]]> for Tensor<T> {
    fn from(rows: &[[T; N]]) -> Self {
        Self::from_slice(rows.as_flattened(), &[rows.len(), N])
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element, const M: usize, const N: usize> From<Vec<[[T; N]; M]>> for Tensor<T> {
    fn from(matrices: Vec<[[T; N]; M]>) -> Self {
        matrices.as_slice().into()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element, const M: usize, const N: usize> From<&[[[T; N]; M]]> for Tensor<T> {
    fn from(matrices: &[[[T; N]; M]]) -> Self {
        Self::from_slice(matrices.as_flattened().as_flattened(), &[matrices.len(), M, N])
    }
}

/// Lists of rows, which must be equally long.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let rows = vec![vec![1, 2], vec![3, 4]];
/// let x = Tensor::try_from(rows.clone())?;
/// assert_eq!((x.shape(), x.to_vec2()), ([2, 2].as_slice(), rows));
/// let error = Tensor::try_from(vec![vec![1, 2], vec![3]]).unwrap_err();
/// assert!(error.to_string().starts_with("try_from: the list at [1] has length 1"));
/// # Ok::<(), gradus_tensor::TensorError>(())
/// ```
///
/// # Errors
/// If rows differ in length. A list of no rows gives the shape `[0, 0]`.
impl<T: Element> TryFrom<&[Vec<T>]> for Tensor<T> {
    type Error = TensorError;

    fn try_from(rows: &[Vec<T>]) -> Result<Self, TensorError> {
        let columns = rows.first().map_or(0, Vec::len);
        for (i, row) in rows.iter().enumerate() {
            check_ragged(&[i], row.len(), columns)?;
        }
        Ok(Self::from_slice(&rows.concat(), &[rows.len(), columns]))
    }
}

impl<T: Element> TryFrom<Vec<Vec<T>>> for Tensor<T> {
    type Error = TensorError;

    fn try_from(rows: Vec<Vec<T>>) -> Result<Self, TensorError> {
        rows.as_slice().try_into()
    }
}

/// Lists of lists of rows, which must be equally long at each depth.
///
/// # Errors
/// If lists of one depth differ in length. A list of nothing has the sizes 0.
impl<T: Element> TryFrom<&[Vec<Vec<T>>]> for Tensor<T> {
    type Error = TensorError;

    fn try_from(matrices: &[Vec<Vec<T>>]) -> Result<Self, TensorError> {
        let rows = matrices.first().map_or(0, Vec::len);
        let columns = matrices.iter().flatten().next().map_or(0, Vec::len);
        for (i, matrix) in matrices.iter().enumerate() {
            check_ragged(&[i], matrix.len(), rows)?;
            for (j, row) in matrix.iter().enumerate() {
                check_ragged(&[i, j], row.len(), columns)?;
            }
        }
        Ok(Self::from_slice(&matrices.concat().concat(), &[matrices.len(), rows, columns]))
    }
}

impl<T: Element> TryFrom<Vec<Vec<Vec<T>>>> for Tensor<T> {
    type Error = TensorError;

    fn try_from(matrices: Vec<Vec<Vec<T>>>) -> Result<Self, TensorError> {
        matrices.as_slice().try_into()
    }
}

fn check_ragged(index: &[usize], length: usize, first: usize) -> Result<(), TensorError> {
    if length == first {
        return Ok(());
    }
    let fault = format!(
        "the list at {index:?} has length {length}, and the first of its depth {first}: they must be equal"
    );
    Err(TensorError::invalid("try_from", fault))
}

/// Elements as nested lists; see also [`to_vec`](Self::to_vec).
impl<T: Element> Tensor<T> {
    /// The rows of a matrix.
    ///
    /// # Panics
    /// If the tensor has another number of axes than 2.
    #[track_caller]
    pub fn to_vec2(&self) -> Vec<Vec<T>> {
        let sizes = self.sizes("to_vec2");
        rows(&self.to_vec(), sizes)
    }

    /// The rows of the matrices of a tensor with three axes.
    ///
    /// # Panics
    /// If the tensor has another number of axes than 3.
    #[track_caller]
    pub fn to_vec3(&self) -> Vec<Vec<Vec<T>>> {
        let [count, m, n] = self.sizes("to_vec3");
        let elements = self.to_vec();
        let matrix = |i: usize| rows(&elements[i * m * n..(i + 1) * m * n], [m, n]);
        (0..count).map(matrix).collect()
    }

    /// The sizes of a tensor with `N` axes.
    #[track_caller]
    fn sizes<const N: usize>(&self, operation: &'static str) -> [usize; N] {
        let Ok(sizes) = self.shape().try_into() else {
            let (argument, expected) = ("the number of axes", format!("it must be {N}"));
            TensorError::argument(operation, argument, self.rank(), self.shape(), expected).panic()
        };
        sizes
    }
}

fn rows<T: Copy>(elements: &[T], [m, n]: [usize; 2]) -> Vec<Vec<T>> {
    (0..m).map(|i| elements[i * n..(i + 1) * n].to_vec()).collect()
}

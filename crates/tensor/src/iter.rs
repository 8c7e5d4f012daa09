//! Elements in logical order.

use smallvec::SmallVec;

use crate::element::Element;
use crate::tensor::Tensor;

/// The elements of a tensor in logical (row-major) order.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1, 2], [3, 4]]);
/// let mut elements = x.iter();
/// assert_eq!((elements.len(), elements.next(), elements.last()), (4, Some(1), Some(4)));
/// assert_eq!(x.t().iter().collect::<Vec<_>>(), [1, 3, 2, 4]);
/// ```
#[derive(Debug)]
pub struct Iter<'a, T> {
    buffer: &'a [T],
    shape: &'a [usize],
    strides: &'a [isize],
    index: SmallVec<[usize; 4]>,
    position: usize,
    remaining: usize,
}

impl<T: Element> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.remaining = self.remaining.checked_sub(1)?;
        let item = self.buffer[self.position];
        // Like an odometer: the last axis turns first and carries into the one before it.
        for axis in (0..self.shape.len()).rev() {
            self.index[axis] += 1;
            self.position = self.position.wrapping_add_signed(self.strides[axis]);
            if self.index[axis] < self.shape[axis] {
                break;
            }
            self.index[axis] = 0;
            self.position =
                self.position.wrapping_add_signed(-(self.shape[axis] as isize) * self.strides[axis]);
        }
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl<T: Element> ExactSizeIterator for Iter<'_, T> {}

impl<T: Element> Tensor<T> {
    /// The elements in logical order: the last axis runs fastest.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            buffer: self.buffer(),
            shape: self.shape(),
            strides: self.strides(),
            index: SmallVec::from_elem(0, self.rank()),
            position: self.offset(),
            remaining: self.len(),
        }
    }
}

impl<'a, T: Element> IntoIterator for &'a Tensor<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

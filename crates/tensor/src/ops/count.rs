//! Counting elements: different ones, integers, and numbers in bins.

use super::sort::ascending;
use crate::element::{Element, Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::shape::checked_count;
use crate::tensor::Tensor;

/// The different elements of a tensor; see [`Tensor::unique_all`].
#[derive(Debug, Clone, PartialEq)]
pub struct Unique<T: Element> {
    /// The different elements, in rising order: `[m]`.
    pub values: Tensor<T>,
    /// The place of the first element of each value, in logical order: `[m]`.
    pub indices: Tensor<i64>,
    /// The place of each element among the values, in the shape of the tensor: `values.index_select(0, &inverse)` are
    /// the elements again.
    pub inverse: Tensor<i64>,
    /// The number of elements of each value: `[m]`.
    pub counts: Tensor<i64>,
}

/// Different elements.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[3, 1, 3], [3, 7, 1]]);
/// assert_eq!(x.unique(), Tensor::from([1, 3, 7]));
/// let unique = x.unique_all();
/// assert_eq!(unique.counts, Tensor::from([2, 3, 1]));
/// assert_eq!(unique.inverse, Tensor::from([[1, 0, 1], [1, 2, 0]]));
/// ```
impl<T: Number> Tensor<T> {
    /// The different elements in rising order, `[m]`. NaN comes last and once, and 0 and -0 are one value, for which
    /// the first of them stands.
    pub fn unique(&self) -> Self {
        self.unique_all().values
    }

    /// The different elements, as [`unique`](Self::unique) gives them, with their places and counts.
    pub fn unique_all(&self) -> Unique<T> {
        let elements = self.to_vec();
        let mut order: Vec<usize> = (0..elements.len()).collect();
        order.sort_by(|&i, &j| ascending(elements[i], elements[j]));
        let (mut values, mut indices, mut counts) = (Vec::new(), Vec::new(), Vec::<i64>::new());
        let mut inverse = vec![0; elements.len()];
        for i in order {
            let x = elements[i];
            if values.last().is_none_or(|&last| ascending(last, x).is_ne()) {
                values.push(x);
                indices.push(i as i64);
                counts.push(0);
            }
            let place = values.len() - 1;
            counts[place] += 1;
            inverse[i] = place as i64;
        }
        let inverse = Tensor::from_slice(&inverse, self.shape());
        Unique { values: values.into(), indices: indices.into(), inverse, counts: counts.into() }
    }
}

impl Tensor<i64> {
    /// How often each integer from 0 occurs: as many counts as the largest element and one, but at least `minlength`.
    /// The sums of weights instead of counts are `Tensor::zeros([n]).index_add(0, &x, &weights)`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1, 3, 1]).bincount(0), Tensor::from([0, 2, 0, 1]));
    /// assert_eq!(Tensor::from([1]).bincount(3), Tensor::from([0, 1, 0]));
    /// ```
    ///
    /// # Panics
    /// If an element is negative, or there are more counts than a machine can hold.
    #[track_caller]
    pub fn bincount(&self, minlength: usize) -> Self {
        if let Some(x) = self.iter().find(|&x| x < 0) {
            TensorError::argument("bincount", "an element", x, self.shape(), "it must be 0 or larger")
                .panic();
        }
        let length = self.iter().max().map_or(0, |x| (x as usize).saturating_add(1)).max(minlength);
        checked_count("bincount", &[length]).or_panic();
        let mut counts = vec![0; length];
        for x in self {
            counts[x as usize] += 1;
        }
        counts.into()
    }
}

/// The bins of a [`histogram`](Tensor::histogram): made from a number of bins, from `(bins, low, high)`, or from a
/// tensor of edges.
#[derive(Debug, Clone, PartialEq)]
pub enum Bins<T: Element> {
    /// Bins of one width between the smallest and the largest element; between 0 and 1 if there are none.
    Count(usize),
    /// Bins of one width between two numbers; if they are equal, half a unit to both sides.
    Between(usize, T, T),
    /// The edges of the bins, in rising order: one more than bins.
    Edges(Tensor<T>),
}

impl<T: Element> From<usize> for Bins<T> {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl<T: Element> From<(usize, T, T)> for Bins<T> {
    fn from((count, low, high): (usize, T, T)) -> Self {
        Self::Between(count, low, high)
    }
}

impl<T: Element> From<Tensor<T>> for Bins<T> {
    fn from(edges: Tensor<T>) -> Self {
        Self::Edges(edges)
    }
}

impl<T: Element> From<&Tensor<T>> for Bins<T> {
    fn from(edges: &Tensor<T>) -> Self {
        Self::Edges(edges.clone())
    }
}

impl<T: Float> Tensor<T> {
    /// How many elements are in each bin, and the edges of the bins. As in NumPy, a bin has its lower edge and not its
    /// upper one, but the last has both; elements outside, and NaN, are in no bin.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([0.0, 0.5, 1.0, 1.5, 2.0]);
    /// assert_eq!(x.histogram(2), (Tensor::from([2, 3]), Tensor::from([0.0, 1.0, 2.0])));
    /// assert_eq!(x.histogram((4, 0.0, 4.0)).0, Tensor::from([2, 2, 1, 0]));
    /// assert_eq!(x.histogram(&Tensor::from([-1.0, 0.0, 2.0])).0, Tensor::from([0, 5]));
    /// ```
    ///
    /// # Panics
    /// If there is no bin, the edges are not one list in rising order, or a range is not given and the elements have no
    /// finite one.
    #[track_caller]
    pub fn histogram(&self, bins: impl Into<Bins<T>>) -> (Tensor<i64>, Self) {
        let edges = match bins.into() {
            Bins::Edges(edges) => edges,
            Bins::Between(count, low, high) => edges_between(count, low, high),
            Bins::Count(count) => {
                let (low, high) = if self.is_empty() {
                    (T::ZERO, T::ONE)
                } else {
                    (self.min(..).item(), self.max(..).item())
                };
                assert!(
                    low.is_finite() && high.is_finite(),
                    "histogram: the elements run from {low} to {high}: give the range of the bins"
                );
                edges_between(count, low, high)
            }
        };
        let list = edges.to_vec();
        let rising = edges.rank() == 1 && list.len() > 1 && list.is_sorted();
        assert!(
            rising,
            "histogram: the edges are {list:?} in shape {:?}: they must be one list of two or more in rising \
             order",
            edges.shape()
        );
        let (first, last, bins) = (list[0], list[list.len() - 1], list.len() - 1);
        let mut counts = vec![0; bins];
        for x in self.iter().filter(|&x| first <= x && x <= last) {
            // The last edge belongs to the last bin.
            counts[list.partition_point(|&edge| edge <= x).min(bins) - 1] += 1;
        }
        (counts.into(), edges)
    }
}

#[track_caller]
fn edges_between<T: Float>(count: usize, low: T, high: T) -> Tensor<T> {
    assert!(count > 0, "histogram: the number of bins is 0: it must be 1 or larger");
    assert!(
        low.is_finite() && high.is_finite() && low <= high,
        "histogram: the bins run from {low} to {high}: both must be finite, and the first not above the second"
    );
    let half = T::from_f64(if low == high { 0.5 } else { 0.0 });
    Tensor::linspace(low - half, high + half, count + 1)
}

//! Weights that share a few values.

use gradus_autograd::{Float, Tensor};

use crate::error::CompressError;

/// A tensor whose elements are chosen from a few values, by k-means (Han et al., "Deep compression", 2015).
///
/// [`bytes`](Self::bytes) are the values, and for each element the bits that say which one it has; or, where that is shorter,
/// of the elements that are not 0 alone, each with its distance from the one before.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_compress::Shared;
///
/// let weight = Tensor::<f32>::randn([64, 64], &mut seeded(0));
/// let shared = Shared::new(&weight, 16)?;
/// // Half a byte for each of 4096 weights, the values, and the head.
/// let bytes = shared.bytes();
/// assert_eq!(bytes.len(), 2048 + 4 * shared.values().len() + shared.head_length());
/// let read = Shared::from_bytes(&bytes)?;
/// assert_eq!(read, shared);
/// let error = (read.tensor() - &weight).norm(2.0, ..).item() / weight.norm(2.0, ..).item();
/// assert!(error < 0.12);
/// # Ok::<(), gradus_compress::CompressError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    shape: Vec<usize>,
    /// In rising order; 0 is among them if the tensor has zeros.
    values: Vec<f32>,
    places: Vec<u16>,
}

impl Shared {
    /// The elements of a tensor with each replaced by the nearest of at most `count` values.
    ///
    /// The values begin evenly spaced between the smallest and the largest element, which keeps large weights, and move to
    /// the means of their elements until none changes its value (Lloyd, 1982), at most 100 times. Elements that are 0,
    /// because they are pruned, stay 0.
    ///
    /// # Errors
    /// If `count` is not from 2 to 65536, or an element is NaN or infinite.
    pub fn new<T: Float>(tensor: &Tensor<T>, count: usize) -> Result<Self, CompressError> {
        if !(2..=65536).contains(&count) {
            return Err(CompressError::argument("Shared::new", "count", count, "from 2 to 65536"));
        }
        let elements: Vec<f32> = tensor.cast::<f32>().to_vec();
        if !elements.iter().all(|x| x.is_finite()) {
            let fault = "the tensor holds NaN or infinity: its elements must be finite".into();
            return Err(CompressError::Layer { operation: "Shared::new", fault });
        }
        let mut sorted: Vec<f32> = elements.iter().copied().filter(|&x| x != 0.0).collect();
        sorted.sort_by(f32::total_cmp);
        let has_zeros = sorted.len() < elements.len();
        let mut values = means(&sorted, count - usize::from(has_zeros));
        if has_zeros {
            values.push(0.0);
            values.sort_by(f32::total_cmp);
            values.dedup();
        }
        let place = |&x: &f32| {
            if x == 0.0 { nearest(&values, 0.0) } else { nearest_but(&values, x, has_zeros) }
        };
        let places = elements.iter().map(|x| place(x) as u16).collect();
        Ok(Self { shape: tensor.shape().to_vec(), values, places })
    }

    pub(crate) fn from_parts(shape: Vec<usize>, values: Vec<f32>, places: Vec<u16>) -> Self {
        Self { shape, values, places }
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn places(&self) -> &[u16] {
        &self.places
    }

    /// The place of the value 0, if there is one.
    pub(crate) fn zero(&self) -> Option<usize> {
        self.values.iter().position(|&value| value == 0.0)
    }

    /// The values, in rising order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The tensor.
    pub fn tensor(&self) -> Tensor {
        let elements: Vec<f32> = self.places.iter().map(|&place| self.values[usize::from(place)]).collect();
        Tensor::from(elements).reshape(&self.shape[..])
    }

    /// The gradient of a loss by the values, from its gradient by the elements: the sum over the elements of each value. 0
    /// stays as it is.
    ///
    /// # Panics
    /// If the gradient has another shape.
    #[track_caller]
    pub fn gradient<T: Float>(&self, gradient: &Tensor<T>) -> Vec<f32> {
        assert!(
            gradient.shape() == self.shape,
            "gradient: the gradient has shape {:?} and the tensor {:?}: they must be equal",
            gradient.shape(),
            self.shape
        );
        let mut sums = vec![0.0_f64; self.values.len()];
        for (&place, x) in self.places.iter().zip(gradient) {
            sums[usize::from(place)] += x.to_f64();
        }
        let of_value = |(&value, sum): (&f32, f64)| if value == 0.0 { 0.0 } else { sum as f32 };
        self.values.iter().zip(sums).map(of_value).collect()
    }

    /// Changes the values, with 0 staying as it is: a step of training for shared weights.
    ///
    /// # Panics
    /// If there is not one change for each value.
    #[track_caller]
    pub fn add(&mut self, changes: &[f32]) {
        assert!(
            changes.len() == self.values.len(),
            "add: there are {} changes and {} values: there must be one for each",
            changes.len(),
            self.values.len()
        );
        self.values.iter_mut().zip(changes).filter(|(x, _)| **x != 0.0).for_each(|(x, change)| *x += change);
    }
}

/// The means of groups of sorted numbers.
fn means(sorted: &[f32], count: usize) -> Vec<f32> {
    const MOST_ROUNDS: usize = 100;
    let [Some(&first), Some(&last)] = [sorted.first(), sorted.last()] else { return Vec::new() };
    let (first, last) = (f64::from(first), f64::from(last));
    let step = (last - first) / (count.max(2) - 1) as f64;
    let mut values: Vec<f64> = (0..count).map(|i| first + step * i as f64).collect();
    values.dedup();
    for _ in 0..MOST_ROUNDS {
        let mut start = 0;
        let mut next = Vec::with_capacity(values.len());
        for (i, &value) in values.iter().enumerate() {
            // A group ends half way to the next value.
            let end = match values.get(i + 1) {
                Some(other) => {
                    start + sorted[start..].partition_point(|&x| f64::from(x) <= (value + other) * 0.5)
                }
                None => sorted.len(),
            };
            let group = &sorted[start..end];
            let sum: f64 = group.iter().map(|&x| f64::from(x)).sum();
            // Of a value that nobody has, nothing is left.
            if !group.is_empty() {
                next.push(sum / group.len() as f64);
            }
            start = end;
        }
        if next == values {
            break;
        }
        values = next;
    }
    let mut values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
    values.dedup();
    values
}

/// The place of the value nearest to a number.
fn nearest(values: &[f32], x: f32) -> usize {
    let above = values.partition_point(|&value| value < x);
    match (above.checked_sub(1), values.get(above)) {
        (Some(below), Some(&value))
            if f64::from(x) - f64::from(values[below]) <= f64::from(value) - f64::from(x) =>
        {
            below
        }
        (Some(below), None) => below,
        _ => above,
    }
}

/// The same; a number that is not 0 does not become 0, unless there is no other value.
fn nearest_but(values: &[f32], x: f32, has_zeros: bool) -> usize {
    let place = nearest(values, x);
    if !has_zeros || values[place] != 0.0 || values.len() == 1 {
        return place;
    }
    let neighbours = [place.checked_sub(1), (place + 1 < values.len()).then_some(place + 1)];
    let distance = |&place: &usize| (values[place] - x).abs();
    let others = neighbours.into_iter().flatten();
    others.min_by(|i, j| distance(i).total_cmp(&distance(j))).expect("there is another value")
}

//! Data sets: samples by number.

use std::sync::Arc;

use gradus_autograd::{Element, Tensor};

/// Samples that have numbers from 0, of which any may be asked for together, as a batch.
///
/// | data set | a batch |
/// | --- | --- |
/// | `Tensor<E>` of shape `[n, ...]` | `Tensor<E>` of shape `[batch, ...]`; a view if the samples are neighbours |
/// | a tuple of 2 to 4 data sets of equal length | the tuple of their batches |
/// | `Vec<T>`, `[T]` | `Vec<T>` of clones |
/// | [`Subset`] | a batch of the whole |
/// | `&D`, `Arc<D>` | a batch of `D` |
///
/// A type of your own says what a batch of it is:
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_data::{Batches, Dataset, pad_sequence};
///
/// struct Names(Vec<&'static str>);
///
/// impl Dataset for Names {
///     /// Letters `[n, longest]` and lengths.
///     type Batch = (Tensor<i64>, Vec<usize>);
///     fn len(&self) -> usize {
///         self.0.len()
///     }
///     fn batch(&self, indices: &[usize]) -> Self::Batch {
///         let letters = |&i: &usize| Tensor::from_iter(self.0[i].bytes().map(i64::from));
///         pad_sequence(&indices.iter().map(letters).collect::<Vec<_>>(), 0)
///     }
/// }
///
/// let names = Names(vec!["Ada", "Grace", "Emmy"]);
/// let (letters, lengths) = Batches::of(&names, 2).next().unwrap();
/// assert_eq!((letters.shape(), lengths), ([2, 5].as_slice(), vec![3, 5]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a data set",
    note = "tensors, vectors, tuples of 2 to 4 data sets and references to data sets are; other types implement `Dataset`"
)]
pub trait Dataset: Send + Sync {
    /// Several samples together.
    type Batch;

    /// The number of samples.
    ///
    /// # Panics
    /// If the members of a tuple have different lengths, or a tensor has no axis.
    fn len(&self) -> usize;

    /// The samples with these numbers, in this order; a number may occur several times.
    ///
    /// # Panics
    /// If a number is not below the length.
    fn batch(&self, indices: &[usize]) -> Self::Batch;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E: Element> Dataset for Tensor<E> {
    type Batch = Self;

    #[track_caller]
    fn len(&self) -> usize {
        let [samples, ..] = *self.shape() else {
            panic!("Dataset: the tensor has no axis: its first axis must run over the samples")
        };
        samples
    }

    #[track_caller]
    #[inline(never)]
    fn batch(&self, indices: &[usize]) -> Self {
        check_indices(indices, Dataset::len(self));
        let first = indices.first().copied().unwrap_or(0);
        if indices.iter().copied().eq(first..first + indices.len()) {
            return self.slice(0, first..first + indices.len());
        }
        if self.is_contiguous() {
            return self.index_select(0, &indices.iter().map(|&i| i as i64).collect());
        }
        // `index_select` would copy the whole tensor for each batch.
        let rows: Vec<Self> = indices.iter().map(|&i| self.select(0, i as isize)).collect();
        Self::stack(&rows.iter().collect::<Vec<_>>(), 0)
    }
}

impl<T: Clone + Send + Sync> Dataset for [T] {
    type Batch = Vec<T>;
    fn len(&self) -> usize {
        self.len()
    }
    #[track_caller]
    fn batch(&self, indices: &[usize]) -> Vec<T> {
        check_indices(indices, self.len());
        indices.iter().map(|&i| self[i].clone()).collect()
    }
}

/// Data sets behind a pointer.
macro_rules! behind {
    ($($pointer:ty, $parameter:ident $(: $bound:ident)* => $target:ty;)*) => {$(
        impl<$parameter: $($bound +)* ?Sized> Dataset for $pointer {
            type Batch = <$target as Dataset>::Batch;
            #[track_caller]
            fn len(&self) -> usize {
                <$target>::len(self)
            }
            #[track_caller]
            fn batch(&self, indices: &[usize]) -> Self::Batch {
                <$target>::batch(self, indices)
            }
        }
    )*};
}

behind! {
    &D, D: Dataset => D;
    Arc<D>, D: Dataset => D;
}

impl<T: Clone + Send + Sync> Dataset for Vec<T> {
    type Batch = Self;
    fn len(&self) -> usize {
        self.len()
    }
    #[track_caller]
    fn batch(&self, indices: &[usize]) -> Self {
        self.as_slice().batch(indices)
    }
}

/// Tuples of data sets.
macro_rules! tuples {
    ($(($($name:ident $place:tt),*))*) => {$(
        impl<$($name: Dataset),*> Dataset for ($($name,)*) {
            type Batch = ($($name::Batch,)*);
            #[track_caller]
            fn len(&self) -> usize {
                let lengths = [$(self.$place.len()),*];
                assert!(
                    lengths.iter().all(|&length| length == lengths[0]),
                    "Dataset: the members of the tuple have {lengths:?} samples: they must have the same number"
                );
                lengths[0]
            }
            #[track_caller]
            fn batch(&self, indices: &[usize]) -> Self::Batch {
                ($(self.$place.batch(indices),)*)
            }
        }
    )*};
}

tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// Some samples of a data set, under new numbers from 0.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_data::{Dataset, Subset, order};
///
/// let (x, y) = (Tensor::<f32>::zeros([10, 2]), Tensor::from(0..10));
/// let [train, test] = order::split(&order::shuffled(10, &mut seeded(0)), [0.8, 0.2]);
/// let (train, test) = (Subset::new((&x, &y), train), Subset::new((&x, &y), test));
/// assert_eq!((train.len(), test.len()), (8, 2));
/// let (x, y) = test.all();
/// assert_eq!((x.shape(), y.len()), ([2, 2].as_slice(), 2));
/// ```
#[derive(Debug, Clone)]
pub struct Subset<D> {
    data: D,
    indices: Arc<[usize]>,
}

impl<D: Dataset> Subset<D> {
    /// The samples with these numbers, in this order.
    ///
    /// # Panics
    /// If a number is not below the length of the data set.
    #[track_caller]
    pub fn new(data: D, indices: impl Into<Arc<[usize]>>) -> Self {
        let indices = indices.into();
        check_indices(&indices, data.len());
        Self { data, indices }
    }

    /// The numbers of the samples in the whole data set.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// All samples as one batch.
    pub fn all(&self) -> D::Batch {
        self.data.batch(&self.indices)
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    type Batch = D::Batch;
    fn len(&self) -> usize {
        self.indices.len()
    }
    #[track_caller]
    fn batch(&self, indices: &[usize]) -> D::Batch {
        check_indices(indices, self.indices.len());
        self.data.batch(&indices.iter().map(|&i| self.indices[i]).collect::<Vec<_>>())
    }
}

#[track_caller]
pub(crate) fn check_indices(indices: &[usize], length: usize) {
    if let Some(index) = indices.iter().find(|&&index| index >= length) {
        panic!(
            "Dataset: there is an index {index}: the data set has {length} samples, all indices must be below"
        );
    }
}

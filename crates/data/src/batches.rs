//! Batches: a data set in an order.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use gradus_autograd::{Float, Rng, Tensor, Xoshiro256PlusPlus, seeded};

use crate::dataset::{Dataset, check_indices};
use crate::order;
use crate::prefetch::Prefetch;

/// Makes a batch from the indices of its samples and its number.
type Make<'a, B> = Arc<dyn Fn(&[usize], usize) -> B + Send + Sync + 'a>;

/// The batches of a data set, one after another: an iterator, for one epoch.
///
/// Without an order the samples come as they are, and a batch of a tensor is a view of it. A batch is made when it is asked
/// for, so that an epoch needs no more memory than the data, the order and the batch in use. The last batch may be smaller.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// use gradus::{Tensor, seeded};
/// use gradus::data::Batches;
///
/// let (x, y) = (Tensor::<f32>::zeros([10, 3]), Tensor::from(0..10));
/// let mut rng = seeded(0);
/// for (x, y) in Batches::of((&x, &y), 4).shuffle(&mut rng) {
///     assert_eq!(x.shape(), [y.len(), 3]);
/// }
/// assert_eq!(Batches::of(&y, 4).len(), 3);
/// assert_eq!(Batches::of(&y, 4).drop_last().len(), 2);
/// let last = Batches::of(&y, 4).order([7, 7, 1, 0, 2]).last();
/// assert_eq!(last, Some(Tensor::from([2])));
/// ```
pub struct Batches<'a, B> {
    make: Make<'a, B>,
    /// The number of samples of the data set.
    samples: usize,
    size: usize,
    /// The samples of the epoch, if they are not all in their own order.
    order: Option<Arc<[usize]>>,
    drop_last: bool,
    /// The number of the next batch.
    next: usize,
}

/// Making them.
impl<'a, B> Batches<'a, B> {
    /// All samples in their own order, `size` in a batch.
    ///
    /// # Panics
    /// If `size` is 0, or the members of a tuple have different lengths.
    #[track_caller]
    pub fn of<D: Dataset<Batch = B> + 'a>(data: D, size: usize) -> Self {
        assert!(size > 0, "Batches: the size of a batch is 0: it must be at least 1");
        let samples = data.len();
        let make = Arc::new(move |indices: &[usize], _| data.batch(indices));
        Self { make, samples, size, order: None, drop_last: false, next: 0 }
    }

    /// Leaves out the last batch if it is smaller than the others.
    pub fn drop_last(mut self) -> Self {
        self.drop_last = true;
        self
    }

    /// The samples in this order: any of them, also several times.
    ///
    /// # Panics
    /// If an index is not below the number of samples.
    #[track_caller]
    pub fn order(mut self, indices: impl Into<Arc<[usize]>>) -> Self {
        let indices = indices.into();
        check_indices(&indices, self.samples);
        self.order = Some(indices);
        self
    }

    /// The samples in random order; see [`order::shuffled`]. After [`order`](Self::order) it shuffles that one.
    pub fn shuffle(mut self, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shuffled = order::shuffled(self.chosen(), rng);
        self.order = Some(match &self.order {
            None => shuffled.into(),
            Some(order) => shuffled.into_iter().map(|place| order[place]).collect(),
        });
        self
    }

    /// The samples in a random order in which every batch has almost the same share of each label; see
    /// [`order::stratified`].
    ///
    /// # Panics
    /// Unless there is a label for each sample.
    #[track_caller]
    pub fn stratify(self, labels: &Tensor<i64>, rng: &mut (impl Rng + ?Sized)) -> Self {
        self.check_one_each("stratify", "labels", labels.len());
        self.order(order::stratified(labels, rng))
    }

    /// `count` samples, each drawn with a probability in proportion to its weight; see [`order::weighted`].
    ///
    /// # Panics
    /// Unless there is a weight for each sample, and as [`order::weighted`].
    #[track_caller]
    pub fn weighted<T: Float>(
        self,
        weights: &Tensor<T>,
        count: usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        self.check_one_each("weighted", "weights", weights.len());
        self.order(order::weighted(weights, count, rng))
    }

    /// `count` different samples, drawn one after another by their weights; see [`order::weighted_distinct`].
    ///
    /// # Panics
    /// Unless there is a weight for each sample, and as [`order::weighted_distinct`].
    #[track_caller]
    pub fn weighted_distinct<T: Float>(
        self,
        weights: &Tensor<T>,
        count: usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        self.check_one_each("weighted_distinct", "weights", weights.len());
        self.order(order::weighted_distinct(weights, count, rng))
    }

    /// The samples in random order, but with similar lengths within a batch; see [`order::bucketed`].
    ///
    /// # Panics
    /// Unless there is a length for each sample.
    #[track_caller]
    pub fn bucket(self, lengths: &[usize], rng: &mut (impl Rng + ?Sized)) -> Self {
        self.check_one_each("bucket", "lengths", lengths.len());
        let order = order::bucketed(lengths, self.size, rng);
        self.order(order)
    }

    /// The batches that `f` makes of these, on the threads of [`prefetch`](Self::prefetch) if there are any.
    pub fn transform<C>(self, f: impl Fn(B) -> C + Send + Sync + 'a) -> Batches<'a, C>
    where
        B: 'a,
    {
        self.numbered(move |batch, _| f(batch))
    }

    /// The batches that `f` makes of these with random numbers. Each batch has a generator of its own, whose seed is
    /// [drawn](seeded) from `rng` and the number of the batch: the results do not depend on the number of threads.
    ///
    /// ```
    /// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
    /// use gradus::{Tensor, seeded};
    /// use gradus::data::{Batches, augment};
    ///
    /// let (images, labels) = (Tensor::<f32>::ones([6, 3, 8, 8]), Tensor::from(0..6));
    /// let batches = |threads| {
    ///     let mut rng = seeded(1);
    ///     Batches::of((images.clone(), labels.clone()), 4)
    ///         .shuffle(&mut rng)
    ///         .augment(&mut rng, |(x, y), rng| (augment::random_crop(&x, 2, rng), y))
    ///         .prefetch(threads)
    /// };
    /// assert!(batches(0).eq(batches(2)));
    /// ```
    pub fn augment<C>(
        self,
        rng: &mut (impl Rng + ?Sized),
        f: impl Fn(B, &mut Xoshiro256PlusPlus) -> C + Send + Sync + 'a,
    ) -> Batches<'a, C>
    where
        B: 'a,
    {
        let key = rng.next_u64();
        // Multiplied by an odd number, so that seeds of neighbours differ in many bits.
        let seed = move |number: usize| key ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.numbered(move |batch, number| f(batch, &mut seeded(seed(number))))
    }

    fn numbered<C>(self, f: impl Fn(B, usize) -> C + Send + Sync + 'a) -> Batches<'a, C>
    where
        B: 'a,
    {
        let Self { make, samples, size, order, drop_last, next } = self;
        let make = Arc::new(move |indices: &[usize], number| f(make(indices, number), number));
        Batches { make, samples, size, order, drop_last, next }
    }

    #[track_caller]
    fn check_one_each(&self, operation: &str, argument: &str, length: usize) {
        let samples = self.samples;
        assert!(
            length == samples,
            "{operation}: `{argument}` has {length} elements, the data set {samples} samples: there must be one for each"
        );
    }
}

/// Going through them.
impl<B> Batches<'_, B> {
    /// The samples of the epoch.
    fn chosen(&self) -> usize {
        self.order.as_ref().map_or(self.samples, Dataset::len)
    }

    /// The number of batches of the epoch, whatever was taken already.
    pub(crate) fn total(&self) -> usize {
        if self.drop_last { self.chosen() / self.size } else { self.chosen().div_ceil(self.size) }
    }

    /// A batch by its number.
    pub(crate) fn batch(&self, number: usize) -> B {
        let range = number * self.size..self.chosen().min((number + 1) * self.size);
        match &self.order {
            None => (self.make)(&range.collect::<Vec<_>>(), number),
            Some(order) => (self.make)(&order[range], number),
        }
    }

    /// The number of the next batch, which is then one larger.
    pub(crate) fn advance(&mut self) -> Option<usize> {
        let number = self.next;
        (number < self.total()).then(|| {
            self.next += 1;
            number
        })
    }

    /// Leaves out `count` batches, which are not made.
    pub(crate) fn skip_ahead(&mut self, count: usize) {
        self.next = self.total().min(self.next.saturating_add(count));
    }
}

impl<B: Send + 'static> Batches<'static, B> {
    /// The same batches in the same order, made ahead of time by `threads` threads of their own; with 0, by the caller.
    ///
    /// The threads own what they work on: the data are a clone of the tensors, which shares their numbers
    /// (`Batches::of((x.clone(), y.clone()), 64)`), or an [`Arc`] of another data set, in place of references. See
    /// [`Prefetch`].
    pub fn prefetch(self, threads: usize) -> Prefetch<B> {
        Prefetch::new(self, threads)
    }
}

impl<B> Iterator for Batches<'_, B> {
    type Item = B;

    fn next(&mut self) -> Option<B> {
        let number = self.advance()?;
        Some(self.batch(number))
    }

    /// Without making the batches before.
    fn nth(&mut self, n: usize) -> Option<B> {
        self.skip_ahead(n);
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.total() - self.next.min(self.total());
        (left, Some(left))
    }
}

impl<B> ExactSizeIterator for Batches<'_, B> {}

impl<B> Clone for Batches<'_, B> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone(), order: self.order.clone(), ..*self }
    }
}

impl<B> Debug for Batches<'_, B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Batches: {} of {}, next {}", self.total(), self.size, self.next)
    }
}

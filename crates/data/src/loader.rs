//! Epochs without end, whose place can be saved.

use std::fmt::{self, Debug, Formatter};

use gradus_autograd::Xoshiro256PlusPlus;
use gradus_nn::{State, StateError, Stateful};

/// Epoch after epoch of batches, with a place that a checkpoint can hold, in the middle of an epoch too.
///
/// It owns a generator and a function that makes the batches of an epoch with it. As an iterator it ends after each epoch,
/// and goes on with the next one. Its [`state`](Self::state) is the generator at the beginning of the epoch and two
/// numbers; a loader that goes on from there gives the same batches to the bit, and makes none of those before.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// use gradus::{State, StateError, Tensor, seeded};
/// use gradus::data::{Batches, Loader};
///
/// # fn main() -> Result<(), StateError> {
/// let (x, y) = (Tensor::<f32>::zeros([100, 2]), Tensor::from(0..100));
/// let loader = || Loader::new(seeded(0), |rng| Batches::of((&x, &y), 16).shuffle(rng));
/// let (mut training, mut checkpoint) = (loader(), State::new());
/// while training.epoch() < 3 {
///     while let Some((x, y)) = training.next() {
///         // a step of training
///         # let _ = (x, y);
///         # if (training.epoch(), training.batch()) == (1, 4) {
///         checkpoint.insert_part("loader.", &training.state());
///         # }
///     }
/// }
///
/// let mut resumed = loader();
/// resumed.load_state(&checkpoint.part("loader."))?;
/// assert_eq!((resumed.epoch(), resumed.batch()), (1, 4));
/// # Ok(())
/// # }
/// ```
pub struct Loader<I, F> {
    make: F,
    /// As it is at the beginning of the epoch.
    start: Xoshiro256PlusPlus,
    /// The batches of the epoch, and the generator after they were made.
    current: Option<(I, Xoshiro256PlusPlus)>,
    epoch: usize,
    batch: usize,
}

impl<I, F> Loader<I, F>
where
    I: ExactSizeIterator,
    F: Fn(&mut Xoshiro256PlusPlus) -> I,
{
    /// At the beginning of epoch 0. `make` gives the batches of an epoch: [`Batches`](crate::Batches),
    /// [`Prefetch`](crate::Prefetch), or another iterator whose length is known. All that is random in them must come from
    /// the generator.
    pub fn new(rng: Xoshiro256PlusPlus, make: F) -> Self {
        Self { make, start: rng, current: None, epoch: 0, batch: 0 }
    }

    /// The number of the epoch, from 0.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// The number of batches that were taken in this epoch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The place: the names `rng`, `epoch` and `batch`.
    pub fn state(&self) -> State {
        let mut state = State::new();
        state.insert("rng", &self.start);
        state.insert("epoch", self.epoch as i64);
        state.insert("batch", self.batch as i64);
        state
    }

    /// Goes on from the place of a loader that was made in the same way.
    ///
    /// # Errors
    /// If a value is missing or of another form, or an epoch of this loader has fewer batches. The loader is then as it was.
    pub fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        let number = |name: &str| -> Result<usize, StateError> {
            let number: i64 = state.value(name)?;
            usize::try_from(number).map_err(|_| {
                StateError::Loader(format!("value {name:?} is {number}: it must not be negative"))
            })
        };
        let (start, epoch, batch) =
            (state.value::<Xoshiro256PlusPlus>("rng")?, number("epoch")?, number("batch")?);
        let mut rng = start.clone();
        let batches = (self.make)(&mut rng);
        if batch > batches.len() {
            let most = batches.len();
            return Err(StateError::Loader(format!(
                "value \"batch\" is {batch}, and an epoch of the loader has {most} batches: data and options must be \
                 the same"
            )));
        }
        (self.start, self.epoch, self.batch, self.current) = (start, epoch, batch, None);
        Ok(())
    }
}

impl<I, F> Iterator for Loader<I, F>
where
    I: ExactSizeIterator,
    F: Fn(&mut Xoshiro256PlusPlus) -> I,
{
    type Item = I::Item;

    /// The next batch of the epoch; `None` at its end, after which the next epoch begins.
    fn next(&mut self) -> Option<I::Item> {
        let skipped = if self.current.is_some() { 0 } else { self.batch };
        let (batches, rng) = self.current.get_or_insert_with(|| {
            let mut rng = self.start.clone();
            ((self.make)(&mut rng), rng)
        });
        let batch = batches.nth(skipped);
        if batch.is_some() {
            self.batch += 1;
        } else {
            self.start = rng.clone();
            self.current = None;
            self.epoch += 1;
            self.batch = 0;
        }
        batch
    }
}

impl<I, F> Stateful for Loader<I, F>
where
    I: ExactSizeIterator,
    F: Fn(&mut Xoshiro256PlusPlus) -> I,
{
    fn state(&self) -> State {
        self.state()
    }

    fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        self.load_state(state)
    }
}

impl<I, F> Debug for Loader<I, F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Loader: epoch {}, batch {}", self.epoch, self.batch)
    }
}

//! Random tensors, the same on every platform and in every release.

use std::cell::Cell;
use std::ops::Range;

use rand::SeedableRng;

pub use rand::Rng;

use crate::element::Float;
use crate::error::OrPanic;
use crate::runtime::Buffer;
use crate::shape::checked_count;
use crate::tensor::Tensor;
use crate::xoshiro::Xoshiro256PlusPlus;

/// The generator for repeatable runs: xoshiro256++ (Blackman and Vigna,
/// 2019), its state filled from the seed by SplitMix64. Its stream is the same on every platform and in
/// every release. Any other generator of the `rand` crate works, too.
///
/// Its state can be saved: [`Xoshiro256PlusPlus::state`] as four words, or in a checkpoint, as
/// `checkpoint.insert("rng", &rng)` and `checkpoint.value("rng")`.
///
/// ```
/// use gradus_tensor::{Tensor, Xoshiro256PlusPlus, seeded};
///
/// let x = Tensor::<f32>::rand([2], &mut seeded(42)); // uniform in [0, 1)
/// assert_eq!(x, Tensor::rand([2], &mut seeded(42)));
/// let x = Tensor::<f64>::randn([100, 100], &mut seeded(0)); // standard normal
/// assert!(x.mean(..).item().abs() < 0.05 && (x.var(.., 1).item() - 1.0).abs() < 0.05);
/// assert_eq!(Tensor::randperm(1000, &mut seeded(0)).sum(..).item(), 999 * 1000 / 2);
///
/// let rng = &mut seeded(42);
/// let first = Tensor::<f32>::rand([100], rng);
/// let state = rng.state();
/// let second = Tensor::<f32>::rand([100], rng);
/// let mut resumed = Xoshiro256PlusPlus::from_state(state).expect("a state is never 0");
/// assert_eq!(Tensor::rand([100], &mut resumed), second);
/// # assert_ne!(first, second);
/// ```
pub fn seeded(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

thread_local! {
    static CHECK: Cell<Option<DrawCheck>> = const { Cell::new(None) };
}

/// Whether random numbers may be drawn now, or why not.
pub type DrawCheck = fn() -> Result<(), String>;

/// Runs `f` on this thread, and asks before each tensor that draws from a generator.
#[doc(hidden)]
pub fn with_draws_checked<R>(check: DrawCheck, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<DrawCheck>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CHECK.set(self.0);
        }
    }
    let _restore = Restore(CHECK.replace(Some(check)));
    f()
}

/// Panics if random numbers must not be drawn now.
#[track_caller]
pub(super) fn check_draw(function: &'static str) {
    if let Some(Err(reason)) = CHECK.get().map(|check| check()) {
        panic!("{function}: {reason}");
    }
}

impl<T: Float> Tensor<T> {
    /// Numbers uniform in [0, 1), in logical order from one 64-bit draw each: its top 24 bits for `f32`,
    /// 53 for `f64`.
    ///
    /// # Panics
    /// If the shape has more elements than a machine can hold.
    #[track_caller]
    pub fn rand(shape: impl AsRef<[usize]>, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.as_ref();
        check_draw("rand");
        let count = checked_count("rand", shape).or_panic();
        Self::from_buffer(
            Buffer::collect(count, (0..count).map(|_| T::from_random_bits(rng.next_u64()))),
            shape,
        )
    }

    /// Numbers from the standard normal distribution (mean 0, variance 1), by the transform of Box and
    /// Muller (1958) in `f64`: elements are made in pairs from two 64-bit draws, through the portable
    /// `libm`, so that all platforms give the same bits.
    ///
    /// # Panics
    /// If the shape has more elements than a machine can hold.
    #[track_caller]
    pub fn randn(shape: impl AsRef<[usize]>, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.as_ref();
        check_draw("randn");
        let count = checked_count("randn", shape).or_panic();
        let mut data = Vec::with_capacity(count + 1);
        while data.len() < count {
            // 1 - u lies in (0, 1], where the logarithm is finite.
            let radius = (-2.0 * libm::log(1.0 - f64::from_random_bits(rng.next_u64()))).sqrt();
            let angle = std::f64::consts::TAU * f64::from_random_bits(rng.next_u64());
            data.extend([libm::cos(angle), libm::sin(angle)].map(|x| T::from_f64(radius * x)));
        }
        data.truncate(count);
        Self::from_slice(&data, shape)
    }

    /// Numbers uniform between `low` and `high`, from one draw each: `low + (high - low) u`, where u is a number of
    /// [`rand`](Self::rand). `low` can occur; `high` only where the sum is rounded up to it.
    ///
    /// # Panics
    /// If `low` is above `high`, the distance between them is infinite in this type, or the shape has more elements
    /// than a machine can hold.
    #[track_caller]
    pub fn uniform(shape: impl AsRef<[usize]>, low: f64, high: f64, rng: &mut (impl Rng + ?Sized)) -> Self {
        check_draw("uniform");
        assert!(low <= high, "uniform: `low` is {low} and `high` {high}: `low` must not be above `high`");
        let (start, distance) = (T::from_f64(low), T::from_f64(high - low));
        assert!(
            distance.is_finite(),
            "uniform: `low` is {low} and `high` {high}: the distance between them must be finite in {}",
            T::NAME
        );
        let count = checked_count("uniform", shape.as_ref()).or_panic();
        let draw = |_| start + T::from_random_bits(rng.next_u64()) * distance;
        Self::from_buffer(Buffer::collect(count, (0..count).map(draw)), shape.as_ref())
    }

    /// Numbers from the normal distribution with mean `mean` and standard deviation `std`: `mean + std z`, where z is a
    /// number of [`randn`](Self::randn).
    ///
    /// # Panics
    /// If `std` is negative or NaN, or the shape has more elements than a machine can hold.
    #[track_caller]
    pub fn normal(shape: impl AsRef<[usize]>, mean: f64, std: f64, rng: &mut (impl Rng + ?Sized)) -> Self {
        check_draw("normal");
        assert!(std >= 0.0, "normal: `std` is {std}: it must be 0 or larger");
        checked_count("normal", shape.as_ref()).or_panic();
        let (mean, std) = (T::from_f64(mean), T::from_f64(std));
        let mut numbers = Self::randn(shape, rng);
        numbers.map_inplace(
            #[inline(always)]
            |z| mean + z * std,
        );
        numbers
    }

    /// [`rand`](Self::rand) in the shape of this tensor.
    #[track_caller]
    pub fn rand_like(&self, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::rand(self.shape(), rng)
    }

    /// [`randn`](Self::randn) in the shape of this tensor.
    #[track_caller]
    pub fn randn_like(&self, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::randn(self.shape(), rng)
    }
}

impl Tensor<i64> {
    /// Integers in a range, `low..high`, each equally likely, by the multiplication and rejection of Lemire ("Fast
    /// random integer generation in an interval", 2019): one 64-bit draw each, and another one for each that is
    /// rejected, which happens once in 2^64 / (high - low) draws at most.
    ///
    /// ```
    /// use gradus_tensor::{Tensor, seeded};
    ///
    /// let dice = Tensor::randint([1000], 1..7, &mut seeded(0));
    /// assert_eq!((dice.min(..).item(), dice.max(..).item()), (1, 6));
    /// ```
    ///
    /// # Panics
    /// If the range is empty, or the shape has more elements than a machine can hold.
    #[track_caller]
    pub fn randint(shape: impl AsRef<[usize]>, range: Range<i64>, rng: &mut (impl Rng + ?Sized)) -> Self {
        check_draw("randint");
        assert!(
            range.start < range.end,
            "randint: the range is {range:?}: its start must be below its end, which is not drawn"
        );
        let count = checked_count("randint", shape.as_ref()).or_panic();
        let size = range.end.wrapping_sub(range.start) as u64;
        // The draws whose product begins a multiple of `size` would be one too many for some numbers.
        let surplus = size.wrapping_neg() % size;
        let draw = |_| loop {
            let product = u128::from(rng.next_u64()) * u128::from(size);
            if product as u64 >= surplus {
                break range.start.wrapping_add((product >> 64) as i64);
            }
        };
        Self::from_buffer(Buffer::collect(count, (0..count).map(draw)), shape.as_ref())
    }

    /// The numbers from 0 to `count - 1` in random order, each order equally likely, by the shuffle of Fisher
    /// and Yates (Durstenfeld, 1964) from one 64-bit draw for each number but the first.
    #[track_caller]
    pub fn randperm(count: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        check_draw("randperm");
        let mut order: Vec<i64> = (0..count as i64).collect();
        for last in (1..count).rev() {
            // The high half of the product is uniform in 0..=last, to within 2^-64 times their number.
            let chosen = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
            order.swap(last, chosen as usize);
        }
        order.into()
    }
}

//! Random tensors whose distribution is given by another tensor, the same on every platform and in every release.

use super::random::{Rng, check_draw};
use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::layout::place_of;
use crate::runtime::Buffer;
use crate::shape::{Shape, broadcast_shapes, checked_count};
use crate::tensor::Tensor;

/// A number in [0, 1) with 53 random bits.
fn unit(rng: &mut (impl Rng + ?Sized)) -> f64 {
    f64::from_random_bits(rng.next_u64())
}

/// A number from the exponential distribution with mean 1.
fn exponential(rng: &mut (impl Rng + ?Sized)) -> f64 {
    // 1 - u lies in (0, 1], where the logarithm is finite.
    -libm::log(1.0 - unit(rng))
}

/// The logarithm of a number from the gamma distribution with this shape and scale 1, which may be too small for a
/// number.
fn log_gamma_variate(shape: f64, rng: &mut (impl Rng + ?Sized)) -> f64 {
    if shape < 1.0 {
        let larger = log_gamma_variate(shape + 1.0, rng);
        return larger - exponential(rng) / shape;
    }
    let d = shape - 1.0 / 3.0;
    loop {
        // A normal number, by the transform of Box and Muller.
        let radius = (2.0 * exponential(rng)).sqrt();
        let x = radius * libm::cos(std::f64::consts::TAU * unit(rng));
        let root = 1.0 + x / (9.0 * d).sqrt();
        let cube = root * root * root;
        if cube > 0.0 {
            let log = libm::log(cube);
            if -exponential(rng) < 0.5 * x * x + d - d * cube + d * log {
                return libm::log(d) + log;
            }
        }
    }
}

/// Random choices, with probabilities or weights from this tensor. All streams are frozen; decisions are made in `f64`,
/// so that equal probabilities in both types give the same choices.
///
/// ```
/// use gradus_tensor::{Tensor, seeded};
///
/// // The next word, from the scores that a language model gives to three words, at temperature 0.5.
/// let scores = Tensor::from([[0.0, 2.0, f64::NEG_INFINITY], [f64::NEG_INFINITY, 0.0, -900.0]]);
/// let next = (scores / 0.5).softmax(-1).multinomial(1, true, &mut seeded(0));
/// assert_eq!(next, Tensor::from([[1], [1]]));
///
/// let coins = Tensor::<f32>::full([1000], 0.3).bernoulli(&mut seeded(0));
/// assert!((coins.mean(..).item() - 0.3).abs() < 0.05);
/// ```
impl<T: Float> Tensor<T> {
    /// 1 with the probability that this tensor holds, and otherwise 0: whether u < p, where u has 53 random bits of one
    /// draw for each element, in logical order.
    ///
    /// # Panics
    /// If an element is not between 0 and 1.
    #[track_caller]
    pub fn bernoulli(&self, rng: &mut (impl Rng + ?Sized)) -> Self {
        check_draw("bernoulli");
        if let Some((number, p)) = self.iter().enumerate().find(|(_, p)| !(T::ZERO..=T::ONE).contains(p)) {
            let index = place_of(number, self.shape());
            panic!("bernoulli: the probability at {index:?} is {p}: it must be between 0 and 1");
        }
        let draw = |p: T| if unit(rng) < p.to_f64() { T::ONE } else { T::ZERO };
        Self::from_buffer(Buffer::collect(self.len(), self.iter().map(draw)), self.shape())
    }

    /// Numbers from gamma distributions with the elements as shape parameters and scale 1, by the rejection of
    /// Marsaglia and Tsang ("A simple method for generating gamma variables", 2000); no number is below the smallest
    /// normal one.
    ///
    /// # Panics
    /// If an element is not positive and finite.
    #[track_caller]
    pub fn standard_gamma(&self, rng: &mut (impl Rng + ?Sized)) -> Self {
        check_draw("standard_gamma");
        self.check_positive("standard_gamma");
        let draw = |a: T| T::from_f64(libm::exp(log_gamma_variate(a.to_f64(), rng)));
        let above_zero = |x: T| if x < T::MIN_POSITIVE { T::MIN_POSITIVE } else { x };
        let numbers = self.iter().map(draw).map(above_zero);
        Self::from_buffer(Buffer::collect(self.len(), numbers), self.shape())
    }

    /// Numbers from beta distributions with the parameters `a` and `b`, which broadcast: x / (x + y) for x and y from
    /// gamma distributions with these parameters, of which x is drawn first. All numbers are between 0 and 1, without
    /// both.
    ///
    /// # Panics
    /// If the shapes do not broadcast, or a parameter is not positive and finite.
    #[track_caller]
    pub fn beta(a: &Self, b: &Self, rng: &mut (impl Rng + ?Sized)) -> Self {
        check_draw("beta");
        let shape = broadcast_shapes("beta", a.shape(), b.shape()).or_panic();
        a.check_positive("beta");
        b.check_positive("beta");
        let (a, b) = (a.expand(&shape), b.expand(&shape));
        let draw = |(a, b): (T, T)| {
            let [x, y] = [a, b].map(|shape| log_gamma_variate(shape.to_f64(), rng));
            let quotient = T::from_f64(1.0 / (1.0 + libm::exp(y - x)));
            let below_one = T::ONE - T::EPSILON / T::from_f64(2.0);
            if quotient < T::MIN_POSITIVE {
                T::MIN_POSITIVE
            } else if quotient > below_one {
                below_one
            } else {
                quotient
            }
        };
        Self::from_buffer(Buffer::collect(a.len(), a.iter().zip(&b).map(draw)), &shape)
    }

    #[track_caller]
    fn check_positive(&self, operation: &'static str) {
        if let Some(x) = self.iter().find(|&x| !(x > T::ZERO && x.is_finite())) {
            let expected = "it must be positive and finite";
            TensorError::argument(operation, "a parameter", x, self.shape(), expected).panic();
        }
    }

    /// The indices of `count` elements of each row, the last axis, drawn with probabilities in proportion to the
    /// elements: `[..., n]` gives `[..., count]`. The weights of a row need not sum to 1, and may be as large or as
    /// small as numbers can be; an element of weight 0 is never drawn.
    ///
    /// With `replacement`, one draw each finds a place among the running sums of the weights. Without it, no element is
    /// drawn twice, and the result is in the order of drawing: of n exponentially distributed numbers, one draw each,
    /// divided by the weights, the smallest come first (Efraimidis and Spirakis, "Weighted random sampling with a
    /// reservoir", 2006).
    ///
    /// # Panics
    /// If there is no axis, a weight is negative, infinite or NaN, all weights of a row are 0, or, without
    /// `replacement`, a row has fewer than `count` positive weights.
    #[track_caller]
    pub fn multinomial(&self, count: usize, replacement: bool, rng: &mut (impl Rng + ?Sized)) -> Tensor<i64> {
        check_draw("multinomial");
        let mut shape = Shape::from_slice(self.shape());
        let Some(last) = shape.last_mut() else {
            panic!("multinomial: the weights have no axis: the last one must run over what is drawn")
        };
        let size = std::mem::replace(last, count);
        let total = checked_count("multinomial", &shape).or_panic();
        let rows = &shape[..shape.len() - 1];
        let is_weight = |w: T| w >= T::ZERO && w.is_finite();
        if let Some((number, w)) = self.iter().enumerate().find(|&(_, w)| !is_weight(w)) {
            let index = place_of(number, self.shape());
            panic!("multinomial: the weight at {index:?} is {w}: weights must be finite and not negative");
        }
        let (mut drawn, mut weights) = (Vec::with_capacity(total), self.iter().map(T::to_f64));
        for row in 0..rows.iter().product() {
            let weights: Vec<f64> = weights.by_ref().take(size).collect();
            let positive = weights.iter().filter(|&&w| w > 0.0).count();
            let of_row = || match rows {
                [] => String::new(),
                _ => format!(" of row {:?}", place_of(row, rows)),
            };
            assert!(
                positive > 0,
                "multinomial: all weights{} are 0: one at least must be positive",
                of_row()
            );
            assert!(
                replacement || count <= positive,
                "multinomial: `count` is {count} and only {positive} weights{} are positive: without replacement, \
                 nothing can be drawn twice",
                of_row()
            );
            if replacement {
                draw_with_replacement(&weights, count, rng, &mut drawn);
            } else {
                draw_without_replacement(&weights, count, rng, &mut drawn);
            }
        }
        Tensor::from_slice(&drawn, &shape)
    }
}

fn draw_with_replacement(weights: &[f64], count: usize, rng: &mut (impl Rng + ?Sized), drawn: &mut Vec<i64>) {
    // Below 2, so that no sum overflows.
    let scale = weights.iter().copied().fold(0.0, f64::max).power_of_two();
    let mut sum = 0.0;
    let sums: Vec<f64> = weights
        .iter()
        .map(|w| {
            sum += w / scale;
            sum
        })
        .collect();
    drawn.extend((0..count).map(|_| {
        // Rounded, the product of the sum and a number below 1 is still below the sum.
        let place = unit(rng) * sum;
        sums.partition_point(|&sum| sum <= place) as i64
    }));
}

fn draw_without_replacement(
    weights: &[f64],
    count: usize,
    rng: &mut (impl Rng + ?Sized),
    drawn: &mut Vec<i64>,
) {
    // Logarithms, because a quotient may overflow.
    let key = |time: f64, w: f64| if w == 0.0 { f64::INFINITY } else { libm::log(time) - libm::log(w) };
    let mut keys: Vec<(f64, i64)> =
        (0_i64..).zip(weights).map(|(i, &w)| (key(exponential(rng), w), i)).collect();
    keys.sort_unstable_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
    drawn.extend(keys[..count].iter().map(|&(_, i)| i));
}

//! Initial values of parameters.
//!
//! Each function draws from `rng`, in logical order, by [`Tensor::rand`] or [`Tensor::randn`], whose streams are the
//! same on every platform and in every release.
//!
//! ```
//! use gradus_autograd::seeded;
//! use gradus_nn::{Linear, init};
//!
//! let rng = &mut seeded(0);
//! let mut layer: Linear = Linear::new(100, 50, rng);
//! layer.weight.set(init::kaiming_normal([50, 100], 2.0_f64.sqrt(), rng));
//! let variance = layer.weight.value().square().mean(..).item();
//! assert!((variance - 0.02).abs() < 0.002); // 2 / 100
//! ```

use gradus_autograd::{Float, Tensor};
use rand::Rng;

/// The fan-in and the fan-out of a weight `[out, in, ...]`: the number of inputs of one output, and of outputs of one
/// input. Axes after the second count for both.
///
/// ```
/// use gradus_nn::init::fans;
///
/// assert_eq!(fans(&[8, 3]), (3, 8));
/// assert_eq!(fans(&[8, 3, 5, 5]), (75, 200)); // a window of 5 x 5
/// ```
///
/// # Panics
/// If there are fewer than two axes.
#[track_caller]
pub fn fans(shape: &[usize]) -> (usize, usize) {
    let [outputs, inputs, field @ ..] = shape else {
        panic!("fans: the shape is {shape:?}; a weight has at least two axes, [out, in, ...]")
    };
    let field: usize = field.iter().product();
    (inputs * field, outputs * field)
}

/// Uniform between `low` and `high`: [`Tensor::uniform`].
///
/// # Panics
/// If `low` is above `high`, or the distance between them is infinite.
#[track_caller]
pub fn uniform<T: Float>(
    shape: impl AsRef<[usize]>,
    low: f64,
    high: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    Tensor::uniform(shape, low, high, rng)
}

/// Normal with mean `mean` and standard deviation `std`: [`Tensor::normal`].
///
/// # Panics
/// If `std` is negative.
#[track_caller]
pub fn normal<T: Float>(
    shape: impl AsRef<[usize]>,
    mean: f64,
    std: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    Tensor::normal(shape, mean, std, rng)
}

/// Uniform with variance `gain^2 * 2 / (fan_in + fan_out)`, for layers followed by `tanh` or `sigmoid`
/// (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010).
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_uniform<T: Float>(
    shape: impl AsRef<[usize]>,
    gain: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    let bound = xavier_std(shape.as_ref(), gain) * 3.0_f64.sqrt();
    uniform(shape, -bound, bound, rng)
}

/// Normal with mean 0 and variance `gain^2 * 2 / (fan_in + fan_out)`; see [`xavier_uniform`].
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_normal<T: Float>(
    shape: impl AsRef<[usize]>,
    gain: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    let std = xavier_std(shape.as_ref(), gain);
    normal(shape, 0.0, std, rng)
}

/// Uniform with variance `gain^2 / fan_in`, for layers followed by `relu` with `gain` the square root of 2
/// (He et al., "Delving deep into rectifiers", 2015, after Kaiming He).
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn kaiming_uniform<T: Float>(
    shape: impl AsRef<[usize]>,
    gain: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    let bound = kaiming_std(shape.as_ref(), gain) * 3.0_f64.sqrt();
    uniform(shape, -bound, bound, rng)
}

/// Normal with mean 0 and variance `gain^2 / fan_in`; see [`kaiming_uniform`].
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn kaiming_normal<T: Float>(
    shape: impl AsRef<[usize]>,
    gain: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    let std = kaiming_std(shape.as_ref(), gain);
    normal(shape, 0.0, std, rng)
}

/// Orthonormal rows, or columns if there are more rows than columns, times `gain`, drawn evenly from all such matrices; axes
/// after the first count as columns (Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear
/// neural networks", 2013).
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_nn::init;
///
/// let weight: Tensor<f64> = init::orthogonal([3, 5], 1.0, &mut seeded(0));
/// assert!(weight.matmul(&weight.t()).allclose(&Tensor::eye(3), 0.0, 1e-12));
/// ```
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn orthogonal<T: Float>(
    shape: impl AsRef<[usize]>,
    gain: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<T> {
    let shape = shape.as_ref();
    assert!(
        shape.len() > 1,
        "orthogonal: the shape is {shape:?}; a weight has at least two axes, [out, in, ...]"
    );
    let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
    let (count, width) = (rows.min(columns), rows.max(columns));
    // Gram-Schmidt on normal vectors is even on all matrices (Mezzadri, "How to generate random matrices from the classical
    // compact groups", 2007); a second round removes the rounding errors of the first.
    let mut basis: Vec<Tensor<f64>> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut vector = Tensor::<f64>::randn([width], rng);
        for _ in 0..2 {
            for other in &basis {
                vector = &vector - other * vector.dot(other);
            }
            vector = &vector / vector.norm(2.0, ..);
        }
        basis.push(vector);
    }
    let all: Vec<f64> = basis.iter().flat_map(Tensor::to_vec).map(|x| x * gain).collect();
    let matrix = Tensor::from(all).reshape([count, width]);
    let matrix = if rows > columns { matrix.t() } else { matrix };
    matrix.reshape(shape).cast()
}

#[track_caller]
fn xavier_std(shape: &[usize], gain: f64) -> f64 {
    let (fan_in, fan_out) = fans(shape);
    gain * (2.0 / (fan_in + fan_out).max(1) as f64).sqrt()
}

#[track_caller]
fn kaiming_std(shape: &[usize], gain: f64) -> f64 {
    gain / (fans(shape).0.max(1) as f64).sqrt()
}

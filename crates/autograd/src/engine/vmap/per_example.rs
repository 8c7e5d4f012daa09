//! The gradients of each example of a batch.

use gradus_tensor::{Float, Shape, Tensor};

use super::{Examples, lift, mapped};
use crate::engine::checks::scalar_seed;
use crate::engine::gradients::{Gradients, vjp_create_graph};
use crate::factors;
use crate::tape::{Lifted, Operand, Var, mode};

/// The gradients of one parameter, for all examples.
#[derive(Debug, Clone)]
enum OfParameter<T: Float> {
    /// `[batch, ..]`, with the shape of the parameter.
    Whole(Tensor<T>),
    /// The factors of products of matrices, `[batch, m, r]` and `[batch, r, n]`. A weight of a dense layer has such gradients:
    /// they are many times as large as their factors, and most questions need the factors alone.
    Product(Tensor<T>, Tensor<T>),
}

/// The gradients of each example of a batch, from [`gradients_per_example`].
///
/// A gradient of a matrix is kept as the factors that it is a product of, and multiplied out by [`get`](Self::get) alone:
/// [`norms`](Self::norms) and [`weighted`](Self::weighted), which are all that training with differential privacy needs (Abadi
/// et al., "Deep learning with differential privacy", 2016), take about as long as the gradient of the batch.
#[derive(Debug, Clone)]
#[must_use]
pub struct PerExampleGradients<T: Float = f32> {
    losses: Tensor<T>,
    parameters: Vec<(Var<T>, OfParameter<T>)>,
}

/// The gradients of a number, a loss, with respect to parameters for each example of a batch. Inputs and axes are as in
/// [`vmap`](crate::vmap); the function gets one example.
///
/// ```
/// use gradus_autograd::{Tensor, Var, gradients_per_example};
///
/// let w = Var::leaf(Tensor::from([1.0, 2.0]));
/// let x = Var::constant([[1.0, 0.0], [0.0, 10.0], [3.0, 4.0]]);
/// let gradients = gradients_per_example(|x| x[0].dot(&w), &[&w], &[&x], &[Some(0)]);
/// assert_eq!(gradients.losses(), &Tensor::from([1.0, 20.0, 11.0]));
/// assert_eq!(gradients.get(&w), Some(x.value().clone()));
///
/// // Clipped to norm 1, and added up.
/// let weights = gradients.norms().map(|norm: f64| 1.0 / norm.max(1.0));
/// let sum = gradients.weighted(&weights);
/// assert_eq!(sum.get(&w), Some(&Tensor::from([1.6, 1.8])));
/// ```
///
/// # Panics
/// Like `vmap`, if the function gives not one number, or if a parameter is a constant.
#[track_caller]
pub fn gradients_per_example<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(
    f: impl Fn(&Examples<T>) -> Var<T>,
    parameters: &[&Var<T>],
    inputs: &[A],
    in_axes: &[Option<isize>],
) -> PerExampleGradients<T> {
    let inputs: Vec<Operand<T>> = inputs.iter().map(|&input| input.into()).collect();
    let (inputs, size) = lift(&inputs, in_axes);
    all_gradients(&f, parameters, &inputs, size)
}

/// A gradient, or the first of its two factors and the second.
type InParts<T> = (Var<T>, Option<Var<T>>);

#[inline(never)]
#[track_caller]
fn all_gradients<T: Float>(
    f: &dyn Fn(&Examples<T>) -> Var<T>,
    parameters: &[&Var<T>],
    inputs: &[Lifted<T>],
    size: usize,
) -> PerExampleGradients<T> {
    for (i, parameter) in parameters.iter().enumerate() {
        assert!(
            parameter.is_tracked(),
            "gradients_per_example: parameter {i} is a constant and has no gradient"
        );
    }
    // Nobody asks for gradients of the gradients.
    let (losses, gradients) = mode::with_recording(false, || {
        mapped(
            |examples| {
                let loss = f(&examples.detached());
                let seed = scalar_seed("gradients_per_example", &loss);
                let found = if loss.is_tracked() {
                    vjp_create_graph(&loss, &seed.into(), parameters)
                } else {
                    vec![None; parameters.len()]
                };
                let in_parts = |gradient: Var<T>| match factors(&gradient) {
                    Some([left, right]) => (left, Some(right)),
                    None => (gradient, None),
                };
                (
                    loss.reshape(Shape::new()),
                    found.into_iter().map(|gradient| gradient.map(in_parts)).collect::<Vec<_>>(),
                )
            },
            inputs,
            size,
            None,
        )
    });
    let of_parameter = |(gradient, &parameter): (Option<InParts<T>>, &&Var<T>)| {
        let gradients = match gradient {
            None => OfParameter::Whole(Tensor::zeros([&[size], parameter.shape()].concat())),
            Some((whole, None)) => OfParameter::Whole(whole.into_value()),
            Some((left, Some(right))) => OfParameter::Product(left.into_value(), right.into_value()),
        };
        (parameter.clone(), gradients)
    };
    let parameters = gradients.into_iter().zip(parameters).map(of_parameter).collect();
    PerExampleGradients { losses: losses.into_value(), parameters }
}

impl<T: Float> OfParameter<T> {
    fn whole(&self) -> Tensor<T> {
        match self {
            Self::Whole(whole) => whole.clone(),
            Self::Product(left, right) => left.matmul(right),
        }
    }

    /// The sum of the squares of each gradient.
    fn squares(&self) -> Tensor<T> {
        let of_whole = |whole: &Tensor<T>| whole.reshape([whole.shape()[0] as isize, -1]).square().sum(1);
        match self {
            Self::Whole(whole) if whole.is_empty() => Tensor::zeros([whole.shape()[0]]),
            Self::Whole(whole) => of_whole(whole),
            Self::Product(left, right) => {
                let [m, r, n] = [left.shape()[1], left.shape()[2], right.shape()[2]];
                if r * (m + n) >= m * n {
                    return OfParameter::Whole(left.matmul(right)).squares();
                }
                // |A B|^2 is the inner product of A'A and B B', which are small.
                let products = left.t().matmul(left) * right.matmul(&right.t());
                products.sum([1, 2]).maximum(Tensor::scalar(T::ZERO))
            }
        }
    }

    /// Bounds of the squares from above: rounding may leave next to nothing of a sum of products that cancel, and then the
    /// squares say less than what another order of additions would give.
    fn squares_at_most(&self) -> Tensor<T> {
        let Self::Product(left, right) = self else { return self.squares() };
        let [m, r, n] = [left.shape()[1], left.shape()[2], right.shape()[2]];
        if r == 1 {
            return self.squares();
        }
        // An element of the product is wrong by (m + n + r) eps times what its terms add up to without their signs at most.
        let lengths = left.norm(2.0, 1) * right.norm(2.0, 2);
        self.squares() + lengths.sum(1).square() * (T::EPSILON * T::from_f64((m + n + r) as f64))
    }

    /// The sum of the gradients times a weight each.
    fn weighted(&self, weights: &Tensor<T>) -> Tensor<T> {
        let size = weights.len();
        match self {
            Self::Whole(whole) => {
                let rest = whole.shape()[1..].to_vec();
                let columns = rest.iter().product::<usize>();
                weights.reshape([1, size]).matmul(&whole.reshape([size, columns])).reshape(rest)
            }
            Self::Product(left, right) => {
                // All products side by side are one product.
                let [m, r, n] = [left.shape()[1], left.shape()[2], right.shape()[2]];
                let left = (left * weights.reshape([size, 1, 1])).permute([1, 0, 2]).reshape([m, size * r]);
                left.matmul(&right.reshape([size * r, n]))
            }
        }
    }
}

impl<T: Float> PerExampleGradients<T> {
    /// The loss of each example, `[batch]`.
    pub fn losses(&self) -> &Tensor<T> {
        &self.losses
    }

    /// The gradients for one of the parameters, `[batch, ..]` with its shape; `None` if it was not among them.
    pub fn get(&self, parameter: &Var<T>) -> Option<Tensor<T>> {
        let identity = parameter.identity()?;
        let found =
            self.parameters.iter().find(|(other, _)| other.identity().is_some_and(|other| other == identity));
        found.map(|(_, gradients)| gradients.whole())
    }

    #[track_caller]
    fn check_weights(&self, operation: &str, weights: &Tensor<T>) {
        assert!(
            weights.shape() == self.losses.shape(),
            "{operation}: the weights have shape {:?}, and there are {} examples: there must be one for each",
            weights.shape(),
            self.losses.len()
        );
    }

    /// The Euclidean norm of all gradients of each example as one vector, `[batch]`.
    pub fn norms(&self) -> Tensor<T> {
        let zeros = Tensor::zeros(self.losses.shape());
        self.parameters.iter().fold(zeros, |sum, (_, gradients)| sum + gradients.squares()).sqrt()
    }

    /// The norms of the gradients of each parameter, `[batch]`, in the order in which the parameters were given, rounded up:
    /// a gradient, as [`weighted_each`](Self::weighted_each) adds it up, is at most as long, but for the rounding of a sum of
    /// squares. One that is a sum of products which cancel gets a larger bound than its norm.
    pub fn norm_bounds(&self) -> Vec<Tensor<T>> {
        self.parameters.iter().map(|(_, gradients)| gradients.squares_at_most().sqrt()).collect()
    }

    /// The sum of the gradients of all examples, each times a weight for its example and its parameter: `[batch]` weights for
    /// each parameter, in the order in which these were given. [`Gradients::loss`] is the sum of the losses.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var, gradients_per_example};
    ///
    /// // Each parameter clipped to norm 1 by itself.
    /// let [w, v] = [1.0_f64, 2.0].map(|x| Var::leaf(Tensor::from([x])));
    /// let x = Var::constant([[0.5], [4.0]]);
    /// let gradients = gradients_per_example(|x| x[0].dot(&w) + x[0].dot(&v) * 2.0, &[&w, &v], &[&x], &[Some(0)]);
    /// let clip = |norms: Tensor<f64>| norms.map(|norm| 1.0 / norm.max(1.0));
    /// let sum = gradients.weighted_each(&gradients.norm_bounds().into_iter().map(clip).collect::<Vec<_>>());
    /// assert_eq!((sum.get(&w), sum.get(&v)), (Some(&Tensor::from([1.5])), Some(&Tensor::from([2.0]))));
    /// ```
    ///
    /// # Panics
    /// If there is not one list for each parameter, and in it one weight for each example.
    #[track_caller]
    pub fn weighted_each(&self, weights: &[Tensor<T>]) -> Gradients<T> {
        assert!(
            weights.len() == self.parameters.len(),
            "weighted_each: there are {} lists of weights and {} parameters: there must be one for each",
            weights.len(),
            self.parameters.len()
        );
        let mut sums = Vec::with_capacity(weights.len());
        for ((parameter, gradients), weights) in self.parameters.iter().zip(weights) {
            self.check_weights("weighted_each", weights);
            sums.push((parameter, gradients.weighted(weights)));
        }
        Gradients::from_leaves(self.losses.sum(..).item(), sums)
    }

    /// The sum of the gradients of all examples, each times its weight, for an optimizer: with weights `1 / batch` it is the
    /// gradient of the mean. [`Gradients::loss`] is the same sum of the losses.
    ///
    /// # Panics
    /// If there is not one weight for each example.
    #[track_caller]
    pub fn weighted(&self, weights: &Tensor<T>) -> Gradients<T> {
        self.check_weights("weighted", weights);
        let sums =
            self.parameters.iter().map(|(parameter, gradients)| (parameter, gradients.weighted(weights)));
        Gradients::from_leaves((&self.losses * weights).sum(..).item(), sums)
    }
}

//! Normalisation: of blocks of the last axes, of channels, of groups of channels.

use gradus_tensor::shapes::normalized_shape;
use gradus_tensor::{Axes, Float, Shape, Tensor, TensorError, keepdim};

use super::chained;
use super::stats::centred;
use crate::tape::{Batch, Context, InputGradients, Inputs, Operation, Saves, Var, apply};

/// The inputs are x, and the optional weight and bias.
#[derive(Debug)]
struct Normalize {
    /// Whether the mean is taken off first.
    centred: bool,
    normalized_shape: Shape,
    weight: bool,
    eps: f64,
}

impl Normalize {
    /// The gradients in the order of the inputs.
    fn by_input<T: Float>(&self, of_x: Var<T>, of_weight: Var<T>, of_bias: &Var<T>) -> InputGradients<T> {
        let of_weight = self.weight.then_some(of_weight);
        [Some(of_x), of_weight, Some(of_bias.clone())].into_iter().flatten().map(Some).collect()
    }
}

impl<T: Float> Operation<T> for Normalize {
    fn name(&self) -> &'static str {
        if self.centred { "layer_norm" } else { "rms_norm" }
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        let (weight, bias) = if self.weight { (inputs.get(1), inputs.get(2)) } else { (None, inputs.get(1)) };
        let (weight, bias) = (weight.copied(), bias.copied());
        let operation = Operation::<T>::name(self);
        Some(normalized_shape(operation, inputs[0], &self.normalized_shape, weight, bias, self.eps))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        let (weight, bias) = if self.weight { (inputs.get(1), inputs.get(2)) } else { (None, inputs.get(1)) };
        let (shape, weight, eps) = (&self.normalized_shape, weight, self.eps);
        if self.centred {
            inputs[0].layer_norm(shape, weight, bias, eps)
        } else {
            inputs[0].rms_norm(shape, weight, eps)
        }
    }
    fn saves(&self) -> Saves {
        Saves::INPUTS.of_first(1 + usize::from(self.weight))
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Var<T>> {
        let &Self { centred, weight, eps, .. } = self;
        let others: Vec<usize> = (1..batch.len()).collect();
        let shape = &self.normalized_shape;
        let same = |weight| Self { centred, normalized_shape: shape.clone(), weight, eps };
        if !others.iter().any(|&input| batch.is_batched(input)) {
            let inputs: Vec<Var<T>> = (0..batch.len()).map(|input| batch.given(input)).collect();
            return Some(apply(same(weight), &inputs.iter().collect::<Vec<_>>()));
        }
        let rank = batch.output_shape().len();
        let mut y = apply(same(false), &[&batch.var(0)]);
        for input in others {
            let operand = batch.aligned(input, rank);
            y = if input == 1 && weight { y * operand } else { y + operand };
        }
        Some(y)
    }
    fn vjps(&self, context: &Context<T>) -> Option<InputGradients<T>> {
        let g = context.cotangent();
        if !context.is_recorded() {
            let weight = self.weight.then(|| context.input_value(1));
            let (x, shape) = (context.input_value(0), &self.normalized_shape);
            let gradient = if self.centred { Tensor::layer_norm_gradient } else { Tensor::rms_norm_gradient };
            let [of_x, of_weight] = gradient(x, shape, weight, self.eps, g.value()).map(Var::from);
            return Some(self.by_input(of_x, of_weight, g));
        }
        let x = context.input(0);
        let over: Shape = (x.rank() - self.normalized_shape.len()..x.rank()).collect();
        let axes = || keepdim(Axes::from(over.clone()));
        let centred = |x: &Var<T>| if self.centred { centred(x, &over) } else { x.clone() };
        let variance = |centred: &Var<T>, eps: &Tensor<T>| centred.square().mean(axes()) + eps;
        let eps = Tensor::from(T::from_f64(self.eps));
        let (mut x, mut units) = (centred(&x), None);
        let mut square = variance(&x, &eps);
        if let Some(unit) = units_of(x.value(), square.value(), &eps, axes()) {
            // A block that is divided by a number has the same result if `eps` is divided by the square.
            x = centred(&(context.input(0) / &unit));
            square = variance(&x, &(eps / &unit / &unit));
            units = Some(unit);
        }
        let scale = square.rsqrt();
        let normal = x * &scale;
        let of_weight = chained(&normal, g);
        let of_bias = g;
        let g = if self.weight { g * context.input(1) } else { g.clone() };
        // To stretch or to shift a whole block does not change its result.
        let stretch = chained(&normal, &g).mean(axes());
        let rest = &g - chained(&normal, &stretch);
        let gradient = chained(&scale, &if self.centred { rest - g.mean(axes()) } else { rest });
        let of_x = units.map_or(gradient.clone(), |units| gradient / units);
        Some(self.by_input(of_x, of_weight, of_bias))
    }
}

/// For each block a number to divide it by first, if the `square` by whose root blocks are divided is out of range; 1
/// for a block whose square is in range.
fn units_of<T: Float>(x: &Tensor<T>, square: &Tensor<T>, eps: &Tensor<T>, axes: Axes) -> Option<Tensor<T>> {
    let in_range = |square: T| square.is_finite() && square >= T::MIN_POSITIVE / T::EPSILON;
    if x.is_empty() || square.iter().all(in_range) {
        return None;
    }
    let largest = x.abs().max(axes).maximum(eps.sqrt());
    let unit = |square, largest: T| if in_range(square) { T::ONE } else { largest.power_of_two() };
    Some(square.zip("norm", &largest, unit))
}

/// Checks `eps`, and that each operand has a number for each channel.
#[track_caller]
fn check_channels<T: Float>(operation: &str, x: &[usize], operands: &[(&str, Option<&Var<T>>)], eps: f64) {
    assert!(
        x.len() >= 2,
        "{operation}: the input has shape {x:?}; it must have at least two axes, [batch, channels, ...]"
    );
    for (name, operand) in operands.iter().filter_map(|(name, operand)| Some((name, (*operand)?))) {
        assert!(
            operand.shape() == [x[1]],
            "{operation}: the input has shape {x:?} and the {name} {:?}: the {name} must have shape [{}], the \
             input's channels",
            operand.shape(),
            x[1]
        );
    }
    assert!(eps >= 0.0, "{operation}: eps is {eps}; it must be 0 or larger");
}

/// A number for each channel, in a shape that broadcasts to `rank` axes, of which the channels are axis 1.
fn channels<T: Float>(operand: &Var<T>, rank: usize) -> Var<T> {
    operand.reshape([&[operand.len()][..], &vec![1; rank - 2]].concat())
}

/// Normalised channels, times their weight and plus their bias.
fn scale_channels<T: Float>(normal: Var<T>, weight: Option<&Var<T>>, bias: Option<&Var<T>>) -> Var<T> {
    let rank = normal.rank();
    let scaled = if let Some(weight) = weight { normal * channels(weight, rank) } else { normal };
    if let Some(bias) = bias { scaled + channels(bias, rank) } else { scaled }
}

impl<T: Float> Var<T> {
    /// Channels, along axis 1, each normalised over all other axes: less the mean, divided by the square root of the
    /// variance plus `eps`; then times the channel's weight, plus its bias (Ioffe and Szegedy, "Batch normalization",
    /// 2015).
    ///
    /// When `training`, the mean and the (biased) variance come from this variable. If `running`, a mean and a variance
    /// for each channel, is given, the second result is what it becomes: `(1 - momentum) * running + momentum *
    /// batch`, with the unbiased variance. No gradient flows to it. A batch without elements leaves it as it is.
    ///
    /// When not, they are those given, and the second result is the same again.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0], [3.0]]));
    /// let running = [&Var::constant([0.0]), &Var::constant([4.0])];
    /// let (y, updated) = x.batch_norm(Some(running), None, None, true, 0.5, 0.0);
    /// assert_eq!(y.value(), &Tensor::from([[-1.0], [1.0]]));
    /// let [mean, variance] = updated.unwrap(); // of 0 and 2, of 4 and 2
    /// assert_eq!((mean.item(), variance.item()), (1.0, 3.0));
    /// let (y, _) = x.batch_norm(Some(running), None, None, false, 0.5, 0.0);
    /// assert_eq!(y.value(), &Tensor::from([[0.5], [1.5]]));
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes, another operand has not the shape `[channels]`, there is but one element for
    /// each channel when `training`, `running` is missing when not, `momentum` is not between 0 and 1, or `eps` is
    /// negative.
    #[track_caller]
    #[inline(never)]
    pub fn batch_norm(
        &self,
        running: Option<[&Self; 2]>,
        weight: Option<&Self>,
        bias: Option<&Self>,
        training: bool,
        momentum: f64,
        eps: f64,
    ) -> (Self, Option<[Self; 2]>) {
        let shape = self.shape();
        let operands = [
            ("running mean", running.map(|[mean, _]| mean)),
            ("running variance", running.map(|[_, variance]| variance)),
            ("weight", weight),
            ("bias", bias),
        ];
        check_channels("batch_norm", shape, &operands, eps);
        assert!(
            (0.0..=1.0).contains(&momentum),
            "batch_norm: momentum is {momentum}; it must be between 0 and 1"
        );
        let rank = self.rank();
        let (normal, running) = if training {
            let count = shape[0] * shape[2..].iter().product::<usize>();
            assert!(
                count > 1 || self.is_empty(),
                "batch_norm: the input has shape {shape:?}: training needs more than one element for each channel"
            );
            let updated = running.map(|[mean, variance]| {
                if count == 0 {
                    // Nothing has no statistics, and NaN would stay for ever.
                    return [mean.clone(), variance.clone()];
                }
                let others: Shape = (0..rank).filter(|&axis| axis != 1).collect();
                let [kept, new] = [1.0 - momentum, momentum].map(T::from_f64);
                let x = self.detach();
                let batch = [x.mean(others.clone()), x.var(others, 1)];
                let [batch_mean, batch_variance] = batch.map(|statistic| statistic.multiply_no_nan(new));
                [mean.multiply_no_nan(kept) + batch_mean, variance.multiply_no_nan(kept) + batch_variance]
            });
            // Each channel is a row of a matrix.
            let turned = self.transpose(0, 1);
            let rows = turned.reshape([shape[1], count]).layer_norm([count], None, None, eps);
            (rows.reshape(turned.shape()).transpose(0, 1), updated)
        } else {
            let Some([mean, variance]) = running else {
                panic!("batch_norm: there are no running statistics; without `training` they are needed")
            };
            let scale = (variance + T::from_f64(eps)).rsqrt();
            (
                (self - channels(mean, rank)) * channels(&scale, rank),
                running.map(|statistics| statistics.map(Self::clone)),
            )
        };
        (scale_channels(normal, weight, bias), running)
    }

    /// Channels, along axis 1, in `num_groups` groups that follow each other, each group of each row (axis 0)
    /// normalised as a block; then times the channel's weight, plus its bias (Wu and He, "Group normalization",
    /// 2018).
    ///
    /// # Panics
    /// If there are fewer than two axes, the number of channels is no multiple of `num_groups`, weight or bias have
    /// not the shape `[channels]`, or `eps` is negative.
    #[track_caller]
    pub fn group_norm(
        &self,
        num_groups: usize,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        self.normalize_groups("group_norm", num_groups, weight, bias, eps)
    }

    /// Each channel, along axis 1, of each row (axis 0) normalised over the axes behind them; then times the
    /// channel's weight, plus its bias (Ulyanov et al., "Instance normalization", 2016).
    ///
    /// # Panics
    /// If there are fewer than three axes, weight or bias have not the shape `[channels]`, or `eps` is negative.
    #[track_caller]
    pub fn instance_norm(&self, weight: Option<&Self>, bias: Option<&Self>, eps: f64) -> Self {
        let shape = self.shape();
        assert!(
            shape.len() >= 3,
            "instance_norm: the input has shape {shape:?}; it must have at least three axes, [batch, channels, ...]"
        );
        self.normalize_groups("instance_norm", shape[1].max(1), weight, bias, eps)
    }

    #[track_caller]
    fn normalize_groups(
        &self,
        operation: &'static str,
        num_groups: usize,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        let shape = self.shape();
        check_channels(operation, shape, &[("weight", weight), ("bias", bias)], eps);
        assert!(
            num_groups > 0 && shape[1].is_multiple_of(num_groups),
            "{operation}: the input has shape {shape:?} and num_groups is {num_groups}: it must divide the number of \
             channels, {}",
            shape[1]
        );
        let size = shape[1] / num_groups * shape[2..].iter().product::<usize>();
        let groups = self.reshape([shape[0], num_groups, size]);
        let normal = groups.layer_norm([size], None, None, eps).reshape(shape);
        scale_channels(normal, weight, bias)
    }

    /// Every block of the last axes, of which `normalized_shape` is the shape, divided by the square root of the mean
    /// of its squares plus `eps`; then times the weight, of that shape (Zhang and Sennrich, "Root mean square layer
    /// normalization", 2019).
    ///
    /// # Panics
    /// If `normalized_shape` is empty or not the end of this variable's shape, if the weight has another, or if `eps`
    /// is negative.
    #[track_caller]
    pub fn rms_norm(&self, normalized_shape: impl AsRef<[usize]>, weight: Option<&Self>, eps: f64) -> Self {
        let normalized_shape = Shape::from_slice(normalized_shape.as_ref());
        let inputs: Vec<&Self> = [Some(self), weight].into_iter().flatten().collect();
        apply(Normalize { centred: false, normalized_shape, weight: weight.is_some(), eps }, &inputs)
    }

    /// Every block of the last axes, of which `normalized_shape` is the shape, less its mean and divided by the
    /// square root of its (biased) variance plus `eps`; then times the weight, plus the bias, each of that shape
    /// (Ba et al., "Layer normalization", 2016).
    ///
    /// See [`Tensor::layer_norm`](gradus_tensor::Tensor::layer_norm) for shapes and panics.
    #[track_caller]
    pub fn layer_norm(
        &self,
        normalized_shape: impl AsRef<[usize]>,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        let normalized_shape = Shape::from_slice(normalized_shape.as_ref());
        let inputs: Vec<&Self> = [Some(self), weight, bias].into_iter().flatten().collect();
        apply(Normalize { centred: true, normalized_shape, weight: weight.is_some(), eps }, &inputs)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    use proptest::prelude::*;
    // A channel of one element is not normalised in training, and one of two has no room to move.
    let images = || {
        (2..=3_usize, 1..=3_usize, shapes(0..=2, 1..=3))
            .prop_map(|(n, c, rest)| [&[n, c][..], &rest].concat())
    };
    let switches = || (any::<[bool; 2]>(), 0.01..1.0);
    vec![
        case!(
            "layer_norm",
            (front, last, weight, bias, eps) in
                (shapes(0..=2, 0..=3), shapes(1..=2, 0..=4), any::<bool>(), any::<bool>(), 0.01..1.0),
            [[&front[..], &last].concat(), last.clone(), last],
            |x, w, b| x.layer_norm(&last, weight.then_some(w), bias.then_some(b), eps)
        ),
        case!(
            "rms_norm",
            (front, last, weight, eps) in (shapes(0..=2, 0..=3), shapes(1..=2, 0..=4), any::<bool>(), 0.01..1.0),
            [[&front[..], &last].concat(), last],
            |x, w| x.rms_norm(&last, weight.then_some(w), eps)
        ),
        case!(
            "batch_norm",
            (shape, ([weight, bias], eps), training) in (images(), switches(), any::<bool>()),
            [shape.clone(), [shape[1]], [shape[1]]],
            |x, w, b| {
                let running = Var::constant(Tensor::ones([shape[1]]));
                x.batch_norm(Some([&running, &running]), weight.then_some(w), bias.then_some(b), training, 0.1, eps).0
            }
        ),
        case!(
            "group_norm",
            (groups, size, rest, ([weight, bias], eps)) in
                (1..=3_usize, 1..=2_usize, shapes(0..=2, 0..=3), switches()),
            [
                [&[2, groups * size][..], &rest].concat(),
                [groups * size],
                [groups * size],
            ],
            |x, w, b| x.group_norm(groups, weight.then_some(w), bias.then_some(b), eps)
        ),
        case!(
            "instance_norm",
            (shape, ([weight, bias], eps)) in (shapes(3..=4, 0..=3), switches()),
            [shape.clone(), [shape[1]], [shape[1]]],
            |x, w, b| x.instance_norm(weight.then_some(w), bias.then_some(b), eps)
        ),
    ]
}

//! Functions of whole lanes: what normalises or classifies.
//!
//! Each reads its lanes one after the other, several times while they are near, so that nothing of the size of
//! the tensor is made but the result.

use crate::dims::{Shape, resolve_axis};
use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::pairwise_sum;
use crate::tensor::Tensor;

/// The order of axes with `axis` last.
fn axis_last(axis: usize, rank: usize) -> Shape {
    (0..rank).filter(|&i| i != axis).chain([axis]).collect()
}

/// Writes e^(x - shift) for every x, where the shift is the largest (so that no power overflows), and gives the
/// shift and the sum of the powers.
fn exp_shifted<T: Float>(row: &[T], powers: &mut [T]) -> (T, T) {
    let largest = row.iter().fold(-T::INFINITY, |largest, &x| if x > largest { x } else { largest });
    for (power, &x) in powers.iter_mut().zip(row) {
        *power = (x - largest).exp();
    }
    (largest, pairwise_sum(powers))
}

impl<T: Float> Tensor<T> {
    /// `write` on each lane along an axis and on the place of its results; the axis moves to the end for it.
    fn map_lanes(&self, axis: usize, mut write: impl FnMut(usize, &[T], &mut [T])) -> Self {
        let order = axis_last(axis, self.rank());
        let lanes = self.with_layout(self.layout().permute(&order)).contiguous();
        let mut out = vec![T::ZERO; self.len()];
        if !out.is_empty() {
            let (data, lane) = (lanes.as_slice().expect("made contiguous"), self.shape()[axis]);
            for (i, (row, out)) in data.chunks_exact(lane).zip(out.chunks_exact_mut(lane)).enumerate() {
                write(i, row, out);
            }
        }
        let out = Self::from_slice(&out, lanes.shape());
        let mut back = Shape::from_elem(0, order.len());
        for (place, &axis) in order.iter().enumerate() {
            back[axis] = place;
        }
        out.with_layout(out.layout().permute(&back))
    }

    /// e^x / sum(e^x) along an axis: positive numbers that add up to 1.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1000.0, 1000.0]).softmax(0), Tensor::from([0.5, 0.5]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Self {
        let axis = resolve_axis("softmax", axis, self.shape()).or_panic();
        self.map_lanes(axis, |_, row, out| {
            let (_, sum) = exp_shifted(row, out);
            for y in out {
                *y /= sum;
            }
        })
    }

    /// The mean of -log(softmax) at the places that `targets`, of this shape without the axis, names along the
    /// axis; NaN over nothing.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let logits = Tensor::from([[0.0_f64, 0.0], [0.0, 1e9]]);
    /// assert_eq!(logits.cross_entropy(1, &Tensor::from([0, 1])).item(), 2.0_f64.ln() / 2.0);
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, the shapes do not fit, or a target is no index along the axis.
    #[track_caller]
    pub fn cross_entropy(&self, axis: isize, targets: &Tensor<i64>) -> Self {
        let axis = resolve_axis("cross_entropy", axis, self.shape()).or_panic();
        let targets = self.checked_targets(axis, targets);
        let classes = self.shape()[axis];
        let lanes = self.with_layout(self.layout().permute(&axis_last(axis, self.rank()))).contiguous();
        let data = lanes.as_slice().expect("made contiguous");
        let mut powers = vec![T::ZERO; classes];
        let mut losses = Vec::with_capacity(targets.len());
        for (row, &target) in data.chunks_exact(classes.max(1)).zip(&targets) {
            let (largest, sum) = exp_shifted(row, &mut powers);
            // Two differences of near numbers, where log(sum(e^x)) - x would lose the digits of a small loss.
            losses.push(sum.log() - (row[target] - largest));
        }
        Self::scalar(pairwise_sum(&losses) / T::from_f64(losses.len() as f64))
    }

    /// `scale * (softmax(self) - one_hot(targets))`: for each lane along the axis the softmax, less 1 at its
    /// target; see [`cross_entropy`](Self::cross_entropy).
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[0.0, 0.0], [5.0, 5.0]]);
    /// let difference = x.softmax_minus_one_hot(1, &Tensor::from([0, 1]), 2.0);
    /// assert_eq!(difference, Tensor::from([[-1.0, 1.0], [1.0, -1.0]]));
    /// ```
    ///
    /// # Panics
    /// Like [`cross_entropy`](Self::cross_entropy).
    #[track_caller]
    pub fn softmax_minus_one_hot(&self, axis: isize, targets: &Tensor<i64>, scale: T) -> Self {
        let axis = resolve_axis("softmax_minus_one_hot", axis, self.shape()).or_panic();
        let targets = self.checked_targets(axis, targets);
        self.map_lanes(axis, |i, row, out| {
            let (_, sum) = exp_shifted(row, out);
            out[targets[i]] -= sum;
            let factor = scale / sum;
            for y in out {
                *y *= factor;
            }
        })
    }

    /// The targets of [`cross_entropy`](Self::cross_entropy) as indices.
    #[track_caller]
    fn checked_targets(&self, axis: usize, targets: &Tensor<i64>) -> Vec<usize> {
        let shape = self.shape();
        let mut expected = Shape::from_slice(shape);
        let classes = expected.remove(axis);
        assert!(
            targets.shape() == &expected[..],
            "cross_entropy: the logits have shape {shape:?} and the targets {:?}: the targets must have shape \
             {expected:?}, without the axis of classes",
            targets.shape()
        );
        let mut indices = Vec::with_capacity(targets.len());
        for target in targets {
            assert!(
                (0..classes as i64).contains(&target),
                "cross_entropy: target {target} is out of range for logits of shape {shape:?}: with {classes} \
                 classes, allowed are 0 to {}",
                classes as i64 - 1
            );
            indices.push(target as usize);
        }
        indices
    }

    /// Every block of the last axes, of which `normalized_shape` is the shape, less its mean and divided by the
    /// square root of its (biased) variance plus `eps`; then times the weight, plus the bias, each of that shape
    /// (Ba et al., "Layer normalization", 2016).
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1.0, 3.0], [-8.0, 8.0]]);
    /// let (weight, bias) = (Tensor::from([1.0, 10.0]), Tensor::from([0.0, 5.0]));
    /// let y = x.layer_norm([2], Some(&weight), Some(&bias), 0.0);
    /// assert_eq!(y, Tensor::from([[-1.0, 15.0], [-1.0, 15.0]]));
    /// ```
    ///
    /// # Panics
    /// If `normalized_shape` is empty or not the end of this tensor's shape, or if weight or bias have another.
    #[track_caller]
    pub fn layer_norm(
        &self,
        normalized_shape: impl AsRef<[usize]>,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        let normalized = normalized_shape.as_ref();
        let mismatch = |left: &[usize], expected| TensorError::Mismatch {
            operation: "layer_norm",
            left: left.into(),
            right: normalized.into(),
            expected,
        };
        if normalized.is_empty() || !self.shape().ends_with(normalized) {
            let expected =
                "the second, the normalized shape, must be the last axes of the first, at least one";
            mismatch(self.shape(), expected).panic();
        }
        for operand in [weight, bias].into_iter().flatten() {
            if operand.shape() != normalized {
                mismatch(operand.shape(), "weight and bias must have the normalized shape").panic();
            }
        }
        let [weight, bias] = [weight, bias].map(|operand| operand.map(Self::contiguous));
        let [weight, bias] = [&weight, &bias].map(|operand| operand.as_ref().and_then(Self::as_slice));
        let mut out = self.to_vec();
        let size: usize = normalized.iter().product();
        let (count, eps) = (T::from_f64(size as f64), T::from_f64(eps));
        let mut squares = vec![T::ZERO; size];
        for row in out.chunks_exact_mut(size.max(1)) {
            let mean = pairwise_sum(row) / count;
            for (x, square) in row.iter_mut().zip(&mut squares) {
                *x -= mean;
                *square = *x * *x;
            }
            let scale = (pairwise_sum(&squares) / count + eps).rsqrt();
            match weight {
                Some(weight) => row.iter_mut().zip(weight).for_each(|(x, &weight)| *x = *x * scale * weight),
                None => row.iter_mut().for_each(|x| *x *= scale),
            }
            if let Some(bias) = bias {
                row.iter_mut().zip(bias).for_each(|(x, &bias)| *x += bias);
            }
        }
        Self::from_slice(&out, self.shape())
    }
}

//! Normalisation over the last axes.

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Normalisation over the last axes, and its gradients.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1.0, 3.0], [-8.0, 8.0]]);
/// let (weight, bias) = (Tensor::from([1.0, 10.0]), Tensor::from([0.0, 5.0]));
/// let y = x.layer_norm([2], Some(&weight), Some(&bias), 0.0);
/// assert_eq!(y, Tensor::from([[-1.0, 15.0], [-1.0, 15.0]]));
/// let y = Tensor::from([[2.0, -2.0]]).rms_norm([2], Some(&weight), 0.0);
/// assert_eq!(y, Tensor::from([[1.0, -10.0]])); // the mean of the squares is 4
/// let [of_x, of_weight] = Tensor::from([[2.0]]).rms_norm_gradient([1], None, 0.0, &Tensor::from([[5.0]]));
/// assert_eq!((of_x.item(), of_weight.item()), (0.0, 5.0)); // any positive number becomes 1
/// ```
///
/// # Panics
/// Every method panics if `normalized_shape` is empty or not the end of the tensor's shape, if weight, bias or gradient have
/// another shape than they must have, or if `eps` is negative.
impl<T: Float> Tensor<T> {
    /// Layer normalization (Ba et al., 2016): `(x - mean) / sqrt(variance + eps) * weight + bias`, with the mean and
    /// the biased variance over the last axes. Weight and bias have the shape of these axes, `normalized_shape`.
    #[track_caller]
    pub fn layer_norm(
        &self,
        normalized_shape: impl AsRef<[usize]>,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        self.normalize::<true>("layer_norm", normalized_shape.as_ref(), weight, bias, eps)
    }

    /// Root mean square layer normalization (Zhang and Sennrich, 2019): `x / sqrt(mean of x^2 + eps) * weight`, with the
    /// mean over the last axes. The weight has the shape of these axes, `normalized_shape`.
    #[track_caller]
    pub fn rms_norm(&self, normalized_shape: impl AsRef<[usize]>, weight: Option<&Self>, eps: f64) -> Self {
        self.normalize::<false>("rms_norm", normalized_shape.as_ref(), weight, None, eps)
    }

    /// The gradients of [`layer_norm`](Self::layer_norm) with respect to this tensor and to the weight (whether there
    /// is one or not), from the gradient of its result, in one pass.
    #[track_caller]
    pub fn layer_norm_gradient(
        &self,
        normalized_shape: impl AsRef<[usize]>,
        weight: Option<&Self>,
        eps: f64,
        gradient: &Self,
    ) -> [Self; 2] {
        self.normalize_gradient::<true>("layer_norm", normalized_shape.as_ref(), weight, eps, gradient)
    }

    /// The gradients of [`rms_norm`](Self::rms_norm) with respect to this tensor and to the weight (whether there is
    /// one or not), from the gradient of its result, in one pass.
    #[track_caller]
    pub fn rms_norm_gradient(
        &self,
        normalized_shape: impl AsRef<[usize]>,
        weight: Option<&Self>,
        eps: f64,
        gradient: &Self,
    ) -> [Self; 2] {
        self.normalize_gradient::<false>("rms_norm", normalized_shape.as_ref(), weight, eps, gradient)
    }

    #[track_caller]
    fn normalize<const CENTRED: bool>(
        &self,
        operation: &'static str,
        normalized: &[usize],
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        let [of_weight, of_bias] = [weight, bias].map(|operand| operand.map(Self::shape));
        normalized_shape(operation, self.shape(), normalized, of_weight, of_bias, eps).or_panic();
        let [weight, bias] = [weight, bias].map(|operand| operand.map(Self::contiguous));
        let [weight, bias] = [&weight, &bias].map(|operand| operand.as_ref().and_then(Self::as_slice));
        let x = self.contiguous();
        let (data, size) = (x.data(), normalized.iter().product());
        Self::from_buffer(T::normalize_rows(data, size, weight, bias, eps, CENTRED), self.shape())
    }

    #[track_caller]
    fn normalize_gradient<const CENTRED: bool>(
        &self,
        operation: &'static str,
        normalized: &[usize],
        weight: Option<&Self>,
        eps: f64,
        gradient: &Self,
    ) -> [Self; 2] {
        let of_weight = weight.map(Self::shape);
        normalized_shape(operation, self.shape(), normalized, of_weight, None, eps).or_panic();
        assert!(
            gradient.shape() == self.shape(),
            "{operation}_gradient: the gradient has shape {:?} and the tensor {:?}: they must be equal",
            gradient.shape(),
            self.shape()
        );
        if self.is_empty() {
            return [Self::zeros(self.shape()), Self::zeros(normalized)];
        }
        let weight = weight.map(Self::contiguous);
        let weight = weight.as_ref().and_then(Self::as_slice);
        let (x, g) = (self.contiguous(), gradient.contiguous());
        let [x, g] = [&x, &g].map(Tensor::data);
        let size = normalized.iter().product();
        let (of_x, of_weight, pieces) = T::normalize_rows_gradient(x, g, size, weight, eps, CENTRED);
        let of_weight = Self::from_buffer(of_weight, &[pieces, size]).sum(0).reshape(normalized);
        [Self::from_buffer(of_x, self.shape()), of_weight]
    }
}

/// The shape of [`Tensor::layer_norm`] and [`Tensor::rms_norm`], by the name of either.
#[doc(hidden)]
pub fn normalized_shape(
    operation: &'static str,
    shape: &[usize],
    normalized: &[usize],
    weight: Option<&[usize]>,
    bias: Option<&[usize]>,
    eps: f64,
) -> Result<Shape, TensorError> {
    let mismatch = |left, expected| Err(TensorError::mismatch(operation, left, normalized, expected));
    if normalized.is_empty() || !shape.ends_with(normalized) {
        return mismatch(
            shape,
            "the second, the normalized shape, must be the last axes of the first, at least one",
        );
    }
    if let Some(wrong) = [weight, bias].into_iter().flatten().find(|operand| *operand != normalized) {
        return mismatch(wrong, "weight and bias must have the normalized shape");
    }
    if eps.is_nan() || eps < 0.0 {
        return Err(TensorError::invalid(operation, format!("eps is {eps}; it must be 0 or larger")));
    }
    Ok(shape.into())
}

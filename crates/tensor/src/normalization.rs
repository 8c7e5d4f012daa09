//! Normalisation over the last axes.

use crate::element::Float;
use crate::error::TensorError;
use crate::kernels;
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
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
        let x = self.contiguous();
        let (data, size) = (x.as_slice().expect("made contiguous"), normalized.iter().product());
        Self::from_buffer(kernels::layer_norm_rows(data, size, weight, bias, eps), self.shape())
    }
}

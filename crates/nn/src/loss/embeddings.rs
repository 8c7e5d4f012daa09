//! Losses of vectors, which should be near each other or far apart.

use gradus_autograd::{AsVar, Float, Mask, Var};

use super::{Reduction, loss};
use crate::inside;

loss! {
    /// `max(d(x, positive) - d(x, negative) + margin, 0)` for rows, where `d` is the Euclidean distance along the last axis
    /// (Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional neural networks", 2016).
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::TripletMarginLoss;
    ///
    /// let x = Var::leaf(Tensor::from([[0.0_f64, 0.0]]));
    /// let loss = TripletMarginLoss::new().margin(2.0).forward(&x, [[3.0, 4.0]], [[0.0, 6.0]]);
    /// assert!((loss.item() - 1.0).abs() < 1e-5); // 5 - 6 + 2
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq)]
    TripletMarginLoss {
        /// How much farther the negative row should be.
        margin: f64 = 1.0,
        /// Added to each difference, as in PyTorch.
        eps: f64 = 1e-6,
    }
}

impl TripletMarginLoss {
    /// Sets how much farther the negative row should be.
    #[must_use]
    pub fn margin(self, margin: f64) -> Self {
        Self { margin, ..self }
    }

    /// The loss of vectors along the last axis, three variables or tensors of the same shape.
    ///
    /// # Panics
    /// If the shapes differ, or have no axis.
    #[track_caller]
    pub fn forward<T: Float>(
        &self,
        anchor: &Var<T>,
        positive: impl AsVar<T>,
        negative: impl AsVar<T>,
    ) -> Var<T> {
        let _scope = inside::open_named("triplet_margin_loss");
        let (positive, negative) = (positive.as_var(), negative.as_var());
        check_rows("triplet_margin_loss", anchor, &positive, "anchor", "positive");
        check_rows("triplet_margin_loss", anchor, &negative, "anchor", "negative");
        let distance = |other: &Var<T>| (anchor - other + T::from_f64(self.eps)).norm(2.0, -1);
        let (near, far) = (distance(&positive), distance(&negative));
        of_rows(self.reduction, (near - far + T::from_f64(self.margin)).relu())
    }
}

loss! {
    /// `1 - cos(x, y)` for rows that are alike, and `max(cos(x, y) - margin, 0)` for rows that are not, along the last axis.
    ///
    /// PyTorch's targets 1 and -1 are true and false: `targets.gt(0)`.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::{CosineEmbeddingLoss, Reduction};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, 0.0], [1.0, 0.0]]));
    /// let y = Tensor::from([[0.0, 2.0], [3.0, 0.0]]);
    /// let loss = CosineEmbeddingLoss::new().margin(0.25).reduction(Reduction::None);
    /// let alike = Tensor::from([true, false]);
    /// assert_eq!(loss.forward(&x, &y, &alike).value(), &Tensor::from([1.0, 0.75]));
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq)]
    CosineEmbeddingLoss {
        /// The cosine that rows which are not alike may have.
        margin: f64 = 0.0,
    }
}

impl CosineEmbeddingLoss {
    /// Sets the cosine that rows which are not alike may have.
    #[must_use]
    pub fn margin(self, margin: f64) -> Self {
        Self { margin, ..self }
    }

    /// The loss of vectors along the last axis, two variables or tensors of the same shape; `alike` has the shape without
    /// this axis.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward<T: Float>(
        &self,
        prediction: &Var<T>,
        other: impl AsVar<T>,
        alike: impl Into<Mask<T>>,
    ) -> Var<T> {
        let _scope = inside::open_named("cosine_embedding_loss");
        let (other, alike) = (other.as_var(), alike.into());
        check_rows("cosine_embedding_loss", prediction, &other, "prediction", "other");
        let rows = &prediction.shape()[..prediction.rank() - 1];
        assert!(
            alike.shape() == rows,
            "cosine_embedding_loss: `alike` has shape {:?}, and the rows {rows:?}: they must be equal",
            alike.shape()
        );
        let cosine = prediction.cosine_similarity(&*other, -1, 1e-8);
        let apart = (&cosine - T::from_f64(self.margin)).relu();
        of_rows(self.reduction, Var::where_(alike, Var::from(T::ONE) - cosine, apart))
    }
}

fn of_rows<T: Float>(reduction: Reduction, losses: Var<T>) -> Var<T> {
    let shape = losses.shape().to_vec();
    reduction.reduce(losses, &shape, None)
}

#[track_caller]
fn check_rows<T: Float>(loss: &str, x: &Var<T>, y: &Var<T>, x_name: &str, y_name: &str) {
    let (shape, other) = (x.shape(), y.shape());
    assert!(
        shape == other && !shape.is_empty(),
        "{loss}: `{x_name}` has shape {shape:?} and `{y_name}` {other:?}: they must be equal, [..., features]"
    );
}

#[cfg(feature = "proptest")]
pub(super) fn cases() -> Vec<gradus_autograd::testing::Case> {
    use gradus_autograd::Tensor;
    use gradus_autograd::testing::{case, shapes};
    use proptest::prelude::*;

    let rows = || (shapes(1..=3, 1..=4), super::reductions());
    vec![
        case!(
            "triplet_margin_loss", ((shape, reduction), margin) in (rows(), 3.0..9.0),
            [shape.clone() => 0.0..1.0, shape.clone() => 2.0..3.0, shape => 4.0..5.0],
            |x, y, z| TripletMarginLoss::new().margin(margin).reduction(reduction).forward(x, y, z)
        ),
        case!(
            "cosine_embedding_loss", ((shape, reduction), alike) in (rows(), any::<bool>()),
            [shape.clone() => 0.3..2.0, shape => 0.3..2.0],
            |x, y| {
                let alike = Tensor::full(&x.shape()[..x.rank() - 1], alike);
                CosineEmbeddingLoss::new().margin(-1.5).reduction(reduction).forward(x, y, alike)
            }
        ),
    ]
}

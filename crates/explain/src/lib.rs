//! Why a model decides as it does: attributions to the numbers of an input, linear models that stand in for a network, and the
//! importance of features.
//!
//! A *model* is any function `Fn(&Var<T>) -> Var<T>` of a batch `[batch, ...]` that gives `[batch, classes]`, in which rows do
//! not influence each other: set layers to evaluation. What is explained is the output for one class of each row, its
//! [`Target`]; outputs before `softmax` say more than probabilities, which all classes share.
//!
//! | question | methods |
//! | --- | --- |
//! | What would a small change of the input do? | [`saliency`], [`SmoothGrad`], [`guided_backprop`] |
//! | Which share of the output is due to each number, against a baseline? | [`IntegratedGradients`], [`DeepLift`], [`input_x_gradient`] |
//! | ... to each group of numbers? | [`ShapleyValues`], [`KernelShap`], [`FeatureAblation`], [`Occlusion`] |
//! | Where in the image does a convolution see the class? | [`GradCam`] |
//! | Which simple model does the same nearby? | [`Lime`] |
//! | What does the model need, on a whole data set? | [`PermutationImportance`], [`PartialDependence`] |
//!
//! Results are numbers; [`HeatMaps`], [`Bars`] and [`Words`] show them.
//!
//! ```
//! use gradus_autograd::{Tensor, seeded};
//! use gradus_explain::{DeepLift, IntegratedGradients, Target};
//! use gradus_nn::{Linear, Relu, Sequential};
//!
//! let rng = &mut seeded(0);
//! let network = Sequential::new().push(Linear::new(4, 8, rng)).push(Relu).push(Linear::new(8, 3, rng));
//! let model = |x: &gradus_autograd::Var| network.forward(x);
//! let x = Tensor::randn([2, 4], rng);
//! let integrated = IntegratedGradients::new().steps(100).explain(model, &x, Target::Predicted)?;
//! let lifted = DeepLift::new().explain(model, &x, Target::Predicted)?;
//! // Both add up to f(x) - f(0): the one nearly, the other exactly.
//! assert!(integrated.delta.abs().max(..).item() < 0.02);
//! assert!(lifted.delta.abs().max(..).item() < 1e-6);
//! # Ok::<(), gradus_explain::ExplainError>(())
//! ```

#![forbid(unsafe_code)]

mod ablation;
mod coalitions;
mod deep_lift;
mod dependence;
mod error;
mod features;
mod grad_cam;
mod gradient;
mod importance;
mod input;
mod integrated;
mod kernel_shap;
mod lime;
mod occlusion;
mod passes;
mod picture;
mod quadrature;
mod shapley;
mod smooth;
mod surrogate;
mod target;

pub use ablation::FeatureAblation;
pub use coalitions::GroupAttribution;
pub use deep_lift::DeepLift;
pub use dependence::{Dependence, PartialDependence};
pub use error::ExplainError;
pub use features::Features;
pub use grad_cam::{GradCam, Interpolation, resize};
pub use gradient::{OneGradient, gradient, guided_backprop, input_x_gradient, saliency};
pub use importance::{Importance, PermutationImportance};
pub use integrated::{Attribution, IntegratedGradients};
pub use kernel_shap::KernelShap;
pub use lime::{Lime, Surrogate};
pub use occlusion::Occlusion;
pub use picture::{Bars, HeatMaps, Panel, Words};
pub use quadrature::Quadrature;
pub use shapley::ShapleyValues;
pub use smooth::{SmoothGrad, Smoothing};
pub use surrogate::Penalty;
pub use target::Target;

//! Adam and `AdamW`.

use std::collections::HashMap;

use gradus_autograd::{Float, Gradients, Identity, Tensor};

use super::Optimizer;
use crate::module::{Module, Path};

/// What is remembered of a parameter's gradients.
#[derive(Debug, Clone)]
struct Moments<T: Float> {
    steps: i32,
    first: Tensor<T>,
    second: Tensor<T>,
    /// With `amsgrad`, the largest second moment so far.
    largest: Option<Tensor<T>>,
}

/// Declares an optimizer; the two differ in the weight decay.
macro_rules! adam {
    ($(#[$doc:meta])* $name:ident, $decoupled:literal, $default_decay:literal, decay example $decay_step:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<T: Float = f32> {
            /// The size of a step, also called `lr`.
            pub learning_rate: f64,
            /// How much of the last step's moments is kept, of the first and of the second one.
            pub betas: [f64; 2],
            /// What keeps the divisor from 0.
            pub eps: f64,
            /// The strength of the pull towards zero.
            pub weight_decay: f64,
            /// Whether the divisor is that of the largest second moment so far (Reddi et al., 2018).
            pub amsgrad: bool,
            /// By parameter.
            moments: HashMap<Identity<T>, Moments<T>>,
        }

        impl<T: Float> $name<T> {
            /// With PyTorch's settings: betas 0.9 and 0.999, eps 1e-8
            #[doc = concat!("and a weight decay of ", stringify!($default_decay), ".")]
            ///
            /// ```
            #[doc = concat!("use gradus_nn::{", stringify!($name), ", Optimizer, Parameter};")]
            ///
            /// let mut p = Parameter::new([0.0_f64]);
            /// let loss = &p * 4.0;
            #[doc = concat!(stringify!($name), "::new(0.5).step(&mut p, &loss.backward());")]
            /// assert!((p.item() + 0.5).abs() < 1e-8); // the first step has the size of the rate
            /// ```
            pub fn new(learning_rate: f64) -> Self {
                Self {
                    learning_rate,
                    betas: [0.9, 0.999],
                    eps: 1e-8,
                    weight_decay: $default_decay,
                    amsgrad: false,
                    moments: HashMap::new(),
                }
            }

            /// The same with other betas.
            ///
            /// ```
            #[doc = concat!("use gradus_nn::", stringify!($name), ";")]
            ///
            #[doc = concat!("let optimizer = ", stringify!($name), "::<f32>::new(1e-3).betas(0.9, 0.95);")]
            /// assert_eq!(optimizer.betas, [0.9, 0.95]);
            /// ```
            #[must_use]
            pub fn betas(self, first: f64, second: f64) -> Self {
                Self { betas: [first, second], ..self }
            }

            /// The same with another eps.
            ///
            /// ```
            #[doc = concat!("use gradus_nn::{", stringify!($name), ", Optimizer, Parameter};")]
            ///
            /// let mut p = Parameter::new([0.0_f64]);
            /// let loss = &p * 4.0;
            #[doc = concat!(stringify!($name), "::new(0.5).eps(4.0).step(&mut p, &loss.backward());")]
            /// assert!((p.item() + 0.25).abs() < 1e-12); // 0 - 0.5 * 4 / (4 + 4)
            /// ```
            #[must_use]
            pub fn eps(self, eps: f64) -> Self {
                Self { eps, ..self }
            }

            /// The same with another weight decay.
            ///
            /// ```
            #[doc = concat!("use gradus_nn::{", stringify!($name), ", Optimizer, Parameter};")]
            ///
            /// let mut p = Parameter::new([2.0_f64]);
            /// let loss = &p * 0.0; // the gradient is 0
            #[doc = concat!(stringify!($name), "::new(0.5).weight_decay(0.1).step(&mut p, &loss.backward());")]
            #[doc = concat!("assert!((p.item() - ", $decay_step)]
            /// ```
            #[must_use]
            pub fn weight_decay(self, weight_decay: f64) -> Self {
                Self { weight_decay, ..self }
            }

            /// The same with the largest second moment so far in the divisor.
            ///
            /// ```
            #[doc = concat!("use gradus_nn::{", stringify!($name), ", Optimizer, Parameter};")]
            ///
            /// let mut p = Parameter::new([0.0_f64]);
            #[doc = concat!("let mut optimizer = ", stringify!($name), "::new(0.5).betas(0.0, 0.0).amsgrad();")]
            /// for slope in [4.0, 1.0] {
            ///     let loss = &p * slope;
            ///     optimizer.weight_decay = 0.0;
            ///     optimizer.step(&mut p, &loss.backward());
            /// }
            /// assert!((p.item() + 0.625).abs() < 1e-8); // 0 - 0.5 * 4 / 4, then -0.5 * 1 / 4
            /// ```
            #[must_use]
            pub fn amsgrad(self) -> Self {
                Self { amsgrad: true, ..self }
            }
        }

        impl<T: Float> Optimizer<T> for $name<T> {
            fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>) {
                let settings = Settings {
                    learning_rate: self.learning_rate,
                    betas: self.betas,
                    eps: self.eps,
                    weight_decay: self.weight_decay,
                    decoupled: $decoupled,
                    amsgrad: self.amsgrad,
                };
                settings.step(&mut self.moments, model, gradients);
            }
        }
    };
}

adam! {
    /// Adam, gradient descent with steps scaled by running moments of the gradient (Kingma and Ba, "Adam: a method
    /// for stochastic optimization", 2015).
    ///
    /// With gradient g and parameter p, at step t: `g += weight_decay * p`; `m += (1 - beta1) * (g - m)`;
    /// `v = beta2 * v + (1 - beta2) * g^2`; both start at 0, which `m / (1 - beta1^t)` and `v / (1 - beta2^t)` make
    /// up for; of these, `p -= learning_rate * m / (sqrt(v) + eps)`.
    ///
    /// ```
    /// use gradus_nn::{Adam, Optimizer, Parameter};
    ///
    /// let mut p = Parameter::new([3.0_f64]);
    /// let mut adam = Adam::new(0.1);
    /// for _ in 0..200 {
    ///     let loss = (&p - 1.0).square().sum(..);
    ///     adam.step(&mut p, &loss.backward());
    /// }
    /// assert!((p.item() - 1.0).abs() < 1e-2);
    /// ```
    Adam, false, 0.0, decay example "1.5).abs() < 1e-6); // as any gradient, a step of the size of the rate"
}

adam! {
    /// [`Adam`](super::Adam) with a weight decay that is not a part of the gradient, and so is not scaled by its moments
    /// (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
    ///
    /// As there, but in place of the change of the gradient, first `p *= 1 - learning_rate * weight_decay`.
    ///
    /// ```
    /// use gradus_nn::{AdamW, Optimizer, Parameter};
    ///
    /// let mut p = Parameter::new([3.0_f64]);
    /// let mut adam = AdamW::new(0.1);
    /// for _ in 0..200 {
    ///     let loss = (&p - 1.0).square().sum(..);
    ///     adam.step(&mut p, &loss.backward());
    /// }
    /// assert!((p.item() - 1.0).abs() < 1e-2);
    /// ```
    AdamW, true, 0.01, decay example "1.9).abs() < 1e-12); // 2 - 0.5 * 0.1 * 2"
}

/// What both have in common.
struct Settings {
    learning_rate: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    decoupled: bool,
    amsgrad: bool,
}

impl Settings {
    fn step<T: Float>(
        &self,
        moments: &mut HashMap<Identity<T>, Moments<T>>,
        model: &mut dyn Module<T>,
        gradients: &Gradients<T>,
    ) {
        let (rate, decay, [beta1, beta2]) = (self.learning_rate, self.weight_decay, self.betas);
        let [pull, shrink] =
            if self.decoupled { [0.0, 1.0 - rate * decay] } else { [decay, 1.0] }.map(T::from_f64);
        let [fresh1, kept2, fresh2, eps] = [1.0 - beta1, beta2, 1.0 - beta2, self.eps].map(T::from_f64);
        model.visit_mut(Path::ROOT, &mut |_, parameter| {
            let Some((gradient, identity)) = gradients.get(parameter).zip(parameter.identity()) else {
                return;
            };
            let Moments { steps, first, second, largest } = moments.entry(identity).or_insert_with(|| {
                let zeros = || Tensor::zeros(gradient.shape());
                Moments { steps: 0, first: zeros(), second: zeros(), largest: None }
            });
            *steps += 1;
            let step = T::from_f64(rate / (1.0 - beta1.powi(*steps)));
            let correction = T::from_f64((1.0 - beta2.powi(*steps)).sqrt());
            let moved = move |[p, m, v]: [T; 3], g: T| {
                let g = if pull == T::ZERO { g } else { g + pull * p };
                [p * shrink, m + fresh1 * (g - m), kept2 * v + fresh2 * g * g]
            };
            let descended = move |p: T, m: T, v: T| p - step * (m / (v.sqrt() / correction + eps));
            parameter.update(|p| {
                if self.amsgrad {
                    let largest = largest.get_or_insert_with(|| Tensor::zeros(gradient.shape()));
                    Tensor::zip_inplace_many(
                        [p, first, second, largest],
                        gradient,
                        #[inline(always)]
                        move |[p, m, v, largest], g| {
                            let [p, m, v] = moved([p, m, v], g);
                            let largest = if largest >= v { largest } else { v }; // NaN stays
                            [descended(p, m, largest), m, v, largest]
                        },
                    );
                } else {
                    Tensor::zip_inplace_many(
                        [p, first, second],
                        gradient,
                        #[inline(always)]
                        move |[p, m, v], g| {
                            let [p, m, v] = moved([p, m, v], g);
                            [descended(p, m, v), m, v]
                        },
                    );
                }
            });
        });
    }
}

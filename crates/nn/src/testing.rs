//! Checks of the gradients of layers and models.
//!
//! ```
//! use gradus_autograd::{Tensor, seeded};
//! use gradus_nn::{Linear, Losses, Sequential, Tanh, testing::check_module};
//!
//! let rng = &mut seeded(0);
//! let model = Sequential::new().push(Linear::new(3, 4, rng)).push(Tanh).push(Linear::new(4, 2, rng));
//! let targets = Tensor::from([0, 1]);
//! let x = Tensor::rand([2, 3], rng);
//! check_module(&model, |model, [x]| model.forward(x).cross_entropy(&targets), [x])?;
//! # Ok::<(), gradus_autograd::testing::GradientError>(())
//! ```

use gradus_autograd::testing::{Case, GradientError, check_function};
use gradus_autograd::{Tensor, Var};

use crate::module::Module;
use crate::parameter::Parameter;

/// The test cases of the losses, named by their methods.
pub fn cases() -> Vec<Case> {
    crate::loss::cases()
}

/// Checks the gradients of a model at one point, with respect to its inputs and all parameters; see
/// [`check_gradients`](gradus_autograd::testing::check_gradients).
///
/// # Errors
/// The first law that does not hold. The report numbers the inputs first, then the parameters in the order of
/// [`Module::named_parameters`].
pub fn check_module<M: Module<f64> + Clone, const N: usize>(
    model: &M,
    forward: impl Fn(&M, [&Var<f64>; N]) -> Var<f64>,
    inputs: [Tensor<f64>; N],
) -> Result<(), GradientError> {
    let parameters = model.parameters().into_iter().map(|parameter| parameter.value().clone());
    let all: Vec<Tensor<f64>> = inputs.into_iter().chain(parameters).collect();
    let function = |vars: &[Var<f64>]| {
        let mut model = model.clone();
        let mut rest = vars[N..].iter();
        for parameter in model.parameters_mut() {
            *parameter = Parameter::bind(rest.next().expect("one for each parameter").clone());
        }
        forward(&model, std::array::from_fn(|i| &vars[i]))
    };
    check_function(&function, &all)
}

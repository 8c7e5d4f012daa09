//! Linear operations, each declared by its shape, its value and its transpose.

/// Declares operations that are linear in all inputs together (`Linear`) or in each of them (`Multilinear`), see
/// [`Linearity`](crate::Linearity): a struct with its attributes, the name on the tape, and three methods of
/// [`Operation`](crate::Operation), which read the attributes by name:
///
/// - `shape` of the result, for the shapes of the inputs;
/// - `forward`, for the inputs;
/// - `vjp`, the rule: for the context and the number of the input, the transposed operation applied to the cotangent.
///
/// Forward mode and the saved values follow from the linearity.
macro_rules! linear_operations {
    ($(
        $(#[$doc:meta])*
        $linearity:ident $struct:ident $attributes:tt: $name:expr,
            shape |$shapes:ident| $shape:expr,
            forward |$inputs:ident| $value:expr,
            vjp |$context:ident, $input:pat_param| $gradient:expr;
    )*) => {$(
        linear_operations! { @struct [$(#[$doc])*] $struct $attributes }

        #[allow(unused_variables, reason = "a method need not look at every attribute")]
        impl<T: gradus_tensor::Float> crate::tape::Operation<T> for $struct {
            fn name(&self) -> &'static str {
                linear_operations! { @bind self $attributes }
                $name
            }
            fn shape(
                &self,
                $shapes: &[&[usize]],
            ) -> Option<Result<gradus_tensor::Shape, gradus_tensor::TensorError>> {
                linear_operations! { @bind self $attributes }
                Some($shape)
            }
            fn forward(&self, $inputs: &crate::tape::Inputs<T>) -> gradus_tensor::Tensor<T> {
                linear_operations! { @bind self $attributes }
                $value
            }
            fn vjp(&self, $context: &crate::tape::Context<T>, $input: usize) -> Option<crate::tape::Var<T>> {
                linear_operations! { @bind self $attributes }
                Some($gradient)
            }
            fn linearity(&self) -> crate::tape::Linearity {
                crate::tape::Linearity::$linearity
            }
        }
    )*};
    (@struct [$(#[$doc:meta])*] $struct:ident {}) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $struct;
    };
    (@struct [$(#[$doc:meta])*] $struct:ident { $($attribute:ident: $type:ty),* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $struct { $($attribute: $type),* }
    };
    (@struct [$(#[$doc:meta])*] $struct:ident ($attribute:ident: $type:ty)) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $struct($type);
    };
    (@bind $self:ident {}) => {};
    (@bind $self:ident { $($attribute:ident: $type:ty),* }) => {
        let Self { $($attribute),* } = $self;
    };
    (@bind $self:ident ($attribute:ident: $type:ty)) => {
        let Self($attribute) = $self;
    };
}
pub(crate) use linear_operations;

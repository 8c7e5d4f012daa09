//! Operations as items: a shape, a value and a rule.

/// Declares operations, each an item with its [`Linearity`](crate::Linearity) (with `<T>`, if an attribute has the
/// type of the elements), a struct with attributes, the name on the tape, the values that it `saves`, unless they
/// follow from the linearity, and methods of [`Operation`](crate::Operation), which read the attributes by name:
///
/// - `shape` of the result, for the shapes of the inputs;
/// - `forward`, for the inputs;
/// - `vjp`, for the context and the number of the input: of a linear operation the transposed operation;
/// - `jvp`, where the derived one would be slow; of a linear operation it is the operation itself;
/// - or `vjps`, for the context, in place of both;
/// - `multiply_adds` of a product, for the shapes of the inputs and of the result;
/// - `batched`, for a [`Batch`](crate::Batch) of inputs; without it, `vmap` goes through the examples one by one.
/// - `into`, for the inputs and a prepared result, where a kernel can write there;
/// - `fusion`, the part that it can take in a fused pass;
/// - `expression` of an elementwise operation, after its number of arguments.
macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $linearity:ident $(<$element:ident>)? $struct:ident $attributes:tt: $name:expr, $(saves $saves:expr,)?
            shape |$shapes:ident| $shape:expr,
            forward |$inputs:ident| $value:expr,
            $rule:ident |$context:ident $(, $input:pat_param)?| $gradient:expr
            $(, jvp |$forward_context:ident, $forward_input:pat_param| $tangent:expr)?
            $(, multiply_adds |$sizes:ident, $size:pat_param| $products:expr)?
            $(, batched |$batch:ident| $results:expr)?
            $(, into |$prepared_inputs:ident, $prepared:ident| $fill:expr)?
            $(, fusion $fusion:expr)?
            $(, expression $count:literal |$arguments:ident| $text:expr)?;
    )*) => {$(
        operations! { @struct [$(#[$doc])*] $struct $(<$element>)? $attributes }

        #[allow(unused_variables, reason = "a method need not look at every attribute")]
        impl<T: gradus_tensor::Float> crate::tape::Operation<T> for $struct $(<$element>)? {
            fn name(&self) -> &'static str {
                operations! { @bind self $attributes }
                $name
            }
            fn shape(
                &self,
                $shapes: &[&[usize]],
            ) -> Option<Result<gradus_tensor::Shape, gradus_tensor::TensorError>> {
                operations! { @bind self $attributes }
                Some($shape)
            }
            fn forward(&self, $inputs: &crate::tape::Inputs<T>) -> gradus_tensor::Tensor<T> {
                operations! { @bind self $attributes }
                $value
            }
            $(fn saves(&self) -> crate::tape::Saves {
                operations! { @bind self $attributes }
                $saves
            })?
            operations! { @$rule |$context $(, $input)?| $gradient, $attributes }
            $(fn jvp(
                &self,
                $forward_context: &crate::tape::Context<T>,
                $forward_input: usize,
            ) -> Option<crate::tape::Var<T>> {
                operations! { @bind self $attributes }
                Some($tangent)
            })?
            $(fn multiply_adds(&self, $sizes: &[&[usize]], $size: &[usize]) -> u64 {
                operations! { @bind self $attributes }
                $products as u64
            })?
            $(fn batched(&self, $batch: &crate::tape::Batch<T>) -> Option<crate::tape::Var<T>> {
                operations! { @bind self $attributes }
                Some($results)
            })?
            $(fn writes_into(&self) -> bool {
                true
            }
            fn forward_into(
                &self,
                $prepared_inputs: &crate::tape::Inputs<T>,
                $prepared: &mut gradus_tensor::Tensor<T>,
            ) {
                operations! { @bind self $attributes }
                $fill;
            })?
            $(fn fusion(&self) -> Option<crate::tape::Fusion> {
                operations! { @bind self $attributes }
                Some($fusion)
            })?
            $(fn expression(&self) -> Option<crate::scalar::Expression> {
                operations! { @bind self $attributes }
                Some(crate::scalar::Expression::of($count, &|$arguments| $text))
            })?
            fn linearity(&self) -> crate::tape::Linearity {
                crate::tape::Linearity::$linearity
            }
        }
    )*};
    (@vjp |$context:ident, $input:pat_param| $gradient:expr, $attributes:tt) => {
        fn vjp(&self, $context: &crate::tape::Context<T>, $input: usize) -> Option<crate::tape::Var<T>> {
            operations! { @bind self $attributes }
            Some($gradient)
        }
    };
    (@vjps |$context:ident| $gradients:expr, $attributes:tt) => {
        fn vjps(&self, $context: &crate::tape::Context<T>) -> Option<crate::tape::InputGradients<T>> {
            operations! { @bind self $attributes }
            Some($gradients)
        }
    };
    (@struct [$(#[$doc:meta])*] $struct:ident {}) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $struct;
    };
    (@struct [$(#[$doc:meta])*] $struct:ident $(<$element:ident>)? { $($attribute:ident: $type:ty),* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $struct $(<$element: gradus_tensor::Float>)? { $($attribute: $type),* }
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
pub(crate) use operations;

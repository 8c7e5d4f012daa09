//! Comparisons, whose results are masks.

use gradus_tensor::shapes::broadcast_shapes;
use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::tape::{DiscreteOperation, Inputs, Mask, Var, decide};

/// Comparisons: a name, and its line of documentation.
macro_rules! comparisons {
    ($($kind:ident $name:ident $doc:literal;)*) => {
        #[derive(Debug, Clone, Copy)]
        enum Comparison {
            $($kind,)*
        }

        impl<T: Float> DiscreteOperation<T, bool> for Comparison {
            fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($name),)*
                }
            }
            fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
                let name = DiscreteOperation::<T, bool>::name(self);
                Some(broadcast_shapes(name, inputs[0], inputs[1]))
            }
            fn forward(&self, inputs: &Inputs<T>) -> Tensor<bool> {
                match self {
                    $(Self::$kind => inputs[0].$name(inputs[1]),)*
                }
            }
        }

        impl<T: Float> Var<T> {$(
            #[doc = $doc]
            ///
            #[doc = concat!("See [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Panics
            /// If the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: impl Into<Self>) -> Mask<T> {
                decide(Comparison::$kind, &[self, &other.into()])
            }
        )*}
    };
}

comparisons! {
    Eq eq "Whether elements are equal: `x == y`.";
    Ne ne "Whether elements differ: `x != y`.";
    Lt lt "Whether elements are less: `x < y`.";
    Le le "Whether elements are less or equal: `x <= y`.";
    Gt gt "Whether elements are greater: `x > y`.";
    Ge ge "Whether elements are greater or equal: `x >= y`.";
}

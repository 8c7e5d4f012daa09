//! Comparisons, whose results are masks, and logic on masks.

use std::fmt::{self, Debug, Formatter};
use std::ops::{BitAnd, BitOr, BitXor, Not};

use gradus_tensor::shapes::broadcast_shapes;
use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::tape::{Discrete, DiscreteOperation, Discreteness, Inputs, Mask, Operand, Var, decide};

/// A function of two inputs, element by element, that gives a mask: its name, and the function.
struct Pairwise<F>(&'static str, F);

impl<F> Debug for Pairwise<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Pairwise")
    }
}

impl<T: Float, F: Fn(&Inputs<T>) -> Tensor<bool> + Send + Sync + 'static> DiscreteOperation<T, bool>
    for Pairwise<F>
{
    fn name(&self) -> &'static str {
        self.0
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes(self.0, inputs[0], inputs[1]))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<bool> {
        (self.1)(inputs)
    }
}

/// Comparisons: a name, and its line of documentation.
macro_rules! comparisons {
    ($($name:ident $doc:literal;)*) => {
        /// Comparisons of each element, as of a [`Tensor`]. (The operator `==` compares as a whole.)
        ///
        /// ```
        /// use gradus_autograd::{Tensor, Var};
        ///
        /// let logits = Var::leaf(Tensor::from([[0.1, 2.0], [3.0, 0.5]]));
        /// let targets = Tensor::from([1, 1]);
        /// let hits = logits.argmax(1).eq(&targets);
        /// assert_eq!(hits, Tensor::from([true, false]));
        /// assert_eq!(hits.cast::<f64>().mean(..).item(), 0.5); // the accuracy
        /// ```
        impl<E: Discreteness<T>, T: Float> Discrete<E, T> {$(
            #[doc = $doc]
            ///
            /// # Panics
            /// If the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: impl Into<Self>) -> Mask<T> {
                let compare = |inputs: &Inputs<T>| E::input(inputs, 0).$name(E::input(inputs, 1));
                decide(Pairwise(stringify!($name), compare), &[E::operand(self), E::operand(&other.into())])
            }
        )*}

        impl<T: Float> Var<T> {$(
            #[doc = $doc]
            ///
            #[doc = concat!("See [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Panics
            /// If the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: impl Into<Self>) -> Mask<T> {
                let compare = |inputs: &Inputs<T>| inputs[0].$name(inputs[1]);
                decide(Pairwise(stringify!($name), compare), &[self, &other.into()])
            }
        )*}
    };
}

comparisons! {
    eq "Whether elements are equal: `x == y`.";
    ne "Whether elements differ: `x != y`.";
    lt "Whether elements are less: `x < y`.";
    le "Whether elements are less or equal: `x <= y`.";
    gt "Whether elements are greater: `x > y`.";
    ge "Whether elements are greater or equal: `x >= y`.";
}

/// Logic on masks: a name, its line of documentation, and its operator.
macro_rules! logic {
    ($($name:ident $trait:ident $method:ident $doc:literal;)*) => {
        /// Logic on masks, also as the operators `&`, `|`, `^` and `!`, with a mask, a tensor or a `bool` on the right.
        ///
        /// ```
        /// use gradus_autograd::{Tensor, Var};
        ///
        /// let x = Var::leaf(Tensor::from([-2.0, 0.5, 3.0]));
        /// assert_eq!(x.gt(0.0) & x.lt(1.0), Tensor::from([false, true, false]));
        /// assert_eq!(x.masked_fill(!x.gt(0.0), 0.0).value(), &Tensor::from([0.0, 0.5, 3.0]));
        /// ```
        impl<T: Float> Mask<T> {
            $(
                #[doc = $doc]
                ///
                /// # Panics
                /// If the shapes do not broadcast.
                #[track_caller]
                pub fn $name(&self, other: impl Into<Self>) -> Self {
                    let combine = |inputs: &Inputs<T>| inputs.mask(0).$name(inputs.mask(1));
                    let operands = [Operand::Mask(self), Operand::Mask(&other.into())];
                    decide(Pairwise(stringify!($name), combine), &operands)
                }
            )*

            /// Whether this is false.
            pub fn logical_not(&self) -> Mask<T> {
                decide(LogicalNot, &[Operand::Mask(self)])
            }
        }

        $(
            impl<T: Float, M: Into<Mask<T>>> $trait<M> for Mask<T> {
                type Output = Self;
                #[track_caller]
                fn $method(self, other: M) -> Self {
                    self.$name(other)
                }
            }
            impl<T: Float, M: Into<Mask<T>>> $trait<M> for &Mask<T> {
                type Output = Mask<T>;
                #[track_caller]
                fn $method(self, other: M) -> Mask<T> {
                    self.$name(other)
                }
            }
        )*
    };
}

logic! {
    logical_and BitAnd bitand "Whether both are true.";
    logical_or BitOr bitor "Whether at least one is true.";
    logical_xor BitXor bitxor "Whether exactly one is true.";
}

#[derive(Debug)]
struct LogicalNot;

impl<T: Float> DiscreteOperation<T, bool> for LogicalNot {
    fn name(&self) -> &'static str {
        "logical_not"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[0].into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<bool> {
        inputs.mask(0).logical_not()
    }
}

impl<T: Float> Not for Mask<T> {
    type Output = Self;
    fn not(self) -> Self {
        self.logical_not()
    }
}

impl<T: Float> Not for &Mask<T> {
    type Output = Mask<T>;
    fn not(self) -> Mask<T> {
        self.logical_not()
    }
}

//! Comparisons, whose results are masks, and logic on masks.

use std::marker::PhantomData;
use std::ops::{BitAnd, BitOr, BitXor, Not};

use gradus_tensor::shapes::broadcast_shapes;
use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::scalar::{Expression, Real};
use crate::tape::{Batch, Discrete, DiscreteOperation, Discreteness, Inputs, Mask, Operand, Var, decide};

/// A comparison of indices or masks.
#[derive(Debug)]
struct Discretely<E>(Comparison, PhantomData<E>);

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
            fn expression(&self) -> Option<Expression> {
                Some(match self {
                    Self::Ne => Expression::of(2, &|x| x[0].eq(x[1]).select(0.0, 1.0)),
                    Self::Eq => Expression::of(2, &|x| x[0].eq(x[1])),
                    Self::Lt => Expression::of(2, &|x| x[0].lt(x[1])),
                    Self::Le => Expression::of(2, &|x| x[0].le(x[1])),
                    Self::Gt => Expression::of(2, &|x| x[0].gt(x[1])),
                    Self::Ge => Expression::of(2, &|x| x[0].ge(x[1])),
                })
            }
            fn batched(&self, batch: &Batch<T>) -> Option<Mask<T>> {
                Some(batch.decide_each(*self))
            }
        }

        impl<T: Float, E: Discreteness<T>> DiscreteOperation<T, bool> for Discretely<E> {
            fn name(&self) -> &'static str {
                DiscreteOperation::<T, bool>::name(&self.0)
            }
            fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
                DiscreteOperation::<T, bool>::shape(&self.0, inputs)
            }
            fn forward(&self, inputs: &Inputs<T>) -> Tensor<bool> {
                let [x, y] = [0, 1].map(|input| E::input(inputs, input));
                match self.0 {
                    $(Comparison::$kind => x.$name(y),)*
                }
            }
            fn batched(&self, batch: &Batch<T>) -> Option<Mask<T>> {
                Some(batch.decide_each(Self(self.0, PhantomData)))
            }
        }

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
                let comparison = Discretely::<E>(Comparison::$kind, PhantomData);
                decide(comparison, &[E::operand(self), E::operand(&other.into())])
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

/// Logic on masks: a name, its line of documentation, and its operator.
// It has methods as comparisons have them: one operation with a closure for each would hide the caller's line.
macro_rules! logic {
    ($($kind:ident $name:ident $trait:ident $method:ident $doc:literal;)*) => {
        #[derive(Debug, Clone, Copy)]
        enum Logic {
            $($kind,)*
        }

        impl<T: Float> DiscreteOperation<T, bool> for Logic {
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
                    $(Self::$kind => inputs.mask(0).$name(inputs.mask(1)),)*
                }
            }
            fn expression(&self) -> Option<Expression> {
                Some(match self {
                    Self::And => Expression::of(2, &|x| x[0].select(x[1], 0.0)),
                    Self::Or => Expression::of(2, &|x| x[0].select(1.0, x[1])),
                    Self::Xor => Expression::of(2, &|x| x[0].eq(x[1]).select(0.0, 1.0)),
                })
            }
            fn batched(&self, batch: &Batch<T>) -> Option<Mask<T>> {
                Some(batch.decide_each(*self))
            }
        }

        /// Logic on masks, also as the operators `&`, `|`, `^` and `!`, with a mask, a tensor or a `bool` on the right, or a
        /// tensor on the left.
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
                    decide(Logic::$kind, &[Operand::Mask(self), Operand::Mask(&other.into())])
                }
            )*

            /// Whether this is false.
            #[track_caller]
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
            impl<T: Float> $trait<Mask<T>> for Tensor<bool> {
                type Output = Mask<T>;
                #[track_caller]
                fn $method(self, other: Mask<T>) -> Mask<T> {
                    Mask::constant(self).$name(other)
                }
            }
            impl<T: Float> $trait<Mask<T>> for &Tensor<bool> {
                type Output = Mask<T>;
                #[track_caller]
                fn $method(self, other: Mask<T>) -> Mask<T> {
                    Mask::constant(self).$name(other)
                }
            }
        )*
    };
}

logic! {
    And logical_and BitAnd bitand "Whether both are true.";
    Or logical_or BitOr bitor "Whether at least one is true.";
    Xor logical_xor BitXor bitxor "Whether exactly one is true.";
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
    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(1, &|x| x[0].select(0.0, 1.0)))
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Mask<T>> {
        Some(batch.decide_each(Self))
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

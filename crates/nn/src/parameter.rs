//! Parameters.

use std::borrow::Cow;
use std::fmt::{self, Debug, Display, Formatter};
use std::ops::{Add, Deref, Div, Mul, Neg, Sub};

use gradus_autograd::{AsVar, Float, Tensor, Var};

use crate::buffer::refuse_in_trace;
use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// A tensor that a model owns and training changes. It dereferences to a leaf variable, [`Var`]; while it is
/// [frozen](Self::set_trainable), to a constant.
///
/// Unlike a clone of a [`Var`], a clone of a parameter is a new parameter with the same value: a gradient of one is
/// not a gradient of the other. To take over the numbers of another model, use
/// [`Module::copy_from`](crate::Module::copy_from); to use a parameter in two places, [`Tied`](crate::Tied).
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_nn::Parameter;
///
/// let mut scale = Parameter::new(Tensor::from([1.0, 2.0]));
/// let gradients = (&scale * 3.0).sum(..).backward();
/// let gradient = gradients.get(&scale).expect("the sum depends on it");
/// scale.update(|scale| *scale -= gradient);
/// assert_eq!(scale.value(), &Tensor::from([-2.0, -1.0]));
/// ```
pub struct Parameter<T: Float = f32>(Var<T>);

impl<T: Float> Parameter<T> {
    /// A parameter with this initial value.
    pub fn new(value: impl Into<Tensor<T>>) -> Self {
        Self(Var::leaf(value))
    }

    /// Changes the value in place; tapes recorded before keep the old value.
    ///
    /// # Panics
    /// If the new value has another shape.
    #[track_caller]
    pub fn update(&mut self, update: impl FnOnce(&mut Tensor<T>)) {
        refuse_in_trace("update", "an optimizer changes parameters there");
        self.0.update(update);
    }

    /// Replaces the value.
    ///
    /// # Panics
    /// If the new value has another shape.
    #[track_caller]
    pub fn set(&mut self, value: impl Into<Tensor<T>>) {
        refuse_in_trace("set", "an optimizer changes parameters there");
        let value = value.into();
        assert!(
            value.shape() == self.shape(),
            "set: the new value has shape {:?}, the parameter {:?}: they must be equal",
            value.shape(),
            self.shape()
        );
        // Element by element, so that the layout in memory stays.
        self.0.update(|old| old.zip_inplace(&value, |_, new| new));
    }

    /// Freezes the parameter, or makes it trainable again.
    ///
    /// A frozen parameter is a constant: it takes no gradient, costs a backward pass nothing, and optimizers leave it as it
    /// is. Its value can be set and loaded; a clone is frozen, too. A parameter that is made trainable again is a new leaf,
    /// so gradients from before it was frozen are not its gradients. [`Module::freeze`](crate::Module::freeze) freezes by
    /// name.
    ///
    /// ```
    /// use gradus_nn::Parameter;
    ///
    /// let (mut scale, shift) = (Parameter::new(2.0), Parameter::new(1.0));
    /// scale.set_trainable(false);
    /// let gradients = (&scale * 3.0 + &shift).backward();
    /// assert!(gradients.get(&scale).is_none() && gradients.get(&shift).is_some());
    /// assert!(!scale.clone().is_trainable());
    /// ```
    pub fn set_trainable(&mut self, trainable: bool) {
        if trainable != self.is_trainable() {
            let value = self.0.value().clone();
            self.0 = if trainable { Var::leaf(value) } else { Var::constant(value) };
        }
    }

    /// Gives a frozen parameter an identity on the tape while a step is traced, or takes it away again.
    pub(crate) fn trace_frozen(&mut self, traced: bool) {
        if !self.is_trainable() {
            let value = self.0.numbers().clone();
            self.0 = if traced { Var::input(value) } else { Var::constant(value) };
        }
    }

    /// The numbers, for an optimizer or a compiled step, which tell the trace about the change.
    pub(crate) fn numbers_mut(&mut self) -> &mut Tensor<T> {
        self.0.numbers_mut()
    }

    /// Whether gradients flow to it: it is not frozen. PyTorch has `requires_grad`.
    pub fn is_trainable(&self) -> bool {
        self.0.is_tracked()
    }

    /// A parameter that is any variable, a constant or the result of operations: for functions of a model's
    /// parameters, as in checks of gradients and learned updates.
    ///
    /// A change replaces the parameter's value, not the variable's; the result of an operation cannot be changed. A clone is
    /// a new leaf, or frozen if no gradient flows to the variable. To keep a parameter as it is in training, freeze it with
    /// [`set_trainable`](Self::set_trainable), which can be undone.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var, seeded};
    /// use gradus_nn::{Linear, Parameter};
    ///
    /// // A layer whose weight is half another variable:
    /// let x = Var::leaf(Tensor::from([[2.0, 4.0]]));
    /// let mut layer = Linear::new(2, 1, &mut seeded(0)).without_bias();
    /// layer.weight = Parameter::bind(&x * 0.5);
    /// let y = layer.forward(&Var::constant([10.0, 20.0]));
    /// assert_eq!(y.item(), 50.0);
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([[5.0, 10.0]])));
    /// ```
    pub fn bind(var: Var<T>) -> Self {
        Self(var)
    }
}

impl<T: Float> Clone for Parameter<T> {
    /// A new parameter with the same value, shared until one of the two changes. It is frozen if this one is.
    fn clone(&self) -> Self {
        let value = self.0.value();
        Self(if self.is_trainable() { Var::leaf(value) } else { Var::constant(value) })
    }
}

impl<T: Float> Deref for Parameter<T> {
    type Target = Var<T>;
    fn deref(&self) -> &Var<T> {
        &self.0
    }
}

impl<T: Float> From<&Parameter<T>> for Var<T> {
    /// The same variable.
    fn from(parameter: &Parameter<T>) -> Self {
        parameter.0.clone()
    }
}

impl<T: Float> AsVar<T> for Parameter<T> {
    fn as_var(&self) -> Cow<'_, Var<T>> {
        Cow::Borrowed(self)
    }
}

/// The shape alone: a model printed with `{:?}` shows how it is built, not a page of numbers.
impl<T: Float> Debug for Parameter<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Parameter<{}> {:?}", T::NAME, self.shape())
    }
}

/// The numbers, as a tensor prints them.
impl<T: Float> Display for Parameter<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self.value(), f)
    }
}

impl<T: Float> Module<T> for Parameter<T> {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path, Member::Parameter(self));
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
        visitor(path, MemberMut::Parameter(self));
    }
}

/// Freezes the parameters whose names are selected, or makes them trainable.
#[track_caller]
pub(crate) fn set_trainable<T: Float>(
    model: &mut impl Module<T>,
    function: &str,
    select: impl Fn(&str) -> bool,
    trainable: bool,
) {
    let (mut selected, mut others) = (false, Vec::new());
    model.visit_mut(Path::ROOT, &mut |path, member| {
        let MemberMut::Parameter(parameter) = member else { return };
        let name = path.to_string();
        if select(&name) {
            parameter.set_trainable(trainable);
            selected = true;
        } else {
            others.push(name);
        }
    });
    assert!(
        selected || others.is_empty(),
        "{function}: the predicate matches no parameter of the model; the names are {others:?}"
    );
}

/// Binary operators with a borrowed parameter on either side.
macro_rules! operators {
    ($($trait:ident $method:ident)*) => {$(
        operators!(@ $trait $method, Var<T>, &Parameter<T>, |x, y| (&x, &y.0));
        operators!(@ $trait $method, &Var<T>, &Parameter<T>, |x, y| (x, &y.0));
        operators!(@ $trait $method, &Parameter<T>, Var<T>, |x, y| (&x.0, &y));
        operators!(@ $trait $method, &Parameter<T>, &Var<T>, |x, y| (&x.0, y));
        operators!(@ $trait $method, &Parameter<T>, &Parameter<T>, |x, y| (&x.0, &y.0));
        operators!(@ $trait $method, &Parameter<T>, T, |x, y| (&x.0, y));
        operators!(@ $trait $method, &Parameter<T>, Tensor<T>, |x, y| (&x.0, y));
        operators!(@ $trait $method, &Parameter<T>, &Tensor<T>, |x, y| (&x.0, y));
        operators!(@ $trait $method, Tensor<T>, &Parameter<T>, |x, y| (x, &y.0));
        operators!(@ $trait $method, &Tensor<T>, &Parameter<T>, |x, y| (x, &y.0));
        operators!(@number $trait $method, f32, f64);
    )*};
    (@number $trait:ident $method:ident, $($number:ty),*) => {$(
        impl $trait<&Parameter<$number>> for $number {
            type Output = Var<$number>;
            fn $method(self, parameter: &Parameter<$number>) -> Var<$number> {
                $trait::$method(self, &parameter.0)
            }
        }
    )*};
    (@ $trait:ident $method:ident, $left:ty, $right:ty, |$x:ident, $y:ident| ($l:expr, $r:expr)) => {
        #[diagnostic::do_not_recommend]
        impl<T: Float> $trait<$right> for $left {
            type Output = Var<T>;
            #[track_caller]
            fn $method(self, $y: $right) -> Var<T> {
                let $x = self;
                $trait::$method($l, $r)
            }
        }
    };
}
impl<T: Float> Neg for &Parameter<T> {
    type Output = Var<T>;
    fn neg(self) -> Var<T> {
        -&self.0
    }
}

operators! { Add add Sub sub Mul mul Div div }

//! The form of inputs and of a model: what a plan depends on.

use gradus_autograd::compile::Member as Place;
use gradus_autograd::{Element, Float, Operand, OperandValue, Shape, Tensor, Var};
use smallvec::SmallVec;

use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// The shape and the strides of a tensor, on which the bits of products may depend.
#[derive(Debug, PartialEq)]
pub(super) struct Form {
    shape: Shape,
    strides: SmallVec<[isize; 4]>,
}

#[derive(Debug, PartialEq)]
pub(super) enum MemberForm {
    Parameter {
        form: Form,
        trainable: bool,
    },
    Buffer(Form),
    Counter,
    /// Layers that have some refuse to be compiled.
    Packed,
    Mode(bool),
}

impl Form {
    pub(super) fn of<E: Element>(tensor: &Tensor<E>) -> Self {
        Self { shape: tensor.shape().into(), strides: tensor.strides().into() }
    }

    #[inline]
    pub(super) fn fits<E: Element>(&self, tensor: &Tensor<E>) -> bool {
        tensor.lies_in(&self.shape, &self.strides)
    }

    pub(super) fn of_operand<T: Float>(operand: OperandValue<'_, T>) -> Self {
        match operand {
            OperandValue::Number(value) => Self::of(value),
            OperandValue::Indices(value) => Self::of(value),
            OperandValue::Mask(value) => Self::of(value),
        }
    }

    pub(super) fn fits_operand<T: Float>(&self, operand: OperandValue<'_, T>) -> bool {
        match operand {
            OperandValue::Number(value) => self.fits(value),
            OperandValue::Indices(value) => self.fits(value),
            OperandValue::Mask(value) => self.fits(value),
        }
    }
}

/// A member of the model as a trace knows it.
pub(super) enum MemberPlace<T: Float> {
    Var(Var<T>),
    Address(usize),
}

impl<T: Float> MemberPlace<T> {
    pub(super) fn place(&self) -> Place<'_, T> {
        match self {
            Self::Var(var) => Place::Var(Operand::Var(var)),
            Self::Address(address) => Place::Address(*address),
        }
    }
}

/// The members in the order in which [`Module::visit_mut`] shows them.
pub(super) fn members_of<T: Float>(model: &mut impl Module<T>) -> Vec<MemberPlace<T>> {
    let mut members = Vec::new();
    model.visit_mut(Path::ROOT, &mut |_, member| {
        members.push(match member {
            MemberMut::Parameter(parameter) => MemberPlace::Var((**parameter).clone()),
            MemberMut::Buffer(buffer) => MemberPlace::Address(buffer.address()),
            MemberMut::Counter(counter) => MemberPlace::Address(counter.address()),
            MemberMut::Packed(_) | MemberMut::Mode(_) => MemberPlace::Address(0),
        });
    });
    members
}

pub(super) fn forms_of<T: Float>(model: &impl Module<T>) -> Vec<MemberForm> {
    let mut forms = Vec::new();
    model.visit(Path::ROOT, &mut |_, member| {
        forms.push(match member {
            Member::Parameter(parameter) => MemberForm::Parameter {
                form: Form::of(parameter.numbers()),
                trainable: parameter.is_trainable(),
            },
            Member::Buffer(buffer) => MemberForm::Buffer(Form::of(&buffer.value())),
            Member::Counter(_) => MemberForm::Counter,
            Member::Packed(_) => MemberForm::Packed,
            Member::Mode(mode) => MemberForm::Mode(*mode),
            Member::Tied(_) | Member::Layer(_) => return,
        });
    });
    forms
}

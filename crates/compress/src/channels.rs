//! Layers with fewer channels.

use gradus_autograd::{Float, Tensor};
use gradus_nn::{BatchNorm1d, BatchNorm2d, Buffer, Conv1d, Conv2d, Linear, Parameter};

use crate::error::CompressError;

/// A layer whose inputs and outputs can be left out: [`Linear`], [`Conv1d`] and [`Conv2d`] without groups, and batch
/// normalisation, whose inputs are its outputs.
pub trait Channels<T: Float = f32> {
    /// The number of inputs, features or channels.
    fn inputs(&self) -> usize;

    /// The number of outputs.
    fn outputs(&self) -> usize;

    /// The number of groups that a convolution has.
    fn groups(&self) -> usize {
        1
    }

    /// Keeps the outputs at these places, in this order.
    ///
    /// # Errors
    /// If the list is empty, a place is out of range, or a convolution has groups. The layer is then as it was.
    fn keep_outputs(&mut self, kept: &[usize]) -> Result<(), CompressError>;

    /// Keeps the inputs at these places, in this order.
    ///
    /// # Errors
    /// As [`keep_outputs`](Self::keep_outputs).
    fn keep_inputs(&mut self, kept: &[usize]) -> Result<(), CompressError>;
}

/// Keeps the channels at these places between layers: the outputs of the first one, what lies beside them in layers of
/// normalisation, and the inputs of the layers that read them. A dense layer or a normalisation behind a flattened image has all
/// pixels of a channel side by side, so it keeps as many inputs for each.
///
/// The layers get smaller; outputs are as the old model gives them with the other channels set to 0 behind the normalisation.
///
/// ```
/// use gradus_autograd::{Conv, Tensor, seeded};
/// use gradus_compress::keep_channels;
/// use gradus_nn::{BatchNorm2d, Conv2d, Linear};
///
/// let rng = &mut seeded(0);
/// let mut conv = Conv2d::<f32>::new(1, 8, 3, Conv::new(), rng);
/// let mut norm = BatchNorm2d::new(8);
/// let mut out = Linear::new(8 * 36, 10, rng);
/// keep_channels(&mut conv, &mut [&mut norm], &mut [&mut out], &[0, 3, 5])?;
/// let x = norm.forward(conv.forward(Tensor::ones([2, 1, 8, 8]))).relu();
/// assert_eq!(x.shape(), [2, 3, 6, 6]);
/// assert_eq!(out.forward(x.flatten(1..)).shape(), [2, 10]);
/// # Ok::<(), gradus_compress::CompressError>(())
/// ```
///
/// # Errors
/// If a layer does not fit the first one, or refuses as [`Channels::keep_outputs`] says. All layers are then as they were.
pub fn keep_channels<T: Float>(
    first: &mut dyn Channels<T>,
    norms: &mut [&mut dyn Channels<T>],
    readers: &mut [&mut dyn Channels<T>],
    kept: &[usize],
) -> Result<(), CompressError> {
    let channels = first.outputs();
    let refuse = |fault: String| CompressError::Layer { operation: "keep_channels", fault };
    check("keep_channels", kept, channels)?;
    let inputs_of_norms = norms.iter().map(|norm| ("normalises", norm.inputs()));
    let inputs_of_readers = readers.iter().map(|reader| ("reads", reader.inputs()));
    for (does, inputs) in inputs_of_norms.chain(inputs_of_readers) {
        if channels == 0 || !inputs.is_multiple_of(channels) {
            return Err(refuse(format!(
                "a layer {does} {inputs} inputs, of a layer with {channels} outputs: it must be the same number, or a \
                 multiple for each pixel"
            )));
        }
    }
    // Whether all agree is found out before any is changed.
    check_groups("keep_channels", first.groups())?;
    readers.iter().try_for_each(|reader| check_groups("keep_channels", reader.groups()))?;
    first.keep_outputs(kept)?;
    let keep = |layer: &mut dyn Channels<T>| {
        let pixels = layer.inputs() / channels;
        let spread: Vec<usize> = kept.iter().flat_map(|place| place * pixels..(place + 1) * pixels).collect();
        layer.keep_inputs(&spread)
    };
    norms.iter_mut().try_for_each(|norm| keep(&mut **norm))?;
    readers.iter_mut().try_for_each(|reader| keep(&mut **reader))
}

fn check(operation: &'static str, kept: &[usize], count: usize) -> Result<(), CompressError> {
    if kept.is_empty() || kept.iter().any(|&place| place >= count) {
        let expected = format!("places from 0 to {}, one at least", count.saturating_sub(1));
        return Err(CompressError::argument(operation, "kept", format!("{kept:?}"), expected));
    }
    Ok(())
}

fn indices(kept: &[usize]) -> Tensor<i64> {
    kept.iter().map(|&place| place as i64).collect()
}

/// A parameter with some slices of an axis of another one, frozen if that is.
fn selected<T: Float>(parameter: &Parameter<T>, axis: isize, kept: &[usize]) -> Parameter<T> {
    let mut value = parameter.value().index_select(axis, &indices(kept));
    let is_transposed = parameter.rank() == 2 && !parameter.value().is_contiguous();
    if is_transposed {
        // As dense layers have it, for fast products.
        value = value.t().contiguous().t();
    }
    let mut selected = Parameter::new(value);
    selected.set_trainable(parameter.is_trainable());
    selected
}

fn select_buffer<T: Float>(buffer: &Buffer<T>, kept: &[usize]) -> Buffer<T> {
    Buffer::new(buffer.value().index_select(0, &indices(kept)))
}

/// Layers with a weight `[outputs, inputs, ...]` and a bias.
macro_rules! weighted {
    ($($layer:ident: |$x:ident| $groups:expr;)*) => {$(
        impl<T: Float> Channels<T> for $layer<T> {
            fn inputs(&self) -> usize {
                self.weight.shape()[1]
            }
            fn outputs(&self) -> usize {
                self.weight.shape()[0]
            }
            fn groups(&self) -> usize {
                let $x = self;
                $groups
            }
            fn keep_outputs(&mut self, kept: &[usize]) -> Result<(), CompressError> {
                check_groups("keep_outputs", self.groups())?;
                check("keep_outputs", kept, self.outputs())?;
                self.weight = selected(&self.weight, 0, kept);
                self.bias = self.bias.as_ref().map(|bias| selected(bias, 0, kept));
                Ok(())
            }
            fn keep_inputs(&mut self, kept: &[usize]) -> Result<(), CompressError> {
                check_groups("keep_inputs", self.groups())?;
                check("keep_inputs", kept, self.inputs())?;
                self.weight = selected(&self.weight, 1, kept);
                Ok(())
            }
        }
    )*};
}

weighted! {
    Linear: |_layer| 1;
    Conv1d: |layer| layer.conv.group_count();
    Conv2d: |layer| layer.conv.group_count();
}

fn check_groups(operation: &'static str, groups: usize) -> Result<(), CompressError> {
    if groups == 1 {
        return Ok(());
    }
    let fault = format!("the convolution has {groups} groups: channels can be left out of one group only");
    Err(CompressError::Layer { operation, fault })
}

macro_rules! norms {
    ($($layer:ident)*) => {$(
        impl<T: Float> Channels<T> for $layer<T> {
            fn inputs(&self) -> usize {
                self.running_mean.value().len()
            }
            fn outputs(&self) -> usize {
                Channels::inputs(self)
            }
            fn keep_outputs(&mut self, kept: &[usize]) -> Result<(), CompressError> {
                check("keep_outputs", kept, self.outputs())?;
                for parameter in [&mut self.weight, &mut self.bias].into_iter().flatten() {
                    *parameter = selected(parameter, 0, kept);
                }
                self.running_mean = select_buffer(&self.running_mean, kept);
                self.running_var = select_buffer(&self.running_var, kept);
                Ok(())
            }
            fn keep_inputs(&mut self, kept: &[usize]) -> Result<(), CompressError> {
                self.keep_outputs(kept)
            }
        }
    )*};
}

norms! { BatchNorm1d BatchNorm2d }

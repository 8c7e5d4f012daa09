//! Channels of a whole [`Sequential`].

use gradus_autograd::{Float, Tensor, Var, grad, keepdim};
use gradus_nn::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d,
    BatchNorm1d, BatchNorm2d, Celu, Conv1d, Conv2d, Dropout, Elu, Flatten, Gelu, GeluTanh, Hardsigmoid,
    Hardswish, Hardtanh, Layer, LeakyRelu, Linear, Logsigmoid, MaxPool1d, MaxPool2d, Mish, Module, Relu,
    Relu6, Selu, Sequential, Sigmoid, Silu, Softplus, Softsign, Square, Tanh,
};

use crate::channels::{Channels, keep_channels};
use crate::error::CompressError;
use crate::prune::{Masks, Scores};

/// The effect of a layer on the channels of its input.
enum Part<'a, T: Float> {
    /// Makes new ones of them.
    Weighted(&'a mut dyn Channels<T>, Kind),
    /// Normalises each by itself, or after `Flatten` each number.
    Norm(&'a mut dyn Channels<T>),
    /// Normalises each channel of images by itself.
    ImageNorm(&'a mut dyn Channels<T>),
    /// Changes each number by itself.
    Elementwise,
    /// Makes fewer numbers of each channel.
    Pool,
    Flatten,
    /// A type that is not known, by its name.
    Other(String),
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Dense,
    Convolution,
}

impl<'a, T: Float> Part<'a, T> {
    fn of(layer: &'a mut dyn Layer<T>) -> Self {
        macro_rules! any_of {
            ($($type:ty)*) => { false $(|| layer.as_any().is::<$type>())* };
        }
        macro_rules! channels {
            ($($type:ident => |$found:ident| $part:expr;)*) => {$(
                if layer.as_any().is::<$type<T>>() {
                    let $found = layer.as_any_mut().downcast_mut::<$type<T>>().expect("it is of this type");
                    return $part;
                }
            )*};
        }
        if any_of!(
            Sigmoid Logsigmoid Hardsigmoid Tanh Hardtanh Softsign Square Relu Relu6 LeakyRelu Elu Celu Selu Gelu GeluTanh Silu
            Hardswish Mish Softplus Dropout
        ) {
            return Self::Elementwise;
        }
        if any_of!(
            MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool1d AdaptiveMaxPool2d
        ) {
            return Self::Pool;
        }
        if any_of!(Flatten) {
            return Self::Flatten;
        }
        channels! {
            Linear => |layer| Self::Weighted(layer, Kind::Dense);
            Conv1d => |layer| Self::Weighted(layer, Kind::Convolution);
            Conv2d => |layer| Self::Weighted(layer, Kind::Convolution);
            BatchNorm1d => |layer| Self::Norm(layer);
            BatchNorm2d => |layer| Self::ImageNorm(layer);
        }
        let name = layer.type_name().split('<').next().unwrap_or("");
        Self::Other(name.rsplit("::").next().unwrap_or("").to_owned())
    }
}

/// The layers in order, within sequential ones each of theirs, with their names.
fn parts<'a, T: Float>(
    model: &'a mut Sequential<T>,
    prefix: &str,
    parts_so_far: &mut Vec<(String, Part<'a, T>)>,
) {
    for (place, layer) in model.layers.iter_mut().enumerate() {
        let name = format!("{prefix}{place}");
        if layer.as_any().is::<Sequential<T>>() {
            let inner = layer.as_any_mut().downcast_mut().expect("it is of this type");
            parts(inner, &format!("{name}."), parts_so_far);
        } else {
            parts_so_far.push((name, Part::of(&mut **layer)));
        }
    }
}

/// The names of the weights whose channels [`shrink`] can leave out: of all dense layers and convolutions but the last, which gives
/// the outputs of the model.
pub fn prunable<T: Float>(model: &Sequential<T>) -> Vec<String> {
    let (mut model, mut found) = (model.clone(), Vec::new());
    parts(&mut model, "", &mut found);
    let weighted = found.into_iter().filter(|(_, part)| matches!(part, Part::Weighted(..)));
    let mut names: Vec<String> = weighted.map(|(name, _)| format!("{name}.weight")).collect();
    names.pop();
    names
}

/// Leaves out the channels that masks prune, of a model of dense layers, convolutions, batch normalisation, activations of single
/// numbers, pooling, dropout and `Flatten`: the layer, the normalisation behind it and the layer that reads them get smaller.
/// Gives the names of the weights with the number of their channels before and after.
///
/// Outputs are as the old model gives them with these channels set to 0 where the next dense layer or convolution reads them.
/// The parameters that change have new identities: make a new optimizer for further training.
///
/// ```
/// use gradus_autograd::{Conv, Tensor, seeded};
/// use gradus_compress::{Masks, Scope, Scores, Unit, prunable, shrink};
/// use gradus_nn::{BatchNorm2d, Conv2d, Flatten, Linear, Relu, Sequential};
///
/// let rng = &mut seeded(0);
/// let mut model = Sequential::<f32>::new()
///     .push(Conv2d::new(1, 8, 3, Conv::new(), rng))
///     .push(BatchNorm2d::new(8))
///     .push(Relu)
///     .push(Flatten)
///     .push(Linear::new(8 * 36, 16, rng))
///     .push(Relu)
///     .push(Linear::new(16, 10, rng));
/// let names = prunable(&model);
/// assert_eq!(names, ["0.weight", "4.weight"]);
/// let scores = Scores::magnitude(&model, Unit::Channel, |name| names.iter().any(|known| known == name));
/// let masks = Masks::prune(&scores, 0.5, Scope::Each)?;
/// assert_eq!(shrink(&mut model, &masks)?, [("0.weight".into(), 8, 4), ("4.weight".into(), 16, 8)]);
/// assert_eq!(model.forward(Tensor::ones([2, 1, 8, 8])).shape(), [2, 10]);
/// # Ok::<(), gradus_compress::CompressError>(())
/// ```
///
/// # Errors
/// If a mask is not one of a [`prunable`] weight, leaves no channel, or has another number of them; if there is a layer of another
/// type, such as a function or a block with a residual connection, between a layer that is pruned and the next; if a convolution has
/// groups; if a dense layer reads images that were not flattened, or a normalisation has another number of channels than the layer before
/// it. The model is then as it was. A `BatchNorm1d` after a dense layer is taken to see `[batch, features]`: the layers cannot tell
/// whether they see sequences.
pub fn shrink<T: Float>(
    model: &mut Sequential<T>,
    masks: &Masks,
) -> Result<Vec<(String, usize, usize)>, CompressError> {
    let mut smaller = model.clone();
    let mut found = Vec::new();
    parts(&mut smaller, "", &mut found);
    for name in masks.names() {
        let is_weighted = |(layer, part): &(String, Part<T>)| {
            matches!(part, Part::Weighted(..)) && format!("{layer}.weight") == name
        };
        if !found.iter().any(is_weighted) {
            let fault = "is no weight of a dense layer or a convolution in the sequence";
            return Err(CompressError::parameter("shrink", name, fault));
        }
    }
    let mut changes = Vec::new();
    for place in 0..found.len() {
        let (before, after) = found.split_at_mut(place + 1);
        let (layer, Part::Weighted(first, kind)) = &mut before[place] else { continue };
        let name = format!("{layer}.weight");
        let Some(mask) = masks.get(&name) else { continue };
        let (kept, channels) = (masks.kept(&name)?, first.outputs());
        if mask.shape()[0] != channels {
            let fault = format!("has {channels} channels, the mask is for {}", mask.shape()[0]);
            return Err(CompressError::parameter("shrink", &name, fault));
        }
        if kept.is_empty() {
            let fault = "would lose all channels: prune less, or the same share of each with `Scope::Each`";
            return Err(CompressError::parameter("shrink", &name, fault));
        }
        let (mut norms, reader) = readers(&name, (*kind, channels), after)?;
        let error = |error: CompressError| {
            let fault = match error {
                CompressError::Layer { fault, .. } => fault,
                error => error.to_string(),
            };
            CompressError::parameter("shrink", &name, format!("cannot lose channels: {fault}"))
        };
        keep_channels(*first, &mut norms, &mut [reader], &kept).map_err(error)?;
        changes.push((name.clone(), channels, kept.len()));
    }
    *model = smaller;
    Ok(changes)
}

/// Layers of normalisation, and the layer that reads what they give.
type Readers<'b, T> = (Vec<&'b mut dyn Channels<T>>, &'b mut dyn Channels<T>);

/// The layers of normalisation behind a layer with this number of channels, and the next layer with a weight.
fn readers<'b, T: Float>(
    name: &str,
    (kind, channels): (Kind, usize),
    after: &'b mut [(String, Part<'_, T>)],
) -> Result<Readers<'b, T>, CompressError> {
    let refuse = |fault: String| {
        Err(CompressError::parameter("shrink", name, format!("cannot lose channels: {fault}")))
    };
    let is_dense = kind == Kind::Dense;
    let (mut norms, mut is_flat): (Vec<&mut dyn Channels<T>>, bool) = (Vec::new(), is_dense);
    let flat = |layer: &str| format!("layer {layer:?} needs images, and what goes into it is flat");
    for (layer, part) in after {
        match part {
            Part::Flatten => is_flat = true,
            Part::Pool | Part::ImageNorm(_) if is_flat => return refuse(flat(layer)),
            Part::Elementwise | Part::Pool => {}
            Part::Norm(norm) | Part::ImageNorm(norm) => {
                let inputs = norm.inputs();
                let fits = if is_flat && !is_dense {
                    channels > 0 && inputs.is_multiple_of(channels)
                } else {
                    inputs == channels
                };
                if !fits {
                    return refuse(format!(
                        "the normalisation {layer:?} has {inputs} channels, of {channels} outputs"
                    ));
                }
                norms.push(&mut **norm);
            }
            Part::Weighted(reader, reader_kind) => {
                let inputs = reader.inputs();
                return match (*reader_kind, is_flat) {
                    (Kind::Convolution, true) => refuse(flat(layer)),
                    (Kind::Dense, false) => {
                        refuse(format!("the dense layer {layer:?} reads images: `Flatten` must be before it"))
                    }
                    _ if is_dense && inputs != channels => refuse(format!(
                        "the dense layer {layer:?} reads {inputs} numbers of {channels} outputs"
                    )),
                    _ => Ok((norms, &mut **reader)),
                };
            }
            Part::Other(kind) => {
                return refuse(format!("it is not known what layer {layer:?}, a {kind}, does with them"));
            }
        }
    }
    refuse("they are outputs of the model; `prunable` names the weights that can".into())
}

impl<T: Float> Scores<T> {
    /// The change of the loss, to first order, if a channel were 0 for one sample, in magnitude, and on average over the batch
    /// `x` (Molchanov et al., "Pruning convolutional neural networks for resource efficient inference", 2017, equations 6 to 8, and the
    /// 2-norm of each layer as in equation 9): `|mean(z dL/dz)|` of the outputs z of the channel behind normalisation and activation.
    /// `loss` gives the loss for the output of the model, which runs in evaluation mode and stays as it is. Of several batches, sum
    /// the scores with [`add`](Self::add).
    ///
    /// ```
    /// use gradus_autograd::{Tensor, seeded};
    /// use gradus_compress::Scores;
    /// use gradus_nn::{Linear, Relu, Sequential};
    ///
    /// let rng = &mut seeded(0);
    /// let model = Sequential::<f32>::new().push(Linear::new(4, 3, rng)).push(Relu).push(Linear::new(3, 1, rng));
    /// let scores = Scores::of_activations(&model, &Tensor::randn([8, 4], rng), |y| y.square().mean(..));
    /// assert_eq!(scores.get("0.weight").unwrap().shape(), [3, 1]);
    /// assert!(scores.get("2.weight").is_none()); // the outputs
    /// ```
    ///
    /// # Panics
    /// If the model does not fit `x`, or the loss is no single number that depends on the output.
    #[track_caller]
    pub fn of_activations(
        model: &Sequential<T>,
        x: &Tensor<T>,
        loss: impl FnOnce(&Var<T>) -> Var<T>,
    ) -> Self {
        let mut model = model.clone();
        model.eval();
        let (mut copy, mut kinds) = (model.clone(), Vec::new());
        parts(&mut copy, "", &mut kinds);
        let mut layers = Vec::new();
        leaves(&model, &mut layers);
        // The newest output of each prunable layer, while layers change each channel by itself.
        let (mut outputs, mut open) = (Vec::<(String, Kind, Var<T>)>::new(), false);
        let mut y = Var::constant(x);
        let last = kinds.iter().rposition(|(_, part)| matches!(part, Part::Weighted(..)));
        for (place, (layer, (name, part))) in layers.iter().zip(&kinds).enumerate() {
            y = layer.forward(&y);
            match part {
                Part::Weighted(_, kind) if Some(place) != last => {
                    outputs.push((format!("{name}.weight"), *kind, y.clone()));
                    open = true;
                }
                Part::Norm(_) | Part::ImageNorm(_) | Part::Elementwise if open => {
                    outputs.last_mut().expect("one is open").2 = y.clone();
                }
                _ => open = false,
            }
        }
        let slopes = grad(&loss(&y), &outputs.iter().map(|(_, _, output)| output).collect::<Vec<_>>());
        let score = |((name, kind, z), slope): ((String, Kind, Var<T>), Var<T>)| {
            let change = z.value() * slope.value();
            // Dense layers have their channels on the last axis.
            let change = if kind == Kind::Dense { change.transpose(1, -1) } else { change };
            let axes: Vec<isize> = (2..z.rank() as isize).collect();
            let score = change.mean(keepdim(axes)).abs().mean(keepdim(0)).transpose(0, 1).contiguous();
            let norm = score.norm(2.0, ..);
            // A layer that nothing depends on has no norm to divide by.
            (name, if norm.item() > T::ZERO { score / norm } else { score })
        };
        outputs.into_iter().zip(slopes).map(score).collect()
    }
}

/// The layers in order, within sequential ones each of theirs.
fn leaves<'a, T: Float>(model: &'a Sequential<T>, found: &mut Vec<&'a dyn Layer<T>>) {
    for layer in model.iter() {
        match layer.as_any().downcast_ref::<Sequential<T>>() {
            Some(inner) => leaves(inner, found),
            None => found.push(layer),
        }
    }
}

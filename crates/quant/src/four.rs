//! Weights of 4 bits.

use gradus_autograd::{AsVar, Conv, Float, Tensor, Var};
use gradus_nn::packed::{check_integers, integers};
use gradus_nn::{
    Buffer, Conv2d, Layer, LayerId, Linear, Member, MemberMut, Module, Packed, Path, StateTensor, layer_scope,
};

use crate::error::QuantError;
use crate::fixed::Fixed;
use crate::observer::check_finite;
use crate::params::LEAST_SCALE;

/// Two levels from -7 to 7 in each byte, the first in the lower half; rows begin at a byte.
#[derive(Debug, Clone)]
struct Nibbles {
    bytes: Vec<u8>,
    rows: usize,
}

impl Packed for Nibbles {
    fn to_state(&self) -> StateTensor {
        let bytes: Tensor<i64> = self.bytes.iter().map(|&byte| i64::from(byte)).collect();
        StateTensor::U8(bytes.reshape([self.rows, self.bytes.len() / self.rows.max(1)]))
    }
    fn set_state(&mut self, numbers: &StateTensor) {
        if let Some(bytes) = integers(numbers) {
            self.bytes = bytes.iter().map(|byte| byte as u8).collect();
        }
    }
    fn check(&self, numbers: &StateTensor) -> Option<String> {
        check_integers(numbers, 0..=255)
    }
}

/// A dense layer or a convolution whose weight has 4 bits a number, and a scale for each group of numbers that lie side by side in the
/// weight of an output; inputs and sums are of the model's type. Each forward pass unpacks the weight, so it takes longer than the
/// layer that it was made from: it saves memory, not time.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_nn::{Linear, Module};
/// use gradus_quant::FourBit;
///
/// let rng = &mut seeded(0);
/// let (layer, x) = (Linear::<f32>::new(64, 8, rng), Tensor::randn([5, 64], rng));
/// let packed = FourBit::linear(&layer, 32)?;
/// assert!(packed.forward(&x).value().allclose(layer.forward(&x).value(), 0.0, 0.2));
/// assert_eq!(packed.state().get("weight").unwrap().shape(), [8, 32]); // two numbers in a byte
/// # Ok::<(), gradus_quant::QuantError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FourBit<T: Float = f32> {
    levels: Nibbles,
    shape: Vec<usize>,
    /// The group and the shape, which decide which bits belong to which number and scale.
    layout: Fixed,
    /// For the groups of the first output, of the second and so on.
    scales: Vec<f32>,
    group: usize,
    bias: Option<Buffer<T>>,
    conv: Option<Conv>,
}

impl<T: Float> FourBit<T> {
    /// A dense layer with a scale for each `group` of numbers of an output; 32 is usual.
    ///
    /// # Errors
    /// If a number of the layer is NaN or infinite.
    ///
    /// # Panics
    /// If the group is 0.
    #[track_caller]
    pub fn linear(layer: &Linear<T>, group: usize) -> Result<Self, QuantError> {
        Self::new(layer.weight.value(), layer.bias.as_deref(), group, None)
    }

    /// A convolution; see [`linear`](Self::linear).
    ///
    /// # Errors
    /// If a number of the layer is NaN or infinite.
    ///
    /// # Panics
    /// If the group is 0.
    #[track_caller]
    pub fn conv2d(layer: &Conv2d<T>, group: usize) -> Result<Self, QuantError> {
        Self::new(layer.weight.value(), layer.bias.as_deref(), group, Some(layer.conv.clone()))
    }

    #[track_caller]
    fn new(
        weight: &Tensor<T>,
        bias: Option<&Var<T>>,
        group: usize,
        conv: Option<Conv>,
    ) -> Result<Self, QuantError> {
        assert!(group > 0, "four bits: a group has 0 numbers; it must have one at least");
        check_finite("weight", weight)?;
        let (rows, numbers) = (weight.shape()[0], weight.to_vec());
        let length = numbers.len() / rows.max(1);
        let (mut bytes, mut scales) = (Vec::new(), Vec::new());
        for row in numbers.chunks(length.max(1)) {
            let mut levels = Vec::with_capacity(length);
            for group in row.chunks(group) {
                let largest = group.iter().fold(0.0, |largest: f64, x| largest.max(x.abs().to_f64()));
                let scale = (largest / 7.0).max(LEAST_SCALE) as f32;
                scales.push(scale);
                let level = |x: &T| (x.to_f64() / f64::from(scale)).round_ties_even().clamp(-7.0, 7.0) as i8;
                levels.extend(group.iter().map(level));
            }
            let byte = |pair: &[i8]| (pair[0] as u8 & 15) | (pair.get(1).copied().unwrap_or(0) as u8) << 4;
            bytes.extend(levels.chunks(2).map(byte));
        }
        let levels = Nibbles { bytes, rows };
        let bias = bias.map(|bias| Buffer::new(bias.value().clone()));
        let layout = Fixed([&[group], weight.shape()].concat().into_iter().map(|size| size as i64).collect());
        Ok(Self { levels, shape: weight.shape().into(), layout, scales, group, bias, conv })
    }

    /// The weight that the levels stand for, in the shape of the layer's.
    pub fn weight(&self) -> Tensor<T> {
        let length: usize = self.shape[1..].iter().product();
        let groups = length.div_ceil(self.group);
        let mut weight = Vec::with_capacity(length * self.shape[0]);
        for (row, scales) in
            self.levels.bytes.chunks(length.div_ceil(2).max(1)).zip(self.scales.chunks(groups.max(1)))
        {
            // Shifts of numbers with a sign fill up with it.
            let levels = row.iter().flat_map(|&byte| [(byte << 4) as i8 >> 4, byte as i8 >> 4]).take(length);
            let scales = scales.iter().flat_map(|&scale| std::iter::repeat_n(scale, self.group));
            weight.extend(
                levels.zip(scales).map(|(level, scale)| T::from_f64(f64::from(level) * f64::from(scale))),
            );
        }
        Tensor::from(weight).reshape(&self.shape[..])
    }

    /// The result of the layer, with the shapes of [`Linear`] or [`Conv2d`].
    ///
    /// # Panics
    /// If the shape does not fit.
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        let scope = layer_scope(self);
        let (x, weight) = (&*x.as_var(), Var::constant(self.weight()));
        // A compiled step would keep the weights of now: it is refused, as whatever reads numbers.
        let _ = x.value();
        let bias = self.bias.as_ref().map(|bias| Var::constant(bias.value()));
        scope.gives(match &self.conv {
            None => x.linear(&weight, bias.as_ref()),
            Some(conv) => x.conv2d(&weight, bias.as_ref(), conv.clone()),
        })
    }
}

/// Members are `weight`, two numbers a byte, `layout`, the size of a group and the shape, `weight_scale` and `bias`.
impl<T: Float> Module<T> for FourBit<T> {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path, Member::Layer(LayerId::of(self)));
        visitor(path.field("weight"), Member::Packed(&self.levels));
        visitor(path.field("layout"), Member::Packed(&self.layout));
        visitor(path.field("weight_scale"), Member::Packed(&self.scales));
        self.bias.visit(path.field("bias"), visitor);
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
        visitor(path.field("weight"), MemberMut::Packed(&mut self.levels));
        visitor(path.field("layout"), MemberMut::Packed(&mut self.layout));
        visitor(path.field("weight_scale"), MemberMut::Packed(&mut self.scales));
        self.bias.visit_mut(path.field("bias"), visitor);
    }
}

impl<T: Float> Layer<T> for FourBit<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}

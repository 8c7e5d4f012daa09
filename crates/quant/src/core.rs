//! The part that dense layers and convolutions of integers share.

use std::sync::Arc;

use gradus_autograd::{Conv, Float, Inputs, Operation, Shape, Tensor, TensorError, Var, apply, int8, shapes};
use gradus_nn::packed::{check_integers, integers};
use gradus_nn::{Buffer, Member, MemberMut, Packed, Path, StateTensor};

use crate::error::QuantError;
use crate::observer::check_finite;
use crate::params::{Params, Scheme};

/// The levels of a weight.
#[derive(Debug, Clone)]
struct Levels {
    weights: int8::Weights,
    groups: usize,
}

impl Levels {
    fn to_tensor(&self) -> Tensor<i64> {
        let levels: Tensor<i64> = self.weights.to_levels().into_iter().map(i64::from).collect();
        levels.reshape(self.weights.shape())
    }

    fn of(levels: &Tensor<i64>, groups: usize) -> Self {
        let bytes: Vec<i8> = levels.iter().map(|level| level as i8).collect();
        Self { weights: int8::Weights::new(&bytes, levels.shape(), groups), groups }
    }
}

impl Packed for Levels {
    fn to_state(&self) -> StateTensor {
        StateTensor::I8(self.to_tensor())
    }
    fn set_state(&mut self, numbers: &StateTensor) {
        if let Some(levels) = integers(numbers) {
            *self = Self::of(levels, self.groups);
        }
    }
    fn check(&self, numbers: &StateTensor) -> Option<String> {
        check_integers(numbers, -128..=127)
    }
}

/// The largest sum of so many products of levels, which are 255 and 128 at most.
fn largest_sum(terms: usize) -> i64 {
    (terms as i64).saturating_mul(255 * 128)
}

/// How the inputs of a layer become levels.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// With a scale for the numbers of each call.
    Dynamic(Scheme),
    /// With a scale that was chosen before.
    Static(Params),
}

/// A product of levels.
#[derive(Debug, Clone)]
pub(crate) struct Core<T: Float> {
    weight: Levels,
    weight_scale: Vec<f32>,
    bias: Option<Buffer<T>>,
    input: Input,
    output: Option<Params>,
    /// Of a convolution.
    conv: Option<Conv>,
}

impl<T: Float> Core<T> {
    #[track_caller]
    pub(crate) fn new(
        weight: &Tensor<T>,
        bias: Option<&Tensor<T>>,
        params: &Params,
        conv: Option<Conv>,
    ) -> Result<Self, QuantError> {
        check_finite("weight", weight)?;
        if let Some(bias) = bias {
            check_finite("bias", bias)?;
        }
        let scheme = params.scheme();
        let fits = scheme.low() < 0 && params.zero_points().iter().all(|&zero| zero == 0);
        if !fits || !matches!(scheme.axis(), None | Some(0)) {
            return Err(QuantError::Unsupported {
                what: "the weight of an integer layer".into(),
                found: format!("{scheme:?} with zero points {:?}", params.zero_points()),
                expected: "levels with a sign around 0 are needed, one scale or one for each output, as in `Scheme::weights`",
            });
        }
        let terms: usize = weight.shape()[1..].iter().product();
        if largest_sum(terms) > i32::MAX.into() {
            return Err(QuantError::Unsupported {
                what: "the weight of an integer layer".into(),
                found: format!("{terms} numbers for each output"),
                expected: "65793 at most, so that their products with inputs fit sums of 32 bits",
            });
        }
        let groups = conv.as_ref().map_or(1, Conv::group_count);
        Ok(Self {
            weight: Levels::of(&params.quantize(weight)?, groups),
            weight_scale: params.scales().to_vec(),
            bias: bias.map(Buffer::new),
            input: Input::Dynamic(Scheme::uint8()),
            output: None,
            conv,
        })
    }

    #[track_caller]
    pub(crate) fn set_input(&mut self, input: Input) {
        let axis = match &input {
            Input::Dynamic(scheme) => scheme.axis().filter(|_| self.conv.is_some() || !scheme.symmetric),
            Input::Static(params) => params.scheme().axis(),
        };
        assert!(
            axis.is_none(),
            "quantized layer: the input has scales along axis {axis:?}: it must have one scale for all numbers; \
             a dense layer may have one for each row, if it is dynamic and symmetric"
        );
        self.input = input;
    }

    #[track_caller]
    pub(crate) fn set_output(&mut self, output: Params) {
        assert!(output.scheme().axis().is_none(), "quantized layer: the output must have one scale");
        assert!(
            matches!(self.input, Input::Static(_)),
            "quantized layer: the input must have fixed parameters before the output gets some"
        );
        self.output = Some(output);
        self.bias_levels(); // looks whether they fit
    }

    /// The levels of the input, and the scale of all rows or of each. For numbers that are not finite scales are NaN.
    #[track_caller]
    fn codes(&self, x: &Tensor<T>) -> (int8::Codes, Vec<f64>) {
        let scheme = match &self.input {
            Input::Static(params) => {
                let codes = int8::Codes::new(x, params.scales(), params.kernel_levels());
                let scale = if codes.has_nan() { f64::NAN } else { params.scales()[0].into() };
                return (codes, vec![scale]);
            }
            Input::Dynamic(scheme) => scheme,
        };
        let length = x.shape().last().copied().unwrap_or(1);
        let (low, high) = if x.is_empty() {
            (vec![0.0], vec![0.0])
        } else if scheme.axis().is_some() {
            let rows = x.contiguous().reshape((-1, length as isize));
            (doubles(&rows.min(1)), doubles(&rows.max(1)))
        } else {
            (doubles(&x.min(..)), doubles(&x.max(..)))
        };
        if let Ok(params) = Params::of_range(&low, &high, scheme) {
            let codes = int8::Codes::new(x, params.scales(), params.kernel_levels());
            (codes, params.scales().iter().map(|&scale| scale.into()).collect())
        } else {
            let zero_point = scheme.low().max(0);
            let levels = int8::Levels { low: scheme.low(), high: scheme.high(), zero_point };
            (int8::Codes::new(x, &[1.0], levels), vec![f64::NAN])
        }
    }

    /// The products, with the integer bias if outputs are levels.
    #[track_caller]
    fn product(&self, codes: &int8::Codes) -> int8::Sums {
        let bias: Option<Vec<i32>> =
            self.bias_levels().map(|bias| bias.iter().map(|level| level as i32).collect());
        match &self.conv {
            None => self.weight.weights.linear(codes, bias.as_deref()),
            Some(conv) => self.weight.weights.conv2d(codes, conv, bias.as_deref()),
        }
    }

    /// The worth of a unit of the sums, for all outputs or for each.
    fn unit(&self, input: f64) -> Vec<f64> {
        self.weight_scale.iter().map(|&scale| input * f64::from(scale)).collect()
    }

    /// The bias in units of the sums, which must fit beside them.
    #[track_caller]
    pub(crate) fn bias_levels(&self) -> Option<Tensor<i64>> {
        let (Some(_), Some(bias), Input::Static(input)) = (&self.output, &self.bias, &self.input) else {
            return None;
        };
        let unit = self.unit(input.scales()[0].into());
        let bias = bias.value();
        let terms = self.weight.weights.shape()[1..].iter().product();
        let most = (i64::from(i32::MAX) - largest_sum(terms)) as f64;
        let in_units = |(i, bias): (usize, T)| (bias.to_f64() / unit[i % unit.len()]).round_ties_even();
        let levels: Vec<f64> = bias.iter().enumerate().map(in_units).collect();
        if let Some(i) = levels.iter().position(|level| level.is_nan() || level.abs() > most) {
            panic!(
                "quantized layer: bias {i} is {} units of the sums, more than sums of 32 bits hold: without `output` it stays a \
                 number, and the scale of the input must fit its numbers",
                levels[i]
            );
        }
        Some(levels.into_iter().map(|level| level as i64).collect())
    }

    pub(crate) fn weight_levels(&self) -> Tensor<i64> {
        self.weight.to_tensor()
    }

    #[track_caller]
    pub(crate) fn input_levels(&self, x: &Tensor<T>) -> Tensor<i64> {
        self.codes(x).0.to_tensor()
    }

    #[track_caller]
    pub(crate) fn sums(&self, x: &Tensor<T>) -> Tensor<i64> {
        self.product(&self.codes(x).0).to_tensor()
    }

    #[track_caller]
    pub(crate) fn output_levels(&self, x: &Tensor<T>) -> Option<Tensor<i64>> {
        let (output, (codes, _)) = (self.output.as_ref()?, self.codes(x));
        Some(self.requantized(&codes, output))
    }

    #[track_caller]
    fn requantized(&self, codes: &int8::Codes, output: &Params) -> Tensor<i64> {
        let Input::Static(input) = &self.input else { unreachable!("`set_output` looked at it") };
        let unit = f64::from(input.scales()[0]) / f64::from(output.scales()[0]);
        self.product(codes).requantized(&self.unit(unit), output.kernel_levels())
    }

    #[track_caller]
    fn run(&self, x: &Tensor<T>) -> Tensor<T> {
        let (codes, scales) = self.codes(x);
        if let Some(output) = &self.output {
            let y = output.dequantize(&self.requantized(&codes, output));
            return if codes.has_nan() { y * T::NAN } else { y };
        }
        let units: Vec<f64> = self.weight_scale.iter().map(|&scale| scale.into()).collect();
        let bias = self.bias.as_ref().map(Buffer::value);
        match &self.conv {
            Some(conv) => self.weight.weights.conv2d_scaled(&codes, conv, (scales[0], &units), bias.as_ref()),
            None => self.product(&codes).scaled(&scales, &units, bias.as_ref()),
        }
    }

    pub(crate) fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path.field("weight"), Member::Packed(&self.weight));
        visitor(path.field("weight_scale"), Member::Packed(&self.weight_scale));
        if let Some(bias) = &self.bias {
            visitor(path.field("bias"), Member::Buffer(bias));
        }
        let input = if let Input::Static(input) = &self.input { Some(input) } else { None };
        for (params, name) in [(input, "input"), (self.output.as_ref(), "output")] {
            if let Some(params) = params {
                visitor(path.field(name), Member::Packed(params));
            }
        }
    }

    pub(crate) fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>),
    ) {
        visitor(path.field("weight"), MemberMut::Packed(&mut self.weight));
        visitor(path.field("weight_scale"), MemberMut::Packed(&mut self.weight_scale));
        if let Some(bias) = &mut self.bias {
            visitor(path.field("bias"), MemberMut::Buffer(bias));
        }
        let input = if let Input::Static(input) = &mut self.input { Some(input) } else { None };
        for (params, name) in [(input, "input"), (self.output.as_mut(), "output")] {
            if let Some(params) = params {
                visitor(path.field(name), MemberMut::Packed(params));
            }
        }
    }
}

fn doubles<T: Float>(x: &Tensor<T>) -> Vec<f64> {
    x.iter().map(gradus_autograd::Number::to_f64).collect()
}

/// The layer as an operation of the tape, which has no derivative.
#[derive(Debug)]
struct Quantized<T: Float>(Arc<Core<T>>);

impl<T: Float> Operation<T> for Quantized<T> {
    fn name(&self) -> &'static str {
        if self.0.conv.is_some() { "quantized_conv2d" } else { "quantized_linear" }
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        let weight = self.0.weight.weights.shape();
        Some(match &self.0.conv {
            Some(conv) => conv.output_shape("quantized conv2d", 2, inputs[0], weight, None),
            None => shapes::linear_shape(inputs[0], weight, None),
        })
    }
    #[track_caller]
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        self.0.run(inputs[0])
    }
    fn multiply_adds(&self, _: &[&[usize]], output: &[usize]) -> u64 {
        let weight = self.0.weight.weights.shape();
        (output.iter().product::<usize>() * weight[1..].iter().product::<usize>()) as u64
    }
}

#[track_caller]
pub(crate) fn run<T: Float>(core: &Arc<Core<T>>, x: &Var<T>) -> Var<T> {
    // A compiled step would keep the weights of now: it is refused, as whatever reads numbers.
    let _ = x.value();
    apply(Quantized(Arc::clone(core)), &[x])
}

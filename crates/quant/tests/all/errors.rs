//! Errors and panics, word for word.

use gradus_autograd::{Tensor, no_grad, seeded};
use gradus_nn::{BatchNorm2d, Linear, Lstm, Module, Relu, Sequential, State, StateTensor};
use gradus_quant::{FourBit, LearnedStep, Observer, Params, QLinear, QLstm, QuantError, Quantizer, Scheme};

fn message<V: std::fmt::Debug>(result: Result<V, QuantError>) -> String {
    result.expect_err("it is wrong").to_string()
}

#[test]
fn numbers_and_parameters() {
    let scheme = Scheme::uint8();
    let mut observer = Observer::min_max(&scheme);
    assert_eq!(
        message(observer.params()),
        "observer: no numbers were observed: run the model on some batches of data first"
    );
    observer.observe(&Tensor::<f32>::zeros([0, 3])).unwrap();
    assert!(observer.params().is_err());
    assert_eq!(
        message(observer.observe(&Tensor::from([[0.0, 1.0], [f64::NAN, 2.0]]))),
        "observe: the number at [1, 0] is NaN: all numbers must be finite"
    );
    assert_eq!(
        message(Params::of_range(&[f64::NAN], &[1.0], &scheme)),
        "range: NaN to 1 of channel 0: both ends must be finite, the lower one first"
    );
    assert_eq!(
        message(Params::of_range(&[2.0], &[1.0], &scheme)),
        "range: 2 to 1 of channel 0: both ends must be finite, the lower one first"
    );
    assert_eq!(
        message(Params::new(vec![0.0], vec![0], &scheme)),
        "scale 0 of channel 0: scales must be positive and finite"
    );
    assert_eq!(
        message(Params::new(vec![1.0], vec![-1], &scheme)),
        "zero point -1 of channel 0: it must be one of the levels, 0 to 255"
    );
    let mut observer = Observer::min_max(&Scheme::weights());
    observer.observe(&Tensor::<f32>::zeros([2, 3])).unwrap();
    assert_eq!(
        message(observer.observe(&Tensor::<f32>::zeros([3, 3]))),
        "3 channels along axis 0: there must be 2, as in the first batch"
    );
    let params = Params::of_range(&[-1.0], &[1.0], &scheme).unwrap();
    assert_eq!(
        message(params.quantize(&Tensor::from([0.0, f64::NAN]))),
        "quantize: the number at [1] is NaN: all numbers must be finite"
    );
}

#[test]
fn layers_that_cannot_be_quantised() {
    let mut linear = Linear::<f32>::new(2, 2, &mut seeded(0));
    linear.weight.set([[1.0, f32::INFINITY], [0.0, 0.0]]);
    assert_eq!(
        message(QLinear::new(&linear)),
        "observe: the number at [0, 1] is inf: all numbers must be finite"
    );
    assert_eq!(
        message(FourBit::linear(&linear, 32)),
        "weight: the number at [0, 1] is inf: all numbers must be finite"
    );
    linear.weight.set([[1.0, 2.0], [0.0, 0.0]]);
    let params = Params::of(linear.weight.value(), &Scheme::uint8()).unwrap();
    let error = message(QLinear::with_params(&linear, params));
    assert!(error.ends_with(
        "levels with a sign around 0 are needed, one scale or one for each output, as in `Scheme::weights`"
    ));

    let mut model: Sequential = Sequential::new().push(linear).push(Relu).push(BatchNorm2d::new(3));
    let quantizer = Quantizer::new();
    let prepared = quantizer.observe(&mut model);
    assert_eq!((prepared.replaced(), prepared.left()), (1, vec!["2"]));
    assert!(
        prepared
            .to_string()
            .contains("2            BatchNorm2d  left as it is: there is no integer form of it")
    );
    assert_eq!(
        message(quantizer.convert(&mut model)),
        "0: no numbers were observed: run the model on some batches of data first"
    );
    let _ = no_grad(|| model[0].forward(&Tensor::from([[f32::NAN, 1.0]]).into()));
    assert_eq!(
        message(quantizer.convert(&mut model)),
        "0: observe: the number at [0, 0] is NaN: all numbers must be finite"
    );
}

/// Ranges that were never seen, by whatever way, are no ranges; and the layers of numbers stay.
#[test]
fn conversion_without_data_names_the_layer() {
    let model: Sequential = Sequential::new().push(Relu).push(Linear::new(2, 2, &mut seeded(0)));
    let none = "1: no numbers were observed: run the model on some batches of data first";
    let histogram = Quantizer::new().histogram(16);
    let (mut trained, mut counted) = (model.clone(), model);
    histogram.observe(&mut counted);
    Quantizer::new().train(&mut trained);
    for model in [&mut trained, &mut counted] {
        assert_eq!(message(Quantizer::new().convert(model)), none);
        // A batch without numbers changes nothing.
        let _ = no_grad(|| model.forward(Tensor::zeros([0, 2])));
        assert_eq!(message(Quantizer::new().convert(model)), none);
        assert_eq!(model.parameter_count(), 6);
        let _ = no_grad(|| model.forward(Tensor::ones([1, 2])));
        assert_eq!(Quantizer::new().convert(model).unwrap().replaced(), 1);
    }
}

/// No layer is replaced if one of them cannot be.
#[test]
fn a_model_is_converted_as_a_whole() {
    let rng = &mut seeded(0);
    let mut last = Linear::<f32>::new(2, 2, rng);
    last.weight.set([[1.0, f32::INFINITY], [0.0, 0.0]]);
    let mut model: Sequential = Sequential::new().push(Linear::new(2, 2, rng)).push(last);
    let quantizer = Quantizer::new();
    let expected = "1: observe: the number at [0, 1] is inf: all numbers must be finite";
    assert_eq!(message(quantizer.dynamic(&mut model)), expected);
    assert_eq!(
        message(quantizer.four_bit(&mut model, 32)),
        "1: weight: the number at [0, 1] is inf: all numbers must be finite"
    );
    assert_eq!(model.parameter_count(), 12);
}

#[test]
#[should_panic(expected = "they need symmetric levels around 0")]
fn weights_without_a_sign_are_refused_before_training() {
    let _ = Quantizer::new().schemes(Scheme::uint8(), Scheme::uint8());
}

#[test]
fn sums_beyond_32_bits_are_refused() {
    let wide = |inputs| Linear::<f32>::new(inputs, 1, &mut seeded(0));
    assert!(QLinear::new(&wide(65_793)).is_ok());
    assert_eq!(
        message(QLinear::new(&wide(65_794))),
        "the weight of an integer layer: it has 65794 numbers for each output; 65793 at most, so that their products with \
         inputs fit sums of 32 bits"
    );
}

/// A layer that saw only zeros has the least scale, in which a usual bias is too large.
#[test]
#[should_panic(expected = "more than sums of 32 bits hold")]
fn a_bias_beyond_32_bits_is_refused() {
    let mut linear = Linear::<f32>::new(2, 1, &mut seeded(0));
    linear.weight.set([[0.01, 0.01]]);
    linear.bias.as_mut().unwrap().set([1.0]);
    let zeros = Params::of(&Tensor::<f32>::zeros([2]), &Scheme::uint8()).unwrap();
    let output = Params::of_range(&[-1.0], &[1.0], &Scheme::uint8()).unwrap();
    let _ = QLinear::new(&linear).unwrap().input(zeros).output(output);
}

/// Bytes and scales agree by chance; groups and shapes do not.
#[test]
fn four_bits_with_another_layout_are_refused() {
    let four =
        |inputs, group| FourBit::linear(&Linear::<f32>::new(inputs, 3, &mut seeded(0)), group).unwrap();
    for (from, mut to) in [(four(40, 32), four(40, 20)), (four(7, 32), four(8, 32))] {
        let error = to.load_state(&from.state()).expect_err("other numbers").to_string();
        assert!(error.contains("layout: the numbers are"), "{error}");
    }
}

/// Inputs keep the levels that they were saved with.
#[test]
fn levels_of_inputs_are_loaded() {
    let linear = Linear::<f32>::new(2, 3, &mut seeded(0));
    let layer = |scheme| {
        let params = Params::of_range(&[-1.0], &[1.2], &scheme).unwrap();
        QLinear::new(&linear).unwrap().input(params)
    };
    let (saved, mut other) = (layer(Scheme::int8()), layer(Scheme::uint8()));
    let mut state = State::from_bytes(&saved.state().to_bytes().unwrap()).unwrap();
    other.load_state(&state).unwrap();
    let x = Tensor::from([[-0.9_f32, 1.1]]);
    assert_eq!(other.input_levels(&x), saved.input_levels(&x));
    assert_eq!(other.forward(&x).value(), saved.forward(&x).value());
    for (numbers, fault) in [
        ([0.0, 255.0, 1.0, -10.0], "input: a zero point is -10: it must be one of the levels, 0 to 255"),
        (
            [-128.0, 255.0, 1.0, 0.0],
            "input: the levels are -128 to 255: they must be within -128 to 127 or 0 to 255",
        ),
        ([0.0, 255.0, 0.0, 0.0], "input: a scale is 0: scales must be positive and finite"),
    ] {
        state.insert("input", StateTensor::F64(Tensor::from(numbers)));
        let error = other.load_state(&state).expect_err("wrong numbers").to_string();
        assert!(error.ends_with(fault), "{error}");
    }
}

#[test]
fn learned_steps_know_their_levels() {
    let step = |levels| LearnedStep::of(&Tensor::from([1.0_f32, -2.0]), levels).unwrap();
    let error = step(-8..=7).load_state(&step(-2..=1).state()).expect_err("other levels").to_string();
    assert!(error.ends_with("levels: the numbers are [-2, 1]: this layer needs [-8, 7]"), "{error}");
    assert_eq!(
        message(LearnedStep::of(&Tensor::<f32>::zeros([0]), -8..=7)),
        "learned step: no numbers were observed: run the model on some batches of data first"
    );
    assert_eq!(
        message(LearnedStep::of(&Tensor::from([f32::NAN]), -8..=7)),
        "learned step: the number at [0] is NaN: all numbers must be finite"
    );
    let zeros = Tensor::<f32>::zeros([2]);
    assert_eq!(LearnedStep::of(&zeros, -8..=7).unwrap().forward(&zeros).value(), &zeros);
}

#[test]
fn states_with_scales_of_zero_are_refused() {
    let mut layer = QLinear::new(&Linear::<f32>::new(2, 3, &mut seeded(0))).unwrap();
    let mut state = layer.state();
    state.insert("weight_scale", StateTensor::F32(Tensor::from([1.0, 0.0, 1.0])));
    let error = layer.load_state(&state).expect_err("a scale is zero").to_string();
    assert!(error.ends_with("weight_scale: a scale is 0: scales must be positive and finite"), "{error}");
    state.insert("weight_scale", StateTensor::F32(Tensor::ones([3])));
    state.insert("weight", StateTensor::I64(Tensor::from([[1, 2], [3, 200], [5, 6]])));
    let error = layer.load_state(&state).expect_err("a level is too large").to_string();
    assert!(error.ends_with("weight: a number is 200: numbers must be from -128 to 127"), "{error}");
    assert!(State::from_bytes(&layer.state().to_bytes().unwrap()).is_ok());
}

#[test]
#[should_panic(expected = "quantized_linear")]
fn a_backward_pass_names_the_layer() {
    let layer = QLinear::new(&Linear::<f32>::new(2, 3, &mut seeded(0))).unwrap();
    let x = gradus_autograd::Var::leaf([[1.0, 2.0]]);
    let _ = layer.forward(&x).sum(..).backward();
}

#[test]
fn recurrent_layers_are_calibrated_with_finite_steps() {
    let layer = QLstm::new(&Lstm::<f32>::new(2, 3, 1, &mut seeded(0))).unwrap();
    let error = |sequences: &[Tensor<f32>]| layer.clone().calibrated(sequences).unwrap_err().to_string();
    let none = "observer: no numbers were observed: run the model on some batches of data first";
    assert_eq!(error(&[]), none);
    assert_eq!(error(&[Tensor::zeros([0, 1, 2])]), none);
    let x = Tensor::from([[[0.0, f32::NAN]]]);
    assert_eq!(error(&[x]), "observe: the number at [0, 0, 1] is NaN: all numbers must be finite");
}

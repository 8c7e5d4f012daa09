//! Errors and panics, word for word.

use gradus_autograd::{Tensor, no_grad, seeded};
use gradus_nn::{BatchNorm2d, Linear, Module, Relu, Sequential, State, StateTensor};
use gradus_quant::{FourBit, Observer, Params, QLinear, QuantError, Quantizer, Scheme};

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
        "observe: the number at [0, 0] is NaN: all numbers must be finite"
    );
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

//! Integer layers against the layers that they were made from, and against exact arithmetic.

use gradus_autograd::{Conv, Tensor, Var, seeded};
use gradus_nn::{BatchNorm2d, Conv2d, Gru, Linear, Lstm, Module, Relu6, Rnn, State};
use gradus_quant::{FourBit, Params, QConv2d, QGru, QLinear, QLstm, QRnn, Scheme, fold_batch_norm};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The result is the product of the numbers that the levels stand for.
    #[test]
    fn a_dense_layer_multiplies_what_its_levels_stand_for(
        (rows, inputs, outputs) in (0..20_usize, 1..40_usize, 1..20_usize),
        fixed: bool,
        by_row: bool,
        seed: u64,
    ) {
        let rng = &mut seeded(seed);
        let (float, x) = (Linear::<f64>::new(inputs, outputs, rng), Tensor::randn([2, rows, inputs], rng));
        let mut layer = QLinear::new(&float).unwrap();
        let weight = Params::of(float.weight.value(), &Scheme::weights()).unwrap();
        let weight = weight.dequantize::<f64>(&layer.weight_levels());
        let input = if fixed && rows > 0 {
            let params = Params::of(&(&x * 0.7), &Scheme::int8()).unwrap();
            layer = layer.input(params.clone());
            params.dequantize(&params.quantize(&x).unwrap())
        } else if by_row && rows > 0 {
            let scheme = Scheme::int8().levels(-127..=127).symmetric().per_channel(0);
            layer = layer.dynamic(&scheme);
            let flat = x.reshape([2 * rows, inputs]);
            let params = Params::of(&flat, &scheme).unwrap();
            params.dequantize(&params.quantize(&flat).unwrap()).reshape(x.shape())
        } else if rows > 0 {
            let params = Params::of(&x, &Scheme::uint8()).unwrap();
            params.dequantize(&params.quantize(&x).unwrap())
        } else {
            x.clone()
        };
        let expected = Var::constant(input).linear(&Var::constant(weight), float.bias.as_deref());
        let got = layer.forward(&x);
        prop_assert!(got.value().allclose(expected.value(), 1e-12, 1e-12));
    }

    /// Levels of 4 bits, in groups that need not divide the row.
    #[test]
    fn four_bits_are_within_half_a_step(outputs in 1..5_usize, inputs in 1..40_usize, group in 1..20_usize, seed: u64) {
        let float = Linear::<f64>::new(inputs, outputs, &mut seeded(seed));
        let layer = FourBit::linear(&float, group).unwrap();
        let (weight, got) = (float.weight.value(), layer.weight());
        for row in 0..outputs {
            for start in (0..inputs).step_by(group) {
                let part = |x: &Tensor<f64>| x.select(0, row as isize).slice(0, start as isize..(start + group).min(inputs) as isize);
                let (x, y) = (part(weight), part(&got));
                let step = x.abs().max(..).item() / 7.0;
                prop_assert!((x - y).abs().max(..).item() <= step * 0.5001);
            }
        }
        let mut other = FourBit::linear(&Linear::<f64>::new(inputs, outputs, &mut seeded(!seed)), group).unwrap();
        let state = State::from_bytes(&layer.state().to_bytes().unwrap()).unwrap();
        other.load_state(&state).unwrap();
        prop_assert_eq!(other.weight(), got);
    }

    #[test]
    fn a_convolution_with_levels_behind(groups in 1..3_usize, biased: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let conv = Conv::new().padding(1).stride(2).groups(groups);
        let float = Conv2d::<f64>::new(2 * groups, 3 * groups, 3, conv.clone(), rng);
        let float = if biased { float } else { float.without_bias() };
        let x = Tensor::randn([2, 2 * groups, 6, 5], rng);
        let expected = float.forward(&x);
        let input = Params::of(&x, &Scheme::uint8()).unwrap();
        let output = Params::of(&(expected.value() * 1.2), &Scheme::uint8()).unwrap();
        let layer = QConv2d::new(&float).unwrap().input(input.clone());
        // The levels of the input in place of itself: what is left is the error of the weight.
        let seen: Tensor<f64> = input.dequantize(&input.quantize(&x).unwrap());
        let weight = Params::of(float.weight.value(), &Scheme::weights()).unwrap();
        let weight = Var::constant(weight.dequantize::<f64>(&layer.weight_levels()));
        let exact = Var::constant(seen).conv2d(&weight, float.bias.as_deref(), conv);
        prop_assert!(layer.forward(&x).value().allclose(exact.value(), 1e-12, 1e-12));
        let levels = layer.output(output.clone());
        let error = (levels.forward(&x).value() - exact.value()).abs().max(..).item();
        prop_assert!(error <= f64::from(output.scales()[0]) * 0.6, "{error}");
        let integers = levels.output_levels(&x).unwrap();
        prop_assert_eq!(output.dequantize::<f64>(&integers), levels.forward(&x).value().clone());
    }

    #[test]
    fn recurrent_layers_are_near(bidirectional: bool, batch_first: bool, clipped: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let make = if bidirectional { Lstm::<f32>::bidirectional } else { Lstm::new };
        let mut lstm = make(5, 8, 2, rng);
        lstm.batch_first = batch_first;
        let make = if bidirectional { Gru::<f32>::bidirectional } else { Gru::new };
        let mut gru = make(5, 8, 2, rng);
        gru.batch_first = batch_first;
        let make = if bidirectional { Rnn::<f32>::bidirectional } else { Rnn::new };
        let mut rnn = make(5, 8, 2, rng);
        rnn.batch_first = batch_first;
        if clipped {
            rnn = rnn.activation(Relu6);
        }
        let x = Tensor::randn([4, 3, 5], rng);
        let parts = if bidirectional { 4 } else { 2 };
        let state = Var::constant(Tensor::randn([parts, if batch_first { 4 } else { 3 }, 8], rng));
        for state in [None, Some(&state)] {
            let near = |got: &Var<f32>, want: &Var<f32>| got.value().allclose(want.value(), 0.0, 0.05);
            let both = state.map(|state| [state, state]);
            let (y, [h, c]) = QLstm::new(&lstm).unwrap().forward(&x, both);
            let (want, [want_h, want_c]) = lstm.forward(&x, both);
            prop_assert!(near(&y, &want) && near(&h, &want_h) && near(&c, &want_c));
            let (y, h) = QGru::new(&gru).unwrap().forward(&x, state);
            let (want, want_h) = gru.forward(&x, state);
            prop_assert!(near(&y, &want) && near(&h, &want_h));
            let (y, h) = QRnn::new(&rnn).unwrap().forward(&x, state);
            let (want, want_h) = rnn.forward(&x, state);
            prop_assert!(near(&y, &want) && near(&h, &want_h));
        }
    }

    /// With fixed ranges an example's result does not depend on the others of its batch; the state of a layer has the ranges.
    #[test]
    fn calibrated_recurrent_layers_look_at_no_numbers(bidirectional: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let make = if bidirectional { Lstm::<f32>::bidirectional } else { Lstm::new };
        let lstm = make(5, 8, 2, rng);
        let gru = Gru::<f32>::new(5, 8, 1, rng);
        let x = Tensor::randn([4, 3, 5], rng);
        let sequences = [x.clone(), &x * 0.5];
        let layer = QLstm::new(&lstm).unwrap().calibrated(&sequences).unwrap();
        let (y, _) = layer.forward(&x, None);
        prop_assert!(y.value().allclose(lstm.forward(&x, None).0.value(), 0.0, 0.05));
        let (alone, _) = layer.forward(x.slice(1, 1..2), None);
        prop_assert_eq!(alone.value(), &y.value().slice(1, 1..2));
        let mut other = QLstm::new(&make(5, 8, 2, rng)).unwrap().calibrated(&[Tensor::ones([1, 1, 5])]).unwrap();
        other.load_state(&layer.state()).unwrap();
        let (loaded, _) = other.forward(&x, None);
        prop_assert_eq!(loaded.value(), y.value());
        let layer = QGru::new(&gru).unwrap().calibrated(&sequences).unwrap();
        let (y, _) = layer.forward(&x, None);
        prop_assert!(y.value().allclose(gru.forward(&x, None).0.value(), 0.0, 0.05));
        let (alone, _) = layer.forward(x.slice(1, 1..2), None);
        prop_assert_eq!(alone.value(), &y.value().slice(1, 1..2));
        let rnn = Rnn::<f32>::new(5, 8, 2, rng);
        let layer = QRnn::new(&rnn).unwrap().calibrated(&sequences).unwrap();
        let (y, _) = layer.forward(&x, None);
        prop_assert!(y.value().allclose(rnn.forward(&x, None).0.value(), 0.0, 0.05));
        let (alone, _) = layer.forward(x.slice(1, 1..2), None);
        prop_assert_eq!(alone.value(), &y.value().slice(1, 1..2));
    }

    /// A step is the one of the layer with the weights that the levels stand for, on the state that the levels stand for.
    #[test]
    fn a_plain_step_computes_with_levels(seed: u64) {
        let rng = &mut seeded(seed);
        let mut rnn = Rnn::<f64>::new(3, 4, 1, rng);
        let layer = QRnn::new(&rnn).unwrap();
        let rounded = |x: &Tensor<f64>, scheme: &Scheme| {
            let params = Params::of(x, scheme).unwrap();
            params.dequantize::<f64>(&params.quantize(x).unwrap())
        };
        let cell = &mut rnn.layers[0];
        for weight in [&mut cell.weight_ih, &mut cell.weight_hh] {
            weight.set(rounded(weight.value(), &Scheme::weights()));
        }
        let (x, h) = (Tensor::randn([1, 2, 3], rng), Tensor::randn([1, 2, 4], rng));
        let (y, _) = layer.forward(&x, Some(&Var::constant(&h)));
        let state = Var::constant(rounded(&h, &Scheme::uint8()));
        let (expected, _) = rnn.forward(rounded(&x, &Scheme::uint8()), Some(&state));
        prop_assert!(y.value().allclose(expected.value(), 1e-12, 1e-12));
    }

    #[test]
    fn folding_changes_nothing(with_bias: bool, affine: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let conv = Conv2d::<f64>::new(2, 3, 3, Conv::new(), rng);
        let conv = if with_bias { conv } else { conv.without_bias() };
        let mut norm = BatchNorm2d::new(3);
        norm.running_mean.set(Tensor::randn([3], rng));
        norm.running_var.set(Tensor::<f64>::rand([3], rng) + 0.1);
        if affine {
            norm.weight.as_mut().unwrap().set(Tensor::randn([3], rng));
            norm.bias.as_mut().unwrap().set(Tensor::randn([3], rng));
        } else {
            (norm.weight, norm.bias) = (None, None);
        }
        let x = Tensor::randn([2, 2, 5, 5], rng);
        let expected = norm.evaluate(|norm| norm.forward(conv.forward(&x)));
        prop_assert!(fold_batch_norm(&conv, &norm).forward(&x).value().allclose(expected.value(), 1e-10, 1e-12));
    }
}

/// A number that no level stands for is not passed off as one.
#[test]
fn nan_stays_nan() {
    let float = Linear::<f32>::new(2, 3, &mut seeded(0));
    let x = Tensor::from([[1.0, f32::NAN], [1.0, 2.0]]);
    let layer = QLinear::new(&float).unwrap();
    assert!(layer.forward(&x).value().iter().all(f32::is_nan));
    let params = Params::of_range(&[-1.0], &[2.0], &Scheme::uint8()).unwrap();
    let layer = layer.input(params.clone());
    assert!(layer.forward(&x).value().iter().all(f32::is_nan));
    assert!(layer.output(params).forward(&x).value().iter().all(f32::is_nan));
    let infinite = QLinear::new(&float).unwrap().forward(Tensor::from([[f32::INFINITY, 1.0]]));
    assert!(infinite.value().iter().all(f32::is_nan));
}

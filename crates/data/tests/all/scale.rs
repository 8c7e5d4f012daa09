//! The laws of scalers.

use gradus_autograd::{Tensor, Var, keepdim, seeded};
use gradus_data::{DataError, MinMax, Standardize};
use gradus_nn::{Layer, Linear, Module, Sequential};
use proptest::prelude::*;

proptest! {
    #[test]
    fn scaled_features_have_mean_0_and_variance_1(
        rows in 2_usize..30, features in 1_usize..5, seed: u64, offset in -1e3..1e3_f64, log in -8.0..8.0_f64,
    ) {
        let rng = &mut seeded(seed);
        let x = Tensor::<f64>::randn([rows, features], rng) * log.exp() + offset;
        let scaler = Standardize::fit(&x).unwrap();
        let y = scaler.transform(&x);
        let tolerance = 1e-12 * (1.0 + offset.abs() / log.exp());
        prop_assert!(y.mean(0).allclose(&Tensor::zeros([features]), 0.0, tolerance));
        prop_assert!(y.var(0, 0).allclose(&Tensor::ones([features]), 0.0, tolerance));
        prop_assert!(scaler.inverse(&y).allclose(&x, 1e-12, 1e-12 * offset.abs()));
        prop_assert_eq!(scaler.forward(&x).into_value(), y.clone());
        prop_assert_eq!(Layer::forward(&scaler, &Var::constant(x)).into_value(), y);
    }

    #[test]
    fn scaled_features_reach_from_0_to_1(rows in 2_usize..30, features in 1_usize..5, seed: u64) {
        let x = Tensor::<f64>::randn([rows, features], &mut seeded(seed)) * 3.0;
        let scaler = MinMax::fit(&x).unwrap();
        let y = scaler.transform(&x);
        prop_assert_eq!((y.min(0), y.max(0)), (Tensor::zeros([features]), Tensor::ones([features])));
        prop_assert!(scaler.inverse(&y).allclose(&x, 1e-12, 1e-12));
    }

    /// Up to the largest numbers, or there is an error.
    #[test]
    fn scaled_features_are_finite(low: f32, high: f32) {
        prop_assume!(low.is_finite() && high.is_finite() && low < high);
        let x = Tensor::from([[low], [high]]);
        let wanted = DataError::Range { index: vec![0], low: low.into(), high: high.into() }.to_string();
        match MinMax::fit(&x) {
            Ok(scaler) => prop_assert_eq!(scaler.transform(&x), Tensor::from([[0.0], [1.0]])),
            Err(error) => {
                prop_assert!((high - low).is_infinite());
                prop_assert_eq!(error.to_string(), wanted.clone());
            }
        }
        match Standardize::fit(&x) {
            Ok(scaler) => prop_assert!(scaler.transform(&x).isfinite().all(..).item()),
            Err(error) => {
                prop_assert!((high - low).is_infinite());
                prop_assert_eq!(error.to_string(), wanted);
            }
        }
    }

    #[test]
    fn constant_features_are_0(value: f32, rows in 1_usize..50) {
        prop_assume!(value.is_finite());
        let x = Tensor::full([rows, 1], value);
        for y in [Standardize::fit(&x).unwrap().transform(&x), MinMax::fit(&x).unwrap().transform(&x)] {
            prop_assert!(y.iter().all(|y| y == 0.0), "{y}");
        }
        prop_assert_eq!(Standardize::fit(&x).unwrap().inverse(&Tensor::zeros([rows, 1])), x);
    }

    #[test]
    fn axes_are_those_of_the_statistics(seed: u64) {
        let x = Tensor::<f64>::randn([4, 3, 2, 5], &mut seeded(seed)) * 2.0 + 1.0;
        let scaler = Standardize::fit_axes(&x, [0, 2, 3]).unwrap();
        prop_assert_eq!(scaler.mean.value(), x.mean(keepdim([0, 2, 3])));
        prop_assert_eq!(scaler.std.value(), x.std(keepdim([0, 2, 3]), 0));
        prop_assert!(scaler.transform(&x).mean([0, 2, 3]).allclose(&Tensor::zeros([3]), 0.0, 1e-12));
        // The last axis is the default, whatever there is before.
        prop_assert_eq!(MinMax::fit(&x).unwrap().min.value(), x.min([0, 1, 2]));
    }
}

#[test]
fn a_scaler_is_saved_with_the_model() {
    let (x, rng) = (Tensor::<f32>::from([[1.0, 2.0], [5.0, 8.0]]), &mut seeded(0));
    let model = |scaler, rng: &mut _| Sequential::new().push(scaler).push(Linear::new(2, 1, rng));
    let saved = model(Standardize::fit(&x).unwrap(), rng);
    let names: Vec<_> = saved.named_buffers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0.mean", "0.std"]);
    assert_eq!(saved.parameter_count(), 3);
    let mut loaded = model(Standardize::new([2]), rng);
    loaded.load_state(&saved.state()).unwrap();
    let x = Var::constant(x);
    assert_eq!(loaded.forward(&x).value(), saved.forward(&x).value());
    assert_eq!(MinMax::<f32>::new([1, 3, 1, 1]).state().names().collect::<Vec<_>>(), ["min", "range"]);
}

#[test]
fn data_that_are_not_finite_are_refused() {
    let x = Tensor::from([[1.0, 2.0], [3.0, f64::NAN]]);
    let error = Standardize::fit(&x).unwrap_err();
    let message =
        "fit: the number at [1, 1] is NaN: all numbers must be finite; replace it or leave out its row";
    assert_eq!(error.to_string(), message);
    assert!(matches!(error, DataError::NotFinite { index, .. } if index == [1, 1]));
    let error = MinMax::fit(&Tensor::from([[[1.0_f32], [f32::NEG_INFINITY]]])).unwrap_err();
    assert!(error.to_string().starts_with("fit: the number at [0, 1, 0] is -inf"));
}

#[test]
fn a_range_without_a_number_is_an_error() {
    let x = Tensor::from([[1.0, 3e38], [2.0, -3e38]]);
    let message = "fit: the numbers of the feature at [1] reach from -3e38 to 3e38, and their differences are too large for the \
                   type: divide them by a number before";
    assert_eq!(
        MinMax::fit(&x.cast::<f64>()).unwrap().transform(&x.cast()),
        Tensor::from([[0.0, 1.0], [1.0, 0.0]])
    );
    let error = MinMax::<f32>::fit(&x).unwrap_err().to_string();
    assert_eq!(error.replace(&f64::from(3e38_f32).to_string(), "3e38"), message);
}

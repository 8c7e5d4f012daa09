//! Observers and the parameters that they find.

use gradus_autograd::{Tensor, seeded};
use gradus_quant::{LearnedStep, Observer, Params, Scheme};
use proptest::prelude::*;

fn schemes() -> impl Strategy<Value = Scheme> {
    let levels = prop::sample::select(vec![(-128, 127), (-127, 127), (0, 255), (-8, 7), (0, 15), (-1, 1)]);
    (levels, any::<bool>()).prop_map(|((low, high), symmetric)| {
        let scheme = Scheme::int8().levels(low..=high);
        if symmetric { scheme.symmetric() } else { scheme }
    })
}

proptest! {
    /// 0 has a level of its own, levels are as far apart as the scale, and numbers in the range are at most half a scale away; where
    /// rounding the zero point moved the range off them, a whole one.
    #[test]
    fn a_round_trip_is_near(scheme in schemes(), low in -9.0..5.0, length in 0.0..9.0, seed: u64) {
        let params = Params::of_range(&[low], &[low + length], &scheme).unwrap();
        let scale = f64::from(params.scales()[0]);
        let x = Tensor::<f64>::rand([50], &mut seeded(seed)) * length + low;
        let levels = params.quantize(&x).unwrap();
        prop_assert!(levels.iter().all(|level| (scheme.low().into()..=scheme.high().into()).contains(&level)));
        let (from, to) = params.range(0);
        for (rounded, x) in params.dequantize::<f64>(&levels).iter().zip(x.iter()) {
            let most = if (from..=to).contains(&x) { 0.5001 } else { 1.001 };
            prop_assert!((rounded - x).abs() <= scale * most, "{x} became {rounded} with scale {scale}");
        }
        let zero = params.quantize(&Tensor::from([0.0])).unwrap();
        prop_assert_eq!(params.dequantize::<f64>(&zero), Tensor::from([0.0]));
        prop_assert!(from <= 0.0 && to >= 0.0);
    }

    /// One observer for channels is an observer for each.
    #[test]
    fn channels_are_apart(axis in 0..3_usize, seed: u64, constant in 0.0..1.0) {
        let scheme = Scheme::int8();
        let batches = [seed, seed ^ 1].map(|seed| Tensor::<f64>::randn([2, 3, 4], &mut seeded(seed)));
        let mut all = Observer::moving_average(constant, &scheme.clone().per_channel(axis));
        for batch in &batches {
            all.observe(batch).unwrap();
        }
        for channel in 0..batches[0].shape()[axis] {
            let mut one = Observer::moving_average(constant, &scheme);
            for batch in &batches {
                one.observe(&batch.select(axis as isize, channel as isize)).unwrap();
            }
            prop_assert_eq!(all.range().unwrap().0[channel], one.range().unwrap().0[0]);
            prop_assert_eq!(all.params().unwrap().scales()[channel], one.params().unwrap().scales()[0]);
        }
    }

    /// Far numbers are cut off by the histogram if that makes all others better, and never to their harm.
    #[test]
    fn a_histogram_has_no_larger_error(seed: u64, far in prop::sample::select(vec![1.0, 10.0, 100.0])) {
        let x = Tensor::<f64>::randn([2000], &mut seeded(seed));
        let x = Tensor::cat(&[&x, &Tensor::from([far])], 0);
        let error = |mut observer: Observer| {
            observer.observe(&x).unwrap();
            let params = observer.params().unwrap();
            (params.dequantize::<f64>(&params.quantize(&x).unwrap()) - &x).square().mean(..).item()
        };
        let scheme = Scheme::int8().levels(-8..=7);
        let (cut, whole) = (error(Observer::histogram(512, &scheme)), error(Observer::min_max(&scheme)));
        prop_assert!(cut <= whole * 1.05, "{cut} {whole}");
        prop_assert!(far != 10.0 || cut < 0.85 * whole, "{cut} {whole}");
    }
}

#[test]
fn a_histogram_counts_all_numbers() {
    let mut observer = Observer::histogram(4, &Scheme::uint8());
    observer.observe(&Tensor::from([0.0, 1.0, 2.0, 4.0])).unwrap();
    assert_eq!(observer.counts(), Some(&[1.0, 1.0, 1.0, 1.0][..]));
    observer.observe(&Tensor::from([8.0])).unwrap();
    assert_eq!(observer.counts(), Some(&[2.0, 2.0, 0.0, 1.0][..]));
    let mut constant = Observer::histogram(4, &Scheme::uint8());
    constant.observe(&Tensor::from([3.0, 3.0])).unwrap();
    assert_eq!(
        (constant.counts(), constant.params().unwrap().scales()),
        (Some(&[2.0, 0.0, 0.0, 0.0][..]), &[3.0 / 255.0][..])
    );
}

/// The learned step finds a better one than its first.
#[test]
fn a_step_is_learnt() {
    use gradus_nn::{Adam, Optimizer};
    let x = Tensor::<f32>::randn([4000], &mut seeded(0));
    let mut layer = LearnedStep::of(&x, -2..=1).unwrap();
    let loss = |layer: &LearnedStep| (layer.forward(&x) - &x).square().mean(..);
    let (before, mut adam) = (loss(&layer).item(), Adam::new(0.02));
    for _ in 0..100 {
        let gradients = loss(&layer).backward();
        adam.step(&mut layer, &gradients);
    }
    assert!(loss(&layer).item() < before * 0.9, "{before} {}", loss(&layer).item());
}

/// The factor of a step's gradient is the same for weights of 6 numbers and for 5 samples of 6 numbers, if these are activations.
#[test]
fn the_size_of_a_batch_of_activations_has_no_influence() {
    let one = Tensor::<f64>::randn([1, 6], &mut seeded(0));
    let five = Tensor::cat(&[&one, &one, &one, &one, &one], 0);
    let layer = LearnedStep::of(&one, -8..=7).unwrap();
    let gradient = |layer: &LearnedStep<f64>, x: &Tensor<f64>| {
        layer.forward(x).square().sum(..).backward().get(&layer.step).unwrap().item()
    };
    let expected = gradient(&layer, &one) * 5.0;
    assert!((gradient(&layer, &five) - expected / 5.0_f64.sqrt()).abs() < 1e-12);
    assert!((gradient(&layer.activations(), &five) - expected).abs() < 1e-12);
}

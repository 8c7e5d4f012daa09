//! Batches by independent draws.

use gradus_autograd::Tensor;
use gradus_data::{PoissonBatches, order};
use gradus_privacy::SecureRng;

/// Each sample is in a batch with its probability, whatever the others do.
#[test]
fn every_sample_joins_by_itself() {
    let (samples, rate, steps) = (200, 0.05, 4000);
    let data = Tensor::from(0..samples);
    let mut counts = vec![0.0; samples as usize];
    let (mut sizes, mut pairs) = (Vec::new(), 0.0);
    for batch in PoissonBatches::new(&data, rate, SecureRng::new().unwrap()).take(steps) {
        batch.iter().for_each(|i| counts[i as usize] += 1.0);
        sizes.push(batch.len() as f64);
        pairs += f64::from(u8::from([3, 4].iter().all(|i| batch.iter().any(|j| i == &j))));
        assert!(batch.to_vec().is_sorted_by(|x, y| x < y));
    }
    let n = steps as f64;
    let variance = rate * (1.0 - rate);
    let within = |value: f64, want: f64, deviation: f64| {
        assert!((value - want).abs() < 6.5 * deviation, "{value} {want} {deviation}");
    };
    for count in &counts {
        within(count / n, rate, (variance / n).sqrt());
    }
    within(pairs / n, rate * rate, rate / n.sqrt());
    let mean = sizes.iter().sum::<f64>() / n;
    let spread = sizes.iter().map(|size| (size - 10.0).powi(2)).sum::<f64>() / n;
    let want = 200.0 * variance;
    within(mean, 10.0, (want / n).sqrt());
    within(spread, want, want * (2.1 / n).sqrt());
}

#[test]
fn all_and_none() {
    let data = Tensor::from(0..50);
    let of = |rate| PoissonBatches::new(&data, rate, SecureRng::seeded_for_tests(0)).take(3);
    assert!(of(1.0).all(|batch| batch == data));
    assert!(of(0.0).all(|batch| batch.is_empty()));
    let some = |seed| order::poisson(50, 0.5, &mut SecureRng::seeded_for_tests(seed));
    assert_eq!(some(1), some(1));
    assert_ne!(some(1), some(2));
}

//! Losses of embeddings, against their formulas written out.

use gradus::prelude::*;
use gradus::testing::tensors;
use proptest::prelude::*;

/// `count` matrices of one shape.
fn matrices(count: usize) -> impl Strategy<Value = Vec<Tensor<f64>>> {
    (1..=4_usize, 1..=4_usize).prop_flat_map(move |(rows, width)| {
        prop::collection::vec(tensors(Just(vec![rows, width]), -2.0..2.0), count)
    })
}

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y + 1e-6).powi(2)).sum::<f64>().sqrt()
}

fn cosine(x: &[f64], y: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(x, y) / (dot(x, x).sqrt().max(1e-8) * dot(y, y).sqrt().max(1e-8))
}

fn mean(losses: &[f64]) -> f64 {
    losses.iter().sum::<f64>() / losses.len() as f64
}

proptest! {
    #[test]
    fn triplets(matrices in matrices(3), margin in 0.0..3.0_f64) {
        let [x, near, far] = [0, 1, 2].map(|i| matrices[i].to_vec2());
        let row = |i: usize| (distance(&x[i], &near[i]) - distance(&x[i], &far[i]) + margin).max(0.0);
        let expected: Vec<f64> = (0..x.len()).map(row).collect();
        let anchor = Var::constant(&matrices[0]);
        let loss = TripletMarginLoss::new().margin(margin);
        let each = loss.reduction(Reduction::None).forward(&anchor, &matrices[1], &matrices[2]);
        prop_assert!(each.value().allclose(&Tensor::from(&expected[..]), 1e-12, 1e-12));
        let got = loss.forward(&anchor, &matrices[1], &matrices[2]).item();
        prop_assert!((got - mean(&expected)).abs() < 1e-12);
        let default = TripletMarginLoss::new().margin(1.0).forward(&anchor, &matrices[1], &matrices[2]);
        prop_assert_eq!(anchor.triplet_margin_loss(&matrices[1], &matrices[2]).item(), default.item());
    }

    #[test]
    fn cosines(matrices in matrices(2), margin in -0.5..0.5_f64, seed: u64) {
        let [x, y] = [0, 1].map(|i| matrices[i].to_vec2());
        let alike = Tensor::<f64>::rand([x.len()], &mut seeded(seed)).gt(0.5);
        let row = |(i, alike): (usize, bool)| {
            let cosine = cosine(&x[i], &y[i]);
            if alike { 1.0 - cosine } else { (cosine - margin).max(0.0) }
        };
        let expected: Vec<f64> = alike.iter().enumerate().map(row).collect();
        let prediction = Var::constant(&matrices[0]);
        let loss = CosineEmbeddingLoss::new().margin(margin);
        let each = loss.reduction(Reduction::None).forward(&prediction, &matrices[1], &alike);
        prop_assert!(each.value().allclose(&Tensor::from(&expected[..]), 1e-12, 1e-12));
        let got = loss.forward(&prediction, &matrices[1], &alike).item();
        prop_assert!((got - mean(&expected)).abs() < 1e-12);
        let default = CosineEmbeddingLoss::new().forward(&prediction, &matrices[1], &alike);
        prop_assert_eq!(prediction.cosine_embedding_loss(&matrices[1], &alike).item(), default.item());
    }
}

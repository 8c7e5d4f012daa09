//! Missing numbers.

use gradus_autograd::{Tensor, Var, seeded};
use gradus_data::{DataError, Impute};
use gradus_nn::Module;
use proptest::prelude::*;

use crate::caught::panics;

proptest! {
    /// A value stays to the bit; a missing one becomes the mean or the median of the values of its feature.
    #[test]
    fn holes_are_filled(rows in 1..12_usize, features in 1..4_usize, holes: u64, seed: u64) {
        let whole = Tensor::<f64>::randn([rows, features], &mut seeded(seed));
        // The first row has no holes.
        let is_hole: Tensor<bool> = (0..rows * features).map(|i| i >= features && holes >> (i % 64) & 1 == 1).collect();
        let is_hole = is_hole.reshape([rows, features]);
        let x = whole.masked_fill(&is_hole, f64::NAN);
        for (impute, is_median) in [(Impute::mean(&x)?, false), (Impute::median(&x)?, true)] {
            let filled = impute.transform(&x);
            let filled_var = impute.forward(&x).into_value();
            prop_assert_eq!(&filled_var, &filled);
            for feature in 0..features as isize {
                let (hole, column) = (is_hole.select(1, feature), whole.select(1, feature));
                let mut values = column.masked_select(&!&hole).to_vec();
                values.sort_by(f64::total_cmp);
                let middle = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
                let expected = if is_median { middle } else { values.iter().sum::<f64>() / values.len() as f64 };
                for row in 0..rows {
                    let (found, place) = (filled[[row, feature as usize]], [row]);
                    if hole[place] {
                        prop_assert!((found - expected).abs() < 1e-12);
                    } else {
                        prop_assert_eq!(found.to_bits(), column[place].to_bits());
                    }
                }
            }
            let mut loaded = Impute::new(features);
            loaded.load_state(&impute.state())?;
            prop_assert_eq!(loaded.transform(&x), filled);
        }
    }
}

#[test]
fn gradients_and_errors() {
    let impute = Impute::mean(&Tensor::from([[1.0, 2.0]])).unwrap();
    let x = Var::leaf(Tensor::from([[f64::NAN, 3.0]]));
    assert_eq!(impute.forward(&x).sum(..).backward().get(&x), Some(&Tensor::from([[0.0, 1.0]])));
    let error = |x: Tensor<f64>| Impute::mean(&x).unwrap_err();
    let (nothing, infinite) =
        (error(Tensor::from([[1.0, f64::NAN]])), error(Tensor::from([[f64::INFINITY]])));
    assert!(matches!(nothing, DataError::NoValue { feature: 1 }));
    assert_eq!(
        nothing.to_string(),
        "fit: feature 1 has no value from which missing ones could be filled; leave it out"
    );
    assert!(matches!(infinite, DataError::NotFinite { .. }));
    // What `unwrap` shows is the message.
    assert_eq!(format!("{nothing:?}"), nothing.to_string());
    panics(
        || impute.forward(Tensor::zeros([2, 3])),
        "Impute: the input has shape [2, 3]; its last axis must have size 2, as in the data of the fit",
    );
}

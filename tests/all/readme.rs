//! The property test that the README shows, word for word.

use gradus::prelude::*;
use gradus::testing::{check_module, shapes, tensors};
use proptest::prelude::*;

#[derive(Module, Clone)]
struct Gated {
    value: Linear<f64>,
    gate: Linear<f64>,
}

proptest! {
    #[test]
    fn gated_layer_differentiates(rows in tensors(shapes(1..=1, 1..=5), -2.0..2.0), seed: u64) {
        let mut rng = seeded(seed);
        let layer = Gated { value: Linear::new(1, 3, &mut rng), gate: Linear::new(1, 3, &mut rng) };
        let forward = |l: &Gated, [x]: [&Var<f64>; 1]| l.value.forward(x) * l.gate.forward(x).sigmoid();
        check_module(&layer, forward, [rows.unsqueeze(1)])?;
    }
}

#[test]
fn the_readme_shows_this_test() {
    let (readme, source) = (include_str!("../../README.md"), include_str!("readme.rs"));
    let shown = source.split("\n\n").skip(1).take(3).collect::<Vec<_>>().join("\n\n");
    assert!(readme.contains(&shown), "the README should contain:\n{shown}");
}

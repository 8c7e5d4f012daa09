//! The property test that the README shows, word for word.

use gradus::testing::{check_gradients, shapes, tensors};
use proptest::prelude::*;

proptest! {
    #[test]
    fn attention_weights_differentiate(x in tensors(shapes(2..=2, 1..=5), -2.0..2.0)) {
        check_gradients(|[x]| x.matmul(&x.t()).softmax(-1).matmul(x), [x])?;
    }
}

#[test]
fn the_readme_shows_this_test() {
    let (readme, source) = (include_str!("../../README.md"), include_str!("readme.rs"));
    let shown = source.split("\n\n").skip(1).take(2).collect::<Vec<_>>().join("\n\n");
    assert!(readme.contains(&shown), "the README should contain:\n{shown}");
}

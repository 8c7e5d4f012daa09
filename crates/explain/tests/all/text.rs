//! LIME for words.

use gradus_autograd::Tensor;
use gradus_explain::{ExplainError, Lime};

/// A model of two classes that counts words.
fn predict(texts: &[Vec<&str>]) -> Tensor<f64> {
    let count = |text: &Vec<&str>, word: &str| text.iter().filter(|other| **other == word).count() as f64;
    let row = |text: &Vec<&str>| [count(text, "good") - count(text, "bad"), 0.0];
    Tensor::from(texts.iter().map(row).collect::<Vec<_>>())
}

#[test]
fn words_have_their_weights() {
    let words = ["good", "and", "bad", "and", "good"];
    let found = Lime::new(400, 3).penalty(gradus_explain::Penalty::Ridge { alpha: 0.0 });
    let found = found.explain_words(predict, &words, 0).unwrap();
    let want = Tensor::from([[1.0, 0.0, -1.0, 0.0, 1.0]]);
    assert!(found.coefficients.allclose(&want, 0.0, 1e-9), "{:?}", found.coefficients);
    assert!(found.values == found.coefficients && found.fit.item() > 1.0 - 1e-9);
    assert!(found.intercept.item().abs() < 1e-9);
    // Another class.
    let other = Lime::new(50, 0).explain_words(predict, &words, 1).unwrap();
    assert_eq!(other.coefficients, Tensor::zeros([1, 5]));
}

#[test]
fn errors_of_words() {
    let lime = Lime::<f64>::new(50, 0);
    assert!(matches!(lime.explain_words(predict, &[], 0), Err(ExplainError::Empty { .. })));
    assert!(matches!(
        lime.explain_words(predict, &["a"], 2),
        Err(ExplainError::Target { target: 2, classes: 2, .. })
    ));
    let wrong = |texts: &[Vec<&str>]| Tensor::zeros([texts.len()]);
    assert!(matches!(lime.explain_words(wrong, &["a"], 0), Err(ExplainError::Output { .. })));
}

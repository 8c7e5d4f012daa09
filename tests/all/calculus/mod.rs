//! Derivatives as mathematics knows them: closed forms, higher orders, and the points where functions have
//! kinks, tails, ties or nothing at all.

mod accuracy;
mod attention;
mod cancellation;
mod conventions;
mod decompositions;
mod empty;
mod forward;
mod kinks;
mod masks;
mod nans;
mod powers;
mod range;
mod second_order;
mod structure;
mod tails;
mod zeros;

use gradus::{Tensor, Var, grad, grad_create_graph};

/// The value, the first and the second derivative of a function of one number; a derivative that is constant
/// has the derivative 0.
fn jet(f: impl Fn(&Var<f64>) -> Var<f64>, x: f64) -> [f64; 3] {
    let leaf = Var::leaf(Tensor::from(x));
    let y = f(&leaf);
    let first = grad_create_graph(&y, &[&leaf]).remove(0);
    let plain = grad(&y, &[&leaf])[0].item();
    assert!(
        plain.to_bits() == first.item().to_bits()
            || plain == first.item()
            || plain.is_nan() && first.item().is_nan()
    );
    let second =
        if first.is_tracked() { gradus::vjp(&first, &Tensor::from(1.0), &[&leaf]).remove(0) } else { None };
    [y.item(), plain, second.map_or(0.0, |second| second.item())]
}

/// Equal up to a relative error; zeros, infinities and NaN only to themselves.
#[track_caller]
fn assert_close(got: f64, expected: f64, relative: f64) {
    let close = got == expected
        || got.is_nan() && expected.is_nan()
        || (got - expected).abs() <= relative * expected.abs() && expected.is_finite();
    assert!(close, "{got:e} instead of {expected:e}");
}

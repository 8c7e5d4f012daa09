//! Where gradients go, and where they do not.

use gradus::prelude::*;
use gradus::testing::{shapes, tensors};
use gradus::{live_nodes, vjp};
use proptest::prelude::*;

use super::gradient_of;

#[test]
fn leaves_that_are_not_reached() {
    let (x, unused) = (Var::leaf(Tensor::from(2.0)), Var::leaf(Tensor::from(3.0)));
    let y = &x * &x;
    let found = vjp(&y, &Tensor::from(1.0), &[&unused, &x]);
    assert!(found[0].is_none());
    assert_eq!(found[1].as_ref().map(Var::item), Some(4.0));
    let gradients = y.backward();
    assert_eq!((gradients.get(&unused), gradients.len(), gradients.is_empty()), (None, 1, false));
    // Constants and results have no gradient in this collection.
    assert_eq!(gradients.get(&Var::constant(1.0)), None);
    let y = &x * &x;
    let z = y.exp();
    assert_eq!(z.backward().get(&y), None);
}

proptest! {
    /// Gradients know their number and their norm, also when they are scaled and added up.
    #[test]
    fn gradients_know_their_loss(x in tensors(shapes(0..=3, 1..=4), -2.0..2.0), factor in -2.0..2.0) {
        let (x, cotangent) = (Var::leaf(&x), x.cos());
        let y = x.sin().sum(..);
        let value = y.item();
        let mut gradients = y.backward();
        prop_assert_eq!(gradients.loss(), value);
        let squares: f64 = cotangent.iter().map(|g| g * g).sum();
        prop_assert!((gradients.norm() - squares.sqrt()).abs() <= 1e-12 * squares.sqrt());
        gradients.accumulate((&x * 3.0).backward_with(&cotangent));
        let more: f64 = x.value().iter().zip(cotangent.iter()).map(|(x, c)| 3.0 * x * c).sum();
        prop_assert!((gradients.loss() - (value + more)).abs() < 1e-12);
        let before = (gradients.loss(), gradients.norm());
        gradients.scale(factor);
        prop_assert!((gradients.loss() - factor * before.0).abs() < 1e-12);
        prop_assert!((gradients.norm() - factor.abs() * before.1).abs() < 1e-10);
    }
}

proptest! {
    /// A hook changes the gradient of its variable and of what lies behind it, and no value; it gets the whole gradient.
    #[test]
    fn hooks(x in tensors(shapes(0..=3, 0..=4), -2.0..2.0), factor in -2.0..2.0) {
        let x = Var::leaf(&x);
        let y = x.sin();
        let hooked = y.map_gradient(move |gradient| gradient.clamp(-0.5, 0.5) * factor);
        prop_assert_eq!(hooked.value(), y.value());
        let z = (&hooked * &hooked).sum(..);
        let whole = (y.value() * 2.0).clamp(-0.5, 0.5) * factor;
        let found = grad(&z, &[&y, &x]);
        prop_assert!(found[0].value().allclose(&whole, 1e-14, 1e-14));
        prop_assert!(found[1].value().allclose(&(whole * x.value().cos()), 1e-14, 1e-14));
        // Forward mode differentiates the values.
        let ones = Tensor::ones(x.shape());
        prop_assert!(jvp(&hooked, &[&x], &[ones]).allclose(&x.value().cos(), 1e-14, 1e-14));
    }

    /// Rows that are collected are the variable that they came from.
    #[test]
    fn rows_are_collected(x in tensors(shapes(1..=3, 1..=4), -2.0..2.0)) {
        prop_assert_eq!(&x.rows().collect::<Tensor<f64>>(), &x);
        let (leaf, cotangent) = (Var::leaf(&x), x.cos());
        let same: Var<f64> = leaf.rows().map(|row| row * 2.0).collect();
        prop_assert_eq!(same.value(), &(&x * 2.0));
        prop_assert_eq!(gradient_of(&same.backward_with(&cotangent), &leaf), cotangent * 2.0);
    }

    /// Where all numbers are finite, looking for anomalies changes nothing; and the mode ends with its scope.
    #[test]
    fn without_anomalies(x in tensors(shapes(0..=3, 0..=4), 0.5..2.0)) {
        let x = Var::leaf(&x);
        let pass = || x.sqrt().log().sum(..).backward();
        let (plain, detected) = (pass(), detect_anomaly(pass));
        prop_assert_eq!(plain.get(&x), detected.get(&x));
        let zero = Var::leaf(Tensor::from(0.0));
        prop_assert_eq!(gradient_of(&zero.sqrt().backward(), &zero).item(), f64::INFINITY);
    }
}

#[test]
fn a_leaf_is_its_own_gradient() {
    let x = Var::leaf(Tensor::from([[5.0]]));
    assert_eq!(grad(&x, &[&x])[0].value(), &Tensor::from([[1.0]]));
    assert_eq!(gradient_of(&x.clone().backward(), &x), Tensor::from([[1.0]]));
}

#[test]
fn a_target_named_twice_is_found_twice() {
    let x = Var::leaf(Tensor::from(3.0));
    let y = x.square();
    let gradients = grad(&y, &[&x, &y, &x]);
    assert_eq!(gradients.iter().map(Var::item).collect::<Vec<_>>(), [6.0, 1.0, 6.0]);
}

/// A target behind another target gets all of its gradient, also that which flows through the other.
#[test]
fn targets_behind_targets() {
    let x = Var::leaf(Tensor::from(3.0));
    let y = &x * 2.0;
    let z = &y * &y + &x;
    let gradients = grad(&z, &[&y, &x]);
    assert_eq!((gradients[0].item(), gradients[1].item()), (12.0, 25.0));
}

#[test]
fn results_of_grad_are_constants_and_of_grad_create_graph_are_not() {
    let x = Var::leaf(Tensor::from(3.0));
    let y = &x * &x;
    assert!(!grad(&y, &[&x])[0].is_tracked());
    assert!(gradus::grad_create_graph(&y, &[&x])[0].is_tracked());
}

proptest! {
    /// Detached, a value is a number: x * detach(x) has the derivative x.
    #[test]
    fn detached_values_are_constants(value in tensors(shapes(0..=3, 0..=4), -2.0..2.0)) {
        let x = Var::leaf(&value);
        prop_assert_eq!(gradient_of(&(&x * x.detach()).sum(..).backward(), &x), value.clone());
        prop_assert_eq!(gradient_of(&(&x * no_grad(|| x.sin())).sum(..).backward(), &x), value.sin());
        let entries = live_nodes();
        prop_assert!(!no_grad(|| x.sin()).is_tracked() && !x.detach().sin().is_tracked());
        prop_assert_eq!(live_nodes(), entries);
    }

    /// A leaf that is changed after it was used: the tape keeps the numbers that it was recorded with.
    #[test]
    fn tapes_keep_the_old_numbers(value in tensors(shapes(0..=3, 0..=4), -2.0..2.0), factor in -3.0..3.0) {
        let mut x = Var::leaf(&value);
        let (y, view) = (&x * x.flip(..), x.value().clone());
        x.update(|x| *x *= factor);
        prop_assert_eq!(x.value(), &(&value * factor));
        prop_assert_eq!(&view, &value);
        let gradients = y.sum(..).backward();
        prop_assert_eq!(gradient_of(&gradients, &x), value.flip(..) * 2.0);
        // It is the same leaf, with its new numbers.
        let gradients = (&x * &x).sum(..).backward();
        prop_assert_eq!(gradient_of(&gradients, &x), value * factor * 2.0);
    }

    /// Assignment operators make a new variable under the old name.
    #[test]
    fn assignment_records(a in -2.0..2.0_f64, b in 0.5..2.0_f64) {
        let (x, z) = (Var::leaf(Tensor::from(a)), Var::leaf(Tensor::from(b)));
        let mut y = x.clone();
        y += 1.0;
        y *= &z;
        y -= &x;
        y /= z.clone();
        let gradients = y.backward();
        // (x + 1) - x / z
        prop_assert!((gradient_of(&gradients, &x).item() - (1.0 - 1.0 / b)).abs() < 1e-14);
        prop_assert!((gradient_of(&gradients, &z).item() - a / (b * b)).abs() < 1e-13);
    }
}

#[test]
fn clones_are_the_same_variable() {
    let x = Var::leaf(Tensor::from(2.0));
    let other = Var::leaf(Tensor::from(2.0));
    let gradients = (&x * &x.clone()).backward();
    assert_eq!(gradients.get(&x.clone()), Some(&Tensor::from(4.0)));
    assert_eq!(gradients.get(&other), None);
    assert_eq!(x.identity(), x.clone().identity());
    assert_ne!(x.identity(), other.identity());
    assert_eq!(Var::constant(1.0).identity(), None);
}

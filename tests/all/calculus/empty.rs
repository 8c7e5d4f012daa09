//! Tensors without elements, and without axes.

use gradus::testing::{reductions, shapes};
use gradus::{Tensor, Var, vjp};
use proptest::prelude::*;

type Function = fn(&Var<f64>) -> Var<f64>;

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The value of a function, and its gradient for a cotangent of ones, in both ways of the pass.
fn run(f: impl Fn(&Var<f64>) -> Var<f64>, x: &Tensor<f64>) -> (Tensor<f64>, Tensor<f64>) {
    let leaf = Var::leaf(x);
    let y = f(&leaf);
    let ones = Tensor::ones(y.shape());
    let gradient = vjp(&y, &ones, &[&leaf]).remove(0).expect("the result depends on it").into_value();
    let recorded = gradus::vjp_create_graph(&y, &ones.into(), &[&leaf]).remove(0).unwrap().into_value();
    assert_eq!(gradient.shape(), recorded.shape());
    assert_eq!(gradient.shape(), x.shape());
    (y.into_value(), gradient)
}

proptest! {
    /// Sums over nothing are 0, means NaN; the gradient has the shape of the variable, always.
    #[test]
    fn reductions_of_any_shape((shape, axes) in reductions(0)) {
        let x = Tensor::<f64>::full(&shape, 3.0);
        let kept = x.sum(axes.clone());
        let over = if kept.is_empty() { 0 } else { count(&shape) / count(kept.shape()) };
        let all = |tensor: &Tensor<f64>, number: f64| tensor.iter().all(|x| x == number || x.is_nan() && number.is_nan());
        let (sum, gradient) = run(|x| x.sum(axes.clone()), &x);
        prop_assert_eq!(sum.shape(), kept.shape());
        prop_assert!(all(&sum, 3.0 * over as f64) && all(&gradient, 1.0));
        let (mean, gradient) = run(|x| x.mean(axes.clone()), &x);
        prop_assert_eq!(mean.shape(), kept.shape());
        let expected = if over == 0 { f64::NAN } else { 3.0 };
        prop_assert!(all(&mean, expected));
        prop_assert!(gradient.allclose(&Tensor::full(&shape, 1.0 / over as f64), 1e-15, 0.0));
        let (logsumexp, gradient) = run(|x| x.logsumexp(axes.clone()), &x);
        prop_assert_eq!(logsumexp.shape(), kept.shape());
        let expected = if over == 0 { -f64::INFINITY } else { 3.0 + (over as f64).ln() };
        prop_assert!(logsumexp.iter().all(|x| x == expected || (x - expected).abs() < 1e-14));
        prop_assert!(gradient.allclose(&Tensor::full(&shape, 1.0 / over as f64), 1e-14, 0.0));
        for correction in 0..=1 {
            let (var, gradient) = run(|x| x.var(axes.clone(), correction), &x);
            prop_assert_eq!(var.shape(), kept.shape());
            let expected = if over > correction { 0.0 } else { f64::NAN };
            prop_assert!(all(&var, expected), "{} over {}", var, over);
            prop_assert!(all(&gradient, expected));
        }
        if over > 0 {
            for (extreme, gradient) in [run(|x| x.max(axes.clone()), &x), run(|x| x.min(axes.clone()), &x)] {
                prop_assert!(all(&extreme, 3.0));
                prop_assert!(gradient.allclose(&Tensor::full(&shape, 1.0 / over as f64), 1e-15, 0.0));
            }
        }
    }

    /// Products over an inner axis of size 0 are zeros, and products of nothing are nothing.
    #[test]
    fn products((batch, m, k, n) in (shapes(0..=2, 0..=2), 0..3_usize, 0..3_usize, 0..3_usize)) {
        let shape = |rows: usize, columns: usize| [&batch[..], &[rows, columns]].concat();
        let (x, y) = (Tensor::<f64>::full(shape(m, k), 2.0), Tensor::<f64>::full(shape(k, n), 3.0));
        let (product, gradient) = run(|x| x.matmul(&Var::constant(&y)), &x);
        prop_assert_eq!(product, Tensor::full(shape(m, n), 6.0 * k as f64));
        prop_assert_eq!(gradient, Tensor::full(shape(m, k), 3.0 * n as f64));
        let (_, gradient) = run(|y| Var::constant(&x).matmul(y), &y);
        prop_assert_eq!(gradient, Tensor::full(shape(k, n), 2.0 * m as f64));
        // One matrix for a whole stack.
        let (_, gradient) = run(|y| Var::constant(&x).matmul(y), &Tensor::full([k, n], 3.0));
        prop_assert_eq!(gradient, Tensor::full([k, n], 2.0 * (m * count(&batch)) as f64));
    }

    #[test]
    fn softmax_of_nothing(shape in shapes(1..=3, 0..=3), axis in any::<prop::sample::Index>()) {
        let axis = axis.index(shape.len());
        let x = Tensor::<f64>::zeros(&shape);
        let share = 1.0 / shape[axis] as f64;
        let (softmax, gradient) = run(|x| x.softmax(axis as isize), &x);
        prop_assert!(softmax.allclose(&Tensor::full(&shape, share), 1e-15, 0.0));
        prop_assert!(gradient.allclose(&Tensor::zeros(&shape), 0.0, 1e-15));
        let (log_softmax, _) = run(|x| x.log_softmax(axis as isize), &x);
        prop_assert!(log_softmax.allclose(&Tensor::full(&shape, share.ln()), 1e-15, 0.0));
    }

    /// Without axes a tensor is one number, and reductions over all of none leave it alone.
    #[test]
    fn numbers_without_axes(number in -3.0..3.0_f64) {
        let x = Tensor::from(number);
        let reductions: [Function; 5] =
            [|x| x.sum(..), |x| x.mean(..), |x| x.max(..), |x| x.min(..), |x| x.logsumexp(..)];
        let others: [Function; 4] =
            [|x| x.sum(gradus::keepdim(..)), |x| x.sum_to_size([]), |x| x.flip(..), |x| x.squeeze(..)];
        for f in reductions.into_iter().chain(others) {
            prop_assert_eq!(run(f, &x), (x.clone(), Tensor::from(1.0)));
        }
        prop_assert_eq!(run(|x| x.var(.., 0), &x), (Tensor::from(0.0), Tensor::from(0.0)));
        prop_assert_eq!(run(|x| x.flatten(..).matmul(&x.flatten(..)), &x), (Tensor::from(number * number), Tensor::from(2.0 * number)));
        prop_assert_eq!(run(|x| x.expand([2, 3]), &x), (Tensor::full([2, 3], number), Tensor::from(6.0)));
        prop_assert_eq!(run(|x| x.expand([0]), &x), (Tensor::zeros([0]), Tensor::from(0.0)));
    }
}

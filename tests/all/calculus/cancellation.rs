//! Numbers that lie close together, far from zero.

use gradus::prelude::*;
use gradus::{Float, RmsProp, grad, grad_create_graph, jacobian};
use proptest::prelude::*;

/// A result and its gradient for random cotangents, unrecorded and recorded, in double precision; of each the size: for
/// gradients the largest product of a cotangent and a derivative, as their sum may happen to be small.
fn jet<T: Float>(x: &Tensor<T>, f: impl Fn(&Var<T>) -> Var<T>) -> [(Vec<f64>, f64); 3] {
    let leaf = Var::leaf(x);
    let y = f(&leaf);
    let weights = Tensor::<f64>::rand(y.shape(), &mut seeded(1)).cast::<T>();
    let loss = (&y * &weights).sum(..);
    let [plain, recorded] = [grad(&loss, &[&leaf]), grad_create_graph(&loss, &[&leaf])];
    let terms = weights.reshape([y.len(), 1]) * jacobian(&y, &leaf).reshape([y.len(), x.len()]);
    let size = |x: &Tensor<T>| x.abs().max(..).item().to_f64();
    let sizes = [size(y.value()), size(&terms), size(&terms)];
    let [y, plain, recorded] =
        [y.value(), plain[0].value(), recorded[0].value()].map(|x| x.cast::<f64>().to_vec());
    [(y, sizes[0]), (plain, sizes[1]), (recorded, sizes[2])]
}

proptest! {
    /// Single precision against double precision, in which the same numbers are far apart. Where x - mean is exact,
    /// nothing is lost but what rounding the result costs.
    #[test]
    fn spread_does_not_depend_on_the_place(
        steps in prop::collection::vec(-9..9_i32, 6),
        offset in prop_oneof![Just(0.0_f32), 1e3..1e6_f32, -1e6..-1e3_f32],
        exponent in -50..60_i32,
        correction in 0..2_usize,
    ) {
        prop_assume!(steps[0] != steps[1] && steps[3] != steps[4] && steps[..3] != steps[3..]);
        let place = |&step: &i32| (offset + step as f32 * 0.0625) * 2.0_f32.powi(exponent);
        let x = Tensor::from(steps.iter().map(place).collect::<Vec<_>>()).reshape([2, 3]);
        let eps = f64::from(2.0_f32.powi(2 * exponent) * 1e-9);
        macro_rules! hold {
            ($($f:expr),* $(,)?) => {$(
                for ((got, _), (expected, scale)) in jet(&x, $f).iter().zip(jet(&x.cast::<f64>(), $f)) {
                    for (got, expected) in got.iter().zip(&expected) {
                        prop_assert!((got - expected).abs() <= 2e-5 * scale, "{}: {got} {expected}", stringify!($f));
                    }
                }
            )*};
        }
        hold! {
            |x| x.var(1, correction),
            |x| x.std(1, correction),
            |x| x.std(.., correction),
            |x| x.layer_norm([3], None, None, eps),
            |x| x.group_norm(1, None, None, eps),
            |x| x.unsqueeze(0).instance_norm(None, None, eps),
            |x| x.t().batch_norm(None, None, None, true, 0.1, eps).0,
        }
    }
}

#[test]
fn two_neighbours_in_single_precision() {
    // Half of their distance, 0.0625, is 0.03125, from a mean that is no f32: twice its square is 0.001953125.
    let x = Tensor::from([1e6_f32, 1e6 + 0.0625]);
    let leaf = Var::leaf(&x);
    for (correction, variance, slope) in [(1, 0.001_953_125, 0.0625), (0, 0.000_976_562_5, 0.031_25)] {
        let y = leaf.var(.., correction);
        assert_eq!(y.item(), variance);
        assert_eq!(grad(&y, &[&leaf])[0].value(), &Tensor::from([-slope, slope]));
        assert_eq!(grad_create_graph(&y, &[&leaf])[0].value(), &Tensor::from([-slope, slope]));
    }
    let units = Tensor::from([-1.0, 1.0]);
    assert_eq!(x.layer_norm([2], None, None, 0.0), units);
    let zero = Var::constant([0.0]);
    let running = [&zero, &zero];
    let (y, updated) = leaf.unsqueeze(1).batch_norm(Some(running), None, None, true, 1.0, 0.0);
    assert_eq!(y.value(), &units.unsqueeze(1));
    assert_eq!(updated.unwrap()[1].value(), &Tensor::from([0.001_953_125]));
    assert_eq!(leaf.reshape([1, 1, 2]).instance_norm(None, None, 0.0).value(), &units.reshape([1, 1, 2]));
}

/// With gradients that are all equal, the variance of the running means is g^2 (1 - alpha^t) alpha^t: never negative,
/// and small after some steps, when the difference of the means of squares and of the square has no digits left.
#[test]
fn centered_rmsprop_with_equal_gradients() {
    for (alpha, momentum) in [(0.5, 0.0), (0.9, 0.0), (0.99, 0.0), (0.9, 0.5)] {
        let (lr, eps, g) = (1e-3, 1e-8, 0.7_f32);
        let mut p = Parameter::<f32>::new(0.0);
        let mut optimizer = RmsProp::new(lr).alpha(alpha).eps(eps).momentum(momentum).centered();
        let (mut expected, mut velocity) = (0.0, 0.0);
        for t in 1..=30 {
            let loss = &p * g;
            optimizer.step(&mut p, &loss.backward());
            let left = alpha.powi(t);
            let g = f64::from(g);
            velocity = momentum * velocity + g / ((g * g * (1.0 - left) * left).sqrt() + eps);
            expected -= lr * velocity;
            let error = (f64::from(p.item()) - expected).abs() / expected.abs();
            assert!(error < 1e-3, "{} instead of {expected} in step {t} with alpha {alpha}", p.item());
        }
    }
}

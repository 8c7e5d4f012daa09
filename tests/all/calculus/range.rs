//! Values and gradients that are ordinary numbers although squares, sums or products on the way are not.

use gradus::prelude::*;
use gradus::{Float, MseLoss, Pool, Reduction, clip_grad_norm, grad, grad_create_graph};
use proptest::prelude::*;

/// A name, the power of a scale that the value has, and the function.
type Homogeneous<T> = (&'static str, i32, fn(&Var<T>) -> Var<T>);

/// Functions of `[2, 4]`.
fn functions<T: Float>() -> Vec<Homogeneous<T>> {
    vec![
        ("sum", 1, |x| x.sum(1)),
        ("mean", 1, |x| x.mean(..)),
        ("max", 1, |x| x.max(1)),
        ("cumsum", 1, |x| x.cumsum(1)),
        ("norm 0.5", 1, |x| x.norm(0.5, 1)),
        ("norm 1", 1, |x| x.norm(1.0, 1)),
        ("norm 2", 1, |x| x.norm(2.0, 1)),
        ("norm 2 across", 1, |x| x.norm(2.0, 0)),
        ("norm 3", 1, |x| x.norm(3.0, ..)),
        ("norm 50", 1, |x| x.norm(50.0, 1)),
        ("norm -2", 1, |x| x.norm(-2.0, 1)),
        ("norm inf", 1, |x| x.norm(f64::INFINITY, 1)),
        ("var", 2, |x| x.var(1, 1)),
        ("std", 1, |x| x.std(1, 1)),
        ("std across", 1, |x| x.std(0, 0)),
        ("layer_norm", 0, |x| x.layer_norm([4], None, None, 0.0)),
        ("rms_norm", 0, |x| x.rms_norm([4], None, 0.0)),
        ("group_norm", 0, |x| x.group_norm(1, None, None, 0.0)),
        ("instance_norm", 0, |x| x.reshape([1, 2, 4]).instance_norm(None, None, 0.0)),
        ("batch_norm", 0, |x| x.t().batch_norm(None, None, None, true, 0.1, 0.0).0),
        ("cosine_similarity", 0, |x| x.cosine_similarity(x.flip(1), 1, 0.0)),
        ("avg_pool2d", 1, |x| x.unsqueeze(0).avg_pool2d(Pool::new([2, 2]))),
        ("mse_loss", 2, |x| x.mse_loss(Tensor::<T>::zeros([2, 4]))),
        ("mse_loss, batch", 2, |x| {
            MseLoss::new().reduction(Reduction::BatchMean).forward(x, Tensor::<T>::zeros([2, 4]))
        }),
        ("l1_loss", 1, |x| x.l1_loss(Tensor::<T>::zeros([2, 4]))),
        ("huber_loss", 1, |x| x.huber_loss(Tensor::<T>::zeros([2, 4]))),
        ("smooth_l1_loss", 1, |x| x.smooth_l1_loss(Tensor::<T>::zeros([2, 4]))),
        ("kl_div", 1, |x| x.kl_div(Tensor::<T>::ones([2, 4]))),
        ("bce_with_logits", 1, |x| x.binary_cross_entropy_with_logits(Tensor::<T>::zeros([2, 4]))),
        ("cross_entropy", 1, |x| x.cross_entropy(Tensor::from([0, 1]))),
        ("softmax", 0, |x| x.softmax(1)),
        ("logsumexp", 1, |x| x.logsumexp(1)),
    ]
}

/// The value, and the gradient of its sum with small weights, unrecorded and recorded.
fn jet<T: Float>(x: &Tensor<T>, f: fn(&Var<T>) -> Var<T>) -> [Vec<f64>; 3] {
    let leaf = Var::leaf(x);
    let y = f(&leaf);
    let weights = (Tensor::<f64>::rand(y.shape(), &mut seeded(1)) * 0.0625).cast::<T>();
    let weights = Var::leaf(weights);
    let loss = (&y * weights).sum(..);
    let [plain, recorded] = [grad(&loss, &[&leaf]), grad_create_graph(&loss, &[&leaf])];
    [y.value(), plain[0].value(), recorded[0].value()].map(|x| x.cast::<f64>().to_vec())
}

/// Equal but for rounding where that is in range: near zero and near the largest number there is less to hold.
fn check(
    name: &str,
    got: &[f64],
    expected: &[f64],
    [smallest, largest, epsilon]: [f64; 3],
) -> Result<(), TestCaseError> {
    let scale = expected.iter().fold(0.0_f64, |scale, x| scale.max(x.abs()));
    for (got, &expected) in got.iter().zip(expected) {
        let near = (got - expected).abs() <= 512.0 * epsilon * scale + 64.0 * smallest * epsilon;
        prop_assert!(near || scale > 0.2 * largest, "{name}: {got:e} instead of {expected:e}");
    }
    Ok(())
}

/// The scales at which squares, sums or quotients leave the range of a type with these numbers of exponents.
fn scales(largest: i32, smallest: i32) -> impl Strategy<Value = i32> {
    let roots = prop::sample::select(vec![
        largest - 1,
        largest - 2,
        largest / 2,
        largest / 2 - 1,
        smallest / 2,
        smallest / 2 + 1,
        smallest + 3,
        0,
    ]);
    prop_oneof![roots, smallest..largest]
}

/// Two rows of four numbers: none are close, so that no extreme has a tie, and at most one of a row is negative, so that
/// nothing cancels.
fn rows() -> impl Strategy<Value = Vec<f64>> {
    let magnitudes: Vec<f64> = (0..8).map(|i| 0.3 + 0.085 * f64::from(i)).collect();
    (Just(magnitudes).prop_shuffle(), any::<[bool; 2]>()).prop_map(|(mut x, negative)| {
        for (row, _) in negative.into_iter().enumerate().filter(|(_, negative)| *negative) {
            x[4 * row] = -x[4 * row];
        }
        x
    })
}

proptest! {
    /// Single precision at any scale, subnormal numbers too, against double precision.
    #[test]
    fn single_precision_has_no_hidden_bounds(x in rows(), exponent in scales(128, -140)) {
        let x = Tensor::from(x).reshape([2, 4]).map(|x| x * 2.0_f64.powi(exponent)).cast::<f32>();
        let limits = [f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX), f64::from(f32::EPSILON)];
        for ((name, _, narrow), (_, _, wide)) in functions::<f32>().into_iter().zip(functions::<f64>()) {
            // Between flat and steep, the gradient of a softmax is a small difference of large numbers.
            if (2..12).contains(&exponent) && (name == "softmax" || name == "cross_entropy") {
                continue;
            }
            for (got, expected) in jet(&x, narrow).iter().zip(&jet(&x.cast::<f64>(), wide)) {
                check(name, got, expected, limits)?;
            }
        }
    }

    /// Double precision at any scale, against the same at scale 1.
    #[test]
    fn scales_go_through(x in rows(), exponent in scales(1024, -1015)) {
        let x = Tensor::from(x).reshape([2, 4]);
        // In two steps, as the square of 2^1023 is too large.
        let steps = [2.0_f64.powi(exponent / 2), 2.0_f64.powi(exponent - exponent / 2)];
        let scaled = |x: &[f64], power: i32| -> Vec<f64> {
            let scale = |x: f64| match power {
                -1 => x / steps[0] / steps[1],
                power => (0..power).fold(x, |x, _| x * steps[0] * steps[1]),
            };
            x.iter().copied().map(scale).collect()
        };
        // Functions that only are homogeneous far out are not held here.
        let everywhere = |name: &str| !["huber", "smooth", "kl", "bce", "cross", "softmax", "logsum"]
            .iter().any(|start| name.starts_with(start));
        for (name, power, function) in functions::<f64>().into_iter().filter(|(name, ..)| everywhere(name)) {
            let [y, plain, recorded] = jet(&x, function);
            let got = jet(&(&x * steps[0] * steps[1]), function);
            for (got, expected) in got.iter().zip([scaled(&y, power), scaled(&plain, power - 1), scaled(&recorded, power - 1)]) {
                check(name, got, &expected, [f64::MIN_POSITIVE, f64::MAX, f64::EPSILON])?;
            }
        }
    }

    /// The gradients of products that leave the range and come back: each result divided by the factor.
    #[test]
    fn products_come_back(exponents in prop::collection::vec(-300..300_i32, 1..6), shuffled in any::<prop::sample::Index>()) {
        let there = exponents.iter().map(|&e| 2.0_f64.powi(3 * e));
        let mut factors: Vec<f64> = there.clone().chain(there.map(f64::recip)).collect();
        let turn = shuffled.index(factors.len());
        factors.rotate_left(turn);
        let leaf = Var::leaf(Tensor::from(factors.clone()));
        let last = leaf.cumprod(0).select(0, -1);
        for y in [leaf.prod(..), last] {
            prop_assert_eq!(y.item(), 1.0);
            for gradient in [grad(&y, &[&leaf]), grad_create_graph(&y, &[&leaf])] {
                for (got, x) in gradient[0].value().iter().zip(&factors) {
                    prop_assert!((got * x - 1.0).abs() < 1e-12, "{} for the factor {}", got, x);
                }
            }
        }
    }
}

#[test]
fn ordinary_values_and_gradients() {
    // The gradient of a length is the direction.
    for x in [[1e20_f32, 0.0], [1e-30, 0.0], [f32::MAX, 0.0], [1e-45, 0.0]] {
        let leaf = Var::leaf(Tensor::from(x));
        let y = leaf.norm(2.0, ..);
        assert_eq!(y.item(), x[0]);
        assert!(grad(&y, &[&leaf])[0].value().allclose(&Tensor::from([1.0, 0.0]), 1e-6, 0.0));
    }
    // Their standard deviation is the distance divided by the root of two.
    let leaf = Var::leaf(Tensor::from([1e-30_f32, 3e-30]));
    let y = leaf.std(.., 1);
    assert!((y.item() / 2e-30 - 0.5_f32.sqrt()).abs() < 1e-6);
    let slope = 0.5_f32.sqrt();
    assert!(grad(&y, &[&leaf])[0].value().allclose(&Tensor::from([-slope, slope]), 1e-6, 0.0));
    // A direction of numbers whose length is too large.
    let x = Var::leaf(Tensor::full([8], f64::MAX / 2.0));
    assert!((x.cosine_similarity(Tensor::ones([8]), 0, 1e-8).item() - 1.0).abs() < 1e-15);
    let mean = Var::leaf(Tensor::full([1000], f64::MAX / 2.0)).mean(..).item();
    assert!((mean / (f64::MAX / 2.0) - 1.0).abs() < 1e-15);
    // A cofactor of diag(a, b) is b or a, however large their product is.
    let x = Var::leaf(Tensor::from([[1e200, 0.0], [0.0, 1e200]]));
    let cofactors = grad(&x.det(), &[&x]);
    assert!(cofactors[0].value().allclose(&(Tensor::<f64>::eye(2) * 1e200), 1e-14, 0.0));
}

/// A derivative of a product is the product of the other factors, whatever becomes of the whole.
#[test]
fn gradients_of_products_out_of_range() {
    for (x, expected) in [([1e-30_f32, 1e-20], [1.0_f32, 1e-30]), ([1e20, 1e20], [1e20, 1e20])] {
        let leaf = Var::leaf(Tensor::from(x));
        let gradients = leaf.cumprod(0).backward_with(&Tensor::ones([2]));
        assert!(gradients.get(&leaf).unwrap().allclose(&Tensor::from(expected), 1e-6, 0.0));
    }
    for (first, other) in [(1e-30_f32, 4.64e-4_f32), (1e30, 2.15e3)] {
        let mut x = vec![other; 10];
        x[0] = first;
        let leaf = Var::leaf(Tensor::from(x));
        let slope = grad(&leaf.prod(..), &[&leaf])[0].value().select(0, 0).item();
        let expected = f64::from(other).powi(9);
        assert!((f64::from(slope) / expected - 1.0).abs() < 1e-4, "{slope:e} instead of {expected:e}");
    }
}

/// The length over several parameters, of which each alone may be in range.
#[test]
fn gradients_of_any_length_are_clipped() {
    let hold = |g: [[f64; 2]; 2], max: f64, norm: f64| {
        let parameters = g.map(|_| Parameter::new([1.0_f64, 1.0]));
        let loss = parameters
            .iter()
            .zip(g)
            .map(|(p, g)| (&**p * Tensor::from(g)).sum(..))
            .reduce(|x, y| x + y)
            .unwrap();
        let mut gradients = loss.backward();
        let parameters = Vec::from(parameters);
        let got = clip_grad_norm(&mut gradients, &parameters, max);
        assert!(got == norm || (got / norm - 1.0).abs() < 1e-14, "{got:e}");
        let largest = g.iter().flatten().fold(0.0_f64, |largest, g| largest.max(g.abs()));
        let length = g.iter().flatten().map(|g| (g / largest).powi(2)).sum::<f64>().sqrt();
        for (p, g) in parameters.iter().zip(g) {
            let expected = Tensor::from(g.map(|g| g / largest / length * max));
            assert!(gradients.get(p).unwrap().allclose(&expected, 1e-6, 0.0));
        }
    };
    hold([[1e200, 1e200], [0.0, 0.0]], 1.0, 1e200 * 2.0_f64.sqrt());
    hold([[1e200, 0.0], [0.0, 1e200]], 1e-3, 1e200 * 2.0_f64.sqrt());
    hold([[f64::MAX; 2]; 2], 1.0, f64::INFINITY);
    hold([[3e-200, 4e-200], [0.0, 0.0]], 0.0, 5e-200);
    let p = Parameter::new([1.0_f32, 1.0]);
    let mut gradients = (&*p * Tensor::full([2], f32::MAX)).sum(..).backward();
    clip_grad_norm(&mut gradients, &p, 1e-5);
    // One factor for both would be too small for an f32 to have its digits.
    assert!(gradients.get(&p).unwrap().allclose(&Tensor::full([2], 1e-5 * 0.5_f32.sqrt()), 1e-6, 0.0));
}

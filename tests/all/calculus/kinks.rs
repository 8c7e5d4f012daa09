//! Kinks, jumps and ties, where the derivative is a convention.

use gradus::testing::{reductions, shapes};
use gradus::{Losses, Tensor, Var, keepdim};
use proptest::prelude::*;

use super::jet;

const INF: f64 = f64::INFINITY;

#[test]
fn at_the_kink() {
    type Function = fn(&Var<f64>) -> Var<f64>;
    let cases: [(&str, Function, f64, f64, f64); 54] = [
        ("abs", |x| x.abs(), 0.0, 0.0, 0.0),
        ("abs", |x| x.abs(), -0.0, 0.0, 0.0),
        ("sign", |x| x.sign(), 0.0, 0.0, 0.0),
        ("relu", |x| x.relu(), 0.0, 0.0, 0.0),
        ("relu", |x| x.relu(), -0.0, 0.0, 0.0),
        ("relu", |x| x.relu(), 5e-324, 5e-324, 1.0),
        ("leaky_relu", |x| x.leaky_relu(0.125), 0.0, 0.0, 0.125),
        ("leaky_relu", |x| x.leaky_relu(0.125), -0.0, 0.0, 0.125),
        ("elu", |x| x.elu(1.5), 0.0, 0.0, 1.5),
        ("clamp", |x| x.clamp(-1.0, 2.0), -1.0, -1.0, 0.0),
        ("clamp", |x| x.clamp(-1.0, 2.0), 2.0, 2.0, 0.0),
        ("clamp", |x| x.clamp(-1.0, 2.0), 1.9, 1.9, 1.0),
        ("clamp", |x| x.clamp(-1.0, 2.0), 2.1, 2.0, 0.0),
        ("clamp", |x| x.clamp(1.0, 1.0), 1.0, 1.0, 0.0),
        ("clamp", |x| x.clamp(2.0, 1.0), 0.0, 1.0, 0.0),
        ("clamp", |x| x.clamp(2.0, 1.0), 1.5, 1.0, 0.0),
        ("clamp", |x| x.clamp(2.0, 1.0), 3.0, 1.0, 0.0),
        ("clamp without a lower bound", |x| x.clamp(-INF, 1.0), -INF, -INF, 1.0),
        ("clamp without a lower bound", |x| x.clamp(-INF, 1.0), 1.0, 1.0, 0.0),
        ("clamp without an upper bound", |x| x.clamp(-1.0, INF), INF, INF, 1.0),
        ("clamp without an upper bound", |x| x.clamp(-1.0, INF), -1.0, -1.0, 0.0),
        ("hardtanh", |x| x.hardtanh(-1.0, 2.0), -1.0, -1.0, 0.0),
        ("hardtanh", |x| x.hardtanh(-1.0, 2.0), 2.0, 2.0, 0.0),
        ("hardtanh", |x| x.hardtanh(-1.0, 2.0), 1.9, 1.9, 1.0),
        ("relu6", |x| x.relu6(), 0.0, 0.0, 0.0),
        ("relu6", |x| x.relu6(), 6.0, 6.0, 0.0),
        ("relu6", |x| x.relu6(), 5.0, 5.0, 1.0),
        ("hardsigmoid", |x| x.hardsigmoid(), -3.0, 0.0, 0.0),
        ("hardsigmoid", |x| x.hardsigmoid(), 3.0, 1.0, 0.0),
        ("hardsigmoid", |x| x.hardsigmoid(), 0.0, 0.5, 1.0 / 6.0),
        ("hardswish", |x| x.hardswish(), -3.0, 0.0, 0.0),
        ("hardswish", |x| x.hardswish(), 3.0, 3.0, 1.0),
        ("hardswish", |x| x.hardswish(), 1.5, 1.125, 1.0),
        ("celu", |x| x.celu(0.5), 0.0, 0.0, 1.0),
        ("selu", |x| x.selu(), 0.0, 0.0, 1.050_700_987_355_480_5 * 1.673_263_242_354_377_2),
        ("prelu", |x| x.prelu(0.125), 0.0, 0.0, 0.125),
        ("softsign", |x| x.softsign(), 0.0, 0.0, 1.0),
        (
            "softplus at its threshold",
            |x| x.softplus(2.0, 3.0),
            1.5,
            (3.0_f64.exp()).ln_1p() / 2.0,
            1.0 / (1.0 + (-3.0_f64).exp()),
        ),
        ("softplus above its threshold", |x| x.softplus(2.0, 3.0), 1.75, 1.75, 1.0),
        ("frac", |x| x.frac(), 2.0, 0.0, 1.0),
        ("huber_loss", |x| x.huber_loss(0.0), 1.0, 0.5, 1.0),
        ("smooth_l1_loss", |x| x.smooth_l1_loss(0.0), -1.0, 0.5, -1.0),
        ("l1_loss", |x| x.l1_loss(3.0), 3.0, 0.0, 0.0),
        ("sqrt", |x| x.sqrt(), 0.0, 0.0, f64::INFINITY),
        ("square of abs", |x| x.abs().square(), 0.0, 0.0, 0.0),
        ("hypot", |x| x.hypot(0.0), 2.0, 2.0, 1.0),
        ("fake_quantize", |x| x.fake_quantize(0.5, 1.0, -8..=7), 0.25, 0.0, 1.0),
        ("fake_quantize", |x| x.fake_quantize(0.5, 1.0, -8..=7), 3.24, 3.0, 1.0),
        ("fake_quantize", |x| x.fake_quantize(0.5, 1.0, -8..=7), 3.26, 3.0, 0.0),
        ("fake_quantize", |x| x.fake_quantize(0.5, 1.0, -8..=7), -4.74, -4.5, 1.0),
        ("fake_quantize", |x| x.fake_quantize(0.5, 1.0, -8..=7), -4.76, -4.5, 0.0),
        ("lsq", |x| x.lsq(0.5, -8..=7), 3.5, 3.5, 0.0),
        ("lsq", |x| x.lsq(0.5, -8..=7), 3.49, 3.5, 1.0),
        ("lsq", |x| x.lsq(0.5, -8..=7), -4.0, -4.0, 0.0),
    ];
    for (name, f, x, value, slope) in cases {
        let [got, first, _] = jet(f, x);
        assert_eq!((got, first), (value, slope), "{name} at {x}");
    }
}

proptest! {
    /// Steps are flat everywhere, also at the steps, and a variable that meets nothing but steps is still
    /// one that the result depends on.
    #[test]
    fn steps_are_flat(halves in -9..=9_i8) {
        let x = f64::from(halves) / 2.0;
        prop_assert_eq!(jet(Var::floor, x), [x.floor(), 0.0, 0.0]);
        prop_assert_eq!(jet(Var::ceil, x), [x.ceil(), 0.0, 0.0]);
        prop_assert_eq!(jet(Var::trunc, x), [x.trunc(), 0.0, 0.0]);
        prop_assert_eq!(jet(Var::round, x), [x.round_ties_even(), 0.0, 0.0]);
        prop_assert_eq!(jet(Var::sign, x), [f64::from(i8::from(x > 0.0)) - f64::from(i8::from(x < 0.0)), 0.0, 0.0]);
    }

    /// Quotients are rounded towards zero or down, and what is left has the sign that belongs to it. The derivatives are
    /// those within a step, also at the jumps.
    #[test]
    fn divisions_with_rest(halves in -9..=9_i8, divisor in prop::sample::select(vec![-2.5, -1.0, 0.5, 1.5])) {
        let x = f64::from(halves) / 2.0;
        let (a, b) = (Var::leaf(Tensor::from(x)), Var::leaf(Tensor::from(divisor)));
        let slopes = |y: Var<f64>| [&a, &b].map(|leaf| gradus::grad(&y, &[leaf])[0].item());
        let (towards_zero, down) = ((x / divisor).trunc(), (x / divisor).floor());
        prop_assert_eq!(a.fmod(&b).item(), x - divisor * towards_zero);
        prop_assert_eq!(slopes(a.fmod(&b)), [1.0, -towards_zero]);
        prop_assert_eq!(a.remainder(&b).item(), x - divisor * down);
        prop_assert_eq!(slopes(a.remainder(&b)), [1.0, -down]);
        prop_assert_eq!(a.floor_divide(&b).item(), down);
        prop_assert_eq!(slopes(a.floor_divide(&b)), [0.0, 0.0]);
    }

    /// At 0, `x log(y)` is 0 for every y, and so is the derivative where there is no logarithm.
    #[test]
    fn nothing_times_a_logarithm(y in prop::sample::select(vec![0.0_f64, -1.0, 1.0, 3.0])) {
        let x = Var::leaf(Tensor::from(0.0));
        let product = x.xlogy(y);
        prop_assert_eq!(product.item(), 0.0);
        prop_assert_eq!(gradus::grad(&product, &[&x])[0].item(), if y > 0.0 { y.ln() } else { 0.0 });
    }

    /// On either side of a kink, functions are what they are there.
    #[test]
    fn beside_the_kink(x in 0.001..5.0_f64, attribute in 0.1..2.0_f64) {
        prop_assert_eq!(jet(Var::relu, x), [x, 1.0, 0.0]);
        prop_assert_eq!(jet(Var::relu, -x), [0.0, 0.0, 0.0]);
        prop_assert_eq!(jet(Var::abs, -x), [x, -1.0, 0.0]);
        prop_assert_eq!(jet(|x| x.leaky_relu(attribute), x), [x, 1.0, 0.0]);
        prop_assert_eq!(jet(|x| x.leaky_relu(attribute), -x), [-x * attribute, attribute, 0.0]);
        prop_assert_eq!(jet(|x| x.elu(attribute), x), [x, 1.0, 0.0]);
        let expected = [(-x).exp_m1() * attribute, (-x).exp() * attribute, (-x).exp() * attribute];
        for (got, expected) in jet(|x| x.elu(attribute), -x).into_iter().zip(expected) {
            super::assert_close(got, expected, 1e-14);
        }
    }

    /// At a tie each of two numbers has half the derivative, elsewhere the larger (smaller) has all of it.
    #[test]
    fn the_larger_and_the_smaller_of_two(x in -2..=2_i8, y in -2..=2_i8) {
        let (a, b) = (Var::leaf(Tensor::from(f64::from(x))), Var::leaf(Tensor::from(f64::from(y))));
        let share = |wins: bool| if x == y { 0.5 } else { f64::from(u8::from(wins)) };
        for (value, expected, left_wins) in [(a.maximum(&b), x.max(y), x > y), (a.minimum(&b), x.min(y), x < y)] {
            prop_assert_eq!(value.item(), f64::from(expected));
            let gradients = value.backward();
            prop_assert_eq!(gradients.get(&a).map(Tensor::item), Some(share(left_wins)));
            prop_assert_eq!(gradients.get(&b).map(Tensor::item), Some(share(!left_wins)));
        }
        // The same variable on both sides has all of it.
        prop_assert_eq!(jet(|x| x.maximum(x), f64::from(x)), [f64::from(x), 1.0, 0.0]);
        prop_assert_eq!(jet(|x| x.minimum(x), f64::from(x)), [f64::from(x), 1.0, 0.0]);
    }

    /// Elements that are equally large share the derivative evenly: in all, each cotangent is handed on once.
    #[test]
    fn ties_of_reductions((shape, axes) in reductions(1), seed: u64, largest: bool) {
        let values = Tensor::<f64>::rand(&shape, &mut gradus::seeded(seed)).map(|x| (x * 3.0).floor());
        let x = Var::leaf(&values);
        let y = if largest { x.max(axes.clone()) } else { x.min(axes.clone()) };
        let u = Tensor::<f64>::randn(y.shape(), &mut gradus::seeded(!seed));
        let extremes = if largest { values.max(keepdim(axes.clone())) } else { values.min(keepdim(axes.clone())) };
        let won = values.eq(&extremes).cast::<f64>();
        let share = &won / won.sum(keepdim(axes));
        let expected = share * u.reshape(extremes.shape());
        let gradients = y.backward_with(&u);
        prop_assert!(gradients.get(&x).unwrap().allclose(&expected, 1e-15, 0.0));
    }

    /// At the origin `atan2` is flat by convention, and `hypot` has no derivative.
    #[test]
    fn polar_coordinates_at_the_origin(x in prop::sample::select(vec![0.0, -0.0]), y in prop::sample::select(vec![0.0, -0.0])) {
        let (a, b) = (Var::leaf(Tensor::from(y)), Var::leaf(Tensor::from(x)));
        let angle = a.atan2(&b);
        prop_assert_eq!(angle.item(), f64::atan2(y, x));
        let gradients = angle.backward();
        prop_assert_eq!([&a, &b].map(|leaf| gradients.get(leaf).unwrap().item()), [0.0, 0.0]);
        let gradients = a.hypot(&b).backward();
        prop_assert!([&a, &b].iter().all(|leaf| gradients.get(leaf).unwrap().item().is_nan()));
    }

    /// The class of the largest is an integer, and the first of equals.
    #[test]
    fn argmax_takes_the_first(shape in shapes(1..=3, 1..=4), seed: u64) {
        let values = Tensor::<f64>::rand(&shape, &mut gradus::seeded(seed)).map(|x| (x * 3.0).floor());
        let index = Var::leaf(&values).argmax(-1);
        let winners = values.gather(-1, &index.unsqueeze(-1));
        prop_assert_eq!(&winners, &values.max(keepdim(-1)));
        for (lane, index) in values.reshape([-1, *shape.last().unwrap() as isize]).to_vec().chunks(*shape.last().unwrap()).zip(index.iter()) {
            prop_assert!(lane[..index as usize].iter().all(|x| *x < lane[index as usize]));
        }
    }
}

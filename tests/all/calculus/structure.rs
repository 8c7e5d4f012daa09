//! Conventions of what picks, orders, multiplies or measures elements: zeros, ties and NaN.

use gradus::{Tensor, Var, grad_create_graph, seeded, vjp};
use proptest::prelude::*;

type Function = fn(&Var<f64>) -> Var<f64>;
type AlongAxis<'a> = &'a dyn Fn(&Var<f64>, isize) -> Var<f64>;

/// The gradient of a sum of weighted results, and the gradient of that times `direction`.
fn twice(f: impl Fn(&Var<f64>) -> Var<f64>, x: &Tensor<f64>, direction: &Tensor<f64>) -> [Tensor<f64>; 2] {
    let leaf = Var::leaf(x);
    let y = f(&leaf);
    let weights = Tensor::arange(1, y.len() as i64 + 1, 1).cast::<f64>().reshape(y.shape());
    let first = grad_create_graph(&(y * weights).sum(..), &[&leaf]).remove(0);
    let along = (&first * direction).sum(..);
    let second = if along.is_tracked() { vjp(&along, &Tensor::from(1.0), &[&leaf]).remove(0) } else { None };
    [first.into_value(), second.map_or(Tensor::zeros(x.shape()), Var::into_value)]
}

/// Products of the elements at some places.
fn product(x: &[f64], places: impl Iterator<Item = usize>) -> f64 {
    places.map(|i| x[i]).product()
}

proptest! {
    /// With any number of zeros, the derivatives of a product are the products of the other factors.
    #[test]
    fn products_with_zeros(x in prop::collection::vec(prop::sample::select(vec![0.0, 0.0, 2.0, -3.0, 0.5]), 1..6)) {
        let n = x.len();
        let direction: Vec<f64> = (0..n).map(|i| i as f64 - 1.5).collect();
        let others = |without: &[usize]| product(&x, (0..n).filter(|i| !without.contains(i)));
        let second = |i: usize| (0..n).filter(|j| *j != i).map(|j| direction[j] * others(&[i, j])).sum::<f64>();
        let expected = [(0..n).map(|i| others(&[i])).collect::<Vec<_>>(), (0..n).map(second).collect()];
        let (flat, direction) = (Tensor::from(x.clone()), Tensor::from(direction.clone()));
        let got = twice(|x| x.prod(..), &flat, &direction);
        prop_assert_eq!(got.map(|x| x.to_vec()), expected.clone());
        // Over several axes of a larger tensor, in any order of memory.
        let folded = twice(|x| x.reshape([1, -1, 1]).transpose(0, 1).prod([0, 2]), &flat, &direction);
        prop_assert_eq!(folded.map(|x| x.to_vec()), expected.clone());
        // The last of the running products is the product.
        let last = twice(|x| x.cumprod(0).select(0, -1), &flat, &direction);
        prop_assert_eq!(last.map(|x| x.to_vec()), expected);
    }

    /// Every running product is the product of what came before.
    #[test]
    fn running_products_with_zeros(x in prop::collection::vec(prop::sample::select(vec![0.0, 0.0, 2.0, -3.0]), 1..6)) {
        let n = x.len() as isize;
        let x = Tensor::from(x);
        let direction = Tensor::arange(0, n as i64, 1).cast::<f64>() - 1.5;
        let got = twice(|x| x.cumprod(0), &x, &direction);
        let parts = |x: &Var<f64>| {
            let products: Vec<Var<f64>> = (1..=n).map(|end| x.slice(0, ..end).prod(..)).collect();
            gradus::stack(&products.iter().collect::<Vec<_>>(), 0)
        };
        prop_assert_eq!(got, twice(parts, &x, &direction));
    }

    /// At the zero vector every norm has the derivatives 0; so has one with respect to an element that is 0.
    #[test]
    fn norms_at_zero(
        p in prop::sample::select(vec![0.0, 0.5, 1.0, 1.5, 2.0, 3.0, f64::INFINITY, f64::NEG_INFINITY, -1.0]),
        size in 1..4_usize,
    ) {
        let zeros = Tensor::zeros([size]);
        prop_assert_eq!(twice(|x| x.norm(p, ..), &zeros, &Tensor::ones([size])), [zeros.clone(), zeros]);
        let x = Tensor::from([0.0, -2.0, 2.0]);
        let [first, _] = twice(|x| x.norm(p, ..), &x, &Tensor::ones([3]));
        prop_assert_eq!(first[[0]], 0.0);
        prop_assert_eq!(first[[1]], -first[[2]]);
    }

    /// Equal distances from zero share the derivative of the largest, and of the smallest.
    #[test]
    fn extreme_norms_share_ties(sign in prop::sample::select(vec![1.0, -1.0])) {
        let x = Tensor::from([sign, -3.0, 3.0, 1.0]);
        let [largest, _] = twice(|x| x.norm(f64::INFINITY, 0), &x, &Tensor::ones([4]));
        prop_assert_eq!(largest, Tensor::from([0.0, -0.5, 0.5, 0.0]));
        let [smallest, _] = twice(|x| x.norm(f64::NEG_INFINITY, 0), &x, &Tensor::ones([4]));
        prop_assert_eq!(smallest, Tensor::from([0.5 * sign, 0.0, 0.0, 0.5]));
    }

    /// The extremes over several axes share the derivative evenly among all of the same size.
    #[test]
    fn extremes_over_several_axes_share_ties(seed: u64) {
        let x = Tensor::<f64>::rand([2, 3, 2], &mut gradus::seeded(seed)).map(|x| (x * 2.0).floor());
        for f in [(|x| x.max([0, 2])) as Function, |x| x.min([0, 2])] {
            let leaf = Var::leaf(&x);
            let y = f(&leaf);
            let won = x.eq(y.value().reshape([1, 3, 1])).cast::<f64>();
            let share = &won / won.sum(gradus::keepdim([0, 2]));
            let gradients = y.sum(..).backward();
            prop_assert_eq!(gradients.get(&leaf), Some(&share));
        }
    }

    /// Equal elements have a deviation of 0, with the derivatives 0.
    #[test]
    fn deviations_of_equal_elements(number in -3.0..3.0_f64, size in 2..5_usize) {
        let x = Tensor::full([size], number);
        // A mean that is rounded would be no tie.
        let x = x.map(f64::round);
        let zeros = Tensor::zeros([size]);
        prop_assert_eq!(x.std(.., 1).item(), 0.0);
        prop_assert_eq!(twice(|x| x.std(.., 1), &x, &Tensor::ones([size])), [zeros.clone(), zeros]);
        let alone = twice(|x| x.std([0_usize; 0], 1), &x, &Tensor::ones([size]));
        prop_assert!(alone[0].isnan().all(..).item(), "no degrees of freedom");
    }

    /// Sorting is stable either way, and the gradient goes to the place that the index names.
    #[test]
    fn sorting_with_ties(x in prop::collection::vec(prop::sample::select(vec![0.0, 1.0, 2.0, f64::NAN]), 0..8), descending: bool) {
        let leaf = Var::leaf(Tensor::from(x.clone()));
        let (values, indices) = leaf.sort(0, descending);
        let key = |i: i64| if x[i as usize].is_nan() { 9.0 } else { x[i as usize] };
        let order = indices.to_vec();
        for pair in order.windows(2) {
            let (a, b) = (key(pair[0]), key(pair[1]));
            let before = if descending { a > b } else { a < b };
            prop_assert!(before || a == b && pair[0] < pair[1]);
        }
        let weights = Tensor::arange(1, x.len() as i64 + 1, 1).cast::<f64>();
        let gradients = values.backward_with(&weights);
        prop_assert_eq!(gradients.get(&leaf).unwrap().gather(0, &indices), weights);
        for k in 0..=x.len() {
            let (top, places) = leaf.topk(k, 0, descending);
            prop_assert_eq!(&places, &indices.slice(0, ..k));
            prop_assert_eq!(top.len(), k);
        }
    }

    /// A median or quantile is the one of the tensor, bit by bit; its gradient goes to the elements that it is made of.
    #[test]
    fn places_of_the_order(
        x in prop::collection::vec(prop::sample::select(vec![0.0, 1.0, 2.5, f64::INFINITY, -f64::INFINITY, f64::NAN]), 1..8),
        q in prop_oneof![Just(0.5), 0.0..=1.0],
    ) {
        let x = Tensor::from(x);
        let leaf = Var::leaf(&x);
        let bits = |x: &Tensor<f64>| if x.item().is_nan() { u64::MAX } else { x.item().to_bits() };
        prop_assert_eq!(bits(leaf.median(..).value()), bits(&x.median(..)));
        prop_assert_eq!(bits(leaf.quantile(q, ..).value()), bits(&x.quantile(q, ..)));
        // Of equals, the first in the middle of a stable order.
        let middle = match x.isnan().cast::<i64>().argmax(..).item() {
            0 if !x[[0]].is_nan() => x.argsort(0, false)[[(x.len() - 1) / 2]],
            nan => nan,
        };
        let expected = Tensor::zeros([x.len()]).scatter(0, &Tensor::from([middle]), &Tensor::from([1.0]));
        let gradients = leaf.median(..).backward();
        prop_assert_eq!(gradients.get(&leaf), Some(&expected));
        if x.isfinite().all(..).item() {
            let gradients = leaf.quantile(q, ..).backward();
            let gradient = gradients.get(&leaf).unwrap();
            prop_assert!((gradient.sum(..).item() - 1.0).abs() < 1e-15);
            prop_assert!(((gradient * &x).sum(..).item() - x.quantile(q, ..).item()).abs() < 1e-14);
        }
    }

    /// Of several sources for one place only the one that stays has a gradient.
    #[test]
    fn scattering_with_ties(index in prop::collection::vec(0..3_i64, 1..6)) {
        let count = index.len();
        let (x, source) = (Var::leaf(Tensor::zeros([3])), Var::leaf(Tensor::arange(1, count as i64 + 1, 1).cast::<f64>()));
        let y = x.scatter(0, Tensor::from(index.clone()), &source);
        let gradients = y.backward_with(&Tensor::from([1.0, 10.0, 100.0]));
        for (i, &place) in index.iter().enumerate() {
            let stays = !index[i + 1..].contains(&place);
            prop_assert_eq!(gradients.get(&source).unwrap()[[i]], if stays { 10.0_f64.powi(place as i32) } else { 0.0 });
            prop_assert_eq!(gradients.get(&x).unwrap()[[place as usize]], 0.0);
        }
    }

    /// Tensor and mask broadcast, whichever has more axes; every place that an element is repeated to counts.
    #[test]
    fn masks_broadcast((shape, mask_shape) in gradus::testing::broadcast_pair(), seed: u64) {
        let rng = &mut seeded(seed);
        let mask = Tensor::<f64>::rand(&mask_shape, rng).gt(0.5);
        let x = Tensor::randn(&shape, rng);
        let both = |f: &dyn Fn(&Var<f64>) -> Var<f64>| {
            let leaf = Var::leaf(&x);
            let y = f(&leaf);
            let cotangent = Tensor::arange(1, y.len() as i64 + 1, 1).cast::<f64>().reshape(y.shape());
            let gradient = vjp(&y, &cotangent, &[&leaf]).remove(0).unwrap();
            (y.into_value(), gradient.into_value())
        };
        let chosen = both(&|x| Var::where_(&mask, Tensor::from(7.0), x));
        prop_assert_eq!(both(&|x| x.masked_fill(&mask, 7.0)), chosen);
    }

    /// A number takes the axes 0 and -1 as if it had one, and stays a number.
    #[test]
    fn lanes_of_a_number(number in 0.5..3.0_f64, axis in -1..=0_isize) {
        let x = Tensor::from(number);
        let one = Tensor::from(1.0);
        let near = |x: &Tensor<f64>, y: &Tensor<f64>| x.shape() == y.shape() && (x.item() - y.item()).abs() <= 1e-15 * y.item();
        let same = |f: &dyn Fn(&Var<f64>) -> Var<f64>| {
            let leaf = Var::leaf(&x);
            let y = f(&leaf);
            near(y.value(), &x) && near(y.backward().get(&leaf).unwrap(), &one)
        };
        let reductions: [AlongAxis; 9] = [
            &|x, axis| x.sum(axis), &|x, axis| x.mean(gradus::keepdim(axis)), &|x, axis| x.prod(axis),
            &|x, axis| x.max(axis), &|x, axis| x.min(axis), &|x, axis| x.logsumexp(axis), &|x, axis| x.norm(2.0, axis),
            &|x, axis| x.median(axis), &|x, axis| x.quantile(0.3, axis),
        ];
        let others: [AlongAxis; 11] = [
            &|x, axis| x.transpose(axis, 0), &|x, axis| x.transpose(-1, axis),
            &|x, axis| x.cumsum(axis), &|x, axis| x.cumprod(axis), &|x, axis| x.sort(axis, true).0,
            &|x, axis| x.topk(1, axis, false).0, &|x, axis| x.flip(axis), &|x, axis| x.squeeze(axis),
            &|x, axis| x.gather(axis, Tensor::from(0)), &|x, axis| x.index_select(axis, Tensor::from([0])),
            &|x, axis| x.linear_recurrence(axis, x),
        ];
        for (i, f) in reductions.into_iter().chain(others).enumerate() {
            prop_assert!(same(&|x| f(x, axis)), "number {}", i);
        }
        prop_assert_eq!(Var::leaf(&x).softmax(axis).into_value(), one);
        prop_assert_eq!(x.argmax(axis), Tensor::from(0));
    }
}

/// A mask of more axes than the tensor; as PyTorch 2.15 has it.
#[test]
fn masks_with_more_axes() {
    let x = Var::leaf(Tensor::from([1.0, 2.0, 3.0]));
    let y = x.masked_fill(Tensor::from([[true, false, false], [true, true, false]]), -1.0);
    assert_eq!(y.value(), &Tensor::from([[-1.0, 2.0, 3.0], [-1.0, -1.0, 3.0]]));
    let cotangent = Tensor::from([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]);
    assert_eq!(y.backward_with(&cotangent).get(&x), Some(&Tensor::from([0.0, 2.0, 36.0])));
    let number = Var::leaf(Tensor::from(5.0)).masked_fill(Tensor::from([true, false]), 0.0);
    assert_eq!(number.value(), &Tensor::from([0.0, 5.0]));
}

/// The row that fills up batches is read like any other, and learns nothing.
#[test]
fn the_padding_row_gets_no_gradient() {
    let table = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    let index = Tensor::from([[0, 1], [1, 1]]);
    for padding_idx in [1, -1] {
        let rows = table.embedding(&index, Some(padding_idx));
        assert_eq!(rows.value(), table.embedding(&index, None).value());
        let gradients = rows.sum(..).backward();
        assert_eq!(gradients.get(&table), Some(&Tensor::from([[1.0, 1.0], [0.0, 0.0]])));
    }
}

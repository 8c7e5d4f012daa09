//! Poolings against loops over their windows.

use crate::common::*;
use gradus_tensor::{Pool, Tensor, seeded, set_num_threads};
use proptest::prelude::*;

proptest! {
    #[test]
    fn poolings_are_their_definitions(
        (x, kernel) in (full_shape(2..=2), 1..=9_usize, 1..=9_usize, 1..=3_usize, 1..=3_usize).prop_flat_map(
            |(front, height, width, ky, kx)| {
                let (ky, kx) = (ky.min(height), kx.min(width));
                (laid_of(&[&front[..], &[height, width]].concat(), &f64::tame()), Just([ky, kx]))
            }
        ),
        stride in prop::array::uniform2(1..=4_usize),
        rounded in any::<bool>(),
    ) {
        // With ties, but without negative zeros: which of two zeros is the largest is no promise.
        let naive = if rounded { x.naive.map(|x| (x / 5.0).round() + 0.0) } else { x.naive.clone() };
        let tensor = if rounded { (x.tensor / 5.0).round() + 0.0 } else { x.tensor };
        let [height, width] = [naive.shape[2], naive.shape[3]];
        let shape = [
            naive.shape[0], naive.shape[1], (height - kernel[0]) / stride[0] + 1, (width - kernel[1]) / stride[1] + 1,
        ];
        let window = |index: &[usize]| -> Vec<(usize, f64)> {
            let (top, left) = (index[2] * stride[0], index[3] * stride[1]);
            indices(&kernel)
                .iter()
                .map(|at| (top + at[0], left + at[1]))
                .map(|(y, x)| (y * width + x, naive.at(&[index[0], index[1], y, x])))
                .collect()
        };
        let pool = || Pool::new(kernel).stride(stride);
        let max = Naive::build(&shape, |index| window(index).iter().fold(f64::NEG_INFINITY, |best, (_, x)| best.max(*x)));
        check(&tensor.max_pool2d(pool()), &max);
        let first = Naive::build(&shape, |index| {
            let largest = max.at(index);
            window(index).iter().find(|(_, x)| *x == largest).expect("it is one of them").0 as i64
        });
        let pooling = pool().over("max_pool2d", 2, tensor.shape()).unwrap();
        check(&tensor.pooled_max_places(&pooling), &first);
        let mean = Naive::build(&shape, |index| {
            let window = window(index);
            window.iter().map(|(_, x)| x).sum::<f64>() / window.len() as f64
        });
        prop_assert!(tensor.avg_pool2d(pool()).allclose(&mean.tensor(), 1e-12, 1e-12));
    }
}

proptest! {
    /// The windows that have a loop of their own: values, and the gradient at the place that the general loop names.
    #[test]
    fn windows_of_two_by_two(
        (batch, [height, width], seed) in (0..4_usize, [1..=20_usize, 1..=20_usize], any::<u64>()),
        nans in 0.0..0.2_f64,
    ) {
        let rng = &mut seeded(seed);
        let shape = [batch, 2 * height, 2 * width];
        let chosen = Tensor::<f64>::rand(shape, rng).lt(nans);
        // With ties.
        let x = Tensor::where_(&chosen, f64::NAN, (Tensor::<f64>::randn(shape, rng) * 2.0).round() + 0.0);
        let pooling = Pool::new(2).over("max_pool2d", 2, &shape).unwrap();
        let (y, places) = (x.pooled_max(&pooling), x.pooled_max_places(&pooling));
        let flat = [batch, 4 * height * width];
        let results = [batch, height * width];
        let at_places = x.reshape(flat).gather(1, &places.reshape(results));
        prop_assert_eq!(bits(&y.reshape(results)), bits(&at_places));
        let g = Tensor::<f64>::randn(y.shape(), rng);
        let expected = Tensor::zeros(flat).scatter_add(1, &places.reshape(results), &g.reshape(results));
        prop_assert_eq!(x.pooled_max_gradient(&pooling, &g).reshape(flat), expected);
    }
}

/// Rounded up, a window that is larger than the input is cut off.
#[test]
fn windows_may_end_beyond_the_input() {
    let x = Tensor::from([[1.0, 5.0, 3.0]]);
    let pool = || Pool::new(4).ceil_mode(true);
    assert_eq!(x.max_pool1d(pool()), Tensor::from([[5.0]]));
    assert_eq!(x.avg_pool1d(pool()), Tensor::from([[3.0]]));
    assert_eq!(x.max_pool1d(pool().padding(1).stride(2)), Tensor::from([[5.0, 5.0]]));
}

#[test]
fn nan_is_the_largest() {
    let nan = f64::NAN;
    for row in [[nan, 1.0, 2.0], [1.0, nan, 2.0], [1.0, 2.0, nan]] {
        let x = Tensor::from([row]);
        assert!(x.max_pool1d(3).item().is_nan());
        assert!(x.reshape([1, 3, 1]).max_pool2d([3, 1]).item().is_nan());
    }
    assert_eq!(Tensor::from([[f64::NEG_INFINITY; 2]]).max_pool1d(2).item(), f64::NEG_INFINITY);
}

#[test]
fn threads_change_no_bit() {
    let _settings = settings();
    let x = Tensor::<f32>::randn([7, 5, 60, 61], &mut seeded(0));
    let pooling = Pool::new([3, 2]).stride(2).padding(1).over("max_pool2d", 2, x.shape()).unwrap();
    let all = || {
        let y = x.pooled_max(&pooling);
        let gradient = x.pooled_max_gradient(&pooling, &y);
        [bits(&y), bits(&gradient), bits(&x.pooled_mean(&pooling)), bits(&y.pooled_mean_gradient(&pooling))]
    };
    set_num_threads(1);
    let expected = all();
    for threads in 2..=3 {
        set_num_threads(threads);
        assert!(all() == expected);
    }
}

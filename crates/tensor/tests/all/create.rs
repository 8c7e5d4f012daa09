//! New tensors, and shapes too large for any machine.

use crate::common::*;
use gradus_tensor::{Tensor, TensorError};
use proptest::prelude::*;

law! {
    /// `from_vec` keeps order and shape, and refuses any other length.
    [f32 f64 i64 bool]
    fn from_vec_needs_the_right_length(x in laid::<T>(0..=4), length in 0..20_usize) {
        let count = x.naive.data.len();
        check(&Tensor::from_vec(x.naive.data.clone(), &x.naive.shape).unwrap(), &x.naive);
        let other = Tensor::from_vec(vec![T::default(); length], &x.naive.shape);
        if length == count {
            check(&other.unwrap(), &x.naive.map(|_| T::default()));
        } else {
            let shape = x.naive.shape.into();
            prop_assert_eq!(other.unwrap_err(), TensorError::Length { operation: "from_vec", length, shape });
        }
    }
}

proptest! {
    /// A range turns into its numbers, 1 apart; one that ends before it starts into none.
    #[test]
    fn ranges(start in -20..20_i64, stop in -20..20_i64, fraction in 0.0..1.0_f64) {
        prop_assert_eq!(Tensor::from(start..stop), (start..stop).collect());
        let (first, end) = (start as f64 + fraction, stop as f64);
        prop_assert_eq!(Tensor::from(first..end), Tensor::arange(first, end, 1.0));
        prop_assert_eq!(Tensor::from(start as f32..stop as f32), Tensor::from(start..stop).cast());
    }
}

law! {
    /// Constant tensors.
    [f32 f64 i64]
    fn constants_are_everywhere(shape in shape(0..=4), value in T::any()) {
        check(&Tensor::full(&shape, value), &Naive::build(&shape, |_| value));
        check(&Tensor::<T>::zeros(&shape), &Naive::build(&shape, |_| T::from(0_u8)));
        check(&Tensor::<T>::ones(&shape), &Naive::build(&shape, |_| T::from(1_u8)));
        check(&Tensor::scalar(value), &Naive::build(&[], |_| value));
        check(&Tensor::from(value), &Naive::build(&[], |_| value));
    }
}

law! {
    /// The identity matrix has ones on its diagonal.
    [f32 i64]
    fn eye_has_a_diagonal(size in 0..20_usize) {
        let one = |index: &[usize]| T::from(u8::from(index[0] == index[1]));
        check(&Tensor::<T>::eye(size), &Naive::build(&[size, size], one));
    }
}

law! {
    /// Vectors, slices and nested arrays of up to four levels have their own shape.
    [f32 i64 bool]
    fn arrays_keep_their_shape(data in prop::collection::vec(T::any(), 24)) {
        const NOTHING: [T; 0] = [];
        let array: [[[[T; 4]; 3]; 2]; 1] =
            [std::array::from_fn(|i| std::array::from_fn(|j| std::array::from_fn(|k| data[12 * i + 4 * j + k])))];
        let with_shape = |shape: &[usize]| Naive { shape: shape.to_vec(), data: data[..shape.iter().product()].to_vec() };
        check(&Tensor::from(array), &with_shape(&[1, 2, 3, 4]));
        check(&Tensor::from(array[0]), &with_shape(&[2, 3, 4]));
        check(&Tensor::from(array[0][0]), &with_shape(&[3, 4]));
        check(&Tensor::from(array[0][0][0]), &with_shape(&[4]));
        check(&Tensor::from(&data[..]), &with_shape(&[24]));
        check(&Tensor::from(data.clone()), &with_shape(&[24]));
        check(&Tensor::<T>::from([[NOTHING; 3]; 2]), &with_shape(&[2, 3, 0]));
        check(&Tensor::<T>::from(NOTHING), &with_shape(&[0]));
    }
}

proptest! {
    /// Integers from `start` up to, or down to, but not including `stop`.
    #[test]
    fn arange_of_integers_is_a_loop(start in -50..50_i64, stop in -50..50_i64, step in 1..10_i64) {
        let up: Vec<i64> = (0..100).map(|i| start + i * step).take_while(|&x| x < stop).collect();
        let down: Vec<i64> = (0..100).map(|i| start - i * step).take_while(|&x| x > stop).collect();
        prop_assert_eq!(Tensor::arange(start, stop, step), Tensor::from(up));
        prop_assert_eq!(Tensor::arange(start, stop, -step), Tensor::from(down));
    }

    /// Floats are made by one multiplication each, so that errors do not add up.
    #[test]
    fn arange_of_floats_multiplies(start in -50.0..50.0_f64, count in 0..100_usize, step in 0.01..10.0_f64, up: bool) {
        let step = if up { step } else { -step };
        // Half a step short of the end, where no rounding changes the number of steps.
        let stop = start + (count as f64 - 0.5) * step;
        check(&Tensor::arange(start, stop, step), &Naive::build(&[count], |index| start + index[0] as f64 * step));
        let (start, step) = (start as f32, step as f32);
        let exact = |i: usize| f64::from(start) + i as f64 * f64::from(step);
        let single = Naive::build(&[count], |index| exact(index[0]) as f32);
        check(&Tensor::arange(start, stop as f32, step), &single);
    }

    /// No element is at the end or beyond it, and none is missing but by rounding.
    #[test]
    fn arange_of_floats_stops_before_the_end(
        start in -4..=4_i8, stop in -40..=40_i8, scale in prop::sample::select(vec![0.1, 0.3, 1.0, 1e-300, 1e-3]),
        step in prop::sample::select(vec![0.1, 0.7, -0.1, 1.0, 0.3, 1e300, -1e-3]),
    ) {
        let (start, stop) = (f64::from(start) * scale, f64::from(stop) * scale);
        let x = Tensor::arange(start, stop, step).to_vec();
        prop_assert!(x.iter().all(|x| if step > 0.0 { *x < stop } else { *x > stop }), "{:?}", x);
        prop_assert!(x.len() as f64 <= ((stop - start) / step).ceil().max(1.0));
        let missing = (stop - (start + x.len() as f64 * step)) / step;
        prop_assert!(missing < 1e-9, "{} steps are missing", missing);
        let single = Tensor::arange(start as f32, stop as f32, step as f32).to_vec();
        let inside = |x: &f32| if step > 0.0 { *x < stop as f32 } else { *x > stop as f32 };
        prop_assert!(single.iter().all(inside), "{:?}", single);
    }

    /// Evenly spaced numbers hit both ends exactly.
    #[test]
    fn linspace_is_even(start in -50.0..50.0_f64, stop in -50.0..50.0_f64, count in 0..50_usize) {
        let x = Tensor::linspace(start, stop, count);
        prop_assert_eq!(x.shape(), &[count]);
        let step = (stop - start) / (count as f64 - 1.0);
        for (i, x) in x.iter().enumerate() {
            let expected = if i == 0 { start } else { start + i as f64 * step };
            prop_assert!((x - expected).abs() <= 1e-13, "{} instead of {}", x, expected);
        }
        if count > 0 {
            prop_assert_eq!(x[[0]], start);
        }
        if count > 1 {
            prop_assert_eq!(x[[count - 1]], stop);
        }
    }

    /// Shapes whose sizes multiply to too much are an error everywhere, also beside a 0, in any order.
    #[test]
    fn too_large_shapes_are_refused(
        others in prop::sample::subsequence(vec![0, 1, 2], 0..=3), place in any::<prop::sample::Index>(),
        log2 in 61..64_u32,
    ) {
        for large in [usize::MAX, 1 << log2, 1 << 60] {
            let mut shape = others.clone();
            shape.insert(place.index(others.len() + 1), large);
            let error = TensorError::TooLarge { operation: "from_vec", shape: shape[..].into() };
            prop_assert_eq!(Tensor::<f32>::from_vec(vec![], &shape).unwrap_err(), error);
        }
    }

    /// Sizes beside a 0 may be as large as those of a full tensor; nothing that looks at them overflows.
    #[test]
    fn huge_empty_tensors_work(order in Just(vec![1_usize << 40, 0, 1 << 19]).prop_shuffle(), axis in 0..3_isize) {
        let x = Tensor::<f32>::from_vec(vec![], &order).unwrap();
        let huge = order[axis as usize];
        assert_eq!((x.len(), x.is_contiguous(), x.to_vec(), x.iter().count()), (0, true, vec![], 0));
        assert_eq!(x.flip(..).transpose(axis, 0).slice(0, 1..).len(), 0);
        assert_eq!(x.sum(..).item(), 0.0);
        assert_eq!(x.flatten(..).shape(), &[0]);
        assert_eq!((&x + &x).shape(), &order[..]);
        assert_eq!(&x, &x.clone());
        assert_eq!(x.to_string(), "[]");
        let zero = order.iter().position(|&size| size == 0).unwrap();
        if huge != 0 {
            assert_eq!(x.sum(axis).rank(), 2);
            assert_eq!(x.select(axis, -1).len(), 0);
            assert_eq!(x.slice(axis, huge / 2..).shape()[axis as usize], huge - huge / 2);
            assert_eq!(Tensor::cat(&[&x, &x], zero as isize).shape(), &order[..]);
        }
    }
}

#[test]
fn an_expanded_tensor_may_be_as_large_as_can_be_addressed() {
    let most = isize::MAX as usize / 8;
    let x = Tensor::from(1.5).expand([most]);
    assert_eq!((x.len(), x[[most - 1]]), (most, 1.5));
    assert_eq!(x.slice(0, most - 2..).to_vec(), [1.5, 1.5]);
    assert_eq!(x.reshape([7, -1, 9]).shape(), [7, most / 63, 9]);
    assert_eq!(x.to_string(), "[1.5 1.5 1.5 ... 1.5 1.5 1.5]");
}

/// Distances and products that are larger than every number, between ends that are not; a quotient that vanishes.
#[test]
fn ranges_as_wide_as_all_numbers() {
    let max = f64::MAX;
    let even = Tensor::from([-max, -max / 2.0, 0.0, max / 2.0, max]);
    assert!(Tensor::linspace(-max, max, 5).allclose(&even, 1e-15, 0.0));
    let step = max / 2.0;
    let arange = Tensor::arange(-max, max, step);
    assert!(arange.allclose(&Tensor::from([-max, -step, 0.0, step]), 1e-15, 0.0), "{arange}");
    assert_eq!(Tensor::arange(max, -max, -max), Tensor::from([max, 0.0]));
    assert_eq!(Tensor::arange(0.0, 1e-320, 1e10), Tensor::from([0.0]));
    assert_eq!(Tensor::arange(0.0, -1e30, 1.0).len(), 0);
    assert_eq!(Tensor::arange(1.0, 2.0, f64::INFINITY), Tensor::from([1.0]));
    let single = f32::MAX;
    assert_eq!(Tensor::linspace(-single, single, 3), Tensor::from([-single, 0.0, single]));
    // (1.3 - 1) / 0.1 is a little more than 3, but 1 + 3 * 0.1 is no less than 1.3.
    assert_eq!(Tensor::arange(1.0, 1.3, 0.1).len(), 3);
}

//! Elements come out in logical order, whatever the layout.

use crate::common::*;
use gradus_tensor::{Float, Number, Tensor};
use proptest::prelude::*;

law! {
    /// The layouts that the other tests use hold the elements that they should, and every way of reading agrees.
    [f32 f64 i64 bool]
    fn every_reading_agrees(x in laid::<T>(0..=4)) {
        check(&x.tensor, &x.naive);
        let bits: Vec<u64> = x.naive.data.iter().map(|&x| x.bits()).collect();
        prop_assert_eq!(x.tensor.iter().map(Value::bits).collect::<Vec<_>>(), bits.clone());
        prop_assert_eq!((&x.tensor).into_iter().map(Value::bits).collect::<Vec<_>>(), bits.clone());
        prop_assert_eq!(x.tensor.map(|x| x).iter().map(Value::bits).collect::<Vec<_>>(), bits.clone());
        check(&x.tensor.contiguous(), &x.naive);
        if let Some(slice) = x.tensor.as_slice() {
            prop_assert_eq!(slice.iter().map(|&x| x.bits()).collect::<Vec<_>>(), bits);
        }
    }
}

law! {
    /// A full index reads the element at that place.
    [f32 i64 bool]
    fn indexing_reads_one_element(x in laid::<T>(3..=3)) {
        for index in indices(&x.naive.shape) {
            let index: [usize; 3] = index.try_into().unwrap();
            prop_assert_eq!(x.tensor[index].bits(), x.naive.at(&index).bits());
        }
    }
}

law! {
    /// Sizes of all kinds are those of the model.
    [f64 i64]
    fn sizes_agree(x in laid::<T>(0..=4)) {
        let count = x.naive.data.len();
        prop_assert_eq!(x.tensor.len(), count);
        prop_assert_eq!(x.tensor.rank(), x.naive.shape.len());
        prop_assert_eq!(x.tensor.is_empty(), count == 0);
        prop_assert_eq!(x.tensor.strides().len(), x.tensor.rank());
        if count == 1 {
            prop_assert_eq!(x.tensor.item().bits(), x.naive.data[0].bits());
        }
    }
}

law! {
    /// The iterator knows its length at every step, and stays at its end.
    [i64]
    fn iteration_is_exact(x in laid::<T>(0..=4)) {
        let mut iter = x.tensor.iter();
        for (seen, &expected) in x.naive.data.iter().enumerate() {
            prop_assert_eq!(iter.len(), x.naive.data.len() - seen);
            prop_assert_eq!(iter.size_hint(), (iter.len(), Some(iter.len())));
            prop_assert_eq!(iter.next(), Some(expected));
        }
        prop_assert_eq!((iter.len(), iter.next(), iter.next()), (0, None, None));
    }
}

law! {
    /// A tensor is contiguous just if its elements are neighbours: each non-trivial stride is the product
    /// of the sizes behind it.
    [i64]
    fn contiguous_means_neighbours(x in laid::<T>(0..=4)) {
        let step = |index: &Vec<usize>| -> isize {
            index.iter().zip(x.tensor.strides()).map(|(&i, &stride)| i as isize * stride).sum()
        };
        let neighbours = indices(&x.naive.shape).iter().enumerate().all(|(i, index)| step(index) == i as isize);
        prop_assert_eq!(x.tensor.is_contiguous(), neighbours);
        prop_assert_eq!(x.tensor.as_slice().is_some(), neighbours);
        prop_assert_eq!(x.tensor.contiguous().shares_buffer(&x.tensor), neighbours);
        prop_assert!(x.tensor.contiguous().is_contiguous());
    }
}

/// Copies of matrices that caches do not hold go past them.
#[test]
fn large_matrices_are_turned() {
    fn check<T: Number>(rows: usize, columns: usize) {
        let number = |i: usize| T::from_f64((i % 9973) as f64);
        let x = Tensor::from_vec((0..rows * columns).map(number).collect(), [rows, columns]).unwrap();
        let turned = x.t().contiguous();
        let elements = turned.as_slice().unwrap();
        let wrong = (0..rows * columns).find(|&i| elements[i] != number(i % rows * columns + i / rows));
        assert_eq!(wrong, None, "{rows} x {columns}");
    }
    check::<f32>(2048, 2080);
    check::<f32>(2051, 2051);
    check::<i64>(1500, 1504);
}

law! {
    /// Equality is that of shapes and elements; layouts do not matter, NaN differs from itself.
    [f32 i64 bool]
    fn equality_ignores_layout(x in laid::<T>(0..=4), other in laid::<T>(0..=2)) {
        let equal = |x: &Naive<T>, y: &Naive<T>| x == y;
        prop_assert_eq!(x.tensor == x.naive.tensor(), equal(&x.naive, &x.naive));
        prop_assert_eq!(x.tensor == other.tensor, equal(&x.naive, &other.naive));
        prop_assert_ne!(x.tensor.clone(), x.tensor.unsqueeze(0));
        if let Some(first) = x.naive.data.first() {
            let mut changed = x.naive.clone();
            changed.data[0] = T::FILLER;
            prop_assert_eq!(x.tensor == changed.tensor(), *first == T::FILLER && equal(&x.naive, &x.naive));
        }
    }
}

law! {
    /// Cloning shares the buffer.
    [f64]
    fn clones_share(x in laid::<T>(0..=4)) {
        let clone = x.tensor.clone();
        prop_assert!(clone.shares_buffer(&x.tensor));
        prop_assert!(Tensor::from(&x.tensor).shares_buffer(&x.tensor));
        prop_assert_eq!(clone.buffer_id_and_bytes(), x.tensor.buffer_id_and_bytes());
        prop_assert_eq!((clone.strides(), clone.offset()), (x.tensor.strides(), x.tensor.offset()));
    }
}

proptest! {
    /// Casts go through `f64`: fractions are dropped, what is too large saturates, NaN becomes 0.
    #[test]
    fn casts_convert_each_element(x in laid::<f32>(0..=4), y in laid::<f64>(0..=4), z in laid_tame::<i64>(0..=4)) {
        check(&x.tensor.cast::<f64>(), &x.naive.map(f64::from));
        check(&x.tensor.cast::<i64>(), &x.naive.map(|x| x as i64));
        check(&x.tensor.cast::<f32>(), &x.naive);
        check(&y.tensor.cast::<f32>(), &y.naive.map(|x| x as f32));
        check(&y.tensor.cast::<i64>(), &y.naive.map(|x| x as i64));
        check(&z.tensor.cast::<f32>(), &z.naive.map(|x| x as f32));
        check(&z.tensor.cast::<f64>(), &z.naive.map(|x| x as f64));
    }

    /// A cast to the same type changes nothing, not even integers that no `f64` can hold.
    #[test]
    fn casts_to_the_same_type_are_exact(x in laid::<i64>(0..=4)) {
        check(&x.tensor.cast::<i64>(), &x.naive);
    }

    /// Truth values become 0 and 1, and numbers but 0 become true.
    #[test]
    fn truth_values_become_numbers(x in laid::<bool>(0..=4), y in laid::<f32>(0..=4), z in laid::<i64>(0..=4)) {
        check(&x.tensor.cast::<bool>(), &x.naive);
        check(&y.tensor.cast::<bool>(), &y.naive.map(|y| y != 0.0));
        check(&z.tensor.cast::<bool>(), &z.naive.map(|z| z != 0));
        check(&x.tensor.cast::<f32>(), &x.naive.map(|x| f32::from(u8::from(x))));
        check(&x.tensor.cast::<i64>(), &x.naive.map(i64::from));
    }
}

/// Copies by blocks of tiles, and sums of operands that are copied by bands, are those of each element.
#[test]
fn large_operands_against_the_grain() {
    fn check_all<T: Float>([rows, columns]: [usize; 2], backwards: bool) {
        let number = |i: usize| T::from_f64(i as f64);
        let row_major = |numbers: Vec<T>| Tensor::from_vec(numbers, [rows, columns]).unwrap();
        let y = row_major((0..rows * columns).map(number).collect());
        let turned = y.reshape([columns, rows]).t();
        let x = if backwards { turned.flip(1) } else { turned };
        let column = |j: usize| if backwards { columns - 1 - j } else { j };
        let places = (0..rows).flat_map(|i| (0..columns).map(move |j| column(j) * rows + i));
        let copied = row_major(places.map(number).collect());
        assert_eq!(x.contiguous(), copied);
        assert_eq!(&x + &y, &copied + &y);
        assert_eq!(&y - &x, &y - &copied);
        assert_eq!(&x + &x.flip(0), &copied + &copied.flip(0).contiguous());
        let ones = Tensor::<T>::ones([columns]);
        assert_eq!(&x - &ones, &copied - &ones);
        let images = x.reshape([1, rows, columns]).expand([2, rows, columns]);
        assert_eq!(&ones - &images, &ones - &images.contiguous());
    }
    for size in [[64, 1100], [67, 1001], [257, 263], [1000, 70], [16, 4200]] {
        for backwards in [false, true] {
            check_all::<f32>(size, backwards);
            check_all::<f64>(size, backwards);
        }
    }
}

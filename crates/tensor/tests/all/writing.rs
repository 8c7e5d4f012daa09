//! Writing through one tensor never changes another, and copies only if it must.

use crate::common::*;
use gradus_tensor::Tensor;
use proptest::prelude::*;

/// A way to write to a tensor, and the same on the model.
#[derive(Debug, Clone, Copy)]
enum Write {
    IndexMut,
    MapInplace,
    ZipInplace,
    AddNumber,
    SubTensor,
    MulSelf,
}

impl Write {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![5 => Self::alone(), 1 => Just(Self::MulSelf)]
    }

    /// Those that do not hold a second reference while they write.
    fn alone() -> impl Strategy<Value = Self> {
        prop::sample::select(vec![
            Self::IndexMut,
            Self::MapInplace,
            Self::ZipInplace,
            Self::AddNumber,
            Self::SubTensor,
        ])
    }

    fn apply(self, x: &mut Tensor<i64>) {
        match self {
            Self::IndexMut if x.is_empty() => {}
            Self::IndexMut => x[[0, 0, 0]] = 77,
            Self::MapInplace => x.map_inplace(|x| 3 * x),
            Self::ZipInplace => x.zip_inplace(&Tensor::from(5), |x, y| x - y),
            Self::AddNumber => *x += 2,
            Self::SubTensor => *x -= Tensor::from([[4]]),
            Self::MulSelf => *x *= &x.clone(),
        }
    }

    fn model(self, x: &Naive<i64>) -> Naive<i64> {
        match self {
            Self::IndexMut => {
                let mut x = x.clone();
                if let Some(first) = x.data.first_mut() {
                    *first = 77;
                }
                x
            }
            Self::MapInplace => x.map(|x| 3 * x),
            Self::ZipInplace => x.map(|x| x - 5),
            Self::AddNumber => x.map(|x| x + 2),
            Self::SubTensor => x.map(|x| x - 4),
            Self::MulSelf => x.map(|x| x * x),
        }
    }
}

proptest! {
    /// Of two tensors on one buffer, only the one written to changes.
    #[test]
    fn aliases_never_change(
        x in laid_tame::<i64>(3..=3), write in Write::any(), axis in 0..3_isize, kind in 0..6_u8,
    ) {
        let alias = match kind {
            0 => x.tensor.clone(),
            1 => x.tensor.transpose(axis, 0),
            2 => x.tensor.slice(axis, ..1),
            3 => x.tensor.flip(axis),
            4 => x.tensor.reshape([-1, 1, 1].map(|size| if x.tensor.is_empty() { 0 } else { size })),
            _ => x.tensor.expand([&[2][..], x.tensor.shape()].concat()).select(0, 1),
        };
        let alias_before = Naive { shape: alias.shape().to_vec(), data: alias.to_vec() };

        // The original is written to.
        let mut written = x.tensor.clone();
        write.apply(&mut written);
        check(&written, &write.model(&x.naive));
        check(&x.tensor, &x.naive);
        check(&alias, &alias_before);
        prop_assert!(!written.shares_buffer(&x.tensor) || written.is_empty());

        // The alias is written to.
        let mut written = alias.clone();
        write.apply(&mut written);
        check(&written, &write.model(&alias_before));
        check(&alias, &alias_before);
        check(&x.tensor, &x.naive);

        // A second write, to a tensor that is its own now.
        write.apply(&mut written);
        check(&written, &write.model(&write.model(&alias_before)));
        check(&x.tensor, &x.naive);
    }

    /// A tensor that nobody shares is written to in place, if its elements are neighbours.
    #[test]
    fn unshared_contiguous_tensors_stay_in_place(x in laid_tame::<i64>(3..=3), write in Write::alone()) {
        let mut y = x.tensor.contiguous();
        let layout = (y.strides().to_vec(), y.offset());
        drop(x.tensor);
        let owner = y.buffer_id_and_bytes();
        write.apply(&mut y);
        prop_assert_eq!(y.buffer_id_and_bytes(), owner);
        prop_assert_eq!((y.strides().to_vec(), y.offset()), layout);
        check(&y, &write.model(&x.naive));
    }

    /// Writing to a part that is contiguous, and the last look at its buffer, leaves the rest of the buffer.
    #[test]
    fn a_part_left_alone_is_written_in_place(start in 0..5_i64, kept in 1..5_i64, write in Write::alone()) {
        let length = start + kept;
        let mut part = Tensor::arange(0, length, 1).slice(0, start..).reshape([1, 1, -1]);
        let owner = part.buffer_id_and_bytes();
        write.apply(&mut part);
        prop_assert_eq!(part.buffer_id_and_bytes(), owner);
        check(&part, &write.model(&Naive { shape: vec![1, 1, (length - start) as usize], data: (start..length).collect() }));
    }

    /// Every single place can be written, and no other changes with it, even where an axis is repeated.
    #[test]
    fn index_mut_changes_one_element(x in full_shape(2..=2).prop_flat_map(|shape| laid_of(&shape, &f64::any())), at in any::<prop::sample::Index>()) {
        let at = at.index(x.naive.data.len());
        let index: [usize; 2] = indices(&x.naive.shape)[at].clone().try_into().unwrap();
        let mut y = x.tensor.clone();
        y[index] = 123.5;
        let mut expected = x.naive.clone();
        expected.data[at] = 123.5;
        check(&y, &expected);
        check(&x.tensor, &x.naive);
    }
}

#[test]
fn a_number_without_axes_can_be_written() {
    let mut x = Tensor::from(1.5);
    x[[]] = 2.5;
    assert_eq!(x.item(), 2.5);
    x += 1.0;
    assert_eq!(x[[]], 3.5);
}

#[test]
fn an_empty_part_whose_offset_is_past_the_end_can_be_written() {
    let mut x = Tensor::<f32>::zeros([3, 0]).slice(0, 1..);
    x += 1.0;
    x += &Tensor::ones([2, 0]);
    assert_eq!((x.shape(), x.to_vec()), ([2, 0].as_slice(), vec![]));
}

proptest! {
    /// Several tensors are replaced together, none sees another's new elements, and no clone changes.
    #[test]
    fn zip_inplace_many((x, y, g) in shape(0..=4).prop_flat_map(|shape| {
        let any = || laid_of(&shape, &i64::tame());
        (any(), any(), any())
    })) {
        let (mut left, mut right) = (x.tensor.clone(), y.tensor.clone());
        Tensor::zip_inplace_many([&mut left, &mut right], &g.tensor, |[x, y], g| [x + 2 * y, x - g]);
        check(&left, &x.naive.zip(&y.naive, |x, y| x + 2 * y));
        check(&right, &x.naive.zip(&g.naive, |x, g| x - g));
        check(&x.tensor, &x.naive);
        check(&y.tensor, &y.naive);
    }
}

proptest! {
    /// What lies permuted in memory is written where it lies, whether it is shared or not.
    #[test]
    fn writing_in_place_keeps_the_order_in_memory(
        shape in prop::array::uniform3(1..6_usize),
        order in Just([0_isize, 1, 2]).prop_shuffle(),
        other_order in Just([0_isize, 1, 2]).prop_shuffle(),
        shared in any::<bool>(),
    ) {
        let count: usize = shape.iter().product();
        let row_major = Tensor::arange(0, count as i64, 1).reshape(shape.map(|size| size as isize));
        let laid = |order: [isize; 3]| {
            // Copied in this order of axes, and seen in the old one.
            let mut back = [0; 3];
            for (place, &axis) in order.iter().enumerate() {
                back[axis as usize] = place as isize;
            }
            row_major.permute(order).contiguous().permute(back)
        };
        let (mut x, y) = (laid(order), laid(other_order));
        let alias = shared.then(|| x.clone());
        // The stride of an axis of size 1 says nothing.
        let order_of = |x: &Tensor<i64>| {
            let axes = x.shape().iter().zip(x.strides()).filter(|(size, _)| **size != 1);
            axes.map(|(_, &stride)| stride).collect::<Vec<_>>()
        };
        let strides = order_of(&x);
        let column = Tensor::from([100]);

        x.map_inplace(|x| 2 * x);
        x.zip_inplace(&y, |x, y| x + y);
        x += &column;
        prop_assert_eq!(&x, &row_major.map(|i| 3 * i + 100));
        prop_assert_eq!(order_of(&x), strides.clone());

        let mut second = laid(other_order);
        Tensor::zip_inplace_many([&mut x, &mut second], &y, |[x, z], y| [x - y, z + x]);
        prop_assert_eq!(&x, &row_major.map(|i| 2 * i + 100));
        prop_assert_eq!(&second, &row_major.map(|i| 4 * i + 100));
        prop_assert_eq!(order_of(&x), strides.clone());
        if let Some(alias) = alias {
            prop_assert_eq!(alias, row_major);
        }
    }
}

/// A caller's function that panics may leave some numbers written, but no other shape.
#[test]
fn a_panic_while_writing_leaves_the_shape() {
    let mut x = Tensor::from([[1, 2, 3], [4, 5, 6]]).t().contiguous().t();
    let mut second = x.clone();
    let y = x.clone();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Tensor::zip_inplace_many([&mut x, &mut second], &y, |_, _| -> [i64; 2] { panic!("on purpose") });
    }));
    assert!(caught.is_err());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        x.map_inplace(|_| panic!("on purpose"));
    }));
    assert!(caught.is_err());
    assert_eq!((x.shape(), second.shape()), ([2, 3].as_slice(), [2, 3].as_slice()));
}

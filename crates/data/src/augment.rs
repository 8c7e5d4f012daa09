//! Random changes of images `[n, channels, height, width]`, for [`Batches::augment`](crate::Batches::augment), and the scale
//! of their channels.
//!
//! ```
//! # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
//! use gradus::{Tensor, seeded};
//! use gradus::data::augment::{normalize, random_crop, random_flip};
//!
//! let (images, rng) = (Tensor::<f32>::ones([4, 3, 8, 8]), &mut seeded(0));
//! let images = random_flip(&random_crop(&images, 2, rng), 0.5, rng);
//! let images = normalize(&images, &[0.5, 0.5, 0.5], &[0.25, 0.25, 0.25]);
//! assert_eq!((images.shape(), images[[0, 0, 4, 4]]), ([4, 3, 8, 8].as_slice(), 2.0));
//! ```

use gradus_autograd::{Float, Number, PadMode, Rng, Tensor};

/// For each image, a part of its size from a random place of the image with `padding` zeros at each edge; one number of
/// [`Tensor::randint`] for each image gives its row, and then one for each its column.
///
/// # Panics
/// If the shape is not `[n, channels, height, width]`.
#[track_caller]
pub fn random_crop<E: Number>(
    images: &Tensor<E>,
    padding: usize,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<E> {
    let [count, _, height, width] = sizes("random_crop", images);
    if count == 0 {
        return images.clone();
    }
    let mut places = || Tensor::randint([count], 0..2 * padding as i64 + 1, rng);
    let (rows, columns) = (places(), places());
    let edge = [padding as isize; 2];
    let padded = images.pad([[0, 0], [0, 0], edge, edge], PadMode::Constant(E::ZERO));
    let crop = |i: usize| {
        let (row, column) = (rows[[i]] as usize, columns[[i]] as usize);
        padded.select(0, i as isize).slice(1, row..row + height).slice(2, column..column + width)
    };
    stacked((0..count).map(crop))
}

/// Mirrors each image from left to right with this probability, from one draw each; see [`Tensor::bernoulli`].
///
/// # Panics
/// If the shape is not `[n, channels, height, width]`, or the probability is not between 0 and 1.
#[track_caller]
pub fn random_flip<E: Number>(
    images: &Tensor<E>,
    probability: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Tensor<E> {
    let [count, ..] = sizes("random_flip", images);
    assert!(
        (0.0..=1.0).contains(&probability),
        "random_flip: `probability` is {probability}: it must be between 0 and 1"
    );
    if count == 0 {
        return images.clone();
    }
    let flipped = Tensor::full([count], probability).bernoulli(rng);
    let image = |(image, flipped): (Tensor<E>, f64)| if flipped == 1.0 { image.flip(2) } else { image };
    stacked(images.rows().zip(flipped.iter()).map(image))
}

/// Each channel minus its mean, divided by its standard deviation, both given; [`Standardize`](crate::Standardize) finds
/// them in the data.
///
/// # Panics
/// If the shape is not `[n, channels, height, width]`, unless there are a mean and a deviation for each channel, or a
/// deviation is not positive.
#[track_caller]
pub fn normalize<T: Float>(images: &Tensor<T>, mean: &[T], std: &[T]) -> Tensor<T> {
    let [_, channels, ..] = sizes("normalize", images);
    for (argument, numbers) in [("mean", mean), ("std", std)] {
        assert!(
            numbers.len() == channels,
            "normalize: `{argument}` has {} numbers for shape {:?}: there must be {channels}, one for each channel",
            numbers.len(),
            images.shape()
        );
    }
    if let Some(std) = std.iter().find(|&&std| std <= T::ZERO || std.is_nan()) {
        panic!("normalize: `std` has the number {std}: all must be positive");
    }
    let [mean, std] = [mean, std].map(|numbers| Tensor::from(numbers).reshape((channels, 1, 1)));
    (images - mean) / std
}

fn stacked<E: Number>(images: impl Iterator<Item = Tensor<E>>) -> Tensor<E> {
    let images: Vec<Tensor<E>> = images.collect();
    Tensor::stack(&images.iter().collect::<Vec<_>>(), 0)
}

#[track_caller]
fn sizes<E: Number>(operation: &str, images: &Tensor<E>) -> [usize; 4] {
    let [count, channels, height, width] = *images.shape() else {
        panic!(
            "{operation}: the images have shape {:?}: it must be [n, channels, height, width]",
            images.shape()
        )
    };
    [count, channels, height, width]
}

//! Random changes of images.

use gradus_autograd::{Tensor, seeded};
use gradus_data::Standardize;
use gradus_data::augment::{normalize, random_crop, random_flip};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_crop_is_a_part_of_the_padded_image(
        (n, c, h, w) in (0_usize..5, 1_usize..4, 1_usize..5, 1_usize..5), padding in 0_usize..4, seed: u64,
    ) {
        let x = Tensor::arange(1, (n * c * h * w) as i64 + 1, 1).reshape((n, c, h, w));
        let y = random_crop(&x, padding, &mut seeded(seed));
        prop_assert_eq!(y.shape(), x.shape());
        prop_assert_eq!(&y, &random_crop(&x, padding, &mut seeded(seed)));
        let p = padding as isize;
        // One shift for all places and channels of an image.
        let fits = |i: usize, dy: isize, dx: isize| (0..c).all(|c| (0..h).all(|a| (0..w).all(|b| {
            let (row, column) = (a as isize + dy, b as isize + dx);
            let inside = (0..h as isize).contains(&row) && (0..w as isize).contains(&column);
            y[[i, c, a, b]] == if inside { x[[i, c, row as usize, column as usize]] } else { 0 }
        })));
        for i in 0..n {
            prop_assert!((-p..=p).any(|dy| (-p..=p).any(|dx| fits(i, dy, dx))), "image {i}: {y}");
        }
    }

    #[test]
    fn an_image_is_mirrored_or_not(n in 0_usize..6, seed: u64, p in 0.0..1.0_f64) {
        let x = Tensor::<f32>::rand([n, 2, 3, 4], &mut seeded(seed));
        let y = random_flip(&x, p, &mut seeded(seed));
        for (x, y) in x.rows().zip(y.rows()) {
            prop_assert!(y == x || y == x.flip(2));
        }
        prop_assert_eq!(random_flip(&x, 0.0, &mut seeded(seed)), x.clone());
        prop_assert_eq!(random_flip(&x, 1.0, &mut seeded(seed)), x.flip(3));
    }

    #[test]
    fn normalized_channels_are_those_of_a_scaler(seed: u64) {
        let x = Tensor::<f64>::rand([3, 2, 4, 4], &mut seeded(seed));
        let scaler = Standardize::fit_axes(&x, [0, 2, 3]).unwrap();
        let [mean, std] = [&scaler.mean, &scaler.std].map(|buffer| buffer.value().to_vec());
        prop_assert_eq!(normalize(&x, &mean, &std), scaler.transform(&x));
    }
}

#[test]
fn all_places_and_both_sides_occur() {
    let x = Tensor::<f32>::ones([400, 1, 1, 1]);
    // Of 9 places one shows the image.
    let shown = random_crop(&x, 1, &mut seeded(0)).sum(..).item();
    assert!((25.0..65.0).contains(&shown), "{shown}");
    let x = Tensor::from([0.0, 1.0]).reshape((1, 1, 1, 2)).expand([400, 1, 1, 2]);
    let flipped = random_flip(&x, 0.25, &mut seeded(0)).slice(3, ..1).sum(..).item();
    assert!((70.0..130.0).contains(&flipped), "{flipped}");
}

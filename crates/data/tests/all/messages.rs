//! The exact words of panics, at the line of the caller.

use gradus_autograd::{Tensor, seeded};
use gradus_data::augment::{normalize, random_crop, random_flip};
use gradus_data::{Batches, Dataset, MinMax, Standardize, Subset, order, pad_sequence, unpad};

use crate::caught::panics;
use crate::numbered;

#[test]
fn data_sets() {
    let (x, y) = numbered(4);
    panics(|| Batches::of(&x, 0), "Batches: the size of a batch is 0: it must be at least 1");
    panics(
        || Batches::of((&x, &y, vec![1; 3]), 2),
        "Dataset: the members of the tuple have [4, 4, 3] samples: they must have the same number",
    );
    panics(
        || Batches::of(Tensor::scalar(1.0), 2),
        "Dataset: the tensor has no axis: its first axis must run over the samples",
    );
    let index = "Dataset: there is an index 4: the data set has 4 samples, all indices must be below";
    panics(|| x.batch(&[0, 4]), index);
    panics(|| vec![1; 4].batch(&[4]), index);
    panics(|| Batches::of(&x, 2).order([1, 4]), index);
    panics(|| Subset::new((&x, &y), [0, 4]), index);
    panics(|| Subset::new(&x, [1, 2, 3, 0]).batch(&[4]), index);
}

#[test]
fn orders() {
    let ((x, y), rng) = (numbered(4), &mut seeded(0));
    let one_each = |operation: &str, argument: &str| {
        format!(
            "{operation}: `{argument}` has 3 elements, the data set 4 samples: there must be one for each"
        )
    };
    let (three, labels) = (Tensor::<f32>::ones([3]), y.slice(0, ..3));
    panics(|| Batches::of(&x, 2).weighted(&three, 2, rng), &one_each("weighted", "weights"));
    panics(
        || Batches::of(&x, 2).weighted_distinct(&three, 2, rng),
        &one_each("weighted_distinct", "weights"),
    );
    panics(|| Batches::of(&x, 2).stratify(&labels, rng), &one_each("stratify", "labels"));
    panics(|| Batches::of(&x, 2).bucket(&[1, 2, 3], rng), &one_each("bucket", "lengths"));
    let weights = |last: f64| Tensor::from([0.0, 0.0, last, 0.0]);
    panics(
        || Batches::of(&x, 2).weighted(&weights(-1.0), 2, rng),
        "weighted: weight 2 is -1: weights must be finite and not negative",
    );
    panics(
        || order::weighted(&weights(f64::NAN), 2, rng),
        "weighted: weight 2 is NaN: weights must be finite and not negative",
    );
    panics(
        || order::weighted_distinct(&weights(0.0), 2, rng),
        "weighted_distinct: none of 4 weights is positive: one at least must be",
    );
    panics(
        || order::weighted_distinct(&weights(1.0), 2, rng),
        "weighted_distinct: `count` is 2, and 1 weights are positive: no index is drawn twice, so it must not be more",
    );
    panics(|| order::bucketed(&[1, 2], 0, rng), "bucketed: `size` is 0: it must be at least 1");
    let all = [0, 1, 2, 3];
    panics(
        || order::split(&all, [0.8, 0.5]),
        "split: the parts are [0.8, 0.5]: they sum to 1.3, which is more than 1",
    );
    panics(
        || order::split(&all, [0.5, -0.5]),
        "split: the parts are [0.5, -0.5]: -0.5 is no fraction: each must be between 0 and 1",
    );
    panics(
        || order::split(&all, [f64::NAN]),
        "split: the parts are [NaN]: NaN is no fraction: each must be between 0 and 1",
    );
    panics(
        || order::split(&all, [3, 2]),
        "split: the parts are [3, 2]: they sum to 5, and there are 4 samples",
    );
    let folds = |count| {
        format!(
            "folds: `count` is {count}, and there are 4 samples: it must be 2 at least and no more than the samples"
        )
    };
    panics(|| order::folds(&all, 5), &folds(5));
    panics(|| order::folds(&all, 1), &folds(1));
}

#[test]
fn sequences() {
    let (x, y) = (Tensor::<f32>::zeros([2, 3]), Tensor::zeros([2, 4]));
    panics(
        || pad_sequence::<f32>(&[], 0.0),
        "pad_sequence: there are no sequences: one at least is needed, for the shape of its elements",
    );
    panics(
        || pad_sequence(&[x.clone(), y], 0.0),
        "pad_sequence: sequence 1 has shape [2, 4] and sequence 0 [2, 3]: they must be equal after the first axis",
    );
    panics(
        || pad_sequence(&[Tensor::scalar(1.0)], 0.0),
        "pad_sequence: sequence 0 has no axis: its first axis must run over its steps",
    );
    panics(
        || unpad(&x, &[1]),
        "unpad: there are 1 lengths for shape [2, 3]: there must be 2, one for each sequence",
    );
    panics(|| unpad(&x, &[1, 4]), "unpad: length 1 is 4 for shape [2, 3]: it must be 3 at most");
    panics(
        || unpad(&Tensor::from([1.0]), &[1]),
        "unpad: the tensor has shape [1]: it must be [n, longest, ...]",
    );
}

#[test]
fn scalers_and_images() {
    panics(
        || Standardize::fit(&Tensor::scalar(1.0)),
        "fit: the data have no axis: they must be [..., features]",
    );
    panics(
        || MinMax::<f32>::fit(&Tensor::zeros([0, 3])),
        "fit: the data have shape [0, 3]: there must be numbers",
    );
    panics(
        || MinMax::<f32>::fit_axes(&Tensor::zeros([0, 3]), 0),
        "fit: the data have shape [0, 3]: there must be numbers",
    );
    let (flat, images, rng) =
        (Tensor::<f32>::ones([2, 3]), Tensor::<f32>::ones([1, 2, 3, 3]), &mut seeded(0));
    let shape = |operation| {
        format!("{operation}: the images have shape [2, 3]: it must be [n, channels, height, width]")
    };
    panics(|| random_crop(&flat, 1, rng), &shape("random_crop"));
    panics(|| random_flip(&flat, 0.5, rng), &shape("random_flip"));
    panics(|| normalize(&flat, &[0.0], &[1.0]), &shape("normalize"));
    panics(
        || random_flip(&images, 1.5, rng),
        "random_flip: `probability` is 1.5: it must be between 0 and 1",
    );
    panics(
        || normalize(&images, &[0.0], &[1.0, 1.0]),
        "normalize: `mean` has 1 numbers for shape [1, 2, 3, 3]: there must be 2, one for each channel",
    );
    panics(
        || normalize(&images, &[0.0, 0.0], &[1.0, 0.0]),
        "normalize: `std` has the number 0: all must be positive",
    );
}

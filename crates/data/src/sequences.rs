//! Sequences of several lengths in one tensor.

use gradus_autograd::{Element, OrPanic, Tensor};

/// Sequences `[length, ...]` of several lengths as one tensor `[n, longest, ...]`, with `value` after the end of the shorter
/// ones, and their lengths. [`unpad`] is its inverse.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// use gradus::Tensor;
/// use gradus::data::{pad_sequence, unpad};
///
/// let sequences = [Tensor::from([1, 2, 3]), Tensor::from([4])];
/// let (padded, lengths) = pad_sequence(&sequences, 0);
/// assert_eq!((&padded, &lengths), (&Tensor::from([[1, 2, 3], [4, 0, 0]]), &vec![3, 1]));
/// assert_eq!(unpad(&padded, &lengths), sequences);
/// ```
///
/// # Panics
/// If there are no sequences, or they differ in more than their length.
#[track_caller]
pub fn pad_sequence<E: Element>(sequences: &[Tensor<E>], value: E) -> (Tensor<E>, Vec<usize>) {
    let Some(first) = sequences.first() else {
        panic!("pad_sequence: there are no sequences: one at least is needed, for the shape of its elements")
    };
    let mut lengths = Vec::with_capacity(sequences.len());
    for (i, sequence) in sequences.iter().enumerate() {
        let [length, ref step @ ..] = *sequence.shape() else {
            panic!("pad_sequence: sequence {i} has no axis: its first axis must run over its steps")
        };
        assert!(
            *step == first.shape()[1..],
            "pad_sequence: sequence {i} has shape {:?} and sequence 0 {:?}: they must be equal after the first axis",
            sequence.shape(),
            first.shape()
        );
        lengths.push(length);
    }
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let shape: Vec<usize> = [&[sequences.len(), longest], &first.shape()[1..]].concat();
    let row = longest * first.shape()[1..].iter().product::<usize>();
    let mut data = Vec::with_capacity(sequences.len() * row);
    for (i, sequence) in sequences.iter().enumerate() {
        data.extend(sequence.iter());
        data.resize((i + 1) * row, value);
    }
    (Tensor::from_vec(data, shape).or_panic(), lengths)
}

/// The sequences `[length, ...]` of a padded tensor `[n, longest, ...]`, as views.
///
/// # Panics
/// Unless there is a length for each sequence, none beyond the second axis.
#[track_caller]
pub fn unpad<E: Element>(padded: &Tensor<E>, lengths: &[usize]) -> Vec<Tensor<E>> {
    let [count, longest, ..] = *padded.shape() else {
        panic!("unpad: the tensor has shape {:?}: it must be [n, longest, ...]", padded.shape())
    };
    assert!(
        lengths.len() == count,
        "unpad: there are {} lengths for shape {:?}: there must be {count}, one for each sequence",
        lengths.len(),
        padded.shape()
    );
    if let Some(i) = (0..count).find(|&i| lengths[i] > longest) {
        panic!(
            "unpad: length {i} is {} for shape {:?}: it must be {longest} at most",
            lengths[i],
            padded.shape()
        );
    }
    (0..count).map(|i| padded.select(0, i as isize).slice(0, ..lengths[i])).collect()
}

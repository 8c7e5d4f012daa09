//! Padding and its inverse.

use gradus_autograd::Tensor;
use gradus_data::{pad_sequence, unpad};
use proptest::prelude::*;

proptest! {
    #[test]
    fn unpadded_sequences_are_the_old_ones(
        lengths in prop::collection::vec(0_usize..7, 1..9), width in 0_usize..4, turned: bool,
    ) {
        let sequence = |(i, &length): (usize, &usize)| {
            let x = Tensor::arange(0.0, (length * width) as f64, 1.0) + i as f64 * 100.0;
            if turned { x.reshape((width, length)).t() } else { x.reshape((length, width)) }
        };
        let sequences: Vec<Tensor<f64>> = lengths.iter().enumerate().map(sequence).collect();
        let (padded, found) = pad_sequence(&sequences, -1.0);
        let longest = *lengths.iter().max().unwrap();
        prop_assert_eq!(&found, &lengths);
        prop_assert_eq!(padded.shape(), [lengths.len(), longest, width]);
        let unpadded = unpad(&padded, &lengths);
        prop_assert!(unpadded.iter().all(|x| x.shares_buffer(&padded)));
        prop_assert_eq!(unpadded, sequences);
        for (i, &length) in lengths.iter().enumerate() {
            let rest = padded.select(0, i as isize).slice(0, length..);
            prop_assert!(rest.iter().all(|x| x == -1.0));
        }
    }
}

#[test]
fn sequences_of_any_elements_are_padded() {
    let (padded, lengths) = pad_sequence(&[Tensor::from([true]), Tensor::from([true, true])], false);
    assert_eq!((padded, lengths), (Tensor::from([[true, false], [true, true]]), vec![1, 2]));
}

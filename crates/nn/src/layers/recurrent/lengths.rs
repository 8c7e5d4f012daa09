//! Sequences of different lengths in one batch.

use gradus_autograd::{Float, Tensor, Var, cat};

use super::stack::{Recurrence, RecurrentLayer};

/// The lengths of the sequences of a padded batch, and the order in which they are run: longest first, so that the
/// sequences that are still running are always the first ones.
pub(super) struct Lengths {
    /// Where the sequences come from, longest first, and the way back.
    order: Tensor<i64>,
    inverse: Tensor<i64>,
    /// Numbers of steps, and of sequences that run through them.
    stretches: Vec<[usize; 2]>,
    /// The place in `[steps batch]` that takes each element to its mirror image within its sequence.
    mirror: Tensor<i64>,
}

impl Lengths {
    /// # Panics
    /// If there is not one length for each sequence, or one is beyond the number of steps.
    #[track_caller]
    pub(super) fn of(name: &str, lengths: Option<&[usize]>, [steps, batch]: [usize; 2]) -> Option<Self> {
        let lengths = lengths?;
        assert!(
            lengths.len() == batch,
            "{name}: {} lengths are given for a batch of {batch} sequences; there must be one for each",
            lengths.len()
        );
        if let Some(place) = lengths.iter().position(|&length| length > steps) {
            panic!(
                "{name}: the length at place {place} is {}; it must be at most {steps}, the number of steps of the input",
                lengths[place]
            );
        }
        let mut order: Vec<usize> = (0..batch).collect();
        order.sort_by_key(|&place| std::cmp::Reverse(lengths[place]));
        let mut inverse = vec![0; batch];
        for (new, &old) in order.iter().enumerate() {
            inverse[old] = new as i64;
        }

        let mut stretches = Vec::new();
        let mut done = 0;
        for running in (1..=batch).rev() {
            let length = lengths[order[running - 1]];
            if length > done {
                stretches.push([length - done, running]);
                done = length;
            }
        }

        let mirror = (0..steps).flat_map(|step| {
            lengths.iter().enumerate().map(move |(place, &length)| {
                let step = if step < length { length - 1 - step } else { step };
                (step * batch + place) as i64
            })
        });
        Some(Self {
            order: order.iter().map(|&place| place as i64).collect(),
            inverse: inverse.into_iter().collect(),
            stretches,
            mirror: mirror.collect(),
        })
    }

    /// `x`, `[steps, batch, ..]`, with each sequence from its last step to its first; padding stays where it is.
    pub(super) fn flip<T: Float>(&self, x: &Var<T>) -> Var<T> {
        x.flatten(..2).index_select(0, &self.mirror).reshape(x.shape())
    }

    /// Runs a layer over the steps of each sequence and no further. Outputs behind the end of a sequence are zeros; the
    /// last states belong to its last step.
    #[track_caller]
    pub(super) fn scan<T: Float, const STATES: usize>(
        &self,
        recurrence: &impl Recurrence<T, STATES>,
        layer: &RecurrentLayer<T>,
        x: &Var<T>,
        state: Option<[&Var<T>; STATES]>,
    ) -> (Var<T>, [Var<T>; STATES]) {
        let [steps, batch, hidden] = [x.shape()[0], x.shape()[1], layer.weight_hh.shape()[1]];
        let zeros = |shape: [usize; 3]| Var::constant(Tensor::zeros(shape));
        let x = x.index_select(1, &self.order);
        let mut states = std::array::from_fn(|i| match state {
            Some(states) => states[i].index_select(0, &self.order),
            None => Var::constant(Tensor::zeros([batch, hidden])),
        });
        let mut outputs = Vec::new();
        // The states of sequences that have ended, the shortest sequence first.
        let mut ended: Vec<[Var<T>; STATES]> = Vec::new();
        let mut begin = 0;
        for &[length, running] in &self.stretches {
            let end = begin + length as isize;
            let rest = states.each_ref().map(|state| state.slice(0, running as isize..));
            ended.push(rest);
            let first = states.each_ref().map(|state| state.slice(0, ..running as isize));
            let x = x.slice(0, begin..end).slice(1, ..running as isize);
            let (y, ends) = recurrence.scan(layer, &x, Some(first.each_ref()));
            outputs.push(cat(&[&y, &zeros([length, batch - running, hidden])], 1));
            states = ends;
            begin = end;
        }
        outputs.push(zeros([steps - begin as usize, batch, hidden]));
        ended.push(states);
        let y = cat(&outputs.iter().collect::<Vec<_>>(), 0).index_select(1, &self.inverse);
        let last = std::array::from_fn(|i| {
            let parts: Vec<&Var<T>> = ended.iter().rev().map(|states| &states[i]).collect();
            cat(&parts, 0).index_select(0, &self.inverse)
        });
        (y, last)
    }
}

//! Gradients side by side, in buckets that travel at once.

use std::marker::PhantomData;
use std::ops::Range;

use gradus_autograd::{Float, Gradients, Tensor};
use gradus_nn::Parameter;

use crate::wire::Wire;

/// The gradients of all parameters as bytes, from the last, whose gradient is complete first, to the first. A gradient that
/// is missing is 0.
#[derive(Debug)]
pub(crate) struct Buckets<T> {
    all: Vec<Bucket>,
    /// For each parameter its bucket, and its bytes there.
    places: Vec<(usize, Range<usize>)>,
    /// Whether the gradient of a parameter is there.
    is_there: Vec<bool>,
    /// The buckets that were taken out.
    taken: usize,
    element: PhantomData<T>,
}

#[derive(Debug)]
struct Bucket {
    bytes: Vec<u8>,
    /// The bytes that are not there yet.
    missing: usize,
}

impl<T: Float + Wire> Buckets<T> {
    /// A bucket is full once it has `size` bytes or more. Memory of earlier buckets is used again, whatever is in it.
    pub(crate) fn new(parameters: &[&Parameter<T>], size: usize, memory: &mut Vec<Vec<u8>>) -> Self {
        let places = places(parameters, size);
        let mut lengths = Vec::new();
        // In the order of the buckets.
        for (bucket, place) in places.iter().rev() {
            lengths.resize(bucket + 1, 0);
            lengths[*bucket] = place.end;
        }
        let mut memory = memory.drain(..);
        let bucket = |missing| {
            let mut bytes = memory.next().unwrap_or_default();
            bytes.resize(missing, 0);
            Bucket { bytes, missing }
        };
        let all = lengths.into_iter().map(bucket).collect();
        Self { all, is_there: vec![false; places.len()], places, taken: 0, element: PhantomData }
    }

    /// Adds the gradient of a parameter.
    pub(crate) fn put(&mut self, parameter: usize, gradient: &Tensor<T>) {
        let (bucket, place) = &self.places[parameter];
        let bucket = &mut self.all[*bucket];
        bucket.missing -= place.len();
        self.is_there[parameter] = true;
        let gradient = gradient.contiguous();
        let elements = gradient.as_slice().expect("just made contiguous");
        T::write(elements.iter().copied(), &mut bucket.bytes[place.clone()]);
    }

    /// Adds all gradients that there are.
    pub(crate) fn fill(&mut self, parameters: &[&Parameter<T>], gradients: &Gradients<T>) {
        for (i, parameter) in parameters.iter().enumerate() {
            if let Some(gradient) = gradients.get(parameter) {
                self.put(i, gradient);
            }
        }
    }

    /// The next buckets, as far as they are full: all ranks take them in the same order.
    pub(crate) fn full(&mut self) -> Vec<Vec<u8>> {
        let full = self.all[self.taken..].iter().take_while(|bucket| bucket.missing == 0).count();
        self.take(full)
    }

    /// The buckets that are left.
    pub(crate) fn rest(mut self) -> Vec<Vec<u8>> {
        let missing = self.places.iter().zip(&self.is_there).filter(|(_, there)| !**there);
        // A parameter without elements holds no bucket back.
        for ((bucket, place), _) in missing.filter(|((bucket, _), _)| *bucket >= self.taken) {
            self.all[*bucket].bytes[place.clone()].fill(0);
        }
        self.take(self.all.len() - self.taken)
    }

    fn take(&mut self, count: usize) -> Vec<Vec<u8>> {
        let taken = &mut self.all[self.taken..self.taken + count];
        self.taken += count;
        taken.iter_mut().map(|bucket| std::mem::take(&mut bucket.bytes)).collect()
    }
}

/// For each parameter its bucket, and its bytes there.
pub(crate) fn places<T: Float + Wire>(
    parameters: &[&Parameter<T>],
    size: usize,
) -> Vec<(usize, Range<usize>)> {
    let (mut bucket, mut length) = (0, 0);
    let mut places = Vec::with_capacity(parameters.len());
    for parameter in parameters.iter().rev() {
        if length >= size {
            (bucket, length) = (bucket + 1, 0);
        }
        let end = length + parameter.len() * T::SIZE;
        places.push((bucket, length..end));
        length = end;
    }
    places.reverse();
    places
}

//! Gradients side by side, in buckets that travel at once.

use gradus_autograd::{Float, Gradients, Tensor};
use gradus_nn::Parameter;

/// The gradients of all parameters, from the last, whose gradient is complete first, to the first. A gradient that is missing
/// is 0.
#[derive(Debug)]
pub(crate) struct Buckets<T> {
    all: Vec<Bucket<T>>,
    /// For each parameter its bucket, and its first element there.
    places: Vec<(usize, usize)>,
    /// The buckets that were taken out.
    taken: usize,
}

#[derive(Debug)]
struct Bucket<T> {
    numbers: Vec<T>,
    /// The elements that are not there yet.
    missing: usize,
}

impl<T: Float> Buckets<T> {
    /// A bucket is full once it has `size` bytes or more.
    pub(crate) fn new(parameters: &[&Parameter<T>], size: usize) -> Self {
        let places = places(parameters, size);
        let mut lengths = Vec::new();
        // In the order of the buckets.
        for (parameter, &(bucket, first)) in parameters.iter().zip(&places).rev() {
            lengths.resize(bucket + 1, 0);
            lengths[bucket] = first + parameter.len();
        }
        let bucket = |missing| Bucket { numbers: vec![T::ZERO; missing], missing };
        Self { all: lengths.into_iter().map(bucket).collect(), places, taken: 0 }
    }

    /// Adds the gradient of a parameter.
    pub(crate) fn put(&mut self, parameter: usize, gradient: &Tensor<T>) {
        let (bucket, first) = self.places[parameter];
        let bucket = &mut self.all[bucket];
        let numbers = &mut bucket.numbers[first..first + gradient.len()];
        match gradient.as_slice() {
            Some(gradient) => numbers.copy_from_slice(gradient),
            None => numbers.copy_from_slice(&gradient.to_vec()),
        }
        bucket.missing -= gradient.len();
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
    pub(crate) fn full(&mut self) -> Vec<Vec<T>> {
        let full = self.all[self.taken..].iter().take_while(|bucket| bucket.missing == 0).count();
        self.take(full)
    }

    /// The buckets that are left.
    pub(crate) fn rest(mut self) -> Vec<Vec<T>> {
        self.take(self.all.len() - self.taken)
    }

    fn take(&mut self, count: usize) -> Vec<Vec<T>> {
        let taken = &mut self.all[self.taken..self.taken + count];
        self.taken += count;
        taken.iter_mut().map(|bucket| std::mem::take(&mut bucket.numbers)).collect()
    }
}

/// For each parameter its bucket, and its first element there.
pub(crate) fn places<T: Float>(parameters: &[&Parameter<T>], size: usize) -> Vec<(usize, usize)> {
    let (mut bucket, mut length) = (0, 0);
    let mut places = Vec::with_capacity(parameters.len());
    for parameter in parameters.iter().rev() {
        if length * size_of::<T>() >= size {
            (bucket, length) = (bucket + 1, 0);
        }
        places.push((bucket, length));
        length += parameter.len();
    }
    places.reverse();
    places
}

//! Gradients of a batch from the gradients of its parts.

use std::ops::Range;
use std::sync::PoisonError;
use std::sync::mpsc::channel;
use std::{panic, thread};

use gradus_autograd::{Float, Gradients, Tensor, Var};
use gradus_nn::{Buffer, Counter, Member, Module, Parameter, Path};

use crate::buckets::{Buckets, places};
use crate::error::DistributedError;
use crate::group::{Call, Group, NUMBERS};
use crate::shards::Part;
use crate::wire::{Digest, Wire, bytes};

/// The numbers that ranks exchange before they compute gradients.
#[derive(Debug, Clone, Copy)]
struct Before {
    samples: usize,
    /// Of the whole batch.
    batch: u64,
    /// Of the sizes of the model's members.
    sizes: u64,
    bucket: u64,
}

/// The numbers that ranks exchange afterwards.
#[derive(Debug, Clone, Copy)]
struct After {
    /// The mean loss of the samples.
    loss: f64,
    /// Of the parameters that have a gradient.
    reached: u64,
    /// Of buffers and counters.
    state: u64,
}

/// The gradients of a rank's part, if it has one, and the sums of the buckets.
type OwnAndSums<T> = (Option<Gradients<T>>, Vec<Vec<u8>>);

impl Group {
    /// The gradients of the mean loss of a batch, of which each rank computes its part: equal to the gradients of the whole
    /// batch up to rounding, with the same bits on every rank. All ranks then make the same step.
    ///
    /// `loss` gives the mean loss of the examples with these indices, and is not called if the part is empty.
    /// [`Gradients::loss`] is the mean of the whole batch. On one rank it is `loss(model, indices).backward()`.
    ///
    /// Buffers that the forward pass has changed, such as running statistics, become the mean over the ranks by their number
    /// of examples. Layers that mix the examples of a batch see the rank's part alone: batch normalisation in training
    /// normalises by the statistics of a part, so there the gradients are not the whole batch's, and a part needs two examples
    /// at least. Each rank draws its own masks of dropout; counters go on as on one rank.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, seeded};
    /// use gradus_distributed::Threads;
    /// use gradus_nn::{Linear, Losses, Module, Optimizer, Sgd};
    ///
    /// let train = |ranks| {
    ///     Threads::run(ranks, |group| {
    ///         let rng = &mut seeded(0);
    ///         let (x, y) = (Tensor::<f64>::randn([10, 3], rng), Tensor::randn([10, 1], rng));
    ///         let (mut model, mut sgd) = (Linear::new(3, 1, rng), Sgd::new(0.1));
    ///         group.broadcast(&mut model)?;
    ///         for part in group.sharding(4)?.of((0..10).collect::<Vec<_>>()) {
    ///             let gradients = group.backward(&model, &part, |model, rows| {
    ///                 let rows: Tensor<i64> = rows.iter().map(|&i| i as i64).collect();
    ///                 model.forward(x.index_select(0, &rows)).mse_loss(&y.index_select(0, &rows))
    ///             })?;
    ///             sgd.step(&mut model, &gradients);
    ///         }
    ///         Ok::<_, gradus_distributed::DistributedError>(model.weight.value().clone())
    ///     })
    /// };
    /// let (one, three) = (train(1).remove(0).unwrap(), train(3));
    /// assert!(three.iter().all(|weight| weight.as_ref().unwrap().allclose(&one, 1e-12, 0.0)));
    /// ```
    ///
    /// # Errors
    /// If a rank is gone or makes another call; if ranks have other batches, models of other sizes or another
    /// [bucket](Self::set_bucket).
    ///
    /// # Panics
    /// As the loss and [`Var::backward`] do.
    #[track_caller]
    pub fn backward<T: Float + Wire, M: Module<T>>(
        &self,
        model: &M,
        part: &Part,
        loss: impl FnOnce(&M, &[usize]) -> Var<T>,
    ) -> Result<Gradients<T>, DistributedError> {
        if self.size() == 1 && !part.indices().is_empty() {
            return Ok(loss(model, part.indices()).backward());
        }
        let call = Call::Backward;
        let parameters = trainable(model);
        let weights =
            self.weights(call, model, part.indices().len(), part.digest(), Some(part.batch().len()))?;
        let (buffers, counters) = buffers_and_counters(model);
        let before: Vec<i64> = counters.iter().map(|counter| counter.get()).collect();
        // Another place in the sequence of random numbers for each rank.
        let places: Vec<i64> =
            counters.iter().zip(&before).map(|(counter, &at)| self.place(counter, at)).collect();
        counters.iter().zip(&places).for_each(|(counter, &place)| counter.set(place));
        let loss = (!part.indices().is_empty()).then(|| loss(model, part.indices()));
        let steps: Vec<i64> =
            counters.iter().zip(&places).map(|(counter, &place)| counter.get().wrapping_sub(place)).collect();

        let mut buckets = self.buckets(&parameters);
        let (own, sums) = if self.overlap() {
            self.overlapped(call, &parameters, loss, buckets, &weights)?
        } else {
            let own = loss.map(Var::backward);
            if let Some(own) = &own {
                buckets.fill(&parameters, own);
            }
            let mut sums = buckets.rest();
            sums.iter_mut().try_for_each(|bucket| self.weighted_sum::<T>(call, bucket, &weights))?;
            (own, sums)
        };
        let state = digest_of(&buffers, &steps);
        let (gradients, states_are_equal) =
            self.finish(call, &parameters, own.as_ref(), sums, &weights, state)?;

        // A rank without examples counts the batch as the others do.
        let mut most = steps.clone();
        if !states_are_equal {
            self.mean_buffers(&buffers, &weights)?;
            for steps in self.gather_elements(call, &steps, &vec![steps.len(); self.size()])? {
                most.iter_mut().zip(steps).for_each(|(most, steps)| *most = steps.max(*most));
            }
        }
        for ((counter, before), steps) in counters.iter().zip(before).zip(most) {
            counter.set(before.wrapping_add(steps));
        }
        Ok(gradients)
    }

    /// The mean of the ranks' gradients by their number of examples: for loops of your own, several backward passes for one
    /// step for example. `None` for a rank without examples. Buffers stay as they are.
    ///
    /// Gradients of leaves that are not parameters of the model are left out.
    ///
    /// # Errors
    /// If a rank is gone or makes another call, or has a model of other sizes or another [bucket](Self::set_bucket); if no
    /// rank has an example.
    ///
    /// # Panics
    /// If a number of examples is 0.
    #[track_caller]
    pub fn reduce<T: Float + Wire>(
        &self,
        model: &impl Module<T>,
        gradients: Option<(Gradients<T>, usize)>,
    ) -> Result<Gradients<T>, DistributedError> {
        assert!(
            gradients.as_ref().is_none_or(|(_, samples)| *samples > 0),
            "reduce: the number of examples is 0: a rank without examples gives `None`"
        );
        let (own, samples) = gradients.unzip();
        let (call, parameters) = (Call::Reduce, trainable(model));
        let weights = self.weights(call, model, samples.unwrap_or(0), 0, None)?;
        let mut buckets = self.buckets(&parameters);
        if let Some(own) = &own {
            buckets.fill(&parameters, own);
        }
        let mut sums = buckets.rest();
        sums.iter_mut().try_for_each(|bucket| self.weighted_sum::<T>(call, bucket, &weights))?;
        Ok(self.finish(call, &parameters, own.as_ref(), sums, &weights, 0)?.0)
    }

    fn buckets<T: Float + Wire>(&self, parameters: &[&Parameter<T>]) -> Buckets<T> {
        let memory = &mut self.scratch.lock().unwrap_or_else(PoisonError::into_inner).buckets;
        Buckets::new(parameters, self.bucket(), memory)
    }

    /// Of each rank, its share of the examples. `all` is their number if it is known.
    fn weights<T: Float>(
        &self,
        call: Call,
        model: &impl Module<T>,
        samples: usize,
        batch: u64,
        all: Option<usize>,
    ) -> Result<Vec<f64>, DistributedError> {
        let mut numbers = [0; NUMBERS];
        numbers[..4].copy_from_slice(&[samples as u64, batch, sizes(model), self.bucket() as u64]);
        let ranks = self.meet(call, numbers)?.into_iter();
        let ranks: Vec<Before> = ranks
            .map(|[samples, batch, sizes, bucket, ..]| Before {
                samples: samples as usize,
                batch,
                sizes,
                bucket,
            })
            .collect();
        if ranks.iter().any(|rank| rank.sizes != ranks[0].sizes) {
            return Err(self.models_differ(call, model));
        }
        let call = call.name();
        let fault = |fault: String| Err(DistributedError::Batch { call, fault });
        if let Some(rank) = ranks.iter().position(|rank| rank.batch != ranks[0].batch) {
            return fault(format!(
                "the batch of rank {rank} has other examples than the batch of rank 0: orders must come from the same seed"
            ));
        }
        let bucket = ranks[0].bucket;
        if let Some(rank) = ranks.iter().position(|rank| rank.bucket != bucket) {
            return fault(format!(
                "rank {rank} reduces {} bytes at once, rank 0 {bucket}: `set_bucket` needs the same number on every rank",
                ranks[rank].bucket
            ));
        }
        let samples: usize = ranks.iter().map(|rank| rank.samples).sum();
        if samples == 0 {
            return fault("no rank has an example".into());
        }
        if all.is_some_and(|all| all != samples) {
            return fault(
                "the parts of the ranks are not the whole batch: they must be of one `sharding`".into(),
            );
        }
        Ok(ranks.iter().map(|rank| rank.samples as f64 / samples as f64).collect())
    }

    /// A backward pass, and the sums of the buckets, which another thread adds up as soon as they are full.
    fn overlapped<T: Float + Wire>(
        &self,
        call: Call,
        parameters: &[&Parameter<T>],
        loss: Option<Var<T>>,
        mut buckets: Buckets<T>,
        weights: &[f64],
    ) -> Result<OwnAndSums<T>, DistributedError> {
        thread::scope(|scope| {
            // Made in here: a panic of the backward pass closes it, and the thread ends.
            let (full, waiting) = channel::<Vec<u8>>();
            let thread = scope.spawn(move || -> Result<Vec<Vec<u8>>, DistributedError> {
                let sum =
                    |mut bucket: Vec<u8>| self.weighted_sum::<T>(call, &mut bucket, weights).map(|()| bucket);
                waiting.into_iter().map(sum).collect()
            });
            // A thread that has ended has an error, which it returns.
            let send = |bucket| drop(full.send(bucket));
            let leaves: Vec<&Var<T>> = parameters.iter().map(|parameter| -> &Var<T> { parameter }).collect();
            let own = loss.map(|loss| {
                loss.backward_each(&leaves, |i, gradient| {
                    buckets.put(i, gradient);
                    buckets.full().into_iter().for_each(send);
                })
            });
            buckets.rest().into_iter().for_each(send);
            drop(full);
            let sums = thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))?;
            Ok((own, sums))
        })
    }

    /// Gradients from the sums of the buckets, and whether all ranks have the same state.
    fn finish<T: Float + Wire>(
        &self,
        call: Call,
        parameters: &[&Parameter<T>],
        own: Option<&Gradients<T>>,
        sums: Vec<Vec<u8>>,
        weights: &[f64],
        state: u64,
    ) -> Result<(Gradients<T>, bool), DistributedError> {
        let reached = |parameter: &&Parameter<T>| own.is_some_and(|own| own.get(parameter).is_some());
        let mut any: Vec<i64> = parameters.iter().map(|parameter| reached(parameter).into()).collect();
        let loss = own.map_or(0.0, |own| own.loss().to_f64());
        let mut numbers = [0; NUMBERS];
        numbers[..3].copy_from_slice(&[loss.to_bits(), digest(any.iter().copied()), state]);
        let ranks = self.meet(call, numbers)?.into_iter();
        let ranks: Vec<After> = ranks
            .map(|[loss, reached, state, ..]| After { loss: f64::from_bits(loss), reached, state })
            .collect();
        if ranks.iter().any(|rank| rank.reached != ranks[0].reached) {
            for rank in self.gather_elements(call, &any, &vec![any.len(); self.size()])? {
                any.iter_mut().zip(rank).for_each(|(any, reached)| *any |= reached);
            }
        }
        let loss = ranks.iter().zip(weights).map(|(rank, weight)| rank.loss * weight).sum();
        let scratch = &mut *self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = scratch.numbers.take().and_then(|numbers| numbers.downcast::<Vec<T>>().ok());
        let mut numbers = kept.unwrap_or_default();
        let mut sum = |parameter: &Parameter<T>, (bucket, place): (usize, Range<usize>)| {
            numbers.clear();
            numbers.extend(T::read(&sums[bucket][place]));
            Tensor::from(&numbers[..]).reshape(parameter.shape())
        };
        let found = parameters.iter().zip(places(parameters, self.bucket())).zip(any);
        let found = found
            .filter(|(_, any)| *any != 0)
            .map(|((parameter, place), _)| -> (&Var<T>, Tensor<T>) { (parameter, sum(parameter, place)) });
        let gradients = Gradients::from_leaves(T::from_f64(loss), found);
        scratch.buckets = sums;
        scratch.numbers = Some(numbers);
        let states_are_equal = ranks.iter().all(|rank| rank.state == ranks[0].state);
        Ok((gradients, states_are_equal))
    }

    /// Buffers become their means over the ranks.
    fn mean_buffers<T: Float + Wire>(
        &self,
        buffers: &[&Buffer<T>],
        weights: &[f64],
    ) -> Result<(), DistributedError> {
        let numbers: Vec<T> = buffers.iter().flat_map(|buffer| buffer.value().to_vec()).collect();
        let mut sums = bytes(&numbers);
        self.weighted_sum::<T>(Call::Backward, &mut sums, weights)?;
        let numbers: Vec<T> = T::read(&sums).collect();
        let mut rest = &numbers[..];
        for buffer in buffers {
            let value = buffer.value();
            let (mean, others) = rest.split_at(value.len());
            rest = others;
            buffer.set(Tensor::from_vec(mean.to_vec(), value.shape()).expect("as many numbers as elements"));
        }
        Ok(())
    }

    /// A rank's place in the sequence of a counter: keys of random masks differ between ranks, numbers of batches do not.
    fn place(&self, counter: &Counter, at: i64) -> i64 {
        if counter.is_persistent() {
            return at;
        }
        at.wrapping_add((self.rank() as i64).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()))
    }
}

/// The parameters that may have a gradient: the same on every rank, as `broadcast` has checked.
fn trainable<T: Float>(model: &impl Module<T>) -> Vec<&Parameter<T>> {
    model.parameters().into_iter().filter(|parameter| parameter.is_trainable()).collect()
}

/// A fingerprint of the sizes of all that travels: trainable parameters, buffers, counters.
fn sizes<T: Float>(model: &impl Module<T>) -> u64 {
    let (buffers, counters) = buffers_and_counters(model);
    let parameters = trainable(model).into_iter().map(|parameter| parameter.len() as i64);
    let buffers = buffers.into_iter().map(|buffer| buffer.value().len() as i64);
    digest(parameters.chain([-1]).chain(buffers).chain([-1, counters.len() as i64]))
}

fn digest(numbers: impl Iterator<Item = i64>) -> u64 {
    let mut digest = Digest::new();
    numbers.for_each(|number| digest.word(number.cast_unsigned()));
    digest.0
}

fn digest_of<T: Float + Wire>(buffers: &[&Buffer<T>], steps: &[i64]) -> u64 {
    let mut digest = Digest::new();
    for buffer in buffers {
        digest.bytes(&bytes(&buffer.value().to_vec()));
    }
    for &step in steps {
        digest.word(step.cast_unsigned());
    }
    digest.0
}

fn buffers_and_counters<T: Float>(model: &impl Module<T>) -> (Vec<&Buffer<T>>, Vec<&Counter>) {
    let (mut buffers, mut counters) = (Vec::new(), Vec::new());
    model.visit(Path::ROOT, &mut |_, member| match member {
        Member::Buffer(buffer) => buffers.push(buffer),
        Member::Counter(counter) => counters.push(counter),
        _ => (),
    });
    (buffers, counters)
}

//! Laws of data-parallel training, with ranks that are threads.

use crate::training::{BATCH, EXAMPLES, distance, rows, train};
use gradus_autograd::{Gradients, Tensor, Var, seeded};
use gradus_distributed::{DistributedError, Group, Threads};
use gradus_nn::{BatchNorm1d, Buffer, Dropout, Linear, Losses, Module, Parameter, Sequential, Tanh};
use proptest::prelude::*;

type Named = Vec<(String, Tensor<f64>)>;

fn named(model: &Sequential<f64>, gradients: &Gradients<f64>) -> Named {
    let named = model.named_gradients(gradients).into_iter();
    named.map(|(name, gradient)| (name, gradient.clone())).collect()
}

fn mlp(seed: u64) -> Sequential<f64> {
    let rng = &mut seeded(seed);
    Sequential::new().push(Linear::new(3, 5, rng)).push(Tanh).push(Linear::new(5, 2, rng))
}

/// By rank, the loss and the gradients of one batch.
fn gradients(
    ranks: usize,
    (bucket, overlap): (usize, bool),
    seed: u64,
    order: &[usize],
) -> Vec<(f64, Named)> {
    let (x, y) = data(seed, order.len());
    Threads::run(ranks, |group| {
        group.set_bucket(bucket);
        group.set_overlap(overlap);
        let mut model = mlp(seed);
        group.broadcast(&mut model).unwrap();
        let part = group.sharding(order.len().max(ranks)).unwrap().of(order).next().unwrap();
        let gradients = group
            .backward(&model, &part, |model, indices| {
                model.forward(Var::constant(rows(&x, indices))).mse_loss(rows(&y, indices))
            })
            .unwrap();
        (gradients.loss(), named(&model, &gradients))
    })
}

fn data(seed: u64, examples: usize) -> (Tensor<f64>, Tensor<f64>) {
    let rng = &mut seeded(seed);
    (Tensor::randn([examples, 3], rng), Tensor::randn([examples, 2], rng))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a batch is cut, its gradient is the whole batch's up to rounding; all ranks, all runs and all sizes of
    /// buckets give the same bits.
    #[test]
    fn parts_give_the_gradient_of_the_whole(ranks in 1_usize..=4, samples in 1_usize..12, seed: u64, bucket in 1_usize..300, overlap: bool) {
        let order: Vec<usize> = (0..samples).rev().collect();
        let (x, y) = data(seed, samples);
        let model = mlp(seed);
        let whole = model.forward(Var::constant(rows(&x, &order))).mse_loss(rows(&y, &order)).backward();
        let parts = gradients(ranks, (bucket, overlap), seed, &order);
        for (rank, (loss, gradients)) in parts.iter().enumerate() {
            prop_assert!((loss - whole.loss()).abs() < 1e-12 * (1.0 + whole.loss()), "{rank}: {loss} {}", whole.loss());
            for ((name, gradient), (_, whole)) in gradients.iter().zip(named(&model, &whole)) {
                prop_assert!(gradient.allclose(&whole, 1e-12, 1e-13), "{rank} {name}: {gradient} {whole}");
            }
            prop_assert_eq!((loss, gradients), (&parts[0].0, &parts[0].1));
        }
        prop_assert_eq!(&parts, &gradients(ranks, (1 << 20, false), seed, &order));
        if ranks == 1 {
            prop_assert_eq!(&parts[0].1, &named(&model, &whole));
        }
    }

    /// The parts of the ranks, one after another, are the batches of one rank; their sizes differ by 1 at most.
    #[test]
    fn parts_make_up_the_batch(ranks in 1_usize..=5, size in 1_usize..9, samples in 0_usize..40, skipped in 0_usize..9) {
        let size = size.max(ranks);
        let order: Vec<usize> = (0..samples).map(|i| i * 7).collect();
        let shards = |ranks| Threads::run(ranks, |group| {
            let shards = group.sharding(size).unwrap().of(order.clone());
            assert_eq!(shards.len(), samples.div_ceil(size));
            let mut ahead = shards.clone();
            assert_eq!(ahead.nth(skipped).map(|part| part.batch().to_vec()), shards.clone().nth(skipped).map(|part| part.batch().to_vec()));
            assert_eq!(ahead.len(), samples.div_ceil(size).saturating_sub(skipped + 1));
            shards.map(|part| part.indices().to_vec()).collect::<Vec<_>>()
        });
        let parts = shards(ranks);
        for (number, batch) in shards(1)[0].iter().enumerate() {
            let parts: Vec<&[usize]> = parts.iter().map(|rank| &rank[number][..]).collect();
            prop_assert_eq!(&parts.concat(), batch);
            let sizes = || parts.iter().map(|part| part.len());
            prop_assert!(sizes().max().unwrap() - sizes().min().unwrap() <= 1);
        }
    }

    /// Reducing the numbers of all ranks gives the same as reducing everything at once.
    #[test]
    fn metrics_of_all_ranks(values in prop::collection::vec((-2.0..2.0, 0_usize..5), 1..5)) {
        let all: f64 = values.iter().map(|(value, weight)| value * *weight as f64).sum();
        let weights: usize = values.iter().map(|(_, weight)| weight).sum();
        let found = Threads::run(values.len(), |group| {
            let (value, weight) = values[group.rank()];
            let mean = group.mean(if weight == 0 { f64::NAN } else { value }, weight).unwrap();
            let rows = group.gather(&Tensor::full([weight, 2], value)).unwrap();
            (mean, group.sum(&[value * weight as f64, weight as f64]).unwrap(), rows)
        });
        for (mean, sum, rows) in &found {
            let right = if weights == 0 { mean.is_nan() } else { (mean - all / weights as f64).abs() < 1e-12 };
            prop_assert!(right, "{}", mean);
            prop_assert!((sum[0] - all).abs() < 1e-12 && sum[1] == weights as f64);
            prop_assert!(rows.shape() == [weights, 2] && (rows.sum(..).item() - 2.0 * all).abs() < 1e-12);
            prop_assert_eq!((sum, rows), (&found[0].1, &found[0].2));
        }
    }
}

#[test]
fn training_on_any_number_of_ranks() {
    let plain = Threads::run(1, |group| train(group, false, None, |_| ()).unwrap()).remove(0);
    assert!(plain.1 < 0.35, "{}", plain.1);
    for ranks in 2..=4 {
        let found = Threads::run(ranks, |group| train(group, false, None, |_| ()).unwrap());
        assert!(found.iter().all(|rank| *rank == found[0]));
        let (away, loss) = (distance(&found[0].0, &plain.0), found[0].1 - plain.1);
        assert!(away < 1e-8 && loss.abs() < 1e-9, "{ranks}: {away} {loss}");
    }
}

/// One rank gives the bits of a loop without a group, with layers that draw random numbers and keep statistics, too.
#[test]
fn one_rank_is_plain_training() {
    let (x, y) = data(0, 6);
    let make = || {
        let rng = &mut seeded(0);
        Sequential::<f64>::new()
            .push(Linear::new(3, 2, rng))
            .push(BatchNorm1d::new(2))
            .push(Dropout::new(0.5, 1))
    };
    let (plain, model) = (make(), make());
    let whole = plain.forward(Var::constant(&x)).mse_loss(&y).backward();
    let group = Group::single();
    let part = group.sharding(6).unwrap().of((0..6).collect::<Vec<_>>()).next().unwrap();
    let found = group
        .backward(&model, &part, |model, indices| {
            model.forward(Var::constant(rows(&x, indices))).mse_loss(rows(&y, indices))
        })
        .unwrap();
    assert_eq!((found.loss(), named(&model, &found)), (whole.loss(), named(&plain, &whole)));
    assert_eq!(model.state(), plain.state());
}

/// Running means are linear in the batch: their mean over the ranks is the whole batch's. A rank without examples counts the
/// batch as well.
#[test]
fn statistics_and_counters() {
    let (x, _) = data(1, 7);
    let whole = BatchNorm1d::<f64>::new(3);
    for batch in [0..4, 4..7] {
        let _ = whole.forward(Var::constant(x.slice(0, batch)));
    }
    let states = Threads::run(4, |group| {
        let mut norm = BatchNorm1d::<f64>::new(3);
        group.broadcast(&mut norm).unwrap();
        for part in group.sharding(4).unwrap().of((0..7).collect::<Vec<_>>()) {
            let gradients = group.backward(&norm, &part, |norm, indices| {
                // Statistics of single examples have no variance; two of the same have the same mean.
                let x = rows(&x, indices);
                norm.forward(Var::constant(Tensor::cat(&[&x, &x], 0))).square().mean(..)
            });
            let _ = gradients.unwrap();
        }
        norm.state()
    });
    assert!(states.iter().all(|state| *state == states[0]));
    let mean = |state: &gradus_nn::State| state.tensor::<f64>("running_mean").unwrap().clone();
    assert!(mean(&states[0]).allclose(&mean(&whole.state()), 1e-12, 1e-13));
    assert_eq!(states[0].value::<i64>("num_batches_tracked").unwrap(), 2);
}

/// A buffer of a rank without examples has no part in the mean: it may not even be finite.
#[test]
fn buffers_of_a_rank_without_examples() {
    let found = Threads::run(2, |group| {
        let model = (Parameter::new([1.0_f64]), Buffer::new([f64::INFINITY]));
        let part = group.sharding(2).unwrap().of([0]).next().unwrap();
        let gradients = group.backward(&model, &part, |model, _| {
            model.1.set([3.0]);
            model.0.sum(..)
        });
        (part.indices().len(), gradients.unwrap().loss(), model.1.value().item())
    });
    assert_eq!(found, [(0, 1.0, 3.0), (1, 1.0, 3.0)]);
}

#[test]
fn each_rank_drops_other_elements() {
    let found = Threads::run(3, |group| {
        let model = (Dropout::new(0.5, 0), Parameter::new(Tensor::<f64>::ones([64])));
        let part = group.sharding(4).unwrap().of([0, 1, 2, 3]).next().unwrap();
        let mut mask = Tensor::zeros([64]);
        let _ = group
            .backward(&model, &part, |model, _| {
                let y = model.0.forward(&*model.1);
                mask = y.value().clone();
                y.mean(..)
            })
            .unwrap();
        (mask, model.0.key.get())
    });
    assert_eq!(found[0].1, Dropout::new(0.5, 0).key.get() + 1);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        assert_ne!(found[a].0, found[b].0);
        assert_eq!(found[a].1, found[b].1);
    }
}

/// A parameter that some ranks do not reach counts as 0 there; one that no rank reaches has no gradient, as on one rank.
#[test]
fn parameters_that_only_some_reach() {
    let found = Threads::run(3, |group| {
        group.set_overlap(true);
        let model = (Parameter::new([2.0_f64]), Parameter::new([3.0]), Parameter::new([5.0]));
        let part = group.sharding(4).unwrap().of([0, 1, 2, 3]).next().unwrap();
        // The gradients of an earlier step do not come back.
        let all = group.backward(&model, &part, |model, _| (&model.0 * &model.1 * &model.2).sum(..));
        assert_eq!(all.unwrap().get(&model.2).map(Tensor::item), Some(6.0));
        let gradients = group.backward(&model, &part, |model, indices| {
            let even = |i: &usize| i.is_multiple_of(2);
            // One example, or two.
            if indices.iter().any(even) { (&model.0 + 0.0).sum(..) } else { (&model.0 * &model.1).sum(..) }
        });
        let gradients = gradients.unwrap();
        [&model.0, &model.1, &model.2].map(|p| gradients.get(p).map(Tensor::item))
    });
    // Parts [0], [1], [2, 3]: the second one multiplies.
    assert_eq!(found, vec![[Some(0.25 + 0.25 * 3.0 + 0.5), Some(0.25 * 2.0), None]; 3]);
}

/// Frozen parameters do not travel, and stay without a gradient.
#[test]
fn frozen_parameters() {
    let found = Threads::run(2, |group| {
        let mut model = mlp(0);
        model.freeze(|name| name.starts_with("0."));
        group.broadcast(&mut model).unwrap();
        let part = group.sharding(2).unwrap().of([0, 1]).next().unwrap();
        let x = Var::constant(Tensor::<f64>::ones([1, 3]));
        let gradients = group.backward(&model, &part, |model, _| model.forward(&x).sum(..)).unwrap();
        named(&model, &gradients).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    });
    assert_eq!(found, [["2.weight", "2.bias"]; 2]);
}

/// Several backward passes for one step; a rank may have none.
#[test]
fn reduce_by_hand() {
    let found = Threads::run(2, |group| {
        let p = Parameter::new([1.0_f64]);
        let own = (group.rank() == 1).then(|| ((&p * 4.0).sum(..).backward(), 3));
        let gradients = group.reduce(&p, own)?;
        Ok::<_, DistributedError>((gradients.loss(), gradients.get(&p).map(Tensor::item)))
    });
    assert!(found.iter().all(|found| *found.as_ref().unwrap() == (4.0, Some(4.0))));
}

/// Single precision: sums are rounded once, of more numbers than are added up at once, too.
#[test]
fn single_precision_is_rounded_once() {
    let found = Threads::run(3, |group| {
        let p = Parameter::new(Tensor::<f32>::zeros([5000]));
        let slope = [1.0, 1.0 + f32::EPSILON, 1.0][group.rank()];
        let gradients = group.reduce(&p, Some(((&p * slope).sum(..).backward(), 1))).unwrap();
        gradients.get(&p).unwrap().clone()
    });
    let expected = Tensor::full([5000], ((3.0 + f64::from(f32::EPSILON)) / 3.0) as f32);
    assert_eq!(found, vec![expected; 3]);
}

/// A job that stopped goes on with the same bits; a file that cannot be written is an error on every rank.
#[test]
fn checkpoints() {
    let folder = std::env::temp_dir().join(format!("gradus-distributed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("checkpoint.safetensors");
    let whole = Threads::run(3, |group| train(group, true, None, |_| ()).unwrap());
    let steps = EXAMPLES.div_ceil(BATCH);
    let stopped = std::panic::catch_unwind(|| {
        Threads::run(3, |group| {
            let stop = |step| assert!(step <= 2 * steps + 3 || group.rank() != 2, "rank 2 dies");
            train(group, true, Some(&path), stop).map(drop)
        })
    });
    assert!(stopped.is_err());
    let resumed = Threads::run(3, |group| {
        group.set_overlap(true);
        train(group, true, Some(&path), |step| assert!(step > 2 * steps)).unwrap()
    });
    assert!(resumed == whole);
    // The place counts whole batches: another number of ranks goes on as well.
    assert!(Threads::run(2, |group| train(group, true, Some(&path), |_| ()).is_ok()).iter().all(|ok| *ok));

    let nowhere = folder.join("no folder/checkpoint");
    let errors =
        Threads::run(2, |group| group.save(&nowhere, gradus_nn::State::new).unwrap_err().to_string());
    assert!(errors[0].starts_with("write ") && errors[1] == format!("rank 0: {}", errors[0]), "{errors:?}");
    std::fs::write(&path, "nonsense").unwrap();
    let errors = Threads::run(2, |group| group.load(&path).unwrap_err().to_string());
    assert!(errors[0].starts_with("read ") && errors[1] == format!("rank 0: {}", errors[0]), "{errors:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

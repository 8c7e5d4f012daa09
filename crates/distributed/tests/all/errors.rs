//! Faults are named, on every rank.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use gradus_autograd::{Tensor, seeded};
use gradus_distributed::{Communicator, DistributedError, Group, Threads};
use gradus_nn::{Buffer, Counter, Linear, Module, Parameter};

/// The errors of the ranks.
fn errors<R: Send>(ranks: usize, f: impl Fn(&Group) -> Result<R, DistributedError> + Sync) -> Vec<String> {
    Threads::run(ranks, |group| f(group).err().map_or("no error".into(), |error| error.to_string()))
}

#[test]
fn other_calls() {
    let found = errors(2, |group| if group.rank() == 0 { group.wait() } else { group.sum(&[1.0]).map(drop) });
    assert_eq!(
        found,
        [
            "rank 0 is in call 1 of the group, `wait`; rank 1 is in call 1, `sum`: all ranks must make the same calls in the same \
         order",
            "rank 1 is in call 1 of the group, `sum`; rank 0 is in call 1, `wait`: all ranks must make the same calls in the same \
         order",
        ]
    );
    // A rank that ends before the others.
    let found = errors(2, |group| if group.rank() == 0 { group.wait() } else { Ok(()) });
    assert_eq!(
        found[0],
        "rank 0 is in call 1 of the group, `wait`; rank 1 is in call 1, `the end`: all ranks must make the same calls in the \
         same order"
    );
}

#[test]
fn a_peer_that_is_gone() {
    let mut ends = Threads::connected(3);
    drop(ends.remove(1));
    let found = Threads::run_on(ends, |group| group.wait().unwrap_err().to_string());
    // Rank 2 may hear first that rank 0 has given up.
    assert_eq!(found[0], "wait: rank 1 is gone");
    assert!(found[1] == "wait: rank 1 is gone" || found[1] == "wait: rank 0 is gone", "{}", found[1]);
}

/// One of some ranks that never answer.
struct Silent {
    ranks: usize,
    is_ended: Arc<AtomicBool>,
}

impl Communicator for Silent {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        self.ranks
    }
    fn exchange(
        &self,
        call: &'static str,
        _: Option<(usize, &[u8])>,
        _: Option<(usize, &mut [u8])>,
    ) -> Result<(), DistributedError> {
        Err(DistributedError::Lost { call, rank: 1, fault: "is silent".into() })
    }
    fn abort(&self, _: i32) {
        self.is_ended.store(true, Relaxed);
    }
}

/// A single rank that does not reach the end of the job ends no process: the caller of `run` gets its error.
#[test]
fn only_several_ranks_are_ended() {
    for (ranks, expected) in [(1, false), (2, true)] {
        let is_ended = Arc::new(AtomicBool::new(false));
        drop(Group::new(Box::new(Silent { ranks, is_ended: Arc::clone(&is_ended) })));
        assert_eq!(is_ended.load(Relaxed), expected);
    }
}

/// A checkpoint that cannot be looked at is not taken for one that is not there.
#[test]
fn checkpoints_that_cannot_be_read() {
    let file = std::env::current_exe().unwrap();
    assert_eq!(Group::single().load(file.with_extension("absent")).unwrap(), None);
    let found = errors(2, |group| group.load(file.join("below")));
    assert!(found[0].starts_with("read "), "{}", found[0]);
    assert_eq!(found[1], format!("rank 0: {}", found[0]));
}

/// A backward pass that panics, while another thread adds up gradients, lets nobody wait.
#[test]
fn a_loss_that_is_nan() {
    let ends = Threads::connected(2);
    let found: Vec<_> = std::thread::scope(|scope| {
        let step = |end: Threads| {
            let group = Group::new(Box::new(end));
            group.set_overlap(true);
            let p = Parameter::new([1.0_f32]);
            let part = group.sharding(2).unwrap().of([0, 1]).next().unwrap();
            let factor = if group.rank() == 1 { f32::NAN } else { 1.0 };
            group.backward(&p, &part, |p, _| (p * factor).sum(..)).unwrap_err().to_string()
        };
        let threads: Vec<_> = ends.into_iter().map(|end| scope.spawn(move || step(end))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    assert_eq!(found[0].as_ref().unwrap(), "backward: rank 1 is gone");
    assert!(found[1].is_err());
}

#[test]
fn models_that_differ() {
    let sizes = errors(3, |group| {
        let out = if group.rank() == 2 { 4 } else { 3 };
        group.broadcast(&mut Linear::<f32>::new(2, out, &mut seeded(0)))
    });
    let fault = "broadcast: the models differ: rank 0 has parameter `weight` of shape [3, 2], f32, rank 2 has parameter \
                 `weight` of shape [4, 2], f32";
    assert_eq!(sizes, [fault; 3]);

    let members = errors(2, |group| {
        let layer = Linear::<f64>::new(2, 3, &mut seeded(0));
        group.broadcast(&mut if group.rank() == 0 { layer } else { layer.without_bias() })
    });
    let fault = "broadcast: the models differ: rank 0 has parameter `bias` of shape [3], f64, rank 1 has no more members";
    assert_eq!(members, [fault; 2]);

    let frozen = errors(2, |group| {
        let mut layer = Linear::<f32>::new(2, 1, &mut seeded(0));
        if group.rank() == 1 {
            layer.freeze(|name| name == "bias");
        }
        group.broadcast(&mut layer)
    });
    let fault = "broadcast: the models differ: rank 0 has parameter `bias` of shape [1], f32, rank 1 has frozen parameter \
                 `bias` of shape [1], f32";
    assert_eq!(frozen, [fault; 2]);
}

#[test]
fn numbers_that_differ() {
    let found = errors(2, |group| {
        let mut layer = Linear::<f32>::new(2, 1, &mut seeded(group.rank() as u64));
        group.broadcast(&mut layer)?;
        group.check_same(&layer).unwrap();
        if group.rank() == 1 {
            layer.bias.as_mut().unwrap().update(|bias| *bias += 1e-6);
        }
        group.check_same(&layer)
    });
    let fault = "check_same: the models differ: \"bias\" of rank 1 is not the same as on rank 0";
    assert_eq!(found, [fault; 2]);
}

#[test]
fn batches_that_differ() {
    let step = |group: &Group, order: [usize; 4], size| {
        let p = Parameter::new([1.0_f32]);
        let part = group.sharding(size)?.of(order).next().unwrap();
        group.backward(&p, &part, |p, _| p.sum(..)).map(drop)
    };
    let found =
        errors(2, |group| step(group, if group.rank() == 0 { [0, 1, 2, 3] } else { [0, 2, 1, 3] }, 4));
    let fault = "backward: the batch of rank 1 has other examples than the batch of rank 0: orders must come from the same \
                 seed";
    assert_eq!(found, [fault; 2]);
    // Every rank with all examples, as in a program for one.
    let alone = Group::single();
    let part = alone.sharding(4).unwrap().of([0, 1, 2, 3]).next().unwrap();
    let found = errors(2, |group| group.backward(&Parameter::new([1.0_f32]), &part, |p, _| p.sum(..)));
    assert_eq!(
        found,
        ["backward: the parts of the ranks are not the whole batch: they must be of one `sharding`"; 2]
    );

    let found = errors(3, |group| step(group, [0, 1, 2, 3], 2));
    let fault = "sharding: a batch of 2 examples for 3 ranks: each rank needs one example at least; start fewer ranks, or make \
                 batches larger";
    assert_eq!(found, [fault; 3]);
    let found = errors(2, |group| group.reduce(&Parameter::new([1.0_f32]), None));
    assert_eq!(found, ["reduce: no rank has an example"; 2]);
    let found = errors(2, |group| {
        group.set_bucket(4 * (group.rank() + 1));
        let p = Parameter::new([1.0_f32, 2.0]);
        group.reduce(&p, Some((p.sum(..).backward(), 1)))
    });
    let fault =
        "reduce: rank 1 reduces 8 bytes at once, rank 0 4: `set_bucket` needs the same number on every rank";
    assert_eq!(found, [fault; 2]);
}

/// Models that were not compared by `broadcast`: everything that travels must have the same size.
#[test]
fn models_of_other_sizes() {
    type Model = (Parameter, Vec<Buffer>, Vec<Counter>);
    let model = |parameter: usize, buffers: usize, counters: usize| -> Model {
        let buffers = vec![Buffer::new(Tensor::<f32>::zeros([buffers])); 2];
        (Parameter::new(vec![1.0_f32; parameter]), buffers, vec![Counter::new(0); counters])
    };
    for (other, here, there) in [
        (model(3, 4, 1), "parameter `0` of shape [2], f32", "parameter `0` of shape [3], f32"),
        (model(2, 5, 1), "buffer `1.0` of shape [4], f32", "buffer `1.0` of shape [5], f32"),
        (model(2, 4, 2), "no more members", "counter `2.1`"),
    ] {
        let found = errors(3, |group| {
            let model = if group.rank() == 2 { other.clone() } else { model(2, 4, 1) };
            let part = group.sharding(3)?.of([0, 1, 2]).next().unwrap();
            let loss = |model: &Model, _: &[usize]| model.0.sum(..);
            let reduced = group.reduce(&model, Some((loss(&model, &[]).backward(), 1))).unwrap_err();
            assert_eq!(
                reduced.to_string(),
                format!("reduce: the models differ: rank 0 has {here}, rank 2 has {there}")
            );
            group.backward(&model, &part, loss)
        });
        let fault = format!("backward: the models differ: rank 0 has {here}, rank 2 has {there}");
        assert_eq!(found, vec![fault; 3]);
    }
}

#[test]
fn numbers_of_other_shapes() {
    let found = errors(2, |group| group.sum(&vec![1.0; group.rank() + 1]));
    assert_eq!(found, ["sum: rank 0 has 1 numbers, rank 1 has 2"; 2]);
    let found = errors(2, |group| group.gather(&Tensor::<f32>::zeros([2, group.rank() + 1])));
    assert_eq!(
        found[1],
        "gather: the rows of rank 1 have another shape or type than the rows of rank 0; here they are [2], f32"
    );
}

/// Several processes of a program for one rank: each would train a model of its own.
#[cfg(not(feature = "mpi"))]
#[test]
fn processes_without_mpi() {
    use std::process::Command;
    let wanted = "GRADUS_TEST_WITHOUT_MPI";
    if std::env::var_os(wanted).is_some() {
        let error = gradus_distributed::run(|_| Ok::<_, DistributedError>(())).unwrap_err();
        assert!(
            error.to_string().starts_with("start: this is one of 2 processes (OMPI_COMM_WORLD_SIZE)"),
            "{error}"
        );
        return;
    }
    let this = std::env::current_exe().unwrap();
    let mut run = Command::new(this);
    run.args(["--exact", "errors::processes_without_mpi"]).env(wanted, "").env("OMPI_COMM_WORLD_SIZE", "2");
    assert!(run.status().unwrap().success());
}

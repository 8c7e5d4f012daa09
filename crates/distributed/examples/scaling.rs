//! The time of a step on this number of ranks, its parts, and a network that is made up of waiting.
//!
//! ```sh
//! cargo build --release -p gradus-distributed --example scaling --features mpi
//! GRADUS_NUM_THREADS=1 mpirun -n 1 target/release/examples/scaling
//! GRADUS_NUM_THREADS=1 mpirun -n 2 target/release/examples/scaling
//! GRADUS_NUM_THREADS=1 target/release/examples/scaling network
//! ```

use std::thread::sleep;
use std::time::{Duration, Instant};

use gradus_autograd::{Gradients, Tensor, Var, seeded};
use gradus_distributed::{Communicator, DistributedError, Group, Threads, run};
use gradus_nn::{Linear, Losses, Module, Optimizer, Relu, Sequential, Sgd};

const BATCH: usize = 256;
const ROUNDS: usize = 30;

fn main() -> Result<(), DistributedError> {
    if std::env::args().any(|argument| argument == "network") {
        for bits in [1e9, 1e8] {
            for overlap in [false, true] {
                let ends = Threads::connected(2).into_iter();
                let ends = ends.map(|threads| Network { threads, latency: 100e-6, bytes: bits / 8.0 });
                let results = Threads::run_on(ends, |group| {
                    group.set_overlap(overlap);
                    measure(group, &format!("two threads, {} Mbit/s, overlap {overlap}", bits / 1e6))
                });
                results.into_iter().collect::<Result<(), _>>()?;
            }
        }
        return Ok(());
    }
    run(|group| {
        for overlap in [false, true] {
            group.set_overlap(overlap);
            measure(group, &format!("{} ranks, overlap {overlap}", group.size()))?;
        }
        Ok(())
    })
}

/// The least and the median time of a step, and of its reduction alone.
fn measure(group: &Group, name: &str) -> Result<(), DistributedError> {
    let rng = &mut seeded(0);
    let (x, y) = (Tensor::<f32>::randn([BATCH, 784], rng), Tensor::randint([BATCH], 0..10, rng));
    let mut model = Sequential::<f32>::new().push(Linear::new(784, 512, rng)).push(Relu);
    model = model.push(Linear::new(512, 256, rng)).push(Relu).push(Linear::new(256, 10, rng));
    let mut sgd = Sgd::new(0.01);
    group.broadcast(&mut model)?;
    let order: Vec<usize> = (0..BATCH).collect();
    let (mut steps, mut reductions) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let part = group.sharding(BATCH)?.of(order.clone()).next().expect("there is one batch");
        group.wait()?;
        let start = Instant::now();
        let gradients = group.backward(&model, &part, |model, rows| {
            let rows = rows[0]..rows[0] + rows.len();
            model.forward(Var::constant(x.slice(0, rows.clone()))).cross_entropy(y.slice(0, rows))
        })?;
        sgd.step(&mut model, &gradients);
        steps.push(start.elapsed().as_secs_f64());
        let own = model.parameters().into_iter().map(|p| -> (&Var, Tensor) { (p, Tensor::ones(p.shape())) });
        let own = Gradients::from_leaves(0.0, own);
        group.wait()?;
        let start = Instant::now();
        let _ = group.reduce(&model, Some((own, 1)))?;
        reductions.push(start.elapsed().as_secs_f64());
    }
    if group.is_first() {
        let bytes = 4 * model.parameter_count();
        println!("{name}: {bytes} bytes; step {}; reduction alone {}", times(steps), times(reductions));
    }
    Ok(())
}

fn times(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    format!("{:.2} ms (median {:.2})", 1e3 * seconds[0], 1e3 * seconds[seconds.len() / 2])
}

/// A network between threads: each message takes its time, during which the processor is free.
struct Network {
    threads: Threads,
    /// In seconds.
    latency: f64,
    /// In a second.
    bytes: f64,
}

impl Communicator for Network {
    fn rank(&self) -> usize {
        self.threads.rank()
    }
    fn size(&self) -> usize {
        self.threads.size()
    }
    fn exchange(
        &self,
        call: &'static str,
        send: Option<(usize, &[u8])>,
        receive: Option<(usize, &mut [u8])>,
    ) -> Result<(), DistributedError> {
        let bytes = send.map_or(0, |(_, bytes)| bytes.len());
        self.threads.exchange(call, send, receive)?;
        sleep(Duration::from_secs_f64(self.latency + bytes as f64 / self.bytes));
        Ok(())
    }
    fn abort(&self, code: i32) {
        self.threads.abort(code);
    }
}

//! The time of a step on this number of ranks, its parts, and a network that is made up of waiting.
//!
//! ```sh
//! cargo build --release -p gradus-distributed --example scaling --features mpi
//! GRADUS_NUM_THREADS=1 mpirun -n 1 target/release/examples/scaling
//! GRADUS_NUM_THREADS=1 mpirun -n 2 target/release/examples/scaling
//! GRADUS_NUM_THREADS=1 mpirun -n 2 target/release/examples/scaling 1024 # examples in a batch; 256 without a number
//! GRADUS_NUM_THREADS=1 target/release/examples/scaling network
//! ```

use std::thread::sleep;
use std::time::{Duration, Instant};

use gradus_autograd::{Tensor, Var, seeded};
use gradus_distributed::{Communicator, DistributedError, Group, Threads, run};
use gradus_nn::{Linear, Losses, Optimizer, Relu, Sequential, Sgd};

const ROUNDS: usize = 30;

fn main() -> Result<(), DistributedError> {
    let batch = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(256);
    if std::env::args().any(|argument| argument == "network") {
        for bits in [1e9, 1e8] {
            for overlap in [false, true] {
                let ends = Threads::connected(2).into_iter();
                let ends = ends.map(|threads| Network { threads, latency: 100e-6, bytes: bits / 8.0 });
                let results = Threads::run_on(ends, |group| {
                    group.set_overlap(overlap);
                    measure(group, batch, &format!("two threads, {} Mbit/s, overlap {overlap}", bits / 1e6))
                });
                results.into_iter().collect::<Result<(), _>>()?;
            }
        }
        return Ok(());
    }
    run(|group| {
        for overlap in [false, true] {
            group.set_overlap(overlap);
            measure(group, batch, &format!("{} ranks, overlap {overlap}", group.size()))?;
        }
        Ok(())
    })
}

/// The least and the median time of a step and of its parts, each alone: the loss and gradients of this rank's part of the
/// batch, the reduction, the optimizer.
fn measure(group: &Group, batch: usize, name: &str) -> Result<(), DistributedError> {
    let rng = &mut seeded(0);
    let (x, y) = (Tensor::<f32>::randn([batch, 784], rng), Tensor::randint([batch], 0..10, rng));
    let mut model = Sequential::<f32>::new().push(Linear::new(784, 512, rng)).push(Relu);
    model = model.push(Linear::new(512, 256, rng)).push(Relu).push(Linear::new(256, 10, rng));
    let mut sgd = Sgd::new(0.01);
    group.broadcast(&mut model)?;
    let loss = |model: &Sequential, rows: &[usize]| {
        let rows = rows[0]..rows[0] + rows.len();
        model.forward(Var::constant(x.slice(0, rows.clone()))).cross_entropy(y.slice(0, rows))
    };
    let order: Vec<usize> = (0..batch).collect();
    let part = group.sharding(batch)?.of(order).next().expect("there is one batch");
    let mut all = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let mut time = |which: usize, start: Instant| all[which].push(start.elapsed().as_secs_f64());
        group.wait()?;
        let start = Instant::now();
        let gradients = group.backward(&model, &part, loss)?;
        sgd.step(&mut model, &gradients);
        time(0, start);
        group.wait()?;
        let start = Instant::now();
        let own = loss(&model, part.indices()).backward();
        time(1, start);
        group.wait()?;
        let start = Instant::now();
        let gradients = group.reduce(&model, Some((own, part.indices().len())))?;
        time(2, start);
        group.wait()?;
        let start = Instant::now();
        sgd.step(&mut model, &gradients);
        time(3, start);
    }
    if group.is_first() {
        let [step, part, reduction, optimizer] = all.map(times);
        println!("{name}: step {step}; part {part}, reduction {reduction}, optimizer {optimizer}");
    }
    Ok(())
}

fn times(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    format!("{:.2} ms ({:.2})", 1e3 * seconds[0], 1e3 * seconds[seconds.len() / 2])
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

//! Timing and output.

use std::hint::black_box;
use std::time::Instant;

use gradus::Tensor;
use regex_lite::Regex;

/// Times the workloads that were asked for.
pub(crate) struct Bench {
    threads: usize,
    only: Regex,
    seconds: f64,
    all_learnt: bool,
}

impl Bench {
    pub(crate) fn new(threads: usize, only: Regex, seconds: f64) -> Self {
        Self { threads, only, seconds, all_learnt: true }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether the loss of every training fell.
    pub(crate) fn all_learnt(&self) -> bool {
        self.all_learnt
    }

    /// Times a computation; making the result and dropping it both count.
    pub(crate) fn time<R, F: FnMut() -> R>(&mut self, name: &str, make: impl FnOnce() -> F) {
        if self.only.is_match(name) {
            let mut compute = make();
            self.measure(name, |count| (0..count).for_each(|_| drop(black_box(compute()))));
        }
    }

    /// Times steps of training, each of which gives its loss; that of the last step of a batch is read.
    pub(crate) fn train<F: FnMut() -> Tensor>(&mut self, name: &str, make: impl FnOnce() -> F) {
        if !self.only.is_match(name) {
            return;
        }
        let mut step = make();
        let first = step().item();
        let mut last = first;
        self.measure(name, |count| {
            (1..count).for_each(|_| drop(step()));
            last = step().item();
        });
        let learnt = last < first;
        self.all_learnt &= learnt;
        eprintln!("# {name}: loss {first:.6} -> {last:.6}{}", if learnt { "" } else { ", DID NOT FALL" });
    }

    /// Warms up, then times batches of runs, and prints the median and the least time of one run.
    fn measure(&self, name: &str, mut run: impl FnMut(usize)) {
        let mut timed = |count| {
            let start = Instant::now();
            run(count);
            start.elapsed().as_secs_f64()
        };
        let (mut count, start) = (1, Instant::now());
        timed(count);
        while start.elapsed().as_secs_f64() < self.seconds / 4.0 {
            if timed(count) < self.seconds / 40.0 {
                count *= 2;
            }
        }
        let (mut times, start) = (Vec::new(), Instant::now());
        while times.len() < 5 || start.elapsed().as_secs_f64() < self.seconds {
            times.push(timed(count) / count as f64 * 1e6);
        }
        times.sort_by(f64::total_cmp);
        let (middle, iters) = (times.len() / 2, count * times.len());
        let median = if times.len() % 2 == 1 {
            times[middle]
        } else {
            f64::midpoint(times[middle - 1], times[middle])
        };
        println!(
            r#"{{"peer": "gradus", "workload": "{name}", "threads": {}, "median_us": {median:.3}, "min_us": {:.3}, "iters": {iters}}}"#,
            self.threads, times[0]
        );
        if let Some(peak) = peak_memory() {
            eprintln!("# {name}: peak memory {peak}");
        }
    }
}

/// The most resident memory the process has had, where the system tells.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_string())
}

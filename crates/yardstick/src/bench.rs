//! Timing and output.

use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

use gradus::compile::Variables;
use gradus::{Compiled, Module, Optimizer, Optimizers, Tensor, Var};
use regex_lite::Regex;

/// How the steps, passes and operations are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Eager,
    Compiled,
}

impl Mode {
    /// The name in the lines of output.
    pub(crate) const fn peer(self) -> &'static str {
        match self {
            Self::Eager => "gradus",
            Self::Compiled => "gradus-compiled",
        }
    }
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "eager" => Ok(Self::Eager),
            "compiled" => Ok(Self::Compiled),
            _ => Err("it is `eager` or `compiled`"),
        }
    }
}

/// Calls of a compiled function that are compared with plain ones before it is timed: the first two are recorded.
const COMPARED: usize = 4;

/// Times the workloads that were asked for.
pub(crate) struct Bench {
    threads: usize,
    only: Regex,
    seconds: f64,
    mode: Mode,
    all_learnt: bool,
}

impl Bench {
    pub(crate) fn new(threads: usize, only: Regex, seconds: f64, mode: Mode) -> Self {
        Self { threads, only, seconds, mode, all_learnt: true }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether the loss of every training fell.
    pub(crate) fn all_learnt(&self) -> bool {
        self.all_learnt
    }

    /// Times a computation that cannot be compiled; making the result and dropping it both count.
    pub(crate) fn time<R, F: FnMut() -> R>(&mut self, name: &str, make: impl FnOnce() -> F) {
        if self.mode == Mode::Eager && self.only.is_match(name) {
            let mut compute = make();
            self.measure(name, |count| (0..count).for_each(|_| drop(black_box(compute()))));
        }
    }

    /// Times a function of tensors, given for tensors and for variables. The inputs of a compiled one are cloned in each
    /// call, which copies no numbers.
    pub(crate) fn function<const N: usize>(
        &mut self,
        name: &str,
        shapes: [&[usize]; N],
        eager: impl Fn([&Tensor; N]) -> Tensor,
        traced: impl Fn([&Var; N]) -> Var + Send + Sync + 'static,
    ) {
        let make = || {
            let rng = &mut gradus::seeded(0);
            shapes.map(|shape| Tensor::randn(shape, rng))
        };
        match self.mode {
            Mode::Eager => self.time(name, || {
                let inputs = make();
                move || eager(inputs.each_ref())
            }),
            Mode::Compiled => self.pass(
                name,
                || ((), make().map(Var::constant)),
                |(): &(), inputs: &[Var; N]| eager(inputs.each_ref().map(Var::value)),
                move |(): &(), inputs| traced(inputs.each_ref()),
            ),
        }
    }

    /// Times a function of a model and inputs that changes nothing.
    pub(crate) fn pass<M, I, E, R>(
        &mut self,
        name: &str,
        make: impl FnOnce() -> (M, I),
        eager: impl Fn(&M, &I) -> E,
        traced: impl Fn(&M, &I) -> R + Send + Sync + 'static,
    ) where
        M: Module,
        I: Variables<f32> + Clone,
        E: Results,
        R: Variables<f32> + Results,
    {
        if !self.only.is_match(name) {
            return;
        }
        let (mut model, inputs) = make();
        if self.mode == Mode::Eager {
            return self
                .measure(name, |count| (0..count).for_each(|_| drop(black_box(eager(&model, &inputs)))));
        }
        let expected = eager(&model, &inputs).bits();
        let mut compiled = Compiled::new(move |model: &mut M, (): &mut (), inputs: I| traced(model, &inputs));
        for call in 1..=COMPARED {
            let got = compiled.call(&mut model, &mut (), inputs.clone()).bits();
            assert!(got == expected, "{name}: call {call} of the compiled function has other bits");
        }
        self.measure(name, |count| {
            (0..count).for_each(|_| drop(black_box(compiled.call(&mut model, &mut (), inputs.clone()))));
        });
    }

    /// Times steps of training on one batch: the loss, its gradients, the update. The loss of the last step of a batch of
    /// steps is read.
    pub(crate) fn train<M, O, I>(
        &mut self,
        name: &str,
        make: impl Fn() -> (M, O, I),
        loss: impl Fn(&M, &I) -> Var + Send + Sync + 'static,
    ) where
        M: Module,
        O: Optimizer<f32> + Optimizers<f32>,
        I: Variables<f32> + Clone,
    {
        if !self.only.is_match(name) {
            return;
        }
        let plain_step = |model: &mut M, optimizer: &mut O, inputs: &I| {
            let loss = loss(model, inputs);
            let value = Var::constant(loss.value().clone());
            optimizer.step(model, &loss.backward());
            value
        };
        let (mut model, mut optimizer, inputs) = make();
        if self.mode == Mode::Eager {
            return self.steps(name, || plain_step(&mut model, &mut optimizer, &inputs));
        }
        let (mut plain, mut plain_optimizer, _) = make();
        let losses = [(); COMPARED].map(|()| plain_step(&mut plain, &mut plain_optimizer, &inputs));
        let mut compiled = Compiled::new(move |model: &mut M, optimizer: &mut O, inputs: I| {
            let loss = loss(model, &inputs);
            optimizer.step(model, &loss.clone().backward());
            loss
        });
        for (call, expected) in (1..).zip(losses) {
            let got = compiled.call(&mut model, &mut optimizer, inputs.clone());
            assert!(got.bits() == expected.bits(), "{name}: the loss of compiled step {call} has other bits");
        }
        let values = |model: &M| -> Vec<Vec<u32>> {
            model.parameters().iter().flat_map(|parameter| parameter.value().bits()).collect()
        };
        assert!(values(&model) == values(&plain), "{name}: {COMPARED} compiled steps gave other parameters");
        self.steps(name, || compiled.call(&mut model, &mut optimizer, inputs.clone()));
    }

    fn steps(&mut self, name: &str, mut step: impl FnMut() -> Var) {
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
            r#"{{"peer": "{}", "workload": "{name}", "threads": {}, "median_us": {median:.3}, "min_us": {:.3}, "iters": {iters}}}"#,
            self.mode.peer(),
            self.threads,
            times[0]
        );
        if let Some(peak) = peak_memory() {
            eprintln!("# {name}: peak memory {peak}");
        }
    }
}

/// Numbers whose bits are compared.
pub(crate) trait Results {
    fn bits(&self) -> Vec<Vec<u32>>;
}

impl Results for Tensor {
    fn bits(&self) -> Vec<Vec<u32>> {
        vec![self.iter().map(|x| x.to_bits()).collect()]
    }
}

impl Results for Var {
    fn bits(&self) -> Vec<Vec<u32>> {
        self.value().bits()
    }
}

impl<R: Results> Results for Vec<R> {
    fn bits(&self) -> Vec<Vec<u32>> {
        self.iter().flat_map(Results::bits).collect()
    }
}

/// The most resident memory the process has had, where the system tells.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_string())
}

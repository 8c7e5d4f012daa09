//! Training that stops, and goes on from a file as if it had never stopped: the same bits in parameters, buffers, losses
//! and rates, whatever is trained, and wherever it stops.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gradus::prelude::*;
use gradus::{
    BatchNorm1d, Descent, Dropout, ReduceLrOnPlateau, Relu, Rule, State, StateError, Xoshiro256PlusPlus,
    schedule,
};
use proptest::prelude::*;

use super::saving::{Folder, same};

/// An optimizer whose state can be saved.
trait Saved: Optimizer<f64> {
    fn state(&self) -> State;
    fn load_state(&mut self, state: &State) -> Result<(), StateError>;
}

impl<R: Rule> Saved for Descent<R, f64> {
    fn state(&self) -> State {
        self.state()
    }
    fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        self.load_state(state)
    }
}

type Make = fn() -> Box<dyn Saved>;

/// Every optimizer, in the forms whose states differ.
const OPTIMIZERS: &[(&str, Make)] = &[
    ("Sgd", || Box::new(Sgd::new(0.05))),
    ("Sgd", || Box::new(Sgd::new(0.05).momentum(0.9).nesterov().weight_decay(0.1))),
    ("Adam", || {
        let adam = Adam::new(0.05).amsgrad();
        Box::new(adam.group(|name| name.ends_with("bias"), |adam| adam.learning_rate(0.1)))
    }),
    ("AdamW", || Box::new(AdamW::new(0.05))),
    ("RmsProp", || Box::new(RmsProp::new(0.01))),
    ("RmsProp", || Box::new(RmsProp::new(0.01).momentum(0.5).centered())),
    ("Adagrad", || Box::new(Adagrad::new(0.1).lr_decay(0.1))),
    ("Adadelta", || Box::new(Adadelta::new(1.0))),
    ("Counting", || Box::new(Descent::with_rule(0.05, Counting))),
];

/// A rule of a user that keeps nothing but the number of steps.
#[derive(Debug, Clone)]
struct Counting;

impl Rule for Counting {
    fn slots(&self) -> usize {
        0
    }
    fn update<T: gradus::Float>(
        &self,
        step: gradus::Step,
        p: &mut Tensor<T>,
        g: &Tensor<T>,
        _: &mut [Tensor<T>],
    ) {
        let rate = T::from_f64(step.lr / f64::from(step.t));
        p.zip_inplace(g, |p, g| p - rate * g);
    }
}

#[test]
fn every_optimizer_is_in_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/nn/src/optim");
    let mut declared = BTreeSet::from(["Counting".to_string()]);
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let aliases = text.lines().filter_map(|line| line.strip_prefix("pub type ")?.split('<').next());
        declared.extend(aliases.map(String::from));
    }
    assert_eq!(declared, OPTIMIZERS.iter().map(|(name, _)| (*name).to_string()).collect());
}

const ROWS: usize = 12;
/// In a step, each half of a batch gives gradients of its own.
const HALF: usize = 2;
const STEPS: usize = 14;
/// The steps that follow a schedule; after them the rate falls where the loss does not.
const SCHEDULED: usize = 8;

/// Everything that training changes.
struct Run {
    model: Sequential<f64>,
    optimizer: Box<dyn Saved>,
    plateau: ReduceLrOnPlateau,
    rng: Xoshiro256PlusPlus,
    /// The order of the rows in this epoch.
    order: Tensor<i64>,
    step: usize,
}

impl Run {
    fn new(make: Make, seed: u64) -> Self {
        let mut rng = seeded(seed);
        let model = Sequential::new()
            .push(Linear::new(3, 5, &mut rng))
            .push(BatchNorm1d::new(5))
            .push(Relu {})
            .push(Dropout::new(0.3, seed))
            .push(Linear::new(5, 2, &mut rng));
        let plateau = ReduceLrOnPlateau::min().factor(0.5).patience(1).cooldown(1);
        Self { model, optimizer: make(), plateau, rng, order: Tensor::arange(0, 0, 1), step: 0 }
    }

    /// One step; the bits of its loss and its rate.
    fn step(&mut self, data: &[Tensor<f64>; 2]) -> [u64; 2] {
        let place = 2 * HALF * self.step % ROWS;
        if place == 0 {
            self.order = Tensor::randperm(ROWS, &mut self.rng);
        }
        if self.step < SCHEDULED {
            let schedule = schedule::linear(0.2, 1.0, 3).then(3, schedule::cosine(SCHEDULED, 0.001));
            self.optimizer.follow(&schedule, self.step);
        }
        let mut half = |start: usize| {
            let rows = self.order.slice(0, start..start + HALF);
            let [x, y] = data.each_ref().map(|data| data.index_select(0, &rows));
            let noise = Tensor::randn(x.shape(), &mut self.rng) * 0.1;
            self.model.forward(Var::constant(x + noise)).mse_loss(&y)
        };
        let (first, second) = (half(place), half(place + HALF));
        let loss = first.item() + second.item();
        let mut gradients = first.backward();
        gradients.accumulate(second.backward());
        gradients.scale(0.5);
        if self.step >= SCHEDULED {
            self.plateau.observe(loss, &mut *self.optimizer);
        }
        self.optimizer.step(&mut self.model, &gradients);
        self.step += 1;
        [loss, self.optimizer.lr()].map(f64::to_bits)
    }

    fn checkpoint(&self) -> State {
        let mut checkpoint = State::new();
        checkpoint.insert_part("model.", &self.model.state());
        checkpoint.insert_part("optimizer.", &self.optimizer.state());
        checkpoint.insert_part("plateau.", &self.plateau.state());
        checkpoint.insert("rng", &self.rng);
        checkpoint.insert("order", self.order.clone());
        checkpoint.insert("step", self.step as i64);
        checkpoint
    }

    fn load(&mut self, checkpoint: &State) -> Result<(), StateError> {
        self.optimizer.load_state(&checkpoint.part("optimizer."))?;
        self.plateau.load_state(&checkpoint.part("plateau."))?;
        self.rng = checkpoint.value("rng")?;
        self.order = checkpoint.tensor("order").expect("an order").clone();
        self.step = checkpoint.value("step")?;
        self.model.load_state(&checkpoint.part("model."))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_run_that_stops_goes_on_to_the_bit(seed: u64, stops in prop::collection::btree_set(0..STEPS, 1..4)) {
        let folder = Folder::new("resuming");
        let rng = &mut seeded(seed);
        let data = [Tensor::randn([ROWS, 3], rng), Tensor::randn([ROWS, 2], rng)];
        for (name, make) in OPTIMIZERS {
            let path = folder.0.join("checkpoint.safetensors");
            let (mut whole, mut parts) = (Run::new(*make, seed), Run::new(*make, seed));
            for step in 0..STEPS {
                if stops.contains(&step) {
                    parts.checkpoint().write(&path).unwrap();
                    // Other initial numbers, another seed of dropout: all of it is in the file.
                    parts = Run::new(*make, !seed);
                    parts.load(&State::read(&path).unwrap()).unwrap();
                }
                prop_assert_eq!(whole.step(&data), parts.step(&data), "{}, step {}", name, step);
            }
            prop_assert!(same(&whole.checkpoint(), &parts.checkpoint()), "{}", name);
            prop_assert!(whole.optimizer.lr() < 0.9 * whole.optimizer.learning_rates()[0].initial);
        }
    }
}

/// A checkpoint that does not fit is refused in words, and the model stays as it was.
#[test]
fn checkpoints_of_other_runs_are_refused() {
    let make: Make = || Box::new(Adam::new(0.05));
    let mut trained = Run::new(make, 0);
    let rng = &mut seeded(0);
    let data = [Tensor::randn([ROWS, 3], rng), Tensor::randn([ROWS, 2], rng)];
    for _ in 0..3 {
        let _ = trained.step(&data);
    }
    let good = trained.checkpoint();
    let with = |change: &dyn Fn(&mut State)| {
        let mut state = good.clone();
        change(&mut state);
        state
    };
    let metadata = |key: &'static str, text: &'static str| {
        with(&|state| drop(state.metadata_mut().insert(key.into(), text.into())))
    };
    let optimizer = "load_state: the state does not fit the optimizer: ";
    let plateau = "load_state: the state does not fit the schedule: ";
    let rng = "value \"rng\": a generator, as four i64 that are not all 0, is needed; the state has ";
    let other = "max with factor 0.5, patience 1, threshold 0.0001, cooldown 1, min_lr 0";
    for (state, message) in [
        (metadata("optimizer.version", "2"), format!("{optimizer}its version is 2; version 1 can be loaded")),
        (metadata("plateau.version", "2"), format!("{plateau}its version is 2; version 1 can be loaded")),
        (
            metadata("plateau.options", other),
            format!(
                "{plateau}its options are {other}, and this schedule has {}",
                other.replace("max", "min")
            ),
        ),
        (
            with(&|state| state.insert("plateau.bad", -1)),
            format!("{plateau}`bad` is -1: it must be 0 or larger"),
        ),
        (
            with(&|state| drop(state.remove("plateau.best"))),
            "value \"best\": one element of f64 is needed; the state has nothing of this name".into(),
        ),
        (
            with(&|state| state.insert("rng", Tensor::from([1_i64, 2, 3]))),
            format!("{rng}i64 of shape [3] there"),
        ),
        (
            with(&|state| state.insert("rng", Tensor::from([0_i64; 4]))),
            format!("{rng}i64 of shape [4] there"),
        ),
        (with(&|state| state.insert("rng", 0.5)), format!("{rng}f64 of shape [] there")),
        (with(&|state| drop(state.remove("rng"))), format!("{rng}nothing of this name")),
        (
            with(&|state| state.insert("step", Tensor::from([1_i64, 2]))),
            "value \"step\": one element of i64 in the range of usize is needed; the state has i64 of shape [2] there"
                .into(),
        ),
        (
            with(&|state| state.insert("optimizer.parameters.0.bias.steps", 0)),
            format!("{optimizer}`parameters.0.bias`: a number of steps and tensors of one shape are needed"),
        ),
        (
            with(&|state| drop(state.remove("optimizer.parameters.0.bias.steps"))),
            format!("{optimizer}`parameters` has tensors that belong to no parameter with a number of steps"),
        ),
        (
            with(&|state| state.insert("optimizer.learning_rates", Tensor::from([[0.05, f64::NAN]]))),
            format!(
                "{optimizer}`learning_rates` must be an f64 tensor of shape [1, 2], of finite numbers that are not \
                 negative"
            ),
        ),
        (
            with(&|state| state.insert("plateau.best", f64::NAN)),
            format!("{plateau}`best` is NaN, which no metric could improve on"),
        ),
        (
            with(&|state| state.insert("model.4.weight", Tensor::<f64>::zeros([3, 5]))),
            "load_state: the state does not fit the model\n  \
             4.weight: shape [3, 5] in the state, [2, 5] in the model"
                .into(),
        ),
    ] {
        let mut run = Run::new(make, 1);
        let before = run.model.state();
        assert_eq!(run.load(&state).unwrap_err().to_string(), message);
        assert!(same(&run.model.state(), &before), "{message}");
    }
    // An optimizer with other options, and another one.
    let options = "AdamRule { betas: [0.9, 0.999], eps: 1e-8, ";
    for make in [
        || Box::new(Adam::new(0.05).betas(0.8, 0.9)) as Box<dyn Saved>,
        || Box::new(AdamW::new(0.05).weight_decay(0.0)) as Box<dyn Saved>,
        || Box::new(Adagrad::new(0.05)) as Box<dyn Saved>,
    ] {
        let error = Run::new(make, 1).load(&good).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{optimizer}its options are {options}")), "{error}");
    }
    Run::new(make, 1).load(&good).unwrap();
}

//! Training runs: small models, trained by gradus as the stored runs were by `PyTorch`, and compared at every step.
//!
//! Beside each run goes another one whose step is compiled; it must agree in all bits.

mod models;
mod options;
mod recipe;

use std::path::Path;
use std::sync::Arc;

use gradus::compile::{Exchange, Variables};
use gradus::{
    Compiled, Gradients, Indices, Module, Operand, Optimizer, Schedule, Tensor, Var, grad_create_graph,
    no_grad,
};

use crate::caught;
use crate::compare::{self, Tolerance};
use crate::data::{Archive, Result, cases};
use crate::report::{Outcome, Report};
use models::Named;
use options::Options;

/// Trains and compares every run of the folder.
pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    for case in cases(&folder.join("index.json"))? {
        let mut options = Options::of("run", &case)?;
        let [name, file] = [options.text("case")?, options.text("file")?];
        let archive = Archive::open(&folder.join(file))?;
        report.begin(&format!("training {name}"));
        let mut unknown = None;
        // Making the parts of a run may panic, too: about options that no optimizer can have.
        let outcome = caught(|| match (Run::of(options.clone()), Run::of(options)) {
            (Ok(mut run), Ok(compiled)) => run.compare(compiled, &archive),
            (Err(what), _) | (_, Err(what)) => {
                unknown = Some(what);
                Outcome::Unsupported
            }
        });
        report.add(unknown.as_deref().unwrap_or(&name), outcome);
    }
    Ok(())
}

/// A batch, or what it should become.
#[derive(Clone)]
enum Data {
    Numbers(Var<f64>),
    Indices(Indices<f64>),
}

impl Variables<f64> for Data {
    fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Operand<'a, f64>)) {
        match self {
            Self::Numbers(x) => x.visit(visitor),
            Self::Indices(x) => x.visit(visitor),
        }
    }

    fn exchange(&self, exchange: &mut dyn Exchange<f64>) -> Self {
        match self {
            Self::Numbers(x) => Self::Numbers(x.exchange(exchange)),
            Self::Indices(x) => Self::Indices(x.exchange(exchange)),
        }
    }
}

impl Data {
    fn read(archive: &Archive, key: &str) -> Self {
        match archive.dtype(key) {
            "I64" => Self::Indices(archive.i64(key).into()),
            _ => Self::Numbers(Var::constant(archive.f64(key))),
        }
    }

    /// Of one step.
    fn at(&self, step: usize) -> Self {
        match self {
            Self::Numbers(x) => Self::Numbers(x.select(0, step as isize)),
            Self::Indices(x) => Self::Indices(x.select(0, step as isize).into()),
        }
    }

    fn chunk(&self, chunks: usize) -> Vec<Self> {
        match self {
            Self::Numbers(x) => x.chunk(chunks, 0).into_iter().map(Self::Numbers).collect(),
            Self::Indices(x) => x.chunk(chunks, 0).into_iter().map(|x| Self::Indices(x.into())).collect(),
        }
    }

    fn numbers(&self) -> &Var<f64> {
        match self {
            Self::Numbers(x) => x,
            Self::Indices(_) => panic!("the data are integers; the run needs numbers"),
        }
    }

    fn indices(&self) -> &Indices<f64> {
        match self {
            Self::Numbers(_) => panic!("the data are numbers; the run needs integers"),
            Self::Indices(x) => x,
        }
    }
}

/// The mean loss of an output against what it should have been.
type Loss = Box<dyn Fn(&Var<f64>, &Data) -> Var<f64> + Send + Sync>;

/// Clips gradients, and gives their norm from before.
type Clip = Box<dyn Fn(&mut Gradients<f64>, &Named) -> f64 + Send + Sync>;

/// A batch in parts, each with what it should become.
type Parts = Vec<(Data, Data)>;

/// What a step does beside the optimizer.
struct Recipe {
    loss: Loss,
    /// The weight of the squared gradients of the inputs in the loss.
    penalty: f64,
    clip: Clip,
}

impl Recipe {
    /// The loss of a batch, and the gradients of all parameters, put together from those of its parts.
    fn gradients(&self, model: &Named, parts: &[(Data, Data)]) -> (Var<f64>, Gradients<f64>) {
        let each = parts.iter().map(|(x, y)| {
            let loss = self.penalised(model, x, y) * (1.0 / parts.len() as f64);
            (loss.clone(), loss.backward())
        });
        let together = each.reduce(|(loss, mut gradients), (other, more)| {
            gradients.accumulate(more);
            (loss + other, gradients)
        });
        together.expect("a batch has a part")
    }

    /// The mean loss of a batch, and the penalty: the mean over its rows of the square of the gradient of the row's own
    /// loss with respect to the row.
    fn penalised(&self, model: &Named, x: &Data, y: &Data) -> Var<f64> {
        if self.penalty == 0.0 {
            return (self.loss)(&model.forward(x), y);
        }
        // A variable that has a gradient, and is an input of the compiled step, too.
        let x = Var::leaf(Tensor::zeros(x.numbers().shape())) + x.numbers();
        let loss = (self.loss)(&model.forward(&Data::Numbers(x.clone())), y);
        // The gradients of the mean are those of the rows divided by their number, and what is wanted is a mean.
        let rows = x.shape()[0] as f64;
        let squares = grad_create_graph(&loss, &[&x])[0].square().sum(..);
        loss + squares * (self.penalty * rows)
    }
}

/// Everything that a run says of itself.
struct Run {
    model: Named,
    recipe: Arc<Recipe>,
    /// In how many parts each batch is.
    accumulate: usize,
    optimizer: Box<dyn Optimizer<f64>>,
    schedule: Box<dyn Schedule>,
    steps: usize,
    /// Of losses, rates and norms; of the first step; of the end.
    tolerances: [Tolerance; 3],
}

impl Run {
    /// The run with these options; the error says which of them this runner does not know.
    fn of(mut options: Options) -> Result<Self> {
        let mut tolerances = options.group("tol")?.ok_or("a run without tol")?;
        let run = Self {
            model: Named::of(&mut options)?,
            recipe: Arc::new(Recipe {
                loss: recipe::loss(&options.text("loss")?)?,
                penalty: options.number_or("penalty", 0.0)?,
                clip: recipe::clip(options.group("clip")?)?,
            }),
            accumulate: options.count_or("accumulate", 1)?,
            optimizer: recipe::optimizer(options.group("optimizer")?.ok_or("a run without optimizer")?)?,
            schedule: recipe::schedule_of(options.group("schedule")?)?,
            steps: options.count("steps")?,
            tolerances: [
                tolerances.tolerance("loss")?,
                tolerances.tolerance("step1")?,
                tolerances.tolerance("final")?,
            ],
        };
        tolerances.finish()?;
        // The sizes of the data say it, too.
        options.count("batch")?;
        options.finish()?;
        Ok(run)
    }

    /// Trains beside the compiled run; the outcome has the first number that is not as stored, or not as compiled.
    fn compare(&mut self, compiled: Self, archive: &Archive) -> Outcome {
        self.compared(compiled, archive)
            .map_or_else(|fault| Outcome::Failed(vec![fault]), |()| Outcome::Passed)
    }

    fn compared(&mut self, mut compiled: Self, archive: &Archive) -> Result<()> {
        let [of_numbers, of_first, of_last] = self.tolerances;
        let check = |place: &str, key: &str, got: &Tensor<f64>, want: &Tensor<f64>, tolerance| {
            compare::floats(&format!("{place}: {key}"), got, want, tolerance).map_or(Ok(()), Err)
        };
        let check_all = |place: &str, folder: &str, got: Vec<(&str, &Tensor<f64>)>, tolerance| {
            got.into_iter().try_for_each(|(name, got)| {
                let key = format!("{folder}/{name}");
                check(place, &key, got, &archive.f64(&key), tolerance)
            })
        };

        self.model.load(archive);
        compiled.model.load(archive);
        let mut compiled_step = compiled.compiled_step();
        let [x, y] = ["batch_x", "batch_y"].map(|key| Data::read(archive, key));
        let stored = ["loss", "lr", "grad_norm"].map(|key| (key, archive.f64(key)));
        for step in 0..self.steps {
            let place = format!("step {step}");
            self.optimizer.follow(&*self.schedule, step);
            compiled.optimizer.follow(&*compiled.schedule, step);
            let [x, y] = [&x, &y].map(|data| data.at(step).chunk(self.accumulate));
            let parts: Parts = x.into_iter().zip(y).collect();
            let (loss, mut gradients) = self.recipe.gradients(&self.model, &parts);
            if step == 0 {
                check_all(&place, "grad0", self.model.gradients(&gradients), of_first)?;
            }
            let norm = (self.recipe.clip)(&mut gradients, &self.model);
            for ((key, want), got) in stored.iter().zip([loss.item(), self.optimizer.lr(), norm]) {
                check(&place, key, &got.into(), &want.select(0, step as isize), of_numbers)?;
            }
            self.optimizer.step(&mut *self.model, &gradients);
            if step == 0 {
                check_all(&place, "step1", self.model.values(), of_first)?;
            }
            let compiled_loss = compiled_step.call(&mut compiled.model, &mut compiled.optimizer, parts);
            let same_loss = bits(compiled_loss.value()) == bits(loss.value());
            if !same_loss || self.states() != compiled.states() {
                return Err(format!(
                    "{place}: the compiled step gave {}, the step itself other bits",
                    compiled_loss.item()
                ));
            }
        }
        check_all("end", "final", self.model.values(), of_last)?;
        let buffers = self.model.buffers();
        check_all(
            "end",
            "final_buffer",
            buffers.iter().map(|(name, buffer)| (*name, buffer)).collect(),
            of_last,
        )?;
        self.model.eval();
        let out = no_grad(|| self.model.forward(&x.at(0)));
        check("end", "eval_out", out.value(), &archive.f64("eval_out"), of_last)
    }

    /// The step of this run, compiled: it gives the loss.
    fn compiled_step(&self) -> Compiled<Named, Box<dyn Optimizer<f64>>, Parts, Var<f64>, f64> {
        let recipe = Arc::clone(&self.recipe);
        Compiled::new(move |model: &mut Named, optimizer: &mut Box<dyn Optimizer<f64>>, parts: Parts| {
            let (loss, mut gradients) = recipe.gradients(model, &parts);
            (recipe.clip)(&mut gradients, model);
            optimizer.step(model, &gradients);
            loss
        })
    }

    /// The bits of all parameters and buffers.
    fn states(&self) -> Vec<Vec<u64>> {
        let buffers = self.model.buffers();
        let values = self.model.values();
        let all = values.iter().map(|(_, value)| *value).chain(buffers.iter().map(|(_, buffer)| buffer));
        all.map(bits).collect()
    }
}

fn bits(numbers: &Tensor<f64>) -> Vec<u64> {
    numbers.to_vec().into_iter().map(f64::to_bits).collect()
}

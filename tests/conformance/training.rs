//! Training runs: small models, trained by gradus as the stored runs were by `PyTorch`, and compared at every step.

mod models;
mod options;
mod recipe;

use std::path::Path;

use gradus::{Gradients, Optimizer, Schedule, Tensor, Var, grad_create_graph, no_grad};

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
        let outcome = caught(|| match Run::of(options) {
            Ok(mut run) => run.compare(&archive),
            Err(what) => {
                unknown = Some(what);
                Outcome::Unsupported
            }
        });
        report.add(unknown.as_deref().unwrap_or(&name), outcome);
    }
    Ok(())
}

/// A batch, or what it should become.
enum Data {
    Numbers(Var<f64>),
    Indices(Tensor<i64>),
}

impl Data {
    fn read(archive: &Archive, key: &str) -> Self {
        match archive.dtype(key) {
            "I64" => Self::Indices(archive.i64(key)),
            _ => Self::Numbers(Var::constant(archive.f64(key))),
        }
    }

    /// Of one step.
    fn at(&self, step: usize) -> Self {
        match self {
            Self::Numbers(x) => Self::Numbers(x.select(0, step as isize)),
            Self::Indices(x) => Self::Indices(x.select(0, step as isize)),
        }
    }

    fn chunk(&self, chunks: usize) -> Vec<Self> {
        match self {
            Self::Numbers(x) => x.chunk(chunks, 0).into_iter().map(Self::Numbers).collect(),
            Self::Indices(x) => x.chunk(chunks, 0).into_iter().map(Self::Indices).collect(),
        }
    }

    fn numbers(&self) -> &Var<f64> {
        match self {
            Self::Numbers(x) => x,
            Self::Indices(_) => panic!("the data are integers; the run needs numbers"),
        }
    }

    fn indices(&self) -> &Tensor<i64> {
        match self {
            Self::Numbers(_) => panic!("the data are numbers; the run needs integers"),
            Self::Indices(x) => x,
        }
    }
}

/// The mean loss of an output against what it should have been.
type Loss = Box<dyn Fn(&Var<f64>, &Data) -> Var<f64>>;

/// Clips gradients, and gives their norm from before.
type Clip = Box<dyn Fn(&mut Gradients<f64>, &Named) -> f64>;

/// Everything that a run says of itself.
struct Run {
    model: Named,
    loss: Loss,
    /// The weight of the squared gradients of the inputs in the loss.
    penalty: f64,
    /// In how many parts each batch is.
    accumulate: usize,
    clip: Clip,
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
            loss: recipe::loss(&options.text("loss")?)?,
            penalty: options.number_or("penalty", 0.0)?,
            accumulate: options.count_or("accumulate", 1)?,
            clip: recipe::clip(options.group("clip")?)?,
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

    /// Trains; the outcome has the first number that is not as stored.
    fn compare(&mut self, archive: &Archive) -> Outcome {
        self.compared(archive).map_or_else(|fault| Outcome::Failed(vec![fault]), |()| Outcome::Passed)
    }

    fn compared(&mut self, archive: &Archive) -> Result<()> {
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
        let [x, y] = ["batch_x", "batch_y"].map(|key| Data::read(archive, key));
        let stored = ["loss", "lr", "grad_norm"].map(|key| (key, archive.f64(key)));
        for step in 0..self.steps {
            let place = format!("step {step}");
            self.optimizer.follow(&*self.schedule, step);
            let (loss, mut gradients) = self.gradients(&x.at(step), &y.at(step));
            if step == 0 {
                check_all(&place, "grad0", self.model.gradients(&gradients), of_first)?;
            }
            let norm = (self.clip)(&mut gradients, &self.model);
            for ((key, want), got) in stored.iter().zip([loss, self.optimizer.lr(), norm]) {
                check(&place, key, &got.into(), &want.select(0, step as isize), of_numbers)?;
            }
            self.optimizer.step(&mut *self.model, &gradients);
            if step == 0 {
                check_all(&place, "step1", self.model.values(), of_first)?;
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

    /// The loss of a batch, and the gradients of all parameters, put together from those of its parts.
    fn gradients(&mut self, x: &Data, y: &Data) -> (f64, Gradients<f64>) {
        let parts = x.chunk(self.accumulate).into_iter().zip(y.chunk(self.accumulate));
        let each = parts.map(|(x, y)| {
            let loss = self.penalised(&x, &y) * (1.0 / self.accumulate as f64);
            (loss.item(), loss.backward())
        });
        let together = each.reduce(|(loss, mut gradients), (other, more)| {
            gradients.accumulate(more);
            (loss + other, gradients)
        });
        together.expect("a batch has a part")
    }

    /// The mean loss of a batch, and the penalty: the mean over its rows of the square of the gradient of the row's own
    /// loss with respect to the row.
    fn penalised(&mut self, x: &Data, y: &Data) -> Var<f64> {
        if self.penalty == 0.0 {
            return (self.loss)(&self.model.forward(x), y);
        }
        let x = Var::leaf(x.numbers().value().clone());
        let loss = (self.loss)(&self.model.forward(&Data::Numbers(x.clone())), y);
        // The gradients of the mean are those of the rows divided by their number, and what is wanted is a mean.
        let rows = x.shape()[0] as f64;
        let squares = grad_create_graph(&loss, &[&x])[0].square().sum(..);
        loss + squares * (self.penalty * rows)
    }
}

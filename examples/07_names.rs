//! A recurrent network that spells names, one letter at a time (GRU; Cho et al., "Learning phrase representations using RNN
//! encoder-decoder", 2014): its state is all that it keeps of the letters before. It learns a list of names, and is then asked
//! for names of its own. The next example has the same task and test for a transformer.
//!
//! ```sh
//! cargo run --release --example names -- [--data names.txt]
//! ```
//!
//! Without a list, one name a line, the 4,000 names in `examples/data` are learnt.

use std::error::Error;

use gradus::data::order;
use gradus::distributions::Categorical;
use gradus::metrics::Mean;
use gradus::prelude::*;
use gradus_examples::names::{self, END, LETTERS, PLACES};
use gradus_examples::{Options, require};

const BATCH: usize = 64;

#[derive(Module)]
struct Names {
    embedding: Embedding,
    gru: Gru,
    out: Linear,
}

impl Names {
    /// Letters `[steps, n]` and the state to logits of the letters that follow, `[steps, n, 27]`, and the next state.
    fn forward(&self, letters: &Tensor<i64>, state: Option<&Var>) -> (Var, Var) {
        let (y, state) = self.gru.forward(self.embedding.forward(letters), state);
        (self.out.forward(y), state)
    }

    /// The mean loss of a letter. Recurrent layers run over the first axis, so the rows of names become columns.
    fn loss(&self, targets: &Tensor<i64>) -> Var {
        let (logits, _) = self.forward(&names::inputs(targets).t(), None);
        logits.flatten(..2).cross_entropy(targets.t().flatten(..))
    }

    /// A name of its own: one letter and the state go in, the next letter is drawn, and the state goes on.
    fn spell(&self, rng: &mut impl Rng) -> String {
        let (mut letters, mut letter, mut state) = (vec![], END, None);
        for _place in 0..PLACES {
            let (logits, next) = no_grad(|| self.forward(&Tensor::from([[letter]]), state.as_ref()));
            letter = Categorical::from_logits(logits).sample(rng).item();
            letters.push(letter);
            state = Some(next);
        }
        names::text(letters)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let rows = names::targets(&names::read(options.data.as_deref())?);
    let (count, rng) = (rows.shape()[0], &mut seeded(0));
    let tested = (count / 10).min(1000);
    let [test, train] = order::split(&order::shuffled(count, rng), [tested, count - tested])
        .map(|places| Subset::new(&rows, places).all());
    let mut model = Names {
        embedding: Embedding::new(LETTERS, 24, rng),
        gru: Gru::new(24, 128, 1, rng),
        out: Linear::new(128, LETTERS, rng),
    };
    println!("{} names to learn, {tested} to test, {} parameters", count - tested, model.parameter_count());

    let steps = match (options.quick, &options.data) {
        (true, _) => 200,
        (false, None) => 800,
        (false, Some(_)) => 4000,
    };
    let (mut adam, decay, mut loss) = (Adam::new(5e-3), schedule::cosine(steps, 0.0), Mean::new());
    for step in 0..steps {
        adam.follow(&decay, step);
        let batch = Tensor::randint([BATCH], 0..train.shape()[0] as i64, rng);
        let gradients = model.loss(&train.index_select(0, &batch)).backward();
        adam.step(&mut model, &gradients);
        loss.update(gradients.loss(), 1);
        if (step + 1) % (steps / 8) == 0 {
            let test_loss = no_grad(|| model.loss(&test)).item();
            let names = [(); 4].map(|()| model.spell(rng)).join(" ");
            println!("step {:>4}  training {:.3}  test {test_loss:.3}  {names}", step + 1, loss.value());
            loss.reset();
        }
    }
    let test_loss = no_grad(|| model.loss(&test)).item();
    let limit = match (options.quick, &options.data) {
        (true, _) => 2.4,
        (false, None) => 2.15,
        (false, Some(_)) => 2.0,
    };
    require("the test loss", test_loss.into(), ..limit)
}

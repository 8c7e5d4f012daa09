//! A small transformer that spells names (Vaswani et al., "Attention is all you need", 2017; blocks as in GPT-2): every letter
//! attends to the letters before it, so that one pass learns from all places of all names of a batch. Its loss on names that
//! it has not seen stands beside figures that others published for the same list.
//!
//! ```sh
//! cargo run --release --example transformer -- [--data names.txt]
//! ```
//!
//! The list with these figures is `names.txt` of <https://github.com/karpathy/makemore>, 32,032 names. Without it, the 4,000
//! names in `examples/data` are learnt.

use std::collections::HashSet;
use std::error::Error;

use gradus::data::order;
use gradus::distributions::Categorical;
use gradus::metrics::Mean;
use gradus::prelude::*;
use gradus::train::{Chart, Scale};
use gradus_examples::names::{self, END, LETTERS, PLACES};
use gradus_examples::{Options, out, require};

const WIDTH: usize = 64;
const BATCH: usize = 64;
/// The loss on unseen names, in nats a letter, each on a random test set of its own: the log of `makemore_part5_cnn1.ipynb` in
/// <https://github.com/karpathy/nn-zero-to-hero>, and the README of <https://github.com/karpathy/makemore>, whose transformer has
/// the size of this one.
const PUBLISHED: [(&str, f64); 3] =
    [("published MLP", 2.105), ("published WaveNet", 1.993), ("published transformer", 1.92)];

#[derive(Module)]
struct Transformer {
    letters: Embedding,
    places: Embedding,
    blocks: Vec<TransformerBlock>,
    norm: LayerNorm,
    out: Linear,
}

impl Transformer {
    fn new(rng: &mut impl Rng) -> Self {
        Self {
            blocks: (0..4).map(|_| TransformerBlock::new(WIDTH, 4, 4 * WIDTH, rng)).collect(),
            letters: Embedding::new(LETTERS, WIDTH, rng),
            places: Embedding::new(PLACES, WIDTH, rng),
            norm: LayerNorm::new([WIDTH]),
            out: Linear::new(WIDTH, LETTERS, rng),
        }
    }

    /// Letters `[n, places]` to logits of the letters that follow, `[n, places, 27]`.
    fn forward(&self, letters: &Tensor<i64>) -> Var {
        // Attention by itself does not know where a letter stands.
        let places = self.places.forward(Tensor::from(0..letters.shape()[1] as i64));
        let mut x = self.letters.forward(letters) + places;
        for block in &self.blocks {
            // Causal: no place sees those behind it, which it is to foretell.
            x = block.forward(x, None, true);
        }
        self.out.forward(self.norm.forward(x))
    }

    /// The loss of a letter on average.
    fn loss(&self, targets: &Tensor<i64>) -> Var {
        self.forward(&names::inputs(targets)).flatten(..2).cross_entropy(targets.flatten(..))
    }

    fn test_loss(&self, targets: &Tensor<i64>) -> f64 {
        no_grad(|| self.loss(targets)).item().into()
    }

    /// Names of its own. Each step draws the next letter of all of them, from their last place.
    fn spell(&self, count: usize, rng: &mut impl Rng) -> Vec<String> {
        let mut rows = Tensor::full([count, 1], END);
        for _place in 0..PLACES {
            let logits = no_grad(|| self.forward(&rows)).select(1, -1);
            let next = Categorical::from_logits(logits).sample(rng);
            rows = Tensor::cat(&[&rows, &next.unsqueeze(1)], 1);
        }
        rows.slice(1, 1..).rows().map(|row| names::text(&row)).collect()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let (steps, limit) = match (options.quick, &options.data) {
        (true, _) => (100, 2.4),
        (false, None) => (500, 2.05),
        (false, Some(_)) => (4000, 1.99),
    };
    let names = names::read(options.data.as_deref())?;
    let rng = &mut seeded(0);
    // As in makemore: a tenth of the names, 1,000 at most, is the test.
    let tested = (names.len() / 10).min(1000);
    let [test, train] = order::split(&order::shuffled(names.len(), rng), [tested, names.len() - tested])
        .map(|places| places.iter().map(|&place| names[place].clone()).collect::<Vec<_>>());
    let [train_rows, test_rows] = [&train, &test].map(|part| names::targets(part));
    let mut model = Transformer::new(rng);
    println!("{} names to learn, {tested} to test, {} parameters", train.len(), model.parameter_count());

    let warm_up = steps / 20;
    let rate = schedule::linear(0.01, 1.0, warm_up).then(warm_up, schedule::cosine(steps - warm_up, 0.0));
    let (mut adam, mut train_loss) = (AdamW::new(3e-3).weight_decay(0.1), Mean::new());
    let (mut train_losses, mut test_losses) = (Vec::new(), Vec::new());
    for step in 0..steps {
        adam.follow(&rate, step);
        let batch = Tensor::randint([BATCH], 0..train.len() as i64, rng);
        let mut gradients = model.loss(&train_rows.index_select(0, &batch)).backward();
        clip_grad_norm(&mut gradients, &model, 1.0);
        adam.step(&mut model, &gradients);
        train_loss.update(gradients.loss(), 1);
        let step = step + 1;
        if step % (steps / 20) == 0 {
            let (train_mean, test_loss) = (train_loss.value(), model.test_loss(&test_rows));
            println!("step {step:>4}  training {train_mean:.3}  test {test_loss:.3}");
            train_losses.push((step as f64, train_mean));
            test_losses.push((step as f64, test_loss));
            train_loss.reset();
        }
    }

    // 2,539 names are twice in the whole list, as a girl's and as a boy's: some of the test have been learnt.
    let known: HashSet<&String> = train.iter().collect();
    let new: Vec<String> = test.iter().filter(|name| !known.contains(name)).cloned().collect();
    let loss = model.test_loss(&test_rows);
    let new_loss = model.test_loss(&names::targets(&new));
    println!(
        "test loss {loss:.3}; of the {} names that are not in the training list, {new_loss:.3}",
        new.len()
    );
    let spelled = model.spell(options.unless_quick(1000, 100), rng);
    println!("{}", spelled[..24].join(" "));
    let share = spelled.iter().filter(|name| known.contains(name)).count() as f64 / spelled.len() as f64;
    println!("{:.0} % of {} spelled names are in the training list", 100.0 * share, spelled.len());

    let mut lines = vec![("training names", train_losses), ("test names", test_losses)];
    if options.data.is_some() {
        println!("{}", PUBLISHED.map(|(name, loss)| format!("{name} {loss}")).join(", "));
        lines.extend(
            PUBLISHED[1..].iter().map(|&(name, loss)| (name, vec![(0.0, loss), (steps as f64, loss)])),
        );
    }
    let subtitle = format!("{loss:.3} nats a letter on {tested} test names");
    let title = "A transformer learns to spell names";
    Chart { title, subtitle: &subtitle, x: "step", y: "cross-entropy", scale: Scale::Linear, lines: &lines }
        .save(out("08_transformer.svg")?)?;
    require("the test loss", loss, ..limit)
}

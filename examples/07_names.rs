//! A recurrent network (GRU) that spells names, character by character: trained on a list of names, one a line, and then
//! asked for names of its own. Without an argument the list is the committed one.
//!
//! ```sh
//! cargo run --release --example names -- [--data FILE]
//! ```

use std::{error::Error, fs, iter::repeat};

use gradus::distributions::Categorical;
use gradus::prelude::*;
use gradus_examples::{Options, require};

/// The end of a name, and what stands before its first letter; 1 to 26 are the letters.
const END: i64 = 0;
/// Letters beyond these are cut off.
const LONGEST: usize = 16;

#[derive(Module)]
struct Names {
    embedding: Embedding,
    gru: Gru,
    out: Linear,
}

impl Names {
    /// Characters `[steps, n]` and the state to logits of the next ones, `[steps, n, 27]`, and the next state.
    fn forward(&self, characters: &Tensor<i64>, state: Option<&Var>) -> (Var, Var) {
        let (y, state) = self.gru.forward(self.embedding.forward(characters), state);
        (self.out.forward(y), state)
    }

    fn spell(&self, rng: &mut impl Rng) -> String {
        let (mut name, mut character, mut state) = (String::new(), END, None);
        loop {
            let (logits, next) = no_grad(|| self.forward(&Tensor::from([[character]]), state.as_ref()));
            character = Categorical::from_logits(logits).sample(rng).item();
            if character == END || name.len() == LONGEST {
                return name;
            }
            name.push((b'a' + character as u8 - 1) as char);
            state = Some(next);
        }
    }
}

/// A row of the data: the letters of a name, its end, and then -100, which the loss ignores.
fn row(name: &str) -> impl Iterator<Item = i64> {
    let letters = name.bytes().filter(u8::is_ascii_lowercase).map(|letter| i64::from(letter - b'a') + 1);
    letters.chain([END]).chain(repeat(-100)).take(LONGEST)
}

fn main() -> Result<(), Box<dyn Error>> {
    let text = Options::read()?.data.map_or(Ok(include_str!("data/names.txt").into()), fs::read_to_string)?;
    let names = text.lines().flat_map(row).collect::<Tensor<i64>>().reshape((-1, LONGEST));
    let rng = &mut seeded(0);
    let mut model = Names {
        embedding: Embedding::new(27, 24, rng),
        gru: Gru::new(24, 96, 1, rng),
        out: Linear::new(96, 27, rng),
    };
    let (mut adam, mut average) = (Adam::new(5e-3), 27_f32.ln());
    for step in 0..=1500 {
        adam.follow(&schedule::cosine(1501, 0.0), step);
        let batch = Tensor::randint([64], 0..names.shape()[0] as i64, rng);
        let targets = names.index_select(0, &batch).t();
        let inputs = Tensor::cat(&[&Tensor::full([1, 64], END), &targets.slice(0, ..-1).maximum(END)], 0);
        let (logits, _) = model.forward(&inputs, None);
        let gradients = logits.flatten(..2).cross_entropy(targets.flatten(..)).backward();
        adam.step(&mut model, &gradients);
        average += 0.02 * (gradients.loss() - average);
        if step % 250 == 0 {
            println!("step {step:>4}  loss {average:.3}  {}", [(); 5].map(|()| model.spell(rng)).join(" "));
        }
    }
    require("the loss", average.into(), ..1.8)
}

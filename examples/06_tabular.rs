//! A table with gaps: which of three species is a penguin (Horst, Hill and Gorman, palmerpenguins, 2020), from four
//! measurements, its island and its sex? Missing numbers are filled with medians, a missing category is a category, and the
//! accuracy is measured on five folds, so that every penguin is a test once.
//!
//! ```sh
//! cargo run --release --example tabular
//! ```

use std::error::Error;

use gradus::data::order;
use gradus::data::read::csv::{Fill, Table};
use gradus::metrics::{Accuracy, ConfusionMatrix};
use gradus::prelude::*;
use gradus_examples::{Options, data, require};

const FOLDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let epochs = options.unless_quick(60, 20);
    let table = Table::read(data("penguins.csv"))?;
    let numbers = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"];
    // NaN for now: a fold fills it with the medians of its training penguins, as if the others did not exist yet.
    let numbers = table.numbers_filled::<f32>(numbers, Fill::Nan)?;
    let (islands, island_names) = table.categories("island")?;
    let (sexes, sex_names) = table.categories_filled("sex", "unknown")?;
    let x = Tensor::cat(&[&numbers, &islands.one_hot(3).cast(), &sexes.one_hot(3).cast()], 1);
    let (y, species) = table.categories("species")?;
    println!("{} penguins of {}", y.len(), species.join(", "));
    println!("islands {}; sexes {}", island_names.join(", "), sex_names.join(", "));
    println!("{} numbers are missing", numbers.isnan().count(..));

    let rng = &mut seeded(0);
    // Each fold has each species in its share.
    let folds = order::folds(&order::stratified(&y, rng), FOLDS);
    let (mut accuracies, mut confusion) = (Vec::new(), ConfusionMatrix::new(species.len()));
    println!("\nfold  training  test  accuracy");
    for (fold, places) in (1..).zip(folds) {
        let [train, test] = places.map(|places| Subset::new((&x, &y), places));
        // Both are layers, saved with the model: whoever loads it cannot forget what its inputs need.
        let impute = Impute::median(&train.all().0)?;
        let standardize = Standardize::fit(&impute.transform(&train.all().0))?;
        let mut model = Sequential::new()
            .push(impute)
            .push(standardize)
            .push(Linear::new(x.shape()[1], 16, rng))
            .push(Relu)
            .push(Linear::new(16, species.len(), rng));
        let mut adam = AdamW::new(5e-3);
        for _epoch in 0..epochs {
            for (x, y) in Batches::of(&train, 16).shuffle(rng) {
                let gradients = model.forward(&x).cross_entropy(&y).backward();
                adam.step(&mut model, &gradients);
            }
        }
        let (x, y) = test.all();
        let logits = model.evaluate(|model| no_grad(|| model.forward(&x)));
        let mut accuracy = Accuracy::new();
        accuracy.update(&logits, &y);
        confusion.update(&logits, &y);
        println!("{fold:>4}  {:>8}  {:>4}  {:>6.1} %", train.len(), test.len(), 100.0 * accuracy.value());
        accuracies.push(accuracy.value());
    }

    let accuracies = Tensor::from(accuracies);
    let (mean, deviation) = (accuracies.mean(..).item(), accuracies.std(.., 1).item());
    println!("mean {:.2} %, standard deviation of the folds {:.2} %", 100.0 * mean, 100.0 * deviation);
    println!("\nspecies, and what they were taken for:");
    for (name, counts) in species.iter().zip(confusion.counts().to_vec2()) {
        println!("{name:>10}  {counts:>3?}");
    }
    require("the accuracy", mean, 0.975..)
}

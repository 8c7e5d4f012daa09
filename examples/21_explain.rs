//! Why does a network decide so? Three networks are trained and asked: which pixels make a digit (heat maps of seven methods),
//! which measurements a tumour (bars and curves), and which letters make a word a name (coloured letters). Pictures can please and be
//! wrong, so each claim is checked with numbers: shares add up to the output, and an image without its most important pixels is no
//! longer recognised.
//!
//! ```sh
//! cargo run --release --example explain
//! ```

use std::error::Error;

use gradus::data::order;
use gradus::data::read::csv::Table;
use gradus::explain::{
    Bars, DeepLift, Features, GradCam, HeatMaps, IntegratedGradients, Interpolation, KernelShap, Lime,
    Occlusion, Panel, PartialDependence, PermutationImportance, SmoothGrad, Words, guided_backprop, resize,
};
use gradus::metrics::Accuracy;
use gradus::prelude::*;
use gradus::train::{Chart, Progress, Scale};
use gradus_examples::digits::{CLASSES, Digits, SIDE};
use gradus_examples::names::{self, LETTERS, PLACES};
use gradus_examples::{Options, data, out, require};

#[derive(Module)]
struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    linear: Linear,
}

impl Cnn {
    /// The activation of the last convolution, which Grad-CAM looks at, and the logits.
    fn with_activation(&self, x: &Var) -> (Var, Var) {
        let x = self.conv2.forward(self.conv1.forward(x).relu()).relu();
        (x.clone(), self.linear.forward(x.max_pool2d(2).flatten(1..)))
    }
}

/// Trains a classifier, and gives its accuracy on the second part of the rows.
fn train<M: Module>(
    model: &mut M,
    forward: impl Fn(&M, &Var) -> Var,
    [train, test]: [(Tensor, Tensor<i64>); 2],
    epochs: usize,
) -> f64 {
    let (mut adam, rng) = (AdamW::new(3e-3), &mut seeded(1));
    for _epoch in 0..epochs {
        for (x, y) in Batches::of((&train.0, &train.1), 32).shuffle(rng) {
            let gradients = forward(model, &Var::constant(x)).cross_entropy(&y).backward();
            adam.step(model, &gradients);
        }
    }
    let mut accuracy = Accuracy::new();
    accuracy.update(no_grad(|| forward(model, &Var::constant(&test.0))), &test.1);
    accuracy.value()
}

/// The first four fifths of shuffled rows, and the others.
fn split(x: &Tensor, y: &Tensor<i64>) -> [(Tensor, Tensor<i64>); 2] {
    order::split(&order::shuffled(y.len(), &mut seeded(0)), [0.8, 0.2])
        .map(|places| Subset::new((x, y), places).all())
}

fn images(options: &Options) -> Result<(), Box<dyn Error>> {
    let (Digits { images, labels }, rng) = (Digits::load()?, &mut seeded(0));
    let (pixels, conv) = ([1, SIDE, SIDE], || Conv::new().padding(1));
    let mut cnn = Cnn {
        conv1: Conv2d::new(1, 16, 3, conv(), rng),
        conv2: Conv2d::new(16, 16, 3, conv(), rng),
        linear: Linear::new(16 * 16, CLASSES, rng),
    };
    let parts = split(&images.reshape((-1, 1, SIDE, SIDE)), &labels);
    let test = parts[1].clone();
    let accuracy = train(&mut cnn, |cnn, x| cnn.with_activation(x).1, parts, options.unless_quick(12, 4));
    println!("digits: {:.1} % of {} test images", 100.0 * accuracy, test.1.len());
    require("the accuracy on digits", accuracy, 0.95..)?;

    let model = |x: &Var| cnn.with_activation(x).1;
    let (x, y) = (test.0.slice(0, ..100), test.1.slice(0, ..100));
    let lifted = DeepLift::new().explain(model, &x, &y)?;
    let integrated = IntegratedGradients::new().steps(100).explain(model, &x, &y)?;
    println!("  the largest rest of DeepLIFT {:.1e}", lifted.delta.abs().max(..).item());
    println!("  and of integrated gradients  {:.1e}", integrated.delta.abs().max(..).item());
    let cam = GradCam::new().explain(|x: &Var| cnn.with_activation(x), &x, &y)?;
    let parts = Lime::new(300, 0).features(Features::grid(pixels, [4, 4])).explain(
        model,
        &x.slice(0, ..3),
        &y.slice(0, ..3),
    )?;
    let methods = [
        ("SmoothGrad", SmoothGrad::new(30, 0.15, 0).explain(model, &x, &y)?),
        ("guided backprop.", guided_backprop(model, &x, &y)?),
        ("integrated gradients", integrated.values),
        ("DeepLIFT", lifted.values.clone()),
        ("occlusion", Occlusion::new([1, 2, 2]).explain(model, &x, &y)?),
        ("Grad-CAM", resize(&cam, [SIDE; 2], Interpolation::Bilinear)?),
        ("LIME, 16 cells", parts.values),
    ];
    let mut maps = HeatMaps::new("Which pixels make it this digit?").columns(1 + methods.len());
    for row in 0..3 {
        let image = x.select(0, row);
        maps = maps.panel(Panel::image(format!("a {}", y.select(0, row).item()), &image)?.ink());
        for (name, values) in &methods {
            maps = maps.panel(Panel::map(*name, &values.select(0, row))?.over(&image)?.ink());
        }
    }
    maps.save(out("21_digits.svg")?)?;
    maps.save(out("21_digits.png")?)?;

    // Without the ten pixels that an explanation names, or ten others of the ink.
    let without = |values: &Tensor| {
        let places = values.flatten(1..).topk(10, 1, true).1;
        let erased = x.flatten(1..).scatter(1, &places, &Tensor::zeros([100, 10])).reshape(x.shape());
        let mut accuracy = Accuracy::new();
        accuracy.update(no_grad(|| model(&Var::constant(erased))), &y);
        accuracy.value()
    };
    let random = x.gt(0.5).cast::<f32>() * Tensor::rand(x.shape(), rng);
    let (named, others) = (without(&lifted.values), without(&random));
    println!("  without the ten pixels of DeepLIFT {named:.2} are right, without ten others {others:.2}");
    require("the accuracy without the named pixels, less without others", named - others, ..-0.15)
}

fn table(options: &Options) -> Result<(), Box<dyn Error>> {
    let table = Table::read(data("breast_cancer.csv"))?;
    let names = &table.names()[..30];
    let (x, (y, classes)) = (table.numbers::<f32>(names)?, table.categories("diagnosis")?);
    let [train_part, test] = split(&x, &y);
    let rng = &mut seeded(0);
    let mut network = Sequential::new()
        .push(Standardize::fit(&train_part.0)?)
        .push(Linear::new(30, 16, rng))
        .push(Relu)
        .push(Linear::new(16, 2, rng));
    let epochs = options.unless_quick(30, 15);
    let accuracy =
        train(&mut network, |network, x| network.forward(x), [train_part.clone(), test.clone()], epochs);
    println!("tumours: {:.1} % of {} test cases", 100.0 * accuracy, test.1.len());
    let model = |x: &Var| network.forward(x);
    let malignant = classes.iter().position(|class| class == "malignant").ok_or("no class malignant")?;

    let score = |outputs: &Tensor| outputs.argmax(1).eq(&test.1).cast::<f64>().mean(..).item();
    let importance = PermutationImportance::new(10, 0).explain(model, &test.0, score)?;
    Bars::new("Accuracy lost when a measurement is shuffled", names, &importance.mean().to_vec())
        .most(10)
        .save(out("21_importance.svg")?)?;
    // One case, against the mean of the training set.
    let mean = train_part.0.mean(gradus::keepdim(0));
    let shap =
        KernelShap::new().samples(4000, 0).baseline(mean).progress(Progress::new().label("SHAP").counter());
    let case = test.0.slice(0, ..1);
    let shares = shap.explain(model, &case, malignant)?.coefficients.cast::<f64>().to_vec();
    Bars::new("What makes this tumour malignant, or not", names, &shares)
        .most(10)
        .save(out("21_tumour.svg")?)?;
    let largest = names.iter().position(|name| name == "worst area").ok_or("no such column")?;
    let dependence = PartialDependence::new(largest).explain(model, &test.0)?;
    let curve = |class: isize| {
        let means = dependence.mean.select(1, class);
        dependence.grid.iter().map(f64::from).zip(means.iter().map(f64::from)).collect::<Vec<_>>()
    };
    let lines = [0, 1].map(|class| (classes[class].as_str(), curve(class as isize)));
    let (title, subtitle) = ("Diagnosis by the largest area", "mean output over all test cases");
    let (x, y, scale) = ("mean of the three largest areas", "output", Scale::Linear);
    Chart { title, subtitle, x, y, scale, lines: &lines }.save(out("21_dependence.svg")?)?;
    require("the accuracy on tumours", accuracy, 0.94..)
}

fn letters(options: &Options) -> Result<(), Box<dyn Error>> {
    // Names, and the same with their letters shuffled: which is which?
    let (rows, rng) = (names::targets(&names::read(None)?).maximum(names::END), &mut seeded(0));
    let shuffled = rows.to_vec2().into_iter().flat_map(|row| {
        let count = row.iter().take_while(|letter| **letter != names::END).count();
        let order = order::shuffled(count, rng);
        order.into_iter().map(|i| row[i]).chain(vec![names::END; PLACES - count]).collect::<Vec<_>>()
    });
    let both = Tensor::cat(&[&rows, &shuffled.collect::<Tensor<i64>>().reshape((-1, PLACES))], 0);
    let is_name = Tensor::cat(&[&Tensor::full([rows.shape()[0]], 1), &Tensor::full([rows.shape()[0]], 0)], 0);
    let one_hot = |letters: &Tensor<i64>| letters.one_hot(LETTERS).cast::<f32>();
    let mut network = Sequential::new()
        .push_fn(|x| x.transpose(1, 2))
        .push(Conv1d::new(LETTERS, 48, 3, Conv::new().padding(1), rng))
        .push(Relu)
        .push_fn(|x| x.flatten(1..))
        .push(Linear::new(48 * PLACES, 2, rng));
    let parts = split(&one_hot(&both), &is_name);
    let (x, y) = parts[1].clone();
    let accuracy = train(&mut network, |network, x| network.forward(x), parts, options.unless_quick(6, 3));
    println!("names: {:.1} % of {} told from shuffled ones", 100.0 * accuracy, y.len());

    // Against a word without letters. The 27 numbers of a letter are added up.
    let empty = one_hot(&Tensor::full([1, PLACES], names::END));
    let lifted = DeepLift::new().baseline(empty).explain(|x| network.forward(x), &x.slice(0, ..24), 1)?;
    let shares = lifted.values.sum(2).cast::<f64>().to_vec2();
    let mut page = Words::new("Which letters make it a name, and which do not?").letters();
    for (row, shares) in (0..).zip(&shares) {
        let word = names::text(x.select(0, row).argmax(1).iter());
        let letters: Vec<String> = word.chars().map(String::from).collect();
        let caption = ["shuffled", "a name"][y.select(0, row).item() as usize];
        page = page.line(caption, &letters, &shares[..letters.len()]);
    }
    page.save(out("21_names.html")?)?;
    require("the accuracy on names", accuracy, 0.8..)?;
    require("the rest of the shares", lifted.delta.abs().max(..).item().into(), ..1e-4)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    images(&options)?;
    table(&options)?;
    letters(&options)?;
    println!("pictures out/21_*.svg, out/21_digits.png, out/21_names.html");
    Ok(())
}

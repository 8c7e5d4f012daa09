//! Digits that the server reads without seeing them.
use std::error::Error;
use std::time::Instant;

use gradus::encrypted::{Client, IntegerNetwork, Keys, Packing, Quantization, Query, Reply, Server, Setup};
use gradus::data::order;
use gradus::prelude::*;
use gradus_examples::digits::{CLASSES, Digits, PIXELS};
use gradus_examples::{Options, require};

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng) = (Options::read()?, &mut seeded(0));
    let digits = Digits::load()?;
    let parts = order::split(&order::shuffled(digits.labels.len(), rng), [1.0 / 3.0, 2.0 / 3.0]);
    let [test, train] = parts.map(|places| Subset::new((&digits.images, &digits.labels), places).all());

    let mut model: Sequential = Sequential::new().push(Linear::new(PIXELS, 16, rng)).push(Square).push(Linear::new(16, CLASSES, rng));
    let epochs = options.unless_quick(150, 60);
    let mut adam = AdamW::new(5e-3).weight_decay(0.05);
    for epoch in 0..epochs {
        adam.follow(&schedule::cosine(epochs, 0.0), epoch);
        for (x, y) in Batches::of((&train.0, &train.1), 64).shuffle(rng) {
            let gradients = model.forward(x).cross_entropy(&y).backward();
            adam.step(&mut model, &gradients);
        }
    }
    let right = |logits: &Tensor| {
        let hits = logits.argmax(-1).eq(&test.1).cast::<f32>().mean(..).item();
        100.0 * f64::from(hits)
    };
    println!("float: {:.2} %", right(model.forward(&test.0).value()));
    for w in [3, 7, 15, 31] {
        let network = IntegerNetwork::quantize(&model, &[PIXELS], &Quantization::new().inputs(0.0..=1.0, 16).weights(w))?;
        let levels: Vec<i64> = test.0.to_vec().iter().map(|x| (x*16.0) as i64).collect();
        let outs: Vec<f32> = levels.chunks(64).flat_map(|x| network.evaluate(x).unwrap()).map(|x| x as f32).collect();
        println!("{w}: {:.2} %", right(&Tensor::from(outs).reshape([test.1.len(), 10])));
    }
    let network = IntegerNetwork::quantize(&model, &[PIXELS], &Quantization::new().inputs(0.0..=1.0, 16).weights(15))?;
    for packing in [Packing::Batch, Packing::Single] {
        let server = Server::new(network.clone(), packing)?;
        println!("{}", server.plan());
        let start = Instant::now();
        let client = Client::new(server.setup())?;
        let keys = client.keys()?;
        println!("keys {:?} {} bytes", start.elapsed(), keys.as_bytes().len());
        let session = server.session(&keys)?;
        let x = if packing == Packing::Single { test.0.slice(0, ..1) } else { test.0.clone() };
        let start = Instant::now();
        let (query, pending) = client.encrypt(&x)?;
        println!("encrypt {:?} {} bytes", start.elapsed(), query.as_bytes().len());
        for _ in 0..3 {
        let start = Instant::now();
        let reply = session.evaluate(&query)?;
        println!("evaluate {:?} {} bytes", start.elapsed(), reply.as_bytes().len());
        }
        let reply = session.evaluate(&query)?;
        let start = Instant::now();
        let answer = client.decrypt(&reply, pending)?;
        println!("decrypt {:?} {} budget", start.elapsed(), answer.budget);
        let levels: Vec<i64> = x.to_vec().iter().map(|x| (x*16.0) as i64).collect();
        let outs: Vec<i64> = levels.chunks(64).flat_map(|x| network.evaluate(x).unwrap()).collect();
        println!("equal {}", answer.integers.to_vec() == outs);
    }
    Ok(())
}

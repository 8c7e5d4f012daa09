//! Clients with points on a line, and clients that misbehave.

use gradus_autograd::{Tensor, seeded};
use gradus_federated::{Client, ClientError, Report, Round, Simulation};
use gradus_nn::{Linear, Losses, Module, Optimizer, Sequential, Sgd};

/// The points of a client, and how it answers.
#[derive(Clone)]
pub(crate) struct Points {
    pub(crate) x: Tensor<f64>,
    pub(crate) y: Tensor<f64>,
    pub(crate) steps: usize,
    pub(crate) way: Way,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    Sound,
    /// Replaces one number of the weight.
    Number(f64),
    /// Answers with another model.
    Wider,
    Deeper,
    Fails,
    NoExamples,
    Examples(u64),
    InfiniteLoss,
}

pub(crate) type Model = Sequential<f64>;

pub(crate) fn model() -> Model {
    Sequential::new().push(Linear::new(2, 1, &mut seeded(7)))
}

impl Points {
    /// Points `[n, 2]` of a client, around another centre for each.
    pub(crate) fn new(client: u64, n: usize) -> Self {
        let rng = &mut seeded(client);
        let x = Tensor::randn([n, 2], rng) + client as f64 * 0.3;
        let y = x.matmul(&Tensor::from([[2.0], [-1.0]])) + 0.5;
        Self { x, y, steps: 3, way: Way::Sound }
    }

    pub(crate) fn way(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    pub(crate) fn loss(&self, model: &Model) -> gradus_autograd::Var<f64> {
        model.forward(&self.x).mse_loss(&self.y)
    }

    pub(crate) fn train(&self, model: &mut Model) {
        let mut sgd = Sgd::new(0.05);
        for _ in 0..self.steps {
            let loss = self.loss(model);
            sgd.step(model, &loss.backward());
        }
    }
}

impl Client<Model> for Points {
    fn fit(&mut self, model: &mut Model, round: &Round) -> Result<Report, ClientError> {
        let mut sgd = Sgd::new(0.05);
        for _ in 0..self.steps {
            let loss = self.loss(model) + round.proximal_term(model);
            sgd.step(model, &loss.backward());
        }
        let loss = self.loss(model).item();
        match self.way {
            Way::Number(number) => model.parameters_mut()[0].update(|value| {
                let mut numbers = value.to_vec();
                numbers[1] = number;
                *value = Tensor::from_vec(numbers, [1, 2]).expect("two numbers");
            }),
            Way::Wider => *model = Sequential::new().push(Linear::new(3, 1, &mut seeded(0))),
            Way::Deeper => {
                let rng = &mut seeded(0);
                *model = Sequential::new().push(Linear::new(2, 1, rng)).push(Linear::new(1, 1, rng));
            }
            Way::Fails => return Err("the battery is empty".into()),
            Way::Examples(examples) => return Ok(Report { examples, ..Report::default() }),
            Way::NoExamples => return Ok(Report::new(0)),
            Way::InfiniteLoss => return Ok(Report::new(1).metric("loss", f64::INFINITY)),
            Way::Sound => (),
        }
        Ok(Report::new(self.x.shape()[0]).metric("loss", loss))
    }

    fn evaluate(&mut self, model: &Model, _round: &Round) -> Result<Report, ClientError> {
        if self.way == Way::Fails {
            return Err("the battery is empty".into());
        }
        Ok(Report::new(self.x.shape()[0]).metric("loss", self.loss(model).item()))
    }
}

/// A federation of clients with 5, 10, 15, ... points.
pub(crate) fn simulation(clients: u64) -> Simulation<Model, Points, f64> {
    let clients = (0..clients).map(|client| Points::new(client, 5 * (client as usize + 1)));
    Simulation::new(model(), clients).expect("there are clients")
}

pub(crate) fn numbers(model: &Model) -> Vec<f64> {
    model.parameters().into_iter().flat_map(|parameter| parameter.value().to_vec()).collect()
}

pub(crate) fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

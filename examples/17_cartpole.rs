//! Reinforcement learning by policy gradient: REINFORCE (Williams, 1992) with a learnt baseline balances a pole on a cart. The
//! cart-pole is from Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning control
//! problems", 1983: in each step, the cart is pushed to the left or to the right; an episode ends when the pole falls over,
//! the cart leaves its track, or after 500 steps.
//!
//! ```sh
//! cargo run --release --example cartpole
//! ```

use std::error::Error;

use gradus::distributions::Categorical;
use gradus::prelude::*;
use gradus::train::{Chart, Scale};
use gradus_examples::{Options, out, require};

/// The length of an episode in which the pole never falls.
const STEPS: usize = 500;
/// Carts that run side by side.
const CARTS: usize = 16;
/// A reward counts this much less for an action one step earlier.
const DISCOUNT: f32 = 0.99;

/// Position and speed of the cart, angle and angular speed of the pole; metres, radians, seconds.
#[derive(Clone, Copy)]
struct CartPole([f32; 4]);

impl CartPole {
    fn new(rng: &mut impl Rng) -> Self {
        Self(Tensor::uniform([4], -0.05, 0.05, rng).to_vec().try_into().expect("four numbers"))
    }

    /// A fiftieth of a second later, after a push of 10 newtons; kilograms of cart and pole are 1 and 0.1, and the pole's
    /// half has 0.5 metres.
    fn push(self, right: bool) -> Self {
        let Self([x, speed, angle, turn]) = self;
        let (sin, cos) = angle.sin_cos();
        let force = if right { 10.0 } else { -10.0 };
        let pushed = (force + 0.05 * turn * turn * sin) / 1.1;
        let turn_change = (9.8 * sin - cos * pushed) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1));
        let speed_change = pushed - 0.05 * turn_change * cos / 1.1;
        let dt = 0.02;
        Self([x + dt * speed, speed + dt * speed_change, angle + dt * turn, turn + dt * turn_change])
    }

    /// Whether the cart has left its track, or the pole leans by more than 12 degrees.
    fn has_failed(&self) -> bool {
        self.0[0].abs() > 2.4 || self.0[2].abs() > 12_f32.to_radians()
    }
}

/// The policy gives the logits of the two actions; the baseline, the return that is expected from a state.
#[derive(Module)]
struct Agent {
    policy: Sequential,
    baseline: Sequential,
}

/// Steps of several episodes, one after another.
#[derive(Default)]
struct Episodes {
    states: Vec<f32>,
    actions: Vec<i64>,
    /// The discounted sum of all rewards from a step on.
    returns: Vec<f32>,
    lengths: Vec<usize>,
}

impl Episodes {
    /// An episode of each cart. All that still run choose their actions in one pass through the policy: at random, or
    /// always the more probable one.
    fn play(agent: &Agent, random: bool, rng: &mut impl Rng) -> Self {
        let mut carts: Vec<CartPole> = (0..CARTS).map(|_| CartPole::new(rng)).collect();
        let mut steps: Vec<Vec<(CartPole, i64)>> = vec![Vec::new(); CARTS];
        for _ in 0..STEPS {
            let running: Vec<usize> = (0..CARTS).filter(|&i| !carts[i].has_failed()).collect();
            if running.is_empty() {
                break;
            }
            let states: Tensor = running.iter().flat_map(|&i| carts[i].0).collect();
            let logits = no_grad(|| agent.policy.forward(scaled(&states)));
            let actions =
                if random { Categorical::from_logits(logits).sample(rng) } else { logits.value().argmax(1) };
            for (&i, action) in running.iter().zip(actions.iter()) {
                steps[i].push((carts[i], action));
                carts[i] = carts[i].push(action == 1);
            }
        }
        let mut episodes = Self::default();
        for steps in steps {
            // The reward of each step is 1, so the return depends on the steps that are left alone.
            let mut returns = vec![0.0; steps.len() + 1];
            for i in (0..steps.len()).rev() {
                returns[i] = 1.0 + DISCOUNT * returns[i + 1];
            }
            episodes.returns.extend(&returns[..steps.len()]);
            episodes.lengths.push(steps.len());
            for (cart, action) in steps {
                episodes.states.extend(cart.0);
                episodes.actions.push(action);
            }
        }
        episodes
    }

    fn mean_length(&self) -> f64 {
        self.lengths.iter().sum::<usize>() as f64 / CARTS as f64
    }
}

/// States `[n, 4]`, each number divided by a size that it often has.
fn scaled(states: &Tensor) -> Tensor {
    states.reshape((-1, 4)) / Tensor::from([1.0, 1.0, 0.1, 1.0])
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng) = (Options::read()?, &mut seeded(0));
    let mut mlp =
        |out| Sequential::new().push(Linear::new(4, 32, rng)).push(Tanh).push(Linear::new(32, out, rng));
    let mut agent = Agent { policy: mlp(2), baseline: mlp(1) };
    let updates = options.unless_quick(100, 25);
    let (mut adam, mut lengths) = (Adam::new(1e-2), Vec::new());
    for update in 1..=updates {
        adam.follow(&schedule::linear(1.0, 0.1, updates), update - 1);
        let episodes = Episodes::play(&agent, true, rng);
        let states = scaled(&episodes.states.clone().into());
        let returns = Tensor::from(episodes.returns.clone()) * (1.0 - DISCOUNT);
        let expected = agent.baseline.forward(&states).squeeze(1);
        // An action counts by how much better it was than expected, measured in standard deviations.
        let advantage = &returns - expected.value();
        let advantage = &advantage / (advantage.std(.., 0) + 1e-3);
        let chosen = Categorical::from_logits(agent.policy.forward(&states));
        let log_prob = chosen.log_prob(Tensor::from(episodes.actions.clone()));
        let loss =
            expected.mse_loss(&returns) - (log_prob * advantage).mean(..) - chosen.entropy().mean(..) * 0.005;
        adam.step(&mut agent, &loss.backward());
        lengths.push((update as f64, episodes.mean_length()));
        if update % 10 == 0 {
            println!("update {update:>3}  mean length {:>5.1}", episodes.mean_length());
        }
    }

    let last = Episodes::play(&agent, false, rng).mean_length();
    println!("after {updates} updates of {CARTS} episodes, the pole stands {last:.1} of {STEPS} steps");
    Chart {
        title: "Balancing a pole",
        subtitle: &format!(
            "REINFORCE with a baseline; mean of {CARTS} episodes, none longer than {STEPS} steps"
        ),
        x: "update of the policy",
        y: "steps until the pole falls",
        scale: Scale::Linear,
        lines: &[("length", lengths)],
    }
    .save(out("17_cartpole.svg")?)?;
    println!("learning curve out/17_cartpole.svg");
    require("the mean length", last, options.unless_quick(495.0, 60.0)..)
}

//! Parameters and layouts derived from the proven bounds of a network.

use std::fmt::{self, Display, Formatter};

use crate::error::EncryptedError;
use crate::network::IntegerNetwork;
use crate::parameters::Parameters;

/// How samples are laid out in ciphertexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packing {
    /// A ciphertext for each input, a sample in each slot: thousands of samples at once take as long as one. Needs no
    /// rotations, and no evaluation keys before the second square.
    Batch,
    /// One sample in one or a few ciphertexts: the answer comes soon. Sums are made by rotations (Halevi and Shoup,
    /// "Algorithms in `HElib`", 2014; Brutzkus et al., "Low latency privacy preserving inference", 2019).
    Single,
}

/// An affine map of [`Packing::Single`]. Sizes are powers of 2, padded with zeros. Values before and after are *periodic* if slot
/// s of each row has value `s mod size`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// Slot s of ciphertext b has input `b chunk + (s / outputs) mod chunk`, as the client lays them out: one product a
    /// ciphertext, and sums over strides of `outputs`. The result is periodic.
    Spread { outputs: usize, chunk: usize, ciphertexts: usize },
    /// From periodic to periodic, a product for each diagonal and a rotation by one between them.
    Diagonals { inputs: usize, outputs: usize },
    /// From periodic to output p in slot `p inputs`, with one product: for the last map.
    Strided { inputs: usize },
}

impl Step {
    /// The strides of the sums after the products: each adds the values rotated by it.
    pub(crate) fn folds(self) -> Vec<usize> {
        let doubled = |from: usize, to: usize| {
            std::iter::successors(Some(from), |x| Some(2 * x)).take_while(move |x| *x < to).collect()
        };
        match self {
            Self::Spread { outputs, chunk, .. } => doubled(outputs, outputs * chunk),
            Self::Diagonals { inputs, outputs } => doubled(outputs, inputs),
            Self::Strided { inputs } => doubled(1, inputs),
        }
    }

    /// The number of products that are added, and whether there is a rotation between them.
    fn products(self) -> (usize, bool) {
        match self {
            Self::Spread { ciphertexts, .. } => (ciphertexts, false),
            Self::Diagonals { inputs, outputs } => (inputs.min(outputs), true),
            Self::Strided { .. } => (1, false),
        }
    }
}

/// The proven bound and noise of a stage of a network: an affine map with the squares after it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRow {
    /// The place and the type of the layers.
    pub layer: String,
    /// No value is larger in absolute value, for any input in range.
    pub bound: i64,
    /// The least number of bits of noise budget that is left, for any key and any errors.
    pub budget: f64,
}

/// Parameters for a network, derived from proven bounds of its values and of the noise: the smallest of the table with which
/// every input in range is decrypted correctly, with every key and all errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(crate) packing: Packing,
    pub(crate) parameters: Parameters,
    /// One for each stage, of [`Packing::Single`].
    pub(crate) steps: Vec<Step>,
    /// Whether the server needs the key that brings three polynomials back to two.
    pub(crate) relinearize: bool,
    /// The number of moduli of a reply.
    pub(crate) reply_moduli: usize,
    /// The proven noise of a reply.
    reply_noise: f64,
    rows: Vec<PlanRow>,
}

impl Plan {
    /// The parameters for a network.
    ///
    /// # Errors
    /// If it has no layers ([`EncryptedError::Argument`]), or fits no parameters: a layer has values that are too large
    /// ([`EncryptedError::Bound`]), is too wide ([`EncryptedError::Width`]) or too deep ([`EncryptedError::Noise`]).
    pub fn new(network: &IntegerNetwork, packing: Packing) -> Result<Self, EncryptedError> {
        if network.stages.is_empty() {
            return Err(EncryptedError::Argument {
                argument: "network",
                got: "empty".into(),
                expected: "a network with layers".into(),
            });
        }
        let mut last = None;
        for (degree, count) in Parameters::choices() {
            match Self::with(network, packing, degree, count) {
                Ok(plan) => return Ok(plan),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("the table has choices"))
    }

    fn with(
        network: &IntegerNetwork,
        packing: Packing,
        degree: usize,
        count: usize,
    ) -> Result<Self, EncryptedError> {
        let widest =
            network.stages.iter().reduce(|a, b| if b.bound > a.bound { b } else { a }).expect("not empty");
        // Inputs are plaintexts, too.
        let (low, high) = network.input_range().into_inner();
        let bound = widest.bound.max(low.abs()).max(high.abs());
        let parameters =
            Parameters::for_bound(degree, count, bound).ok_or_else(|| EncryptedError::Bound {
                layer: widest.name.clone(),
                bound: (bound as f64).log2(),
                limit: Parameters::largest_bound(degree).log2(),
            })?;
        let steps = match packing {
            Packing::Batch => Vec::new(),
            Packing::Single => steps(network, parameters.row())?,
        };
        let mut plan = Self {
            packing,
            parameters,
            steps,
            relinearize: false,
            reply_moduli: count,
            reply_noise: 0.0,
            rows: Vec::new(),
        };
        let (mut noise, mut parts) = (Parameters::fresh(), 2);
        for (place, stage) in network.stages.iter().enumerate() {
            noise = match plan.steps.get(place) {
                None => Parameters::add_plain(noise * stage.map.largest_norm()),
                Some(step) => step_noise(*step, &parameters, noise),
            };
            for _ in 0..stage.squares {
                if parts == 3 {
                    noise += parameters.key_switch();
                    plan.relinearize = true;
                }
                (noise, parts) = (parameters.square(noise), 3);
                if packing == Packing::Single {
                    noise += parameters.key_switch();
                    (plan.relinearize, parts) = (true, 2);
                }
            }
            let budget = parameters.budget(noise, count);
            if budget < 1.0 {
                let bound = (bound as f64).log2();
                return Err(EncryptedError::Noise { layer: stage.name.clone(), excess: 1.0 - budget, bound });
            }
            plan.rows.push(PlanRow { layer: stage.name.clone(), bound: stage.bound, budget });
        }
        // The reply is shortened as far as is proven to be harmless.
        while plan.reply_moduli > 1 {
            let shorter = parameters.switch_down(noise, plan.reply_moduli, parts);
            if shorter > parameters.tolerated(plan.reply_moduli - 1) {
                break;
            }
            (noise, plan.reply_moduli) = (shorter, plan.reply_moduli - 1);
        }
        plan.reply_noise = noise;
        Ok(plan)
    }

    /// The layout of samples.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// The degree of the polynomials, which is the number of slots.
    pub fn degree(&self) -> usize {
        self.parameters.degree
    }

    /// The bits of the ciphertext modulus.
    pub fn modulus_bits(&self) -> f64 {
        self.parameters.modulus(self.parameters.moduli.len()).log2()
    }

    /// The plaintext modulus: a prime larger than twice every value of the network.
    pub fn plaintext_modulus(&self) -> u64 {
        self.parameters.plaintext
    }

    /// The samples of a full query.
    pub fn capacity(&self) -> usize {
        match self.packing {
            Packing::Batch => self.parameters.degree,
            Packing::Single => 1,
        }
    }

    /// The proven bound and noise of each stage.
    pub fn rows(&self) -> &[PlanRow] {
        &self.rows
    }

    /// The bits of noise budget that a reply has at least, as it arrives: shortened, and for any key and any errors.
    pub fn reply_budget(&self) -> f64 {
        self.parameters.budget(self.reply_noise, self.reply_moduli)
    }

    /// The rotations that the server needs keys for, each once.
    pub(crate) fn rotations(&self) -> Vec<usize> {
        let ones = self.steps.iter().filter(|step| matches!(step.products(), (2.., true))).map(|_| 1);
        let mut rotations: Vec<usize> = self.steps.iter().flat_map(|step| step.folds()).chain(ones).collect();
        rotations.sort_unstable();
        rotations.dedup();
        rotations
    }

    /// Output p of a reply is in slot p times this, of [`Packing::Single`].
    pub(crate) fn stride(&self) -> usize {
        match self.steps.last() {
            Some(Step::Strided { inputs }) => *inputs,
            _ => 1,
        }
    }
}

/// The layouts of the maps of a network, in rows of this number of slots.
fn steps(network: &IntegerNetwork, row: usize) -> Result<Vec<Step>, EncryptedError> {
    let last = network.stages.len() - 1;
    let place = |(place, stage): (usize, &crate::network::Stage)| {
        let (inputs, outputs) =
            (stage.map.inputs.next_power_of_two(), stage.map.rows.len().next_power_of_two());
        let widest =
            if place == 0 { stage.map.rows.len() } else { stage.map.inputs.max(stage.map.rows.len()) };
        if widest > row {
            return Err(EncryptedError::Width { layer: stage.name.clone(), width: widest, limit: row });
        }
        Ok(if place == 0 {
            let chunk = inputs.min(row / outputs);
            Step::Spread { outputs, chunk, ciphertexts: stage.map.inputs.div_ceil(chunk) }
        } else if place == last && stage.squares == 0 && inputs * outputs <= row {
            Step::Strided { inputs }
        } else {
            Step::Diagonals { inputs, outputs }
        })
    };
    network.stages.iter().enumerate().map(place).collect()
}

/// The noise after an affine map of [`Packing::Single`].
fn step_noise(step: Step, parameters: &Parameters, noise: f64) -> f64 {
    let (products, rotated) = step.products();
    let mut noise = parameters.multiply_plain(noise) * products as f64;
    if rotated {
        noise += parameters.key_switch() * (products - 1) as f64;
    }
    for _ in step.folds() {
        noise = 2.0 * noise + parameters.key_switch();
    }
    Parameters::add_plain(noise)
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (n, q, t) = (self.degree(), self.modulus_bits(), self.plaintext_modulus());
        writeln!(
            f,
            "{:?}: degree {n}, ciphertext modulus of {q:.0} bits, plaintext modulus {t}",
            self.packing
        )?;
        for PlanRow { layer, bound, budget } in &self.rows {
            writeln!(f, "  {layer}: values up to {bound}, at least {budget:.1} bits of noise budget left")?;
        }
        write!(f, "  reply: {} moduli, at least {:.1} bits", self.reply_moduli, self.reply_budget())
    }
}

//! The side with the model.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use fhe::bfv::{BfvParameters, Ciphertext, Encoding, EvaluationKey, Plaintext, RelinearizationKey};
use fhe_traits::FheEncoder;

use crate::batch::weighted_sum;
use crate::error::EncryptedError;
use crate::message::{Envelope, Keys, Query, Reader, Reply, Setup};
use crate::network::IntegerNetwork;
use crate::parallel;
use crate::plan::{Packing, Plan};
use crate::setup::Description;
use crate::single::Encoded;
use crate::wire::{read_ciphertext, read_keys, write_ciphertext};

/// The side that has the model. It sees no sample and no output; clients see no weight, but learn what outputs tell (see
/// [the crate](crate#promises-and-limits)).
pub struct Server {
    network: IntegerNetwork,
    plan: Plan,
    description: Description,
    setup: Setup,
    engine: Arc<BfvParameters>,
    /// The maps in slots, of [`Packing::Single`].
    encoded: Vec<Encoded>,
}

impl Server {
    /// A server for a network, with the [`Plan`] derived from it.
    ///
    /// # Errors
    /// If the network fits no parameters, as [`Plan::new`] says.
    pub fn new(network: IntegerNetwork, packing: Packing) -> Result<Self, EncryptedError> {
        let plan = Plan::new(&network, packing)?;
        let engine = plan.parameters.engine()?;
        let description = Description::of(&network, &plan);
        let maps = network.stages.iter().map(|stage| &stage.map);
        let encoded = plan.steps.iter().zip(maps).map(|(step, map)| Encoded::new(*step, map, &engine));
        let encoded = encoded.collect::<Result<_, _>>()?;
        Ok(Self { network, setup: description.to_message(), plan, description, engine, encoded })
    }

    /// The public part of the network, to be sent to clients. It has the parameters, the range of inputs and the layouts; of the weights
    /// only what the plaintext modulus and the scale of outputs tell.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The parameters and what is proven about them.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The network in plain integers.
    pub fn network(&self) -> &IntegerNetwork {
        &self.network
    }

    /// A client's session, with the keys that the client sent.
    ///
    /// # Errors
    /// If the keys are malformed or for other parameters.
    pub fn session(&self, keys: &Keys) -> Result<Session<'_>, EncryptedError> {
        let Envelope { key, .. } = keys.envelope();
        let envelope = Envelope { key, query: 0, ..self.setup.envelope() };
        keys.envelope().belongs_to(Keys::KIND, envelope)?;
        let mut reader = Reader::new(Keys::KIND, keys.body());
        let Description { relinearize, rotations, .. } = &self.description;
        let (relinearize, rotate) = read_keys(&mut reader, &self.engine, *relinearize, rotations)?;
        reader.end()?;
        Ok(Session { server: self, envelope, keys: EvaluationKeys { relinearize, rotate } })
    }
}

/// The keys of a client for evaluation.
pub(crate) struct EvaluationKeys {
    relinearize: Option<RelinearizationKey>,
    rotate: Option<EvaluationKey>,
}

impl EvaluationKeys {
    /// From three polynomials back to two.
    pub(crate) fn relinearize(&self, ciphertext: &mut Ciphertext) -> Result<(), EncryptedError> {
        if ciphertext.len() == 3 {
            let key = self.relinearize.as_ref().ok_or_else(missing)?;
            key.relinearizes(ciphertext)?;
        }
        Ok(())
    }

    /// Adds the slots `by` places further on.
    pub(crate) fn rotated(&self, ciphertext: &Ciphertext, by: usize) -> Result<Ciphertext, EncryptedError> {
        Ok(self.rotate.as_ref().ok_or_else(missing)?.rotates_columns_by(ciphertext, by)?)
    }
}

fn missing() -> EncryptedError {
    EncryptedError::Engine("a key is missing".into())
}

/// A client, as the server sees it: its evaluation keys, and queries under its secret key.
pub struct Session<'a> {
    server: &'a Server,
    envelope: Envelope,
    keys: EvaluationKeys,
}

impl Session<'_> {
    /// Evaluates the network on encrypted samples.
    ///
    /// # Errors
    /// If the query is malformed, or belongs to another setup or another key.
    pub fn evaluate(&self, query: &Query) -> Result<Reply, EncryptedError> {
        query.envelope().belongs_to(Query::KIND, self.envelope)?;
        let (server, engine) = (self.server, &self.server.engine);
        let mut reader = Reader::new(Query::KIND, query.body());
        let mut values = Vec::new();
        for _ in 0..server.description.query_ciphertexts() {
            values.push(read_ciphertext(&mut reader, engine, engine.moduli().len(), &[2])?);
        }
        reader.end()?;
        for (place, stage) in server.network.stages.iter().enumerate() {
            values = match server.plan.packing {
                Packing::Batch => parallel::map(stage.map.rows.len(), |output| {
                    let mut sum = weighted_sum(&values, &stage.map.rows[output], engine)?;
                    sum += &constant(stage.map.bias[output], engine)?;
                    for _ in 0..stage.squares {
                        self.keys.relinearize(&mut sum)?;
                        sum = &sum * &sum;
                    }
                    Ok(sum)
                })?,
                Packing::Single => {
                    let mut value = server.encoded[place].apply(&values, &self.keys)?;
                    for _ in 0..stage.squares {
                        value = &value * &value;
                        self.keys.relinearize(&mut value)?;
                    }
                    vec![value]
                }
            };
        }
        let dropped = engine.moduli().len() - server.plan.reply_moduli;
        let ciphertexts = parallel::map(values.len(), |output| {
            let mut value = values[output].clone();
            value.switch_to_level(dropped)?;
            let mut bytes = Vec::new();
            write_ciphertext(&value, false, &mut bytes);
            Ok(bytes)
        })?;
        Ok(Reply::new(query.envelope(), &ciphertexts.concat()))
    }
}

/// A plaintext with the same number in all slots.
fn constant(value: i64, engine: &Arc<BfvParameters>) -> Result<Plaintext, EncryptedError> {
    let reduced = [value.rem_euclid(engine.plaintext() as i64) as u64];
    Ok(Plaintext::try_encode(&reduced[..], Encoding::poly(), engine)?)
}

/// Without the weights.
impl Debug for Server {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("setup", &self.description).finish_non_exhaustive()
    }
}

/// Without the keys.
impl Debug for Session<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("server", self.server).finish_non_exhaustive()
    }
}

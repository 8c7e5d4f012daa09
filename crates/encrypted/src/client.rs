//! The side with the secret key.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use fhe::bfv::{
    BfvParameters, Ciphertext, Encoding, EvaluationKeyBuilder, Plaintext, RelinearizationKey, SecretKey,
};
use fhe::proto::bfv as proto;
use fhe_math::rq::traits::TryConvertFrom;
use fhe_math::rq::{Poly, Representation};
use fhe_traits::{FheDecoder, FheDecrypter, FheEncoder, FheEncrypter};
use gradus_autograd::Tensor;
use num_bigint::BigUint;
use rand_0_9::{Rng, rng};
use zeroize::Zeroizing;

use crate::error::EncryptedError;
use crate::message::{Envelope, Keys, Query, Reader, Reply, Setup};
use crate::network::check_samples;
use crate::parallel;
use crate::parameters::KEY_NORM;
use crate::plan::Packing;
use crate::setup::Description;
use crate::wire::{read_ciphertext, write_ciphertext, write_keys};

/// The side that has the samples and the secret key: it encrypts and decrypts. The key is drawn by [`new`](Self::new), never leaves
/// the client and is overwritten when the client is dropped.
pub struct Client {
    description: Description,
    engine: Arc<BfvParameters>,
    key: SecretKey,
    /// The coefficients of the key.
    coefficients: Zeroizing<Vec<i64>>,
    envelope: Envelope,
}

/// A query that waits for its reply: its identifier, and the number of its samples. A reply that is refused leaves it as it was.
#[derive(Debug)]
pub struct Pending {
    query: u64,
    samples: usize,
}

/// The outputs of a network for the samples of a query.
#[derive(Debug, Clone)]
pub struct Decrypted {
    /// The outputs, `[samples, outputs]`, as the network computes them in integers.
    pub integers: Tensor<i64>,
    /// The outputs as numbers, `[samples, outputs]`: integers times [`output_step`](crate::IntegerNetwork::output_step).
    pub outputs: Tensor,
    /// The bits of noise budget that were left in the worst ciphertext: log2(q / 2 |t v mod q|).
    pub budget: f64,
}

impl Client {
    /// A client of the server that sent the setup, with a new secret key.
    ///
    /// # Errors
    /// [`EncryptedError::Malformed`] if the setup contradicts itself or names parameters that this crate does not have,
    /// which may not be secure.
    pub fn new(setup: &Setup) -> Result<Self, EncryptedError> {
        let description = Description::from_message(setup)?;
        let engine = description.parameters.engine()?;
        let limit = KEY_NORM * engine.degree() as f64;
        let (key, coefficients) = loop {
            let key = SecretKey::random(&engine, &mut rng());
            let coefficients = Zeroizing::new(proto::SecretKey::from(&key).coeffs);
            if coefficients.iter().map(|c| c.unsigned_abs()).sum::<u64>() as f64 <= limit {
                break (key, coefficients);
            }
        };
        let envelope = Envelope { setup: setup.envelope().setup, key: rng().random(), query: 0 };
        Ok(Self { description, engine, key, coefficients, envelope })
    }

    /// The keys with which the server evaluates; they do not decrypt. Send them once.
    ///
    /// # Errors
    /// [`EncryptedError::Engine`] if the engine refuses.
    pub fn keys(&self) -> Result<Keys, EncryptedError> {
        let relinearize = if self.description.relinearize {
            Some(RelinearizationKey::new(&self.key, &mut rng())?)
        } else {
            None
        };
        let rotate = if self.description.rotations.is_empty() {
            None
        } else {
            let mut builder = EvaluationKeyBuilder::new(&self.key)?;
            for &by in &self.description.rotations {
                builder.enable_column_rotation(by)?;
            }
            Some(builder.build(&mut rng())?)
        };
        let mut body = Vec::new();
        write_keys(relinearize.as_ref(), rotate.as_ref(), &mut body);
        Ok(Keys::new(self.envelope, &body))
    }

    /// The samples that fit into a query.
    pub fn capacity(&self) -> usize {
        match self.description.packing {
            Packing::Batch => self.engine.degree(),
            Packing::Single => 1,
        }
    }

    /// Encrypts samples, `[samples, ...]`, whose numbers are rounded to the levels of the inputs.
    ///
    /// # Errors
    /// [`EncryptedError::Samples`] if there are more than [`capacity`](Self::capacity), their size does not fit, or a
    /// number is out of range or not finite.
    pub fn encrypt(&self, samples: &Tensor) -> Result<(Query, Pending), EncryptedError> {
        let Description { inputs, input_step: step, .. } = self.description;
        let rows = samples.shape().first().copied().unwrap_or(0);
        if samples.len() != rows * inputs {
            let fault = format!(
                "have shape {:?}: they must have [samples, ...], with {inputs} numbers each",
                samples.shape()
            );
            return Err(EncryptedError::Samples { fault });
        }
        let levels: Vec<i64> = samples.to_vec().into_iter().map(|x| level(x.into(), step)).collect();
        self.encrypt_integers(&levels)
    }

    /// Encrypts samples that are levels already, one after the other.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn encrypt_integers(&self, samples: &[i64]) -> Result<(Query, Pending), EncryptedError> {
        let Description { inputs, range, .. } = self.description;
        check_samples(samples, inputs, range)?;
        let count = samples.len() / inputs;
        if count > self.capacity() {
            let fault = format!("are {count}: at most {} fit into a query", self.capacity());
            return Err(EncryptedError::Samples { fault });
        }
        let ciphertexts = parallel::map(self.description.query_ciphertexts(), |place| {
            let slots = Zeroizing::new(self.slots(samples, place));
            // A plaintext is overwritten when it is dropped.
            let plaintext = Plaintext::try_encode(&slots[..], Encoding::simd(), &self.engine)?;
            let mut bytes = Vec::new();
            write_ciphertext(&self.key.try_encrypt(&plaintext, &mut rng())?, true, &mut bytes);
            Ok(bytes)
        })?;
        let envelope = Envelope { query: rng().random(), ..self.envelope };
        let pending = Pending { query: envelope.query, samples: count };
        Ok((Query::new(envelope, &ciphertexts.concat()), pending))
    }

    /// The slots of a ciphertext of a query.
    fn slots(&self, samples: &[i64], place: usize) -> Vec<i64> {
        let Description { inputs, spread, chunk, packing, .. } = self.description;
        match packing {
            Packing::Batch => samples.iter().skip(place).step_by(inputs).copied().collect(),
            Packing::Single => {
                let row = self.description.parameters.row();
                let input = |slot: usize| place * chunk + (slot % row / spread) % chunk;
                (0..2 * row).map(|slot| samples.get(input(slot)).copied().unwrap_or(0)).collect()
            }
        }
    }

    /// Decrypts the reply to a query. A ciphertext that was made with another key, changed or computed wrongly is noticed by its
    /// noise, unless it was changed into another valid one: who knows how can add to an output. After an error the query still
    /// waits, and the right reply decrypts when it comes.
    ///
    /// # Errors
    /// If the reply belongs to another setup, key or query, is malformed, or does not decrypt
    /// ([`EncryptedError::Undecryptable`]). Do not tell the server which.
    pub fn decrypt(&self, reply: &Reply, pending: &Pending) -> Result<Decrypted, EncryptedError> {
        reply.envelope().belongs_to(Reply::KIND, self.envelope)?;
        if reply.envelope().query != pending.query {
            return Err(EncryptedError::OtherQuery);
        }
        let Description { outputs, stride, packing, .. } = self.description;
        let mut reader = Reader::new(Reply::KIND, reply.body());
        let mut ciphertexts = Vec::new();
        for _ in 0..self.description.reply_ciphertexts() {
            ciphertexts.push(read_ciphertext(
                &mut reader,
                &self.engine,
                self.description.reply_moduli,
                &[2, 3],
            )?);
        }
        reader.end()?;
        let opened = parallel::map(ciphertexts.len(), |place| self.open(&ciphertexts[place], place))?;
        let budget = opened.iter().map(|(_, budget)| *budget).fold(f64::INFINITY, f64::min);
        let integers: Vec<i64> = match packing {
            Packing::Batch => (0..pending.samples)
                .flat_map(|sample| opened.iter().map(move |(slots, _)| slots[sample]))
                .collect(),
            Packing::Single => (0..outputs).map(|output| opened[0].0[output * stride]).collect(),
        };
        let step = self.description.output_step;
        let numbers: Vec<f32> = integers.iter().map(|&y| (y as f64 * step) as f32).collect();
        let shape = [pending.samples, outputs];
        Ok(Decrypted {
            integers: Tensor::from(integers).reshape(shape),
            outputs: Tensor::from(numbers).reshape(shape),
            budget,
        })
    }

    /// The slots of a ciphertext, from -t/2 to t/2, and the bits of its noise budget.
    fn open(&self, ciphertext: &Ciphertext, output: usize) -> Result<(Vec<i64>, f64), EncryptedError> {
        let budget = self.budget(ciphertext)?;
        // A ciphertext of another key has uniform noise: that all coefficients are in the lower half has probability 2^-degree.
        if budget < 1.0 {
            return Err(EncryptedError::Undecryptable { output });
        }
        let plaintext = self.key.try_decrypt(ciphertext)?;
        Ok((Vec::<i64>::try_decode(&plaintext, Encoding::simd())?, budget))
    }

    /// log2(q / 2 |t phase mod q|), where t times the phase is t times the noise, as t (q / t) is q.
    fn budget(&self, ciphertext: &Ciphertext) -> Result<f64, EncryptedError> {
        let context = ciphertext[0].ctx();
        let as_polynomial =
            Poly::try_convert_from(&self.coefficients[..], context, false, Representation::PowerBasis)?;
        let mut key = Zeroizing::new(as_polynomial);
        key.change_representation(Representation::Ntt);
        let mut power = key.clone();
        let mut phase = Zeroizing::new(ciphertext[0].clone());
        phase.disallow_variable_time_computations();
        for part in &ciphertext[1..] {
            let mut term = Zeroizing::new(part.clone());
            term.disallow_variable_time_computations();
            *term *= &*power;
            *phase += &*term;
            *power *= &*key;
        }
        phase.change_representation(Representation::PowerBasis);
        *phase *= &BigUint::from(self.description.parameters.plaintext);
        let modulus = context.modulus();
        let half = modulus >> 1;
        let noises =
            Vec::<BigUint>::from(&*phase).into_iter().map(|x| if x > half { modulus - x } else { x });
        let largest = noises.max().unwrap_or_default().max(BigUint::from(1_u32));
        Ok(log2(modulus) - log2(&largest) - 1.0)
    }
}

/// The level of a number; one that is out of every range if it is not finite or too large.
fn level(x: f64, step: f64) -> i64 {
    let level = (x / step).round();
    if level.is_nan() { i64::MAX } else { level as i64 }
}

/// The logarithm of a positive number to base 2.
fn log2(x: &BigUint) -> f64 {
    let shift = x.bits().saturating_sub(64);
    let head: u64 = (x >> shift).try_into().expect("at most 64 bits are left");
    (head as f64).log2() + shift as f64
}

/// Without the key.
impl Debug for Client {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("setup", &self.description).finish_non_exhaustive()
    }
}

//! Encrypted inference: a client sends encrypted samples, the server evaluates its network on the ciphertexts, and only the
//! client can read the answer.
//!
//! # From a model to ciphertexts
//!
//! Ciphertexts can be added and multiplied, so a network must be a polynomial: affine layers and squares
//! (Gilad-Bachrach et al., "`CryptoNets`", 2016). Train a [`Sequential`](gradus_nn::Sequential) of dense layers,
//! convolutions, average pooling and [`Square`](gradus_nn::Square); few squares, as each costs about 55 bits of the ciphertext
//! modulus. [`IntegerNetwork::quantize`] rounds it to integers and proves a range of every value in it from the weights and
//! the range of the inputs. [`Plan::new`] derives parameters from these ranges: a plaintext modulus that no value reaches, and
//! the smallest degree and ciphertext modulus for which the noise of the ciphertexts provably stays small enough to decrypt,
//! for every input in range, every key and all errors. A network that fits no parameters is refused, with the layer and the
//! bound. So outputs equal [`IntegerNetwork::evaluate`] to the last digit.
//!
//! Three roles have types of their own: a [`Client`] has the secret key, a [`Server`] the model, a [`Session`] a client's
//! evaluation keys. Between them go [`Setup`], [`Keys`], [`Query`] and [`Reply`]: bytes with a version, the digest of the
//! setup, identifiers of key and query, and a checksum. On arrival every number is held against its modulus.
//!
//! ```
//! use gradus_autograd::{Tensor, seeded};
//! use gradus_encrypted::{Client, IntegerNetwork, Keys, Packing, Quantization, Query, Reply, Server, Setup};
//! use gradus_nn::{Linear, Sequential, Square};
//!
//! let rng = &mut seeded(0);
//! let model = Sequential::<f32>::new().push(Linear::new(4, 3, rng)).push(Square).push(Linear::new(3, 2, rng));
//! let levels = Quantization::new().inputs(0.0..=1.0, 15).weights(7);
//!
//! // The server turns its trained model into integers and publishes the setup.
//! let network = IntegerNetwork::quantize(&model, &[4], &levels)?;
//! let server = Server::new(network, Packing::Batch)?;
//! let setup: Vec<u8> = server.setup().as_bytes().to_vec();
//!
//! // The client makes a secret key, and sends evaluation keys and encrypted samples.
//! let client = Client::new(&Setup::from_bytes(setup)?)?;
//! let keys: Vec<u8> = client.keys()?.as_bytes().to_vec();
//! let samples = Tensor::from([[0.0, 0.2, 0.4, 1.0], [0.6, 0.0, 0.8, 0.2]]);
//! let (query, pending) = client.encrypt(&samples)?;
//!
//! // The server computes on ciphertexts.
//! let session = server.session(&Keys::from_bytes(keys)?)?;
//! let reply = session.evaluate(&Query::from_bytes(query.as_bytes().to_vec())?)?;
//!
//! // The client reads the outputs: the same as from the network in plain integers.
//! let answer = client.decrypt(&Reply::from_bytes(reply.as_bytes().to_vec())?, &pending)?;
//! assert_eq!(answer.integers.select(0, 0).to_vec(), server.network().evaluate(&[0, 3, 6, 15])?);
//! assert_eq!(answer.outputs.shape(), [2, 2]);
//! # Ok::<(), gradus_encrypted::EncryptedError>(())
//! ```
//!
//! [`Packing`] chooses between throughput and latency: thousands of samples at once, or one sample soon.
//!
//! # Roles
//!
//! No message is taken for another one, and no role does the work of another: the compiler refuses both. A server takes queries, not
//! replies,
//!
//! ```compile_fail,E0308
//! # use gradus_encrypted::{EncryptedError, Query, Reply, Session};
//! fn evaluate(session: &Session, message: &Reply) -> Result<Reply, EncryptedError> {
//!     session.evaluate(message)
//! }
//! ```
//!
//! a client reads replies, not queries,
//!
//! ```compile_fail,E0308
//! # use gradus_encrypted::{Client, Decrypted, EncryptedError, Pending, Query};
//! fn decrypt(client: &Client, message: &Query, pending: &Pending) -> Result<Decrypted, EncryptedError> {
//!     client.decrypt(message, pending)
//! }
//! ```
//!
//! and a server has no secret key and cannot decrypt.
//!
//! ```compile_fail,E0599
//! # use gradus_encrypted::{Decrypted, EncryptedError, Pending, Reply, Server};
//! fn decrypt(server: &Server, reply: &Reply, pending: &Pending) -> Result<Decrypted, EncryptedError> {
//!     server.decrypt(reply, pending)
//! }
//! ```
//!
//! With the right types the same functions compile:
//!
//! ```
//! # use gradus_encrypted::{Client, Decrypted, EncryptedError, Pending, Query, Reply, Session};
//! fn evaluate(session: &Session, message: &Query) -> Result<Reply, EncryptedError> {
//!     session.evaluate(message)
//! }
//! fn decrypt(client: &Client, message: &Reply, pending: &Pending) -> Result<Decrypted, EncryptedError> {
//!     client.decrypt(message, pending)
//! }
//! ```
//!
//! # Promises and limits
//!
//! The scheme is BFV (Brakerski, 2012; Fan and Vercauteren, 2012) as the crate `fhe` implements it.
//!
//! - **Security level.** Degrees of 4,096, 8,192 and 16,384 with moduli of at most 109, 218 and 438 bits: the limits that the
//!   homomorphic encryption standard (Albrecht et al., homomorphicencryption.org, 2018) tabulates for 128 bits against
//!   classical attacks known then, for ternary secrets. Keys and errors here are wider than ternary, centred binomial with a
//!   standard deviation of 3.16; the standard assumes 3.19 for errors. The primes come from `fhe`, which calls them "about 128 bits
//!   of security". We have not repeated the estimate. A client takes no other parameters, whatever a server asks for. Keys
//!   with unusually large coefficients are drawn again, which happens with a probability below 2^-40.
//! - **Engine.** `fhe` 0.1 is young, and we know of no independent audit of it, nor of this crate. Computations with the secret
//!   key are meant to take constant time in `fhe`; [`Client::decrypt`] also measures the noise, which takes variable time.
//!   Decrypt where nobody can time it.
//! - **Licence.** `fhe` is under the MIT licence. It depends on `tfhe-ntt`, under BSD-3-Clause-Clear, which grants no
//!   patents; no feature of `fhe` leaves it out. The crate is compiled, and not
//!   called unless somebody enables the feature `tfhe-ntt` of `fhe`. Whether that suits you is yours to judge.
//! - **The server learns** the setup, the number of queries, and their times. It sees neither samples nor outputs, nor how many
//!   samples of a batch are used.
//! - **No circuit privacy.** The client learns the outputs, and the noise of a reply depends on the weights and can tell more
//!   of them; three-part ciphertexts of [`Packing::Batch`] do too. Who may ask many queries can also learn a model from its
//!   outputs alone. Plaintext modulus and scale of outputs hint at the size of the weights. Do not use it to keep a model secret
//!   from its clients.
//! - **Never send decrypted results back.** BFV protects against a server that never learns what a ciphertext of its making
//!   decrypts to. An output returned to the server, or merely whether a reply decrypted, can give the secret key away (Li and
//!   Micciancio, 2021; Checri et al., 2024).
//! - **No integrity.** The server may compute anything and return it: the client notices ciphertexts of another key and changed
//!   ones by their noise ([`EncryptedError::Undecryptable`]), but not a well-formed answer that is wrong. Messages are not
//!   authenticated either; use TLS.
//! - **Keys live in memory.** They are overwritten when the [`Client`] is dropped, and are not stored; temporary copies inside
//!   the engine may remain.

#![forbid(unsafe_code)]

mod batch;
mod client;
mod error;
mod message;
mod network;
mod parallel;
mod parameters;
mod plan;
mod quantize;
mod server;
mod setup;
mod single;
mod wire;

pub use client::{Client, Decrypted, Pending};
pub use error::EncryptedError;
pub use message::{Keys, Query, Reply, Setup};
pub use network::IntegerNetwork;
pub use plan::{Packing, Plan, PlanRow};
pub use quantize::Quantization;
pub use server::{Server, Session};

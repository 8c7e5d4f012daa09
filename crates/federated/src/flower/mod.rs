//! Joins a federation of [Flower](https://flower.ai) beside clients in Python.
//!
//! A [`Node`] takes the place of a SuperNode with its ClientApp: it speaks the Fleet API of Flower 1.42 with a SuperLink
//! (protobuf in calls of HTTP), and trains and evaluates a model with a [`Client`](crate::Client), the same as in a
//! [`Simulation`](crate::Simulation). Strategies, rounds and everything else are the ServerApp's, in Python, and unchanged.
//!
//! | Flower | here |
//! | --- | --- |
//! | array record | the model's state, by name, as `float32`, `float64`, `int64` or `bool` |
//! | config record | [`Round::setting`](crate::Round::setting); `server-round` and `proximal-mu` also [`Round::number`](crate::Round::number) and [`Round::proximal`](crate::Round::proximal) |
//! | metric record | a [`Report`](crate::Report); its examples under `num-examples`, by which strategies weight |
//! | error reply | an `Err` of the client, a model that does not fit |
//!
//! Flower gives no promise for this API from one version to the next. This crate is tested with [`FLOWER_VERSION`] alone, beside a
//! client in Python, with TLS and node authentication, and with a server that dies and comes back. TLS is `rustls` with the
//! cryptography of `graviola`, which needs no C compiler and a 64-bit processor by Intel, AMD (with AVX2 and ADX) or ARM. The messages of a node are signed; with `--enable-supernode-auth` a server
//! takes only nodes whose [key](NodeKey::public_openssh) its operator has registered, and refuses all others with status 412. The
//! server sees every update in the clear: secure aggregation of this crate is not Flower's.
//! This crate sends no telemetry; Flower's own programs do unless `FLWR_TELEMETRY_ENABLED=0` is set for them.

mod error;
mod key;
mod link;
mod node;
mod objects;
mod records;
mod reply;
mod wire;

pub use error::FlowerError;
pub use key::NodeKey;
pub use link::{FLOWER_VERSION, Link};
pub use node::{Node, Progress};

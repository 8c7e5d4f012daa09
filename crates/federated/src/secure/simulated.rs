//! Secure aggregation inside of a simulation.

use std::collections::BTreeMap;

use super::{FixedPoint, SecureClient, SecureError, SecureServer, Terms};
use crate::aggregate::{Contribution, Sum};
use crate::error::FederatedError;
use crate::layout::Layout;

/// Lets a [`Simulation`](crate::Simulation) add updates up under masks: the whole protocol with all of its messages, in which
/// clients that drop out or send nothing usable do so after they have shared their secrets.
///
/// The mean is the plain one, rounded to fixed point. Counters stay as they are. The reports of clients, with metrics and
/// numbers of examples, and their errors are not masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecureAggregation {
    threshold: usize,
    fraction_bits: u32,
}

impl SecureAggregation {
    /// With this threshold: a round with fewer updates is refused. Numbers have 24 bits after the point.
    ///
    /// # Errors
    /// If the threshold is less than 2.
    pub fn new(threshold: usize) -> Result<Self, SecureError> {
        Terms::new([0; 16], threshold, 0)?;
        Ok(Self { threshold, fraction_bits: 24 })
    }

    /// Sets the number of bits after the point. An update times its weight, the number of examples, must be less than
    /// `2^63 / 2^bits` divided by the number of clients.
    ///
    /// # Errors
    /// If there are more than 52 bits.
    pub fn fraction_bits(mut self, bits: u32) -> Result<Self, SecureError> {
        FixedPoint::new(bits, 1)?;
        self.fraction_bits = bits;
        Ok(self)
    }

    /// Refuses a contribution that is too large for fixed point.
    pub(crate) fn check(
        &self,
        drawn: usize,
        contribution: &Contribution,
        layout: &Layout,
    ) -> Result<(), FederatedError> {
        let client = contribution.client;
        let encoded = FixedPoint::new(self.fraction_bits, drawn)?.encode(&weighted(contribution));
        let Err(SecureError::Range { index, value, limit }) = encoded else { return Ok(()) };
        let Some((name, at)) = layout.place(index) else {
            let fault = format!("it has {value} examples: masks take at most {limit}");
            return Err(FederatedError::Report { client, fault });
        };
        let fault = format!("has {value} as element {at}, times its weight: masks take at most {limit}");
        Err(FederatedError::Update { client, name: name.into(), fault })
    }

    /// The weighted sum of the contributions, by the protocol of all clients that were drawn.
    pub(crate) fn sum(
        &self,
        round: u64,
        drawn: &[u64],
        contributions: &[Contribution],
        layout: &Layout,
    ) -> Result<Sum, FederatedError> {
        let (got, needed) = (contributions.len(), self.threshold);
        if got < needed {
            return Err(FederatedError::TooFew { round, got, needed });
        }
        let fixed = FixedPoint::new(self.fraction_bits, drawn.len())?;
        let mut vectors = BTreeMap::new();
        for contribution in contributions {
            vectors.insert(contribution.client, fixed.encode(&weighted(contribution))?);
        }
        let mut session = [0; 16];
        getrandom::fill(&mut session).map_err(FederatedError::Randomness)?;
        let terms = Terms::new(session, self.threshold, layout.len() + 1)?;
        let mut numbers = fixed.decode(&run(terms, drawn, &vectors)?);
        let weight = numbers.pop().expect("the weight is the last number");
        Ok(Sum { numbers, weight, counters: Vec::new() })
    }
}

/// The numbers of a contribution times its weight, and the weight.
fn weighted(Contribution { weight, change, .. }: &Contribution) -> Vec<f64> {
    change.numbers.iter().map(|x| x * weight).chain([*weight]).collect()
}

/// The protocol, each message as bytes. Clients without a vector drop out after they have shared their secrets.
fn run(terms: Terms, drawn: &[u64], vectors: &BTreeMap<u64, Vec<u64>>) -> Result<Vec<u64>, SecureError> {
    let (mut server, mut clients) = (SecureServer::new(terms), Vec::new());
    for &id in drawn {
        let (client, keys) = SecureClient::new(terms, id)?;
        server.receive(&keys)?;
        clients.push((id, client));
    }
    let (mut server, roster) = server.close()?;
    let mut sharing = Vec::new();
    for (id, client) in clients {
        let (client, letters) = client.share(&roster)?;
        server.receive(&letters)?;
        sharing.push((id, client));
    }
    let (mut server, inboxes) = server.close()?;
    let mut masking = Vec::new();
    for (id, client) in sharing {
        let Some(words) = vectors.get(&id) else { continue };
        let (client, masked) = client.mask(&inboxes[&id], words)?;
        server.receive(&masked)?;
        masking.push(client);
    }
    let (mut server, survivors) = server.close()?;
    for client in masking {
        server.receive(&client.reveal(&survivors)?)?;
    }
    server.sum()
}

//! The work of a node: a message becomes a reply.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gradus_autograd::Float;
use gradus_nn::{Module, State};

use super::Node;
use super::objects::{Builder, Objects};
use super::records::{self, Content};
use super::wire::{Empty, Envelope, ErrorReply, Metadata, ObjectTree};
use crate::client::{Client, Report, Round, Setting};
use crate::error::ClientError;
use crate::sampling::mix;

/// Flower's code for an error in a client's own code.
const CLIENT_RAISED: i64 = 2;

/// A reply, and the objects that it is made of.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) envelope: Envelope,
    pub(super) tree: ObjectTree,
    pub(super) objects: Objects,
    pub(super) seconds: f64,
}

impl<T: Float, M: Module<T> + Clone, C: Client<M>> Node<M, C, T> {
    /// Does what a message asks for, and makes the reply: what came of it, or the error.
    pub(super) fn answer(&mut self, metadata: &Metadata, objects: &Objects, message: &str) -> Reply {
        let begun = Instant::now();
        let mut builder = Builder::default();
        let kind = metadata.message_type.split('.').next().unwrap_or_default().to_string();
        let content = records::read(objects, message).map_err(ClientError::from);
        let records = content.and_then(|content| self.records(&kind, content, &mut builder));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut reply = Metadata {
            run_id: metadata.run_id,
            message_id: String::new(),
            src_node_id: metadata.dst_node_id,
            dst_node_id: metadata.src_node_id,
            reply_to_message_id: metadata.message_id.clone(),
            group_id: metadata.group_id.clone(),
            ttl: metadata.created_at + metadata.ttl - now,
            message_type: metadata.message_type.clone(),
            created_at: now,
            src_task_id: metadata.dst_task_id,
            dst_task_id: metadata.src_task_id,
        };
        let (parts, error) = match records {
            Ok(tree) if kind == "train" => {
                self.progress.trained += 1;
                (vec![tree], None)
            }
            Ok(tree) => {
                self.progress.evaluated += 1;
                (vec![tree], None)
            }
            Err(error) => {
                self.progress.failed += 1;
                (Vec::new(), Some(ErrorReply { code: CLIENT_RAISED, reason: error.to_string() }))
            }
        };
        let body = Envelope { metadata: Some(reply.clone()), content: None, error: error.clone() };
        let tree = builder.message("Message", parts, &body);
        reply.message_id.clone_from(&tree.object_id);
        let content = error.is_none().then_some(Empty {});
        let envelope = Envelope { metadata: Some(reply), content, error };
        Reply { envelope, tree, objects: builder.objects, seconds: begun.elapsed().as_secs_f64() }
    }

    fn records(
        &mut self,
        kind: &str,
        content: Content,
        builder: &mut Builder,
    ) -> Result<ObjectTree, ClientError> {
        let Content { arrays, settings } = content;
        if let Some(name) = records::not_finite(&arrays) {
            return Err(format!("{name:?} from the server is not finite: the model stays as it was").into());
        }
        let mut model = self.model.clone();
        model.load_state(&arrays)?;
        let round = self.round(settings, model.state());
        let mut parts = Vec::new();
        let report = match kind {
            "train" => {
                let (report, state) = self.train(model, &round)?;
                // No counters that the server's model does not have.
                let names: BTreeSet<&str> = arrays.names().collect();
                let mut sent = State::new();
                for (name, tensor) in state.iter().filter(|(name, _)| names.contains(name)) {
                    sent.insert(name, tensor.clone());
                }
                parts.push(("arrays".to_string(), records::arrays(builder, &sent)?));
                report
            }
            "evaluate" => {
                self.model = model.clone();
                model.eval();
                let report = self.client.evaluate(&model, &round)?;
                check(&report)?;
                report
            }
            other => return Err(format!("this node knows no messages of the type {other:?}").into()),
        };
        parts.push(("metrics".to_string(), records::metrics(builder, &report)));
        Ok(builder.record("RecordDict", parts))
    }

    /// The round that a message with these settings belongs to.
    fn round(&self, settings: BTreeMap<String, Setting>, global: State) -> Round {
        let number = match settings.get("server-round") {
            Some(Setting::Integer(i)) => u64::try_from(*i).ok(),
            _ => None,
        };
        let proximal = match settings.get("proximal-mu") {
            Some(Setting::Float(mu)) => *mu,
            Some(Setting::Integer(mu)) => *mu as f64,
            _ => 0.0,
        };
        let number = number.unwrap_or(self.progress.trained as u64 + 1);
        let seed = mix([0, number, self.id.unwrap_or(0)]);
        Round { number, seed, proximal, global, settings }
    }

    /// Trains the model, keeps it, and gives the report and the state to be sent.
    fn train(&mut self, mut model: M, round: &Round) -> Result<(Report, State), ClientError> {
        model.train();
        let mut report = self.client.fit(&mut model, round)?;
        check(&report)?;
        let mut state = model.state();
        if let Some(name) = records::not_finite(&state) {
            return Err(format!("{name:?} is not finite after training: the update is not sent").into());
        }
        if let Some((privacy, layout)) = &self.privacy {
            let client = self.id.unwrap_or(0);
            let mut change = layout.change(client, &round.global, &state)?;
            privacy.protect(round.number, client, &mut change.numbers)?;
            state = layout.moved(&round.global, &change.numbers, None);
            if !layout.is_finite(&state) {
                return Err("the update with its noise is not finite: it is not sent".into());
            }
            // All updates have the same weight.
            report.examples = 1;
        }
        self.model = model;
        Ok((report, state))
    }
}

/// Refuses reports that no mean can use.
fn check(report: &Report) -> Result<(), ClientError> {
    report.fault().map_or(Ok(()), |fault| Err(format!("the report is not sent: {fault}").into()))
}

//! A node of a federation: pulls messages, trains and evaluates, pushes replies.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gradus_autograd::Float;
use gradus_nn::{Module, State};

use super::objects::{Builder, Objects, name};
use super::records::{self, Content};
use super::wire::{
    ActivateNodeRequest, ConfirmRequest, DeactivateNodeRequest, Empty, Envelope, ErrorReply,
    HeartbeatRequest, Metadata, NodeId, ObjectTree, PullMessagesRequest, PullObjectRequest,
    PushMessagesRequest, PushObjectRequest, RegisterNodeRequest, UnregisterNodeRequest,
};
use super::{FlowerError, Link};
use crate::client::{Client, Round, Setting};
use crate::error::ClientError;
use crate::sampling::mix;

/// How long the server waits for a heartbeat, in seconds; a node sends one when four fifths of it are over.
const HEARTBEAT: f64 = 30.0;
/// Flower's code for an error in a client's own code.
const CLIENT_RAISED: i64 = 2;
/// How often a node joins, in one run, a server that forgets it.
const JOINS: u32 = 4;

/// A node of a federation of Flower, in place of a SuperNode with a ClientApp: a [`Client`] with its model behind a
/// [`Link`].
///
/// The server's arrays must have the names, shapes and types of the model's [`state`](gradus_nn::Module::state): a model
/// whose names are PyTorch's joins clients in PyTorch. Each message of the type `train` is answered with the arrays of the
/// trained model and a record of metrics, each of the type `evaluate` with metrics. A message that does not fit the model, or
/// a client that fails, is answered with an error of Flower, and the node goes on.
///
/// ```no_run
/// # use gradus_federated::{Client, flower::{FlowerError, Link, Node}};
/// # fn run(model: gradus_nn::Linear, client: impl Client<gradus_nn::Linear>, authority: &str) -> Result<(), FlowerError> {
/// let link = Link::new("https://flower.example.org:9092")?.root_certificates(authority)?;
/// let mut node = Node::new(link, model, client);
/// node.run(|progress| progress.evaluated < 3)?;
/// let model = node.into_model();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Node<M, C, T = f32> {
    link: Link,
    model: M,
    client: C,
    id: Option<u64>,
    poll: Duration,
    progress: Progress,
    /// A reply that has not gone out yet.
    reply: Option<Reply>,
    element: PhantomData<fn() -> T>,
}

/// The work that a node has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The number of messages that were answered with a trained model.
    pub trained: usize,
    /// The number of messages that were answered with an evaluation.
    pub evaluated: usize,
    /// The number of messages that were answered with an error.
    pub failed: usize,
}

#[derive(Debug)]
struct Reply {
    envelope: Envelope,
    tree: ObjectTree,
    objects: Objects,
    seconds: f64,
}

impl<T: Float, M: Module<T> + Clone, C: Client<M>> Node<M, C, T> {
    /// A node that has not called its server yet. It asks for messages every 3 seconds.
    pub fn new(link: Link, model: M, client: C) -> Self {
        let poll = Duration::from_secs(3);
        Self {
            link,
            model,
            client,
            id: None,
            poll,
            progress: Progress::default(),
            reply: None,
            element: PhantomData,
        }
    }

    /// Sets the pause between two questions for messages.
    #[must_use]
    pub fn poll(mut self, pause: Duration) -> Self {
        self.poll = pause;
        self
    }

    /// The model: as the last training left it, or as the server has sent it for an evaluation since.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Gives the model back.
    pub fn into_model(self) -> M {
        self.model
    }

    /// The work that the node has done so far.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Joins the federation, and works for it as long as the function says so, which is asked before each question for
    /// messages. Then the node leaves.
    ///
    /// A server that is away is called again, as the [`Link`] says; one that has forgotten the node is joined again.
    ///
    /// # Errors
    /// If the server stays away, refuses calls or answers nonsense. The node keeps its model and a reply that did not go
    /// out, which goes first when `run` is called again; a reply that the server refuses is dropped.
    pub fn run(&mut self, mut go_on: impl FnMut(Progress) -> bool) -> Result<(), FlowerError> {
        let mut joins = 0;
        loop {
            let id = self.join()?;
            joins += 1;
            match self.session(id, &mut go_on) {
                // A server that was started again knows no nodes.
                Err(FlowerError::Refused { .. }) if joins < JOINS && !self.has_joined(id) => self.id = None,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.leave();
                    return Ok(());
                }
            }
        }
    }

    /// Works under one number, with a heart that beats meanwhile.
    fn session(&mut self, id: u64, go_on: &mut impl FnMut(Progress) -> bool) -> Result<(), FlowerError> {
        let (link, (stop, stopped)) = (self.link.clone(), mpsc::channel::<()>());
        let heart = thread::spawn(move || {
            let pause = Duration::from_secs_f64(HEARTBEAT * 0.8);
            let beat = HeartbeatRequest { node: Some(NodeId { node_id: id }), heartbeat_interval: HEARTBEAT };
            // A missed beat is no error: the next question for messages will tell.
            while stopped.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
                link.try_call(&beat);
            }
        });
        let result = self.work(id, go_on);
        drop(stop);
        drop(heart.join());
        result
    }

    fn has_joined(&self, id: u64) -> bool {
        let beat = HeartbeatRequest { node: Some(NodeId { node_id: id }), heartbeat_interval: HEARTBEAT };
        self.link.try_call(&beat).is_some_and(|answer| answer.success)
    }

    fn join(&mut self) -> Result<u64, FlowerError> {
        if let Some(id) = self.id {
            return Ok(id);
        }
        let public_key = self.link.public_key();
        if self.link.registers() {
            self.link.call(&RegisterNodeRequest { public_key: public_key.clone() })?;
        }
        let request = ActivateNodeRequest { public_key, heartbeat_interval: HEARTBEAT };
        let id = self.link.call(&request)?.node_id;
        if id == 0 {
            return Err(self.link.nonsense("activate-node", "a node without a number"));
        }
        self.id = Some(id);
        Ok(id)
    }

    fn leave(&mut self) {
        let Some(node_id) = self.id.take() else { return };
        self.link.try_call(&DeactivateNodeRequest { node_id });
        if self.link.registers() {
            self.link.try_call(&UnregisterNodeRequest { node_id });
        }
    }

    fn work(&mut self, id: u64, go_on: &mut impl FnMut(Progress) -> bool) -> Result<(), FlowerError> {
        let node = Some(NodeId { node_id: id });
        loop {
            self.push(node)?;
            if !go_on(self.progress) {
                return Ok(());
            }
            let answer = self.link.call(&PullMessagesRequest { node })?;
            let nonsense = |fault: &str| self.link.nonsense("pull-messages", fault);
            match (&answer.messages[..], &answer.trees[..]) {
                ([], _) => thread::sleep(self.poll),
                ([message], [tree]) => {
                    let metadata =
                        message.metadata.as_ref().ok_or_else(|| nonsense("a message without metadata"))?;
                    let objects = self.pull(node, metadata.run_id, tree)?;
                    let confirm = ConfirmRequest {
                        node,
                        run_id: metadata.run_id,
                        message_object_id: tree.object_id.clone(),
                    };
                    self.link.call(&confirm)?;
                    self.reply = Some(self.answer(metadata, &objects, &tree.object_id));
                }
                _ => return Err(nonsense("messages and objects that are not one each")),
            }
        }
    }

    /// Pulls all objects of a message.
    fn pull(&self, node: Option<NodeId>, run_id: u64, tree: &ObjectTree) -> Result<Objects, FlowerError> {
        let (mut objects, mut waiting) = (Objects::new(), vec![tree]);
        while let Some(tree) = waiting.pop() {
            waiting.extend(&tree.children);
            if objects.contains_key(&tree.object_id) {
                continue;
            }
            let request = PullObjectRequest { node, run_id, object_id: tree.object_id.clone() };
            let mut tries = 0;
            let content = loop {
                let answer = self.link.call(&request)?;
                tries += 1;
                match (answer.found, answer.available) {
                    (true, true) => break answer.content,
                    // The sender is still pushing it.
                    (true, false) if tries < 100 => thread::sleep(self.poll.min(Duration::from_millis(500))),
                    _ => {
                        return Err(self
                            .link
                            .nonsense("pull-object", format!("there is no {}", tree.object_id)));
                    }
                }
            };
            let found = name(&content);
            if found != tree.object_id {
                let fault = format!("the object {} has the hash {found}", tree.object_id);
                return Err(self.link.nonsense("pull-object", fault));
            }
            objects.insert(found, content);
        }
        Ok(objects)
    }

    /// Does what a message asks for, and makes the reply: what came of it, or the error.
    fn answer(&mut self, metadata: &Metadata, objects: &Objects, message: &str) -> Reply {
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
        let number = |name: &str| match settings.get(name) {
            Some(Setting::Integer(i)) => u64::try_from(*i).ok(),
            _ => None,
        };
        let proximal = match settings.get("proximal-mu") {
            Some(Setting::Float(mu)) => *mu,
            Some(Setting::Integer(mu)) => *mu as f64,
            _ => 0.0,
        };
        let number = number("server-round").unwrap_or(self.progress.trained as u64 + 1);
        let seed = mix([0, number, self.id.unwrap_or(0)]);
        let round = Round { number, seed, proximal, global: model.state(), settings };
        let mut parts = Vec::new();
        let report = match kind {
            "train" => {
                model.train();
                let report = self.client.fit(&mut model, &round)?;
                let state = model.state();
                if let Some(name) = records::not_finite(&state) {
                    return Err(
                        format!("{name:?} is not finite after training: the update is not sent").into()
                    );
                }
                self.model = model;
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
                self.client.evaluate(&model, &round)?
            }
            other => return Err(format!("this node knows no messages of the type {other:?}").into()),
        };
        if let Some(fault) = report.fault() {
            return Err(format!("the report is not sent: {fault}").into());
        }
        parts.push(("metrics".to_string(), records::metrics(builder, &report)));
        Ok(builder.record("RecordDict", parts))
    }

    /// Pushes the reply that is waiting, if there is one.
    fn push(&mut self, node: Option<NodeId>) -> Result<(), FlowerError> {
        let Some(reply) = &self.reply else { return Ok(()) };
        let run_id = reply.envelope.metadata.as_ref().map_or(0, |metadata| metadata.run_id);
        let request = PushMessagesRequest {
            node,
            messages: vec![reply.envelope.clone()],
            trees: vec![reply.tree.clone()],
            seconds: vec![reply.seconds],
        };
        let answer = match self.link.call(&request) {
            Err(error @ FlowerError::Refused { status: 400..=499, .. }) => {
                // The run is over, or the message too late: no later attempt would be taken.
                self.reply = None;
                return Err(error);
            }
            answer => answer?,
        };
        for object_id in answer.objects_to_push {
            let Some(content) = reply.objects.get(&object_id).cloned() else {
                return Err(self
                    .link
                    .nonsense("push-messages", format!("it asks for the object {object_id}")));
            };
            let session_id = answer.session_id.clone();
            let request = PushObjectRequest { node, run_id, object_id, content, session_id };
            if !self.link.call(&request)?.stored {
                return Err(self.link.nonsense("push-object", "an object that it asked for is not stored"));
            }
        }
        self.reply = None;
        Ok(())
    }
}

//! A node of a federation: pulls messages, trains and evaluates, pushes replies.

use std::marker::PhantomData;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gradus_autograd::Float;
use gradus_nn::Module;

use super::objects::{Objects, name};
use super::reply::Reply;
use super::wire::{
    ActivateNodeRequest, ConfirmRequest, DeactivateNodeRequest, HeartbeatRequest, Metadata, NodeId,
    ObjectTree, PullMessagesRequest, PullObjectRequest, PushMessagesRequest, PushObjectRequest,
    RegisterNodeRequest, UnregisterNodeRequest,
};
use super::{FlowerError, Link};
use crate::client::Client;
use crate::error::FederatedError;
use crate::layout::Layout;
use crate::privacy::{Privacy, PrivacyRecord};

/// How long the server waits for a heartbeat, in seconds; a node sends one when four fifths of it are over.
const HEARTBEAT: f64 = 30.0;
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
    pub(super) model: M,
    pub(super) client: C,
    pub(super) privacy: Option<(Privacy, Layout)>,
    pub(super) id: Option<u64>,
    poll: Duration,
    pub(super) progress: Progress,
    /// A message whose objects have not all been pulled.
    message: Option<(Metadata, ObjectTree)>,
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

impl<T: Float, M: Module<T> + Clone, C: Client<M>> Node<M, C, T> {
    /// A node that has not called its server yet. It asks for messages every 3 seconds.
    pub fn new(link: Link, model: M, client: C) -> Self {
        let poll = Duration::from_secs(3);
        Self {
            link,
            model,
            client,
            privacy: None,
            id: None,
            poll,
            progress: Progress::default(),
            message: None,
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

    /// Clips the updates of this node, and adds its share of the noise to each, before they leave it: the same as for a client
    /// of a [`Simulation`](crate::Simulation) with [noise of the clients](Privacy::noise_by_clients). Its replies count one
    /// example, so that strategies such as `FedAvg` give all updates the same weight. Metrics, of training and of evaluations,
    /// are not covered.
    ///
    /// All nodes need the same settings, and the strategy's `min_train_nodes` must be the `minimum` of the noise: the sum has
    /// the noise that was asked for if the server keeps to that. The server itself sees each update, with that share of the
    /// noise alone; `noise_by_clients(1)` protects from it, too. Without noise updates are clipped, for strategies of Flower
    /// that add the noise on the server.
    ///
    /// # Errors
    /// If the noise is left to the server, or the model has tensors of 8 or 16 bits.
    pub fn privacy(mut self, privacy: Privacy) -> Result<Self, FederatedError> {
        if privacy.minimum().is_none() && privacy.noise_multiplier() > 0.0 {
            let expected =
                "0, with the noise of a strategy of Flower, or shared by the nodes with `noise_by_clients`";
            let multiplier = privacy.noise_multiplier();
            return Err(FederatedError::argument("Node::privacy", "noise_multiplier", multiplier, expected));
        }
        self.privacy = Some((privacy, Layout::of(&self.model)?));
        Ok(self)
    }

    /// The numbers that an accountant needs, if updates are private: of what others than the server see.
    pub fn privacy_record(&self) -> Option<PrivacyRecord> {
        let (privacy, _) = self.privacy.as_ref()?;
        let (rounds, noise_multiplier) = (self.progress.trained as u64, privacy.noise_multiplier());
        Some(PrivacyRecord { rounds, sampling_rate: 1.0, noise_multiplier })
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
    /// If the server stays away, refuses calls or answers nonsense. The node keeps its model. If the server is away, it also keeps
    /// a message that it has not read to its end, and a reply that did not go out, which go first when `run` is called again.
    pub fn run(&mut self, mut go_on: impl FnMut(Progress) -> bool) -> Result<(), FlowerError> {
        let mut joins = 0;
        loop {
            let id = self.join()?;
            joins += 1;
            match self.session(id, &mut go_on) {
                // A server that was started again knows no nodes.
                Err(FlowerError::Refused { .. }) if joins < JOINS && !self.has_joined(id) => {
                    // What was for the old number has nobody to answer.
                    (self.id, self.message, self.reply) = (None, None, None);
                }
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
            if let Some((metadata, tree)) = self.message.take() {
                let objects = match self.pull(node, metadata.run_id, &tree) {
                    // It is still there when the server is back.
                    Err(error @ FlowerError::Unreachable { .. }) => {
                        self.message = Some((metadata, tree));
                        return Err(error);
                    }
                    objects => objects?,
                };
                let message_object_id = tree.object_id.clone();
                let confirm = ConfirmRequest { node, run_id: metadata.run_id, message_object_id };
                let confirmed = self.link.call(&confirm);
                // The server gives each message once: it is answered in any case.
                self.reply = Some(self.answer(&metadata, &objects, &tree.object_id));
                confirmed?;
                continue;
            }
            if !go_on(self.progress) {
                return Ok(());
            }
            let mut answer = self.link.call(&PullMessagesRequest { node })?;
            let nonsense = |fault: &str| self.link.nonsense("pull-messages", fault);
            match (answer.messages.pop(), answer.trees.pop()) {
                _ if !answer.messages.is_empty() || !answer.trees.is_empty() => {
                    return Err(nonsense("messages and objects that are not one each"));
                }
                (None, None) => thread::sleep(self.poll),
                (Some(message), Some(tree)) => {
                    let metadata = message.metadata.ok_or_else(|| nonsense("a message without metadata"))?;
                    self.message = Some((metadata, tree));
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

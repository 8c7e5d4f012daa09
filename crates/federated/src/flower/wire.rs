//! The messages of Flower's Fleet API, read from the descriptors of `flwr` 1.42.

use prost::{Message, Oneof};

/// A message of the API, with the last part of the path of its call and the message that answers it.
pub(super) trait Call: Message {
    const PATH: &'static str;
    type Answer: Message + Default;
}

macro_rules! calls {
    ($($request:ty => $path:literal $answer:ty;)*) => {$(
        impl Call for $request {
            const PATH: &'static str = $path;
            type Answer = $answer;
        }
    )*};
}

calls! {
    RegisterNodeRequest => "register-node" NodeIdAnswer;
    ActivateNodeRequest => "activate-node" NodeIdAnswer;
    DeactivateNodeRequest => "deactivate-node" Empty;
    UnregisterNodeRequest => "unregister-node" Empty;
    HeartbeatRequest => "send-node-heartbeat" HeartbeatAnswer;
    PullMessagesRequest => "pull-messages" PullMessagesAnswer;
    PushMessagesRequest => "push-messages" PushMessagesAnswer;
    PullObjectRequest => "pull-object" PullObjectAnswer;
    PushObjectRequest => "push-object" PushObjectAnswer;
    ConfirmRequest => "confirm-message-received" Empty;
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RegisterNodeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) public_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ActivateNodeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) public_key: Vec<u8>,
    #[prost(double, tag = "2")]
    pub(super) heartbeat_interval: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeIdAnswer {
    #[prost(uint64, tag = "1")]
    pub(super) node_id: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeactivateNodeRequest {
    #[prost(uint64, tag = "1")]
    pub(super) node_id: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UnregisterNodeRequest {
    #[prost(uint64, tag = "1")]
    pub(super) node_id: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct NodeId {
    #[prost(uint64, tag = "1")]
    pub(super) node_id: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HeartbeatRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) node: Option<NodeId>,
    #[prost(double, tag = "2")]
    pub(super) heartbeat_interval: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HeartbeatAnswer {
    #[prost(bool, tag = "1")]
    pub(super) success: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PullMessagesRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) node: Option<NodeId>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PullMessagesAnswer {
    #[prost(message, repeated, tag = "2")]
    pub(super) messages: Vec<Envelope>,
    #[prost(message, repeated, tag = "3")]
    pub(super) trees: Vec<ObjectTree>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PushMessagesRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) node: Option<NodeId>,
    #[prost(message, repeated, tag = "2")]
    pub(super) messages: Vec<Envelope>,
    #[prost(message, repeated, tag = "3")]
    pub(super) trees: Vec<ObjectTree>,
    #[prost(double, repeated, tag = "4")]
    pub(super) seconds: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PushMessagesAnswer {
    #[prost(string, repeated, tag = "3")]
    pub(super) objects_to_push: Vec<String>,
    #[prost(string, tag = "4")]
    pub(super) session_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PullObjectRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) node: Option<NodeId>,
    #[prost(uint64, tag = "2")]
    pub(super) run_id: u64,
    #[prost(string, tag = "3")]
    pub(super) object_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PullObjectAnswer {
    #[prost(bool, tag = "1")]
    pub(super) found: bool,
    #[prost(bool, tag = "2")]
    pub(super) available: bool,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PushObjectRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) node: Option<NodeId>,
    #[prost(uint64, tag = "2")]
    pub(super) run_id: u64,
    #[prost(string, tag = "3")]
    pub(super) object_id: String,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) content: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(super) session_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PushObjectAnswer {
    #[prost(bool, tag = "1")]
    pub(super) stored: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ConfirmRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) node: Option<NodeId>,
    #[prost(uint64, tag = "2")]
    pub(super) run_id: u64,
    #[prost(string, tag = "3")]
    pub(super) message_object_id: String,
}

/// Flower's `Message`, whose content travels apart, as objects.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Envelope {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<Metadata>,
    /// Always empty, and there unless there is an error: the server refuses a message without either.
    #[prost(message, optional, tag = "2")]
    pub(super) content: Option<Empty>,
    #[prost(message, optional, tag = "3")]
    pub(super) error: Option<ErrorReply>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(uint64, tag = "1")]
    pub(super) run_id: u64,
    #[prost(string, tag = "2")]
    pub(super) message_id: String,
    #[prost(uint64, tag = "3")]
    pub(super) src_node_id: u64,
    #[prost(uint64, tag = "4")]
    pub(super) dst_node_id: u64,
    #[prost(string, tag = "5")]
    pub(super) reply_to_message_id: String,
    #[prost(string, tag = "6")]
    pub(super) group_id: String,
    #[prost(double, tag = "7")]
    pub(super) ttl: f64,
    #[prost(string, tag = "8")]
    pub(super) message_type: String,
    #[prost(double, tag = "9")]
    pub(super) created_at: f64,
    #[prost(uint64, optional, tag = "10")]
    pub(super) src_task_id: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    pub(super) dst_task_id: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ErrorReply {
    #[prost(sint64, tag = "1")]
    pub(super) code: i64,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ObjectTree {
    #[prost(string, tag = "1")]
    pub(super) object_id: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) children: Vec<ObjectTree>,
}

/// Flower's `MetricRecord` and `ConfigRecord`, of which the first has numbers alone.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueRecord {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<ValueItem>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueItem {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<RecordValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RecordValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 21, 22, 23, 24, 25, 26")]
    pub(super) value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Value {
    #[prost(double, tag = "1")]
    Double(f64),
    #[prost(sint64, tag = "2")]
    Signed(i64),
    #[prost(uint64, tag = "3")]
    Unsigned(u64),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(string, tag = "5")]
    Text(String),
    #[prost(bytes, tag = "6")]
    Bytes(Vec<u8>),
    #[prost(message, tag = "21")]
    Doubles(Doubles),
    #[prost(message, tag = "22")]
    Signeds(Signeds),
    #[prost(message, tag = "23")]
    Unsigneds(Unsigneds),
    #[prost(message, tag = "24")]
    Bools(Bools),
    #[prost(message, tag = "25")]
    Texts(Texts),
    #[prost(message, tag = "26")]
    ByteLists(ByteLists),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Doubles {
    #[prost(double, repeated, tag = "1")]
    pub(super) values: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Signeds {
    #[prost(sint64, repeated, tag = "1")]
    pub(super) values: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Unsigneds {
    #[prost(uint64, repeated, tag = "1")]
    pub(super) values: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Bools {
    #[prost(bool, repeated, tag = "1")]
    pub(super) values: Vec<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub(super) values: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ByteLists {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) values: Vec<Vec<u8>>,
}

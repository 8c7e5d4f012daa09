//! A server of Flower that answers as a test tells it to, and the messages that it sends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use gradus_autograd::{Tensor, npy};
use gradus_nn::Module;
use sha2::{Digest, Sha256};

use crate::common::Model;

/// An answer: a status and a body, or a connection that breaks.
pub(crate) type Answer = Option<(u16, Vec<u8>)>;

/// A server on this machine, whose answers a function gives by the last part of the path and the body of a call.
pub(crate) fn server(mut answer: impl FnMut(&str, &[u8]) -> Answer + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Some((path, body)) = request(&stream) else { continue };
            let call = path.rsplit('/').next().unwrap_or_default();
            if let Some((status, body)) = answer(call, &body) {
                let head = format!(
                    "HTTP/1.1 {status} Answer\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
            }
        }
    });
    address
}

pub(crate) fn request(stream: impl Read) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_string();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(text) = header.strip_prefix("content-length:") {
            length = text.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

// Protobuf, written by hand: what the node reads is not written by the code that it is read with.

pub(crate) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

pub(crate) fn number(tag: u64, value: u64) -> Vec<u8> {
    [varint(tag << 3), varint(value)].concat()
}

pub(crate) fn double(tag: u64, value: f64) -> Vec<u8> {
    [varint(tag << 3 | 1), value.to_le_bytes().into()].concat()
}

pub(crate) fn bytes(tag: u64, value: &[u8]) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(value.len() as u64), value.into()].concat()
}

/// The fields of a message with lengths: their tags and contents.
pub(crate) fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let read = |message: &mut &[u8]| {
        let (mut number, mut shift) = (0_u64, 0);
        while let Some((&byte, rest)) = message.split_first() {
            *message = rest;
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        number
    };
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = read(&mut message);
        match key & 7 {
            0 => drop(read(&mut message)),
            1 => message = &message[8..],
            2 => {
                let length = read(&mut message) as usize;
                fields.push((key >> 3, message[..length].to_vec()));
                message = &message[length..];
            }
            kind => panic!("the wire type {kind}"),
        }
    }
    fields
}

pub(crate) fn field(message: &[u8], tag: u64) -> Vec<u8> {
    fields(message).into_iter().find(|(found, _)| *found == tag).unwrap_or_else(|| panic!("no field {tag}")).1
}

/// The name of an object.
pub(crate) fn hash(content: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(content).into();
    hash.map(|byte| format!("{byte:02x}")).concat()
}

/// Objects by name, and the tree of a message.
#[derive(Default, Clone)]
pub(crate) struct Store {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
}

impl Store {
    /// Adds an object; gives its name and its tree.
    pub(crate) fn add(&mut self, kind: &str, parts: &[(String, Vec<u8>)], body: &[u8]) -> (String, Vec<u8>) {
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        let mut content = format!("{kind} {} {}\0", names.join(","), body.len()).into_bytes();
        content.extend(body);
        let name = hash(&content);
        self.objects.insert(name.clone(), content);
        let children = parts.iter().flat_map(|(_, tree)| bytes(2, tree));
        let tree = bytes(1, name.as_bytes()).into_iter().chain(children).collect();
        (name, tree)
    }

    pub(crate) fn array(&mut self, tensor: &Tensor<f64>) -> (String, Vec<u8>) {
        let data = npy::to_bytes(tensor.clone()).unwrap();
        let (first, second) = data.split_at(70);
        let chunks = [first, second].map(|chunk| self.add("ArrayChunk", &[], chunk));
        let body = format!(
            "{{\"dtype\": \"float64\", \"shape\": {:?}, \"stype\": \"numpy.ndarray\", \"arraychunk_ids\": [0, 1]}}",
            tensor.shape()
        );
        self.add("Array", &chunks, body.as_bytes())
    }

    /// A message that asks for training from the parameters of a model: its metadata and its tree.
    pub(crate) fn train(&mut self, model: &Model) -> (Vec<u8>, Vec<u8>) {
        let arrays: Vec<_> = model
            .named_parameters()
            .into_iter()
            .map(|(name, parameter)| (name, self.array(parameter.value())))
            .collect();
        let record = |parts: &[(String, (String, Vec<u8>))]| {
            let names: Vec<String> =
                parts.iter().map(|(key, (name, _))| format!("{key:?}: {name:?}")).collect();
            format!("{{{}}}", names.join(", "))
        };
        let trees: Vec<_> = arrays.iter().map(|(_, tree)| tree.clone()).collect();
        let arrays = self.add("ArrayRecord", &trees, record(&arrays).as_bytes());
        // server-round = 7, a zigzag integer.
        let item = [bytes(1, b"server-round"), bytes(2, &number(2, 14))].concat();
        let config = self.add("ConfigRecord", &[], &bytes(1, &item));
        let parts = [("arrays".to_string(), arrays), ("config".to_string(), config)];
        let trees: Vec<_> = parts.iter().map(|(_, tree)| tree.clone()).collect();
        let content = self.add("RecordDict", &trees, record(&parts).as_bytes());
        let metadata = [
            number(1, 5),
            bytes(2, b"the message"),
            number(3, 1),
            number(4, 42),
            double(7, 1e9),
            bytes(8, b"train"),
            double(9, 1e9),
        ]
        .concat();
        let (_, tree) = self.add("Message", &[content], &bytes(1, &metadata));
        (metadata, tree)
    }
}

pub(crate) fn joined(call: &str) -> Answer {
    match call {
        "register-node" | "activate-node" => Some((200, number(1, 42))),
        "send-node-heartbeat" => Some((200, number(1, 1))),
        "deactivate-node" | "unregister-node" | "confirm-message-received" | "pull-messages" => {
            Some((200, Vec::new()))
        }
        _ => None,
    }
}

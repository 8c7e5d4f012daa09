//! Flower's objects: a record, an array, a chunk of an array, each with the hashes of its parts and a hash as its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use prost::Message;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::wire::ObjectTree;

/// The longest chunk of an array.
const CHUNK: usize = 5 << 20;

/// Objects by their names.
pub(super) type Objects = BTreeMap<String, Vec<u8>>;

/// The name of an object: the SHA-256 of its bytes.
pub(super) fn name(content: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(content).into();
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

/// An object that was read: its type, the names of its parts, its body.
pub(super) struct Object<'a> {
    pub(super) kind: &'a str,
    pub(super) parts: Vec<&'a str>,
    pub(super) body: &'a [u8],
}

impl<'a> Object<'a> {
    /// Reads `Type part,part length\0body`.
    pub(super) fn read(content: &'a [u8]) -> Result<Self, String> {
        let end = content.iter().position(|&byte| byte == 0).ok_or("an object without a head")?;
        let head = str::from_utf8(&content[..end]).map_err(|_| "an object whose head is no text")?;
        let body = &content[end + 1..];
        let [kind, parts, length] = head.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("an object with the head {head:?}"));
        };
        if length.parse() != Ok(body.len()) {
            return Err(format!("an object of {} bytes that names {length}", body.len()));
        }
        Ok(Self { kind, parts: parts.split(',').filter(|part| !part.is_empty()).collect(), body })
    }

    /// Reads an object of a known type.
    pub(super) fn get(objects: &'a Objects, name: &str, kind: &str) -> Result<Self, String> {
        let object = Self::read(objects.get(name).ok_or_else(|| format!("there is no object {name}"))?)?;
        if object.kind == kind {
            return Ok(object);
        }
        Err(format!("the object {name} is a {}, not a {kind}", object.kind))
    }

    /// The names of parts under their keys, as records have them.
    pub(super) fn references(&self) -> Result<Vec<(String, String)>, String> {
        let json: Json = serde_json::from_slice(self.body).map_err(|error| error.to_string())?;
        let map = json.as_object().ok_or("a record without names")?;
        let pair = |(key, name): (&String, &Json)| Some((key.clone(), name.as_str()?.to_string()));
        map.iter().map(pair).collect::<Option<_>>().ok_or_else(|| "a record whose names are no text".into())
    }
}

/// Makes objects, and the tree of their names.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) objects: Objects,
}

impl Builder {
    /// Adds an object with its parts, of which equal ones are one.
    pub(super) fn add(&mut self, kind: &str, mut parts: Vec<ObjectTree>, body: &[u8]) -> ObjectTree {
        let mut seen = BTreeSet::new();
        parts.retain(|part| seen.insert(part.object_id.clone()));
        let names: Vec<&str> = parts.iter().map(|part| part.object_id.as_str()).collect();
        let mut content = format!("{kind} {} {}\0", names.join(","), body.len()).into_bytes();
        content.extend(body);
        let object_id = name(&content);
        self.objects.insert(object_id.clone(), content);
        ObjectTree { object_id, children: parts }
    }

    /// Adds an array in the format `.npy`, in chunks.
    pub(super) fn array(&mut self, dtype: &str, shape: &[usize], npy: &[u8]) -> ObjectTree {
        let chunks: Vec<ObjectTree> =
            npy.chunks(CHUNK).map(|chunk| self.add("ArrayChunk", Vec::new(), chunk)).collect();
        let mut unique: Vec<&str> = Vec::new();
        let mut places = Vec::new();
        for chunk in &chunks {
            let known = unique.iter().position(|name| *name == chunk.object_id);
            places.push(known.unwrap_or_else(|| {
                unique.push(&chunk.object_id);
                unique.len() - 1
            }));
        }
        let body =
            json!({"dtype": dtype, "shape": shape, "stype": "numpy.ndarray", "arraychunk_ids": places});
        self.add("Array", chunks, body.to_string().as_bytes())
    }

    /// Adds a record of objects under keys.
    pub(super) fn record(&mut self, kind: &str, parts: Vec<(String, ObjectTree)>) -> ObjectTree {
        let names: serde_json::Map<String, Json> =
            parts.iter().map(|(key, tree)| (key.clone(), Json::from(tree.object_id.clone()))).collect();
        let body = Json::from(names).to_string();
        self.add(kind, parts.into_iter().map(|(_, tree)| tree).collect(), body.as_bytes())
    }

    /// Adds a message of protobuf.
    pub(super) fn message(
        &mut self,
        kind: &str,
        parts: Vec<ObjectTree>,
        message: &impl Message,
    ) -> ObjectTree {
        self.add(kind, parts, &message.encode_to_vec())
    }
}

/// The bytes of an array, put together from its chunks.
pub(super) fn array_bytes(objects: &Objects, name: &str) -> Result<Vec<u8>, String> {
    let array = Object::get(objects, name, "Array")?;
    let json: Json = serde_json::from_slice(array.body).map_err(|error| error.to_string())?;
    if json["stype"] != "numpy.ndarray" {
        return Err(format!(
            "the array {name} is stored as {}, and only numpy.ndarray can be read",
            json["stype"]
        ));
    }
    let places = json["arraychunk_ids"].as_array().ok_or("an array without chunks")?;
    let mut bytes = Vec::new();
    for place in places {
        let part = place.as_u64().and_then(|place| array.parts.get(place as usize));
        let part = part.ok_or_else(|| format!("the array {name} has no chunk {place}"))?;
        bytes.extend(Object::get(objects, part, "ArrayChunk")?.body);
    }
    Ok(bytes)
}

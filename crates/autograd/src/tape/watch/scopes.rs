//! The parts of a program that operations run in, and their paths.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::panic::Location;
use std::sync::Arc;

use super::LayerKey;

/// A part of a program that is open while it runs: a layer, or what was named by [`scope`].
#[derive(Debug)]
pub(crate) struct Scope {
    pub(super) parent: Option<Arc<Scope>>,
    pub(super) name: Name,
    /// The number of scopes of the same name that were opened before, at any depth, in the same run of the layer around it.
    pub(super) ordinal: usize,
    /// The sources of the library that it belongs to; empty for a user's own.
    pub(super) home: &'static str,
}

/// The name of a [`Scope`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Given(Cow<'static, str>),
    /// The address and the type of a layer.
    Layer(LayerKey),
}

/// Where a node of the tape was made.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) scope: Option<Arc<Scope>>,
    pub(crate) line: &'static Location<'static>,
}

/// The path of a scope.
#[derive(Default)]
pub(super) struct Path {
    /// Scopes that were given a name, and layers of an unknown place.
    front: String,
    /// The place in the model; empty for the model itself.
    layer: String,
    /// The innermost place in the model that is known, which is in `front` if something without a place is inside of it.
    within: String,
}

impl Path {
    /// The path of a scope, which may be empty; the parts of the path that are not of layers with a known place come
    /// first.
    pub(super) fn of(scope: Option<&Scope>, paths: &HashMap<LayerKey, Vec<String>>) -> Self {
        let Some(scope) = scope else { return Self::default() };
        let parent = Self::of(scope.parent.as_deref(), paths);
        let named = match &scope.name {
            Name::Given(_) => None,
            Name::Layer(key) => paths.get(key),
        };
        let inside = |path: &&String| {
            parent.within.is_empty()
                || path
                    .strip_prefix(&*parent.within)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let candidates: Vec<&String> = named.into_iter().flatten().filter(inside).collect();
        if let Some(&layer) = candidates.get(scope.ordinal % candidates.len().max(1)) {
            return Self { front: parent.front, layer: layer.clone(), within: layer.clone() };
        }
        let name = match &scope.name {
            Name::Given(name) => name,
            Name::Layer((_, name)) => short(name),
        };
        Self { front: join(&parent.to_string(), name), layer: String::new(), within: parent.within }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.front, &self.layer))
    }
}

fn join(front: &str, name: &str) -> String {
    match (front, name) {
        ("", name) | (name, "") => name.to_string(),
        _ => format!("{front} > {name}"),
    }
}

/// The name of a type without its modules and parameters.
pub(super) fn short(name: &'static str) -> &'static str {
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

/// The folder of the sources that a file is in.
pub(super) fn home_of(file: &str) -> &str {
    file.rfind("src").map_or(file, |end| &file[..end])
}

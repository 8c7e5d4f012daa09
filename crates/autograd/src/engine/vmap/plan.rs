//! The way in which each operation is applied to all examples.

use std::fmt::{self, Display, Formatter};

use gradus_tensor::Shape;

/// The way in which an operation is applied to all examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Batched,
    Elementwise,
    OneByOne,
}

/// The plan of [`vmap`](crate::vmap), made by [`vmap_plan`](crate::vmap_plan). It prints a line for each operation.
#[derive(Debug, Clone)]
pub struct VmapPlan {
    size: usize,
    /// The operations, or `None` if the whole function runs for one example after another.
    steps: Option<Vec<(&'static str, Way, Shape)>>,
}

impl VmapPlan {
    pub(super) fn new(size: usize) -> Self {
        Self { size, steps: Some(Vec::new()) }
    }

    pub(super) fn push(&mut self, operation: &'static str, way: Way, shape: &[usize]) {
        let steps = self.steps.get_or_insert_default();
        steps.push((operation, way, shape.into()));
    }

    pub(super) fn whole(&mut self) {
        self.steps = None;
    }

    /// The names of the operations that are applied to one example after another.
    pub fn loops(&self) -> Vec<&'static str> {
        let loops = self.steps.iter().flatten().filter(|(_, way, _)| *way == Way::OneByOne);
        loops.map(|(operation, _, _)| *operation).collect()
    }

    /// Whether the function reads numbers of its examples, and so runs once for each of them.
    pub fn is_loop(&self) -> bool {
        self.steps.is_none()
    }
}

impl Display for VmapPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(steps) = &self.steps else {
            return writeln!(f, "the function reads numbers of its examples, and runs {} times", self.size);
        };
        steps.iter().try_for_each(|(operation, way, shape)| {
            let way = match way {
                Way::Batched => "batched",
                Way::Elementwise => "elementwise",
                Way::OneByOne => "one by one",
            };
            writeln!(f, "{operation} : {way} {shape:?}")
        })
    }
}

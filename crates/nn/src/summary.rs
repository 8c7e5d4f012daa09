//! A model as a table.

use std::fmt::{self, Display, Formatter};

use gradus_autograd::Float;

use crate::member::Member;
use crate::module::Module;
use crate::path::Path;

/// The parameters and buffers of a model with their names, shapes and sizes, and totals; made by
/// [`Module::summary`](crate::Module::summary), and printed as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The rows, in the order of a visit.
    pub rows: Vec<SummaryRow>,
}

/// A row of a [`Summary`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// The name, such as `hidden.weight`.
    pub name: String,
    /// The kind: `trainable`, `frozen`, `buffer` or `quantized`.
    pub kind: &'static str,
    /// The sizes of the axes.
    pub shape: Vec<usize>,
}

impl SummaryRow {
    /// The number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Summary {
    pub(crate) fn of<T: Float>(model: &(impl Module<T> + ?Sized)) -> Self {
        let mut rows = Vec::new();
        model.visit(Path::ROOT, &mut |path, member| {
            let (kind, shape) = match member {
                Member::Parameter(parameter) if parameter.is_trainable() => {
                    ("trainable", parameter.shape().to_vec())
                }
                Member::Parameter(parameter) => ("frozen", parameter.shape().to_vec()),
                Member::Buffer(buffer) => ("buffer", buffer.value().shape().to_vec()),
                Member::Packed(packed) => ("quantized", packed.to_state().shape().to_vec()),
                _ => return,
            };
            rows.push(SummaryRow { name: path.to_string(), kind, shape });
        });
        Self { rows }
    }

    /// The number of elements of all rows of a kind.
    fn total(&self, kind: &str) -> usize {
        self.rows.iter().filter(|row| row.kind == kind).map(SummaryRow::count).sum()
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cells = self.rows.iter().map(|row| {
            [row.name.clone(), format!("{:?}", row.shape), row.count().to_string(), row.kind.to_string()]
        });
        let header = ["name", "shape", "numbers", "kind"].map(String::from);
        let cells: Vec<[String; 4]> = std::iter::once(header).chain(cells).collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [name_width, shape_width, count_width] = [0, 1, 2].map(width);
        for [name, shape, count, kind] in &cells {
            writeln!(f, "{name:name_width$}  {shape:shape_width$}  {count:>count_width$}  {kind}")?;
        }
        let [trainable, frozen, buffers] = ["trainable", "frozen", "buffer"].map(|kind| self.total(kind));
        write!(
            f,
            "{} parameters, {trainable} trainable, {frozen} frozen; {buffers} in buffers",
            trainable + frozen
        )
    }
}

//! A forward pass as a table: what each layer makes of an input, and what that costs.

use std::fmt::{self, Display, Formatter};

use gradus_autograd::{AsVar, Event, Float, Phase, Tensor, no_grad, profile};

use crate::inside::{name_layers, open};
use crate::layers::Layer;
use crate::member::Member;
use crate::module::Module;
use crate::path::Path;

/// The layers that ran in a forward pass, with the shapes of their results and their costs; made by [`summary`] and
/// [`summary_with`], and printed as a table. [`Module::summary`] lists parameters, without running anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardSummary {
    /// A row for each layer, in the order in which they ran; the first is the model.
    pub rows: Vec<ForwardSummaryRow>,
    /// The number of elements of all parameters of the model.
    pub parameters: usize,
    /// The number of bytes of the results of all operations.
    pub bytes: usize,
    /// The number of multiplications with an addition in products; see
    /// [`Operation::multiply_adds`](gradus_autograd::Operation::multiply_adds).
    pub multiply_adds: u64,
}

/// A row of a [`ForwardSummary`]: a layer, with all layers inside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardSummaryRow {
    /// The path in the model, such as `encoder.0.attention`; empty for the model itself.
    pub path: String,
    /// The type.
    pub layer: String,
    /// The number of times that it ran.
    pub count: usize,
    /// The shape of its (last) result; of a layer that does not tell, and in which no operation ran, none.
    pub output: Option<Vec<usize>>,
    /// The number of elements of its parameters.
    pub parameters: usize,
    /// The number of bytes of the result.
    pub bytes: usize,
    /// The number of multiplications with an addition, all runs together.
    pub multiply_adds: u64,
}

/// Runs a layer or a [`Sequential`](crate::Sequential) on an input, and tells what each layer in it did; see [`summary_with`] for
/// other models.
///
/// ```
/// use gradus_autograd::{Conv, Tensor, seeded};
/// use gradus_nn::{Conv2d, Flatten, Linear, MaxPool2d, Relu, Sequential, summary};
///
/// let rng = &mut seeded(0);
/// let model = Sequential::new()
///     .push(Conv2d::new(1, 6, 5, Conv::new(), rng))
///     .push(Relu)
///     .push(MaxPool2d::new(2))
///     .push(Flatten)
///     .push(Linear::new(6 * 12 * 12, 10, rng));
/// let summary = summary(&model, Tensor::<f32>::ones([1, 1, 28, 28]));
/// assert_eq!(summary.to_string(), "\
/// path     layer       output          parameters  bytes  multiply-adds
/// (model)  Sequential  [1, 10]               8806     40          95040
/// 0        Conv2d      [1, 6, 24, 24]         156  13824          86400
/// 1        Relu        [1, 6, 24, 24]           0  13824              0
/// 2        MaxPool2d   [1, 6, 12, 12]           0   3456              0
/// 3        Flatten     [1, 864]                 0   3456              0
/// 4        Linear      [1, 10]               8650     40           8640
/// 8806 parameters, 95040 multiply-adds; 34600 bytes in the results of all operations");
/// ```
///
/// # Panics
/// As `forward` does.
#[track_caller]
pub fn summary<T: Float>(layer: &impl Layer<T>, input: impl AsVar<T>) -> ForwardSummary {
    let input = input.as_var();
    summary_with(layer, |layer| layer.forward(&input))
}

/// Runs a forward pass of a model, without recording it, and tells what each layer did.
///
/// The model runs in the mode that it is in, and is afterwards as it was, running statistics and counters included. Layers of a
/// model that does not derive [`Module`] are shown under their types.
///
/// ```standalone_crate
/// use gradus_autograd::{AsVar, Tensor, Var, seeded};
/// use gradus_nn::{Linear, Module, summary_with};
/// # extern crate gradus_nn as gradus;
///
/// #[derive(Module)]
/// struct Mlp {
///     hidden: Linear,
///     out: Linear,
/// }
///
/// impl Mlp {
///     fn forward(&self, x: impl AsVar) -> Var {
///         self.out.forward(self.hidden.forward(x).tanh())
///     }
/// }
///
/// let rng = &mut seeded(0);
/// let mlp = Mlp { hidden: Linear::new(4, 8, rng), out: Linear::new(8, 3, rng) };
/// let summary = summary_with(&mlp, |mlp| mlp.forward(Tensor::ones([5, 4])));
/// let rows: Vec<(&str, usize, u64)> =
///     summary.rows.iter().map(|row| (&*row.path, row.parameters, row.multiply_adds)).collect();
/// assert_eq!(rows, [("", 67, 280), ("hidden", 40, 160), ("out", 27, 120)]);
/// ```
///
/// # Panics
/// As `forward` does.
#[track_caller]
pub fn summary_with<T: Float, M: Module<T>, R>(model: &M, forward: impl FnOnce(&M) -> R) -> ForwardSummary {
    let kept = Kept::of(model);
    let ((), profile) = profile(|| {
        name_layers(model);
        let _scope = open(model);
        no_grad(|| drop(forward(model)));
    });
    drop(kept);
    let events = profile.events();
    let named = model.named_parameters();
    let mut rows: Vec<ForwardSummaryRow> = Vec::new();
    for (i, event) in events.iter().enumerate().filter(|(_, event)| event.phase == Phase::Scope) {
        let inside = || events[i + 1..].iter().take_while(|inner| inner.depth > event.depth);
        let operations = || inside().filter(|inner| inner.phase != Phase::Scope);
        let (output, bytes) = result_of(event, operations().last());
        let multiply_adds = operations().map(|inner| inner.multiply_adds).sum();
        let same = |row: &&mut ForwardSummaryRow| *row.path == *event.path && row.layer == event.name;
        if let Some(row) = rows.iter_mut().find(same) {
            row.count += 1;
            row.multiply_adds += multiply_adds;
            (row.output, row.bytes) = (output, bytes);
            continue;
        }
        let path = event.path.rsplit(" > ").next().unwrap_or("");
        let is_inside = |name: &str| {
            path.is_empty()
                || name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let inside = named.iter().filter(|(name, _)| is_inside(name));
        rows.push(ForwardSummaryRow {
            path: event.path.to_string(),
            layer: event.name.to_string(),
            count: 1,
            output,
            parameters: inside.map(|(_, parameter)| parameter.len()).sum(),
            bytes,
            multiply_adds,
        });
    }
    ForwardSummary {
        rows,
        parameters: model.parameter_count(),
        bytes: profile.operations().filter(|event| event.is_outermost).map(|event| event.bytes).sum(),
        multiply_adds: profile.multiply_adds(),
    }
}

/// The shape and the bytes of the result of a layer: what it told, or else the result of the last operation in it.
fn result_of(event: &Event, last: Option<&Event>) -> (Option<Vec<usize>>, usize) {
    let event = if event.output.is_some() { Some(event) } else { last };
    event.map_or((None, 0), |event| (event.output.as_ref().map(|shape| shape.to_vec()), event.bytes))
}

/// The buffers and counters of a model, which a forward pass in training changes.
struct Kept<'m, T: Float> {
    model: &'m dyn Module<T>,
    buffers: Vec<Tensor<T>>,
    counters: Vec<i64>,
}

impl<'m, T: Float> Kept<'m, T> {
    fn of(model: &'m dyn Module<T>) -> Self {
        let mut kept = Self { model, buffers: Vec::new(), counters: Vec::new() };
        model.visit(Path::ROOT, &mut |_, member| match member {
            Member::Buffer(buffer) => kept.buffers.push(buffer.value()),
            Member::Counter(counter) => kept.counters.push(counter.get()),
            _ => {}
        });
        kept
    }
}

impl<T: Float> Drop for Kept<'_, T> {
    /// Puts them back, also if the pass panics.
    fn drop(&mut self) {
        let (mut buffers, mut counters) = (self.buffers.drain(..), self.counters.drain(..));
        self.model.visit(Path::ROOT, &mut |_, member| match member {
            Member::Buffer(buffer) => buffer.set(buffers.next().expect("the model has the buffers it had")),
            Member::Counter(counter) => {
                counter.set(counters.next().expect("the model has the counters it had"));
            }
            _ => {}
        });
    }
}

impl Display for ForwardSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let header = ["path", "layer", "output", "parameters", "bytes", "multiply-adds"].map(String::from);
        let mut cells = vec![header];
        cells.extend(self.rows.iter().map(|row| {
            let times = if row.count == 1 { String::new() } else { format!(" x {}", row.count) };
            [
                if row.path.is_empty() { "(model)".into() } else { row.path.clone() },
                format!("{}{times}", row.layer),
                row.output.as_ref().map_or("unknown".into(), |shape| format!("{shape:?}")),
                row.parameters.to_string(),
                row.bytes.to_string(),
                row.multiply_adds.to_string(),
            ]
        }));
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [path_width, layer_width, output_width, parameters_width, bytes_width, products_width] =
            [0, 1, 2, 3, 4, 5].map(width);
        for [path, layer, output, parameters, bytes, products] in &cells {
            writeln!(
                f,
                "{path:path_width$}  {layer:layer_width$}  {output:output_width$}  {parameters:>parameters_width$}  \
                 {bytes:>bytes_width$}  {products:>products_width$}"
            )?;
        }
        write!(
            f,
            "{} parameters, {} multiply-adds; {} bytes in the results of all operations",
            self.parameters, self.multiply_adds, self.bytes
        )
    }
}

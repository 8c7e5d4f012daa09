//! Programs whose rows are longer than a tile should be: a stage for each reduction that others wait for.
//!
//! A stage goes over all elements by tiles and accumulates reductions of rows. The next stage has their results as
//! inputs, and computes elements anew instead of keeping them.

use smallvec::SmallVec;

use super::plan::{Extent, Program, operands_of};
use super::run::join;
use super::{FusedStep, Given, Reduction};
use crate::element::Float;
use crate::kernels::range::is_finite;
use crate::kernels::reduce::sum::{Partial, sum_of_partial_sums};
use crate::layout::{Layout, Strided, copied};
use crate::runtime::Buffer;
use crate::shape::Shape;

/// Rows of more elements are reduced by tiles.
const LONG: usize = 8192;

/// A program as one or several programs.
#[derive(Debug)]
pub(crate) struct Stages<T> {
    list: Vec<Stage<T>>,
    /// The number of inputs.
    inputs: usize,
    shape: Shape,
    /// The program's shape with size 1 in place of the row's axes.
    row_shape: Layout,
    output_shapes: SmallVec<[Shape; 4]>,
    /// Outputs that are accumulated reductions, and which.
    reduced_outputs: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Stage<T> {
    program: Program<T>,
    /// For plans of parts of it.
    steps: Vec<FusedStep<T>>,
    /// The outputs that it writes.
    outputs: Vec<usize>,
    /// The reductions that it accumulates, and of which of its steps.
    accumulated: Vec<(Reduction, u32)>,
}

impl<T: Float> Stages<T> {
    /// See [`Fused::new`](crate::fused::Fused::new).
    pub(super) fn new(
        shape: &[usize],
        row_axes: usize,
        inputs: &[&[usize]],
        steps: &[FusedStep<T>],
        outputs: &[u32],
    ) -> Self {
        let reduces = steps.iter().any(|step| matches!(step, FusedStep::Reduce(..)));
        let kept = shape.len() - row_axes;
        let length: usize = shape[kept..].iter().product();
        let row_shape: Shape =
            shape.iter().enumerate().map(|(axis, &size)| if axis < kept { size } else { 1 }).collect();
        let mut stages = Self {
            list: Vec::new(),
            inputs: inputs.len(),
            shape: copied(shape),
            row_shape: Layout::contiguous(&row_shape),
            output_shapes: SmallVec::new(),
            reduced_outputs: Vec::new(),
        };
        if reduces && length > LONG {
            stages.split(row_axes, inputs, steps, outputs);
            return stages;
        }
        let row_axes = reduces.then_some(row_axes);
        let program = Program::new(shape, row_axes, inputs, steps, outputs, &[]);
        stages.output_shapes = program.outputs.iter().map(|&extent| program.shape_of(extent)).collect();
        let outputs = (0..outputs.len()).collect();
        stages.list.push(Stage { program, steps: Vec::new(), outputs, accumulated: Vec::new() });
        stages
    }

    /// A stage for each number of reductions that have to be done one after another.
    fn split(&mut self, row_axes: usize, inputs: &[&[usize]], steps: &[FusedStep<T>], outputs: &[u32]) {
        let mut levels: Vec<usize> = Vec::with_capacity(steps.len());
        for step in steps {
            let level = operands_of(step).iter().map(|&x| levels[x as usize]).max().unwrap_or(0);
            levels.push(level + usize::from(matches!(step, FusedStep::Reduce(..))));
        }
        let needed = needed(steps, outputs);
        let row_shape = copied(&self.row_shape.shape);
        let mut inputs = inputs.to_vec();
        let mut steps = steps.to_vec();
        self.output_shapes = SmallVec::from_elem(copied(&row_shape), outputs.len());
        for level in 0..=outputs.iter().map(|&x| levels[x as usize]).max().unwrap_or(0) {
            let mut reduced = Vec::new();
            let mut accumulated = Vec::new();
            for (number, step) in steps.iter().enumerate() {
                if let FusedStep::Reduce(reduction, operand) = *step
                    && needed[number]
                    && levels[number] == level + 1
                {
                    reduced.push(number);
                    accumulated.push((reduction, operand));
                }
            }
            let is_written = |&k: &usize| {
                let step = outputs[k] as usize;
                levels[step] == level && !self.reduced_outputs.iter().any(|(output, _)| *output == k)
            };
            let written: Vec<usize> = (0..outputs.len()).filter(is_written).collect();
            let wanted: Vec<u32> = written.iter().map(|&k| outputs[k]).collect();
            if !wanted.is_empty() || !accumulated.is_empty() {
                let program =
                    Program::new(&self.shape, Some(row_axes), &inputs, &steps, &wanted, &accumulated);
                for (&output, &extent) in written.iter().zip(&program.outputs) {
                    self.output_shapes[output] = program.shape_of(extent);
                }
                let steps = steps.clone();
                self.list.push(Stage { program, steps, outputs: written, accumulated });
            }
            // For the stages that follow, their results are inputs.
            for number in reduced {
                let of_number = (0..outputs.len()).filter(|&k| outputs[k] as usize == number);
                self.reduced_outputs.extend(of_number.map(|k| (k, inputs.len() - self.inputs)));
                steps[number] = FusedStep::Input(inputs.len());
                inputs.push(&row_shape);
            }
        }
    }

    pub(crate) fn output_shape(&self, output: usize) -> &[usize] {
        &self.output_shapes[output]
    }

    /// Whether an output can be written over an input of this shape.
    pub(crate) fn can_overwrite(&self, output: usize, input: &[usize]) -> bool {
        // Of several stages, a later one might read the input again.
        let [Stage { program, accumulated, .. }] = &self.list[..] else { return false };
        let is_element = program.outputs.get(output) == Some(&Extent::Element);
        accumulated.is_empty() && is_element && program.shape[..] == *input
    }

    /// The program, if it is one tile.
    pub(crate) fn single_tile(&self) -> Option<&Program<T>> {
        let [Stage { program, accumulated, .. }] = &self.list[..] else { return None };
        let Program { rows, length, tile_rows, tile_length, .. } = program;
        let is_one = *rows == *tile_rows && length == tile_length && rows * length > 0;
        (accumulated.is_empty() && is_one).then_some(program)
    }

    pub(super) fn run(&self, inputs: &[Given<'_, T>], outputs: &mut [&mut [T]]) {
        if let [Stage { program, accumulated, .. }] = &self.list[..]
            && accumulated.is_empty()
        {
            return program.run(inputs, outputs, &mut []);
        }
        self.run_all(inputs, outputs);
    }

    #[inline(never)]
    fn run_all(&self, inputs: &[Given<'_, T>], outputs: &mut [&mut [T]]) {
        assert!(
            inputs.len() == self.inputs && outputs.len() == self.output_shapes.len(),
            "all inputs and outputs"
        );
        // Later stages read inputs again.
        let copies = inputs.iter().map(|input| match *input {
            Given::Elements(_) => None,
            Given::Output(output) => Some(Buffer::copy(outputs[output])),
        });
        let copies: Vec<Option<Buffer<T>>> = copies.collect();
        let whole = Layout::contiguous(&self.shape);
        let mut given: Vec<Given<'_, T>> = inputs
            .iter()
            .zip(&copies)
            .map(|(input, copy)| match copy {
                Some(copy) => Given::Elements(Strided { data: copy.as_slice(), layout: &whole }),
                None => *input,
            })
            .collect();
        // A place for each, so that they stay where they are.
        let mut reduced: Vec<Vec<T>> = Vec::new();
        for stage in &self.list {
            let mut results = {
                let mut given = given.clone();
                given.extend(
                    reduced.iter().map(|data| Given::Elements(Strided { data, layout: &self.row_shape })),
                );
                let mut written: SmallVec<[&mut [T]; 4]> = outputs
                    .iter_mut()
                    .enumerate()
                    .filter(|(k, _)| stage.outputs.contains(k))
                    .map(|(_, output)| &mut **output)
                    .collect();
                stage.run(&given, &mut written)
            };
            reduced.append(&mut results);
        }
        given.clear();
        for &(output, number) in &self.reduced_outputs {
            outputs[output].copy_from_slice(&reduced[number]);
        }
    }
}

impl<T: Float> Stage<T> {
    /// Writes the outputs; returns the results of the accumulated reductions.
    fn run(&self, inputs: &[Given<'_, T>], outputs: &mut [&mut [T]]) -> Vec<Vec<T>> {
        let program = &self.program;
        let pieces = program.pieces_in_row();
        let count = if self.accumulated.is_empty() { 0 } else { program.rows * pieces };
        let mut partials: Vec<Partial<T>> = vec![[T::ZERO; _]; self.accumulated.len() * count];
        program.run(inputs, outputs, &mut partials);
        let reductions = self.accumulated.iter().zip(partials.chunks_exact_mut(count.max(1)));
        reductions
            .map(|(&(reduction, step), parts)| {
                let rows = parts.chunks_exact_mut(pieces);
                let mut results: Vec<T> =
                    rows.map(|parts| finish(reduction, parts, program.length)).collect();
                let is_sum = matches!(reduction, Reduction::Sum | Reduction::Mean);
                if is_sum && !results.iter().all(|&x| is_finite(x)) {
                    self.reduce_again(inputs, reduction, step, &mut results);
                }
                results
            })
            .collect()
    }

    /// Computes the sums that are not finite from all elements, as only partial sums may have been too large.
    #[cold]
    fn reduce_again(&self, inputs: &[Given<'_, T>], reduction: Reduction, step: u32, results: &mut [T]) {
        let program = &self.program;
        let shapes: Vec<&[usize]> = program.inputs.iter().map(|input| &input.shape[..]).collect();
        let (shape, axes) = (&program.shape, Some(program.row_axes));
        let whole = Program::new(shape, axes, &shapes, &self.steps, &[step], &[]);
        let mut elements = vec![T::ZERO; whole.size(whole.outputs[0])];
        whole.run(inputs, &mut [&mut elements], &mut []);
        let length = program.length;
        for (row, result) in results.iter_mut().enumerate().filter(|(_, result)| !is_finite(**result)) {
            *result = match whole.outputs[0] {
                Extent::Element => reduction.of(&elements[row * length..][..length]),
                Extent::Row => reduction.of(&vec![elements[row]; length]),
                Extent::Once => reduction.of(&vec![elements[0]; length]),
            };
        }
    }
}

/// The result of a row's partial results.
fn finish<T: Float>(reduction: Reduction, parts: &mut [Partial<T>], length: usize) -> T {
    let whole = join(reduction, parts);
    match reduction {
        Reduction::Sum => sum_of_partial_sums(whole),
        Reduction::Mean => sum_of_partial_sums(whole) / T::from_f64(length as f64),
        Reduction::Max | Reduction::Min => whole[0],
    }
}

/// Which steps outputs need.
fn needed<T>(steps: &[FusedStep<T>], outputs: &[u32]) -> Vec<bool> {
    let mut needed = vec![false; steps.len()];
    for &output in outputs {
        needed[output as usize] = true;
    }
    for (number, step) in steps.iter().enumerate().rev() {
        if needed[number] {
            for &operand in operands_of(step) {
                needed[operand as usize] = true;
            }
        }
    }
    needed
}

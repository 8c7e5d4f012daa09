//! Programs of elementwise steps and row reductions, which run in one pass over tiles that stay in the cache.

use smallvec::SmallVec;

pub use crate::kernels::fused::{Function, FusedStep, Reduction};

use crate::element::Float;
use crate::kernels::fused::{Given, Stages};
use crate::tensor::Tensor;

/// A program over one shape: every step has an element for each of the shape's, and some are outputs.
///
/// The results are the bits of the same operations on tensors, one by one, whatever the layouts and the number of
/// threads.
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_tensor::fused::{Function, Fused, FusedStep, Reduction};
///
/// // The softmax of each row.
/// let apply = |name, operands: &[u32]| FusedStep::Apply(Function::named(name).unwrap(), operands.into());
/// let steps = vec![
///     FusedStep::Input(0),
///     FusedStep::Reduce(Reduction::Max, 0),
///     apply("sub", &[0, 1]),
///     apply("exp", &[2]),
///     FusedStep::Reduce(Reduction::Sum, 3),
///     apply("div", &[3, 4]),
/// ];
/// let softmax = Fused::new(&[2, 2], 1, &[&[2, 2]], steps, &[5]);
/// let x = Tensor::from([[0.0, 0.0], [5.0, 5.0]]);
/// let mut y = Tensor::zeros(softmax.shape_of_output(0));
/// softmax.run(&[&x], &mut [&mut y]);
/// assert_eq!(y, Tensor::from([[0.5, 0.5], [0.5, 0.5]]));
/// ```
#[derive(Debug)]
pub struct Fused<T> {
    stages: Stages<T>,
}

impl<T: Float> Fused<T> {
    /// A program over `shape`, to which inputs of these shapes broadcast. Reductions run over the last `row_axes` axes:
    /// all of them for a reduction to one number. Outputs are numbers of steps.
    ///
    /// # Panics
    /// If a step names an operand that does not come before it, or an input that is not there, or has not as many operands
    /// as its function.
    pub fn new(
        shape: &[usize],
        row_axes: usize,
        inputs: &[&[usize]],
        steps: Vec<FusedStep<T>>,
        outputs: &[u32],
    ) -> Self {
        Self { stages: T::plan(shape, row_axes, inputs, &steps, outputs) }
    }

    /// The shape of an output: the program's shape; or, if it has one number for each row, with size 1 in place of the
    /// row's axes; or with size 1 throughout, if it has one number in all.
    pub fn shape_of_output(&self, output: usize) -> &[usize] {
        self.stages.output_shape(output)
    }

    /// Whether the pass is one tile, so that it can be a step of a routine.
    pub fn is_single_tile(&self) -> bool {
        self.stages.single_tile().is_some()
    }

    /// Whether an output can take the place of an input of this shape: see [`FusedInput::Output`].
    pub fn can_overwrite(&self, output: usize, input: &[usize]) -> bool {
        self.stages.can_overwrite(output, input)
    }

    pub(crate) fn stages(&self) -> &Stages<T> {
        &self.stages
    }

    /// Writes each output into a tensor with as many elements, contiguous, of which nobody shares the buffer.
    ///
    /// # Panics
    /// If there are more or fewer inputs or outputs, an input has another shape, or an output is not as described.
    pub fn run(&self, inputs: &[&Tensor<T>], outputs: &mut [&mut Tensor<T>]) {
        let inputs: SmallVec<[_; 8]> = inputs.iter().map(|input| Given::Elements(input.strided())).collect();
        self.run_given(&inputs, outputs);
    }

    /// Like [`run`](Self::run) with other kinds of inputs, too.
    ///
    /// # Panics
    /// As for [`run`](Self::run), and if an input is an output of another shape than the program's.
    pub fn run_with(&self, inputs: &[FusedInput<'_, T>], outputs: &mut [&mut Tensor<T>]) {
        let masks: SmallVec<[Tensor<T>; 2]> = inputs.iter().filter_map(FusedInput::cast).collect();
        let mut masks_left = masks.iter();
        let inputs: SmallVec<[_; 8]> = inputs
            .iter()
            .map(|input| match input {
                FusedInput::Tensor(x) => Given::Elements(x.strided()),
                FusedInput::Mask(_) => Given::Elements(masks_left.next().expect("one for each").strided()),
                FusedInput::Output(output) => Given::Output(*output),
            })
            .collect();
        self.run_given(&inputs, outputs);
    }

    fn run_given(&self, inputs: &[Given<'_, T>], outputs: &mut [&mut Tensor<T>]) {
        let mut slices: SmallVec<[&mut [T]; 4]> = SmallVec::new();
        for output in outputs {
            slices.push(output.writable().expect("contiguous, and not shared"));
        }
        T::run_stages(&self.stages, inputs, &mut slices);
    }
}

/// An input of a program.
#[derive(Debug, Clone, Copy)]
pub enum FusedInput<'a, T: Float> {
    /// The elements of a tensor.
    Tensor(&'a Tensor<T>),
    /// 1 where the mask is true, else 0.
    Mask(&'a Tensor<bool>),
    /// The elements that this output has before, which has the program's shape: so results take the place of an input.
    Output(usize),
}

impl<T: Float> FusedInput<'_, T> {
    /// The numbers of a mask.
    fn cast(&self) -> Option<Tensor<T>> {
        match self {
            Self::Mask(mask) => Some(mask.cast()),
            Self::Tensor(_) | Self::Output(_) => None,
        }
    }
}

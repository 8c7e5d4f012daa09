//! Straight-line programs on small tensors, whose places and memory are found once.

use crate::element::Float;
use crate::fused::{Fused, Reduction};
use crate::kernels::routine as kernel;
use crate::layout::{Layout, Strides, copied};
use crate::tensor::{Tensor, View};

/// A program of products, fused passes and reductions of small tensors. It is built step by step, from values that are named
/// by number, and then run as often as wanted.
///
/// Each method that adds a step gives the number of its result, or `None` if a routine cannot have the step: because it is
/// too large, or for threads, or because the shapes do not fit; go back to a [`mark`](Self::mark) then. The results are the
/// bits of the same operations one by one.
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_tensor::fused::Reduction;
/// use gradus_tensor::routine::Routine;
///
/// let mut routine = Routine::new();
/// let x = routine.input(&[2, 2], &[2, 1]).unwrap();
/// let product = routine.matmul(x, x).unwrap();
/// let sums = routine.reduce(Reduction::Sum, product, &[0], &[2]).unwrap();
/// routine.output(sums, true);
/// let mut out = routine.new_output(0);
/// let input = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
/// routine.run([&input].into_iter(), [&mut out].into_iter());
/// assert_eq!(out, Tensor::from([22.0, 32.0]));
/// ```
#[derive(Debug)]
pub struct Routine<T: Float> {
    kernel: kernel::Routine<T>,
}

/// A state of a routine to go back to.
#[derive(Debug, Clone, Copy)]
pub struct Mark(kernel::Mark);

impl<T: Float> Default for Routine<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Float> Routine<T> {
    /// A routine without steps.
    pub fn new() -> Self {
        Self { kernel: kernel::Routine::new() }
    }

    /// Whether there are no steps; a view adds none.
    pub fn is_empty(&self) -> bool {
        self.kernel.is_empty()
    }

    /// The number of elements that the routine keeps between its runs.
    pub fn memory_len(&self) -> usize {
        self.kernel.memory_len()
    }

    /// The state now.
    pub fn mark(&self) -> Mark {
        Mark(self.kernel.mark())
    }

    /// Drops all inputs and steps that were added since.
    ///
    /// # Panics
    /// If outputs were made since.
    pub fn go_back(&mut self, mark: Mark) {
        self.kernel.go_back(mark.0);
    }

    /// Another input, of this shape and with these strides.
    pub fn input(&mut self, shape: &[usize], strides: &[isize]) -> Option<u32> {
        let strides: Strides = copied(strides);
        self.kernel.input(&Layout { shape: copied(shape), strides, offset: 0 })
    }

    /// The results of a pass, which have these shapes.
    pub fn fused(&mut self, pass: &Fused<T>, inputs: &[u32], shapes: &[&[usize]]) -> Option<Vec<u32>> {
        self.kernel.fused(pass.stages(), inputs, shapes)
    }

    /// See [`Tensor::matmul`], of two matrices.
    pub fn matmul(&mut self, left: u32, right: u32) -> Option<u32> {
        self.kernel.product(left, right, false, None)
    }

    /// See [`Tensor::linear`], of a matrix.
    pub fn linear(&mut self, input: u32, weight: u32, bias: Option<u32>) -> Option<u32> {
        self.kernel.product(input, weight, true, bias)
    }

    /// The mean of the squared differences of values of one shape.
    pub fn mean_squared_difference(&mut self, x: u32, y: u32) -> Option<u32> {
        self.kernel.mean_squared_difference(x, y)
    }

    /// The reduction along axes, in rising order, which the result of this shape lacks or has with size 1.
    pub fn reduce(&mut self, reduction: Reduction, x: u32, axes: &[usize], shape: &[usize]) -> Option<u32> {
        self.kernel.reduce(reduction, x, axes, shape)
    }

    /// A view of a value.
    pub fn view(&mut self, x: u32, view: &View) -> Option<u32> {
        self.kernel.view(x, &view.from, &view.to)
    }

    /// Whether a value can be an output without a copy: all elements of a result, in some order.
    pub fn is_whole(&self, x: u32) -> bool {
        self.kernel.is_whole(x)
    }

    /// Makes a value the next output, contiguous if that is wanted and it is small.
    pub fn output(&mut self, x: u32, contiguous: bool) {
        self.kernel.output(x, contiguous);
    }

    /// A tensor that the output of this number can be written to.
    pub fn new_output(&self, number: usize) -> Tensor<T> {
        let layout = self.kernel.output_layout(number);
        Tensor::zeros(&layout.shape[..]).with_layout(layout.clone())
    }

    /// Writes each output into a tensor from [`new_output`](Self::new_output), of which nobody shares the buffer.
    ///
    /// # Panics
    /// If there are more or fewer inputs or outputs, one lies otherwise in memory, or somebody shares an output's buffer.
    pub fn run<'a>(
        &mut self,
        inputs: impl Iterator<Item = &'a Tensor<T>>,
        outputs: impl Iterator<Item = &'a mut Tensor<T>>,
    ) {
        let mut call = kernel::Call::new(&mut self.kernel);
        for input in inputs {
            call.input(input.strided());
        }
        for output in outputs {
            let (layout, memory) = output.layout_and_memory();
            call.output(layout, memory.expect("not shared"));
        }
        T::run_routine(call);
    }
}

//! The steps of a routine. What cannot be one is refused.

use super::{Matrix, Operand, Routine, Slot, Step, Table, Value};
use crate::element::Float;
use crate::kernels::fused::plan::{Extent, Instruction, Program, Work};
use crate::kernels::fused::{OPERANDS, Reduction, Stages};
use crate::kernels::matmul::is_narrow;
use crate::kernels::reduce::stack_size;
use crate::layout::{Layout, copied};

/// The most elements of an array whose elements are gathered one by one, or reduced.
const SMALL: usize = 1024;

/// The length of the lists of a routine, to go back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark([usize; 5]);

impl Layout {
    /// The number of elements from the start of the slot to behind the last one, if no stride is negative and there are
    /// elements, whose places fit into 32 bits.
    fn reach(&self) -> Option<usize> {
        let is_forward = self.strides.iter().all(|&stride| stride >= 0) && !self.shape.contains(&0);
        let steps = self.shape.iter().zip(&self.strides).map(|(&size, &stride)| (size - 1) * stride as usize);
        let reach = is_forward.then(|| self.offset + steps.sum::<usize>() + 1);
        reach.filter(|&reach| u32::try_from(reach).is_ok())
    }

    /// The places of all elements, in logical order.
    fn places(&self) -> Vec<u32> {
        let mut places = vec![self.offset as u32];
        for (&size, &stride) in self.shape.iter().zip(&self.strides) {
            let along = |&place: &u32| (0..size).map(move |i| place + (i * stride as usize) as u32);
            places = places.iter().flat_map(along).collect();
        }
        places
    }
}

impl<T: Float> Routine<T> {
    pub(crate) fn new() -> Self {
        Self {
            values: Vec::new(),
            slots: Vec::new(),
            steps: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            registers: 0,
            table: Table(Vec::new()),
            memory: None,
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        let Self { values, slots, steps, inputs, outputs, .. } = self;
        Mark([values.len(), slots.len(), steps.len(), inputs.len(), outputs.len()])
    }

    /// # Panics
    /// If outputs were made since.
    pub(crate) fn go_back(&mut self, Mark([values, slots, steps, inputs, outputs]): Mark) {
        assert!(self.outputs.len() == outputs, "go_back: outputs were made since the mark");
        self.values.truncate(values);
        self.slots.truncate(slots);
        self.steps.truncate(steps);
        self.inputs.truncate(inputs);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The elements of the memory of its own, without outputs.
    pub(crate) fn memory_len(&self) -> usize {
        let size = |slot: &Slot<T>| match slot {
            Slot::Own(len) => *len,
            Slot::Constant(_) => 1,
            Slot::Input | Slot::Output | Slot::Register(_) => 0,
        };
        self.registers + self.slots.iter().map(size).sum::<usize>()
    }

    fn slot(&mut self, slot: Slot<T>) -> u32 {
        assert!(self.memory.is_none(), "a routine that has run takes no more steps");
        self.slots.push(slot);
        (self.slots.len() - 1) as u32
    }

    fn value(&mut self, slot: u32, layout: Layout) -> u32 {
        self.values.push(Value { slot, layout });
        (self.values.len() - 1) as u32
    }

    /// A value in new memory.
    fn result(&mut self, shape: &[usize]) -> (u32, u32) {
        let layout = Layout::contiguous(shape);
        let slot = self.slot(Slot::Own(layout.len()));
        (self.value(slot, layout), slot)
    }

    /// An input that lies so in memory, its offset aside.
    pub(crate) fn input(&mut self, layout: &Layout) -> Option<u32> {
        let layout = Layout { offset: 0, ..layout.clone() };
        let reach = layout.reach()?;
        let slot = self.slot(Slot::Input);
        self.inputs.push(Operand { layout: layout.clone(), reach, slot });
        Some(self.value(slot, layout))
    }

    /// The slot of a value whose elements lie one after another, from the start of the slot on; with another shape, repeated.
    fn contiguous(&mut self, value: u32, shape: &[usize]) -> Option<u32> {
        let Value { slot, layout } = self.values[value as usize].clone();
        let whole = if *layout.shape == *shape { layout } else { layout.expand(shape) };
        if whole.offset == 0 && whole.is_contiguous() {
            return Some(slot);
        }
        if whole.len() > SMALL {
            return None;
        }
        let to = self.slot(Slot::Own(whole.len()));
        self.steps.push(Step::Gather { from: slot, places: whole.places(), to });
        Some(to)
    }

    /// A view of a value: the layout that it has in place of `from`.
    pub(crate) fn view(&mut self, value: u32, from: &Layout, to: &Layout) -> Option<u32> {
        let Value { slot, layout } = self.values[value as usize].clone();
        if layout.shape != from.shape || layout.strides != from.strides {
            return None;
        }
        let offset = (layout.offset + to.offset).checked_sub(from.offset)?;
        let layout = Layout { offset, ..to.clone() };
        // A view has no elements but those of the value that it is a view of.
        (layout.reach()? <= self.values[value as usize].layout.reach()?).then_some(())?;
        Some(self.value(slot, layout))
    }

    /// A pass that is one tile.
    pub(crate) fn fused(
        &mut self,
        stages: &Stages<T>,
        inputs: &[u32],
        shapes: &[&[usize]],
    ) -> Option<Vec<u32>> {
        let program = stages.single_tile()?;
        let is_size =
            |(shape, &extent): (&&[usize], &Extent)| shape.iter().product::<usize>() == program.size(extent);
        let is_all = inputs.len() == program.inputs.len() && shapes.len() == program.outputs.len();
        (is_all && shapes.iter().zip(&program.outputs).all(is_size)).then_some(())?;
        let mut slots: Vec<u32> = Vec::with_capacity(program.inputs.len());
        for (number, &input) in inputs.iter().enumerate() {
            slots.push(self.pass_input(program, number, input)?);
        }
        slots.extend(program.constants.iter().map(|&x| self.slot(Slot::Constant(x))).collect::<Vec<_>>());
        let mut results = Vec::new();
        for shape in shapes {
            let (value, slot) = self.result(shape);
            results.push(value);
            slots.push(slot);
        }
        slots.extend(
            program.registers.iter().map(|&start| self.slot(Slot::Register(start))).collect::<Vec<_>>(),
        );
        self.registers = self.registers.max(program.scratch);
        let of_program = |slot: u32| slots[slot as usize];
        let instructions = program.prologue.iter().chain(&program.body).map(|instruction| {
            let operands = instruction.operands.map(of_program);
            Instruction { operands, to: of_program(instruction.to), ..*instruction }
        });
        let (rows, len) = (program.rows, program.rows * program.length);
        self.steps.push(Step::Pass { instructions: instructions.collect(), rows, len });
        Some(results)
    }

    /// The slot of an input of a pass.
    fn pass_input(&mut self, program: &Program<T>, number: usize, input: u32) -> Option<u32> {
        let extent = program.inputs[number].extent;
        if !program.inputs[number].used {
            return Some(self.values[input as usize].slot);
        }
        let shape = if program.repeats(number) {
            copied(&program.inputs[number].shape)
        } else {
            program.shape_of(extent)
        };
        self.contiguous(input, &shape)
    }

    /// The product of two matrices, plus a bias for each row.
    pub(crate) fn product(&mut self, lhs: u32, rhs: u32, is_turned: bool, bias: Option<u32>) -> Option<u32> {
        let matrix = |value: &Value| {
            let (&[rows, columns], &[row, column]) = (&value.layout.shape[..], &value.layout.strides[..])
            else {
                return None;
            };
            Some((
                [rows, columns],
                Matrix { slot: value.slot, offset: value.layout.offset, strides: [row, column] },
            ))
        };
        let ([m, k], left) = matrix(&self.values[lhs as usize])?;
        let ([mut inner, mut n], mut right) = matrix(&self.values[rhs as usize])?;
        if is_turned {
            (inner, n) = (n, inner);
            right.strides.reverse();
        }
        if inner != k || m * k * n == 0 || !is_narrow(m, k, n) {
            return None;
        }
        if n > 1 && right.strides[1] != 1 {
            if k * n > SMALL {
                return None;
            }
            let layout =
                Layout { shape: copied(&[k, n]), strides: copied(&right.strides), offset: right.offset };
            let to = self.slot(Slot::Own(k * n));
            self.steps.push(Step::Gather { from: right.slot, places: layout.places(), to });
            right = Matrix { slot: to, offset: 0, strides: [n as isize, 1] };
        }
        let bias = match bias {
            Some(bias) => Some(self.contiguous(bias, &[n])?),
            None => None,
        };
        let (result, to) = self.result(&[m, n]);
        self.steps.push(Step::Product { sizes: [m, k, n], lhs: left, rhs: right, bias, to });
        Some(result)
    }

    /// The reduction of a value along axes, which the result of this shape lacks, or has with size 1.
    pub(crate) fn reduce(
        &mut self,
        reduction: Reduction,
        value: u32,
        axes: &[usize],
        shape: &[usize],
    ) -> Option<u32> {
        let layout = self.values[value as usize].layout.clone();
        let rank = layout.rank();
        let are_axes = axes.last().is_some_and(|&last| last < rank) && axes.is_sorted_by(|a, b| a < b);
        if !are_axes || layout.len() > SMALL {
            return None;
        }
        let length: usize = axes.iter().map(|&axis| layout.shape[axis]).product();
        let count = layout.len() / length;
        if shape.iter().product::<usize>() != count {
            return None;
        }
        let is_sum = matches!(reduction, Reduction::Sum | Reduction::Mean);
        if is_sum && count > 1 && axes.iter().copied().eq(0..axes.len()) {
            let from = self.contiguous(value, &layout.shape)?;
            let divisor = reduction.divisor(length);
            let stack = self.slot(Slot::Register(0));
            self.registers = self.registers.max(stack_size(length, count));
            let (result, to) = self.result(shape);
            self.steps.push(Step::Columns { from, rows: length, columns: count, divisor, stack, to });
            return Some(result);
        }
        let kept = (0..rank).filter(|axis| !axes.contains(axis));
        let lanes = layout.permute(&kept.chain(axes.iter().copied()).collect::<Vec<_>>());
        let slot = self.values[value as usize].slot;
        let lanes = self.value(slot, lanes);
        let lanes_shape = copied(&self.values[lanes as usize].layout.shape);
        let from = self.contiguous(lanes, &lanes_shape)?;
        let (result, to) = self.result(shape);
        let instruction = Instruction {
            work: Work::Reduce(reduction),
            extent: Extent::Row,
            row_steps: None,
            operands: [from; OPERANDS],
            to,
        };
        self.steps.push(Step::Pass { instructions: vec![instruction], rows: count, len: count * length });
        Some(result)
    }

    /// The mean of the squared differences of values of one shape.
    pub(crate) fn mean_squared_difference(&mut self, x: u32, y: u32) -> Option<u32> {
        let shape = copied(&self.values[x as usize].layout.shape);
        let len = shape.iter().product();
        if len > SMALL || self.values[y as usize].layout.shape != shape {
            return None;
        }
        let (x, y) = (self.contiguous(x, &shape)?, self.contiguous(y, &shape)?);
        let squares = self.slot(Slot::Register(0));
        self.registers = self.registers.max(len);
        let (result, to) = self.result(&[]);
        self.steps.push(Step::MeanSquaredDifference { x, y, len, squares, to });
        Some(result)
    }

    /// Whether a value is all elements of the memory of a result, in some order.
    pub(crate) fn is_whole(&self, value: u32) -> bool {
        let Value { slot, layout } = &self.values[value as usize];
        let has_no_gaps = layout.is_contiguous() || layout.memory_order().is_some();
        let is_own = |len| len == layout.len() && layout.offset == 0;
        has_no_gaps && matches!(self.slots[*slot as usize], Slot::Own(len) if is_own(len))
    }

    /// Makes a value an output; a copy of it, if it is an input, a part of an array, an output already, or wanted contiguous
    /// and small.
    pub(crate) fn output(&mut self, value: u32, contiguous: bool) {
        assert!(self.memory.is_none(), "a routine that has run has no more outputs");
        let is_whole = self.is_whole(value);
        let Value { slot, layout } = self.values[value as usize].clone();
        let is_wanted = layout.is_contiguous() || !contiguous || layout.len() > SMALL;
        let (slot, layout) = if is_whole && is_wanted {
            // Strides of axes of size 1 as they usually are.
            (slot, if layout.is_contiguous() { Layout::contiguous(&layout.shape) } else { layout })
        } else {
            let to = self.slot(Slot::Own(layout.len()));
            self.steps.push(Step::Gather { from: slot, places: layout.places(), to });
            (to, Layout::contiguous(&layout.shape))
        };
        self.slots[slot as usize] = Slot::Output;
        self.outputs.push(Operand { reach: layout.len(), layout, slot });
    }

    pub(crate) fn output_layout(&self, output: usize) -> &Layout {
        &self.outputs[output].layout
    }
}

//! Einstein summation, of tensors and of other types with their operations.

use std::collections::BTreeMap;

use crate::element::Float;
use crate::tensor::Tensor;

/// The operations that an Einstein summation is made of: for tensors, and for variables in crates above this one.
#[doc(hidden)]
pub trait EinsumOperand: Clone {
    fn shape(&self) -> &[usize];
    fn diagonal(&self, axis1: usize, axis2: usize) -> Self;
    fn expand(&self, shape: &[usize]) -> Self;
    fn sum(&self, axes: Vec<usize>) -> Self;
    fn permute(&self, axes: Vec<usize>) -> Self;
    fn reshape(&self, shape: Vec<usize>) -> Self;
    fn times(&self, other: &Self) -> Self;
    fn matmul(&self, other: &Self) -> Self;
}

/// Implements [`EinsumOperand`] by the methods of the same names.
#[doc(hidden)]
#[macro_export]
macro_rules! __einsum_operand {
    ($type:ident) => {
        impl<T: $crate::Float> $crate::shapes::EinsumOperand for $type<T> {
            fn shape(&self) -> &[usize] {
                self.shape()
            }
            fn diagonal(&self, axis1: usize, axis2: usize) -> Self {
                self.diagonal(0, axis1 as isize, axis2 as isize)
            }
            fn expand(&self, shape: &[usize]) -> Self {
                self.expand(shape)
            }
            fn sum(&self, axes: Vec<usize>) -> Self {
                self.sum(axes)
            }
            fn permute(&self, axes: Vec<usize>) -> Self {
                self.permute(axes)
            }
            fn reshape(&self, shape: Vec<usize>) -> Self {
                self.reshape(shape)
            }
            fn times(&self, other: &Self) -> Self {
                self * other
            }
            fn matmul(&self, other: &Self) -> Self {
                self.matmul(other)
            }
        }
    };
}
__einsum_operand!(Tensor);

impl<T: Float> Tensor<T> {
    /// Sums of products of elements, by an equation that names the axes of all operands and of the result: an index
    /// that the result does not have is summed over (Einstein, 1916, in the notation of NumPy).
    ///
    /// An operand that names an index twice is read along that diagonal. `...` stands for any axes, which broadcast.
    /// Without `->`, the result has the axes of `...` and then, in alphabetical order, the indices named just once.
    /// Several operands are multiplied first to last. A factor of 0 does not mask infinity or NaN; see
    /// [`matmul`](Self::matmul).
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (x, v) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([1.0, 10.0]));
    /// assert_eq!(Tensor::einsum("ij,j->i", &[&x, &v]), Tensor::from([21.0, 43.0])); // a product
    /// assert_eq!(Tensor::einsum("ii", &[&x]).item(), 5.0); // the trace
    /// assert_eq!(Tensor::einsum("...j->j...", &[&x]), x.t());
    /// ```
    ///
    /// # Panics
    /// If the equation cannot be read, or does not fit the number or the shapes of the operands.
    #[track_caller]
    pub fn einsum(equation: &str, operands: &[&Self]) -> Self {
        einsum(equation, operands)
    }
}

/// [`Tensor::einsum`] of any operands.
#[doc(hidden)]
#[track_caller]
pub fn einsum<X: EinsumOperand>(equation: &str, operands: &[&X]) -> X {
    let plan = match Plan::new(equation, &operands.iter().map(|x| x.shape()).collect::<Vec<_>>()) {
        Ok(plan) => plan,
        Err(problem) => panic!("einsum: equation \"{equation}\": {problem}"),
    };
    let mut terms = operands.iter().zip(&plan.terms).map(|(&x, labels)| {
        let mut term = Term { x: x.clone(), labels: labels.clone() };
        term.take_diagonals();
        term.expand_summed(&plan);
        term
    });
    let mut result = terms.next().expect("there is an operand");
    let last = plan.last_terms();
    for (place, term) in (1..).zip(terms) {
        let later = last.iter().filter(|&(_, &last)| last > place).map(|(label, _)| label);
        let wanted: Vec<Label> = later.chain(&plan.result).copied().collect();
        result = result.times(term, &wanted);
    }
    result.sum_to(&plan.result);
    result.ordered(&plan.result)
}

/// A name of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// An axis that `...` stands for, counted from the last one.
    Rest(usize),
    Index(char),
}

/// The equation, fitted to shapes.
struct Plan {
    terms: Vec<Vec<Label>>,
    result: Vec<Label>,
    sizes: BTreeMap<Label, usize>,
}

/// One operand of the equation: its indices, and the place of `...` among them, if any.
#[derive(Default)]
struct Written {
    indices: Vec<char>,
    rest: Option<usize>,
}

impl Written {
    /// The names of all axes, where `...` stands for `rest` axes.
    fn labels(&self, rest: usize) -> Vec<Label> {
        let mut labels: Vec<Label> = self.indices.iter().map(|&index| Label::Index(index)).collect();
        if let Some(place) = self.rest {
            labels.splice(place..place, (0..rest).rev().map(Label::Rest));
        }
        labels
    }
}

/// The terms, and the result if it is written.
fn read(equation: &str) -> Result<(Vec<Written>, Option<Written>), String> {
    let mut terms = vec![Written::default()];
    let mut result = None;
    let mut place = 0;
    while let Some(next) = equation[place..].chars().next() {
        let term = result.as_mut().unwrap_or_else(|| terms.last_mut().expect("at least one"));
        let length = match next {
            ' ' => 1,
            'a'..='z' | 'A'..='Z' => {
                term.indices.push(next);
                1
            }
            '.' if equation[place..].starts_with("...") && term.rest.is_none() => {
                term.rest = Some(term.indices.len());
                3
            }
            ',' if result.is_none() => {
                terms.push(Written::default());
                1
            }
            '-' if equation[place..].starts_with("->") && result.is_none() => {
                result = Some(Written::default());
                2
            }
            _ => {
                return Err(format!(
                    "'{next}' at position {place} cannot be read: allowed are letters, one `...` for each operand, \
                     commas between operands, and one `->` before the result"
                ));
            }
        };
        place += length;
    }
    Ok((terms, result))
}

impl Plan {
    fn new(equation: &str, shapes: &[&[usize]]) -> Result<Self, String> {
        let (written, result) = read(equation)?;
        if written.len() != shapes.len() {
            return Err(format!("it has {} operands, and {} were given", written.len(), shapes.len()));
        }
        let mut sizes: BTreeMap<Label, usize> = BTreeMap::new();
        let mut terms = Vec::new();
        for (operand, (written, shape)) in written.iter().zip(shapes).enumerate() {
            let named = written.indices.len();
            if shape.len() < named || shape.len() > named && written.rest.is_none() {
                let least = if written.rest.is_some() { "at least " } else { "" };
                return Err(format!(
                    "operand {operand} has shape {shape:?}: for what is written it must have {least}{named} axes"
                ));
            }
            let labels = written.labels(shape.len() - named);
            for (&label, &size) in labels.iter().zip(*shape) {
                let known = sizes.entry(label).or_insert(size);
                if *known == 1 && matches!(label, Label::Rest(_)) {
                    *known = size;
                }
                if *known != size && (size != 1 || matches!(label, Label::Index(_))) {
                    let name = if let Label::Index(index) = label { index.to_string() } else { "...".into() };
                    return Err(format!(
                        "`{name}` has size {size} in operand {operand} and {known} before: sizes of an index must be \
                         equal, and the axes of `...` broadcast"
                    ));
                }
            }
            terms.push(labels);
        }
        let rest = sizes.keys().filter(|label| matches!(label, Label::Rest(_))).count();
        let result = if let Some(written) = result {
            written.labels(rest)
        } else {
            // In the order of labels: `...` from its first axis, then indices by name.
            let once = |label: &Label| terms.iter().flatten().filter(|other| *other == label).count() == 1;
            let indices =
                sizes.keys().copied().filter(|label| matches!(label, Label::Index(_)) && once(label));
            (0..rest).rev().map(Label::Rest).chain(indices).collect()
        };
        for (place, label) in result.iter().enumerate() {
            let Label::Index(index) = label else { continue };
            if !sizes.contains_key(label) || result[..place].contains(label) {
                return Err(format!(
                    "`{index}` in the result must be an index of an operand, and named only once there"
                ));
            }
        }
        Ok(Self { terms, result, sizes })
    }

    /// The last term that has each label.
    fn last_terms(&self) -> BTreeMap<Label, usize> {
        let labels = |(place, term): (usize, &Vec<Label>)| {
            term.iter().map(move |&label| (label, place)).collect::<Vec<_>>()
        };
        self.terms.iter().enumerate().flat_map(labels).collect()
    }
}

/// An operand with the names of its axes.
struct Term<X> {
    x: X,
    labels: Vec<Label>,
}

impl<X: EinsumOperand> Term<X> {
    /// Puts one axis in the place of two of the same name.
    fn take_diagonals(&mut self) {
        while let Some((first, second)) = repeated(&self.labels) {
            let label = self.labels[first];
            let others = |&axis: &usize| axis != first && axis != second;
            self.x = self.x.diagonal(first, second);
            let others = (0..self.labels.len()).filter(others);
            self.labels = others.map(|axis| self.labels[axis]).chain([label]).collect();
        }
    }

    /// Repeats axes of `...` that broadcast and are summed over.
    fn expand_summed(&mut self, plan: &Plan) {
        let size = |(label, &size): (&Label, &usize)| {
            if plan.result.contains(label) { size } else { plan.sizes[label] }
        };
        let shape: Vec<usize> = self.labels.iter().zip(self.x.shape()).map(size).collect();
        if shape != self.x.shape() {
            self.x = self.x.expand(&shape);
        }
    }

    /// Sums over the axes that are not wanted.
    fn sum_to(&mut self, wanted: &[Label]) {
        let unwanted = |&axis: &usize| !wanted.contains(&self.labels[axis]);
        let axes: Vec<usize> = (0..self.labels.len()).filter(unwanted).collect();
        if !axes.is_empty() {
            self.x = self.x.sum(axes);
            self.labels.retain(|label| wanted.contains(label));
        }
    }

    /// The operand with its axes in this order.
    fn ordered(&self, labels: &[Label]) -> X {
        if self.labels == labels {
            return self.x.clone();
        }
        let axis = |label| self.labels.iter().position(|other| other == label).expect("an axis of this name");
        self.x.permute(labels.iter().map(axis).collect::<Vec<usize>>())
    }

    /// The sizes of some axes; of one that is not there, 1.
    fn sizes(&self, labels: &[Label]) -> Vec<usize> {
        let place = |label| self.labels.iter().position(|other| other == label);
        labels.iter().map(|label| place(label).map_or(1, |axis| self.x.shape()[axis])).collect()
    }

    /// The product, summed over what is not wanted: a stack of products of matrices.
    fn times(mut self, mut other: Self, wanted: &[Label]) -> Self {
        self.sum_to(&[&other.labels[..], wanted].concat());
        other.sum_to(&[&self.labels[..], wanted].concat());
        let (common, rows): (Vec<_>, Vec<_>) =
            self.labels.iter().partition(|label| other.labels.contains(label));
        let (batch, summed): (Vec<_>, Vec<_>) = common.into_iter().partition(|label| wanted.contains(label));
        let columns: Vec<_> =
            other.labels.iter().copied().filter(|label| !self.labels.contains(label)).collect();
        let (of_rows, of_columns) = (self.sizes(&rows), other.sizes(&columns));
        let left = self.ordered(&[&batch[..], &rows, &summed].concat());
        let right = other.ordered(&[&batch[..], &summed, &columns].concat());
        let (left_front, right_front) = (self.sizes(&batch), other.sizes(&batch));
        let x = if summed.is_empty() {
            let left = left.reshape([&left_front[..], &of_rows, &vec![1; columns.len()]].concat());
            left.times(&right.reshape([&right_front[..], &vec![1; rows.len()], &of_columns].concat()))
        } else {
            let [m, k, n] =
                [&of_rows, &self.sizes(&summed), &of_columns].map(|sizes| sizes.iter().product::<usize>());
            let product = left
                .reshape([&left_front[..], &[m, k]].concat())
                .matmul(&right.reshape([&right_front[..], &[k, n]].concat()));
            let front = &product.shape()[..batch.len()];
            let shape = [front, &of_rows, &of_columns].concat();
            product.reshape(shape)
        };
        Self { x, labels: [batch, rows, columns].concat() }
    }
}

/// The places of a label that is there twice.
fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    let first = |second: usize| labels[..second].iter().position(|label| *label == labels[second]);
    (0..labels.len()).find_map(|second| Some((first(second)?, second)))
}

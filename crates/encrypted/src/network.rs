//! Networks of integers.

use std::ops::RangeInclusive;

use crate::error::EncryptedError;

/// The largest absolute value that a network may compute with.
const LARGEST: i64 = 1 << 61;

/// An affine map of integers, `weight x + bias`, with sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AffineMap {
    pub(crate) inputs: usize,
    /// For each output, the places of inputs and their weights, which are not 0.
    pub(crate) rows: Vec<Vec<(usize, i64)>>,
    pub(crate) bias: Vec<i64>,
}

impl AffineMap {
    fn identity(width: usize) -> Self {
        Self { inputs: width, rows: (0..width).map(|i| vec![(i, 1)]).collect(), bias: vec![0; width] }
    }

    /// The weight of one input in one output; 0 outside of the matrix.
    pub(crate) fn weight(&self, output: usize, input: usize) -> i64 {
        let row = self.rows.get(output).map_or(&[][..], |row| row);
        row.binary_search_by_key(&input, |&(i, _)| i).map_or(0, |place| row[place].1)
    }

    /// The largest sum of absolute weights of an output: by this factor noise grows.
    pub(crate) fn largest_norm(&self) -> f64 {
        self.rows
            .iter()
            .map(|row| row.iter().map(|&(_, w)| w.unsigned_abs() as f64).sum())
            .fold(0.0, f64::max)
    }
}

/// An affine map, and the squares after it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    /// The place and the type of the layers that it was made from.
    pub(crate) name: String,
    pub(crate) map: AffineMap,
    /// The number of times that each output is squared.
    pub(crate) squares: u32,
    /// The largest absolute value of any output, before and after squaring.
    pub(crate) bound: i64,
    /// The least and the largest value of each output after the stage.
    pub(crate) ranges: Vec<(i64, i64)>,
}

/// A network of integers, a polynomial: affine maps and squares, with a proven range of every value in it.
///
/// [`IntegerNetwork::quantize`] makes one from a trained model; [`new`](Self::new), [`linear`](Self::linear) and
/// [`square`](Self::square) from integers.
///
/// The ranges follow from the weights and the range of the inputs by interval arithmetic, in which the outputs of a stage are
/// taken as independent: for the first stage they are attained, for later ones they may be wider than the truth, never
/// narrower.
///
/// ```
/// use gradus_encrypted::IntegerNetwork;
///
/// let network = IntegerNetwork::new(2, 0..=4)?.linear(&[vec![3, -2]], &[1])?.square()?;
/// assert_eq!(network.evaluate(&[4, 1])?, [121]);
/// assert_eq!(network.output_ranges(), [(0, 169)]);
/// assert_eq!(network.degree(), 2);
/// # Ok::<(), gradus_encrypted::EncryptedError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IntegerNetwork {
    inputs: usize,
    range: (i64, i64),
    pub(crate) stages: Vec<Stage>,
    /// The number that one level of the inputs stands for.
    pub(crate) input_step: f64,
    /// The number that 1 of an output stands for.
    pub(crate) output_step: f64,
}

impl IntegerNetwork {
    /// The identity of `inputs` integers in a range.
    ///
    /// # Errors
    /// [`EncryptedError::Argument`] if there are no inputs, or the range is empty or reaches 2^31.
    pub fn new(inputs: usize, range: RangeInclusive<i64>) -> Result<Self, EncryptedError> {
        let (low, high) = range.into_inner();
        if inputs == 0 || inputs > 1 << 20 {
            return Err(EncryptedError::Argument {
                argument: "inputs",
                got: inputs.to_string(),
                expected: "from 1 to 2^20".into(),
            });
        }
        if low > high || low <= -(1 << 31) || high >= 1 << 31 {
            return Err(EncryptedError::Argument {
                argument: "range",
                got: format!("{low}..={high}"),
                expected: "not empty, with ends below 2^31".into(),
            });
        }
        Ok(Self { inputs, range: (low, high), stages: Vec::new(), input_step: 1.0, output_step: 1.0 })
    }

    /// Appends `weight x + bias`: a row of the weight and a bias for each output.
    ///
    /// # Errors
    /// [`EncryptedError::Argument`] if the sizes do not fit, [`EncryptedError::Bound`] if a value may reach 2^61.
    pub fn linear(self, weight: &[Vec<i64>], bias: &[i64]) -> Result<Self, EncryptedError> {
        let width = self.width();
        if weight.is_empty() || weight.len() != bias.len() || weight.iter().any(|row| row.len() != width) {
            return Err(EncryptedError::Argument {
                argument: "weight",
                got: format!("{} rows of {:?}", weight.len(), weight.first().map_or(0, Vec::len)),
                expected: format!("at least one row of {width}, and a bias of as many rows"),
            });
        }
        if let Some(weight) = weight.iter().flatten().find(|w| w.unsigned_abs() >= 1 << 31) {
            return Err(EncryptedError::Argument {
                argument: "weight",
                got: weight.to_string(),
                expected: "below 2^31".into(),
            });
        }
        let rows =
            weight.iter().map(|row| row.iter().copied().enumerate().filter(|&(_, w)| w != 0).collect());
        let map = AffineMap { inputs: width, rows: rows.collect(), bias: bias.to_vec() };
        let name = format!("{} (linear)", self.stages.len());
        self.affine(name, map)
    }

    /// Appends the square of every value.
    ///
    /// # Errors
    /// [`EncryptedError::Bound`] if a value may reach 2^61.
    pub fn square(self) -> Result<Self, EncryptedError> {
        let mut network = self;
        if network.stages.is_empty() {
            let map = AffineMap::identity(network.inputs);
            network = network.affine("0 (square)".into(), map)?;
        }
        let stage = network.stages.last_mut().expect("there is a stage now");
        stage.squares += 1;
        for (low, high) in &mut stage.ranges {
            let (a, b) = (square_of(&stage.name, *low)?, square_of(&stage.name, *high)?);
            (*low, *high) = (if *low <= 0 && *high >= 0 { 0 } else { a.min(b) }, a.max(b));
            stage.bound = stage.bound.max(*high);
        }
        Ok(network)
    }

    /// Appends an affine map.
    pub(crate) fn affine(mut self, name: String, map: AffineMap) -> Result<Self, EncryptedError> {
        let before = self.ranges();
        let mut ranges = Vec::with_capacity(map.rows.len());
        for (row, &bias) in map.rows.iter().zip(&map.bias) {
            let (mut low, mut high) = (i128::from(bias), i128::from(bias));
            for &(input, weight) in row {
                let (a, b) = before[input];
                let ends = [a, b].map(|end| i128::from(end) * i128::from(weight));
                low += ends[0].min(ends[1]);
                high += ends[0].max(ends[1]);
            }
            let largest = low.unsigned_abs().max(high.unsigned_abs());
            if largest >= LARGEST as u128 {
                return Err(beyond(&name, largest as f64));
            }
            ranges.push((low as i64, high as i64));
        }
        let bound = ranges.iter().map(|&(low, high)| low.abs().max(high.abs())).max().unwrap_or(0);
        self.stages.push(Stage { name, map, squares: 0, bound, ranges });
        Ok(self)
    }

    fn ranges(&self) -> Vec<(i64, i64)> {
        self.stages.last().map_or_else(|| vec![self.range; self.inputs], |stage| stage.ranges.clone())
    }

    /// The number of values after the last stage.
    fn width(&self) -> usize {
        self.stages.last().map_or(self.inputs, |stage| stage.map.rows.len())
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The range of the inputs.
    pub fn input_range(&self) -> RangeInclusive<i64> {
        self.range.0..=self.range.1
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.width()
    }

    /// The proven range of each output.
    pub fn output_ranges(&self) -> Vec<(i64, i64)> {
        self.ranges()
    }

    /// The number that 1 of an output stands for: a logit is an output times this.
    pub fn output_step(&self) -> f64 {
        self.output_step
    }

    /// The degree of the polynomial.
    pub fn degree(&self) -> u64 {
        1 << self.stages.iter().map(|stage| stage.squares).sum::<u32>().min(63)
    }

    /// The outputs for one sample, in plain integers: the reference that an encrypted evaluation equals.
    ///
    /// # Errors
    /// [`EncryptedError::Samples`] if there are more or fewer inputs, or one is out of range.
    pub fn evaluate(&self, x: &[i64]) -> Result<Vec<i64>, EncryptedError> {
        Ok(self.trace(x)?.pop().unwrap_or_else(|| x.to_vec()))
    }

    /// The values after each affine map and each square, for one sample; the last are the outputs.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn trace(&self, x: &[i64]) -> Result<Vec<Vec<i64>>, EncryptedError> {
        check_samples(x, self.inputs, self.range)?;
        if x.len() != self.inputs {
            let fault = format!("have {} numbers: one sample has {}", x.len(), self.inputs);
            return Err(EncryptedError::Samples { fault });
        }
        let mut trace: Vec<Vec<i64>> = Vec::new();
        for stage in &self.stages {
            let from = trace.last().map_or(x, |values| values);
            let products = stage.map.rows.iter().zip(&stage.map.bias).map(|(row, bias)| {
                // Partial sums may leave the range that the sum is in.
                let sum: i128 = row.iter().map(|&(i, w)| i128::from(w) * i128::from(from[i])).sum();
                (sum + i128::from(*bias)) as i64
            });
            let products: Vec<i64> = products.collect();
            trace.push(products);
            for _ in 0..stage.squares {
                let squares = trace[trace.len() - 1].iter().map(|y| y * y).collect();
                trace.push(squares);
            }
        }
        Ok(trace)
    }
}

/// An error if there are more or fewer inputs, or one is out of range.
pub(crate) fn check_samples(x: &[i64], inputs: usize, (low, high): (i64, i64)) -> Result<(), EncryptedError> {
    if !x.len().is_multiple_of(inputs) || x.is_empty() {
        let fault = format!("have {} numbers: the network takes {inputs}", x.len());
        return Err(EncryptedError::Samples { fault });
    }
    if let Some(place) = x.iter().position(|x| !(low..=high).contains(x)) {
        let fault = format!("have {} at input {}: inputs are from {low} to {high}", x[place], place % inputs);
        return Err(EncryptedError::Samples { fault });
    }
    Ok(())
}

fn square_of(name: &str, x: i64) -> Result<i64, EncryptedError> {
    x.checked_mul(x).filter(|&square| square < LARGEST).ok_or_else(|| beyond(name, (x as f64).powi(2)))
}

fn beyond(name: &str, largest: f64) -> EncryptedError {
    EncryptedError::Bound { layer: name.into(), bound: largest.log2(), limit: (LARGEST as f64).log2() }
}

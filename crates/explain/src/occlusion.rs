//! Occlusion: what the output loses under a window that moves over the input.

use gradus_autograd::{Float, Tensor, Var};

use crate::error::{ExplainError, Result};
use crate::input::{Baseline, Input, baseline_option};
use crate::passes::{Passes, Rows, pass_options};
use crate::target::Target;

/// Occlusion: a window moves over each row, and covers it with the baseline; a number's attribution is the mean of f(x) less
/// f of x covered, over the windows that cover it (Zeiler and Fergus, "Visualizing and understanding convolutional networks",
/// 2013).
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::Occlusion;
///
/// let model = |x: &Var<f64>| x.sum(1).unsqueeze(1);
/// let x = Tensor::from([[1.0, 2.0, 3.0]]);
/// // The windows cover 1 + 2, and 2 + 3.
/// assert_eq!(Occlusion::new([2]).explain(model, &x, 0)?, Tensor::from([[3.0, 4.0, 5.0]]));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Occlusion<T: Float = f32> {
    window: Vec<usize>,
    stride: Vec<usize>,
    baseline: Baseline<T>,
    passes: Passes,
}

impl<T: Float> Occlusion<T> {
    /// A window with a size for each axis of a row, such as `[channels, 3, 3]`, that moves by 1.
    pub fn new(window: impl AsRef<[usize]>) -> Self {
        let window = window.as_ref().to_vec();
        Self { stride: vec![1; window.len()], window, baseline: Baseline(None), passes: Passes::default() }
    }

    /// Sets how far the window moves along each axis.
    #[must_use]
    pub fn stride(mut self, stride: impl AsRef<[usize]>) -> Self {
        self.stride = stride.as_ref().to_vec();
        self
    }

    baseline_option! { baseline }
    pass_options! { passes }

    /// The attributions of the rows of `x` `[batch, ...]`, in its shape. A number that no window covers has 0.
    ///
    /// The window stands at ceil((size - window) / stride) + 1 places along each axis; the last may be cut off at the border.
    ///
    /// # Errors
    /// If the input is empty, the model does not give finite `[batch, classes]`, a target is no class, the baseline has
    /// another shape, or the window does not fit a row.
    pub fn explain(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Tensor<T>> {
        let input = Input::new(&model, x, &target.into(), &self.passes)?;
        let reference = self.baseline.of(&input)?;
        let windows = self.windows(input.row_shape())?;
        let (n, size) = (input.rows(), input.size());
        let fill = |job: usize, to: &mut Vec<T>| {
            let (start, row) = (to.len(), job % n);
            to.extend(input.row(row));
            for &place in &windows[job / n] {
                to[start + place] = reference.row(row)[place];
            }
        };
        let rows = Rows { shape: input.row_shape(), count: windows.len() * n, fill: &fill };
        let values = self.passes.values(&model, &rows, &|job| input.classes[job % n])?;
        let mut sums = vec![[0.0; 2]; x.len()];
        for (job, value) in values.iter().enumerate() {
            let row = job % n;
            for place in &windows[job / n] {
                let [sum, count] = &mut sums[row * size + place];
                *sum += input.outputs[row] - value;
                *count += 1.0;
            }
        }
        Ok(input.tensor(sums.into_iter().map(|[sum, count]| if count > 0.0 { sum / count } else { 0.0 })))
    }

    /// For each place of the window the numbers that it covers.
    fn windows(&self, row: &[usize]) -> Result<Vec<Vec<usize>>> {
        let axes = || row.iter().zip(&self.window).zip(&self.stride);
        let fits = [self.window.len(), self.stride.len()] == [row.len(); 2]
            && axes().all(|((size, window), &stride)| (1..=*size).contains(window) && stride > 0);
        if !fits {
            let (window, stride) = (self.window.clone(), self.stride.clone());
            return Err(ExplainError::Window { window, stride, row: row.to_vec() });
        }
        let mut windows = vec![vec![0]];
        for ((&size, &window), &stride) in axes() {
            let count = (size - window).div_ceil(stride) + 1;
            let starts: Vec<usize> = (0..count).map(|k| k * stride).collect();
            let along = |covered: &Vec<usize>, start: usize| -> Vec<usize> {
                let end = size.min(start + window);
                covered.iter().flat_map(|place| (start..end).map(move |i| place * size + i)).collect()
            };
            windows = windows
                .iter()
                .flat_map(|covered| starts.iter().map(|&start| along(covered, start)))
                .collect();
        }
        Ok(windows)
    }
}

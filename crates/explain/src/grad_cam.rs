//! Grad-CAM, and how its small maps become as large as the image.

use gradus_autograd::{Float, Tensor, Var, vjp};

use crate::error::{ExplainError, Result};
use crate::input::Input;
use crate::passes::{Passes, check_finite, check_output, one_hot, pass_options};
use crate::target::Target;

/// Grad-CAM: the channels of a convolution's activation, each weighted by the mean gradient of the output with respect to it
/// (Selvaraju et al., "Grad-CAM", 2017).
///
/// The model gives the activation `[batch, channels, height, width]` beside its output; the map is `[batch, 1, height, width]`.
///
/// ```
/// use gradus_autograd::{Conv, Tensor, Var, seeded};
/// use gradus_explain::{GradCam, Interpolation, resize};
/// use gradus_nn::{Conv2d, Linear};
///
/// let rng = &mut seeded(0);
/// let (conv, out) = (Conv2d::new(1, 4, 3, Conv::new().padding(1), rng), Linear::new(64, 3, rng));
/// let model = |x: &Var| {
///     let activation = conv.forward(x).relu().max_pool2d(2);
///     (activation.clone(), out.forward(activation.flatten(1..)))
/// };
/// let x = Tensor::randn([2, 1, 8, 8], rng);
/// let map = GradCam::new().explain(model, &x, [0, 2])?;
/// assert_eq!(map.shape(), [2, 1, 4, 4]);
/// assert_eq!(resize(&map, [8, 8], Interpolation::Bilinear)?.shape(), [2, 1, 8, 8]);
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct GradCam {
    is_signed: bool,
    passes: Passes,
}

impl GradCam {
    /// Of the map the positive part: what speaks for the class.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the negative part of the map as well.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.is_signed = true;
        self
    }

    pass_options! { passes }

    /// The maps of the rows of `x` `[batch, ...]`, for a model that gives (activation, output).
    ///
    /// # Errors
    /// As [`gradient`](crate::gradient()), and if the activation has another shape.
    pub fn explain<T: Float>(
        &self,
        model: impl Fn(&Var<T>) -> (Var<T>, Var<T>),
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Tensor<T>> {
        let input = Input::new(&|x: &Var<T>| model(x).1, x, &target.into(), &self.passes)?;
        let mut maps = Vec::new();
        self.passes.each(input.rows(), |range| {
            let batch = x.slice(0, range.start as isize..range.end as isize);
            let (activation, y) = model(&Var::leaf(batch));
            check_output(&y, range.clone())?;
            let shape = activation.shape();
            if shape.len() != 4 || shape[0] != range.len() {
                return Err(ExplainError::Activation { shape: shape.to_vec(), rows: range.len() });
            }
            let none = || ExplainError::NoGradient { to: "the activation" };
            if !(y.is_tracked() && activation.is_tracked()) {
                return Err(none());
            }
            let cotangent = one_hot(&y, range.clone().map(|row| input.classes[row]));
            let gradient = vjp(&y, &cotangent, &[&activation]).remove(0).ok_or_else(none)?;
            let weights = gradient.value().mean(gradus_autograd::keepdim([2, 3]));
            let map = (weights * activation.value()).sum(gradus_autograd::keepdim(1));
            check_finite("gradient", range.start, &map.to_vec())?;
            maps.push(if self.is_signed { map } else { map.relu() });
            Ok(())
        })?;
        Ok(Tensor::cat(&maps.iter().collect::<Vec<_>>(), 0))
    }
}

/// How [`resize`] fills the places between pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixel whose part of the image it is.
    Nearest,
    /// Between the four pixels whose centres are around it; beyond the outer centres, the outer pixels.
    Bilinear,
}

/// Maps `[..., height, width]` in another size: [`GradCam`]'s, for example, in the size of the image.
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_explain::{Interpolation, resize};
///
/// let map = Tensor::from([[0.0, 1.0]]);
/// assert_eq!(resize(&map, [1, 4], Interpolation::Nearest)?, Tensor::from([[0.0, 0.0, 1.0, 1.0]]));
/// assert_eq!(resize(&map, [1, 4], Interpolation::Bilinear)?, Tensor::from([[0.0, 0.25, 0.75, 1.0]]));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
///
/// # Errors
/// If the maps have fewer than two axes, or are empty.
pub fn resize<T: Float>(
    maps: &Tensor<T>,
    [height, width]: [usize; 2],
    interpolation: Interpolation,
) -> Result<Tensor<T>> {
    let ([front @ .., h, w], false) = (maps.shape(), maps.is_empty()) else {
        let (picture, expected) = ("the maps are", "[..., height, width], with a pixel in it");
        return Err(ExplainError::Picture { picture, shape: maps.shape().to_vec(), expected });
    };
    let [rows, columns] = [places(*h, height, interpolation), places(*w, width, interpolation)];
    let pixels = maps.to_vec();
    let mut numbers = Vec::with_capacity(maps.len() / (h * w) * height * width);
    for map in pixels.chunks_exact(h * w) {
        let along_row = |row: usize, &(left, right, part): &(usize, usize, f64)| {
            let [left, right] = [left, right].map(|column| map[row * w + column].to_f64());
            left + part * (right - left)
        };
        for &(top, bottom, part) in &rows {
            numbers.extend(columns.iter().map(|place| {
                let (top, bottom) = (along_row(top, place), along_row(bottom, place));
                T::from_f64(top + part * (bottom - top))
            }));
        }
    }
    let shape = [front, &[height, width]].concat();
    Ok(Tensor::from_vec(numbers, shape).expect("each map has its pixels"))
}

/// For each place of a new axis the two old ones around it, and how far it is from the first to the second.
fn places(old: usize, new: usize, interpolation: Interpolation) -> Vec<(usize, usize, f64)> {
    let place = |i: usize| match interpolation {
        Interpolation::Nearest => (i * old / new, i * old / new, 0.0),
        Interpolation::Bilinear => {
            let centre = (i as f64 + 0.5) * old as f64 / new as f64 - 0.5;
            let centre = centre.clamp(0.0, (old - 1) as f64);
            let first = centre as usize;
            (first, (first + 1).min(old - 1), centre - first as f64)
        }
    };
    (0..new).map(place).collect()
}

//! Features: the groups of numbers of a row that are taken away together.

use gradus_autograd::{Float, Tensor};

use crate::error::{ExplainError, Result};
use crate::input::Input;

/// The features of a row: each number belongs to a group, and the numbers of a group are replaced together.
///
/// ```
/// use gradus_autograd::Tensor;
/// use gradus_explain::Features;
///
/// assert_eq!(Features::each([3]).to_mask(), Tensor::from([0, 1, 2]));
/// assert_eq!(Features::along_first([2, 2]).to_mask(), Tensor::from([[0, 0], [1, 1]]));
/// let quadrants = Features::grid([1, 2, 4], [2, 2]);
/// assert_eq!(quadrants.to_mask(), Tensor::from([[[0, 0, 1, 1], [2, 2, 3, 3]]]));
/// assert!(Features::from_mask(&Tensor::from([0, 2])).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    shape: Vec<usize>,
    groups: Vec<usize>,
    count: usize,
}

impl Features {
    /// Each number of a row of this shape by itself.
    pub fn each(shape: impl AsRef<[usize]>) -> Self {
        let shape = shape.as_ref().to_vec();
        let count = shape.iter().product();
        Self { shape, groups: (0..count).collect(), count }
    }

    /// Each place along the first axis of a row: the steps of a sequence `[steps, features]`, or the channels of an image.
    ///
    /// # Panics
    /// If the row has no axis.
    #[track_caller]
    pub fn along_first(shape: impl AsRef<[usize]>) -> Self {
        let shape = shape.as_ref().to_vec();
        assert!(!shape.is_empty(), "Features: a row without axes has no first one");
        let size: usize = shape[1..].iter().product();
        Self { groups: (0..shape[0] * size).map(|i| i / size).collect(), count: shape[0], shape }
    }

    /// The cells of a grid of `[rows, columns]` over the last two axes of an image `[..., height, width]`, each through all
    /// channels.
    ///
    /// # Panics
    /// If the image has fewer axes, or fewer rows or columns than the grid, or the grid none.
    #[track_caller]
    pub fn grid(shape: impl AsRef<[usize]>, [rows, columns]: [usize; 2]) -> Self {
        let shape = shape.as_ref().to_vec();
        let [.., height, width] = shape[..] else {
            panic!("grid: the shape is {shape:?}: it must be [..., height, width]")
        };
        assert!(
            (1..=height).contains(&rows) && (1..=width).contains(&columns),
            "grid: {rows} x {columns} cells do not fit an image of {height} x {width}: there must be a pixel for each"
        );
        let cell = |i: usize| {
            let (y, x) = (i / width % height, i % width);
            y * rows / height * columns + x * columns / width
        };
        Self { groups: (0..shape.iter().product()).map(cell).collect(), count: rows * columns, shape }
    }

    /// The groups of a mask in the shape of a row: numbers from 0 without gaps.
    ///
    /// # Errors
    /// If a number is negative or missing, or the mask is empty.
    pub fn from_mask(mask: &Tensor<i64>) -> Result<Self> {
        let last = mask.iter().max().ok_or_else(|| {
            let (picture, expected) = ("the feature mask is", "the shape of a row, with a number in it");
            ExplainError::Picture { picture, shape: mask.shape().to_vec(), expected }
        })?;
        let mut is_there = vec![false; mask.len()];
        for group in mask {
            match usize::try_from(group) {
                Err(_) => return Err(ExplainError::NegativeGroup { group }),
                Ok(group) => is_there.get_mut(group).into_iter().for_each(|there| *there = true),
            }
        }
        let missing = is_there.iter().position(|there| !there).map_or(mask.len() as i64, |i| i as i64);
        if missing <= last {
            return Err(ExplainError::Group { missing });
        }
        let groups = mask.iter().map(|group| group as usize).collect();
        Ok(Self { shape: mask.shape().to_vec(), groups, count: last as usize + 1 })
    }

    /// The group of each number, in the shape of a row.
    pub fn to_mask(&self) -> Tensor<i64> {
        let groups = self.groups.iter().map(|&group| group as i64).collect();
        Tensor::from_vec(groups, &self.shape).expect("each number has its group")
    }

    /// The number of groups.
    #[allow(clippy::len_without_is_empty, reason = "there is a group")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The group of each number.
    pub(crate) fn groups(&self) -> &[usize] {
        &self.groups
    }

    /// Numbers of groups, one row after another, as numbers of the features in the shape of the input.
    pub(crate) fn spread<T: Float>(&self, input: &Input<T>, coefficients: &[f64]) -> Tensor<T> {
        let rows = coefficients.chunks_exact(self.count);
        input.tensor(rows.flat_map(|row| self.groups.iter().map(|&group| row[group])))
    }

    /// The features that were asked for, or each number by itself; they must fit the input.
    pub(crate) fn of<T: Float>(asked: Option<&Self>, input: &Input<T>) -> Result<Self> {
        match asked {
            None => Ok(Self::each(input.row_shape())),
            Some(features) if features.shape == input.row_shape() => Ok(features.clone()),
            Some(features) => Err(ExplainError::Features {
                features: features.shape.clone(),
                row: input.row_shape().to_vec(),
            }),
        }
    }

    /// Superpixels of an image `[channels, height, width]`: about `count` groups of pixels that are near each other and alike,
    /// each through all channels, by a short form of SLIC (Achanta et al., 2012): means of colour and place from a grid, moved
    /// ten times. Unlike there, a group may fall into parts.
    ///
    /// `compactness` weighs the place against the colour: the distance of two centres counts as much as this difference of
    /// colours. 0.1 of the range of the colours is a good start.
    ///
    /// ```
    /// use gradus_autograd::Tensor;
    /// use gradus_explain::Features;
    ///
    /// let image = Tensor::from([[[0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]]]);
    /// let parts = Features::superpixels(&image, 2, 0.1)?;
    /// assert_eq!(parts.to_mask(), Tensor::from([[[0, 1, 1, 1], [0, 1, 1, 1]]]));
    /// # Ok::<(), gradus_explain::ExplainError>(())
    /// ```
    ///
    /// # Errors
    /// If the image is of another shape, or empty.
    ///
    /// # Panics
    /// If the count is 0, or the compactness is not positive.
    #[track_caller]
    pub fn superpixels<T: Float>(image: &Tensor<T>, count: usize, compactness: f64) -> Result<Self> {
        assert!(count > 0, "superpixels: the count must be at least 1");
        assert!(compactness > 0.0, "superpixels: the compactness is {compactness}, and must be positive");
        let (&[channels, height, width], false) = (image.shape(), image.is_empty()) else {
            let (picture, expected) =
                ("the image of superpixels is", "[channels, height, width], with a pixel in it");
            return Err(ExplainError::Picture { picture, shape: image.shape().to_vec(), expected });
        };
        let spacing = ((height * width) as f64 / count as f64).sqrt();
        let cells = |size: usize| ((size as f64 / spacing).round() as usize).clamp(1, size);
        let start = Self::grid([height, width], [cells(height), cells(width)]);
        let numbers = image.to_vec();
        // Colour and place, in units in which all differences count alike.
        let point = |i: usize| -> Vec<f64> {
            let colours = (0..channels).map(|channel| numbers[channel * height * width + i].to_f64());
            let place = [i / width, i % width].map(|place| place as f64 / spacing * compactness);
            colours.chain(place).collect()
        };
        let points: Vec<Vec<f64>> = (0..height * width).map(point).collect();
        let nearest = (0..10).fold(start.groups, |groups, _| moved(&points, &groups, start.count));
        // Groups that lost all their pixels leave no gap.
        let mut used: Vec<usize> = nearest.clone();
        used.sort_unstable();
        used.dedup();
        let group = |group: &usize| used.binary_search(group).expect("it is used");
        let one: Vec<usize> = nearest.iter().map(group).collect();
        Ok(Self { shape: image.shape().to_vec(), groups: one.repeat(channels), count: used.len() })
    }
}

/// The nearest mean of each point, where the means are those of the groups before.
fn moved(points: &[Vec<f64>], groups: &[usize], count: usize) -> Vec<usize> {
    let mut sums = vec![(vec![0.0; points[0].len()], 0.0); count];
    for (point, &group) in points.iter().zip(groups) {
        sums[group].0.iter_mut().zip(point).for_each(|(sum, x)| *sum += x);
        sums[group].1 += 1.0;
    }
    let means: Vec<Option<Vec<f64>>> = sums
        .into_iter()
        .map(|(sum, size)| (size > 0.0).then(|| sum.into_iter().map(|x| x / size).collect()))
        .collect();
    let distance = |point: &[f64], mean: &Option<Vec<f64>>| match mean {
        Some(mean) => point.iter().zip(mean).map(|(x, y)| (x - y).powi(2)).sum(),
        None => f64::INFINITY,
    };
    let nearest = |point: &Vec<f64>| {
        let distances: Vec<f64> = means.iter().map(|mean| distance(point, mean)).collect();
        (0..count).min_by(|&i, &j| distances[i].total_cmp(&distances[j])).expect("there is a group")
    };
    points.iter().map(nearest).collect()
}

/// The method that sets the features, in a field of a method of explanation.
macro_rules! features_option {
    ($($field:ident).+) => {
        /// Sets the groups of numbers that are replaced together. Without it, each number by itself.
        #[must_use]
        pub fn features(mut self, features: crate::features::Features) -> Self {
            self.$($field).+ = Some(features);
            self
        }
    };
}
pub(crate) use features_option;

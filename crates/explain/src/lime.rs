//! LIME: a linear model that stands in for a network around one input.

use gradus_autograd::{Float, Rng, Tensor, Var, seeded};

use crate::coalitions::{GameOptions, game_options};
use crate::error::{ExplainError, Result};
use crate::input::{Input, tensor};
use crate::passes::{Rows, check_output};
use crate::surrogate::{Fit, Penalty};
use crate::target::Target;

/// Linear models, one for each row, that stand in for a network around that row.
#[derive(Debug, Clone)]
pub struct Surrogate<T: Float> {
    /// The coefficient of the group that each number belongs to, in the shape of the input.
    pub values: Tensor<T>,
    /// The coefficient of each group, `[batch, groups]`.
    pub coefficients: Tensor<T>,
    /// The constant, `[batch]`.
    pub intercept: Tensor<T>,
    /// The weighted coefficient of determination, `[batch]`: 1 if the linear model meets all samples. One far below 1 says
    /// that the network is not linear around the row, and that the coefficients say little.
    pub fit: Tensor<T>,
}

/// LIME: the network is asked about many variants of the input, and a linear model is fitted to its answers, with more weight on
/// variants near the input (Ribeiro, Singh and Guestrin, "Why should I trust you?", 2016).
///
/// [`explain`](Self::explain) takes groups of numbers away, superpixels of an image for example
/// ([`Features::superpixels`](crate::Features::superpixels)); [`explain_table`](Self::explain_table) adds noise to the columns of a table;
/// [`explain_words`](Self::explain_words) takes words out of a text.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::{Features, Lime, Penalty};
///
/// let model = |x: &Var<f64>| x.sum([1, 2, 3]).unsqueeze(1);
/// let image = Tensor::arange(0.0, 16.0, 1.0).reshape((1, 1, 4, 4));
/// let lime = Lime::new(40, 0).penalty(Penalty::Ridge { alpha: 0.0 }).features(Features::grid([1, 4, 4], [2, 2]));
/// let surrogate = lime.explain(model, &image, 0)?;
/// assert!(surrogate.coefficients.allclose(&Tensor::from([[10.0, 18.0, 42.0, 50.0]]), 1e-9, 0.0));
/// assert!(surrogate.fit.item() > 0.999);
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Lime<T: Float = f32> {
    samples: Samples,
    distance: Distance,
    penalty: Penalty,
    options: GameOptions<T>,
}

#[derive(Debug, Clone)]
enum Samples {
    Drawn { samples: usize, seed: u64 },
    Given(Tensor<i64>),
}

#[derive(Debug, Clone, Copy)]
enum Distance {
    Cosine { width: f64 },
    Euclidean { width: f64 },
}

/// The weight of a sample at this distance.
fn kernel(distance: f64, width: f64) -> f64 {
    (-distance * distance / (2.0 * width * width)).exp()
}

impl<T: Float> Lime<T> {
    /// With samples drawn with a seed, the [`cosine`](Self::cosine) distance with a width of 0.25, and a ridge penalty of 1.
    ///
    /// # Panics
    /// If there are no samples.
    #[track_caller]
    pub fn new(samples: usize, seed: u64) -> Self {
        assert!(samples > 0, "Lime: there must be a sample");
        Self {
            samples: Samples::Drawn { samples, seed },
            distance: Distance::Cosine { width: 0.25 },
            penalty: Penalty::Ridge { alpha: 1.0 },
            options: GameOptions::default(),
        }
    }

    /// Takes these samples, `[n, groups]`, with 1 for a group that is kept and 0 for one that is not, for every row.
    #[must_use]
    pub fn coalitions(mut self, coalitions: impl Into<Tensor<i64>>) -> Self {
        self.samples = Samples::Given(coalitions.into());
        self
    }

    /// Weighs samples by exp(-d^2 / (2 width^2)), where d is 1 less the cosine of the angle between the groups that are kept and
    /// all: 1 - sqrt(kept / groups).
    ///
    /// # Panics
    /// If the width is not positive.
    #[must_use]
    #[track_caller]
    pub fn cosine(mut self, width: f64) -> Self {
        assert!(width > 0.0, "cosine: the width is {width}, and must be positive");
        self.distance = Distance::Cosine { width };
        self
    }

    /// Weighs samples by exp(-d^2 / (2 width^2)), where d is the Euclidean distance of the variant from the input.
    ///
    /// # Panics
    /// If the width is not positive.
    #[must_use]
    #[track_caller]
    pub fn euclidean(mut self, width: f64) -> Self {
        assert!(width > 0.0, "euclidean: the width is {width}, and must be positive");
        self.distance = Distance::Euclidean { width };
        self
    }

    /// Sets the penalty on the coefficients.
    ///
    /// # Panics
    /// If its `alpha` is negative or NaN.
    #[must_use]
    #[track_caller]
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        let (Penalty::Ridge { alpha } | Penalty::Lasso { alpha }) = penalty;
        assert!(alpha >= 0.0, "penalty: alpha is {alpha}, and must not be negative");
        self.penalty = penalty;
        self
    }

    game_options! {}

    /// Linear models of the outputs in the groups that are kept: 1, or replaced by the baseline: 0. For the rows of `x`
    /// `[batch, ...]`.
    ///
    /// # Errors
    /// As [`FeatureAblation::explain`](crate::FeatureAblation::explain), and if given samples do not fit the groups, or the
    /// samples do not determine the coefficients.
    pub fn explain(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Surrogate<T>> {
        let game = self.options.game(&model, x, target)?;
        let (n, groups) = (game.input.rows(), game.groups());
        let coalitions = match &self.samples {
            Samples::Given(given) => game.check(given)?,
            Samples::Drawn { samples, seed } => {
                let rng = &mut seeded(*seed);
                // The first is the input itself.
                let drawn =
                    (0..*samples).map(|i| (0..groups).map(|_| i == 0 || rng.next_u64() >> 63 == 1).collect());
                drawn.collect()
            }
        };
        let values = game.values(coalitions.len(), &|coalition, group| coalitions[coalition][group])?;
        let z = numbers(&coalitions);
        let fits = (0..n).map(|row| {
            let y: Vec<f64> = (0..z.len()).map(|i| values[i * n + row]).collect();
            let weight = |coalition: &Vec<bool>| match self.distance {
                Distance::Cosine { width } => kernel(angle(coalition), width),
                Distance::Euclidean { width } => kernel(game.distance(row, &|group| coalition[group]), width),
            };
            self.penalty.fit(&z, &y, &coalitions.iter().map(weight).collect::<Vec<_>>())
        });
        let fits = fits.collect::<Result<Vec<Fit>>>()?;
        let coefficients: Vec<f64> = fits.iter().flat_map(|fit| fit.coefficients.iter().copied()).collect();
        Ok(surrogate(game.attribution(&coefficients).values, &fits))
    }

    /// Linear models of the outputs in noise on the numbers of a row, for tables `[batch, columns]`: the coefficients say how much
    /// the output changes with one standard deviation of a column. `deviations` has the shape of a row.
    ///
    /// The noise is normal, with these deviations; samples are weighed by their Euclidean distance in units of them, with a
    /// width of 0.75 sqrt(columns), as in the authors' program. The options of groups, distance and baseline have no influence.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_explain::{Lime, Penalty};
    ///
    /// let model = |x: &Var<f64>| (x * Tensor::from([2.0, -1.0])).sum(1).unsqueeze(1);
    /// let lime = Lime::new(100, 0).penalty(Penalty::Ridge { alpha: 0.0 });
    /// let surrogate = lime.explain_table(model, &Tensor::from([[5.0, 7.0]]), 0, &Tensor::from([1.0, 10.0]))?;
    /// assert!(surrogate.coefficients.allclose(&Tensor::from([[2.0, -10.0]]), 1e-9, 0.0));
    /// # Ok::<(), gradus_explain::ExplainError>(())
    /// ```
    ///
    /// # Errors
    /// As [`explain`](Self::explain), and if the deviations have another shape.
    ///
    /// # Panics
    /// If the samples were given.
    #[track_caller]
    pub fn explain_table(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
        deviations: &Tensor<T>,
    ) -> Result<Surrogate<T>> {
        let (samples, seed) = self.drawn("explain_table");
        let input = Input::new(&model, x, &target.into(), &self.options.passes)?;
        if deviations.shape() != input.row_shape() {
            let (shape, expected) = (deviations.shape().to_vec(), vec![input.row_shape().to_vec()]);
            return Err(ExplainError::Shape { kind: "deviation", shape, expected });
        }
        let (columns, deviations) = (input.size(), deviations.to_vec());
        let z = Tensor::<f64>::randn([samples, columns], &mut seeded(seed)).to_vec2();
        let fill = |job: usize, to: &mut Vec<T>| {
            let (row, noise) = (input.row(job / samples), &z[job % samples]);
            let moved = row.iter().zip(noise).zip(&deviations);
            to.extend(
                moved.map(|((x, noise), deviation)| T::from_f64(x.to_f64() + noise * deviation.to_f64())),
            );
        };
        let rows = Rows { shape: input.row_shape(), count: input.rows() * samples, fill: &fill };
        let values = self.options.passes.values(&model, &rows, &|job| input.classes[job / samples])?;
        let width = 0.75 * (columns as f64).sqrt();
        let length = |z: &Vec<f64>| z.iter().map(|z| z * z).sum::<f64>().sqrt();
        let weights: Vec<f64> = z.iter().map(|z| kernel(length(z), width)).collect();
        let fits = values.chunks_exact(samples).map(|y| self.penalty.fit(&z, y, &weights));
        let fits = fits.collect::<Result<Vec<Fit>>>()?;
        let coefficients = fits.iter().flat_map(|fit| fit.coefficients.iter().copied());
        Ok(surrogate(input.tensor(coefficients), &fits))
    }

    /// A linear model of the output for a class in the words of a text that are there; `predict` gives `[texts, classes]` for
    /// texts that lack some of the words. The coefficients are `[1, words]`; a word that occurs twice has two.
    ///
    /// Each sample lacks a number of words that is drawn first, as in the authors' program. The distance is the
    /// [`cosine`](Self::cosine); the options of groups and baseline have no influence.
    ///
    /// ```
    /// use gradus_autograd::Tensor;
    /// use gradus_explain::Lime;
    ///
    /// let predict = |texts: &[Vec<&str>]| {
    ///     let good = |text: &Vec<&str>| f64::from(u8::from(text.contains(&"good") && !text.contains(&"not")));
    ///     Tensor::from(texts.iter().map(good).collect::<Vec<_>>()).unsqueeze(1)
    /// };
    /// let surrogate = Lime::new(500, 0).explain_words(predict, &["this", "is", "not", "good"], 0)?;
    /// let of_word = |word| surrogate.coefficients.select(1, word).item();
    /// assert!(of_word(2) < -0.1 && of_word(3) > 0.1 && of_word(0).abs() < 0.1);
    /// # Ok::<(), gradus_explain::ExplainError>(())
    /// ```
    ///
    /// # Errors
    /// If there are no words, the outputs are not finite `[texts, classes]`, the class is not one of them, or the samples do not
    /// determine the coefficients.
    ///
    /// # Panics
    /// If the samples were given.
    #[track_caller]
    pub fn explain_words<'w>(
        &self,
        predict: impl Fn(&[Vec<&'w str>]) -> Tensor<T>,
        words: &[&'w str],
        class: usize,
    ) -> Result<Surrogate<T>> {
        let (samples, seed) = self.drawn("explain_words");
        if words.is_empty() {
            return Err(ExplainError::Empty { shape: vec![1, 0] });
        }
        let coalitions = without_words(words.len(), samples, &mut seeded(seed));
        let mut y = Vec::with_capacity(samples);
        self.options.passes.each(samples, |range| {
            let kept = |coalition: &Vec<bool>| {
                words.iter().zip(coalition).filter(|(_, kept)| **kept).map(|(word, _)| *word).collect()
            };
            let texts: Vec<Vec<&str>> = coalitions[range.clone()].iter().map(kept).collect();
            let outputs = Var::constant(predict(&texts));
            check_output(&outputs, range)?;
            let classes = Target::All(class).classes(outputs.value())?;
            y.extend(
                outputs.value().select(1, classes[0] as isize).iter().map(gradus_autograd::Number::to_f64),
            );
            Ok(())
        })?;
        let (Distance::Cosine { width } | Distance::Euclidean { width }) = self.distance;
        let weights: Vec<f64> = coalitions.iter().map(|coalition| kernel(angle(coalition), width)).collect();
        let fit = self.penalty.fit(&numbers(&coalitions), &y, &weights)?;
        Ok(surrogate(tensor(fit.coefficients.iter().copied(), &[1, words.len()]), &[fit]))
    }

    #[track_caller]
    fn drawn(&self, method: &str) -> (usize, u64) {
        match self.samples {
            Samples::Drawn { samples, seed } => (samples, seed),
            Samples::Given(_) => panic!("{method}: it draws its samples; leave out `coalitions`"),
        }
    }
}

fn surrogate<T: Float>(values: Tensor<T>, fits: &[Fit]) -> Surrogate<T> {
    let groups = fits[0].coefficients.len();
    let coefficients = fits.iter().flat_map(|fit| fit.coefficients.iter().copied());
    Surrogate {
        values,
        coefficients: tensor(coefficients, &[fits.len(), groups]),
        intercept: tensor(fits.iter().map(|fit| fit.intercept), &[fits.len()]),
        fit: tensor(fits.iter().map(|fit| fit.r2), &[fits.len()]),
    }
}

/// 1 less the cosine between the groups that are kept and all.
fn angle(coalition: &[bool]) -> f64 {
    let kept = coalition.iter().filter(|kept| **kept).count();
    1.0 - (kept as f64 / coalition.len() as f64).sqrt()
}

fn numbers(coalitions: &[Vec<bool>]) -> Vec<Vec<f64>> {
    coalitions
        .iter()
        .map(|coalition| coalition.iter().map(|&kept| f64::from(u8::from(kept))).collect())
        .collect()
}

/// All words first, then samples that lack some: their number is drawn, then they are.
fn without_words(words: usize, samples: usize, rng: &mut impl Rng) -> Vec<Vec<bool>> {
    let mut coalitions = vec![vec![true; words]];
    for _ in 1..samples {
        let gone = Tensor::randint([1], 1..words as i64 + 1, rng).item() as usize;
        let mut coalition = vec![true; words];
        for word in Tensor::randperm(words, rng).iter().take(gone) {
            coalition[word as usize] = false;
        }
        coalitions.push(coalition);
    }
    coalitions
}

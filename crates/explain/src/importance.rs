//! Permutation importance.

use gradus_autograd::{Float, Tensor, Var, seeded};

use crate::error::Result;
use crate::features::{Features, features_option};
use crate::input::Input;
use crate::passes::{Passes, Rows, pass_options};
use crate::target::Target;

/// How much worse a model gets without each feature.
#[derive(Debug, Clone)]
pub struct Importance {
    /// The score on the data as they are.
    pub score: f64,
    /// The score less the one with a group permuted, `[groups, repeats]`.
    pub losses: Tensor<f64>,
}

impl Importance {
    /// The mean loss of each group, `[groups]`.
    pub fn mean(&self) -> Tensor<f64> {
        self.losses.mean(1)
    }

    /// The standard deviation of the losses of each group, `[groups]`; 0 for a single repeat.
    pub fn deviation(&self) -> Tensor<f64> {
        self.losses.std(1, 0)
    }
}

/// Permutation importance: what a score loses when the values of a feature are dealt out anew among the rows (Breiman, "Random
/// forests", 2001; Fisher, Rudin and Dominici, 2019). It explains a model on a whole data set, not one output; and of features that
/// carry the same information it finds none important.
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_explain::PermutationImportance;
///
/// let x = Tensor::<f64>::randn([200, 3], &mut seeded(0));
/// let model = |x: &Var<f64>| (x * Tensor::from([1.0, 2.0, 0.0])).sum(1).unsqueeze(1);
/// let y = model(&Var::constant(&x)).into_value();
/// let score = |outputs: &Tensor<f64>| -(outputs - &y).square().mean(..).item();
/// let importance = PermutationImportance::new(5, 0).explain(model, &x, score)?;
/// let means = importance.mean().to_vec();
/// assert!(means[1] > 3.0 * means[0] && means[2] == 0.0);
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PermutationImportance {
    repeats: usize,
    seed: u64,
    features: Option<Features>,
    passes: Passes,
}

impl PermutationImportance {
    /// With a number of permutations for each group, drawn with a seed.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn new(repeats: usize, seed: u64) -> Self {
        assert!(repeats > 0, "PermutationImportance: there must be a repeat");
        Self { repeats, seed, features: None, passes: Passes::default() }
    }

    features_option! { features }
    pass_options! { passes }

    /// The losses of the groups on `x` `[rows, ...]`. `score` takes all outputs `[rows, classes]`, in the order of the rows, and gives
    /// a number that is larger for a better model: an accuracy, or a loss with a minus.
    ///
    /// # Errors
    /// If the input is empty, the model does not give finite `[rows, classes]`, or the features have another shape.
    pub fn explain<T: Float>(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        score: impl Fn(&Tensor<T>) -> f64,
    ) -> Result<Importance> {
        let input = Input::new(&model, x, &Target::All(0), &self.passes)?;
        let features = Features::of(self.features.as_ref(), &input)?;
        let n = input.rows();
        let rng = &mut seeded(self.seed);
        let count = features.len() * self.repeats;
        let orders: Vec<Vec<i64>> = (0..count).map(|_| Tensor::randperm(n, rng).to_vec()).collect();
        let as_it_is = |row: usize, to: &mut Vec<T>| to.extend(input.row(row));
        let rows = Rows { shape: input.row_shape(), count: n, fill: &as_it_is };
        let whole = score(&self.passes.silent().outputs(&model, &rows)?);
        let fill = |job: usize, to: &mut Vec<T>| {
            let (row, group) = (job % n, job / n / self.repeats);
            let other = input.row(orders[job / n][row] as usize);
            let pairs = input.row(row).iter().zip(other).zip(features.groups());
            to.extend(pairs.map(|((&own, &other), &of)| if of == group { other } else { own }));
        };
        let rows = Rows { shape: input.row_shape(), count: count * n, fill: &fill };
        let outputs = self.passes.outputs(&model, &rows)?;
        let part = |i: usize| outputs.slice(0, (i * n) as isize..((i + 1) * n) as isize);
        let losses: Vec<f64> = (0..count).map(|i| whole - score(&part(i))).collect();
        let losses = Tensor::from_vec(losses, [features.len(), self.repeats]);
        Ok(Importance { score: whole, losses: losses.expect("there is one for each permutation") })
    }
}

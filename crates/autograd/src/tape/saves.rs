//! The values that the tape keeps for a gradient rule.

/// The inputs and outputs that an operation keeps for its rule.
///
/// ```
/// use gradus_autograd::{Tape, Tensor, Var};
///
/// let x = Var::leaf(Tensor::<f32>::ones([100]));
/// assert_eq!(Tape::of(&x.tanh().tanh()).bytes(), 800); // each its own output
/// assert_eq!(Tape::of(&x.square().sin()).bytes(), 800); // each its own input
/// assert_eq!(Tape::of(&(-&x).sum(0)).bytes(), 0); // nothing
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saves {
    inputs: SavedInputs,
    /// The number of inputs, from the first one, that `inputs` is about; the others are not kept.
    among: usize,
    pub(crate) output: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SavedInputs {
    None,
    Others,
    All,
}

impl Saves {
    /// Shapes only.
    pub const NOTHING: Self = Self::new(SavedInputs::None, false);
    /// All inputs.
    pub const INPUTS: Self = Self::new(SavedInputs::All, false);
    /// For the gradient of each input only the other inputs, as in a product.
    pub const OTHER_INPUTS: Self = Self::new(SavedInputs::Others, false);
    /// The output.
    pub const OUTPUT: Self = Self::new(SavedInputs::None, true);
    /// All inputs and the output.
    pub const ALL: Self = Self::new(SavedInputs::All, true);

    const fn new(inputs: SavedInputs, output: bool) -> Self {
        Self { inputs, among: usize::MAX, output }
    }

    /// The same for the first `count` inputs; of the others only the shapes are kept.
    #[must_use]
    pub const fn of_first(self, count: usize) -> Self {
        Self { among: count, ..self }
    }

    /// Whether an input is kept, by its number.
    pub(crate) fn kept(self, inputs: usize, is_tracked: impl Fn(usize) -> bool) -> impl Fn(usize) -> bool {
        let among = inputs.min(self.among);
        let tracked = (0..among).filter(|&i| is_tracked(i)).count();
        move |i| {
            i < among
                && match self.inputs {
                    SavedInputs::None => false,
                    SavedInputs::Others => tracked > usize::from(is_tracked(i)),
                    SavedInputs::All => true,
                }
        }
    }
}

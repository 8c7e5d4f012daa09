//! Einstein summation.

use gradus_tensor::{__einsum_operand, Float};

use crate::tape::Var;

/// Sums of products of elements, by an equation that names the axes of all operands and of the result: an index
/// that the result does not have is summed over (Einstein, 1916, in the notation of NumPy).
///
/// An operand that names an index twice is read along that diagonal. `...` stands for any axes, which broadcast.
/// Without `->`, the result has the axes of `...` and then, in alphabetical order, the indices named just once.
/// Several operands are multiplied first to last. A factor of 0 does not mask infinity or NaN; see
/// [`matmul`](Var::matmul).
///
/// ```
/// use gradus_autograd::{Tensor, Var, einsum};
///
/// let x = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
/// let v = Var::constant(Tensor::from([1.0, 10.0]));
/// assert_eq!(einsum("ij,j->i", &[&x, &v]).value(), &Tensor::from([21.0, 43.0])); // a product
/// assert_eq!(einsum("ii", &[&x]).item(), 5.0); // the trace
/// assert_eq!(einsum("...j->j...", &[&x]).value(), &x.value().t());
/// let y = einsum("i,ij,j->", &[&v, &x, &v]);
/// assert_eq!(y.backward().get(&x), Some(&Tensor::from([[1.0, 10.0], [10.0, 100.0]])));
/// ```
///
/// # Panics
/// If the equation cannot be read, or does not fit the number or the shapes of the operands.
#[track_caller]
pub fn einsum<T: Float>(equation: &str, operands: &[&Var<T>]) -> Var<T> {
    gradus_tensor::shapes::einsum(equation, operands)
}

__einsum_operand!(Var);

/// The shape of axes named `i`, `j`, `k`, of these sizes, and of others, of size 1.
#[cfg(feature = "proptest")]
fn shape(labels: &str, [i, j, k]: [usize; 3]) -> Vec<usize> {
    let size = |label| match label {
        'i' => i,
        'j' => j,
        'k' => k,
        _ => 1,
    };
    labels.chars().map(size).collect()
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::case;
    use proptest::prelude::*;
    use proptest::sample::select;
    // With the shapes of the operands.
    let equations = vec![
        ("ij,jk->ik", "ij", "jk"),
        ("ij,jk", "ij", "jk"),
        ("kij,kj->ik", "kij", "kj"),
        ("iij,j->i", "iij", "j"),
        ("iji,jk->kj", "iji", "jk"),
        ("ij,ij->", "ij", "ij"),
        ("ij,k->ki", "ij", "k"),
        ("...i,ij->j...", "kji", "ij"),
        ("...i,...j", "ki", "1j"),
        ("...i,...->i", "ki", "1"),
        ("i,i->i", "i", "i"),
        (",ij->ji", "", "ij"),
    ];
    let size = || prop_oneof![1 => Just(0), 2 => Just(1), 8 => 2..=4_usize];
    vec![case!(
        "einsum", ((equation, left, right), sizes) in (select(equations), [size(), size(), size()]),
        [shape(left, sizes), shape(right, sizes)],
        |x, y| einsum(equation, &[x, y])
    )]
}

//! Gradients piece by piece: as soon as they are complete, and from elsewhere.

use std::cell::RefCell;
use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use super::Gradients;
use crate::tape::node::{AddressMap, Node, address};
use crate::tape::{Found, Var};

impl<T: Float> Gradients<T> {
    /// Gradients that were computed elsewhere, on another machine for example, for leaves of this thread.
    ///
    /// ```
    /// use gradus_autograd::{Gradients, Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 2.0]));
    /// let gradients = Gradients::from_leaves(0.5, [(&x, Tensor::from([3.0, 4.0]))]);
    /// assert_eq!((gradients.loss(), gradients.get(&x)), (0.5, Some(&Tensor::from([3.0, 4.0]))));
    /// ```
    ///
    /// # Panics
    /// If one of the variables is a constant, or a gradient has another shape than its variable.
    #[track_caller]
    pub fn from_leaves<'a>(loss: T, gradients: impl IntoIterator<Item = (&'a Var<T>, Tensor<T>)>) -> Self {
        let mut by_leaf = Found::default();
        for (leaf, gradient) in gradients {
            let node = leaf.node().expect("from_leaves: a constant has no gradient");
            let [got, expected] = [gradient.shape(), leaf.shape()];
            assert!(
                got == expected,
                "from_leaves: the gradient has shape {got:?}, the leaf {expected:?}: they must be equal"
            );
            by_leaf.insert(address(node), (Arc::clone(node), gradient.into()));
        }
        Self { by_leaf, loss }
    }
}

impl<T: Float> Var<T> {
    /// [`backward`](Self::backward), which calls `complete` with the index of each of these leaves and its gradient as soon as
    /// nothing will be added to it: while the pass goes on to the others, a gradient may already be sent to other machines.
    ///
    /// A leaf that this variable does not depend on is left out. The layers that come last in the forward pass are complete
    /// first.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let [first, last] = [2.0, 3.0].map(|x| Var::leaf(Tensor::from(x)));
    /// let mut order = Vec::new();
    /// let y = first.exp() * &last;
    /// let gradients = y.backward_each(&[&first, &last], |leaf, gradient| order.push((leaf, gradient.clone())));
    /// assert_eq!(order.iter().map(|(leaf, _)| *leaf).collect::<Vec<_>>(), [1, 0]);
    /// assert_eq!(gradients.get(&first), Some(&order[1].1));
    /// ```
    ///
    /// # Panics
    /// As [`backward`](Self::backward). What `complete` does must not differentiate this variable again.
    #[track_caller]
    pub fn backward_each(self, leaves: &[&Self], complete: impl FnMut(usize, &Tensor<T>)) -> Gradients<T> {
        let places = leaves.iter().enumerate().filter_map(|(i, leaf)| Some((address(leaf.node()?), i)));
        // The places of leaves that are not complete yet.
        let state = RefCell::new((places.collect::<AddressMap<usize, usize>>(), complete));
        let tell = |node: &Arc<Node<T>>, gradient: &Var<T>| {
            let (places, complete) = &mut *state.borrow_mut();
            if let Some(place) = places.remove(&address(node)) {
                complete(place, gradient.value());
            }
        };
        let gradients = self.backward_telling(Some(&tell));
        // A leaf that is the result itself.
        gradients.by_leaf.values().for_each(|(node, gradient)| tell(node, gradient));
        gradients
    }
}

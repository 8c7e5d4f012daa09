//! Forward mode, alone and over reverse mode, and whole Jacobians and Hessians.

use gradus::testing::{shapes, tensors};
use gradus::{
    Tensor, Var, batched_hessian, batched_jacobian, grad_create_graph, hessian, hvp, jacobian, jvp,
    jvp_create_graph, vjp,
};
use proptest::prelude::*;

use super::second_order::{entangled, hessian_by_rows, systems};

/// A function of vectors whose results are fewer or more than its arguments, and its Jacobian.
fn layer(weight: &Tensor<f64>, x: &Var<f64>) -> (Var<f64>, Tensor<f64>) {
    let y = Var::constant(weight).matmul(x).tanh();
    let slopes = (1.0 - y.value().square()).unsqueeze(1);
    (y, slopes * weight)
}

fn layers() -> impl Strategy<Value = (Tensor<f64>, Tensor<f64>)> {
    [1..6_usize, 1..6_usize]
        .prop_flat_map(|[m, n]| (tensors(Just(vec![m, n]), -1.0..1.0), tensors(Just(vec![n]), -1.0..1.0)))
}

proptest! {
    /// The tangent of a gradient is the Hessian times the direction.
    #[test]
    fn forward_over_reverse((_, x, v) in systems()) {
        let leaf = Var::leaf(&x);
        let slope = grad_create_graph(&entangled(&leaf), &[&leaf]).remove(0);
        let got = jvp(&slope, &[&leaf], std::slice::from_ref(&v));
        let expected = hvp(|x| entangled(&x[0]), &[x], &[v]).remove(0);
        prop_assert!(got.allclose(&expected, 1e-12, 1e-12), "{} {}", got, expected);
    }

    /// And so is the gradient of a slope, and the slope of a slope in two directions.
    #[test]
    fn reverse_and_forward_over_forward((_, x, v) in systems()) {
        let (leaf, direction) = (Var::leaf(&x), Var::constant(&v));
        let slope = jvp_create_graph(&entangled(&leaf), &[&leaf], std::slice::from_ref(&direction));
        let product = hvp(|x| entangled(&x[0]), &[x], std::slice::from_ref(&v)).remove(0);
        let reverse = vjp(&slope, &Tensor::scalar(1.0), &[&leaf]).remove(0).unwrap();
        prop_assert!(reverse.value().allclose(&product, 1e-11, 1e-12));
        let curvature = jvp(&slope, &[&leaf], std::slice::from_ref(&v));
        prop_assert!((curvature.item() - (&product * &v).sum(..).item()).abs() <= 1e-11 * (1.0 + curvature.item().abs()));
    }

    #[test]
    fn jacobians_of_a_layer((weight, x) in layers()) {
        let leaf = Var::leaf(&x);
        let (y, expected) = layer(&weight, &leaf);
        prop_assert!(jacobian(&y, &leaf).allclose(&expected, 1e-14, 1e-14));
    }

    /// All shapes of arguments and results: the derivative of each sum with the rest of an outer product.
    #[test]
    fn jacobians_have_both_shapes(x in tensors(shapes(0..=2, 0..=3), -2.0..2.0), columns in 0..4_usize) {
        let leaf = Var::leaf(&x);
        let y = leaf.unsqueeze(-1).expand([x.shape(), &[columns]].concat()) * 3.0;
        let n = x.len();
        let identity = Tensor::<f64>::eye(n).reshape([n, 1, n]).expand([n, columns, n]) * 3.0;
        let shape = [x.shape(), &[columns], x.shape()].concat();
        prop_assert_eq!(jacobian(&y, &leaf), identity.reshape(shape));
    }

    #[test]
    fn hessians((_, x, _) in systems()) {
        let leaf = Var::leaf(&x);
        let got = hessian(&entangled(&leaf), &leaf);
        prop_assert!(got.allclose(&hessian_by_rows(entangled, &x), 1e-11, 1e-12));
    }

    /// In a batch, what each row would have alone.
    #[test]
    fn batches((weight, row) in layers(), others in 0..4_usize, seed: u64) {
        let others = Tensor::randn([others, row.len()], &mut gradus::seeded(seed));
        let x = Tensor::cat(&[&row.unsqueeze(0), &others], 0);
        let leaf = Var::leaf(&x);
        let y = leaf.matmul(&Var::constant(weight.t())).tanh();
        let energy = y.square().sum(1);
        let jacobians = batched_jacobian(&y, &leaf);
        let hessians = batched_hessian(&energy, &leaf);
        for b in 0..x.shape()[0] as isize {
            let alone = Var::leaf(x.select(0, b));
            let (y, expected) = layer(&weight, &alone);
            prop_assert!(jacobians.select(0, b).allclose(&expected, 1e-13, 1e-14));
            let expected = hessian(&y.square().sum(0), &alone);
            prop_assert!(hessians.select(0, b).allclose(&expected, 1e-12, 1e-13));
        }
    }
}

#[test]
fn what_does_not_depend_on_the_input_has_derivative_zero() {
    let (x, other) = (Var::leaf(Tensor::from([1.0, 2.0])), Var::leaf(Tensor::from([3.0])));
    assert_eq!(jacobian(&other.exp(), &x), Tensor::zeros([1, 2]));
    assert_eq!(jacobian(&Var::constant([1.0, 2.0, 3.0]), &x), Tensor::zeros([3, 2]));
    assert_eq!(jvp(&other.exp(), &[&x], &[Tensor::ones([2])]), Tensor::zeros([1]));
    assert_eq!(hessian(&x.sum(..), &x), Tensor::zeros([2, 2]));
    assert_eq!(hessian(&other.sum(..), &x), Tensor::zeros([2, 2]));
    assert_eq!(batched_hessian(&(&x * 2.0), &x), Tensor::zeros([2]));
}

/// An input between leaf and result has the tangent that was given for it, not the one that comes from its inputs.
#[test]
fn tangents_of_intermediate_results() {
    let x = Var::leaf(Tensor::from([1.0, 2.0]));
    let square = x.square();
    let y = &square * &x;
    let [one, ten] = [1.0, 10.0].map(|v| Tensor::full([2], v));
    assert_eq!(jvp(&y, &[&square], std::slice::from_ref(&ten)), Tensor::from([10.0, 20.0]));
    assert_eq!(jvp(&y, &[&square, &x], &[ten, one.clone()]), Tensor::from([11.0, 24.0]));
    assert_eq!(jvp(&y, &[&x], std::slice::from_ref(&one)), Tensor::from([3.0, 12.0]));
    // The same input twice: both tangents.
    assert_eq!(jvp(&y, &[&x, &x], &[one.clone(), one]), Tensor::from([6.0, 24.0]));
}

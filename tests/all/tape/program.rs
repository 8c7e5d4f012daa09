//! Random programs of smooth operations on matrices, and the laws that hold for all of them.

use gradus::testing::{check_function, tensors};
use gradus::{Compiled, Tensor, Var, cat, grad, grad_create_graph, keepdim, vjp};
use proptest::prelude::*;

use super::gradient_of;

const SHAPE: [usize; 2] = [2, 3];

/// Gradients with respect to some variables, as far as they are reached.
type Gradients = Vec<Option<Var<f64>>>;

/// One step: which operation, and the values that it is applied to.
type Step = (usize, [prop::sample::Index; 2]);

type Operation = fn(&Var<f64>, &Var<f64>) -> Var<f64>;

/// The operations, from matrices of `SHAPE` to one of `SHAPE`; none lets numbers grow for long.
const OPERATIONS: [Operation; 18] = [
    |x, y| (x + y) * 0.5,
    |x, y| x - y,
    |x, y| (x * y).sin(),
    |x, y| x / (y.square() + 1.0),
    |x, _| x.tanh(),
    |x, _| x.cos() - 1.0,
    |x, y| x * y.sum(keepdim(0)).sigmoid(),
    |x, _| x.softmax(1),
    |x, _| x - x.logsumexp(keepdim(0)),
    |x, y| x.matmul(&y.t()).matmul(x).tanh(),
    |x, _| cat(&[&x.slice(1, 1..), &x.slice(1, ..1)], 1),
    |x, y| cat(&[x, y], 0).reshape([3, 4]).t().slice(0, 1..3),
    |x, _| x.t().reshape(SHAPE),
    |x, _| x.flip(0).square().log1p(),
    |x, y| x.hypot(y + 3.0) - 3.0,
    |x, y| Var::where_(Tensor::from([true, false, true]), x, y),
    |x, _| x.index_select(0, Tensor::from([1, 1])),
    |x, y| x.select(0, 1) * y.mean(keepdim(1)),
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..OPERATIONS.len(), any::<[prop::sample::Index; 2]>()), 1..10)
}

fn matrices() -> impl Strategy<Value = Tensor<f64>> {
    tensors(Just(SHAPE.to_vec()), -1.0..1.0)
}

/// The last value of a program.
fn run(steps: &[Step], inputs: &[&Var<f64>]) -> Var<f64> {
    let mut values: Vec<Var<f64>> = inputs.iter().copied().cloned().collect();
    for (operation, [left, right]) in steps {
        // The last value and any one, so that few are in vain.
        let (left, right) = (&values[values.len() - 1 - left.index(values.len().min(2))], right.get(&values));
        values.push(OPERATIONS[*operation](left, right));
    }
    values.pop().expect("a program has inputs")
}

fn close(got: &Tensor<f64>, expected: &Tensor<f64>) -> bool {
    got.shape() == expected.shape() && got.allclose(expected, 1e-10, 1e-10)
}

fn zeros_unless(gradient: Option<Var<f64>>) -> Tensor<f64> {
    gradient.map_or_else(|| Tensor::zeros(SHAPE), Var::into_value)
}

proptest! {
    #[test]
    fn programs_have_right_gradients(steps in steps(), x in matrices(), y in matrices()) {
        check_function(&|xs| run(&steps, &[&xs[0], &xs[1]]), &[x, y])?;
    }

    /// A variable in two places gets the sum of the gradients of both.
    #[test]
    fn a_tensor_used_twice_gets_the_sum(steps in steps(), x in matrices(), u in matrices()) {
        let (left, right, both) = (Var::leaf(&x), Var::leaf(&x), Var::leaf(&x));
        let partials = vjp(&run(&steps, &[&left, &right]), &u, &[&left, &right]);
        let total = partials.into_iter().map(zeros_unless).fold(Tensor::zeros(SHAPE), |sum, partial| sum + partial);
        let got = run(&steps, &[&both, &both]).backward_with(&u);
        prop_assert!(close(&gradient_of(&got, &both), &total));
    }

    /// The gradient with respect to an intermediate result is that of the rest as a program of its own, and
    /// pulled back through what came before, that of the whole.
    #[test]
    fn intermediates(first in steps(), rest in steps(), x in matrices(), u in matrices()) {
        let x = Var::leaf(x);
        let middle = run(&first, &[&x]);
        let y = run(&rest, &[&middle]);
        let asked = vjp(&y, &u, &[&x, &middle]);
        let [Some(whole), Some(part)] = &asked[..] else { panic!("y depends on both") };
        let leaf = Var::leaf(middle.value());
        let expected = gradient_of(&run(&rest, &[&leaf]).backward_with(&u), &leaf);
        prop_assert_eq!(part.value(), &expected);
        prop_assert_eq!(whole.value(), &gradient_of(&middle.backward_with(&expected), &x));
        prop_assert_eq!(whole.value(), &gradient_of(&y.backward_with(&u), &x));
    }

    /// The same bits each time, from each of the functions, and whether or not the pass is recorded.
    #[test]
    fn gradients_are_deterministic(steps in steps(), x in matrices(), y in matrices()) {
        let leaves = [&Var::leaf(x), &Var::leaf(y)];
        let of = || run(&steps, &leaves).sum(..);
        let bits = |gradient: &Tensor<f64>| gradient.iter().map(f64::to_bits).collect::<Vec<_>>();
        let [first, second] = [of().backward(), of().backward()];
        for leaf in leaves {
            prop_assert_eq!(first.get(leaf).map(bits), second.get(leaf).map(bits));
        }
        let reached: Vec<&Var<f64>> = leaves.into_iter().filter(|leaf| first.get(leaf).is_some()).collect();
        let (plain, recorded) = (grad(&of(), &reached), grad_create_graph(&of(), &reached));
        for ((leaf, plain), recorded) in reached.iter().zip(&plain).zip(&recorded) {
            prop_assert_eq!(first.get(leaf).map(bits), Some(bits(plain.value())));
            prop_assert!(close(recorded.value(), plain.value()));
        }
    }

    /// Compiled, a program, its gradient and the gradient of that have the same bits as they have without it, on other
    /// inputs than those that it was recorded with.
    #[test]
    fn compiled_programs_agree(steps in steps(), inputs in prop::collection::vec([matrices(), matrices()], 4)) {
        let whole = move |(): &mut (), (): &mut (), [x, y]: [Var<f64>; 2]| {
            // Leaves of their own, on which gradients end.
            let leaves = [x, y].map(|input| Var::leaf(Tensor::zeros(SHAPE)) + input);
            let value = run(&steps, &[&leaves[0], &leaves[1]]);
            let all: Vec<&Var<f64>> = leaves.iter().collect();
            let first = vjp(&value, &Tensor::ones(SHAPE), &all);
            let energy = grad_create_graph_if_reached(&value, &all);
            let second = energy.filter(Var::is_tracked).map(|energy| vjp(&energy, &Tensor::ones([]), &all));
            (value, first, second)
        };
        let mut compiled = Compiled::new(whole.clone());
        for [x, y] in inputs {
            let inputs = [Var::from(x), Var::from(y)];
            let got = compiled.call(&mut (), &mut (), inputs.clone());
            let expected = whole(&mut (), &mut (), inputs);
            let numbers = |(value, first, second): (Var<f64>, Gradients, Option<Gradients>)| {
                let all = [Some(value)].into_iter().chain(first).chain(second.into_iter().flatten());
                all.flatten().flat_map(|var| var.into_value().to_vec()).map(f64::to_bits).collect::<Vec<u64>>()
            };
            prop_assert_eq!(numbers(got), numbers(expected));
        }
    }
}

/// The sum of squares of the gradients of a value, recorded; `None` if no leaf is reached.
fn grad_create_graph_if_reached(value: &Var<f64>, leaves: &[&Var<f64>]) -> Option<Var<f64>> {
    let sum = value.sum(..);
    let reached = vjp(&sum, &Tensor::ones([]), leaves);
    let reached: Vec<&Var<f64>> =
        leaves.iter().zip(reached).filter_map(|(leaf, gradient)| gradient.map(|_| *leaf)).collect();
    let gradients = if reached.is_empty() { Vec::new() } else { grad_create_graph(&sum, &reached) };
    gradients.into_iter().map(|gradient| gradient.square().sum(..)).reduce(|sum, term| sum + term)
}

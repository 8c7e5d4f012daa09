//! Backward passes that cannot be, rules that are wrong, and updates that are not allowed.

use std::sync::atomic::Ordering::Relaxed;

use gradus::{
    Context, Inputs, Operation, Saves, Tensor, Var, apply, batched_hessian, batched_jacobian, checkpoint,
    custom_vjp, grad, grad_create_graph, hessian, hvp, jacobian, jvp, jvp_create_graph, keep_values, no_grad,
    vjp, vjp_create_graph,
};

use super::{leaf, panic_of, panics};

#[test]
fn results_that_are_not_one_number() {
    let x = leaf(&[2, 3]);
    let message = |function: &str, shape: &str, instead: &str| {
        format!(
            "{function}: the result has shape {shape}, and only one element has a gradient; reduce it, for \
             example with `.sum(..)`, or give its cotangent with `{instead}`"
        )
    };
    let with = "backward_with(&cotangent)";
    panics(|| (&x * 2.0).backward(), &message("backward", "[2, 3]", with));
    panics(|| x.slice(0, 2..).backward(), &message("backward", "[0, 3]", with));
    panics(|| grad(&x.exp(), &[&x]), &message("grad", "[2, 3]", "vjp"));
    panics(|| grad_create_graph(&x.exp(), &[&x]), &message("grad_create_graph", "[2, 3]", "vjp"));
    let ones = [Tensor::<f64>::ones([2])];
    panics(|| hvp(|x| x[0].exp(), &ones, &ones), &message("hvp", "[2]", "vjp"));
}

#[test]
fn results_that_are_constant() {
    let constant = |function: &str| {
        format!(
            "{function}: the result is a constant: it was made from no `Var::leaf` and no trainable parameter, or inside \
             `no_grad`, or is a gradient that was not recorded (`grad_create_graph` records it)"
        )
    };
    let x = leaf(&[]);
    let y = no_grad(|| &x * 2.0);
    let one = Tensor::from(1.0);
    panics(|| y.clone().backward(), &constant("backward"));
    panics(|| x.detach().backward_with(&one), &constant("backward_with"));
    panics(|| grad(&y, &[&x]), &constant("grad"));
    panics(|| grad_create_graph(&y, &[&x]), &constant("grad_create_graph"));
    panics(|| vjp(&y, &one, &[&x]), &constant("vjp"));
    panics(|| vjp_create_graph(&y, &x, &[&x]), &constant("vjp_create_graph"));
}

#[test]
fn results_that_are_nan() {
    let x = Var::leaf(Tensor::from([4.0, 1.0]));
    let nan = "backward: the result is NaN, and so would be the gradients";
    // Known is what rules keep: of log its input, of exp its output.
    let advice = "; run the forward pass inside `keep_values` to learn which operation made it";
    panics(|| (&x - 2.0).log().sum(..).backward(), &format!("{nan}{advice}"));
    let exp = "; the first NaN known to the tape is %3 = exp %2 : [2] f64";
    panics(|| (&x - 2.0).log().exp().sum(..).backward(), &format!("{nan}{exp}"));
    let log = "; the first NaN known to the tape is %2 = log %1 : [2] f64";
    panics(|| keep_values(|| (&x - 2.0).log().exp().sum(..)).backward(), &format!("{nan}{log}"));
}

#[test]
fn checkpoints() {
    let (x, w) = (leaf(&[3]), leaf(&[3]));
    let captured = "custom_vjp: the function reads a variable that is not among its 1 inputs, whose gradient would be lost: \
                    make it an input, or `detach` it";
    let twin = w.clone();
    let rule = |_: &[Var<f64>], _: &Var<f64>, g: &Var<f64>| vec![g.clone()];
    panics(|| custom_vjp(&[&x], move |inputs| &inputs[0] * &twin, rule), captured);
    let sums = custom_vjp(&[&x], |inputs| inputs[0].clone(), |_, _, g| vec![g.sum(..)]).sum(..);
    let shape =
        "custom_vjp: the rule gives a gradient of shape [] for input 0 of shape [3]: they must be equal";
    assert_eq!(panic_of(|| sums.backward()).0, shape);
    let twice = custom_vjp(&[&x], |inputs| inputs[0].clone(), |_, _, g| vec![g.clone(), g.clone()]).sum(..);
    let number = "custom_vjp: the rule gives 2 gradients for 1 inputs: there must be one for each";
    assert_eq!(panic_of(|| twice.backward()).0, number);
    let changed = "checkpoint: the function gave another result when it ran again for the backward pass; it must depend on \
                   nothing but the variables that it reads: draw random numbers outside and give them as inputs, and \
                   checkpoint layers with `checkpoint_layer`";
    let runs = std::sync::atomic::AtomicU8::new(0);
    let growing = move |inputs: &[Var<f64>]| &inputs[0] * f64::from(runs.fetch_add(1, Relaxed));
    let y = checkpoint(&[&x], growing).sum(..);
    assert_eq!(panic_of(|| y.backward()).0, changed);
}

#[test]
fn cotangents_of_another_shape() {
    let (x, wrong) = (leaf(&[2, 3]), Tensor::ones([3]));
    let message = |function: &str| {
        format!("{function}: the cotangent has shape [3], the result [2, 3]: they must be equal")
    };
    panics(|| x.exp().backward_with(&wrong), &message("backward_with"));
    panics(|| vjp(&x.exp(), &wrong, &[&x]), &message("vjp"));
    panics(|| vjp_create_graph(&x.exp(), &wrong.clone().into(), &[&x]), &message("vjp_create_graph"));
}

#[test]
fn inputs_that_have_no_gradient() {
    let (x, unused) = (leaf(&[]), leaf(&[2, 3]));
    let y = x.exp();
    let constant = |function: &str| {
        format!("{function}: input 1 is a constant; make it with `Var::leaf` to ask for its gradient")
    };
    panics(|| grad(&y, &[&x, &Var::constant(1.0)]), &constant("grad"));
    panics(|| grad_create_graph(&y, &[&x, &x.detach()]), &constant("grad_create_graph"));
    panics(|| vjp(&y, &Tensor::from(1.0), &[&x, &x.detach()]), &constant("vjp"));
    let unreached = |function: &str| {
        format!(
            "{function}: the result does not depend on input 1 (shape [2, 3]); `vjp` gives None for such an input"
        )
    };
    panics(|| grad(&y, &[&x, &unused]), &unreached("grad"));
    panics(|| grad_create_graph(&y, &[&x, &unused]), &unreached("grad_create_graph"));
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    NoRule,
    Shape,
    NotSaved,
    OutputNotSaved,
}

/// The sum of two, with a rule for the second that is wrong.
#[derive(Debug)]
struct Faulty(Fault);

/// A line from which those of the rule are counted.
const RULE: u32 = line!();

impl Operation<f64> for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }
    fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
        inputs[0] + inputs[1]
    }
    fn saves(&self) -> Saves {
        Saves::NOTHING
    }
    fn vjp(&self, context: &Context<f64>, input: usize) -> Option<Var<f64>> {
        match self.0 {
            _ if input == 0 => Some(context.cotangent().clone()),
            Fault::NoRule => None,
            Fault::Shape => Some(context.cotangent().t()),
            Fault::NotSaved => Some(context.input(1)),
            Fault::OutputNotSaved => Some(context.output()),
        }
    }
}

#[test]
fn wrong_rules() {
    let (x, y) = (leaf(&[2, 3]), leaf(&[2, 3]));
    let loss = |fault: Fault| apply(Faulty(fault), &[&x, &y]).sum(..);
    let no_rule = "backward: operation `faulty` has no gradient rule for input 1; implement `Operation::vjp` \
                   for it, or `detach` the input";
    panics(|| loss(Fault::NoRule).backward(), no_rule);
    panics(|| grad(&loss(Fault::NoRule), &[&x]), no_rule);
    let shape = "backward: the rule of operation `faulty` for input 1 gave a gradient of shape [3, 2], which \
                 does not reduce to the input's [2, 3]";
    panics(|| loss(Fault::Shape).backward(), shape);
    panics(|| grad_create_graph(&loss(Fault::Shape), &[&y]), shape);
    let ones = [Tensor::ones([2, 3])];
    panics(|| hvp(|x| apply(Faulty(Fault::Shape), &[&y, &x[0]]).sum(..), &ones, &ones), shape);
    // Rules that are not asked do no harm.
    assert_eq!(apply(Faulty(Fault::NoRule), &[&x, &y.detach()]).sum(..).backward().len(), 1);
    // What a rule reads without saving it is a mistake at a line of the rule.
    for (fault, what, line) in [(Fault::NotSaved, "input 1", 17), (Fault::OutputNotSaved, "the output", 18)] {
        let (message, file, at) = panic_of(|| loss(fault).backward());
        assert_eq!(message, format!("faulty: the gradient rule reads {what}, which `saves` does not list"));
        assert_eq!((file.as_str(), at), (file!(), RULE + line));
    }
}

#[test]
fn updates() {
    let mut x = leaf(&[2, 3]);
    panics(
        || x.update(|x| *x = x.sum(0)),
        "update: the new value has shape [3], the variable [2, 3]: they must be equal",
    );
    let mut y = leaf(&[2]).exp();
    panics(
        || y.update(|y| *y += 1.0),
        "update: the variable is the result of `exp`; only a leaf or a constant can be changed (detach it first)",
    );
    let mut constant = Var::constant(1.0);
    constant.update(|x| *x += 1.0);
    assert_eq!(constant.item(), 2.0);
}

#[test]
fn hessian_vector_products() {
    let (x, v) = ([Tensor::<f64>::ones([2, 3])], Tensor::<f64>::ones([3]));
    let f = |x: &[Var<f64>]| x[0].square().sum(..);
    let count = "hvp: there are 1 inputs and 2 vectors: there must be one vector for each input";
    panics(|| hvp(f, &x, &[x[0].clone(), v.clone()]), count);
    let shape = "hvp: vector 0 has shape [3], input 0 [2, 3]: they must be equal";
    panics(|| hvp(f, &x, std::slice::from_ref(&v)), shape);
    panics(|| hvp(|_| Var::constant(1.0), &x, std::slice::from_ref(&v)), shape);
}

#[test]
fn forward_mode() {
    let (x, v) = (leaf(&[2, 3]), Tensor::<f64>::ones([3]));
    let y = x.square();
    panics(
        || jvp(&y, &[&x], &[]),
        "jvp: there are 1 inputs and 0 tangents: there must be one tangent for each input",
    );
    panics(
        || jvp(&y, &[&x], std::slice::from_ref(&v)),
        "jvp: tangent 0 has shape [3], input 0 [2, 3]: they must be equal",
    );
    let constant = Var::constant(&v);
    panics(
        || jvp(&y, &[&constant], std::slice::from_ref(&v)),
        "jvp: input 0 is a constant; make it with `Var::leaf` to give it a tangent",
    );
    panics(
        || jvp_create_graph(&y, &[&x], std::slice::from_ref(&constant)),
        "jvp_create_graph: tangent 0 has shape [3], input 0 [2, 3]: they must be equal",
    );
}

#[test]
fn matrices_of_derivatives() {
    let (x, constant) = (leaf(&[2, 3]), Var::constant(1.0));
    let tracked = |function| {
        format!(
            "{function}: x is a constant; make it with `Var::leaf` to ask for derivatives with respect to it"
        )
    };
    panics(|| jacobian(&x, &constant), &tracked("jacobian"));
    panics(|| hessian(&x, &constant), &tracked("hessian"));
    panics(|| batched_jacobian(&x, &constant), &tracked("batched_jacobian"));
    panics(|| batched_hessian(&x, &constant), &tracked("batched_hessian"));
    panics(
        || hessian(&x.exp(), &x),
        "hessian: the result has shape [2, 3], and only one element has a Hessian; `batched_hessian` takes one for each row",
    );
    panics(
        || batched_hessian(&x.exp(), &x),
        "batched_hessian: the result has shape [2, 3]: it must be [batch]",
    );
    let rows =
        "batched_jacobian: the result has shape [3], x [2, 3]: both must begin with the size of the batch";
    panics(|| batched_jacobian(&x.sum(0), &x), rows);
}

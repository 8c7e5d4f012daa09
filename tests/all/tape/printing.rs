//! The tape as text, as a graph and as numbers.

use gradus::prelude::*;
use gradus::{Inputs, Operation, apply, keep_values};

struct Mlp {
    hidden: Linear,
    out: Linear,
}

fn model() -> (Mlp, Var) {
    let rng = &mut seeded(0);
    let model = Mlp { hidden: Linear::new(2, 3, rng), out: Linear::new(3, 2, rng).without_bias() };
    let x = Var::constant(Tensor::ones([3, 2]));
    let y = model.out.forward(model.hidden.forward(&x).leaky_relu(0.1));
    let loss = y.cross_entropy(Tensor::from([0, 1, 1]));
    (model, loss)
}

fn labelled(model: &Mlp, loss: &Var) -> Tape {
    let bias = model.hidden.bias.as_ref().expect("a layer has a bias unless it is told not to");
    Tape::of(loss)
        .label(&model.hidden.weight, "hidden.weight")
        .label(bias, "hidden.bias")
        .label(&model.out.weight, "out.weight")
        .label(loss, "loss")
        .label(&Var::constant(1.0), "nothing")
        .label(&Var::leaf(Tensor::from(1.0_f32)), "not on this tape")
}

#[test]
fn a_model_as_a_list() {
    let (model, loss) = model();
    let tape = labelled(&model, &loss);
    let expected = "\
%0 = hidden.weight : [3, 2] f32
%1 = hidden.bias : [3] f32
%2 = out.weight : [2, 3] f32
%3 = linear constant[3, 2] %0 %1 : [3, 3] f32
%4 = leaky_relu %3 { negative_slope: 0.1 } : [3, 3] f32
%5 = linear %4 %2 : [3, 2] f32
%6 = loss %5 indices[3] { axis: 1, ignore_index: Some(-100) } : [] f32
";
    assert_eq!(tape.to_string(), expected);
    assert_eq!((tape.len(), tape.iter().len(), tape.is_empty()), (7, 7, false));
    // Unlabelled, the names are those of the operations.
    let unlabelled = expected.replace("hidden.weight", "leaf").replace("hidden.bias", "leaf");
    let unlabelled = unlabelled.replace("out.weight", "leaf").replace("loss %5", "cross_entropy %5");
    assert_eq!(Tape::of(&loss).to_string(), unlabelled);
    assert_eq!(format!("{:?}", loss.detach()), format!("Var(constant) {:?}", loss.value()));
    assert_eq!(format!("{loss:?}"), format!("Var(cross_entropy) {:?}", loss.value()));
}

#[test]
fn a_model_as_a_graph() {
    let rng = &mut seeded(0);
    let layer = Linear::<f64>::new(2, 1, rng);
    let y = layer.forward(Var::constant([[1.0, 2.0]])).sum(..);
    let dot = Tape::of(&y).label(&layer.weight, "the \"weight\"\\").to_dot();
    let expected = r#"digraph tape {
  node [fontname="monospace", shape=box];
  n0 [label="the \"weight\"\\\n[1, 2]", style=filled, fillcolor=lightgrey];
  n1 [label="leaf\n[1]", style=filled, fillcolor=lightgrey];
  n2 [label="linear\n[1, 1]"];
  n0 -> n2;
  n1 -> n2;
  n3 [label="sum\n{ axes: [0, 1], keepdim: false }\n[]"];
  n2 -> n3;
}
"#;
    assert_eq!(dot, expected);
}

#[test]
fn bytes_are_those_that_rules_read() {
    let bytes = |y: &Var| Tape::of(y).bytes();
    let (x, c) = (Var::leaf(Tensor::<f32>::ones([100])), Var::constant(Tensor::ones([100])));
    for (y, expected, what) in [
        (x.clone(), 0, "a leaf"),
        (&x + &c, 0, "add keeps shapes only"),
        (x.exp(), 400, "exp keeps its output"),
        (x.sin(), 400, "sin keeps its input"),
        (&x * &c, 400, "the gradient of a product by x is c"),
        (&c * &x, 400, "on either side"),
        (&x * &x, 400, "one buffer, counted once"),
        (x.exp() * x.sin(), 1200, "x, exp, sin"),
        (x.exp().exp(), 800, "two outputs"),
        (x.reshape([10, 10]).t().sum(0), 0, "views and sums"),
        (x.max(..), 404, "max keeps its input and output"),
        (c.exp(), 0, "constants have no tape"),
    ] {
        assert_eq!(bytes(&y), expected, "{what}");
    }
    let y = keep_values(|| (&x + &c).sum(..));
    assert_eq!(bytes(&y), 400 + 400 + 400 + 4, "everything: both operands, the sum, the sum of it");
}

/// Attributes of a user's own operation.
#[derive(Debug)]
#[allow(dead_code, reason = "they are only shown")]
struct Custom {
    mask: Tensor<bool>,
    inner: Option<f64>,
}

impl Operation<f64> for Custom {
    fn name(&self) -> &'static str {
        "custom"
    }
    fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
        inputs[0].clone()
    }
}

#[test]
fn one_entry_is_one_line() {
    let x = Var::leaf(Tensor::from(1.0));
    let custom = Custom { mask: Tensor::from([[true, false], [false, true]]), inner: Some(0.5) };
    let tape = Tape::of(&(apply(custom, &[&x]) * Var::constant([1.0, 2.0]) - 0.5));
    let expected = "\
%0 = leaf : [] f64
%1 = custom %0 { mask: Tensor<bool> [2, 2] [[ true false] [false true]], inner: Some(0.5) } : [] f64
%2 = mul %1 constant[2] : [2] f64
%3 = sub %2 constant[] : [2] f64
";
    assert_eq!(tape.to_string(), expected);
    let entries: Vec<_> =
        tape.iter().map(|entry| (entry.position(), entry.operation(), entry.shape().to_vec())).collect();
    let expected = [(0, "leaf", vec![]), (1, "custom", vec![]), (2, "mul", vec![2]), (3, "sub", vec![2])];
    assert_eq!(entries, expected);
    let inputs: Vec<Vec<Option<usize>>> = tape.iter().map(|entry| entry.inputs().collect()).collect();
    assert_eq!(inputs, [vec![], vec![Some(0)], vec![Some(1), None], vec![Some(2), None]]);
}

#[test]
fn a_constant_has_no_tape() {
    let tape = Tape::of(&Var::constant(1.0).exp());
    assert_eq!((tape.len(), tape.is_empty(), tape.bytes(), tape.to_string()), (0, true, 0, String::new()));
}

/// A long tape is drawn in time that grows with its length.
#[test]
fn long_tapes_are_drawn() {
    let y = (0..100_000).fold(Var::leaf(Tensor::from(1.0)), |y, _| -y);
    let dot = Tape::of(&y).to_dot();
    assert_eq!(dot.lines().count(), 2 + 100_001 + 100_000 + 1);
    assert!(dot.ends_with("  n100000 [label=\"neg\\n[]\"];\n  n99999 -> n100000;\n}\n"));
}

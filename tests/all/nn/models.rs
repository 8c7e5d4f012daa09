//! Clones, sequences, and the parameters that a loss depends on.

use gradus::Tanh;
use gradus::prelude::*;
use proptest::prelude::*;

#[derive(Module, Clone)]
struct Mlp {
    hidden: Linear<f64>,
    out: Linear<f64>,
}

impl Mlp {
    fn new(seed: u64) -> Self {
        let rng = &mut seeded(seed);
        Self { hidden: Linear::new(3, 4, rng), out: Linear::new(4, 2, rng) }
    }

    fn forward(&self, x: &Var<f64>) -> Var<f64> {
        self.out.forward(self.hidden.forward(x).tanh())
    }
}

fn batch(seed: u64) -> (Var<f64>, Tensor<f64>) {
    let rng = &mut seeded(seed);
    (Var::constant(Tensor::randn([5, 3], rng)), Tensor::randn([5, 2], rng))
}

fn values(model: &dyn Module<f64>) -> Vec<Tensor<f64>> {
    model.parameters().into_iter().map(|parameter| parameter.value().clone()).collect()
}

proptest! {
    /// Training one of two clones leaves the other as it is; they share values, but no gradients.
    #[test]
    fn clones_are_independent(seed: u64) {
        let (model, (x, y)) = (Mlp::new(seed), batch(!seed));
        let mut clone = model.clone();
        prop_assert_eq!(values(&model), values(&clone));
        let before = values(&model);
        let gradients = clone.forward(&x).mse_loss(&y).backward();
        for (original, clone) in model.parameters().into_iter().zip(clone.parameters()) {
            prop_assert_eq!(gradients.get(original), None);
            prop_assert!(gradients.get(clone).is_some());
            prop_assert_ne!(original.identity(), clone.identity());
        }
        let names = ["hidden.weight", "hidden.bias", "out.weight", "out.bias"];
        prop_assert_eq!(model.names_without_gradient(&gradients), names);
        prop_assert!(clone.names_without_gradient(&gradients).is_empty());
        Sgd::new(0.1).step(&mut clone, &gradients);
        prop_assert_eq!(values(&model), before.clone());
        prop_assert!(values(&clone).iter().zip(&before).all(|(after, before)| after != before));
    }

    /// Whatever turns into a variable gives the output that the variable gives.
    #[test]
    fn inputs_of_any_kind(seed: u64) {
        let (layer, rng) = (Mlp::new(seed).hidden, &mut seeded(!seed));
        let rows: [[f64; 3]; 2] = std::array::from_fn(|_| std::array::from_fn(|_| Tensor::<f64>::rand([1], rng).item()));
        let x = Tensor::from(rows);
        let expected = layer.forward(Var::constant(&x)).into_value();
        prop_assert_eq!(layer.forward(&x).into_value(), expected.clone());
        prop_assert_eq!(layer.forward(x.clone()).into_value(), expected.clone());
        prop_assert_eq!(layer.forward(rows).into_value(), expected.clone());
        prop_assert_eq!(layer.forward(Parameter::new(x)).into_value(), expected.clone());
        let first = expected.select(0, 0);
        prop_assert_eq!(layer.forward(rows[0]).into_value(), first.clone());
        prop_assert_eq!(layer.forward(rows[0].to_vec()).into_value(), first.clone());
        prop_assert_eq!(layer.forward(&rows[0][..]).into_value(), first.clone());
    }

    /// A sequence is the composition of its layers, in values and gradients, however it is nested.
    #[test]
    fn sequences_are_compositions(seed: u64) {
        let (model, (x, y)) = (Mlp::new(seed), batch(!seed));
        let flat = Sequential::new().push(model.hidden.clone()).push(Tanh).push(model.out.clone());
        let inner = Sequential::new().push(Tanh).push(model.out.clone());
        let nested = Sequential::new().push(model.hidden.clone()).push(inner).push(Sequential::new());
        let names: Vec<String> = nested.named_parameters().into_iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names, ["0.weight", "0.bias", "1.1.weight", "1.1.bias"]);
        let expected = model.forward(&x).mse_loss(&y);
        let value = expected.item();
        let gradients = expected.backward();
        let function = Sequential::new().push(model.hidden.clone()).push_fn(Var::tanh).push(model.out.clone());
        prop_assert_eq!((flat.len(), nested.len(), nested.is_empty()), (3, 3, false));
        let stepwise = flat.iter().fold(x.clone(), |x, layer| layer.forward(&x)).into_value();
        let indexed = flat[2].forward(&flat[1].forward(&flat[0].forward(&x))).into_value();
        let composed = model.forward(&x).into_value();
        prop_assert_eq!([&stepwise, &indexed], [&composed; 2]);
        for sequence in [&flat, &nested, &nested.clone(), &function] {
            let loss = sequence.forward(&x).mse_loss(&y);
            prop_assert_eq!(loss.item(), value);
            let found = loss.backward();
            for (original, copy) in model.parameters().into_iter().zip(sequence.parameters()) {
                prop_assert_eq!(found.get(copy), gradients.get(original));
            }
        }
        let identity = Sequential::new().forward(&x);
        prop_assert_eq!(identity.value(), x.value());
    }
}

#[test]
fn parameters_without_a_gradient_are_named() {
    let model = Mlp::new(0);
    let gradients = model.hidden.forward(&batch(0).0).sum(..).backward();
    assert_eq!(model.names_without_gradient(&gradients), ["out.weight", "out.bias"]);
}

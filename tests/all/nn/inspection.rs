//! Looking at models and their gradients.

use gradus::prelude::*;
use proptest::prelude::*;

use crate::messages::panics;

proptest! {
    /// The table has a line for each parameter and buffer, and the totals are sums of its lines.
    #[test]
    fn summaries(widths in prop::collection::vec(1..5_usize, 2..6), frozen in any::<prop::sample::Index>(), seed: u64) {
        let rng = &mut seeded(seed);
        let mut model: Sequential = Sequential::new();
        for pair in widths.windows(2) {
            model = model.push(Linear::new(pair[0], pair[1], rng)).push(BatchNorm1d::new(pair[1])).push(Relu);
        }
        let names: Vec<String> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
        let frozen = &names[frozen.index(names.len())];
        model.freeze(|name| name == frozen);
        let summary = model.summary();
        for (name, parameter) in model.named_parameters() {
            let row = summary.rows.iter().find(|row| row.name == name).unwrap();
            let kind = if name == *frozen { "frozen" } else { "trainable" };
            prop_assert_eq!((row.kind, &row.shape[..], row.count()), (kind, parameter.shape(), parameter.len()));
        }
        prop_assert_eq!(summary.rows.len(), names.len() + model.named_buffers().len());
        let text = model.to_string();
        prop_assert_eq!(&text, &summary.to_string());
        prop_assert_eq!(text.lines().count(), summary.rows.len() + 2);
        let buffers: usize = model.named_buffers().iter().map(|(_, buffer)| buffer.value().len()).sum();
        let (all, trainable) = (model.parameter_count(), model.trainable_parameter_count());
        let totals = format!(
            "{all} parameters, {trainable} trainable, {} frozen; {buffers} in buffers", all - trainable
        );
        prop_assert_eq!(text.lines().last(), Some(&totals[..]));
        // `{:?}` shows no numbers of the model.
        let debug = format!("{model:?}");
        prop_assert!(debug.len() < 150 * model.len());
    }

    /// Gradients have the names of their parameters; one that is not finite is named, and refused by a step.
    #[test]
    fn gradients_by_name(place in 0..6_usize, nan: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let layers: [Linear<f64>; 2] = [Linear::new(2, 3, rng), Linear::new(3, 1, rng).without_bias()];
        let mut model = (layers, Parameter::new([2.0, 3.0]));
        let y = model.0[0].forward(Tensor::randn([4, 2], rng));
        let mut gradients = y.square().sum(..).backward();
        let names = |named: Vec<(String, &Tensor<f64>)>| named.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        prop_assert_eq!(names(model.named_gradients(&gradients)), ["0.0.weight", "0.0.bias"]);
        prop_assert_eq!(Some(model.named_gradients(&gradients)[1].1), gradients.get(model.0[0].bias.as_ref().unwrap()));
        prop_assert_eq!(model.check_finite(&gradients), Ok(()));

        let broken = if nan { f64::NAN } else { f64::NEG_INFINITY };
        gradients.update(&model.0[0].weight, |gradient| gradient[[place / 2, place % 2]] = broken);
        let error = model.check_finite(&gradients).unwrap_err();
        let counts = if nan { "1 NaN and 0 infinite" } else { "0 NaN and 1 infinite" };
        let message = format!("the gradients are not finite: `0.0.weight` ({counts} of 6)");
        prop_assert_eq!(error.to_string(), message.clone());
        let before = model.state();
        panics(|| Sgd::new(0.1).step(&mut model, &gradients), &format!("step: {message}"));
        prop_assert_eq!(model.state(), before);
    }
}

//! Sequences with fewer channels.

use gradus_autograd::{Conv, Pool, Tensor, Var, seeded};
use gradus_compress::{Masks, Scope, Scores, Unit, prunable, shrink};
use gradus_nn::{
    BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, Parameter, Relu,
    Sequential, Square, Tanh,
};
use proptest::prelude::*;

/// Images of 8 x 8 pixels to four classes; a sequence within the sequence.
fn cnn(seed: u64) -> Sequential<f64> {
    let rng = &mut seeded(seed);
    let conv = |inputs, outputs, rng: &mut _| Conv2d::new(inputs, outputs, 3, Conv::new().padding(1), rng);
    let mut norm = BatchNorm2d::new(6);
    norm.running_mean.set(Tensor::randn([6], rng));
    norm.bias.as_mut().unwrap().set(Tensor::randn([6], rng));
    let first = Sequential::new().push(conv(1, 6, rng)).push(norm).push(Relu).push(MaxPool2d(Pool::new(2)));
    let mut model = Sequential::new()
        .push(first)
        .push(conv(6, 5, rng))
        .push(Tanh)
        .push(Flatten)
        .push(Linear::new(5 * 16, 7, rng))
        .push(Dropout::new(0.5, seed))
        .push(Square)
        .push(Linear::new(7, 4, rng));
    model.eval();
    model
}

/// Sets the channels of a parameter that do not stay to 0.
fn clear(parameter: &mut Parameter<f64>, mask: &Tensor<bool>) {
    let mut sizes = vec![1; parameter.rank()];
    sizes[0] = mask.len();
    parameter.set(parameter.value() * mask.reshape(sizes).cast::<f64>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A model without channels gives what the whole one gives if they are 0.
    #[test]
    fn fewer_channels_are_channels_of_0(seed: u64, rate in 0.0..0.9, by_activation: bool) {
        let (mut model, rng) = (cnn(seed), &mut seeded(!seed));
        let names = prunable(&model);
        prop_assert_eq!(&names, &["0.0.weight", "1.weight", "4.weight"]);
        let x = Tensor::randn([3, 1, 8, 8], rng);
        let scores = if by_activation {
            Scores::of_activations(&model, &x, |y| y.square().mean(..))
        } else {
            Scores::magnitude(&model, Unit::Channel, |name| names.iter().any(|known| known == name))
        };
        let masks = Masks::prune(&scores, rate, Scope::Each).unwrap();
        let mut zeroed = model.clone();
        for (name, parameter) in model.named_parameters().into_iter().map(|(name, x)| (name, x.clone())).collect::<Vec<_>>() {
            // The normalisation behind the first layer has its channels as well.
            let layer = name.rsplit_once('.').unwrap().0;
            let of = if layer == "0.1" { "0.0" } else { layer };
            if let Some(mask) = masks.get(&format!("{of}.weight")) {
                let place = model.named_parameters().iter().position(|(other, _)| *other == name).unwrap();
                let mut parameter = parameter;
                clear(&mut parameter, &mask.flatten(..));
                zeroed.parameters_mut()[place].set(parameter.value().clone());
            }
        }
        let expected = zeroed.forward(&x);
        let changes = shrink(&mut model, &masks).unwrap();
        let left = |channels: usize| channels - ((rate * channels as f64).round() as usize).min(channels - 1);
        let want: Vec<_> = names.into_iter().zip([6, 5, 7]).map(|(name, channels)| (name, channels, left(channels))).collect();
        prop_assert_eq!(changes, want);
        prop_assert!(model.forward(&x).value().allclose(expected.value(), 1e-12, 1e-12));
        let y = model.clone().forward(&x);
        prop_assert_eq!(y.shape(), [3, 4]);
    }

    /// After `Flatten`, a normalisation has a mean for each pixel. The means of a removed channel are removed, too.
    #[test]
    fn normalised_pixels_go_with_their_channel(seed: u64, length in 1..4_usize, lost in 1..3_usize) {
        let rng = &mut seeded(seed);
        let pixels = 3 * length;
        let mut norm = BatchNorm1d::new(pixels);
        norm.running_mean.set(Tensor::randn([pixels], rng));
        norm.running_var.set(Tensor::<f64>::rand([pixels], rng) + 0.1);
        norm.bias.as_mut().unwrap().set(Tensor::randn([pixels], rng));
        let mut model = Sequential::<f64>::new()
            .push(Conv1d::new(2, 3, 1, Conv::new(), rng))
            .push(Flatten)
            .push(norm)
            .push(Tanh)
            .push(Linear::new(pixels, 4, rng));
        model.eval();
        let mask: Tensor<bool> = (0..3).map(|channel| channel >= lost).collect();
        // The whole model, whose last layer reads 0 of the channels that go.
        let mut zeroed = model.clone();
        let reads = mask.cast::<f64>().unsqueeze(1).expand([3, length]).reshape([1, pixels]);
        let weight = model.named_parameters().iter().position(|(name, _)| name == "4.weight").unwrap();
        zeroed.parameters_mut()[weight].update(|weight| *weight *= &reads);
        let mut state = gradus_nn::State::new();
        state.insert("0.weight", mask.reshape([3, 1, 1]));
        let changes = shrink(&mut model, &Masks::from_state(&state).unwrap()).unwrap();
        prop_assert_eq!(changes, [("0.weight".to_string(), 3, 3 - lost)]);
        let x = Tensor::randn([5, 2, length], rng);
        prop_assert!(model.forward(&x).value().allclose(zeroed.forward(&x).value(), 1e-12, 1e-12));
    }

    /// The score is the change of a loss that is linear in the channel, of each sample for itself.
    #[test]
    fn scores_of_activations_are_changes_of_the_loss(seed: u64) {
        let rng = &mut seeded(seed);
        let (first, second) = (Linear::<f64>::new(4, 3, rng), Linear::new(3, 2, rng));
        let model = Sequential::new().push(first.clone()).push(Tanh).push(second.clone());
        let x = Tensor::randn([5, 4], rng);
        let scores = Scores::of_activations(&model, &x, |y| y.sum(..));
        let hidden = first.forward(&x).tanh().into_value();
        let loss = |hidden: &Tensor<f64>| second.forward(hidden).sum(1).into_value();
        let changes: Tensor<f64> = (0..3).map(|channel| {
            let mask: Tensor<f64> = (0..3).map(|other| f64::from(other != channel)).collect();
            (loss(&hidden) - loss(&(&hidden * mask))).abs().mean(..).item()
        }).collect();
        let expected = &changes / changes.norm(2.0, ..);
        prop_assert!(scores.get("0.weight").unwrap().flatten(..).allclose(&expected, 1e-12, 1e-12));
    }
}

/// Running statistics and the masks of dropout, in training mode.
#[test]
fn scores_of_activations_leave_the_model_as_it_was() {
    let rng = &mut seeded(0);
    let model = Sequential::<f64>::new()
        .push(Linear::new(4, 3, rng))
        .push(BatchNorm1d::new(3))
        .push(Dropout::new(0.5, 1))
        .push(Linear::new(3, 2, rng));
    let (x, before) = (Tensor::randn([5, 4], rng), model.state());
    let scores = || Scores::of_activations(&model, &x, |y| y.square().mean(..));
    assert_eq!(scores().get("0.weight").unwrap(), scores().get("0.weight").unwrap());
    assert_eq!(model.state(), before);
}

fn refusal(mut model: Sequential<f64>, name: &str, channels: usize, lost: usize) -> String {
    let mask: Tensor<bool> = (0..channels).map(|channel| channel >= lost).collect();
    let before = model.state();
    let mut state = gradus_nn::State::new();
    state.insert(name, mask.reshape([channels, 1]));
    let error = shrink(&mut model, &Masks::from_state(&state).unwrap()).unwrap_err();
    assert_eq!(model.state().names().collect::<Vec<_>>(), before.names().collect::<Vec<_>>());
    error.to_string()
}

#[test]
fn refusals_name_the_layer() {
    let rng = &mut seeded(0);
    let mut dense = |inputs, outputs| Linear::<f64>::new(inputs, outputs, rng);
    let (a, b, tokens) = (dense(4, 4), dense(4, 2), dense(8, 2));
    let residual = Sequential::new().push(a.clone()).push_fn(|x: &Var<f64>| x + x.tanh()).push(b.clone());
    let found = [
        refusal(residual, "0.weight", 4, 1),
        refusal(Sequential::new().push(a.clone()).push(b.clone()), "1.weight", 2, 1),
        refusal(Sequential::new().push(a.clone()).push(b.clone()), "0.weight", 4, 4),
        refusal(Sequential::new().push(a.clone()).push(b.clone()), "0.weight", 3, 1),
        refusal(Sequential::new().push(a.clone()).push(b.clone()), "0.bias", 4, 1),
        refusal(Sequential::new().push(a.clone()).push(Flatten).push(tokens.clone()), "0.weight", 4, 1),
        refusal(
            Sequential::new().push(Conv2d::new(1, 4, 3, Conv::new(), &mut seeded(0))).push(b.clone()),
            "0.weight",
            4,
            1,
        ),
        refusal(
            Sequential::new()
                .push(Conv2d::new(2, 4, 3, Conv::new().groups(2), &mut seeded(0)))
                .push(Flatten)
                .push(b.clone()),
            "0.weight",
            4,
            1,
        ),
        refusal(
            Sequential::new().push(a.clone()).push(Flatten).push(BatchNorm1d::new(8)).push(tokens),
            "0.weight",
            4,
            1,
        ),
        refusal(Sequential::new().push(a).push(BatchNorm1d::new(6)).push(b.clone()), "0.weight", 4, 1),
        refusal(
            Sequential::new()
                .push(Conv2d::new(2, 4, 3, Conv::new(), &mut seeded(0)))
                .push(Flatten)
                .push(BatchNorm1d::new(6))
                .push(b.clone()),
            "0.weight",
            4,
            1,
        ),
        refusal(
            Sequential::new()
                .push(Conv2d::new(2, 4, 3, Conv::new(), &mut seeded(0)))
                .push(Flatten)
                .push(BatchNorm2d::new(4))
                .push(b),
            "0.weight",
            4,
            1,
        ),
    ];
    let expected = [
        "\"0.weight\" cannot lose channels: it is not known what layer \"1\", a Function, does with them",
        "\"1.weight\" cannot lose channels: they are outputs of the model; `prunable` names the weights that can",
        "\"0.weight\" would lose all channels: prune less, or the same share of each with `Scope::Each`",
        "\"0.weight\" has 4 channels, the mask is for 3",
        "\"0.bias\" is no weight of a dense layer or a convolution in the sequence",
        "\"0.weight\" cannot lose channels: the dense layer \"2\" reads 8 numbers of 4 outputs",
        "\"0.weight\" cannot lose channels: the dense layer \"1\" reads images: `Flatten` must be before it",
        "\"0.weight\" cannot lose channels: the convolution has 2 groups: channels can be left out of one group only",
        "\"0.weight\" cannot lose channels: the normalisation \"2\" has 8 channels, of 4 outputs",
        "\"0.weight\" cannot lose channels: the normalisation \"1\" has 6 channels, of 4 outputs",
        "\"0.weight\" cannot lose channels: the normalisation \"2\" has 6 channels, of 4 outputs",
        "\"0.weight\" cannot lose channels: layer \"2\" needs images, and what goes into it is flat",
    ];
    assert_eq!(found, expected.map(|fault| format!("shrink: {fault}")));
}

//! Properties of pruning, low rank, sharing and adapters.

use gradus_autograd::{Conv, Tensor, Var, seeded};
use gradus_compress::{
    Channels, Gradual, Lora, LowRankConv2d, LowRankLinear, Masks, Scope, Scores, Shared, Unit, keep_channels,
    rank_for,
};
use gradus_nn::{AdamW, BatchNorm2d, Conv2d, Linear, Losses, Module, Optimizer, Sequential, Tanh};
use proptest::prelude::*;

fn mlp(seed: u64) -> Sequential<f64> {
    let rng = &mut seeded(seed);
    Sequential::new().push(Linear::new(6, 9, rng)).push(Tanh).push(Linear::new(9, 4, rng))
}

fn is_weight(name: &str) -> bool {
    name.ends_with("weight")
}

fn largest(x: &Tensor<f64>) -> f64 {
    x.iter().map(f64::abs).fold(0.0, f64::max)
}

fn zeros<'a>(tensors: impl IntoIterator<Item = &'a Tensor<f64>>) -> usize {
    tensors.into_iter().flat_map(Tensor::to_vec).filter(|x| *x == 0.0).count()
}

fn weights(model: &dyn Module<f64>) -> Vec<Tensor<f64>> {
    let named = model.named_parameters().into_iter();
    named.filter(|(name, _)| is_weight(name)).map(|(_, x)| x.value().clone()).collect()
}

proptest! {
    /// This share of the units is pruned, and no pruned unit is more important than one that stays.
    #[test]
    fn the_least_important_go(seed: u64, rate in 0.0..1.0, global: bool, channels: bool) {
        let (model, unit) = (mlp(seed), if channels { Unit::Channel } else { Unit::Weight });
        let scope = if global { Scope::Global } else { Scope::Each };
        let scores = Scores::magnitude(&model, unit, is_weight);
        let masks = Masks::prune(&scores, rate, scope).unwrap();
        let of = |name: &str| {
            let pairs = scores.get(name).unwrap().to_vec().into_iter().zip(masks.get(name).unwrap().to_vec());
            pairs.collect::<Vec<_>>()
        };
        let layers = [of("0.weight"), of("2.weight")];
        let groups = if global { vec![layers.concat()] } else { layers.to_vec() };
        for group in groups {
            let pruned: Vec<f64> = group.iter().filter(|(_, kept)| !kept).map(|(score, _)| *score).collect();
            let expected = (rate * group.len() as f64).round() as usize;
            prop_assert_eq!(pruned.len(), expected.min(group.len() - 1));
            let most = pruned.iter().copied().fold(0.0, f64::max);
            prop_assert!(group.iter().all(|&(score, kept)| !kept || score >= most));
        }
    }

    /// What is pruned is 0 after training, in a clone, and with masks that were saved.
    #[test]
    fn masks_survive(seed: u64, rate in 0.2..0.9) {
        let mut model = mlp(seed);
        let masks = Masks::prune(&Scores::magnitude(&model, Unit::Weight, is_weight), rate, Scope::Global).unwrap();
        let pruned = (90.0 * rate).round() as usize;
        let rng = &mut seeded(seed);
        let (x, y) = (Tensor::randn([5, 6], rng), Tensor::randn([5, 4], rng));
        let mut adam = AdamW::new(0.01);
        for _ in 0..3 {
            let gradients = model.forward(&x).mse_loss(&y).backward();
            adam.step(&mut model, &gradients);
            masks.apply(&mut model).unwrap();
        }
        prop_assert_eq!(zeros(&weights(&model)), pruned);
        let saved = Masks::from_state(&masks.state()).unwrap();
        prop_assert_eq!(&saved, &masks);
        let mut copy = mlp(0);
        copy.load_state(&model.state()).unwrap();
        let gradients = copy.forward(&x).mse_loss(&y).backward();
        adam.step(&mut copy, &gradients);
        saved.apply(&mut copy).unwrap();
        prop_assert_eq!(zeros(&weights(&copy)), pruned);
    }

    /// The first-order score is the change of the loss when a weight is set to 0, of a loss linear in it.
    #[test]
    fn taylor_scores_are_changes_of_the_loss(seed: u64) {
        let rng = &mut seeded(seed);
        let mut layer = Linear::<f64>::new(4, 3, rng);
        let x = Tensor::randn([4], rng);
        let weight = Tensor::randn([3], rng);
        let loss = |layer: &Linear<f64>| (layer.forward(&x) * &weight).sum(..);
        let gradients = loss(&layer).backward();
        let [single, channel] = [Unit::Weight, Unit::Channel]
            .map(|unit| Scores::taylor(&layer, &gradients, unit, |name| name == "weight"));
        let before = loss(&layer).item();
        let all = layer.weight.value().clone();
        layer.weight.update(|w| w[[1, 2]] = 0.0);
        let change = (loss(&layer).item() - before).powi(2);
        prop_assert!((single.get("weight").unwrap()[[1, 2]] - change).abs() < 1e-12);
        layer.weight.set(all);
        layer.weight.update(|w| (0..4).for_each(|j| w[[1, j]] = 0.0));
        let change = (loss(&layer).item() - before).powi(2);
        prop_assert!((channel.get("weight").unwrap()[[1, 0]] - change).abs() < 1e-12);
    }

    /// A model without channels gives what the whole one gives with these channels masked behind the normalisation.
    #[test]
    fn fewer_channels_are_masked_channels(seed: u64, kept in prop::sample::subsequence(vec![0, 1, 2, 3, 4, 5], 1..6)) {
        let rng = &mut seeded(seed);
        let mut conv = Conv2d::<f64>::new(2, 6, 3, Conv::new().padding(1), rng);
        let mut norm = BatchNorm2d::new(6);
        norm.running_mean.set(Tensor::randn([6], rng));
        norm.bias.as_mut().unwrap().set(Tensor::randn([6], rng));
        norm.eval();
        let mut next = Conv2d::new(6, 3, 1, Conv::new(), rng);
        let mut dense = Linear::new(6 * 16, 2, rng);
        let x = Var::constant(Tensor::randn([2, 2, 4, 4], rng));
        let mask: Tensor<f64> = (0..6).map(|i| f64::from(kept.contains(&i))).collect();
        let hidden = norm.forward(conv.forward(&x)) * mask.reshape([6, 1, 1]);
        let expected = [next.forward(&hidden), dense.forward(hidden.flatten(1..))];
        keep_channels(&mut conv, &mut [&mut norm], &mut [&mut next, &mut dense], &kept).unwrap();
        prop_assert_eq!([conv.outputs(), norm.inputs(), next.inputs()], [kept.len(); 3]);
        let hidden = norm.forward(conv.forward(&x));
        let got = [next.forward(&hidden), dense.forward(hidden.flatten(1..))];
        for (got, expected) in got.iter().zip(&expected) {
            prop_assert!(largest((got - expected).value()) < 1e-12);
        }
    }

    /// The error that is reported is the distance of the weights, and falls to 0 with the rank.
    #[test]
    fn low_rank_errors_are_distances(seed: u64, inputs in 1..8_usize, outputs in 1..8_usize) {
        let rng = &mut seeded(seed);
        let layer = Linear::<f64>::new(inputs, outputs, rng);
        let norm = |x: &Tensor<f64>| x.norm(2.0, ..).item();
        let mut last = f64::INFINITY;
        for rank in 1..=inputs.min(outputs) {
            let small = LowRankLinear::new(&layer, rank).unwrap();
            let product = small.second.weight.value().matmul(small.first.weight.value());
            let distance = norm(&(product - layer.weight.value())) / norm(layer.weight.value());
            prop_assert!((distance - small.error).abs() < 1e-13 && small.error <= last);
            last = small.error;
            prop_assert!(rank_for(layer.weight.value(), small.error + 1e-12).unwrap() <= rank);
        }
        prop_assert!(last < 1e-13);
    }

    #[test]
    fn convolutions_of_full_rank_are_the_same(seed: u64, stride in 1..3_isize) {
        let rng = &mut seeded(seed);
        let layer = Conv2d::<f64>::new(3, 5, 3, Conv::new().padding(1).stride(stride), rng);
        let x = Var::constant(Tensor::randn([2, 3, 6, 5], rng));
        let error = LowRankConv2d::new(&layer, 5).unwrap().forward(&x) - layer.forward(&x);
        prop_assert!(largest(error.value()) < 1e-12);
    }

    /// Bytes give the tensor back; each element has the nearest value; zeros stay.
    #[test]
    fn shared_weights_survive_bytes(
        elements in prop::collection::vec(prop_oneof![3 => Just(0.0_f32), 1 => -2.0..2.0_f32], 0..300),
        count in 2..40_usize,
    ) {
        let tensor: Tensor<f32> = elements.iter().copied().collect();
        let shared = Shared::new(&tensor, count).unwrap();
        prop_assert!(shared.values().len() <= count);
        let restored = shared.tensor();
        for (x, y) in tensor.iter().zip(&restored) {
            let error = (x - y).abs();
            let nearest = shared.values().iter().all(|v| *v == 0.0 || (x - v).abs() >= error);
            prop_assert!((x == 0.0 && y == 0.0) || (x != 0.0 && nearest));
        }
        let bytes = shared.bytes();
        prop_assert_eq!(Shared::from_bytes(&bytes).unwrap(), shared);
        // Cut off: an error, never a panic.
        for end in 0..bytes.len() {
            prop_assert!(Shared::from_bytes(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..60), small: bool) {
        let mut all = b"GDS1".to_vec();
        if small {
            all.extend([1, 0, 0, 0, 2, 0, 0, 0]);
        }
        all.append(&mut bytes);
        let _ = Shared::from_bytes(&all);
    }

    /// k-means never ends with a larger error than evenly spaced values; with as many values as elements there is none.
    #[test]
    fn more_values_are_nearer(seed: u64) {
        let tensor = Tensor::<f32>::randn([200], &mut seeded(seed));
        let error = |count| (Shared::new(&tensor, count).unwrap().tensor() - &tensor).square().sum(..).item();
        let even = {
            let (least, most) = (tensor.min(..).item(), tensor.max(..).item());
            let step = (most - least) / 15.0;
            ((((&tensor - least) / step).round() * step + least) - &tensor).square().sum(..).item()
        };
        prop_assert!(error(16) <= even * 1.001);
        prop_assert!(error(64) < error(8));
    }

    /// Merged, the layer gives the same outputs; before training, those of the base.
    #[test]
    fn adapters_merge(seed: u64, rank in 1..4_usize, alpha in -4.0..4.0) {
        let rng = &mut seeded(seed);
        let base = Linear::<f64>::new(5, 4, rng);
        let mut lora = Lora::new(base.clone(), rank, alpha, rng).unwrap();
        let x = Var::constant(Tensor::randn([3, 5], rng));
        prop_assert!(lora.forward(&x).value() == base.forward(&x).value());
        lora.b.set(Tensor::randn([4, rank], rng));
        prop_assert!(largest((lora.merge().forward(&x) - lora.forward(&x)).value()) < 1e-12);
        let gradients = lora.forward(&x).sum(..).backward();
        prop_assert!(gradients.get(&lora.base.weight).is_none() && gradients.get(&lora.a).is_some());
        prop_assert!(lora.merge().weight.is_trainable());
    }

    /// The share rises, by the formula of the paper.
    #[test]
    fn gradual_shares_rise(from in 0.0..0.5, to in 0.5..0.99, steps in 1..50_usize) {
        let rates = Gradual::new(from, to, steps).unwrap();
        prop_assert_eq!([rates.at(0), rates.at(steps), rates.at(steps + 9)], [from, to, to]);
        for step in 1..=steps {
            prop_assert!(rates.at(step) >= rates.at(step - 1));
        }
    }
}

/// The scale is part of the state: a loaded adapter computes what the saved one did, whatever it was made with.
#[test]
fn adapters_are_loaded_with_their_scale() {
    let rng = &mut seeded(3);
    let base = Linear::<f64>::new(5, 4, rng);
    let [mut saved, mut loaded] = [16.0, 4.0].map(|alpha| Lora::new(base.clone(), 2, alpha, rng).unwrap());
    saved.b.set(Tensor::randn([4, 2], rng));
    loaded.load_state(&saved.state()).unwrap();
    let x = Tensor::randn([3, 5], rng);
    assert_eq!(loaded.forward(&x).value(), saved.forward(&x).value());
}

/// A part of the units that rounds to all of them leaves one.
#[test]
fn no_parameter_is_pruned_whole() {
    let layer = Linear::<f64>::new(3, 1, &mut seeded(0));
    let scores = Scores::magnitude(&layer, Unit::Channel, is_weight);
    for scope in [Scope::Each, Scope::Global] {
        let masks = Masks::prune(&scores, 0.5, scope).unwrap();
        assert_eq!(masks.kept("weight").unwrap(), [0]);
    }
}

/// The gradient by the values is that of a model whose weights are looked up.
#[test]
fn gradients_by_shared_values() {
    let tensor = Tensor::from([[1.0_f32, 1.1, 0.0], [-2.0, 1.05, -2.1]]);
    let mut shared = Shared::new(&tensor, 3).unwrap();
    assert_eq!(shared.values().len(), 3);
    let gradient = Tensor::from([[1.0_f32, 10.0, 5.0], [100.0, 1000.0, 10000.0]]);
    assert_eq!(shared.gradient(&gradient), [10100.0, 0.0, 1011.0]);
    shared.add(&[0.5, 7.0, -0.05]);
    assert_eq!(shared.tensor()[[0, 2]], 0.0);
    assert!((shared.tensor()[[1, 0]] + 1.55).abs() < 1e-6);
}

#[test]
fn errors_say_what_would_be_right() {
    let mut model = mlp(0);
    let scores = Scores::magnitude(&model, Unit::Weight, is_weight);
    let error = |rate| Masks::prune(&scores, rate, Scope::Each).unwrap_err().to_string();
    assert_eq!(error(1.0), "prune: `rate` is 1: it must be at least 0 and less than 1");
    assert_eq!(error(-0.1), "prune: `rate` is -0.1: it must be at least 0 and less than 1");
    assert_eq!(error(f64::NAN), "prune: `rate` is NaN: it must be at least 0 and less than 1");
    for (from, to, name, rate) in
        [(-0.1, 0.5, "from", "-0.1"), (0.0, 1.0, "to", "1"), (f64::NAN, 0.5, "from", "NaN")]
    {
        assert_eq!(
            Gradual::new(from, to, 9).unwrap_err().to_string(),
            format!("Gradual::new: `{name}` is {rate}: it must be at least 0 and less than 1")
        );
    }
    let none = Scores::magnitude(&model, Unit::Weight, |_| false);
    assert!(
        Masks::prune(&none, 0.5, Scope::Each)
            .unwrap_err()
            .to_string()
            .starts_with("prune: `scores` is empty")
    );
    let masks = Masks::prune(&scores, 0.5, Scope::Each).unwrap();
    let mut other = Linear::<f64>::new(6, 9, &mut seeded(0));
    assert_eq!(
        masks.apply(&mut other).unwrap_err().to_string(),
        "apply: \"0.weight\" is no parameter of the model; the names are [\"bias\", \"weight\"]"
    );
    assert!(masks.kept("bias").unwrap_err().to_string().starts_with("kept: \"bias\" has no mask"));
    model.parameters_mut()[0].update(|weight| weight[[0, 0]] = f64::NAN);
    let scores = Scores::magnitude(&model, Unit::Weight, is_weight);
    assert_eq!(
        Masks::prune(&scores, 0.5, Scope::Each).unwrap_err().to_string(),
        "prune: \"0.weight\" has a score that is NaN"
    );

    let rng = &mut seeded(0);
    let dense = Linear::<f64>::new(3, 2, rng);
    let rank = LowRankLinear::new(&dense, 3).unwrap_err().to_string();
    assert_eq!(rank, "LowRankLinear::new: `rank` is 3: it must be from 1 to 2 for a weight [2, 3]");
    let rank = Lora::new(dense.clone(), 0, 1.0, rng).unwrap_err().to_string();
    assert_eq!(rank, "Lora::new: `rank` is 0: it must be from 1 to 2 for a weight [2, 3]");
    let mut grouped = Conv2d::<f64>::new(4, 4, 3, Conv::new().groups(2), rng);
    let groups = "the convolution has 2 groups";
    assert!(LowRankConv2d::new(&grouped, 1).unwrap_err().to_string().contains(groups));
    assert!(grouped.keep_outputs(&[0]).unwrap_err().to_string().contains(groups));
    let mut first = Linear::<f64>::new(3, 4, rng);
    let mut reader = Linear::<f64>::new(6, 1, rng);
    assert_eq!(
        keep_channels(&mut first, &mut [], &mut [&mut reader], &[0]).unwrap_err().to_string(),
        "keep_channels: a layer reads 6 inputs, of a layer with 4 outputs: it must be the same number, or a multiple for \
         each pixel"
    );
    assert_eq!(
        first.keep_outputs(&[4]).unwrap_err().to_string(),
        "keep_outputs: `kept` is [4]: it must be places from 0 to 3, one at least"
    );
    assert_eq!(
        Shared::new(dense.weight.value(), 1).unwrap_err().to_string(),
        "Shared::new: `count` is 1: it must be from 2 to 65536"
    );
    assert_eq!(
        Shared::from_bytes(b"GDS1").unwrap_err().to_string(),
        "Shared::from_bytes: the bytes end early or contradict themselves; the bytes must be those of `Shared::bytes`"
    );
    assert!(rank_for(dense.weight.value(), 2.0).is_err());
}

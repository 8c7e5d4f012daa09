//! Recurrent layers over padded batches: each sequence as if it were alone.

use gradus::prelude::*;
use proptest::prelude::*;

/// Results of a layer and their gradients: outputs, last states, and gradients with respect to the input and each
/// parameter.
type Results = (Tensor<f64>, Tensor<f64>, Vec<Tensor<f64>>);

/// The last states of all kinds joined along the last axis.
trait Padded: Module<f64> {
    fn joined(
        &self,
        x: &Var<f64>,
        lengths: Option<&[usize]>,
        state: Option<&Var<f64>>,
    ) -> (Var<f64>, Var<f64>);
}

impl Padded for Lstm<f64> {
    fn joined(
        &self,
        x: &Var<f64>,
        lengths: Option<&[usize]>,
        state: Option<&Var<f64>>,
    ) -> (Var<f64>, Var<f64>) {
        let cell = state.map(|h| h * 0.5);
        let state = state.zip(cell.as_ref()).map(|(h, c)| [h, c]);
        let (y, [h, c]) = match lengths {
            Some(lengths) => self.forward_padded(x, lengths, state),
            None => self.forward(x, state),
        };
        (y, cat(&[&h, &c], -1))
    }
}

macro_rules! one_state {
    ($($name:ident),*) => {$(
        impl Padded for $name<f64> {
            fn joined(
                &self,
                x: &Var<f64>,
                lengths: Option<&[usize]>,
                state: Option<&Var<f64>>,
            ) -> (Var<f64>, Var<f64>) {
                match lengths {
                    Some(lengths) => self.forward_padded(x, lengths, state),
                    None => self.forward(x, state),
                }
            }
        }
    )*};
}
one_state!(Gru, Rnn);

/// A loss that weighs every output differently.
fn results(
    layer: &impl Padded,
    x: &Tensor<f64>,
    lengths: Option<&[usize]>,
    state: Option<&Tensor<f64>>,
    weights: [&Tensor<f64>; 2],
) -> Results {
    let x = Var::leaf(x.clone());
    let state = state.map(|state| Var::constant(state.clone()));
    let (y, last) = layer.joined(&x, lengths, state.as_ref());
    // Sequences without steps give constants, and a loss needs a leaf.
    let loss = (&y * weights[0]).sum(..) + (&last * weights[1]).sum(..) + Var::leaf(0.0);
    let gradients = loss.backward();
    let of = |x: &Var<f64>| gradients.get(x).cloned().unwrap_or_else(|| Tensor::zeros(x.shape()));
    let all = std::iter::once(of(&x))
        .chain(layer.parameters().into_iter().map(|parameter| of(parameter)))
        .collect();
    (y.value().clone(), last.value().clone(), all)
}

fn assert_padded(layer: &impl Padded, lengths: &[usize], batch_first: bool, with_state: bool, seed: u64) {
    let rng = &mut seeded(seed);
    let (steps, batch) = (lengths.iter().max().unwrap() + 1, lengths.len());
    let time = isize::from(batch_first);
    let turn = |x: &Tensor<f64>| if batch_first { x.transpose(0, 1) } else { x.clone() };
    // What stands behind the end of a sequence must not matter.
    let is_padding = (0..steps).flat_map(|step| lengths.iter().map(move |&length| step >= length));
    let is_padding = is_padding.collect::<Tensor<bool>>().reshape([steps, batch, 1]);
    let x = turn(&Tensor::randn([steps, batch, 2], rng).masked_fill(&is_padding, f64::NAN));
    let (y, last) = layer.joined(&Var::constant(Tensor::zeros(x.shape())), None, None);
    let state = with_state.then(|| Tensor::randn([last.shape()[0], batch, 3], rng));
    let weights = [Tensor::randn(y.shape(), rng), Tensor::randn(last.shape(), rng)];
    let (y, last, gradients) = results(layer, &x, Some(lengths), state.as_ref(), weights.each_ref());

    let mut sums: Vec<Tensor<f64>> = gradients[1..].iter().map(|g| Tensor::zeros(g.shape())).collect();
    for (place, &length) in lengths.iter().enumerate() {
        let (place, length) = (place as isize, length as isize);
        let own = |x: &Tensor<f64>| x.slice(1 - time, place..=place).slice(time, ..length);
        let behind = |x: &Tensor<f64>| x.slice(1 - time, place..=place).slice(time, length..);
        let states = |x: &Tensor<f64>| x.slice(1, place..=place);
        let state = state.as_ref().map(states);
        let (y_own, last_own, own_gradients) =
            results(layer, &own(&x), None, state.as_ref(), [&own(&weights[0]), &states(&weights[1])]);
        assert!(own(&y).allclose(&y_own, 1e-12, 1e-12), "outputs of sequence {place}");
        assert!(states(&last).allclose(&last_own, 1e-12, 1e-12), "states of sequence {place}");
        assert!(behind(&y).eq(0.0).all(..).item(), "outputs behind sequence {place}");
        assert!(own(&gradients[0]).allclose(&own_gradients[0], 1e-12, 1e-12), "input gradient of {place}");
        assert!(behind(&gradients[0]).eq(0.0).all(..).item(), "gradient of the padding of {place}");
        for (sum, gradient) in sums.iter_mut().zip(&own_gradients[1..]) {
            *sum = &*sum + gradient;
        }
    }
    for (sum, gradient) in sums.iter().zip(&gradients[1..]) {
        assert!(gradient.allclose(sum, 1e-11, 1e-11), "gradients of parameters");
    }
}

proptest! {
    #[test]
    fn a_padded_sequence_is_one_alone(
        lengths in prop::collection::vec(0_usize..5, 1..6),
        [is_bidirectional, batch_first, with_state] in any::<[bool; 3]>(),
        layers in 1_usize..3,
        seed: u64,
    ) {
        let rng = &mut seeded(seed);
        macro_rules! check {
            ($name:ident) => {{
                let layer = if is_bidirectional {
                    $name::<f64>::bidirectional(2, 3, layers, rng)
                } else {
                    $name::<f64>::new(2, 3, layers, rng)
                };
                let layer = if batch_first { layer.batch_first() } else { layer };
                assert_padded(&layer, &lengths, batch_first, with_state, seed);
            }};
        }
        check!(Lstm);
        check!(Gru);
        check!(Rnn);
    }

    /// Equal lengths without padding are a plain batch, to the bit.
    #[test]
    fn full_lengths_change_no_bit(steps in 1_usize..6, batch in 1_usize..5, seed: u64) {
        let rng = &mut seeded(seed);
        let layer = Lstm::<f64>::bidirectional(2, 3, 2, rng);
        let x = Tensor::randn([steps, batch, 2], rng);
        let (plain, [h, c]) = layer.forward(&x, None);
        let (padded, [h_padded, c_padded]) = layer.forward_padded(&x, &vec![steps; batch], None);
        for (plain, padded) in [(plain, padded), (h, h_padded), (c, c_padded)] {
            prop_assert_eq!(plain.value(), padded.value());
        }
    }
}

//! Random tensors: the right distribution, and a stream that never changes.

use crate::common::*;
use gradus_tensor::{Tensor, Xoshiro256PlusPlus, seeded};
use proptest::prelude::*;

/// A published algorithm, written down again: xoshiro256++ with a state from SplitMix64.
struct Reference([u64; 4]);

impl Reference {
    fn seeded(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

proptest! {
    /// Uniform numbers are the top bits of the generator's stream, one draw per element in logical order.
    #[test]
    fn rand_is_the_stream(seed: u64, shape in shape(0..=4)) {
        let mut reference = Reference::seeded(seed);
        let bits = Naive::build(&shape, |_| reference.next());
        check(&Tensor::<f64>::rand(&shape, &mut seeded(seed)), &bits.map(unit));
        // f32 is the f64 stream, truncated to 24 bits.
        let truncated = |bits| ((unit(bits) * f64::from(1 << 24)).floor() / f64::from(1 << 24)) as f32;
        check(&Tensor::<f32>::rand(&shape, &mut seeded(seed)), &bits.map(truncated));
    }

    /// Normal numbers are pairs of cosines and sines, by the transform of Box and Muller.
    #[test]
    fn randn_is_box_muller(seed: u64, count in 0..20_usize) {
        let mut reference = Reference::seeded(seed);
        let x = Tensor::<f64>::randn([count], &mut seeded(seed)).to_vec();
        let single = Tensor::<f32>::randn([count], &mut seeded(seed)).to_vec();
        prop_assert_eq!(x.len(), count);
        for (pair, single) in x.chunks(2).zip(single.chunks(2)) {
            let radius = (-2.0 * (1.0 - unit(reference.next())).ln()).sqrt();
            let angle = std::f64::consts::TAU * unit(reference.next());
            for ((&x, &single), expected) in pair.iter().zip(single).zip([radius * angle.cos(), radius * angle.sin()]) {
                prop_assert!((x - expected).abs() <= 1e-14 * (1.0 + expected.abs()));
                prop_assert_eq!(single, x as f32);
            }
        }
    }

    /// A tensor continues where the one before it ended.
    #[test]
    fn tensors_share_one_stream(seed: u64, first in 0..9_usize, second in 0..9_usize) {
        let rng = &mut seeded(seed);
        let parts = [Tensor::<f64>::rand([first], rng), Tensor::rand([second], rng)];
        let whole = Tensor::rand([first + second], &mut seeded(seed));
        prop_assert_eq!(Tensor::cat(&[&parts[0], &parts[1]], 0), whole);
    }

    /// Uniform numbers are in [0, 1).
    #[test]
    fn rand_stays_below_one(seed: u64) {
        let x = Tensor::<f32>::rand([500], &mut seeded(seed));
        prop_assert!(x.iter().all(|x| (0.0..1.0).contains(&x)));
    }

    /// A random order holds every number once, and is the shuffle of Fisher and Yates.
    #[test]
    fn randperm_shuffles(seed: u64, count in 0..30_usize) {
        let mut reference = Reference::seeded(seed);
        let mut order: Vec<i64> = (0..count as i64).collect();
        for last in (1..count).rev() {
            let fraction = u128::from(reference.next()) * (last as u128 + 1);
            order.swap(last, (fraction / (1 << 64)) as usize);
        }
        prop_assert_eq!(Tensor::randperm(count, &mut seeded(seed)).to_vec(), order);
    }

    /// `uniform` scales and shifts the numbers of `rand`, and `normal` the numbers of `randn`.
    #[test]
    fn ranges_are_stretched(seed: u64, shape in shape(0..=3), low in -5.0..5.0_f32, width in 0.0..5.0_f32) {
        let (low, width) = (f64::from(low), f64::from(width));
        let high = low + width;
        let unit = Tensor::<f32>::rand(&shape, &mut seeded(seed));
        let x = Tensor::<f32>::uniform(&shape, low, high, &mut seeded(seed));
        prop_assert!(x.iter().all(|x| (low as f32..=high as f32).contains(&x)), "{:?}", x);
        prop_assert_eq!(&x, &(unit * (high - low) as f32 + low as f32));
        let z = Tensor::<f32>::randn(&shape, &mut seeded(seed)) * width as f32 + low as f32;
        prop_assert_eq!(Tensor::<f32>::normal(&shape, low, width, &mut seeded(seed)), z);
    }

    /// Integers lie in the range, also in the largest; a range of a power of two is the top bits of the stream.
    #[test]
    fn integers_are_in_range(seed: u64, (low, high) in (any::<i64>(), any::<i64>()), bits in 0..63_u32) {
        prop_assume!(low != high && low < i64::MAX);
        let range = low.min(high)..low.max(high);
        let x = Tensor::randint([50], range.clone(), &mut seeded(seed));
        prop_assert!(x.iter().all(|x| range.contains(&x)));
        prop_assert_eq!(Tensor::randint([3], low..low + 1, &mut seeded(seed)).to_vec(), [low; 3]);
        let mut reference = Reference::seeded(seed);
        let top = [(); 9].map(|()| (u128::from(reference.next()) >> (64 - bits)) as i64 - 7);
        prop_assert_eq!(Tensor::randint([9], -7..(1 << bits) - 7, &mut seeded(seed)).to_vec(), top);
    }

    /// A tensor like another one has its shape, and nothing of its layout.
    #[test]
    fn like_another(x in laid::<f64>(0..=4), seed: u64) {
        let (x, shape) = (x.tensor, x.naive.shape);
        prop_assert_eq!(x.zeros_like(), Tensor::zeros(&shape));
        prop_assert_eq!(Tensor::ones_like(&x), Tensor::ones(&shape));
        prop_assert_eq!(x.full_like(0.5), Tensor::full(&shape, 0.5));
        prop_assert_eq!(x.rand_like(&mut seeded(seed)), Tensor::rand(&shape, &mut seeded(seed)));
        prop_assert_eq!(x.randn_like(&mut seeded(seed)), Tensor::randn(&shape, &mut seeded(seed)));
        prop_assert!(x.zeros_like().is_contiguous());
    }

    /// Normal numbers are finite.
    #[test]
    fn randn_is_finite(seed: u64) {
        prop_assert!(Tensor::<f32>::randn([500], &mut seeded(seed)).isfinite().all(..).item());
    }
}

/// Within five standard errors of the moments of the distribution.
#[test]
fn moments() {
    const COUNT: usize = 200_000;
    let rng = &mut seeded(7);
    let error = 5.0 / (COUNT as f64).sqrt();
    let moment = |x: &Tensor<f64>, n: i32| x.map(|x| x.powi(n)).mean(..).item();

    let x = Tensor::<f64>::rand([COUNT], rng) - 0.5;
    assert!(moment(&x, 1).abs() < error * 0.29);
    assert!((moment(&x, 2) - 1.0 / 12.0).abs() < error * 0.075);

    let x = Tensor::<f64>::randn([COUNT], rng);
    assert!(moment(&x, 1).abs() < error);
    assert!((moment(&x, 2) - 1.0).abs() < error * 1.42);
    assert!(moment(&x, 3).abs() < error * 3.88);
    assert!((moment(&x, 4) - 3.0).abs() < error * 9.8);
    // Neighbours, which come from one pair of draws, are independent.
    let pairs = x.reshape([-1, 2]);
    let product = pairs.select(1, 0) * pairs.select(1, 1);
    assert!(product.mean(..).item().abs() < error * 1.42);
}

/// Each of the orders of three numbers comes up as often as the others, within five standard errors.
#[test]
fn orders_are_equally_likely() {
    const COUNT: usize = 60_000;
    let rng = &mut seeded(3);
    let mut counts = std::collections::HashMap::new();
    for _ in 0..COUNT {
        *counts.entry(Tensor::randperm(3, rng).to_vec()).or_insert(0_usize) += 1;
    }
    let expected = COUNT as f64 / 6.0;
    assert_eq!(counts.len(), 6);
    assert!(
        counts.values().all(|&count| (count as f64 - expected).abs() < 5.0 * expected.sqrt()),
        "{counts:?}"
    );
}

/// Integers come up equally often, within five standard errors, also where many draws are rejected.
#[test]
fn integers_are_equally_likely() {
    const COUNT: usize = 60_000;
    let rng = &mut seeded(4);
    let x = Tensor::randint([COUNT], -2..4, rng);
    // Three quarters of all integers, each third of which must get as many.
    let thirds = Tensor::randint([COUNT], i64::MIN..i64::MAX / 2, rng).map(|x| (x >> 62) + 2);
    for (x, first, n) in [(x, -2, 6), (thirds, 0, 3)] {
        let expected = COUNT as f64 / f64::from(n);
        for i in 0..n {
            let count = x.iter().filter(|&x| x == first + i64::from(i)).count();
            assert!((count as f64 - expected).abs() < 5.0 * expected.sqrt(), "{count} of {expected}");
        }
    }
}

/// A generator behind a pointer will do as well.
#[test]
fn any_generator_will_do() {
    fn draw(rng: &mut dyn rand::Rng) -> Tensor<f32> {
        Tensor::rand([3], rng)
    }
    let mut rng: Xoshiro256PlusPlus = seeded(1);
    assert_eq!(draw(&mut rng), Tensor::rand([3], &mut seeded(1)));
}

proptest! {
    /// The generator of this name in `rand` gives the same numbers, and any state goes on.
    #[test]
    fn the_stream_is_the_same_and_goes_on(seed: u64, bytes: [u8; 32], draws in 0..50_usize, length in 0..20_usize) {
        use rand::{Rng, SeedableRng, rngs};
        let pairs = [
            (seeded(seed), rngs::Xoshiro256PlusPlus::seed_from_u64(seed)),
            (Xoshiro256PlusPlus::from_seed(bytes), rngs::Xoshiro256PlusPlus::from_seed(bytes)),
            (Xoshiro256PlusPlus::from_seed([0; 32]), rngs::Xoshiro256PlusPlus::from_seed([0; 32])),
        ];
        for (mut ours, mut theirs) in pairs {
            for _ in 0..draws {
                prop_assert_eq!(ours.next_u64(), theirs.next_u64());
            }
            ours = Xoshiro256PlusPlus::from_state(ours.state()).unwrap();
            prop_assert_eq!(ours.next_u32(), theirs.next_u32());
            let mut filled = [vec![0; length], vec![0; length]];
            ours.fill_bytes(&mut filled[0]);
            theirs.fill_bytes(&mut filled[1]);
            prop_assert_eq!(&filled[0], &filled[1]);
            prop_assert_eq!(ours.next_u64(), theirs.next_u64());
        }
    }
}

#[test]
fn a_state_of_nothing_but_zeros_is_refused() {
    assert_eq!(Xoshiro256PlusPlus::from_state([0; 4]), None);
}

/// The first values for one seed. They are promised never to change: not by a platform, not by a release.
#[test]
fn frozen_streams() {
    assert_eq!(
        Tensor::<f32>::rand([4], &mut seeded(42)).to_vec(),
        [0.8143051, 0.318821, 0.9838941, 0.7011356]
    );
    assert_eq!(
        Tensor::<f64>::rand([4], &mut seeded(42)).to_vec(),
        [0.8143051451229099, 0.3188210400616611, 0.9838941681774888, 0.7011355981347556]
    );
    assert_eq!(
        Tensor::<f32>::randn([5], &mut seeded(42)).to_vec(),
        [-0.7689931, 1.6661185, -0.8684461, -2.7391512, -1.510975]
    );
    assert_eq!(
        Tensor::<f64>::randn([5], &mut seeded(42)).to_vec(),
        [-0.7689930538210061, 1.6661184587142, -0.8684461074702454, -2.7391511556643047, -1.5109749830006707]
    );
    assert_eq!(Tensor::randperm(6, &mut seeded(42)).to_vec(), [0, 5, 2, 3, 1, 4]);
    assert_eq!(Tensor::randint([6], -5..5, &mut seeded(42)).to_vec(), [3, -2, 4, 2, 2, 0]);
}

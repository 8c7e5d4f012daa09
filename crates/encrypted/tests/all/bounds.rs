//! Proven bounds against plain evaluations.

use gradus_encrypted::{IntegerNetwork, Packing, Plan};
use proptest::prelude::*;

use crate::samples::networks;

proptest! {
    #[test]
    fn no_value_leaves_its_bound((network, samples) in networks(2, 9)) {
        let Ok(plan) = Plan::new(&network, Packing::Batch) else { return Ok(()) };
        for sample in &samples {
            // The trace has a row after each map and each square, a plan one for each map with its squares.
            let trace = network.trace(sample).unwrap();
            let bound = plan.rows().iter().map(|row| row.bound).max().unwrap();
            prop_assert!(trace.iter().flatten().all(|y| y.abs() <= bound), "{:?} {plan}", trace);
            prop_assert!(2 * bound.unsigned_abs() < plan.plaintext_modulus());
            for (y, (low, high)) in trace.last().unwrap().iter().zip(network.output_ranges()) {
                prop_assert!((low..=high).contains(y), "{y} {low} {high}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_first_range_are_attained(
        weights in proptest::collection::vec(-9_i64..=9, 1..8), bias in -50_i64..=50, low in -9_i64..=0, high in 0_i64..=9,
    ) {
        let network = IntegerNetwork::new(weights.len(), low..=high)?.linear(std::slice::from_ref(&weights), &[bias])?;
        let worst = |sign: i64| -> Vec<i64> {
            weights.iter().map(|w| if w * sign >= 0 { high } else { low }).collect()
        };
        let ends = (network.evaluate(&worst(-1))?[0], network.evaluate(&worst(1))?[0]);
        prop_assert_eq!(vec![ends], network.output_ranges());
    }

    #[test]
    fn degrees_are_those_of_polynomials((network, samples) in networks(2, 9)) {
        // Along a line the network is a polynomial of one variable: its difference of order degree + 1 is 0.
        let (low, high) = network.input_range().into_inner();
        let order = network.degree() as i64 + 1;
        prop_assume!(low + order <= high);
        let on_line = |t: i64| network.evaluate(&vec![low + t; samples[0].len()]);
        let mut values = (0..=order).map(on_line).collect::<Result<Vec<_>, _>>()?;
        while values.len() > 1 {
            values = values.windows(2).map(|pair| pair[1].iter().zip(&pair[0]).map(|(b, a)| b - a).collect()).collect();
        }
        prop_assert!(values[0].iter().all(|&d| d == 0), "{:?}", values);
    }
}

#[test]
fn a_square_has_degree_two() {
    let network = IntegerNetwork::new(1, 0..=5).unwrap().linear(&[vec![2]], &[1]).unwrap().square().unwrap();
    let values: Vec<i64> = (0..3).map(|x| network.evaluate(&[x]).unwrap()[0]).collect();
    assert_eq!(values[2] - 2 * values[1] + values[0], 8);
    assert_eq!(network.degree(), 2);
}

#[test]
fn sums_of_many_maps_and_squares_of_squares() {
    let network = IntegerNetwork::new(1, -3..=3).unwrap().square().unwrap().square().unwrap();
    assert_eq!(network.output_ranges(), [(0, 81)]);
    assert_eq!(network.evaluate(&[-3]).unwrap(), [81]);
    assert_eq!(network.degree(), 4);
}

#[test]
fn parameters_follow_from_the_bounds() {
    let network = IntegerNetwork::new(3, -1..=1).unwrap();
    let of = |scale: i64| {
        Plan::new(&network.clone().linear(&[vec![scale; 3]], &[0]).unwrap(), Packing::Batch).unwrap()
    };
    let (small, large) = (of(1000), of(100_000_000));
    assert_eq!((small.rows()[0].bound, large.rows()[0].bound), (3000, 300_000_000));
    // The least primes that are 1 modulo 8192 above twice the bounds.
    assert_eq!((small.degree(), small.plaintext_modulus()), (4096, 40961));
    assert!(large.plaintext_modulus() > 600_000_000 && large.plaintext_modulus() < 601_000_000);
    let squared = network.linear(&[vec![1000; 3]], &[0]).unwrap().square().unwrap();
    let squared = Plan::new(&squared, Packing::Batch).unwrap();
    assert!(small.modulus_bits() < squared.modulus_bits(), "{small}\n{squared}");
}

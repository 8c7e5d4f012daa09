//! Different elements, counts, histograms and grids, against loops that compare all with all.

use crate::caught::panics;
use crate::common::*;
use gradus_tensor::{Bins, Indexing, Number, Tensor};
use proptest::prelude::*;

law! {
    /// Each element is the value that its place in the inverse names; values rise, and are counted.
    [f32 f64 i64]
    fn unique_elements(x in laid::<T>(0..=3)) {
        let unique = x.tensor.unique_all();
        prop_assert_eq!(&unique.values.to_vec().len(), &unique.counts.len());
        prop_assert_eq!(bits(&x.tensor.unique()), bits(&unique.values));
        prop_assert_eq!(unique.inverse.shape(), x.tensor.shape());
        let same = |x: T, y: T| x == y || Number::is_nan(x) && Number::is_nan(y);
        let (values, elements) = (unique.values.to_vec(), x.naive.data);
        for (&x, place) in elements.iter().zip(&unique.inverse) {
            prop_assert!(same(x, values[place as usize]));
        }
        for pair in values.windows(2) {
            prop_assert!(pair[0] < pair[1] || Number::is_nan(pair[1]) && !Number::is_nan(pair[0]));
        }
        for ((&value, first), count) in values.iter().zip(&unique.indices).zip(&unique.counts) {
            let places: Vec<usize> = (0..elements.len()).filter(|&i| same(elements[i], value)).collect();
            prop_assert_eq!((places[0] as i64, places.len() as i64), (first, count));
            prop_assert_eq!(Value::bits(elements[places[0]]), Value::bits(value));
        }
    }
}

law! {
    /// A bin has its lower edge, and the last has both; elements outside are in no bin.
    [f32 f64]
    fn histograms(x in laid::<T>(0..=2), edges in prop::collection::vec(-5..5_i8, 2..6)) {
        let mut edges: Vec<T> = edges.into_iter().map(|x| T::from(x) / 2.0).collect();
        edges.sort_by(|x, y| x.partial_cmp(y).unwrap());
        let (counts, same) = x.tensor.histogram(Tensor::from(edges.clone()));
        prop_assert_eq!(same.to_vec(), edges.clone());
        for (i, count) in counts.iter().enumerate() {
            let is_last = i + 2 == edges.len();
            let inside = |&&x: &&T| edges[i] <= x && (x < edges[i + 1] || is_last && x == edges[i + 1]);
            prop_assert_eq!(count, x.naive.data.iter().filter(inside).count() as i64);
        }
    }
}

proptest! {
    /// Between the extremes, every element is in a bin, and the bins are equally wide.
    #[test]
    fn histograms_of_all(x in shape(0..=2).prop_flat_map(|shape| laid_of(&shape, &f64::tame())), bins in 1..20_usize) {
        let (counts, edges) = x.tensor.histogram(bins);
        prop_assert_eq!((counts.shape()[0], edges.shape()[0]), (bins, bins + 1));
        prop_assert_eq!(counts.sum(..).item(), x.tensor.len() as i64);
        let (first, last) = (edges[[0]], edges[[bins]]);
        prop_assert_eq!(&edges, &Tensor::linspace(first, last, bins + 1));
        prop_assert_eq!(x.tensor.histogram((bins, first, last)), (counts, edges));
        let data = x.naive.data;
        let (low, high) = data.iter().fold((f64::INFINITY, -f64::INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
        let expected = match data.len() {
            0 => (0.0, 1.0),
            _ if low == high => (low - 0.5, low + 0.5),
            _ => (low, high),
        };
        prop_assert_eq!((first, last), expected);
    }

    #[test]
    fn counts_of_integers(
        x in shape(0..=2).prop_flat_map(|shape| laid_of(&shape, &(0..9_i64).boxed())), minlength in 0..12_usize,
    ) {
        let counts = x.tensor.bincount(minlength);
        let expected = x.naive.data.iter().max().map_or(0, |&x| x as usize + 1).max(minlength);
        prop_assert_eq!(counts.shape(), [expected]);
        for (i, count) in counts.iter().enumerate() {
            prop_assert_eq!(count, x.naive.data.iter().filter(|&&x| x == i as i64).count() as i64);
        }
    }

    /// A point of a grid has the numbers that its index names.
    #[test]
    fn grids(x in laid::<i64>(0..=1), y in laid::<i64>(1..=1), z in laid::<i64>(1..=1)) {
        let (a, b, c) = (x.naive.data, y.naive.data, z.naive.data);
        let [gx, gy, gz] = Tensor::meshgrid([&x.tensor, &y.tensor, &z.tensor], Indexing::Ij);
        let shape = [a.len(), b.len(), c.len()];
        check(&gx, &Naive::build(&shape, |index| a[index[0]]));
        check(&gy, &Naive::build(&shape, |index| b[index[1]]));
        check(&gz, &Naive::build(&shape, |index| c[index[2]]));
        prop_assert!(gy.shares_buffer(&y.tensor) || y.tensor.is_empty() || gy.is_empty());
        let [hx, hy, hz] = Tensor::meshgrid([&x.tensor, &y.tensor, &z.tensor], Indexing::Xy);
        prop_assert_eq!([hx, hy, hz], [gx, gy, gz].map(|x| x.transpose(0, 1)));
    }
}

#[test]
fn small_grids() {
    let x = Tensor::from([1, 2]);
    let [same] = Tensor::meshgrid([&x], Indexing::Xy);
    assert_eq!(same, x);
    assert_eq!(Tensor::<i64>::meshgrid([], Indexing::Ij), []);
}

#[test]
fn messages() {
    let x = Tensor::from([[1.0, 2.0]]);
    panics(
        || Tensor::meshgrid([&x], Indexing::Ij),
        "meshgrid: the number of axes is 2 for shape [1, 2]: each must have one axis",
    );
    panics(
        || Tensor::from([1, -2]).bincount(0),
        "bincount: an element is -2 for shape [2]: it must be 0 or larger",
    );
    panics(
        || Tensor::from(i64::MAX).bincount(0),
        "bincount: shape [9223372036854775808] is too large for this machine: its sizes (a 0 counts as 1) must not \
         multiply to more than 1152921504606846975",
    );
    panics(|| x.histogram(0), "histogram: the number of bins is 0: it must be 1 or larger");
    panics(
        || x.histogram((2, 1.0, 0.0)),
        "histogram: the bins run from 1 to 0: both must be finite, and the first not above the second",
    );
    panics(
        || x.histogram(Bins::Between(2, 0.0, f64::NAN)),
        "histogram: the bins run from 0 to NaN: both must be finite, and the first not above the second",
    );
    panics(
        || Tensor::from([1.0, f64::NAN]).histogram(3),
        "histogram: the elements run from NaN to NaN: give the range of the bins",
    );
    panics(
        || x.histogram(Tensor::from([1.0, 0.0])),
        "histogram: the edges are [1.0, 0.0] in shape [2]: they must be one list of two or more in rising order",
    );
    panics(
        || x.histogram(Tensor::from([1.0])),
        "histogram: the edges are [1.0] in shape [1]: they must be one list of two or more in rising order",
    );
}

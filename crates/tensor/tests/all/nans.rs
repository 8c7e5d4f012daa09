//! NaN comes through every reduction, wherever in a lane it is, and stays out of other lanes.

use crate::common::*;
use gradus_tensor::{Float, Pool, Tensor, seeded, set_num_threads};
use proptest::prelude::*;

type Function<T> = fn(&Tensor<T>) -> Tensor<T>;

/// Functions of the last axis: one number for each lane, or as many as the lane has.
fn functions<T: Float>() -> Vec<(&'static str, Function<T>)> {
    vec![
        ("sum", |x| x.sum(-1)),
        ("mean", |x| x.mean(-1)),
        ("prod", |x| x.prod(-1)),
        ("max", |x| x.max(-1)),
        ("min", |x| x.min(-1)),
        ("var", |x| x.var(-1, 0)),
        ("std", |x| x.std(-1, 0)),
        ("logsumexp", |x| x.logsumexp(-1)),
        ("norm of 0.5", |x| x.norm(0.5, -1)),
        ("norm of 1", |x| x.norm(1.0, -1)),
        ("norm of 2", |x| x.norm(2.0, -1)),
        ("norm of 3", |x| x.norm(3.0, -1)),
        ("norm of infinity", |x| x.norm(f64::INFINITY, -1)),
        ("norm of minus infinity", |x| x.norm(f64::NEG_INFINITY, -1)),
        ("softmax", |x| x.softmax(-1)),
        ("log_softmax", |x| x.log_softmax(-1)),
        ("layer_norm", |x| x.layer_norm(&x.shape()[1..], None, None, 1e-5)),
        ("rms_norm", |x| x.rms_norm(&x.shape()[1..], None, 1e-5)),
        ("last of cumsum", |x| x.cumsum(-1).slice(1, -1..)),
        ("last of cumprod", |x| x.cumprod(-1).slice(1, -1..)),
        ("largest of topk", |x| x.topk(1, -1, true).0),
        ("max_pool1d", |x| x.max_pool1d(Pool::new(x.shape()[1]))),
        ("avg_pool1d", |x| x.avg_pool1d(Pool::new(x.shape()[1]))),
    ]
}

/// The same matrix, its rows or its columns together in memory.
fn lying<T: Float>(x: &Tensor<T>, across: bool) -> Tensor<T> {
    if across { x.t().contiguous().t() } else { x.clone() }
}

fn check<T: Value + Float>(lanes: &Tensor<T>, row: usize, place: usize) -> Result<(), String> {
    let length = lanes.shape()[1];
    let here =
        Tensor::arange(0, lanes.len() as i64, 1).reshape(lanes.shape()).eq((row * length + place) as i64);
    let with = lanes.masked_fill(&here, T::NAN);
    for (name, f) in functions::<T>() {
        for across in [false, true] {
            let (expected, got) = (f(&lying(lanes, across)), f(&lying(&with, across)));
            for i in 0..lanes.shape()[0] {
                let (expected, got) = (expected.select(0, i as isize), got.select(0, i as isize));
                let right = if i == row { got.isnan().all(..).item() } else { bits(&got) == bits(&expected) };
                if !right {
                    return Err(format!("{name}, across: {across}: lane {i} is {got:?}"));
                }
            }
        }
    }
    for across in [false, true] {
        let x = lying(&with, across);
        let found = [x.argmax(-1), x.argmin(-1)].map(|places| places.to_vec()[row]);
        if found != [place as i64; 2] {
            return Err(format!("argmax and argmin, across: {across}: {found:?}"));
        }
    }
    Ok(())
}

/// Lanes of numbers, some of them infinite; or all of them minus infinity, which a search for the largest starts from.
fn lanes<T: Float>(shape: [usize; 2], kind: usize) -> Tensor<T> {
    let x = Tensor::<T>::randn(shape, &mut seeded(kind as u64));
    let special = |x: T, value: T| if x > T::ONE { value } else { x };
    match kind {
        0 => x,
        1 => x.map(|x| special(x, T::INFINITY)),
        2 => x.map(|x| special(x, -T::INFINITY)),
        3 => Tensor::full(shape, -T::INFINITY),
        _ => Tensor::full(shape, T::INFINITY),
    }
}

law! {
    [f32 f64]
    fn nan_comes_through(
        (rows, length) in (1..=40_usize, prop_oneof![1..=70_usize, 120..=300_usize]),
        kind in 0..5_usize,
        places in any::<[prop::sample::Index; 2]>(),
    ) {
        check(&lanes::<T>([rows, length], kind), places[0].index(rows), places[1].index(length))
            .map_err(TestCaseError::fail)?;
    }
}

/// At the first and last places of the parts into which long lanes are cut, and for any number of threads.
#[test]
fn nan_comes_through_long_lanes() {
    const LENGTH: usize = 3 * 64 * 1024 + 5;
    let _settings = settings();
    for kind in [0, 3] {
        for place in [0, 1, 4095, 4096, 64 * 1024 - 1, 64 * 1024, LENGTH - 6, LENGTH - 1] {
            for threads in [1, 3] {
                set_num_threads(threads);
                check(&lanes::<f32>([1, LENGTH], kind), 0, place).unwrap_or_else(|problem| {
                    panic!("{problem}; kind {kind}, place {place}, {threads} threads")
                });
            }
        }
    }
}

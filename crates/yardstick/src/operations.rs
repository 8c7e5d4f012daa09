//! Single operations on tensors, each making its result anew.

use gradus::{Tensor, seeded};

use crate::bench::Bench;

type Function = fn(&Tensor) -> Tensor;

fn normal<const N: usize, const M: usize>(shapes: [[usize; N]; M]) -> [Tensor; M] {
    let rng = &mut seeded(0);
    shapes.map(|shape| Tensor::randn(shape, rng))
}

/// Every operation of the list, from products of matrices to the cost of one call.
pub(crate) fn all(bench: &mut Bench) {
    for n in [32, 64, 128, 256, 512, 1024, 2048] {
        bench.time(&format!("matmul_{n}"), || {
            let [x, y] = normal([[n, n]; 2]);
            move || x.matmul(&y)
        });
    }
    bench.time("matmul_tn", || {
        let [x, y] = normal([[512, 512]; 2]);
        move || x.t().matmul(&y)
    });
    bench.time("matmul_nt", || {
        let [x, y] = normal([[512, 512]; 2]);
        move || x.matmul(&y.t())
    });
    bench.time("matmul_fc", || {
        let [x, y] = normal([[128, 784], [784, 512]]);
        move || x.matmul(&y)
    });
    bench.time("add_1m", || {
        let [x, y] = normal([[1_000_000]; 2]);
        move || &x + &y
    });
    bench.time("add_bias", || {
        let ([x], [y]) = (normal([[256, 4096]]), normal([[4096]]));
        move || &x + &y
    });
    bench.time("add_strided", || {
        let [x, y] = normal([[1024, 1024]; 2]);
        move || &x + y.t()
    });
    let functions: [(&str, Function); 4] = [
        ("exp_1m", Tensor::exp),
        ("tanh_1m", Tensor::tanh),
        ("sigmoid_1m", Tensor::sigmoid),
        ("gelu_1m", Tensor::gelu_tanh),
    ];
    for (name, function) in functions {
        bench.time(name, || {
            let [x] = normal([[1_000_000]]);
            move || function(&x)
        });
    }
    bench.time("chain_1m", || {
        let [x, y] = normal([[1_000_000]; 2]);
        move || (&x * 2.0 + &y).sigmoid() * &x - &y
    });
    bench.time("sum_all", || {
        let [x] = normal([[16_777_216]]);
        move || x.sum(..)
    });
    for (name, axis) in [("sum_rows", 1), ("sum_cols", 0)] {
        bench.time(name, || {
            let [x] = normal([[4096, 4096]]);
            move || x.sum(axis)
        });
    }
    bench.time("softmax", || {
        let [x] = normal([[1024, 1024]]);
        move || x.softmax(-1)
    });
    bench.time("layernorm", || {
        let ([x], [weight, bias]) = (normal([[1024, 1024]]), normal([[1024]; 2]));
        move || x.layer_norm([1024], Some(&weight), Some(&bias), 1e-5)
    });
    bench.time("copy_t", || {
        let [x] = normal([[2048, 2048]]);
        move || x.t().contiguous()
    });
    bench.time("small_add", || {
        let [x, y] = normal([[8]; 2]);
        move || &x + &y
    });
}

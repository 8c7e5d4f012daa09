//! Single operations, each making its result anew.

use gradus::{Tensor, seeded};

use crate::bench::Bench;

/// Times an expression of tensors; compiled, it is one of variables.
macro_rules! function {
    ($bench:ident, $name:expr, $shapes:expr, |$($x:ident),+| $result:expr) => {
        $bench.function($name, $shapes, |[$($x),+]| $result, move |[$($x),+]| $result)
    };
}
pub(crate) use function;

/// Every operation of the list, from products of matrices to the cost of one call.
pub(crate) fn all(bench: &mut Bench) {
    for n in [32, 64, 128, 256, 512, 1024, 2048] {
        function!(bench, &format!("matmul_{n}"), [&[n, n]; 2], |x, y| x.matmul(y));
    }
    function!(bench, "matmul_tn", [&[512, 512]; 2], |x, y| x.t().matmul(y));
    function!(bench, "matmul_nt", [&[512, 512]; 2], |x, y| x.matmul(&y.t()));
    function!(bench, "matmul_fc", [&[128, 784], &[784, 512]], |x, y| x.matmul(y));
    function!(bench, "add_1m", [&[1_000_000]; 2], |x, y| x + y);
    function!(bench, "add_bias", [&[256, 4096], &[4096]], |x, y| x + y);
    function!(bench, "add_strided", [&[1024, 1024]; 2], |x, y| x + y.t());
    function!(bench, "exp_1m", [&[1_000_000]], |x| x.exp());
    function!(bench, "tanh_1m", [&[1_000_000]], |x| x.tanh());
    function!(bench, "sigmoid_1m", [&[1_000_000]], |x| x.sigmoid());
    function!(bench, "gelu_1m", [&[1_000_000]], |x| x.gelu_tanh());
    function!(bench, "chain_1m", [&[1_000_000]; 2], |x, y| (x * 2.0 + y).sigmoid() * x - y);
    function!(bench, "sum_all", [&[16_777_216]], |x| x.sum(..));
    for (name, axis) in [("sum_rows", 1), ("sum_cols", 0)] {
        function!(bench, name, [&[4096, 4096]], |x| x.sum(axis));
    }
    function!(bench, "softmax", [&[1024, 1024]], |x| x.softmax(-1));
    function!(bench, "layernorm", [&[1024, 1024], &[1024], &[1024]], |x, weight, bias| {
        x.layer_norm([1024], Some(weight), Some(bias), 1e-5)
    });
    bench.time("copy_t", || {
        let x: Tensor = Tensor::randn([2048, 2048], &mut seeded(0));
        move || x.t().contiguous()
    });
    function!(bench, "small_add", [&[8]; 2], |x, y| x + y);
}

//! Functions that have operations of their own, or might, written as a user would from basic ones.

use gradus::keepdim;

use crate::bench::Bench;
use crate::operations::function;

pub(crate) fn all(bench: &mut Bench) {
    // The sizes of `layernorm`, `softmax` and `gelu_1m`.
    function!(bench, "composed_layernorm", [&[1024, 1024], &[1024], &[1024]], |x, weight, bias| {
        let centred = x - x.mean(keepdim(-1));
        let deviation = (centred.square().mean(keepdim(-1)) + 1e-5).sqrt();
        centred / deviation * weight + bias
    });
    // The same with a product in place of the division, which takes more time than all the rest.
    function!(bench, "composed_layernorm_rsqrt", [&[1024, 1024], &[1024], &[1024]], |x, weight, bias| {
        let centred = x - x.mean(keepdim(-1));
        let scale = (centred.square().mean(keepdim(-1)) + 1e-5).rsqrt();
        centred * scale * weight + bias
    });
    function!(bench, "composed_softmax", [&[1024, 1024]], |x| {
        let weights = (x - x.max(keepdim(-1))).exp();
        let sum = weights.sum(keepdim(-1));
        weights / sum
    });
    function!(bench, "composed_gelu", [&[1_000_000]], |x| {
        let inner = (x + x * x * x * 0.044_715) * 0.797_884_6;
        x * 0.5 * (inner.tanh() + 1.0)
    });
    // Lin et al., "Focal Loss for Dense Object Detection", 2017; targets that lie between classes.
    function!(bench, "composed_focal", [&[1_000_000]; 2], |x, y| {
        let (p, y) = (x.sigmoid(), y.sigmoid());
        let entropy = (x.exp() + 1.0).log() - x * &y;
        let missed = &p + &y - &p * &y * 2.0;
        (missed.square() * entropy * (y * -0.5 + 0.75)).mean(..)
    });
}

//! Integers at the ends of their range: a call returns, or panics at its own line, never in arithmetic of the library.

use gradus::{Conv, CrossEntropyLoss, PadMode, Pool, Slice, Tensor, Var, cat, stack, step};

use super::{caught, leaf};

const ENDS: [isize; 8] = [isize::MIN, isize::MIN + 1, -(1 << 32), -1, 0, 1 << 61, isize::MAX - 1, isize::MAX];

type Call = fn(isize);

/// Functions that take an integer, with their names.
macro_rules! calls {
    (|$n:ident| $($call:expr;)*) => { [$((stringify!($call), (|$n| drop($call)) as Call)),*] };
}

#[test]
fn integers_at_the_ends_of_their_range() {
    let calls = calls! { |n|
        // Axes
        leaf(&[2, 3]).sum(n); leaf(&[2, 3]).mean([0, n]); leaf(&[2, 3]).var(n, 1); leaf(&[2, 3]).norm(2.0, n);
        leaf(&[2, 3]).cumsum(n); leaf(&[2, 3]).cumprod(n); leaf(&[2, 3]).softmax(n); leaf(&[2, 3]).log_softmax(n);
        leaf(&[2, 3]).sort(n, true); leaf(&[2, 3]).topk(1, n, true); leaf(&[2, 3]).transpose(n, 0);
        leaf(&[2, 3]).transpose(1, n); leaf(&[2, 3]).permute([n, 0]); leaf(&[2, 3]).unsqueeze(n);
        leaf(&[2, 3]).squeeze(n); leaf(&[2, 3]).flip(n); leaf(&[2, 4]).glu(n); leaf(&[2, 3]).diagonal(0, n, 1);
        cat(&[&leaf(&[2]), &leaf(&[2])], n); stack(&[&leaf(&[2]), &leaf(&[2])], n); leaf(&[2, 3]).chunk(1, n);
        leaf(&[2, 3]).split([1, 1], n); leaf(&[2, 3]).unbind(n); leaf(&[2, 3]).unflatten(n, [1, -1]);
        leaf(&[2, 3]).flatten(n..); leaf(&[2, 3]).flatten(..=n); leaf(&[2, 3]).split(2, n); leaf(&[2, 3]).roll(1, n); leaf(&[2, 3]).repeat_interleave(2, n);
        leaf(&[2, 3]).slice(n, ..); leaf(&[2, 3]).select(n, 0); leaf(&[2, 3]).logsumexp(n);
        leaf(&[2, 3]).cosine_similarity(leaf(&[2, 3]), n, 1e-8); leaf(&[]).transpose(n, 0); leaf(&[]).glu(n);
        // Bounds and steps
        leaf(&[2, 3]).index((n, n)); leaf(&[2, 3]).index((n.., ..=n)); leaf(&[2, 3]).index_put((n, n..), 1.0);
        leaf(&[2, 3]).index(step(n..=n, if n == 0 { 1 } else { n }));
        leaf(&[2, 3]).select(0, n); leaf(&[2, 3]).slice(0, n..); leaf(&[2, 3]).slice(1, ..n);
        leaf(&[2, 3]).slice(1, Slice::new(None, None, if n == 0 { 1 } else { n }));
        leaf(&[2, 3]).slice(1, Slice::new(Some(n), Some(-n.saturating_add(1)), -1));
        leaf(&[2, 3]).roll(n, 1); leaf(&[2, 3]).roll([n, n], [0, 1]);
        leaf(&[2, 3]).diagonal(n, 0, 1); leaf(&[2, 3]).diag(n); leaf(&[3]).diag(n); leaf(&[2, 3]).tril(n);
        leaf(&[2, 3]).triu(n);
        leaf(&[3]).pad([[n, 0]], PadMode::Constant(0.0)); leaf(&[3]).pad([[0, n]], PadMode::Constant(0.0));
        leaf(&[3]).pad([[n, n]], PadMode::Constant(0.0)); leaf(&[3]).pad([[n, n.saturating_neg()]], PadMode::Constant(0.0));
        leaf(&[3]).pad([[n, 0]], PadMode::Reflect); leaf(&[3]).pad([[n, n.saturating_neg()]], PadMode::Replicate);
        // Sizes
        leaf(&[2, 3]).reshape([n, 3]); leaf(&[2, 3]).reshape([n, -1]); leaf(&[2, 3]).unflatten(1, [n, -1]);
        leaf(&[2, 3]).split(n as usize, 0); leaf(&[2, 3]).rearrange("a (b c) -> c b a", &[("b", n as usize)]); leaf(&[2, 0]).reshape([n, -1]);
        leaf(&[2, 3]).tile([n as usize]); leaf(&[2, 3]).repeat_interleave(n as usize, 1);
        leaf(&[1, 3]).expand([n as usize, 3]); leaf(&[2, 3]).topk(n as usize, 1, true);
        leaf(&[2, 3]).chunk(n as usize, 0); leaf(&[2, 3]).split([n as usize, 2], 0); leaf(&[2, 3]).var(0, n as usize);
        leaf(&[1, 5, 5]).adaptive_avg_pool2d(n);
        // Indices
        leaf(&[3]).gather(0, Tensor::from([n as i64])); leaf(&[3]).index_select(0, Tensor::from([n as i64]));
        leaf(&[3]).scatter(0, Tensor::from([n as i64]), &leaf(&[1]));
        leaf(&[3]).scatter_add(0, Tensor::from([n as i64]), &leaf(&[1]));
        leaf(&[3]).index_add(0, Tensor::from([n as i64]), &leaf(&[1]));
        leaf(&[3, 2]).embedding(Tensor::from([n as i64]), None); leaf(&[3, 2]).embedding(Tensor::from([0]), Some(n));
        Tensor::from([n as i64]).one_hot(3); Tensor::<i64>::zeros([0]).one_hot(n as usize);
        CrossEntropyLoss::new().forward(&leaf(&[1, 3]), Tensor::from([n as i64]));
        CrossEntropyLoss::new().ignore_index(n as i64).forward(&leaf(&[1, 3]), Tensor::from([1]));
        leaf(&[1, 3]).softmax_cross_entropy(1, Tensor::from([n as i64]), None);
        // Windows
        leaf(&[1, 2, 5, 5]).conv2d(&leaf(&[2, 2, 3, 3]), None, Conv::new().stride(n));
        leaf(&[1, 2, 5, 5]).conv2d(&leaf(&[2, 2, 3, 3]), None, Conv::new().padding(n));
        leaf(&[1, 2, 5, 5]).conv2d(&leaf(&[2, 2, 3, 3]), None, Conv::new().dilation(n));
        leaf(&[1, 2, 5, 5]).conv2d(&leaf(&[2, 2, 3, 3]), None, Conv::new().groups(n as usize));
        leaf(&[1, 2, 5, 5]).conv_transpose2d(&leaf(&[2, 2, 3, 3]), None, Conv::new().stride(n));
        leaf(&[1, 2, 5, 5]).conv_transpose2d(&leaf(&[2, 2, 3, 3]), None, Conv::new().padding(n));
        leaf(&[1, 2, 5, 5]).conv_transpose2d(&leaf(&[2, 2, 3, 3]), None, Conv::new().dilation(n));
        leaf(&[1, 2, 5, 5]).conv_transpose2d(&leaf(&[2, 2, 3, 3]), None, Conv::new().output_padding(n));
        leaf(&[1, 2, 5, 5]).max_pool2d(Pool::new(n)); leaf(&[1, 2, 5, 5]).max_pool2d(Pool::new(2).stride(n));
        leaf(&[1, 2, 5, 5]).max_pool2d(Pool::new(2).padding(n)); leaf(&[1, 2, 5, 5]).max_pool2d(Pool::new(2).dilation(n));
        leaf(&[1, 2, 5, 5]).avg_pool2d(Pool::new(2).padding(n).ceil_mode(true));
        leaf(&[1, 2, 5, 5]).group_norm(n as usize, None, None, 1e-5);
        Tensor::arange(n as i64, (n as i64).saturating_add(3), 1); Tensor::arange(0, n as i64, n.max(1) as i64);
        Tensor::<f32>::eye(if n > 0 { n as usize } else { 0 }); Var::leaf(Tensor::from(n as f64)).floor();
    };
    for (name, call) in calls {
        for n in ENDS {
            if let Some((message, file, _)) = caught(|| call(n)) {
                assert!(file.ends_with("extremes.rs"), "{name} with n = {n} panics in {file}: {message}");
            }
        }
    }
}

//! Convolutions against six loops, their transposes and gradients against what makes them that.

use crate::common::*;
use gradus_tensor::{Conv, InstructionSet, Tensor, seeded, set_num_threads};
use proptest::prelude::*;

/// Attributes and sizes; pairs are of height and width.
#[derive(Debug, Clone)]
struct Problem {
    batch: usize,
    groups: usize,
    inputs: usize,
    outputs: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
}

impl Problem {
    fn conv(&self) -> Conv {
        Conv::new().stride(self.stride).padding(self.padding).dilation(self.dilation).groups(self.groups)
    }
    fn x(&self) -> [usize; 4] {
        [self.batch, self.groups * self.inputs, self.size[0], self.size[1]]
    }
    fn weight(&self) -> [usize; 4] {
        [self.groups * self.outputs, self.inputs, self.kernel[0], self.kernel[1]]
    }
}

/// With at least one place for the kernel.
fn problems(channels: usize, size: usize) -> impl Strategy<Value = Problem> {
    let pair = |range: std::ops::RangeInclusive<usize>| prop::array::uniform2(range);
    let channels = (0..=2_usize, 1..=3_usize, 1..=channels, 1..=channels);
    (channels, pair(1..=size), pair(1..=4), pair(1..=3), pair(0..=3), pair(1..=3)).prop_map(
        |((batch, groups, inputs, outputs), mut size, kernel, stride, padding, dilation)| {
            for axis in 0..2 {
                let span = dilation[axis] * (kernel[axis] - 1) + 1;
                size[axis] = size[axis].max(span.saturating_sub(2 * padding[axis])).max(1);
            }
            Problem { batch, groups, inputs, outputs, size, kernel, stride, padding, dilation }
        },
    )
}

/// By definition.
fn naive(x: &Naive<f64>, weight: &Naive<f64>, bias: Option<&[f64]>, p: &Problem) -> Naive<f64> {
    let out = |axis: usize| {
        (p.size[axis] + 2 * p.padding[axis] - p.dilation[axis] * (p.kernel[axis] - 1) - 1) / p.stride[axis]
            + 1
    };
    Naive::build(&[p.batch, p.groups * p.outputs, out(0), out(1)], |index| {
        let &[n, o, i, j] = index else { unreachable!() };
        let mut sum = bias.map_or(0.0, |bias| bias[o]);
        for c in 0..p.inputs {
            for ky in 0..p.kernel[0] {
                for kx in 0..p.kernel[1] {
                    let y = (i * p.stride[0] + ky * p.dilation[0]).wrapping_sub(p.padding[0]);
                    let column = (j * p.stride[1] + kx * p.dilation[1]).wrapping_sub(p.padding[1]);
                    if y < p.size[0] && column < p.size[1] {
                        let channel = o / p.outputs * p.inputs + c;
                        sum += x.at(&[n, channel, y, column]) * weight.at(&[o, c, ky, kx]);
                    }
                }
            }
        }
        sum
    })
}

fn dot(x: &Tensor<f64>, y: &Tensor<f64>) -> f64 {
    (x * y).sum(..).item()
}

proptest! {
    #[test]
    fn conv2d_is_its_definition(
        (p, x, weight) in problems(5, 9).prop_flat_map(|p| {
            let (x, weight) = (laid_of(&p.x(), &f64::tame()), laid_of(&p.weight(), &f64::tame()));
            (Just(p), x, weight)
        }),
        bias in any::<bool>(),
    ) {
        let numbers: Vec<f64> = (0..p.groups * p.outputs).map(|i| i as f64).collect();
        let bias = bias.then_some(&numbers[..]);
        let tensor = bias.map(|bias| Tensor::from(bias.to_vec()));
        let got = x.tensor.conv2d(&weight.tensor, tensor.as_ref(), p.conv());
        let expected = naive(&x.naive, &weight.naive, bias, &p).tensor();
        prop_assert_eq!(got.shape(), expected.shape());
        prop_assert!(got.allclose(&expected, 1e-12, 1e-9), "{:?} instead of {:?}", got, expected);
    }

    /// <conv(x, w), g> = <x, conv_input(g, w)> = <w, conv_weight(x, g)>.
    #[test]
    fn gradients_are_adjoint(p in problems(40, 40), seed in any::<u64>()) {
        let rng = &mut seeded(seed);
        let (x, weight) = (Tensor::<f64>::randn(p.x(), rng), Tensor::randn(p.weight(), rng));
        let y = x.conv2d(&weight, None, p.conv());
        let g = Tensor::randn(y.shape(), rng);
        let value = dot(&y, &g);
        let scale = 1.0 + dot(&y.abs(), &g.abs());
        let of_input = dot(&x, &g.conv2d_input(p.x(), &weight, p.conv()));
        prop_assert!((of_input - value).abs() < 1e-12 * scale, "{} instead of {}", of_input, value);
        let of_weight = dot(&weight, &x.conv2d_weight(p.weight(), &g, p.conv()));
        prop_assert!((of_weight - value).abs() < 1e-12 * scale, "{} instead of {}", of_weight, value);
    }

    /// Where the input is infinite or NaN, so are the sums that it is part of, and no others. With few output channels
    /// and with many, which are summed up in different ways.
    #[test]
    fn weight_gradients_of_what_is_not_finite(
        p in problems(2, 12), outputs in prop_oneof![Just(1_usize), Just(3), Just(20)], seed in any::<u64>(),
    ) {
        let p = Problem { groups: 1, outputs, ..p };
        let rng = &mut seeded(seed);
        let chosen = Tensor::<f64>::rand(p.x(), rng).lt(0.03);
        let x = Tensor::where_(&chosen, f64::INFINITY, Tensor::<f64>::randn(p.x(), rng));
        let shape = x.conv2d(&Tensor::zeros(p.weight()), None, p.conv()).shape().to_vec();
        let g = Tensor::<f64>::randn(&shape[..], rng);
        let got = x.conv2d_weight(p.weight(), &g, p.conv());
        let naive = |x: &Tensor<f64>| Naive { shape: x.shape().to_vec(), data: x.to_vec() };
        let (x, g) = (naive(&x), naive(&g));
        for index in indices(&p.weight()) {
            let mut sum = 0.0;
            for at in indices(&shape) {
                let y = (at[2] * p.stride[0] + index[2] * p.dilation[0]).wrapping_sub(p.padding[0]);
                let column = (at[3] * p.stride[1] + index[3] * p.dilation[1]).wrapping_sub(p.padding[1]);
                if at[1] == index[0] && y < p.size[0] && column < p.size[1] {
                    sum += x.at(&[at[0], index[1], y, column]) * g.at(&at);
                }
            }
            let got = index.iter().fold(got.clone(), |x, &i| x.select(0, i as isize)).item();
            prop_assert!(
                got == sum || (got.is_nan() && sum.is_nan()) || (got - sum).abs() <= 1e-11 * (1.0 + sum.abs()),
                "{got} instead of {sum} at {index:?}"
            );
        }
    }

    /// With the sizes that a transposed convolution makes by itself, and longer ones.
    #[test]
    fn conv_transpose2d_is_the_adjoint(p in problems(4, 6), extra in prop::array::uniform2(0..=2_usize), seed in any::<u64>()) {
        let rng = &mut seeded(seed);
        let y: [usize; 4] = [p.batch, p.groups * p.outputs, p.size[0], p.size[1]];
        let extra = [0, 1].map(|axis| extra[axis].min(p.stride[axis].max(p.dilation[axis]) - 1));
        let length = |axis: usize| {
            let all = (p.size[axis] - 1) * p.stride[axis] + p.dilation[axis] * (p.kernel[axis] - 1) + extra[axis] + 1;
            all.checked_sub(2 * p.padding[axis]).filter(|&length| length > 0)
        };
        let (Some(height), Some(width)) = (length(0), length(1)) else { return Ok(()) };
        let (g, weight) = (Tensor::<f64>::randn(y, rng), Tensor::randn(p.weight(), rng));
        let x = g.conv_transpose2d(&weight, None, p.conv().output_padding(extra));
        prop_assert_eq!(x.shape(), [p.batch, p.groups * p.inputs, height, width]);
        let other = Tensor::randn(x.shape(), rng);
        // With an output padding that is not less than the stride, the convolution gives more.
        let back = other.conv2d(&weight, None, p.conv()).slice(2, ..p.size[0]).slice(3, ..p.size[1]);
        let (value, expected) = (dot(&x, &other), dot(&g, &back));
        prop_assert!((value - expected).abs() < 1e-12 * (1.0 + dot(&g.abs(), &back.abs())));
    }
}

/// Threads and layouts change no bit; instructions, as in products of matrices, some of the last ones.
#[test]
fn nothing_changes_a_bit() {
    let _settings = settings();
    let rng = &mut seeded(0);
    for (x, weight, conv) in [
        ([3, 20, 40, 33], [25, 20, 3, 3], Conv::new().padding(1)),
        ([1, 16, 70, 90], [24, 16, 5, 3], Conv::new().stride([2, 1])),
        ([5, 32, 30, 31], [64, 16, 3, 2], Conv::new().dilation([2, 3]).groups(2).stride(2)),
        ([2, 3, 1, 5000], [40, 3, 1, 25], Conv::new().padding([0, 12])),
        ([9, 1, 28, 28], [6, 1, 5, 5], Conv::new().padding(2)),
    ] {
        let (x, weight) = (Tensor::<f32>::randn(x, rng), Tensor::<f32>::randn(weight, rng));
        let bias = Tensor::<f32>::randn([weight.shape()[0]], rng);
        let g = Tensor::randn(x.conv2d(&weight, None, conv.clone()).shape(), rng);
        let all = |x: &Tensor<f32>, g: &Tensor<f32>| {
            [
                bits(&x.conv2d(&weight, Some(&bias), conv.clone())),
                bits(&g.conv2d_input(x.shape(), &weight, conv.clone())),
                bits(&x.conv2d_weight(weight.shape(), g, conv.clone())),
            ]
        };
        let before = x.conv2d(&weight, None, conv.clone());
        let turned = |x: &Tensor<f32>| x.permute([3, 1, 0, 2]).contiguous().permute([2, 1, 3, 0]);
        for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
            set.select();
            set_num_threads(1);
            assert!(x.conv2d(&weight, None, conv.clone()).allclose(&before, 1e-4, 1e-4));
            let expected = all(&x, &g);
            for threads in 1..=3 {
                set_num_threads(threads);
                assert!(all(&x, &g) == expected, "{:?} with {threads} threads, {set:?}", weight.shape());
                assert!(all(&turned(&x), &turned(&g)) == expected);
            }
        }
    }
}

/// Large enough for blocks that are cut along both axes.
#[test]
fn blocks_fit_together() {
    let rng = &mut seeded(1);
    for (size, kernel, stride) in
        [([3, 20_000], [1, 9], [1, 2]), ([400, 700], [3, 3], [1, 1]), ([301, 7], [5, 2], [3, 1])]
    {
        let p = Problem {
            batch: 1,
            groups: 1,
            inputs: 12,
            outputs: 2,
            size,
            kernel,
            stride,
            padding: [1, 4],
            dilation: [1, 1],
        };
        let p = Problem { padding: [p.kernel[0] / 2, p.kernel[1] / 2], ..p };
        let (x, weight) = (Tensor::<f64>::randn(p.x(), rng), Tensor::<f64>::randn(p.weight(), rng));
        let [x_naive, weight_naive] =
            [&x, &weight].map(|t| Naive { shape: t.shape().to_vec(), data: t.to_vec() });
        let y = x.conv2d(&weight, None, p.conv());
        assert!(y.allclose(&naive(&x_naive, &weight_naive, None, &p).tensor(), 1e-10, 1e-10));
        let g = Tensor::randn(y.shape(), rng);
        let value = dot(&y, &g);
        let scale = 1.0 + dot(&y.abs(), &g.abs());
        assert!((dot(&x, &g.conv2d_input(p.x(), &weight, p.conv())) - value).abs() < 1e-12 * scale);
        assert!((dot(&weight, &x.conv2d_weight(p.weight(), &g, p.conv())) - value).abs() < 1e-12 * scale);
    }
}

#[test]
fn one_axis_and_no_batch() {
    let rng = &mut seeded(2);
    let (x, weight) = (Tensor::<f64>::randn([2, 4, 9], rng), Tensor::<f64>::randn([6, 2, 3], rng));
    let conv = || Conv::new().stride(2).padding(1).groups(2);
    let y = x.conv1d(&weight, None, conv());
    let flat = Conv::new().stride([1, 2]).padding([0, 1]).groups(2);
    assert_eq!(y, x.unsqueeze(2).conv2d(&weight.unsqueeze(2), None, flat).squeeze(2));
    assert_eq!(x.select(0, 1).conv1d(&weight, None, conv()), y.select(0, 1));
    let back = y.conv_transpose1d(&weight, None, conv());
    assert_eq!(back.shape(), [2, 4, 9]);
    assert_eq!(y.select(0, 1).conv_transpose1d(&weight, None, conv()), back.select(0, 1));
}

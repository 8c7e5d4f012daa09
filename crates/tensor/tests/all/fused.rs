//! Programs of fused steps against the same operations one by one: equal bits.

use std::ops::Neg;

use crate::common::*;
use gradus_tensor::fused::{Function, Fused, FusedInput, FusedStep, Reduction};
use gradus_tensor::{Float, InstructionSet, Tensor, keepdim, seeded, set_num_threads};
use proptest::prelude::*;
use proptest::sample::Index;

/// The names of the functions, and each of them on tensors.
macro_rules! functions {
    (
        unary $($unary:ident)*; binary $($binary:ident)*; operators $($operator:ident $op:tt)*; comparisons $($comparison:ident)*
    ) => {
        const NAMES: &[&str] = &[
            "neg", "select", $(stringify!($unary),)* $(stringify!($binary),)* $(stringify!($operator),)*
            $(stringify!($comparison),)*
        ];

        fn apply<T: Float>(name: &str, x: &[Tensor<T>]) -> Tensor<T> {
            match name {
                "neg" => (&x[0]).neg(),
                "select" => {
                    let condition = x[0].eq(T::ZERO);
                    condition.where_(&x[2], &x[1])
                }
                $(stringify!($unary) => x[0].$unary(),)*
                $(stringify!($binary) => x[0].$binary(&x[1]),)*
                $(stringify!($operator) => &x[0] $op &x[1],)*
                $(stringify!($comparison) => x[0].$comparison(&x[1]).cast(),)*
                _ => unreachable!("{name}"),
            }
        }
    };
}

functions! {
    unary
        exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square abs sign
        sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
        erf erfc lgamma floor ceil trunc round relu sigmoid gelu_tanh gelu softplus;
    binary pow atan2 hypot logaddexp xlogy multiply_no_nan fmod remainder floor_divide;
    operators add + sub - mul * div /;
    comparisons gt lt ge le eq
}

/// The numbers from which a step is made.
#[derive(Debug, Clone)]
struct Draw {
    kind: u8,
    name: Index,
    operands: [Index; 3],
    constant: f64,
}

fn draw() -> impl Strategy<Value = Draw> {
    let operands = [any::<Index>(), any::<Index>(), any::<Index>()];
    (0..20_u8, any::<Index>(), operands, -3.0..3.0).prop_map(|(kind, name, operands, constant)| Draw {
        kind,
        name,
        operands,
        constant,
    })
}

/// Everything but the inputs of a program.
#[derive(Debug, Clone)]
struct Recipe {
    row_axes: Index,
    draws: Vec<Draw>,
    outputs: Vec<Index>,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let outputs = prop::collection::vec(any::<Index>(), 1..4);
    (any::<Index>(), prop::collection::vec(draw(), 1..14), outputs)
        .prop_map(|(row_axes, draws, outputs)| Recipe { row_axes, draws, outputs })
}

/// The program's results and the ones of single operations.
fn both<T: Value + Float>(
    shape: &[usize],
    inputs: &[Tensor<T>],
    recipe: &Recipe,
) -> [Vec<(Vec<usize>, Vec<u64>)>; 2] {
    let row_axes = recipe.row_axes.index(shape.len() + 1);
    let axes: Vec<usize> = (shape.len() - row_axes..shape.len()).collect();
    let rows_are_empty = axes.iter().any(|&axis| shape[axis] == 0);
    let mut steps: Vec<FusedStep<T>> = (0..inputs.len()).map(FusedStep::Input).collect();
    let mut values = inputs.to_vec();
    let mut reduces = false;
    for draw in &recipe.draws {
        let operand = |k: usize| draw.operands[k].index(steps.len());
        let (step, value) = match draw.kind {
            0 => {
                let x = T::from_f64(draw.constant);
                (FusedStep::Constant(x), Tensor::from(x))
            }
            kind @ 1..=4 => {
                reduces = true;
                let x = values[operand(0)].expand(shape);
                let axes = || keepdim(&axes[..]);
                let (reduction, value) = match kind {
                    2 => (Reduction::Mean, x.mean(axes())),
                    3 if !rows_are_empty => (Reduction::Max, x.max(axes())),
                    4 if !rows_are_empty => (Reduction::Min, x.min(axes())),
                    _ => (Reduction::Sum, x.sum(axes())),
                };
                (FusedStep::Reduce(reduction, operand(0) as u32), value)
            }
            5 => {
                let (order, x) = (draw.operands[1].index(4), operand(0));
                let value = values[x].polygamma(order);
                (FusedStep::Apply(Function::Polygamma(order as u32), [x as u32].as_slice().into()), value)
            }
            // Half of them are simple arithmetic, as in most programs.
            kind => {
                let names = if kind < 12 { NAMES } else { &NAMES[NAMES.len() - 9..] };
                let name = names[draw.name.index(names.len())];
                let function = Function::named(name).unwrap();
                let operands: Vec<usize> = (0..function.operands()).map(operand).collect();
                let tensors: Vec<Tensor<T>> = operands.iter().map(|&x| values[x].clone()).collect();
                let operands = operands.iter().map(|&x| x as u32).collect();
                (FusedStep::Apply(function, operands), apply(name, &tensors))
            }
        };
        steps.push(step);
        values.push(value);
    }
    let outputs: Vec<u32> = recipe.outputs.iter().map(|output| output.index(steps.len()) as u32).collect();
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::shape).collect();
    let row_axes = if reduces { row_axes } else { 0 };
    let fused = Fused::new(shape, row_axes, &shapes, steps, &outputs);
    let mut results: Vec<Tensor<T>> =
        (0..outputs.len()).map(|output| Tensor::full(fused.shape_of_output(output), T::FILLER)).collect();
    let expected = outputs.iter().zip(&results).map(|(&output, result)| {
        let value = values[output as usize].expand(result.shape());
        (result.shape().to_vec(), bits(&value))
    });
    let expected = expected.collect();
    fused.run(&inputs.iter().collect::<Vec<_>>(), &mut results.iter_mut().collect::<Vec<_>>());
    [results.iter().map(|result| (result.shape().to_vec(), bits(result))).collect(), expected]
}

/// Shapes on both sides of what a tile holds.
fn domain() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        6 => shape(0..=4),
        2 => (1..40_usize, prop::sample::select(vec![7, 16, 63, 64, 65, 127, 129])).prop_map(|(m, n)| vec![m, n]),
        1 => (1..3_usize, prop::sample::select(vec![511, 512, 513, 1025, 1500])).prop_map(|(m, n)| vec![m, n]),
    ]
}

/// Inputs that broadcast to the shape, in any layouts.
fn inputs<T: Value>(shape: Vec<usize>) -> impl Strategy<Value = (Vec<usize>, Vec<Tensor<T>>)> {
    let input = (prop::collection::vec(prop::bool::weighted(0.3), 4), any::<Index>(), any::<bool>());
    prop::collection::vec(input, 1..4).prop_flat_map(move |inputs| {
        let laid: Vec<_> = inputs
            .iter()
            .map(|(ones, dropped, whole)| {
                let one = |(&size, &one): (&usize, &bool)| if one && !whole { 1 } else { size };
                let mut own: Vec<usize> = shape.iter().zip(ones).map(one).collect();
                if !whole {
                    own.drain(..dropped.index(shape.len() + 1));
                }
                laid_of(&own, &T::any()).prop_map(|laid| laid.tensor)
            })
            .collect();
        (Just(shape.clone()), laid)
    })
}

law! {
    /// A program gives the bits of its operations one by one.
    [f32 f64]
    fn any_program_has_the_bits_of_its_operations(
        (shape, inputs) in domain().prop_flat_map(inputs::<T>),
        recipe in recipe(),
    ) {
        let [results, expected] = both(&shape, &inputs, &recipe);
        prop_assert_eq!(results, expected);
    }
}

law! {
    /// So it does where threads share the work, with any instructions.
    [f32 f64]
    fn large_programs_do_too(
        shape in prop::sample::select(vec![
            vec![70_001], vec![300, 257], vec![9000, 9], vec![3, 40_000], vec![41, 43, 47], vec![150_000, 1],
            vec![1, 66_000], vec![2, 2, 20_000], vec![1_100_000],
        ]),
        roles in prop::collection::vec(0..6_u8, 1..4),
        seed in any::<u64>(),
        recipe in recipe(),
        set in prop::sample::select(vec![InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512]),
        asked in 1..=3_usize,
    ) {
        let _settings = settings();
        let mut rng = seeded(seed);
        let inputs: Vec<Tensor<T>> = roles.iter().map(|role| {
            let (first, rest) = shape.split_first().unwrap();
            match role {
                0 => Tensor::randn(rest, &mut rng),
                1 => Tensor::randn([&[*first][..], &vec![1; rest.len()]].concat(), &mut rng),
                2 => Tensor::randn([*shape.last().unwrap(), shape[..shape.len() - 1].iter().product()], &mut rng)
                    .t().reshape(&shape[..]),
                _ => Tensor::randn(&shape[..], &mut rng),
            }
        }).collect();
        set.select();
        set_num_threads(asked);
        let [results, expected] = both(&shape, &inputs, &recipe);
        for ((result, expected), _) in results.iter().zip(&expected).zip(0..) {
            prop_assert_eq!(&result.0, &expected.0);
            let wrong = result.1.iter().zip(&expected.1).position(|(a, b)| a != b);
            prop_assert_eq!(wrong, None);
        }
    }
}

pub(crate) fn step<T>(name: &str, operands: &[u32]) -> FusedStep<T> {
    FusedStep::Apply(Function::named(name).unwrap(), operands.into())
}

law! {
    /// Results can take the place of an input; masks are numbers.
    [f32 f64]
    fn inplace_and_masks(rows in 1..5_usize, length in prop::sample::select(vec![3, 100, 700, 9000]), seed in any::<u64>()) {
        let mut rng = seeded(seed);
        let x = Tensor::<T>::randn([rows, length], &mut rng);
        let mask = Tensor::<T>::randn([length], &mut rng).gt(0.0);
        let steps = vec![
            FusedStep::Input(0),
            FusedStep::Input(1),
            FusedStep::Reduce(Reduction::Mean, 0),
            step("sub", &[0, 2]),
            step("mul", &[3, 1]),
        ];
        let fused = Fused::new(x.shape(), 1, &[x.shape(), mask.shape()], steps, &[4, 2]);
        let expected = [(&x - x.mean(keepdim(1))) * mask.cast::<T>(), x.mean(keepdim(1))];
        let mut results = [x.contiguous() + 0.0, Tensor::zeros([rows, 1])];
        fused.run_with(&[FusedInput::Output(0), FusedInput::Mask(&mask)], &mut results.iter_mut().collect::<Vec<_>>());
        prop_assert_eq!(results.each_ref().map(bits), expected.each_ref().map(bits));
    }
}

/// Of a long row, the partial results of sums may be out of range where the sum or the mean is not.
#[test]
fn long_sums_have_headroom() {
    let steps = vec![
        FusedStep::Input(0),
        step("neg", &[0]),
        FusedStep::Reduce(Reduction::Sum, 1),
        FusedStep::Reduce(Reduction::Mean, 1),
        FusedStep::Reduce(Reduction::Max, 1),
        step("add", &[3, 4]),
    ];
    for large in [f32::MAX, f32::INFINITY, f32::NAN, 1.0] {
        let shape = [2, 40_000];
        let x = Tensor::<f32>::arange(0.0, 80_000.0, 1.0)
            .reshape(shape)
            .map(|i| if i % 2.0 == 0.0 { large } else { -large });
        let fused = Fused::new(&shape, 1, &[&shape], steps.clone(), &[2, 3, 5]);
        let mut results: Vec<_> = (0..3).map(|k| Tensor::zeros(fused.shape_of_output(k))).collect();
        fused.run(&[&x], &mut results.iter_mut().collect::<Vec<_>>());
        let y = -&x;
        let expected = [y.sum(keepdim(1)), y.mean(keepdim(1)), y.mean(keepdim(1)) + y.max(keepdim(1))];
        for (result, expected) in results.iter().zip(&expected) {
            assert_eq!(bits(result), bits(expected), "{large}");
        }
    }
}

#[test]
fn every_function_of_the_vocabulary_has_a_name() {
    for name in NAMES {
        assert!(Function::named(name).is_some(), "{name}");
    }
    assert_eq!(Function::named("digamma"), None);
}

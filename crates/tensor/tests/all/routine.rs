//! Routines against the same operations one by one: equal bits, however their operands lie in memory.

use crate::caught::caught;
use crate::common::*;
use gradus_tensor::fused::{Function, Fused, FusedStep, Reduction};
use gradus_tensor::routine::Routine;
use gradus_tensor::{Float, InstructionSet, Tensor, broadcast_shapes, keepdim, seeded};
use proptest::prelude::*;
use proptest::sample::Index;

/// Few sizes, so that operands fit each other: with a vector's rest, with more rows than a block of a sum has, and with rows that
/// have loops of their own.
const SIZES: [usize; 6] = [1, 3, 8, 17, 40, 65];

#[derive(Debug, Clone)]
struct Draw {
    kind: u8,
    operands: [Index; 3],
    choice: usize,
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let draw = (0..12_u8, [any::<Index>(), any::<Index>(), any::<Index>()], any::<usize>())
        .prop_map(|(kind, operands, choice)| Draw { kind, operands, choice });
    prop::collection::vec(draw, 10..40)
}

/// An input: a shape of at most two axes, whether it is transposed in memory, and a factor.
fn inputs() -> impl Strategy<Value = Vec<(Vec<usize>, bool, f64)>> {
    let shape = prop::collection::vec(prop::sample::select(&SIZES[..]), 0..=2);
    let factor = prop_oneof![8 => Just(1.0), 1 => Just(1e30), 1 => Just(f64::INFINITY)];
    prop::collection::vec((shape, any::<bool>(), factor), 1..5)
}

fn reduced<T: Float>(x: &Tensor<T>, reduction: Reduction, axes: &[isize]) -> Tensor<T> {
    match reduction {
        Reduction::Sum => x.sum(axes),
        Reduction::Mean => x.mean(axes),
        Reduction::Max => x.max(axes),
        Reduction::Min => x.min(axes),
    }
}

/// The result of a drawn operation on tensors, and its number in the routine; nothing if the operands do not fit.
fn step<T: Float>(
    draw: &Draw,
    routine: &mut Routine<T>,
    known: &[(Tensor<T>, u32)],
) -> Option<Vec<(Tensor<T>, Option<u32>)>> {
    let [(x, a), (y, b), (z, c)] = [0, 1, 2].map(|k| draw.operands[k].get(known));
    let (rank, choice) = (x.rank(), draw.choice);
    Some(match draw.kind {
        0..=2 => {
            let fits = x.rank() == 2 && y.rank() == 2 && x.shape()[1] == y.shape()[0];
            fits.then(|| vec![(x.matmul(y), routine.matmul(*a, *b))])?
        }
        3 | 4 => {
            let fits = x.rank() == 2 && y.rank() == 2 && x.shape()[1] == y.shape()[1];
            let bias = fits && *z.shape() == [y.shape()[0]];
            let bias = bias.then_some((z, *c));
            fits.then(|| {
                vec![(x.linear(y, bias.map(|bias| bias.0)), routine.linear(*a, *b, bias.map(|bias| bias.1)))]
            })?
        }
        5 | 6 => {
            let axes: Vec<usize> = (0..rank).filter(|axis| choice >> axis & 1 == 1).collect();
            let signed: Vec<isize> = axes.iter().map(|&axis| axis as isize).collect();
            let reduction = [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min][choice / 4 % 4];
            let expected = reduced(x, reduction, &signed);
            let number = if axes.is_empty() {
                return None;
            } else {
                routine.reduce(reduction, *a, &axes, expected.shape())
            };
            vec![(expected, number)]
        }
        7 | 8 => {
            // (x - y) * z and the sum of its rows, which broadcast.
            let shape =
                broadcast_shapes("", x.shape(), y.shape()).and_then(|s| broadcast_shapes("", &s, z.shape()));
            let shape = shape.ok().filter(|shape| !shape.is_empty())?;
            let apply =
                |name, operands: &[u32]| FusedStep::Apply(Function::named(name).unwrap(), operands.into());
            let steps = vec![
                FusedStep::Input(0),
                FusedStep::Input(1),
                FusedStep::Input(2),
                apply("sub", &[0, 1]),
                apply("mul", &[3, 2]),
                FusedStep::Reduce(Reduction::Sum, 4),
            ];
            let pass = Fused::new(&shape, 1, &[x.shape(), y.shape(), z.shape()], steps, &[4, 5]);
            let expected = (x - y) * z;
            let expected = expected.expand(&shape).contiguous();
            let sums = expected.sum(keepdim(-1));
            if pass.shape_of_output(0) != &shape[..] || pass.shape_of_output(1) != sums.shape() {
                return None;
            }
            let results = routine.fused(&pass, &[*a, *b, *c], &[&shape, sums.shape()]);
            let numbers = results.map_or([None, None], |results| [Some(results[0]), Some(results[1])]);
            vec![(expected, numbers[0]), (sums, numbers[1])]
        }
        9 => {
            let fits = x.shape() == y.shape();
            fits.then(|| vec![(x.mean_squared_difference(y), routine.mean_squared_difference(*a, *b))])?
        }
        _ => {
            let view = match (choice % 3, x.shape()) {
                (0, [_, _]) => x.t(),
                (1, &[columns]) => x.expand([SIZES[choice / 3 % SIZES.len()], columns]),
                (2, &[rows, _]) => x.slice(0, rows / 2..),
                _ => x.reshape([x.len()]),
            };
            let number = routine.view(*a, &x.view_to(&view)?);
            vec![(view, number)]
        }
    })
}

/// The outputs of a routine, and the results of its operations.
fn both<T: Value + Float>(
    inputs: &[(Vec<usize>, bool, f64)],
    draws: &[Draw],
    outputs: &[(Index, bool)],
) -> [Vec<(Vec<usize>, Vec<u64>)>; 2] {
    let rng = &mut seeded(3);
    let mut routine = Routine::new();
    let mut known: Vec<(Tensor<T>, u32)> = Vec::new();
    let mut given = Vec::new();
    for (shape, transposed, factor) in inputs {
        let mut x = Tensor::<T>::randn(&shape[..], rng) * T::from_f64(*factor);
        if *transposed && x.rank() == 2 {
            x = x.t().contiguous().t();
        }
        let number = routine.input(x.shape(), x.strides()).expect("no negative strides");
        given.push(x.clone());
        known.push((x, number));
    }
    for draw in draws {
        let mark = routine.mark();
        match step(draw, &mut routine, &known) {
            Some(results) if results.iter().all(|(_, number)| number.is_some()) => {
                known.extend(results.into_iter().map(|(x, number)| (x, number.expect("just seen"))));
            }
            _ => routine.go_back(mark),
        }
    }
    // Without any chosen, all are.
    let mut chosen: Vec<&(Tensor<T>, u32)> = outputs.iter().map(|(index, _)| index.get(&known)).collect();
    if chosen.is_empty() {
        chosen = known.iter().collect();
    }
    for (i, (_, number)) in chosen.iter().enumerate() {
        routine.output(*number, outputs.get(i).is_some_and(|(_, contiguous)| *contiguous));
    }
    let mut memory: Vec<Tensor<T>> = (0..chosen.len()).map(|k| routine.new_output(k)).collect();
    // The second run finds what the first has left.
    for _ in 0..2 {
        routine.run(given.iter(), memory.iter_mut());
    }
    let bits = |x: &Tensor<T>| (x.shape().to_vec(), x.iter().map(Value::bits).collect());
    [memory.iter().map(bits).collect(), chosen.iter().map(|(x, _)| bits(x)).collect()]
}

proptest! {
    #[test]
    fn routines_are_their_operations(
        inputs in inputs(),
        draws in draws(),
        outputs in prop::collection::vec((any::<Index>(), any::<bool>()), 0..4),
        set in prop::sample::select(vec![InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512]),
    ) {
        let _settings = settings();
        set.select();
        let [got, expected] = both::<f32>(&inputs, &draws, &outputs);
        prop_assert_eq!(got, expected);
        let [got, expected] = both::<f64>(&inputs, &draws, &outputs);
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let mut routine = Routine::<f32>::new();
    let x = routine.input(&[512, 512], &[512, 1]).unwrap();
    assert!(routine.matmul(x, x).is_none() && routine.reduce(Reduction::Sum, x, &[0], &[512]).is_none());
    assert!(routine.input(&[2], &[-1]).is_none());
    assert!(routine.input(&[2], &[1 << 40]).is_none());
}

/// Memory is made for the shapes that are asked for, so they must be the ones that steps write.
#[test]
fn what_does_not_fit_is_refused() {
    let mut routine = Routine::<f32>::new();
    let x = routine.input(&[4, 8], &[8, 1]).unwrap();
    for axes in [&[][..], &[2], &[1, 0], &[0, 0]] {
        assert!(routine.reduce(Reduction::Sum, x, axes, &[8]).is_none());
    }
    assert!(routine.reduce(Reduction::Sum, x, &[0], &[1]).is_none());
    let steps =
        vec![FusedStep::Input(0), FusedStep::Apply(Function::named("exp").unwrap(), [0].as_slice().into())];
    let pass = Fused::new(&[4, 8], 0, &[&[4, 8]], steps, &[1]);
    assert!(routine.fused(&pass, &[x], &[&[1]]).is_none() && routine.fused(&pass, &[], &[&[4, 8]]).is_none());
    // Another part of the same buffer is no view of the first one.
    let whole = Tensor::<f32>::zeros([64]);
    let part = whole.slice(0, 0..32).reshape([4, 8]);
    assert!(routine.view(x, &part.view_to(&whole).unwrap()).is_none());
}

#[test]
fn a_routine_that_has_run_stays_as_it_is() {
    let mut routine = Routine::<f32>::new();
    let x = routine.input(&[2, 3], &[3, 1]).unwrap();
    let mark = routine.mark();
    let sums = routine.reduce(Reduction::Sum, x, &[1], &[2]).unwrap();
    routine.output(sums, true);
    let message = |action: &mut dyn FnMut()| caught(action).map(|(message, ..)| message);
    assert!(
        message(&mut || routine.go_back(mark)).is_some_and(|message| message.contains("outputs were made"))
    );
    let (input, mut turned) = (Tensor::<f32>::ones([2, 3]), Tensor::<f32>::zeros([4]).slice(0, 2..));
    let otherwise = message(&mut || routine.run([&input].into_iter(), [&mut turned].into_iter()));
    assert!(otherwise.is_some_and(|message| message.contains("an output lies otherwise")));
    let mut out = routine.new_output(0);
    routine.run([&input].into_iter(), [&mut out].into_iter());
    assert_eq!(out, Tensor::from([3.0, 3.0]));
    let more = message(&mut || _ = routine.reduce(Reduction::Sum, x, &[0], &[3]));
    assert!(more.is_some_and(|message| message.contains("takes no more steps")));
}

#[test]
fn inputs_must_lie_as_they_did() {
    let mut routine = Routine::<f32>::new();
    let x = routine.input(&[2, 3], &[3, 1]).unwrap();
    let sums = routine.reduce(Reduction::Sum, x, &[1], &[2]).unwrap();
    routine.output(sums, true);
    let mut out = routine.new_output(0);
    let turned = Tensor::<f32>::zeros([3, 2]).t();
    let panic = caught(|| routine.run([&turned].into_iter(), [&mut out].into_iter()));
    assert!(panic.is_some_and(|(message, ..)| message == "an input lies otherwise in memory"));
}

#[test]
fn a_routine_runs_after_a_call_that_failed() {
    let mut routine = Routine::<f32>::new();
    let [x, y] = [0, 1].map(|_| routine.input(&[2, 2], &[2, 1]).unwrap());
    let product = routine.matmul(x, y).unwrap();
    let sums = routine.reduce(Reduction::Sum, product, &[0], &[2]).unwrap();
    routine.output(product, true);
    routine.output(sums, true);
    let x = Tensor::<f32>::from([[1.0, 2.0], [3.0, 4.0]]);
    let (turned, y) = (x.t(), &x + 1.0);
    let wrong: [(&[&Tensor<f32>], usize, &str); 5] = [
        (&[&x], 2, "more operands"),
        (&[&x, &y, &y], 2, "fewer inputs"),
        (&[&x, &turned], 2, "an input lies otherwise"),
        (&[&x, &y], 1, "more operands"),
        (&[&x, &y], 3, "fewer outputs"),
    ];
    for (inputs, count, expected) in wrong {
        let mut outputs = [0, 1, 1].map(|number| routine.new_output(number));
        let run = || routine.run(inputs.iter().copied(), outputs[..count].iter_mut());
        let message = caught(run).map(|(message, ..)| message);
        assert!(message.as_ref().is_some_and(|message| message.contains(expected)), "{message:?}");
        // Memory that the failed call has seen is gone.
        drop(outputs);
        let mut outputs = [0, 1].map(|number| routine.new_output(number));
        routine.run([&x, &y].into_iter(), outputs.iter_mut());
        assert_eq!(outputs, [x.matmul(&y), x.matmul(&y).sum(0)]);
    }
}

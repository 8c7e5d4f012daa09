//! Loops of fused programs: several steps in one loop, and single loops over whole parts.

use crate::common::*;
use crate::fused::step;
use gradus_tensor::fused::{Fused, FusedInput, FusedStep, Reduction};
use gradus_tensor::{Tensor, keepdim, seeded};
use proptest::prelude::*;

law! {
    /// Differences that several steps compute again, sums of their squares, and a scale and a shift in one loop.
    [f32 f64]
    fn normalisations(
        rows in 1..5_usize,
        length in prop::sample::select(vec![1, 5, 100, 513, 1025]),
        [divides, turned, given, by_row, keeps] in any::<[bool; 5]>(),
        seed in any::<u64>(),
    ) {
        let mut rng = seeded(seed);
        let [x, column, row] = [[rows, length], [1, length], [rows, 1]].map(|shape| Tensor::<T>::randn(shape, &mut rng));
        let (weight, bias) = if by_row { (row.exp(), row.sin()) } else { (column.exp(), column.sin()) };
        let centre = if given { row } else { x.mean(keepdim(1)) };
        let difference = &x - &centre;
        let variance = difference.square().mean(keepdim(1));
        let eps: T = 1e-5;
        let moved = &variance + eps;
        let scaled = if divides { &difference / moved.sqrt() } else { &difference * moved.rsqrt() };
        let normal = scaled * &weight + &bias;

        let ordered = |[a, b]: [u32; 2]| if turned { [b, a] } else { [a, b] };
        let centre_step = if given { FusedStep::Input(3) } else { FusedStep::Reduce(Reduction::Mean, 0) };
        let steps = vec![
            FusedStep::Input(0),
            FusedStep::Input(1),
            FusedStep::Input(2),
            centre_step,
            step("sub", &[0, 3]),
            step("square", &[4]),
            FusedStep::Reduce(Reduction::Mean, 5),
            FusedStep::Constant(eps),
            step("add", &[6, 7]),
            step(if divides { "sqrt" } else { "rsqrt" }, &[8]),
            if divides { step("div", &[4, 9]) } else { step("mul", &ordered([4, 9])) },
            step("mul", &ordered([10, 1])),
            step("add", &ordered([11, 2])),
        ];
        let expected = [normal, difference, variance];
        let outputs = &[12, 4, 6][..if keeps { 3 } else { 1 }];
        let shapes = [x.shape(), weight.shape(), bias.shape(), centre.shape()];
        let fused = Fused::new(x.shape(), 1, &shapes, steps, outputs);
        let mut results: Vec<Tensor<T>> =
            (0..outputs.len()).map(|output| Tensor::zeros(fused.shape_of_output(output))).collect();
        fused.run(&[&x, &weight, &bias, &centre], &mut results.iter_mut().collect::<Vec<_>>());
        for (result, expected) in results.iter().zip(&expected) {
            prop_assert_eq!(bits(result), bits(expected));
        }
    }
}

law! {
    /// A single loop goes over whole parts, and over small tiles where it writes over its input.
    [f32 f64]
    fn single_loops(
        length in prop::sample::select(vec![2, 700, 16_384, 20_000, 40_001]),
        rows in 1..3_usize,
        function in prop::sample::select(vec!["relu", "exp", "tanh"]),
        inplace: bool,
        seed in any::<u64>(),
    ) {
        let x = Tensor::<T>::randn([rows, length], &mut seeded(seed));
        let expected = match function {
            "relu" => x.relu(),
            "exp" => x.exp(),
            _ => x.tanh(),
        };
        let fused = Fused::new(x.shape(), 1, &[x.shape()], vec![FusedStep::Input(0), step(function, &[0])], &[1]);
        let mut result = x.contiguous() + 0.0;
        let input = if inplace { FusedInput::Output(0) } else { FusedInput::Tensor(&x) };
        fused.run_with(&[input], &mut [&mut result]);
        prop_assert_eq!(bits(&result), bits(&expected));
    }
}

law! {
    /// A function, perhaps of scaled numbers, times another operand, plus or minus a third one, in one loop or two.
    [f32 f64]
    fn gates(
        rows in 1..4_usize,
        length in prop::sample::select(vec![1, 5, 63, 64, 513, 1025]),
        function in prop::sample::select(vec!["exp", "log", "tanh", "sigmoid", "erf", "square", "sin"]),
        last in 0..3_usize,
        [scaled, turned, keeps_scaled, keeps_function, keeps_product, by_row] in any::<[bool; 6]>(),
        seed in any::<u64>(),
    ) {
        let mut rng = seeded(seed);
        let shape = [rows, length];
        let [x, z] = [shape, shape].map(|shape| Tensor::<T>::randn(shape, &mut rng));
        let y = Tensor::<T>::randn(if by_row { [rows, 1] } else { shape }, &mut rng);
        let x = x.abs();
        let scale: T = 0.7;
        let argument = if scaled { &x * scale } else { x.clone() };
        let f = match function {
            "exp" => argument.exp(),
            "log" => argument.log(),
            "tanh" => argument.tanh(),
            "sigmoid" => argument.sigmoid(),
            "erf" => argument.erf(),
            "square" => argument.square(),
            _ => argument.sin(),
        };
        let product = &f * &y;
        let result = [&product + &z, &product - &z, &z - &product][last].clone();
        let (ordered, last_of) = (if turned { [1, 5] } else { [5, 1] }, if last == 2 { [2, 6] } else { [6, 2] });
        let steps = vec![
            FusedStep::Input(0),
            FusedStep::Input(1),
            FusedStep::Input(2),
            FusedStep::Constant(scale),
            step("mul", &if turned { [3, 0] } else { [0, 3] }),
            step(function, &[if scaled { 4 } else { 0 }]),
            step("mul", &ordered),
            step(if last == 0 { "add" } else { "sub" }, &last_of),
        ];
        let keeps_scaled = keeps_scaled && scaled;
        let kept =
            [(true, 7, result), (keeps_function, 5, f), (keeps_product, 6, product), (keeps_scaled, 4, argument)];
        let (outputs, expected): (Vec<u32>, Vec<Tensor<T>>) =
            kept.into_iter().filter(|(kept, ..)| *kept).map(|(_, output, expected)| (output, expected)).unzip();
        let fused = Fused::new(&shape, 1, &[x.shape(), y.shape(), z.shape()], steps, &outputs);
        let mut results: Vec<Tensor<T>> =
            (0..outputs.len()).map(|output| Tensor::zeros(fused.shape_of_output(output))).collect();
        fused.run(&[&x, &y, &z], &mut results.iter_mut().collect::<Vec<_>>());
        for (result, expected) in results.iter().zip(&expected) {
            prop_assert_eq!(bits(result), bits(expected));
        }
    }
}

law! {
    /// The last terms of a polynomial, and a product times a sum, in one loop or several.
    [f32 f64]
    fn products_and_sums(
        length in prop::sample::select(vec![1, 5, 64, 513]),
        [cubes, constants, turned, commuted, keeps_first, keeps_second] in any::<[bool; 6]>(),
        by_row: bool,
        seed in any::<u64>(),
    ) {
        let mut rng = seeded(seed);
        let shape = [3, length];
        let [x, y] = [shape, shape].map(|shape| Tensor::<T>::randn(shape, &mut rng));
        let [a, b] = [0, 1].map(|_| Tensor::<T>::randn(if by_row { [3, 1] } else { shape }, &mut rng));
        let number: T = 0.7;
        let or_number = |x: &Tensor<T>| if constants { Tensor::scalar(number) } else { x.clone() };
        let order = |[a, b]: [u32; 2]| if turned { [b, a] } else { [a, b] };
        let (a_step, b_step) = if constants { (4, 4) } else { (2, 3) };
        let (steps, first, second, result) = if cubes {
            let first = &x * &x * &y;
            let second = &first * or_number(&a);
            let result = &second + or_number(&b);
            let steps = [step("mul", &[0, 0]), step("mul", &order([5, 1])), step("mul", &order([6, a_step]))];
            (steps.into_iter().chain([step("add", &order([7, b_step]))]).collect::<Vec<_>>(), first, second, result)
        } else {
            let (first, second) = (&x * or_number(&a), &y + or_number(&b));
            let result = &first * &second;
            let steps = [step("mul", &[0, 0]), step("mul", &order([0, a_step])), step("add", &order([1, b_step]))];
            let last = step("mul", if commuted { &[7, 6] } else { &[6, 7] });
            (steps.into_iter().chain([last]).collect(), first, second, result)
        };
        let inputs = (0..4).map(FusedStep::Input).chain([FusedStep::Constant(number)]);
        let kept = [(true, 8, result), (keeps_first, 6, first), (keeps_second, 7, second)];
        let (outputs, expected): (Vec<u32>, Vec<Tensor<T>>) =
            kept.into_iter().filter(|(kept, ..)| *kept).map(|(_, output, expected)| (output, expected)).unzip();
        let shapes = [x.shape(), y.shape(), a.shape(), b.shape()];
        let fused = Fused::new(&shape, 1, &shapes, inputs.chain(steps).collect(), &outputs);
        let mut results: Vec<Tensor<T>> =
            (0..outputs.len()).map(|output| Tensor::zeros(fused.shape_of_output(output))).collect();
        fused.run(&[&x, &y, &a, &b], &mut results.iter_mut().collect::<Vec<_>>());
        for (result, expected) in results.iter().zip(&expected) {
            prop_assert_eq!(bits(result), bits(expected));
        }
    }
}

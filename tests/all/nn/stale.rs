//! Values that change behind the back of a compiled step: an error or the right number, and never a stale one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gradus::prelude::*;
use gradus::{Compiled, Indices, Var, Xoshiro256PlusPlus, distributions, init};
use proptest::prelude::*;

use crate::messages::{caught, panic_of};

type Function = fn(&Var<f64>, &mut Xoshiro256PlusPlus) -> Var<f64>;

/// A lock, also after a panic.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All functions that draw are refused in the first call, at the line of the function.
#[test]
fn random_numbers_are_refused_in_the_first_call() {
    let functions: [(&str, u32, Function); 17] = [
        ("rand", line!(), |x, rng| x * Tensor::rand([2], rng)),
        ("rand", line!(), |x, rng| x * Tensor::ones([2]).rand_like(rng)),
        ("randn", line!(), |x, rng| x * Tensor::randn([2], rng)),
        ("uniform", line!(), |x, rng| x * Tensor::uniform([2], 0.0, 1.0, rng)),
        ("normal", line!(), |x, rng| x * Tensor::normal([2], 0.0, 1.0, rng)),
        ("randint", line!(), |x, rng| x.index_select(0, Tensor::randint([1], 0..2, rng))),
        ("randperm", line!(), |x, rng| x.index_select(0, Tensor::randperm(2, rng))),
        ("bernoulli", line!(), |x, rng| x * Tensor::full([2], 0.5).bernoulli(rng)),
        ("standard_gamma", line!(), |x, rng| x * Tensor::ones([2]).standard_gamma(rng)),
        ("beta", line!(), |x, rng| x * Tensor::beta(&Tensor::ones([2]), &Tensor::ones([2]), rng)),
        ("multinomial", line!(), |x, rng| {
            x.index_select(0, Tensor::<f64>::ones([2]).multinomial(1, true, rng))
        }),
        ("randn", line!(), |x, rng| x * distributions::Normal::new(0.0, 1.0).rsample(rng)),
        ("rand", line!(), |x, rng| x * distributions::Uniform::new(0.0, 1.0).rsample(rng)),
        ("bernoulli", line!(), |x, rng| x * distributions::Bernoulli::from_probs(0.5).sample(rng)),
        ("uniform", line!(), |x, rng| Linear::new(2, 2, rng).forward(x)),
        ("normal", line!(), |x, rng| x * init::normal([2], 0.0, 1.0, rng)),
        ("rand", line!(), |x, _| x * Tensor::rand([2], &mut seeded(0))),
    ];
    for (name, line, function) in functions {
        let rng = Mutex::new(seeded(0));
        let mut step =
            Compiled::new(move |(): &mut (), (): &mut (), x: Var<f64>| function(&x, &mut locked(&rng)));
        let (message, file, found) = panic_of(|| step.call(&mut (), &mut (), Var::from([1.0, 2.0])));
        let start = format!("{name}: a function that is being compiled draws random numbers");
        assert!(message.starts_with(&start), "{message}");
        // A long closure begins on the next line.
        assert!(file == file!() && (line..=line + 1).contains(&found), "line {found}: {message}");
    }
    // Outside of it, they are drawn as ever.
    let _ = Tensor::<f64>::randn([2], &mut seeded(0));
}

/// A rule that draws runs again as a whole: new numbers in each call.
#[test]
fn rules_may_draw() {
    let step = |rng: Arc<Mutex<Xoshiro256PlusPlus>>| {
        move |(): &mut (), (): &mut (), x: Var<f64>| {
            let (leaf, rng) = (Var::leaf(Tensor::zeros([2])), Arc::clone(&rng));
            let y = (&leaf + x).map_gradient(move |g| g + Tensor::randn([2], &mut *locked(&rng)));
            gradus::grad(&y.square().sum(..), &[&leaf]).remove(0)
        }
    };
    let (plain, mut compiled) =
        (step(Arc::new(Mutex::new(seeded(0)))), Compiled::new(step(Arc::new(Mutex::new(seeded(0))))));
    for _ in 0..5 {
        let x = Var::from([1.0, 2.0]);
        let expected = plain(&mut (), &mut (), x.clone());
        assert_eq!(compiled.call(&mut (), &mut (), x).value(), expected.value());
    }
}

/// A change of a captured tensor between two calls.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    Replace(i8),
    InPlace(i8),
    /// Another tensor with the same numbers.
    Renew,
    /// Somebody else holds it for a while.
    Hold,
    LetGo,
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => Just(Change::Nothing),
        1 => any::<i8>().prop_map(Change::Replace),
        1 => any::<i8>().prop_map(Change::InPlace),
        1 => Just(Change::Renew),
        1 => Just(Change::Hold),
        1 => Just(Change::LetGo),
    ]
}

type Way = fn(&Var<f64>, &Var<f64>) -> Var<f64>;

/// Ways in which a function reads a captured variable.
const WAYS: [Way; 7] = [
    |x, captured| x * captured,
    |x, captured| captured.clone() + x,
    // Through operations on constants alone.
    |x, captured| (captured * 2.0).exp() + x,
    |x, captured| x * captured.t().sum(..),
    |x, captured| x * (captured.clone() + 1.0) * 2.0,
    |x, captured| Var::where_(captured.gt(0.0), x, 1.0),
    // Next to a constant with the same numbers.
    |x, captured| x * Tensor::full([2, 2], 1.0) + captured,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever others do to a captured variable: each call gives the number of now, or panics and begins anew; and without a
    /// change it does not panic.
    #[test]
    fn a_captured_variable_is_never_stale(
        way in 0..WAYS.len(), is_leaf: bool, rounds in prop::collection::vec((changes(), 0..3_usize), 1..16),
    ) {
        // A plan for each shape.
        const SHAPES: [[usize; 2]; 3] = [[2, 2], [1, 2], [2, 1]];
        let make = |x: f64| {
            let value = Tensor::full([2, 2], x);
            if is_leaf { Var::leaf(value) } else { Var::from(value) }
        };
        let shared = Arc::new(Mutex::new(make(1.0)));
        let captured = Arc::clone(&shared);
        let mut step = Compiled::new(move |(): &mut (), (): &mut (), x: Var<f64>| WAYS[way](&x, &locked(&captured)));
        let (mut held, mut all_recorded) = (Vec::new(), [const { None }; 3]);
        for (change, shape) in rounds {
            let (recorded, shape) = (&mut all_recorded[shape], SHAPES[shape]);
            match change {
                Change::Nothing => (),
                Change::Replace(x) => *locked(&shared) = make(f64::from(x)),
                Change::InPlace(x) => locked(&shared).update(|value| *value += f64::from(x)),
                Change::Renew => {
                    let x = locked(&shared).value().iter().next().unwrap();
                    *locked(&shared) = make(x);
                }
                Change::Hold => {
                    held.push(locked(&shared).clone());
                    // A call that sees it.
                    prop_assume!(recorded.is_none() || *recorded == Some(locked(&shared).value().clone()));
                    let _ = step.call(&mut (), &mut (), Var::from(Tensor::ones(shape)));
                    recorded.get_or_insert_with(|| locked(&shared).value().clone());
                }
                Change::LetGo => drop(held.pop()),
            }
            for scale in [1.0, 2.0] {
                let x = Var::from(Tensor::full(shape, scale));
                let now = locked(&shared).clone();
                let expected = WAYS[way](&x, &now);
                let numbers = now.value().clone();
                drop(now);
                let mut result = None;
                let panic = caught(|| result = Some(step.call(&mut (), &mut (), x)));
                match (panic, result) {
                    (None, Some(result)) => prop_assert_eq!(result.value(), expected.value()),
                    (Some((message, file, _)), _) => {
                        // The first two calls are compared, too.
                        let is_known = message.contains("a tensor of shape [2, 2] that the compiled function captured")
                            || message.contains("the second call of a compiled function");
                        prop_assert!(is_known, "{}", message);
                        prop_assert!(message.contains("must be an input, a member of the model"), "{}", message);
                        prop_assert_eq!(file, file!());
                        prop_assert!(recorded.take().is_some_and(|before| before != numbers), "nothing has changed");
                    }
                    (None, None) => unreachable!("it returns or panics"),
                }
                recorded.get_or_insert(numbers);
            }
        }
    }
}

/// A variable outside whose clone the function has, an input that is captured, too, and a result that is a constant: nobody
/// changes anything, and nothing is recorded again.
#[test]
fn holders_that_come_and_go_do_no_harm() {
    let calls = Arc::new(Mutex::new(0));
    let (table, index) = (Var::from(Tensor::<f64>::randn([4, 4], &mut seeded(0))), Tensor::from([1_i64, 3]));
    let (captured, captured_index, count) = (table.clone(), Indices::from(index.clone()), Arc::clone(&calls));
    let mut step = Compiled::new(move |(): &mut (), (): &mut (), x: Var<f64>| {
        *locked(&count) += 1;
        (x.matmul(&captured).index_select(0, captured_index.clone()), captured.clone())
    });
    let mut last = None;
    for _ in 0..6 {
        let (y, same) = step.call(&mut (), &mut (), table.clone());
        assert_eq!(y.value(), &table.value().matmul(table.value()).index_select(0, &index));
        last = Some((y, same));
    }
    assert_eq!(*locked(&calls), 2);
    // The variable outside may go: one more recording finds that all is as it was.
    let x = Var::from(table.value() * 1.0);
    drop((last, table));
    for _ in 0..3 {
        let _ = step.call(&mut (), &mut (), x.clone());
    }
    assert!(*locked(&calls) <= 4, "{} recordings", locked(&calls));
}

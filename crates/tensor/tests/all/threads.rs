//! Work shared among threads: the same bits for any number of them, and whatever else goes on in the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::thread;

use crate::common::*;
use crate::reproducible::laid_out;
use gradus_tensor::{Float, Tensor, seeded, set_num_threads};
use proptest::prelude::*;

/// Numbers to cut operands from, so that not every sample waits for its own.
static NUMBERS: LazyLock<Tensor<f64>> = LazyLock::new(|| Tensor::randn([1 << 21], &mut seeded(0)));

/// A stack of matrices, from place `start` of [`NUMBERS`] on; `turned` ones have their columns together.
fn matrices<T: Float>([count, rows, columns]: [usize; 3], turned: bool, start: usize) -> Tensor<T> {
    let len = count * rows * columns;
    let numbers = NUMBERS.slice(0, start as isize..(start + len) as isize).cast::<T>();
    if turned { numbers.reshape([count, columns, rows]).t() } else { numbers.reshape([count, rows, columns]) }
}

/// Sizes on both sides of where blocks and tiles of the kernels end, and any others.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        2 => prop::sample::select(vec![1, 2, 3, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49]),
        3 => prop::sample::select(vec![63, 64, 65, 95, 96, 97, 126, 127, 128, 129, 130, 192, 193, 256, 257]),
        3 => 1..=300_usize,
    ]
}

/// The inner size: few or many terms, around blocks of 512.
fn inner_size() -> impl Strategy<Value = usize> {
    prop_oneof![
        1 => 1..=64_usize,
        2 => prop::sample::select(vec![511, 512, 513, 514, 1023, 1024, 1025, 1100, 1500]),
        2 => 64..=1500_usize,
    ]
}

/// Products of every kind of these sizes, as bits.
fn products<T: Value + Float>(x: &Tensor<T>, y: &Tensor<T>) -> [Vec<u64>; 4] {
    let bias = NUMBERS.slice(0, ..y.shape()[2] as isize).cast::<T>();
    let (x0, y0) = (x.select(0, 0), y.select(0, 0));
    [
        bits(&x.matmul(y)),
        bits(&x0.matmul(&y0)),
        bits(&x0.linear(&y0.t(), Some(&bias))),
        bits(&x0.linear(&y0.t().contiguous(), None)),
    ]
}

/// Compares the products of sizes `m x k x n` for several numbers of threads.
fn same_for_any_threads<T: Value + Float>(
    [count, m, k, n]: [usize; 4],
    turned: [bool; 2],
    start: usize,
) -> Result<(), String> {
    let x = matrices::<T>([count, m, k], turned[0], start);
    let y = matrices::<T>([count, k, n], turned[1], start / 2);
    same_bits(|| products(&x, &y)).map_err(|(kind, threads)| {
        let name = ["batch", "matmul", "linear with bias", "linear"][kind];
        format!("{name}: {count} x {m} x {k} x {n}, turned {turned:?}, {threads} threads")
    })
}

/// Which of several results depends on the number of threads, and the first number that changes it.
fn same_bits<const N: usize>(results: impl Fn() -> [Vec<u64>; N]) -> Result<(), (usize, usize)> {
    set_num_threads(1);
    let expected = results();
    for threads in [2, 3, 5, 8] {
        set_num_threads(threads);
        let got = results();
        if let Some(kind) = (0..N).find(|&kind| got[kind] != expected[kind]) {
            return Err((kind, threads));
        }
    }
    Ok(())
}

/// Where the elements of a matrix lie: in the order of columns, with gaps, backwards, or all rows or all columns in
/// one place.
#[derive(Debug, Clone)]
struct Lie {
    turned: bool,
    stepped: [bool; 2],
    flipped: [bool; 2],
    expanded: Option<usize>,
}

impl Lie {
    fn any() -> impl Strategy<Value = Self> {
        let flags = || prop::array::uniform2(prop::bool::weighted(0.3));
        let expanded = prop_oneof![4 => Just(None), 1 => (0..2_usize).prop_map(Some)];
        (any::<bool>(), flags(), flags(), expanded).prop_map(|(turned, stepped, flipped, expanded)| Self {
            turned,
            stepped,
            flipped,
            expanded,
        })
    }

    fn of<T: Float>(&self, x: &Tensor<T>) -> Tensor<T> {
        let order: &[usize] = if self.turned { &[1, 0] } else { &[0, 1] };
        let lying = |x: &Tensor<T>| laid_out(x, order, &self.stepped, &self.flipped);
        let Some(axis) = self.expanded else { return lying(x) };
        lying(&x.slice(axis as isize, ..1)).expand(x.shape())
    }
}

/// Sizes of a product that is shared: a few rows, terms or columns, and just enough of the others.
fn shared_sizes() -> impl Strategy<Value = [usize; 3]> {
    let few = || prop_oneof![4 => 1..=4_usize, 2 => 5..=40_usize, 1 => 41..=700_usize];
    (few(), few(), 0..600_usize, 0..3_usize).prop_map(|(a, b, more, place)| {
        let mut sizes = vec![a, b];
        sizes.insert(place, (1 << 20) / (a * b) + 1 + more);
        sizes.try_into().expect("three sizes")
    })
}

/// Compares the products of operands that lie in memory in these ways, for several numbers of threads.
fn same_however_they_lie<T: Value + Float>([m, k, n]: [usize; 3], lies: &[Lie; 2]) -> Result<(), String> {
    let x = lies[0].of(&matrices::<T>([1, m, k], false, 0).select(0, 0));
    let y = lies[1].of(&matrices::<T>([1, k, n], false, 7).select(0, 0));
    let bias = NUMBERS.slice(0, ..n as isize).cast::<T>();
    same_bits(|| [bits(&x.matmul(&y)), bits(&x.linear(&y.t(), Some(&bias))), bits(&y.t().matmul(&x.t()))])
        .map_err(|(kind, threads)| format!("product {kind} on {threads} threads"))
}

proptest! {
    // Each case takes a dozen products of a million multiplications.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    /// However its operands lie in memory, a product has the same bits for any number of threads.
    #[test]
    fn products_of_any_layout_for_any_threads(sizes in shared_sizes(), lies in [Lie::any(), Lie::any()]) {
        let _settings = settings();
        same_however_they_lie::<f32>(sizes, &lies).map_err(TestCaseError::fail)?;
        same_however_they_lie::<f64>(sizes, &lies).map_err(TestCaseError::fail)?;
    }
}

/// A single row, a part of this product on two threads, lies beside a column that is read backwards: what is a dot
/// product for the kernels is a multiple of one column after another for them.
#[test]
fn a_row_beside_a_reversed_column() {
    fn check<T: Value + Float>() {
        let x = matrices::<T>([1, 2, 600_000], false, 0).select(0, 0);
        let y = NUMBERS.slice(0, ..600_000_isize).cast::<T>().unsqueeze(1).flip(0).contiguous().flip(0);
        let outcome = same_bits(|| [bits(&x.matmul(&y)), bits(&x.linear(&y.t(), None))]);
        assert_eq!(outcome, Ok(()));
    }
    let _settings = settings();
    check::<f32>();
    check::<f64>();
}

law! {
    /// How a product is cut for threads changes no bit of it.
    [f32 f64]
    fn products_for_any_threads(
        (m, k, n) in (size(), inner_size(), size()),
        count in 1..=3_usize,
        turned in any::<[bool; 2]>(),
        start in 0..1000_usize,
    ) {
        let _settings = settings();
        let count = if m * k * n > 10_000_000 { 1 } else { count };
        same_for_any_threads::<T>([count, m, k, n], turned, start).map_err(TestCaseError::fail)?;
    }
}

/// Sizes of which the kernels sum up the whole in another way than a part of it: a single row is left over; all
/// of a part is within one block; a part is small enough for one dot product after another.
#[test]
fn parts_that_kernels_would_treat_otherwise() {
    let _settings = settings();
    let mut failures = Vec::new();
    for [m, k, n] in [
        [65, 600, 65],
        [129, 400, 40],
        [300, 1500, 50],
        [130, 1500, 64],
        [20, 1500, 18],
        [17, 2000, 17],
        [40, 1500, 12],
        [2, 4000, 100],
        [3, 1500, 300],
        [1, 1500, 700],
        [4, 1200, 128],
    ] {
        for turned in [[false, false], [false, true], [true, false], [true, true]] {
            for sizes in [[1, m, k, n], [1, n, k, m]] {
                failures.extend(same_for_any_threads::<f32>(sizes, turned, 0).err());
                failures.extend(same_for_any_threads::<f64>(sizes, turned, 0).err());
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Elements enough to be shared.
fn large() -> Tensor<f32> {
    NUMBERS.slice(0, ..200_000).cast()
}

/// While threads work on one operation, its closure starts others.
#[test]
fn operations_within_operations() {
    let _settings = settings();
    let x = large();
    let inner = |start: f32| (&x + start).map(|x| x * 2.0).sum(..).item();
    let outer = || {
        Tensor::<i64>::arange(0, 100_000, 1).map(|i| if i % 10_000 == 7 { inner(i as f32) } else { i as f32 })
    };
    set_num_threads(1);
    let expected = outer();
    assert_eq!(expected[[10_007]], inner(10_007.0));
    for threads in [2, 3] {
        set_num_threads(threads);
        assert_eq!(outer(), expected);
    }
}

/// Several threads of the user want the workers at once.
#[test]
fn users_on_several_threads() {
    let _settings = settings();
    let (x, y) = (large(), matrices::<f32>([1, 130, 140], false, 0).select(0, 0));
    let work = |i: usize| {
        let shift = i as f32;
        let z = x.map(move |x| x * x + shift);
        (bits(&z), bits(&z.sum(..)), bits(&(&y + shift).matmul(&y.t())))
    };
    set_num_threads(1);
    let expected: Vec<_> = (0..4).map(work).collect();
    set_num_threads(3);
    thread::scope(|scope| {
        for (i, expected) in expected.iter().enumerate() {
            scope.spawn(move || (0..50).for_each(|_| assert!(work(i) == *expected, "user {i}")));
        }
    });
}

/// The message of a panic that the action must end with.
fn message_of<R>(action: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(action)).err().expect("a panic");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).into())
}

/// Whichever thread a closure panics on, the caller gets it, and the threads work on.
#[test]
fn panics_reach_the_caller() {
    let _settings = settings();
    set_num_threads(3);
    let numbers = Tensor::<i64>::arange(0, 200_000, 1);
    for bad in [0, 1, 70_000, 140_000, 199_999] {
        let checked = || numbers.map(|i| if i == bad { panic!("no {i}, please") } else { i + 1 });
        assert_eq!(message_of(checked), format!("no {bad}, please"));
        assert_eq!(numbers.map(|i| i + 1), &numbers + 1);
    }
    // On all threads at once: one of the panics goes through, and none stays behind for the next operation.
    for _ in 0..20 {
        assert_eq!(message_of(|| numbers.map(|_| -> i64 { panic!("none") })), "none");
        assert_eq!(numbers.map(|i| i + 1), &numbers + 1);
    }
}

//! The memory of a step, by operation.

use gradus::prelude::*;
use gradus::{MemoryGroup, track_memory};
use proptest::prelude::*;

/// Name, direction, number and bytes each of tensors.
fn rows(groups: &[MemoryGroup]) -> Vec<(&'static str, bool, usize, usize)> {
    let row = |group: &MemoryGroup| {
        let (name, backward) =
            group.origin.as_ref().map_or(("other", false), |origin| (origin.operation, origin.backward));
        (name, backward, group.count, group.each)
    };
    let mut rows: Vec<_> = groups.iter().map(row).collect();
    rows.sort_unstable();
    rows
}

/// The lines of tensors, of this file.
fn lines(groups: &[MemoryGroup]) -> Vec<u32> {
    let line = |group: &MemoryGroup| group.origin.as_ref()?.line.filter(|line| line.file() == file!());
    let mut lines: Vec<u32> = groups.iter().filter_map(line).map(std::panic::Location::line).collect();
    lines.sort_unstable();
    lines
}

proptest! {
    /// The peak is what arithmetic says: with a tape all results of a chain, without it two.
    #[test]
    fn the_peak_of_a_chain(length in 1_usize..20, size in 1_usize..2000) {
        let x = Var::leaf(Tensor::<f64>::ones([size]));
        let chain = || (0..length).fold(x.clone(), |x, _| x.tanh());
        let (y, report) = track_memory(chain);
        prop_assert_eq!(report.peak - report.before, 8 * size * length);
        prop_assert_eq!(rows(&report.live), [("tanh", false, length, 8 * size)]);
        drop(y);
        let (y, report) = track_memory(|| no_grad(chain));
        prop_assert_eq!(report.peak - report.before, 8 * size * length.min(2));
        prop_assert_eq!(rows(&report.live), [("tanh", false, 1, 8 * size)]);
        prop_assert_eq!(rows(&report.at_peak), [("tanh", false, length.min(2), 8 * size)]);
        drop(y);
    }
}

#[test]
fn a_tape_that_is_kept_is_alive_with_its_operations() {
    let x = Var::leaf(Tensor::<f64>::ones([100]));
    let mut kept = Vec::new();
    let first = line!() + 3;
    let ((), report) = track_memory(|| {
        for _ in 0..3 {
            let loss = x.exp();
            let loss = loss.sin() * 2.0;
            kept.push(loss.sum(..));
        }
    });
    assert_eq!(
        rows(&report.live),
        [("exp", false, 3, 800), ("other", false, 3, 8), ("sum", false, 3, 8)],
        "2 is a constant"
    );
    assert_eq!(lines(&report.live), [first, first + 2]);
    let ((), report) = track_memory(|| kept.clear());
    assert_eq!((report.made, report.live_bytes()), (0, 0));
    let ((), report) = track_memory(|| {
        let (scale, shift) = (x.exp(), x.sin());
        let gradients = (scale * shift).sum(..).backward();
        assert!(gradients.get(&x).is_some());
    });
    assert_eq!(report.live_bytes(), 0, "nothing is left of a step");
}

#[test]
fn gradients_count_for_the_operation_whose_rule_made_them() {
    let x = Var::leaf(Tensor::<f64>::ones([100]));
    let line = line!() + 1;
    let loss = || x.sin().sum(..);
    let (gradients, report) = track_memory(|| loss().backward());
    assert_eq!(rows(&report.live)[0], ("sin", true, 1, 800));
    assert_eq!(lines(&report.live)[0], line, "the line that called the operation");
    assert!(report.to_string().contains("gradient of sin, "), "{report}");
    drop(gradients);
}

#[test]
fn the_state_of_an_optimizer_stays_after_the_first_step_alone() {
    let rng = &mut seeded(0);
    let mut model = Linear::<f32>::new(10, 20, rng);
    let (x, y) = (Tensor::randn([5, 10], rng), Tensor::randn([5, 20], rng));
    let mut adam = Adam::new(0.01);
    let mut step = || {
        let gradients = model.forward(&x).mse_loss(&y).backward();
        adam.step(&mut model, &gradients);
    };
    let ((), first) = track_memory(&mut step);
    let state: Vec<(usize, usize)> = rows(&first.live).iter().map(|row| (row.2, row.3)).collect();
    assert_eq!(state, [(2, 80), (2, 800)], "two moments for the bias and for the weight: {first}");
    assert!(first.to_string().contains("AdamRule, "), "{first}");
    let ((), second) = track_memory(&mut step);
    assert_eq!(second.live_bytes(), 0, "{second}");
    assert!(second.before >= first.before + 1760, "the state was made before");
}

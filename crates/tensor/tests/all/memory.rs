//! The memory of tensors, as `track_memory` counts it.

use std::thread;

use gradus_tensor::{MemoryReport, Tensor, track_memory};
use proptest::prelude::*;

use crate::caught::panic_of;

/// The bytes of a tensor, and the number of such tensors.
type Sizes = Vec<(usize, usize)>;

/// The tensors at the peak, and those still alive.
fn sizes(report: &MemoryReport) -> (Sizes, Sizes) {
    let sizes = |groups: &[gradus_tensor::MemoryGroup]| {
        let mut sizes: Vec<_> = groups.iter().map(|group| (group.each, group.count)).collect();
        sizes.sort_unstable();
        sizes
    };
    (sizes(&report.at_peak), sizes(&report.live))
}

#[test]
fn a_chain_needs_two_results_at_once_or_all() {
    let x = Tensor::<f64>::ones([1000]);
    let (y, report) = track_memory(|| (0..10).fold(x.clone(), |x, _| x.exp()));
    assert_eq!((report.peak - report.before, report.live_bytes()), (16_000, 8000));
    assert_eq!((report.made, report.made_bytes), (10, 80_000));
    assert!(report.before >= 8000, "x was there before");
    let (kept, report) = track_memory(|| {
        let mut kept = vec![x.clone()];
        (0..10).for_each(|_| kept.push(kept.last().unwrap() + 1.0));
        kept
    });
    assert_eq!((report.peak - report.before, report.live_bytes()), (80_000, 80_000));
    assert_eq!(sizes(&report), (vec![(8000, 10)], vec![(8000, 10)]));
    drop((y, kept));
}

proptest! {
    /// Tensors come and go in any order: the peak, the tensors at the peak and those left are what a list says.
    #[test]
    fn a_report_says_what_a_list_says(steps in prop::collection::vec((any::<bool>(), 1_usize..2000), 1..60)) {
        let (mut sizes_now, mut peak, mut made) = (Vec::new(), Vec::new(), 0);
        let (left, report) = track_memory(|| {
            let mut tensors: Vec<Tensor<f32>> = Vec::new();
            for &(makes, size) in &steps {
                if makes || tensors.is_empty() {
                    tensors.push(Tensor::full([size], 1.0));
                    sizes_now.push(size);
                    made += 1;
                } else {
                    drop(tensors.swap_remove(size % tensors.len()));
                    sizes_now.swap_remove(size % sizes_now.len());
                }
                if sizes_now.iter().sum::<usize>() > peak.iter().sum() {
                    peak.clone_from(&sizes_now);
                }
            }
            tensors
        });
        prop_assert_eq!(report.peak - report.before, 4 * peak.iter().sum::<usize>());
        prop_assert_eq!(report.made, made);
        let counted = |sizes: &[usize]| {
            let mut counts: Vec<(usize, usize)> = Vec::new();
            let mut sizes = sizes.to_vec();
            sizes.sort_unstable();
            for chunk in sizes.chunk_by(|a, b| a == b) {
                counts.push((4 * chunk[0], chunk.len()));
            }
            counts
        };
        prop_assert_eq!(sizes(&report), (counted(&peak), counted(&sizes_now)));
        drop(left);
    }
}

#[test]
fn other_threads_do_not_disturb() {
    let ((), report) = track_memory(|| {
        let here = Tensor::<f64>::ones([100]);
        let there = thread::scope(|scope| {
            let there = scope.spawn(|| {
                let all: Vec<_> = (0..50).map(|_| Tensor::<f64>::ones([10_000])).collect();
                let ((), report) = track_memory(|| drop(Tensor::<f64>::ones([7])));
                assert_eq!((report.made, report.peak - report.before), (1, 56), "each thread counts its own");
                all
            });
            // A tensor of this thread ends on another one.
            let moved = Tensor::<f64>::ones([200]);
            scope.spawn(move || drop(moved));
            there.join().unwrap()
        });
        drop((here, there));
    });
    assert_eq!((report.made, report.peak - report.before), (2, 2400));
    assert_eq!(report.live_bytes(), 0, "the tensor that ended on another thread is not alive");
}

#[test]
fn calls_nest_and_end_with_a_panic() {
    let (((kept, inner), dropped), outer) = track_memory(|| {
        let dropped = Tensor::<f32>::ones([1]);
        let inner = track_memory(|| {
            drop(Tensor::<f32>::ones([20]));
            Tensor::<f32>::ones([10])
        });
        (inner, drop(dropped))
    });
    assert_eq!((inner.made, inner.peak - inner.before, inner.live_bytes()), (2, 80, 40));
    assert_eq!((outer.made, outer.peak - outer.before, outer.live_bytes()), (3, 84, 40));
    drop((kept, dropped));
    let ((message, ..), report) = track_memory(|| panic_of(|| track_memory(|| panic!("in the middle"))));
    assert_eq!((&message[..], report.made), ("in the middle", 0));
    let (x, report) = track_memory(|| Tensor::<f32>::ones([3]));
    assert_eq!((report.made, report.live_bytes()), (1, 12));
    drop(x);
}

#[test]
fn a_tensor_made_before_may_end_meanwhile() {
    let old = Tensor::<f32>::ones([100_000]);
    let ((), report) = track_memory(|| {
        drop(old);
        drop(Tensor::<f32>::ones([10]));
    });
    let ((), again) = track_memory(|| ());
    assert!(report.before >= 400_000 && again.before + 400_000 <= report.before);
    assert_eq!(report.peak, report.before, "it never was more than at the beginning");
}

#[test]
fn a_report_is_a_table() {
    let (x, report) = track_memory(|| {
        let x = [Tensor::<f32>::ones([500]), Tensor::<f32>::ones([500])];
        drop(Tensor::<f32>::ones([1_000_000]));
        x
    });
    let text = report.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("peak: 4.0 MB = ") && lines[0].ends_with("before + 4.0 MB made meanwhile"));
    let rest = [
        "     4.0 MB =     1 x 4.0 MB    other",
        "     4.0 kB =     2 x 2.0 kB    other",
        "still alive: 4.0 kB",
        "     4.0 kB =     2 x 2.0 kB    other",
        "all made meanwhile: 4.0 MB in 3 tensors",
    ];
    assert_eq!(lines[1..], rest);
    drop(x);
}

//! What came out, counted by name and printed.

use std::io::{Write, stdout};

/// What became of one case.
pub(crate) enum Outcome {
    Passed,
    /// What was found wrong, one line each.
    Failed(Vec<String>),
    /// There is no such operation or model.
    Unsupported,
}

/// Counts of cases.
#[derive(Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) unsupported: usize,
}

/// Collects outcomes, and prints a line for each name with what failed beneath it.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) total: Counts,
    pub(crate) conventions_followed: usize,
    pub(crate) conventions_differing: usize,
    name: String,
    counts: Counts,
    conventions: [usize; 2],
    failures: Vec<String>,
}

impl Report {
    /// Begins the next operation or model; what came before is printed.
    pub(crate) fn begin(&mut self, name: &str) {
        self.flush();
        self.name = name.into();
    }

    /// Counts a case of the current name.
    pub(crate) fn add(&mut self, case: &str, outcome: Outcome) {
        for counts in [&mut self.counts, &mut self.total] {
            match &outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed(_) => counts.failed += 1,
                Outcome::Unsupported => counts.unsupported += 1,
            }
        }
        match outcome {
            Outcome::Failed(faults) => {
                self.failures.extend(faults.iter().map(|fault| format!("    {case}: {fault}")));
            }
            Outcome::Unsupported => self.failures.push(format!("    {case}: not supported")),
            Outcome::Passed => {}
        }
    }

    /// Counts a case whose answer is a choice; `departure` says why ours is another, where that is on purpose.
    pub(crate) fn add_convention(&mut self, case: &str, outcome: Outcome, departure: Option<&str>) {
        self.conventions[1] += 1;
        match (outcome, departure) {
            (Outcome::Passed, None) => {
                self.conventions[0] += 1;
                self.conventions_followed += 1;
            }
            (Outcome::Passed, Some(_)) => {
                let stale = "follows the reference: it stands in KNOWN_DEPARTURES for nothing".into();
                self.conventions_followed += 1;
                self.add(case, Outcome::Failed(vec![stale]));
            }
            (Outcome::Failed(_), Some(reason)) => {
                self.conventions_differing += 1;
                self.failures.push(format!("    {case}: differs on purpose: {reason}"));
            }
            (outcome, _) => {
                self.conventions_differing += usize::from(matches!(outcome, Outcome::Failed(_)));
                self.add(&format!("{case} (convention)"), outcome);
            }
        }
    }

    fn flush(&mut self) {
        let Counts { passed, failed, unsupported } = std::mem::take(&mut self.counts);
        let [followed, conventions] = std::mem::take(&mut self.conventions);
        let failures = std::mem::take(&mut self.failures);
        if passed + failed + unsupported + conventions == 0 {
            return;
        }
        let mut out = stdout().lock();
        let _ = write!(out, "{}: {passed} passed, {failed} failed, {unsupported} unsupported", self.name);
        if conventions > 0 {
            let _ = write!(out, ", {followed} of {conventions} conventions");
        }
        let _ = writeln!(out);
        for failure in failures {
            let _ = writeln!(out, "{failure}");
        }
    }

    /// Prints what remains and the sums; whether nothing is wrong.
    pub(crate) fn finish(mut self) -> bool {
        self.flush();
        let Counts { passed, failed, unsupported } = self.total;
        println!(
            "conventions: {} followed, {} differ",
            self.conventions_followed, self.conventions_differing
        );
        println!("conformance: {passed} passed, {failed} failed, {unsupported} unsupported");
        passed > 0 && failed + unsupported == 0
    }
}

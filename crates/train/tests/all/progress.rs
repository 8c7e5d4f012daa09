//! Progress, in lines.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gradus_nn::Module;
use gradus_train::{End, Fit, Interrupt, Progress};

use crate::runs::{batches, loss, start};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(Into::into).collect()
    }
}

#[test]
fn lines_say_how_far_it_is() {
    let written = Written::default();
    let progress = Progress::lines(written.clone()).every(Duration::ZERO).label("epoch 1/2");
    let seen: Vec<i32> =
        progress.over([1, 2, 3]).inspect(|_| progress.report(4, &[("loss", 0.25), ("x", 1e-9)])).collect();
    assert_eq!(seen, [1, 2, 3]);
    let lines = written.lines();
    assert_eq!(lines.len(), 3);
    for (done, line) in (1..).zip(&lines) {
        assert!(line.starts_with(&format!("epoch 1/2  {done}/3  loss 0.2500  x 1.000e-9  ")), "{line}");
        assert!(line.contains(" samples/s"), "{line}");
        assert_eq!(line.ends_with(" left"), done < 3, "{line}");
    }
}

#[test]
fn there_is_a_line_at_the_end_and_none_in_between() {
    let written = Written::default();
    let progress = Progress::lines(written.clone());
    assert_eq!(progress.over((0..100).filter(|i| i % 2 == 0)).count(), 50);
    assert_eq!(written.lines(), ["50"]);
    assert_eq!(progress.over(0..0).len(), 0);
}

#[test]
fn a_counter_shows_what_others_count() {
    let written = Written::default();
    let tell = Progress::lines(written.clone()).every(Duration::ZERO).label("map").counter();
    for _run in 0..2 {
        for done in [10, 25] {
            tell(done, 25);
        }
    }
    let lines = written.lines();
    assert_eq!(lines.len(), 4);
    for run in [0, 2] {
        assert!(lines[run].starts_with("map  10/25  ") && lines[run].ends_with(" left"), "{lines:?}");
        assert_eq!(lines[run + 1], "map  25/25");
    }
}

#[test]
fn the_loop_writes_the_row_of_an_epoch_behind_its_label_and_nothing_unless_asked() {
    let written = Written::default();
    let (mut model, mut adam, x, y) = start();
    let fit = Fit::new(2).progress(Progress::lines(written.clone()).label("fold 1"));
    let fitted = fit.run(&mut model, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows)).unwrap();
    let row = |epoch: usize, loss: f64| format!("fold 1  epoch {epoch}/2  loss {loss:.4}  lr 0.0200");
    let losses = fitted.values("loss");
    assert_eq!(written.lines(), [row(1, losses[0]), row(2, losses[1])]);
}

/// A request that was made before ends a run before its first step.
#[test]
fn an_old_request_ends_a_run_at_once() {
    let (mut model, mut adam, x, y) = start();
    let (before, interrupt) = (model.state(), Interrupt::new());
    interrupt.request();
    let fit = Fit::new(2).interrupt(&interrupt);
    let fitted = fit.run(&mut model, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows)).unwrap();
    assert_eq!((fitted.end, fitted.rows.len()), (End::Interrupted, 0));
    assert_eq!(model.state(), before);
}

//! Ctrl-C in the middle of training: a child process is sent the signal.
#![cfg(all(unix, feature = "interrupt"))]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use gradus_nn::{Module, State};
use gradus_train::{End, Fit, Interrupt};

use crate::Folder;
use crate::runs::{batches, bits, loss, model_bits, start};

const FOLDER: &str = "GRADUS_TRAIN_CHILD_FOLDER";
const MODE: &str = "GRADUS_TRAIN_CHILD_MODE";

/// The work of the child process; in other processes it does nothing.
#[test]
fn child() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let interrupt = Interrupt::listen().unwrap();
    if env::var_os(MODE).is_some_and(|mode| mode == "stubborn") {
        fs::write(folder.join("ready"), "").unwrap();
        while !interrupt.requested() {
            thread::sleep(Duration::from_millis(1));
        }
        fs::write(folder.join("requested"), "").unwrap();
        thread::sleep(Duration::from_secs(60));
        return;
    }
    let (mut model, mut adam, x, y) = start();
    let mut steps = 0;
    let fit = Fit::new(3).checkpoint(folder.join("run.safetensors")).interrupt(&interrupt);
    let fitted = fit.run(&mut model, &mut adam, batches, |model, rows| {
        steps += 1;
        if env::var_os(MODE).is_some() && steps == 9 {
            fs::write(folder.join("ready"), "").unwrap();
            while !interrupt.requested() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        loss(model, &x, &y, &rows)
    });
    let end = format!("{:?}", fitted.unwrap().end);
    fs::write(folder.join("end"), end).unwrap();
    model.state().write(folder.join("model.safetensors")).unwrap();
}

fn spawn(folder: &Path, mode: Option<&str>) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "interrupt::child"]).env(FOLDER, folder).stdout(Stdio::null());
    mode.map(|mode| command.env(MODE, mode));
    command.spawn().unwrap()
}

/// Waits for a file that the child writes.
fn wait_for(file: &Path) {
    let start = Instant::now();
    while !file.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} does not come", file.display());
        thread::sleep(Duration::from_millis(1));
    }
}

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn an_interrupted_process_saves_ends_well_and_goes_on_to_the_same_bits() {
    let folder = Folder::new("signal");
    let mut child = spawn(&folder.file(""), Some("waiting"));
    wait_for(&folder.file("ready"));
    interrupt(&child);
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(folder.file("end")).unwrap(), format!("{:?}", End::Interrupted));
    let checkpoint = State::read(folder.file("run.safetensors")).unwrap();
    let count = |name: &str| checkpoint.value::<i64>(name).unwrap();
    assert_eq!((count("epoch"), count("batch"), count("step")), (1, 2, 9));

    assert!(spawn(&folder.file(""), None).wait().unwrap().success());
    let (mut model, mut adam, x, y) = start();
    Fit::new(3).run(&mut model, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows)).unwrap();
    let resumed = State::read(folder.file("model.safetensors")).unwrap();
    assert_eq!(bits(&resumed), model_bits(&model).0);
}

#[test]
fn the_second_signal_ends_the_process_as_usual() {
    let folder = Folder::new("second");
    let mut child = spawn(&folder.file(""), Some("stubborn"));
    wait_for(&folder.file("ready"));
    interrupt(&child);
    wait_for(&folder.file("requested"));
    assert!(child.try_wait().unwrap().is_none());
    interrupt(&child);
    let status: ExitStatus = child.wait().unwrap();
    assert_eq!(status.signal(), Some(2), "{status}");
}

#[test]
fn all_listeners_share_one_request() {
    let first = Interrupt::listen().unwrap();
    assert!(!first.requested() && !Interrupt::listen().unwrap().requested());
    assert!(!Interrupt::new().requested());
}

//! Files that are replaced: the old one or the new one is there, whole, also after a process was killed, a disk was full,
//! or a folder was closed to us.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use gradus::{Rng, State, StateError, Tensor, seeded};

use super::saving::Folder;

/// The file that [`child_that_writes`] writes until it is killed, and the one that [`child_that_is_refused`] tries.
const WRITE: &str = "GRADUS_TEST_WRITE";
const REFUSED: &str = "GRADUS_TEST_REFUSED";

/// A file of 400 KB, in which every number is the same.
fn state(number: i64) -> State {
    let mut state = State::new();
    state.insert("numbers", Tensor::full([50, 1000], number));
    state
}

/// The number in a file, which must be whole.
#[track_caller]
fn number(path: &Path) -> i64 {
    let read = State::read(path).unwrap();
    let number = read.tensor::<i64>("numbers").expect("numbers").iter().next().unwrap();
    assert_eq!(read, state(number));
    number
}

/// This binary, running one test.
fn child(test: &str) -> Command {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(arguments(test));
    child
}

fn arguments(test: &str) -> [String; 3] {
    [format!("nn::durability::{test}"), "--exact".into(), "--nocapture".into()]
}

/// The names in a folder, but for one.
fn others(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|entry| entry != path).collect()
}

/// Says why a test is left out; `eprintln!` would show it only for a test that fails.
fn skip(reason: &str) {
    let _ = writeln!(stderr(), "durability: left out: {reason}");
}

/// Not a test, but the work of the child process of one.
#[test]
fn child_that_writes() {
    let Some(path) = env::var_os(WRITE) else { return };
    let start = Instant::now();
    for number in (0..2).cycle() {
        println!("writes");
        state(number).write(&path).unwrap();
        assert!(start.elapsed() < Duration::from_secs(20), "nobody has killed this process");
    }
}

#[test]
fn a_killed_process_leaves_the_old_file_or_the_new_one() {
    let folder = Folder::new("killed");
    let path = folder.0.join("weights.safetensors");
    state(0).write(&path).unwrap();
    let rng = &mut seeded(0);
    let mut seen = [0; 2];
    for _ in 0..200 {
        let mut child = child("child_that_writes").env(WRITE, &path).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Some writes are waited for, and the last one is cut short somewhere, however slow the machine is.
        for _ in 0..=rng.next_u64() % 4 {
            assert!(lines.any(|line| line.unwrap().contains("writes")));
        }
        std::thread::sleep(Duration::from_micros(rng.next_u64() % 4000));
        child.kill().unwrap();
        child.wait().unwrap();
        seen[number(&path) as usize] += 1;
    }
    let cut = others(&path).len();
    assert!(cut > 0 && seen.iter().all(|count| *count > 0), "{cut} writes were cut short, {seen:?}");
}

/// Not a test, but the work of the child process of one.
#[test]
fn child_that_is_refused() {
    let Some(path) = env::var_os(REFUSED) else { return };
    println!("refused: {}", state(1).write(&path).unwrap_err());
}

/// A child could not write a file; the old one is there, and nothing else.
#[track_caller]
fn check_refused(output: &Output, path: &Path, reason: &str) {
    let text = String::from_utf8_lossy(&output.stdout);
    let named = text.contains("refused: write ") && text.contains(path.to_str().unwrap());
    assert!(output.status.success() && named && text.contains(reason), "{output:?}");
    assert_eq!((number(path), others(path)), (0, vec![]));
}

/// The system refuses to write more, after a part of the file.
#[test]
#[cfg(unix)]
fn a_full_disk_leaves_the_old_file() {
    let folder = Folder::new("full");
    let path = folder.0.join("weights.safetensors");
    state(0).write(&path).unwrap();
    // A limit on the size of files; without `trap` the process would be ended by a signal.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ && ulimit -f 200 && exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(arguments("child_that_is_refused"))
        .env(REFUSED, &path)
        .output();
    match limited {
        Ok(output) => check_refused(&output, &path, "File too large"),
        Err(error) => skip(&format!("a full disk: sh: {error}")),
    }
}

#[test]
#[cfg(unix)]
fn a_folder_that_may_only_be_read_leaves_the_old_file() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let folder = Folder::new("closed");
    let path = folder.0.join("weights.safetensors");
    state(0).write(&path).unwrap();
    let set_mode = |mode| fs::set_permissions(&folder.0, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o555);
    let mut child = child("child_that_is_refused");
    // The administrator may write everywhere, and so becomes `nobody`.
    let probe = folder.0.join("probe");
    if fs::write(&probe, "").is_ok() {
        fs::remove_file(&probe).unwrap();
        child.uid(65534).gid(65534);
    }
    match child.env(REFUSED, &path).output() {
        Ok(output) => check_refused(&output, &path, "denied"),
        Err(error) => skip(&format!("a folder that may only be read: {error}")),
    }
    set_mode(0o755);
}

/// A file keeps its permissions; one that may only be read stays as it is, although its folder would let it be replaced.
#[test]
#[cfg(unix)]
fn permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new("permissions");
    let path = folder.0.join("weights.safetensors");
    state(0).write(&path).unwrap();
    let set_mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o640);
    state(1).write(&path).unwrap();
    assert_eq!((number(&path), fs::metadata(&path).unwrap().permissions().mode() & 0o777), (1, 0o640));
    set_mode(0o440);
    let error = state(0).write(&path).unwrap_err().to_string();
    assert_eq!(error, format!("write {path:?}: the file may only be read"));
    assert_eq!((number(&path), others(&path)), (1, vec![]));
}

#[test]
fn paths_that_cannot_be_written_are_named() {
    let folder = Folder::new("refused");
    let path = folder.0.join("weights.safetensors");
    state(0).write(&path).unwrap();
    for refused in [
        path.join("below a file"),
        folder.0.join("no such folder").join("weights.safetensors"),
        folder.0.clone(),
        folder.0.join(".."),
        PathBuf::new(),
        PathBuf::from("/"),
    ] {
        let error = state(1).write(&refused).unwrap_err();
        assert!(matches!(&error, StateError::Io { action: "write", path, .. } if *path == refused));
        assert!(error.to_string().starts_with(&format!("write {refused:?}: ")), "{error}");
        assert_eq!((number(&path), others(&path)), (0, vec![]));
    }
}

/// A pipe stays a pipe: its reader gets the file.
#[test]
#[cfg(unix)]
fn a_pipe_is_written_not_replaced() {
    use std::os::unix::fs::FileTypeExt;

    let folder = Folder::new("pipe");
    let path = folder.0.join("pipe");
    let made = Command::new("mkfifo").arg(OsStr::new(&path)).status();
    if !made.is_ok_and(|status| status.success()) {
        return skip("a pipe: there is no mkfifo");
    }
    let reader = std::thread::spawn({
        let path = path.clone();
        move || fs::read(path).unwrap()
    });
    state(1).write(&path).unwrap();
    assert!(
        fs::metadata(&path).unwrap().file_type().is_fifo(),
        "the pipe is gone, and its reader waits for ever"
    );
    let bytes = reader.join().unwrap();
    assert_eq!(State::from_bytes(&bytes).unwrap(), state(1));
    assert_eq!(others(&path), Vec::<PathBuf>::new());
}

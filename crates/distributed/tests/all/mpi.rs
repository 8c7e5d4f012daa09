//! Jobs of several processes under `mpirun`, which start this test program again as their ranks.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use crate::training::{BATCH, EXAMPLES, train};
use gradus_autograd::{Tensor, seeded};
use gradus_distributed::{DistributedError, Group, Threads, run};
use gradus_nn::{Buffer, Linear, Parameter, State};

/// The program of a rank.
const WORK: &str = "GRADUS_TEST_RANKS";
const FOLDER: &str = "GRADUS_TEST_FOLDER";
/// A job that takes longer has hung.
const LIMIT: Duration = Duration::from_secs(60);

/// A rank of a job, if this process is one.
#[test]
fn rank() {
    let Ok(work) = env::var(WORK) else { return };
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    let result = run(|group| match &*work {
        "models" => group.broadcast(&mut Linear::<f32>::new(2, 3 + group.rank(), &mut seeded(0))),
        "late" => {
            if group.rank() == 1 {
                thread::sleep(10 * LIMIT);
            }
            group.wait()
        }
        "other buffers" => {
            let model = (Parameter::new([1.0_f32]), Buffer::new(Tensor::<f32>::zeros([1 + group.rank()])));
            let part = group.sharding(2)?.of([0, 1]).next().unwrap();
            group.backward(&model, &part, |model, _| model.0.sum(..)).map(drop)
        }
        "many bytes" => many_bytes(group),
        _ => train_until(group, &work, &folder),
    });
    result.unwrap();
}

/// Trains; in the middle of the third epoch, rank 1 may come to an end.
fn train_until(group: &Group, end: &str, folder: &Path) -> Result<(), DistributedError> {
    let path = folder.join("checkpoint");
    let fail = |step| {
        if group.rank() != 1 || step != 2 * EXAMPLES.div_ceil(BATCH) + 3 {
            return;
        }
        match end {
            "panic" => panic!("rank 1 panics, as it should"),
            "exit 3" => process::exit(3),
            "exit 0" => process::exit(0),
            "kill" => {
                let pid = process::id().to_string();
                Command::new("kill").args(["-9", &pid]).status().unwrap();
                thread::sleep(LIMIT);
            }
            _ => (),
        }
    };
    if end == "error" && group.rank() == 1 {
        train(group, true, Some(&path), |_| ())?;
        return Err(DistributedError::Start("rank 1 has an error, as it should".into()));
    }
    let (state, loss) = train(group, true, Some(&path), fail)?;
    if end == "error" {
        group.wait()?;
    }
    if group.is_first() {
        let mut state = state;
        state.insert("loss", loss);
        state.write(folder.join("result"))?;
    }
    Ok(())
}

/// Messages of several MiB, of different lengths, and reductions of several buckets.
fn many_bytes(group: &Group) -> Result<(), DistributedError> {
    let own = Tensor::<f32>::full([700_000 * group.rank()], group.rank() as f32);
    let all = group.gather(&own)?;
    assert_eq!((all.len(), all.sum(..).item()), (2_100_000, 3_500_000.0));
    let mut p = Parameter::new(Tensor::<f32>::full([1_000_003], group.rank() as f32 + 5.0));
    group.broadcast(&mut p)?;
    assert!(p.value().iter().all(|x| x == 5.0));
    let gradients = group.reduce(&p, Some(((&p * (group.rank() + 1) as f32).sum(..).backward(), 1)))?;
    assert!(gradients.get(&p).unwrap().iter().all(|g| g == 2.0));
    Ok(())
}

struct Job {
    folder: PathBuf,
    status: process::ExitStatus,
    output: String,
    seconds: f64,
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Job {
    fn result(&self) -> State {
        assert!(self.status.success(), "{}", self.output);
        State::read(self.folder.join("result")).unwrap()
    }
}

fn mpirun_is_there() -> bool {
    let there =
        Command::new("mpirun").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: no mpirun");
    }
    there
}

fn folder(name: &str) -> PathBuf {
    let folder = env::temp_dir().join(format!("gradus-mpi-{}-{}", name.replace(' ', "-"), process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a job to its end, in a folder that it may go on in.
fn job(ranks: usize, work: &str, folder: PathBuf) -> Job {
    let log = folder.join("log");
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "-n", &ranks.to_string()]).arg(env::current_exe().unwrap());
    command.args(["--exact", "mpi::rank", "--nocapture", "--test-threads=1"]);
    command.env(WORK, work).env(FOLDER, &folder).env("GRADUS_NUM_THREADS", "1");
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    // Jobs that share a folder may take it from each other at their end.
    command.env("TMPDIR", &folder);
    if work == "late" {
        command.env("GRADUS_PEER_TIMEOUT", "1");
    }
    let file = File::create(&log).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > LIMIT {
            // `mpirun` passes the signal on to its processes.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            thread::sleep(Duration::from_secs(3));
            let _ = child.kill();
            panic!("{work}: the job hangs: {}", fs::read_to_string(&log).unwrap_or_default());
        }
        thread::sleep(Duration::from_millis(20));
    };
    let (output, seconds) = (fs::read_to_string(&log).unwrap(), start.elapsed().as_secs_f64());
    println!("{work}: {ranks} ranks, {status}, {seconds:.1} s");
    Job { folder, status, output, seconds }
}

/// The result of the same training on threads.
fn on_threads(ranks: usize) -> State {
    let mut states = Threads::run(ranks, |group| train(group, true, None, |_| ()).unwrap());
    let (mut state, loss) = states.remove(0);
    state.insert("loss", loss);
    state
}

/// Processes and threads add up in the same order, whatever carries the bytes.
#[test]
fn processes_give_the_bits_of_threads() {
    if !mpirun_is_there() {
        return;
    }
    for ranks in [2, 3] {
        let found = job(ranks, "train", folder(&format!("train-{ranks}"))).result();
        assert!(found == on_threads(ranks), "{ranks} ranks");
    }
}

#[test]
fn long_messages() {
    if mpirun_is_there() {
        let job = job(3, "many bytes", folder("bytes"));
        assert!(job.status.success(), "{}", job.output);
    }
}

/// A rank that comes to an end ends the job; the checkpoint is whole, and a new job goes on from it to the same bits.
#[test]
fn a_rank_that_dies() {
    if !mpirun_is_there() {
        return;
    }
    let whole = on_threads(2);
    let mut times = String::new();
    for (end, said) in [
        ("panic", "rank 1 panics, as it should"),
        ("exit 3", ""),
        ("exit 0", ""),
        ("kill", ""),
        ("error", "rank 1 ends the job: start: rank 1 has an error, as it should"),
    ] {
        let folder = folder(end);
        let died = job(2, end, folder.clone());
        assert!(!died.status.success(), "{end}: {}", died.output);
        assert!(died.output.contains(said), "{end}: {}", died.output);
        assert!(!folder.join("result").exists());
        let checkpoint = State::read(folder.join("checkpoint"));
        let checkpoint = checkpoint.unwrap_or_else(|fault| panic!("{end}: {fault}: {}", died.output));
        let epoch = checkpoint.value::<i64>("loader.epoch").unwrap();
        assert_eq!(epoch, if end == "error" { 4 } else { 2 });
        write!(times, "{end} {:.1} s; ", died.seconds).unwrap();
        // The folder lives on.
        std::mem::forget(died);
        let resumed = job(2, "train", folder).result();
        // The last epoch was done before the error: its loss is not in the checkpoint.
        let names = || whole.names().filter(|name| end != "error" || *name != "loss");
        assert!(names().all(|name| resumed.get(name) == whole.get(name)), "{end}");
    }
    println!("{times}");
}

#[test]
fn what_goes_wrong_is_named() {
    if !mpirun_is_there() {
        return;
    }
    let models = job(2, "models", folder("models"));
    assert_eq!(models.status.code(), Some(1));
    let fault = "the models differ: rank 0 has parameter `weight` of shape [3, 2], f32, rank 1 has parameter `weight` of \
                 shape [4, 2], f32";
    assert!(models.output.contains(fault), "{}", models.output);

    let buffers = job(2, "other buffers", folder("buffers"));
    assert!(!buffers.status.success());
    let fault = "backward: the models differ: rank 0 has buffer `1` of shape [1], f32, rank 1 has buffer `1` of shape [2], f32";
    assert!(buffers.output.contains(fault), "{}", buffers.output);

    let late = job(2, "late", folder("late"));
    assert!(!late.status.success());
    assert!(late.output.contains("rank 0 ends the job: wait: waited 1 s for rank 1"), "{}", late.output);
}

//! Two nodes of gradus in a federation of an unmodified Flower, on this machine.
//!
//! Flower is found on the path, or in the virtual environment that `GRADUS_FLOWER` names; `.ci/engines` makes one. Without it
//! the test says that it was skipped.

#![cfg(feature = "flower")]

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gradus_autograd::{Tensor, seeded};
use gradus_federated::flower::{FLOWER_VERSION, FlowerError, Link, Node, Progress};
use gradus_federated::{Client, ClientError, Report, Round};
use gradus_nn::{Linear, Losses, Module, Optimizer, Sgd};

/// On an idle machine it takes half a minute, most of it for the imports of Flower's processes.
const LIMIT: Duration = Duration::from_secs(240);

struct Points {
    x: Tensor,
    y: Tensor,
}

impl Client<Linear> for Points {
    fn fit(&mut self, model: &mut Linear, round: &Round) -> Result<Report, ClientError> {
        assert!((1..=3).contains(&round.number()), "the server says which round it is");
        let mut sgd = Sgd::new(0.1);
        for _ in 0..10 {
            let loss = model.forward(&self.x).mse_loss(&self.y) + round.proximal_term(model);
            sgd.step(model, &loss.backward());
        }
        Ok(Report::new(self.x.shape()[0])
            .metric("loss", model.forward(&self.x).mse_loss(&self.y).item().into()))
    }

    fn evaluate(&mut self, model: &Linear, _round: &Round) -> Result<Report, ClientError> {
        let loss = model.forward(&self.x).mse_loss(&self.y).item();
        Ok(Report::new(self.x.shape()[0]).metric("loss", loss.into()))
    }
}

/// The folder with Flower's programs, if it is here.
fn flower() -> Option<PathBuf> {
    let named = std::env::var_os("GRADUS_FLOWER").map(|venv| PathBuf::from(venv).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = named.into_iter().chain(std::env::split_paths(&path));
    folders.find(|folder| folder.join("flower-superlink").is_file())
}

/// Processes that end with the test, however it ends.
struct Processes {
    folder: PathBuf,
    bin: PathBuf,
    running: Vec<Child>,
}

impl Processes {
    fn command(&self, program: &str, log: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        let mut command = Command::new(self.bin.join(program));
        let file = File::create(self.folder.join(log)).unwrap();
        command
            .current_dir(&self.folder)
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("FLWR_HOME", self.folder.join("home"))
            .env("FLWR_TELEMETRY_ENABLED", "0")
            .env("FLWR_DISABLE_UPDATE_CHECK", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        command
    }

    fn start(&mut self, program: &str, arguments: &[&str]) {
        let child = self.command(program, &format!("{program}.log")).args(arguments).spawn().unwrap();
        self.running.push(child);
    }

    fn logs(&self) -> String {
        let logs = fs::read_dir(&self.folder).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        let logs = logs.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
        let log = |path: PathBuf| {
            format!("{}:\n{}\n", path.display(), fs::read_to_string(&path).unwrap_or_default())
        };
        logs.map(log).collect::<Vec<_>>().concat()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.running {
            // Asked first: a SuperLink that is killed leaves its own children.
            drop(Command::new("kill").arg(child.id().to_string()).status());
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(10)
                && child.try_wait().is_ok_and(|status| status.is_none())
            {
                thread::sleep(Duration::from_millis(50));
            }
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn write_app(folder: &Path, port: u16) {
    fs::create_dir_all(folder.join("home")).unwrap();
    fs::create_dir_all(folder.join("app/line")).unwrap();
    for (name, text) in [
        ("pyproject.toml", include_str!("flower_app/pyproject.toml")),
        ("LICENSE", include_str!("flower_app/LICENSE")),
        ("line/__init__.py", ""),
        ("line/server.py", include_str!("flower_app/line/server.py")),
        ("line/client.py", include_str!("flower_app/line/client.py")),
    ] {
        fs::write(folder.join("app").join(name), text).unwrap();
    }
    let config = format!(
        "[superlink]\ndefault = \"gradus\"\n[superlink.gradus]\naddress = \"127.0.0.1:{port}\"\ninsecure = true\n"
    );
    fs::write(folder.join("home/config.toml"), config).unwrap();
}

/// A node in a thread of its own, which works until it is told to stop.
fn node(port: u16, seed: u64, count: usize, stop: &AtomicBool) -> Result<(Progress, Linear), FlowerError> {
    let rng = &mut seeded(seed);
    let x = Tensor::randn([count, 2], rng);
    let y = x.matmul(&Tensor::from([[2.0], [-1.0]])) + 0.5;
    let link = Link::new(&format!("http://127.0.0.1:{port}"))?.retry(40, Duration::from_millis(500));
    let mut node = Node::new(link, Linear::new(2, 1, rng), Points { x, y }).poll(Duration::from_millis(300));
    node.run(|_| !stop.load(Ordering::Relaxed))?;
    Ok((node.progress(), node.into_model()))
}

#[test]
fn three_rounds_with_an_unmodified_flower() {
    let Some(bin) = flower() else {
        assert!(std::env::var_os("GRADUS_FLOWER").is_none(), "there is no Flower where GRADUS_FLOWER says");
        eprintln!("skipped: Flower is not installed (flwr {FLOWER_VERSION}; see .ci/engines)");
        return;
    };
    let (begun, port) = (Instant::now(), free_port());
    let folder = std::env::temp_dir().join(format!("gradus-flower-{}", std::process::id()));
    write_app(&folder, port);
    let mut processes = Processes { folder: folder.clone(), bin, running: Vec::new() };
    let (port_text, address) = (port.to_string(), format!("127.0.0.1:{port}"));
    processes.start(
        "flower-superlink",
        &["--insecure", "--port", &port_text, "--disable-runtime-dependency-installation"],
    );
    let (stop, result) = (AtomicBool::new(false), folder.join("result.json"));
    let nodes = thread::scope(|scope| {
        // They call before the server listens: they have to try again.
        let nodes: Vec<_> = [(1, 20), (2, 40)]
            .map(|(seed, count)| {
                scope.spawn({
                    let stop = &stop;
                    move || node(port, seed, count, stop)
                })
            })
            .into();
        while TcpStream::connect(&address).is_err() && begun.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(200));
        }
        let settings = format!("nodes=2 out='{}'", result.display());
        let mut run = processes.command("flwr", "run.log");
        let mut run = run.args(["run", "app", "gradus", "--run-config", &settings]).spawn().unwrap();
        while !result.exists() && begun.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(200));
        }
        stop.store(true, Ordering::Relaxed);
        drop(run.kill());
        drop(run.wait());
        nodes.into_iter().map(|node| node.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(result.exists(), "no result within {LIMIT:?}:\n{}", processes.logs());
    // The file may be there before it is whole.
    let whole = || serde_json::from_str::<serde_json::Value>(&fs::read_to_string(&result).unwrap()).ok();
    let report = (0..50).find_map(|_| {
        whole().or_else(|| {
            thread::sleep(Duration::from_millis(100));
            None
        })
    });
    let report = report.unwrap_or_else(|| panic!("no whole result:\n{}", processes.logs()));
    let numbers = |name: &str| -> Vec<f64> {
        report[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let loss = numbers("loss");
    assert_eq!(loss.len(), 3, "{report}");
    assert!(loss[0] > 2.0 * loss[1] && loss[1] > 2.0 * loss[2], "the loss falls: {loss:?}");
    for node in nodes {
        let (progress, model) = node.unwrap();
        assert_eq!(progress, Progress { trained: 3, evaluated: 3, failed: 0 });
        // The last evaluation loaded the model of the federation.
        let weights = model.parameters().into_iter().flat_map(|parameter| parameter.value().to_vec());
        for (own, federated) in weights.zip(numbers("weight").into_iter().chain(numbers("bias"))) {
            assert!((f64::from(own) - federated).abs() < 1e-6);
        }
    }
    eprintln!("Flower: losses {loss:?} after three rounds, {:.0} s", begun.elapsed().as_secs_f64());
    drop(processes);
    drop(fs::remove_dir_all(folder));
}

//! The processes of Flower, in a folder of their own.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gradus_federated::flower::FLOWER_VERSION;

/// On an idle machine a test takes half a minute, most of it for the imports of Flower's processes; on a busy one, minutes.
const LIMIT: Duration = Duration::from_secs(400);

/// The folder with Flower's programs: in the virtual environment that `GRADUS_FLOWER` names, or on the path.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("GRADUS_FLOWER").map(|venv| PathBuf::from(venv).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = named.into_iter().chain(std::env::split_paths(&path));
    folders.find(|folder| folder.join("flower-superlink").is_file())
}

/// Processes that end with the test, however it ends.
pub(crate) struct Flower {
    pub(crate) folder: PathBuf,
    bin: PathBuf,
    running: Vec<Child>,
    begun: Instant,
    pub(crate) port: u16,
}

impl Flower {
    /// Nothing, and a line that says so, if Flower is not installed.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let Some(bin) = programs() else {
            assert!(
                std::env::var_os("GRADUS_FLOWER").is_none(),
                "there is no Flower where GRADUS_FLOWER says"
            );
            eprintln!("{test} skipped: Flower is not installed (flwr {FLOWER_VERSION}; see .ci/engines)");
            return None;
        };
        let folder = std::env::temp_dir().join(format!("gradus-{test}-{}", std::process::id()));
        for below in ["home", "app/line"] {
            fs::create_dir_all(folder.join(below)).unwrap();
        }
        for (name, text) in [
            ("app/pyproject.toml", include_str!("app/pyproject.toml")),
            ("app/LICENSE", include_str!("app/LICENSE")),
            ("app/line/__init__.py", ""),
            ("app/line/server.py", include_str!("app/line/server.py")),
            ("app/line/client.py", include_str!("app/line/client.py")),
            ("server.pem", include_str!("../tls/server.pem")),
            ("server.key", include_str!("../tls/server.key")),
            ("authority.pem", include_str!("../tls/authority.pem")),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        Some(Self { folder, bin, running: Vec::new(), begun: Instant::now(), port: free_port() })
    }

    /// Tells the command line of Flower where the server is.
    pub(crate) fn configure(&self, host: &str, safety: &str) {
        let port = self.port;
        let config = format!(
            "[superlink]\ndefault = \"gradus\"\n[superlink.gradus]\naddress = \"{host}:{port}\"\n{safety}\n"
        );
        fs::write(self.folder.join("home/config.toml"), config).unwrap();
    }

    fn command(&self, program: &str, log: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        let mut command = Command::new(self.bin.join(program));
        let file = File::options().create(true).append(true).open(self.folder.join(log)).unwrap();
        command
            .current_dir(&self.folder)
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("FLWR_HOME", self.folder.join("home"))
            .env("FLWR_TELEMETRY_ENABLED", "0")
            .env("FLWR_DISABLE_UPDATE_CHECK", "1")
            // Its children are ended with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        command
    }

    /// Starts a program that runs until the test ends.
    pub(crate) fn start(&mut self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let child = self.spawn(program, arguments)?;
        self.running.push(child);
        Ok(())
    }

    fn spawn(&self, program: &str, arguments: &[&str]) -> Result<Child, String> {
        let child = self.command(program, &format!("{program}.log")).args(arguments).spawn();
        child.map_err(|fault| format!("{program}: {fault}"))
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let mut child = self.spawn(program, arguments)?;
        let done = self.until(|| child.try_wait().unwrap());
        if done.is_err() {
            signal("-KILL", &child);
        }
        if done?.success() { Ok(()) } else { Err(format!("{program} {arguments:?} fails:\n{}", self.logs())) }
    }

    /// Starts a server, and waits until it listens.
    pub(crate) fn start_server(&mut self, arguments: &[&str]) -> Result<(), String> {
        let port = self.port.to_string();
        let all = [&["--port", &port, "--disable-runtime-dependency-installation"], arguments].concat();
        self.start("flower-superlink", &all)?;
        let address = ("127.0.0.1", self.port);
        self.until(|| TcpStream::connect(address).ok()).map(drop)
    }

    /// Kills all processes.
    pub(crate) fn kill(&mut self) {
        for mut child in self.running.drain(..) {
            signal("-KILL", &child);
            child.wait().unwrap();
        }
    }

    /// Asks until there is an answer, or the time of the test is over.
    pub(crate) fn until<R>(&self, mut ask: impl FnMut() -> Option<R>) -> Result<R, String> {
        while self.begun.elapsed() < LIMIT {
            if let Some(answer) = ask() {
                return Ok(answer);
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(format!("not done within {LIMIT:?}:\n{}", self.logs()))
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    pub(crate) fn logs(&self) -> String {
        let logs = fs::read_dir(&self.folder).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        let logs = logs.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
        let log = |path: PathBuf| {
            format!("{}:\n{}\n", path.display(), fs::read_to_string(&path).unwrap_or_default())
        };
        logs.map(log).collect::<Vec<_>>().concat()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        Path::display(&self.folder.join(name)).to_string()
    }
}

impl Drop for Flower {
    fn drop(&mut self) {
        for child in &mut self.running {
            // Asked first, so that it may leave its federation.
            signal("-TERM", child);
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(10)
                && child.try_wait().is_ok_and(|status| status.is_none())
            {
                thread::sleep(Duration::from_millis(50));
            }
            signal("-KILL", child);
            drop(child.wait());
        }
        if !thread::panicking() {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// Sends a signal to a process and its children.
fn signal(signal: &str, child: &Child) {
    let group = format!("-{}", child.id());
    drop(Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status());
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

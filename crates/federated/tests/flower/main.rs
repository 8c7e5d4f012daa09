//! Nodes of gradus in federations of an unmodified Flower, on this machine.
//!
//! Flower is found on the path, or in the virtual environment that `GRADUS_FLOWER` names; `.ci/engines` makes one. Without it
//! the tests say that they were skipped.

#![cfg(all(unix, feature = "flower"))]

mod processes;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use gradus_autograd::{Tensor, seeded};
use gradus_federated::flower::{FlowerError, Link, Node, NodeKey, Progress};
use gradus_federated::{Client, ClientError, Report, Round, Simulation};
use gradus_nn::{Linear, Losses, Module, Optimizer, Sgd};
use processes::{Flower, free_port};

/// Points of a client, `[n, 2]` and `[n, 1]`: the same as in Python.
struct Points<'a> {
    x: Tensor,
    y: Tensor,
    pause: Option<&'a Pause>,
}

/// Once it is asked for, clients wait at the end of their training until it is over.
#[derive(Default)]
struct Pause {
    is_asked_for: AtomicBool,
    waiting: AtomicUsize,
    is_over: AtomicBool,
}

impl Points<'_> {
    fn new(client: usize, count: usize) -> Self {
        let numbers = (0..count).flat_map(|i| {
            let (i, client) = (i as f64, client as f64);
            [(1.7 * i + client).sin(), (2.3 * i + 2.0 * client).cos()]
        });
        let x = Tensor::from_vec(numbers.collect(), [count, 2]).unwrap();
        let y = x.matmul(&Tensor::from([[2.0 + client as f64], [-1.0]])) + 0.5;
        Self { x: x.cast(), y: y.cast(), pause: None }
    }

    fn train(&self, model: &mut Linear) {
        let mut sgd = Sgd::new(0.1);
        for _ in 0..10 {
            let loss = model.forward(&self.x).mse_loss(&self.y);
            sgd.step(model, &loss.backward());
        }
    }

    fn report(&self, model: &Linear) -> Report {
        let loss = model.forward(&self.x).mse_loss(&self.y).item();
        Report::new(self.x.shape()[0]).metric("loss", loss.into())
    }
}

impl Client<Linear> for Points<'_> {
    fn fit(&mut self, model: &mut Linear, round: &Round) -> Result<Report, ClientError> {
        assert!((1..=3).contains(&round.number()), "the server says which round it is");
        self.train(model);
        if let Some(pause) = self.pause.filter(|pause| pause.is_asked_for.load(Relaxed)) {
            pause.waiting.fetch_add(1, Relaxed);
            while !pause.is_over.load(Relaxed) {
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(self.report(model))
    }

    fn evaluate(&mut self, model: &Linear, _round: &Round) -> Result<Report, ClientError> {
        Ok(self.report(model))
    }
}

/// A linear model that starts at 0, as the server's.
fn model() -> Linear {
    let mut model = Linear::new(2, 1, &mut seeded(0));
    model.parameters_mut().into_iter().for_each(|parameter| parameter.update(|value| *value *= 0.0));
    model
}

fn numbers(model: &Linear) -> Vec<f64> {
    model.parameters().into_iter().flat_map(|parameter| parameter.value().to_vec()).map(f64::from).collect()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let are_close = found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 2e-6 * (1.0 + y.abs()));
    assert!(are_close, "{found:?} in place of {expected:?}");
}

const SIZES: [usize; 3] = [20, 40, 30];

/// Two nodes of gradus and one in Python make the same model as a simulation of all three. Then the server dies while the
/// nodes train.
#[test]
fn a_federation_with_python_and_a_server_that_dies() {
    let Some(mut flower) = Flower::find("flower-rounds") else { return };
    flower.configure("127.0.0.1", "insecure = true");
    let (stop, pause, result) = (AtomicBool::new(false), Pause::default(), flower.folder.join("result.json"));
    let address = format!("http://127.0.0.1:{}", flower.port);
    let work = |client: usize| {
        let link = Link::new(&address).unwrap().retry(5, Duration::from_millis(100));
        let points = Points { pause: Some(&pause), ..Points::new(client, SIZES[client]) };
        let mut node = Node::new(link, model(), points).poll(Duration::from_millis(200));
        loop {
            // It calls before the server listens, and has to come again.
            match node.run(|_| !stop.load(Relaxed)) {
                Err(FlowerError::Unreachable { call: "register-node", .. }) if !stop.load(Relaxed) => (),
                result => return (result, node),
            }
        }
    };
    let (report, nodes) = thread::scope(|scope| {
        let work = &work;
        let nodes = [0, 1].map(|client| scope.spawn(move || work(client)));
        // Panics would leave the nodes waiting.
        let mut course = || -> Result<String, String> {
            flower.start_server(&["--insecure"])?;
            let (superlink, runtime) = (format!("127.0.0.1:{}", flower.port), free_port().to_string());
            let config = format!("client=2 count={}", SIZES[2]);
            let place =
                ["--insecure", "--superlink", &superlink, "--port", &runtime, "--node-config", &config];
            flower.start("flower-supernode", &place)?;
            let settings = format!("nodes=3 out='{}'", result.display());
            flower.run("flwr", &["run", "app", "gradus", "--run-config", &settings])?;
            let report = flower.until(|| fs::read_to_string(&result).ok())?;
            eprintln!("Flower: three rounds of gradus and Python, {:.0} s", flower.seconds());
            pause.is_asked_for.store(true, Relaxed);
            flower.until(|| (pause.waiting.load(Relaxed) == 2).then_some(()))?;
            Ok(report)
        };
        let report = course();
        stop.store(true, Relaxed);
        flower.kill();
        pause.is_over.store(true, Relaxed);
        (report, nodes.map(|node| node.join().unwrap()))
    });
    let report = report.unwrap_or_else(|fault| panic!("{fault}"));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();

    // The same clients in one process.
    let clients = [0, 1, 2].map(|client| Points::new(client, SIZES[client]));
    let mut simulation = Simulation::new(model(), clients).unwrap();
    let (mut trained, mut evaluated) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        trained.push(simulation.round().unwrap().mean.metrics["loss"]);
        evaluated.push(simulation.evaluate().mean.metrics["loss"]);
    }
    let list = |name: &str| -> Vec<f64> {
        report[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    assert_close(&list("trained"), &trained);
    assert_close(&list("evaluated"), &evaluated);
    assert_close(&[list("weight"), list("bias")].concat(), &numbers(simulation.model()));
    assert!(evaluated[2] < evaluated[0], "{evaluated:?}");

    for (client, (result, mut node)) in nodes.into_iter().enumerate() {
        let is_away = |result: Result<(), FlowerError>| {
            let error = result.unwrap_err();
            assert!(
                matches!(error, FlowerError::Unreachable { call: "push-messages", attempts: 5, .. }),
                "{error}"
            );
        };
        // The update of the fourth round could not go out: the node keeps its model, and the reply.
        is_away(result);
        assert_eq!(node.progress(), Progress { trained: 4, evaluated: 3, failed: 0 });
        let mut own = simulation.model().clone();
        Points::new(client, SIZES[client]).train(&mut own);
        assert_close(&numbers(node.model()), &numbers(&own));
        let begun = Instant::now();
        is_away(node.run(|_| true));
        // Pauses of 0.1, 0.2, 0.4 and 0.8 seconds.
        assert!(begun.elapsed().as_secs_f64() >= 1.5, "{:?}", begun.elapsed());
    }
}

/// A server with TLS lets in a node whose key was registered, and no other; it comes back after its death.
#[test]
fn certificates_and_keys() {
    let Some(mut flower) = Flower::find("flower-keys") else { return };
    let certificate = flower.path("authority.pem");
    flower.configure("localhost", &format!("root-certificates = \"{certificate}\""));
    let server = [
        "--ssl-certfile",
        "server.pem",
        "--ssl-keyfile",
        "server.key",
        "--ssl-ca-certfile",
        "authority.pem",
        "--enable-supernode-auth",
        "--database",
        "state.db",
    ];
    flower.start_server(&server).unwrap();
    let address = format!("https://localhost:{}", flower.port);
    let link = || Link::new(&address).unwrap().retry(5, Duration::from_millis(100));
    let trusting = || link().root_certificates(include_str!("../tls/authority.pem")).unwrap();
    let node = |link: Link| Node::new(link, model(), Points::new(0, 5)).poll(Duration::from_millis(100));

    let others = link().root_certificates(include_str!("../tls/other.pem")).unwrap();
    for link in [link(), others] {
        let error = node(link).run(|_| true).unwrap_err();
        assert!(matches!(error, FlowerError::Tls { call: "register-node", .. }), "{error}");
    }
    // One that registers itself, and one with a key that nobody knows.
    let (known, unknown) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    for (link, expected) in [(trusting(), "register-node"), (trusting().key(unknown), "activate-node")] {
        let error = node(link).run(|_| true).unwrap_err();
        let FlowerError::Refused { call, status: 412, .. } = error else { panic!("{error}") };
        assert_eq!(call, expected);
    }
    fs::write(flower.folder.join("known.pub"), known.public_openssh()).unwrap();
    flower.run("flwr", &["supernode", "register", "known.pub", "gradus"]).unwrap();
    let mut node = node(trusting().key(known));
    let few = || {
        let mut asked = 0;
        move |_| {
            asked += 1;
            asked < 4
        }
    };
    node.run(few()).unwrap();

    // The server dies while the node asks for messages, and is started again.
    let asks = AtomicBool::new(false);
    let ask = |_| {
        asks.store(true, Relaxed);
        true
    };
    thread::scope(|scope| {
        let work = scope.spawn(|| node.run(ask));
        let has_joined = flower.until(|| (asks.load(Relaxed) || work.is_finished()).then_some(()));
        flower.kill();
        has_joined.unwrap();
        let error = work.join().unwrap().unwrap_err();
        assert!(matches!(error, FlowerError::Unreachable { call: "pull-messages", .. }), "{error}");
    });
    assert_eq!(numbers(node.model()), numbers(&model()));
    flower.start_server(&server).unwrap();
    node.run(few()).unwrap();
    eprintln!("Flower: certificates and keys, {:.0} s", flower.seconds());
}

//! Calls over HTTP: signed, encrypted, repeated with growing pauses.

use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::wire::Call;
use super::{FlowerError, NodeKey};

/// The version of Flower whose API this is. A server of another one answers calls with a warning, or refuses them.
pub const FLOWER_VERSION: &str = "1.42.0";

/// The longest answer that is read: Flower's objects have at most 5 MiB.
const LONGEST: u64 = 64 << 20;
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The way to a server of Flower (a SuperLink): its address, the node's key, and how patient calls are.
#[derive(Debug, Clone)]
pub struct Link {
    server: String,
    key: NodeKey,
    registers: bool,
    roots: Option<Arc<Vec<Certificate<'static>>>>,
    attempts: u32,
    pause: Duration,
    timeout: Duration,
    agent: Agent,
}

impl Link {
    /// A server such as `https://flower.example.org:9092`, or `http://127.0.0.1:8000` for a server on this machine that was
    /// started with `--insecure`. The node gets a new key, with which it registers itself.
    ///
    /// # Errors
    /// If the address begins with neither `http://` nor `https://`, or the operating system gives no random bytes.
    pub fn new(server: &str) -> Result<Self, FlowerError> {
        if !["http://", "https://"].iter().any(|scheme| server.starts_with(scheme)) {
            let fault = format!("the address {server:?} must begin with https:// or http://");
            return Err(FlowerError::Settings { operation: "Link::new", fault });
        }
        let mut link = Self {
            server: server.trim_end_matches('/').into(),
            key: NodeKey::generate()?,
            registers: true,
            roots: None,
            attempts: 8,
            pause: Duration::from_millis(250),
            timeout: Duration::from_secs(60),
            agent: Agent::new_with_defaults(),
        };
        link.connect();
        Ok(link)
    }

    /// Sets the key of a node that an operator has registered with a server that was started with `--enable-supernode-auth`.
    #[must_use]
    pub fn key(mut self, key: NodeKey) -> Self {
        (self.key, self.registers) = (key, false);
        self
    }

    /// Sets the certificates that a server's must be signed by, in PEM: those of the federation's own authority. The links of
    /// `https://` need them: certificates of public authorities are not built in.
    ///
    /// # Errors
    /// If the text has no certificate.
    pub fn root_certificates(mut self, pem: &str) -> Result<Self, FlowerError> {
        let settings = |fault| FlowerError::Settings { operation: "root_certificates", fault };
        let mut roots = Vec::new();
        for item in parse_pem(pem.as_bytes()) {
            match item {
                Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
                Ok(_) => (),
                Err(error) => return Err(settings(format!("they are no PEM: {error}"))),
            }
        }
        if roots.is_empty() {
            return Err(settings("there is no certificate".into()));
        }
        self.roots = Some(Arc::new(roots));
        self.connect();
        Ok(self)
    }

    /// Sets how often a call is tried while the server is away, and the first pause, which doubles each time up to 10
    /// seconds. 8 attempts and 250 milliseconds by default: half a minute.
    ///
    /// # Panics
    /// If `attempts` is 0.
    #[must_use]
    #[track_caller]
    pub fn retry(mut self, attempts: u32, first_pause: Duration) -> Self {
        assert!(attempts > 0, "retry: `attempts` is 0: it must be at least 1");
        (self.attempts, self.pause) = (attempts, first_pause);
        self
    }

    /// Sets how long one attempt may take; a minute by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.connect();
        self
    }

    fn connect(&mut self) {
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()));
        let roots = self.roots.as_deref().map_or(&[][..], Vec::as_slice);
        tls = tls.root_certs(RootCerts::new_with_certs(roots));
        let config = Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .tls_config(tls.build())
            .build();
        self.agent = config.into();
    }

    pub(super) fn public_key(&self) -> Vec<u8> {
        self.key.public_pem().into()
    }

    /// Whether the node registers itself, as nodes without a key of the operator do.
    pub(super) fn registers(&self) -> bool {
        self.registers
    }

    /// Makes a call, again and again while the server is away.
    pub(super) fn call<C: Call>(&self, request: &C) -> Result<C::Answer, FlowerError> {
        let (body, mut pause) = (request.encode_to_vec(), self.pause);
        for attempt in 1.. {
            match self.attempt::<C>(&body) {
                Err(Failure::Away(fault)) if attempt == self.attempts => {
                    let (call, server) = (C::PATH, self.server.clone());
                    return Err(FlowerError::Unreachable { call, server, attempts: attempt, fault });
                }
                Err(Failure::Away(_)) => thread::sleep(pause),
                Err(Failure::Final(error)) => return Err(error),
                Ok(answer) => return Ok(answer),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        unreachable!("the last attempt returns")
    }

    /// Makes a call once, whatever comes of it: for heartbeats and farewells.
    pub(super) fn try_call<C: Call>(&self, request: &C) -> Option<C::Answer> {
        self.attempt::<C>(&request.encode_to_vec()).ok()
    }

    fn attempt<C: Call>(&self, body: &[u8]) -> Result<C::Answer, Failure> {
        let mut request = self
            .agent
            .post(format!("{}/v1/fleet/{}", self.server, C::PATH))
            .header("content-type", "application/protobuf")
            .header("accept", "application/protobuf")
            .header("flwr-package-name", "flwr")
            .header("flwr-package-version", FLOWER_VERSION)
            .header("flwr-component-name", "SuperNode");
        for (name, value) in self.key.headers(SystemTime::now()) {
            request = request.header(name, value);
        }
        let mut response = request.send(body).map_err(|error| self.failure::<C>(error))?;
        let bytes = response.body_mut().with_config().limit(LONGEST).read_to_vec();
        let bytes = bytes.map_err(|error| self.failure::<C>(error))?;
        match response.status().as_u16() {
            200 => <C::Answer as prost::Message>::decode(&bytes[..])
                .map_err(|error| Failure::Final(self.nonsense(C::PATH, error.to_string()))),
            status @ (408 | 429 | 500 | 502..=504) => Err(Failure::Away(format!("status {status}"))),
            status => {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
                let (call, server) = (C::PATH, self.server.clone());
                Err(Failure::Final(FlowerError::Refused { call, server, status, reason: text }))
            }
        }
    }

    fn failure<C: Call>(&self, error: ureq::Error) -> Failure {
        use ureq::Error as E;
        let fault = error.to_string();
        match error {
            E::Tls(_) | E::Pem(_) | E::Rustls(_) => Failure::Final(self.unsafe_connection::<C>(fault)),
            // So rustls reports a certificate that it does not trust.
            E::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Failure::Final(self.unsafe_connection::<C>(fault))
            }
            E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed => Failure::Away(fault),
            E::BadUri(_) | E::Http(_) => Failure::Final(FlowerError::Settings {
                operation: "Link::new",
                fault: format!("the address {:?} cannot be called: {fault}", self.server),
            }),
            _ => Failure::Final(self.nonsense(C::PATH, fault)),
        }
    }

    fn unsafe_connection<C: Call>(&self, fault: String) -> FlowerError {
        FlowerError::Tls { call: C::PATH, server: self.server.clone(), fault }
    }

    /// The error of an answer that contradicts itself.
    pub(super) fn nonsense(&self, call: &'static str, fault: impl Into<String>) -> FlowerError {
        FlowerError::Answer { call, server: self.server.clone(), fault: fault.into() }
    }
}

enum Failure {
    /// The server may come back.
    Away(String),
    /// It will not get better.
    Final(FlowerError),
}

//! Door two: Proxmox's HTTP API over TLS in front of the simulated world, one listener for each member, and a small
//! control API for the tests, the demo and the fake commands of a shell.
//!
//! It shows what the genuine 9.2.11 cluster was recorded to show: shapes, errors, reason phrases, silences, delays. It
//! decides nothing: what happens to the cluster is the world's business. It must never be reachable from outside: it
//! binds loopback unless told otherwise, and its tokens are for tests.
//!
//! Known differences from a real cluster: a dead member's port turns connections away instead of leaving them unanswered;
//! idle times of connections are real seconds whatever the speed; nothing is compressed; there is no login with a
//! password; a reboot is refused, because in the world somebody has to switch the machine on again.

mod answer;
mod ask;
mod call;
mod ceph_json;
mod cert;
mod control;
mod door;
mod listen;
mod params;
mod route;
mod routes;
mod shell;
mod show;
mod summary;
mod tokens;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use answer::Messages;
pub use tokens::{Grant, Rights, Token};

use self::door::{Door, Shared};
use crate::model::ids::NodeName;
use crate::model::time::after;
use crate::sim::World;

/// How door two is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seconds of the world for each real second. 0: time passes only by [`Running::advance`] and the control API, and
    /// nothing is delayed.
    pub speed: f64,
    pub bind: IpAddr,
    /// For the members in the order of their names; where there are too few, any free port.
    pub ports: Vec<u16>,
    pub tokens: Vec<Token>,
    pub messages: Messages,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            speed: 1.0,
            bind: Ipv4Addr::LOCALHOST.into(),
            ports: Vec::new(),
            tokens: vec![Token::pitlane("simulated-secret")],
            messages: Messages::default(),
        }
    }
}

/// Door two could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("making a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("setting up TLS")]
    Tls(#[from] rustls::Error),
    #[error("listening on {addr}")]
    Listen {
        addr: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the speed {0} is not a number of seconds")]
    Speed(f64),
    #[error("writing {path}")]
    Write {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// An open door. Closed by [`Running::stop`], or when it is dropped.
pub struct Running {
    /// Member → `https://127.0.0.1:PORT`.
    pub endpoints: BTreeMap<NodeName, String>,
    /// The cluster's own authority, for a CA file.
    pub ca_pem: String,
    /// Member → SHA-256 of its leaf, upper hex with colons.
    pub fingerprints: BTreeMap<NodeName, String>,
    /// `http://127.0.0.1:PORT`; every call needs [`Running::control_token`] as bearer.
    pub control_url: String,
    pub control_token: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The world steps so often in real time; ten times faster than anybody polls.
const STEP: Duration = Duration::from_millis(10);

/// Opens the door. The world is shared: who else holds it may look into it and steer it.
///
/// # Errors
/// No port could be had, or no certificate made.
pub async fn serve(world: Arc<Mutex<World>>, options: Options) -> Result<Running, Error> {
    if !options.speed.is_finite() || options.speed < 0.0 {
        return Err(Error::Speed(options.speed));
    }
    let shared = Arc::new(Shared::new(world, options.speed));
    let members: Vec<NodeName> =
        shared.look(|world| world.nodes.keys().cloned().collect()).unwrap_or_default();
    let authority = cert::Authority::new()?;
    let mut ports = options.ports.iter().copied();
    let mut listeners = Vec::new();
    for member in members {
        let listener = listen_on(SocketAddr::new(options.bind, ports.next().unwrap_or(0))).await?;
        let leaf = authority.leaf(member.as_str())?;
        listeners.push((member, listener, leaf));
    }
    let mut endpoints = BTreeMap::new();
    let mut fingerprints = BTreeMap::new();
    for (member, (listener, addr), leaf) in &listeners {
        let _: &TcpListener = listener;
        endpoints.insert(member.clone(), format!("https://{addr}"));
        fingerprints.insert(member.clone(), leaf.fingerprint.clone());
    }

    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let (tick, ticks) = watch::channel(0);
    let door = Arc::new(Door {
        shared: Arc::clone(&shared),
        tokens: options.tokens,
        messages: options.messages,
        fingerprints: fingerprints.clone(),
        ticks,
    });
    for (member, (listener, _), leaf) in listeners {
        tasks.spawn(listen::accept(Arc::clone(&door), member, listener, leaf, stop.clone()));
    }
    let (control, addr) = listen_on(SocketAddr::new(options.bind, 0)).await?;
    let control_token = control::token()?;
    tasks.spawn(control::serve(Arc::clone(&shared), control, control_token.clone(), stop.clone()));
    tasks.spawn(drive(Arc::clone(&shared), tick, stop.clone()));
    let control_url = format!("http://{addr}");
    Ok(Running {
        endpoints,
        ca_pem: authority.pem,
        fingerprints,
        control_url,
        control_token,
        shared,
        stop,
        tasks,
    })
}

async fn listen_on(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Lets the world's time run beside the real one. Time that was skipped by hand stays skipped.
async fn drive(shared: Arc<Shared>, tick: watch::Sender<u64>, stop: CancellationToken) {
    let mut every = tokio::time::interval(STEP);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        let passed = last.elapsed();
        last += passed;
        let alive = shared.act(|world| world.advance(after(world.now, passed.mul_f64(shared.speed))));
        tick.send_modify(|count| *count += 1);
        if let Err(stopped) = alive {
            tracing::error!("{stopped}");
            return;
        }
    }
}

impl Running {
    /// Why the world stopped, if it did: something unsafe was done to it. A test must ask this before it is content.
    pub fn violation(&self) -> Option<String> {
        self.shared.look(|_| ()).err().map(|stopped| stopped.to_string())
    }

    /// Somebody deletes this token, or makes it anew with the same secret.
    pub fn revoke(&self, token: &str, revoked: bool) {
        let mut all = self.shared.revoked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if revoked {
            all.insert(token.to_owned());
        } else {
            all.remove(token);
        }
    }

    /// Lets so many seconds of the world pass at once.
    ///
    /// # Errors
    /// The world has stopped.
    pub fn advance(&self, secs: u64) -> Result<(), String> {
        self.shared.act(|world| world.advance_secs(secs)).map_err(|stopped| stopped.to_string())
    }

    /// Writes what the fake commands need in order to speak as `member`: into the directory that stands for `/` there,
    /// beside fresh state files below `etc/pve`.
    ///
    /// # Errors
    /// The files could not be written.
    pub fn prepare_root(&self, member: &NodeName, root: &Path) -> Result<(), Error> {
        let mut files = vec![("sim", format!("{} {} {member}\n", self.control_url, self.control_token))];
        let state = self.shared.look(|world| shell::files(world, member)).unwrap_or_default();
        files.extend(state);
        for (name, text) in files {
            let path = root.join(name);
            let failed = |source| Error::Write { path: path.display().to_string(), source };
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(failed)?;
            }
            std::fs::write(&path, text).map_err(failed)?;
        }
        Ok(())
    }

    /// Closes the door and waits until it is closed.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

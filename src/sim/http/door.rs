//! From a request to an answer: who asks, what for, may he, where is it executed, is it well formed, and only then what
//! the world says. The order is Proxmox's own: a stranger learns nothing, and a dead node is not asked about parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::sync::watch;

use super::answer::{Answer, Messages};
use super::ask::Ask;
use super::call::Call;
use super::params::{self, Params};
use super::route::{Needs, Route};
use super::routes;
use super::tokens::{self, Token};
use crate::model::ids::{GuestId, NodeName};
use crate::sim::World;
use crate::sim::world::{Guest, Ha, Refusal};

/// Every 401 takes so long, so that nobody tries passwords fast.
const UNAUTHORISED_TAKES: Duration = Duration::from_secs(3);
/// "No route to host" was measured between 2 and 22 s.
const NO_ROUTE_TAKES: Duration = Duration::from_secs(3);
/// A 595 that takes no time.
const REFUSED: &str = "Connection refused";
/// The proxying member's own limit.
const PROXY_TIMEOUT: Duration = Duration::from_secs(30);

/// The world, and what it said last.
pub(super) struct Shared {
    world: Arc<Mutex<World>>,
    pub speed: f64,
    last_words: Mutex<Option<String>>,
    /// Member that is cut off → what it saw of the cluster last.
    memories: Mutex<BTreeMap<NodeName, Memory>>,
    /// Tokens that were deleted in the middle of a story.
    pub revoked: Mutex<BTreeSet<String>>,
}

/// The cluster's files as a member without quorum still has them.
struct Memory {
    guests: BTreeMap<GuestId, Guest>,
    ha: Ha,
}

impl Shared {
    pub fn new(world: Arc<Mutex<World>>, speed: f64) -> Self {
        Self {
            world,
            speed,
            last_words: Mutex::new(None),
            memories: Mutex::default(),
            revoked: Mutex::default(),
        }
    }

    fn is_revoked(&self, token: &str) -> bool {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).contains(token)
    }

    /// Reads the world.
    pub fn look<T>(&self, see: impl FnOnce(&World) -> T) -> Result<T, Stopped> {
        self.world.lock().map(|world| see(&world)).map_err(|_| self.stopped())
    }

    /// Changes the world. It panics when something unsafe is done to it; its lock stays poisoned then, and its last words
    /// are kept for everybody who asks afterwards.
    pub fn act<T>(&self, change: impl FnOnce(&mut World) -> T) -> Result<T, Stopped> {
        let held = AssertUnwindSafe(|| {
            let mut world = self.world.lock().ok()?;
            let done = change(&mut world);
            self.remember(&world);
            Some(done)
        });
        match catch_unwind(held) {
            Ok(done) => done.ok_or_else(|| self.stopped()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
                let mut words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
                words.get_or_insert(text.unwrap_or_else(|| "a panic without words".to_owned()));
                drop(words);
                Err(self.stopped())
            }
        }
    }

    /// Who is cut off keeps what it saw; who is back forgets it.
    fn remember(&self, world: &World) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, node) in &world.nodes {
            if node.powered() && node.cut.is_some() {
                let now = || Memory { guests: world.guests.clone(), ha: world.ha.clone() };
                memories.entry(name.clone()).or_insert_with(now);
            } else {
                memories.remove(name);
            }
        }
    }

    /// The world as a member that is cut off sees it: its own guests as they are, everything else as it was.
    fn stale(&self, world: &World, member: &NodeName) -> Option<World> {
        let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memories.get(member)?;
        let own = world.guests.iter().filter(|(_, guest)| &guest.node == member);
        let mut guests = memory.guests.clone();
        guests.extend(own.map(|(id, guest)| (*id, guest.clone())));
        let seen = World { guests, ha: memory.ha.clone(), ..world.clone() };
        Some(seen)
    }

    fn stopped(&self) -> Stopped {
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        Stopped(words.clone().unwrap_or_else(|| "something unsafe was done to it".to_owned()))
    }
}

/// The world panicked, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the simulated world has stopped: {0}")]
pub(super) struct Stopped(String);

/// Door two, shared by all its listeners.
pub(super) struct Door {
    pub shared: Arc<Shared>,
    pub tokens: Vec<Token>,
    pub messages: Messages,
    /// Member → SHA-256 of its leaf.
    pub fingerprints: BTreeMap<NodeName, String>,
    /// Changes with every step of the world's time.
    pub ticks: watch::Receiver<u64>,
}

impl Door {
    /// Real time for a time of the cluster. Nothing is delayed where time stands still.
    pub fn real(&self, takes: Duration) -> Duration {
        if self.shared.speed > 0.0 { takes.div_f64(self.shared.speed) } else { Duration::ZERO }
    }

    /// Does the machine run? A stopped world looks like one that does, so that its last words can be heard.
    pub fn powered(&self, member: &NodeName) -> bool {
        self.shared.look(|world| world.nodes.get(member).is_some_and(|node| node.powered())).unwrap_or(true)
    }

    /// Returns when the member loses its power.
    pub async fn dark(&self, member: &NodeName) {
        let mut ticks = self.ticks.clone();
        while self.powered(member) {
            if ticks.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// What `member` answers.
    pub fn answer(&self, member: &NodeName, ask: &Ask) -> Answer {
        let token = match tokens::authenticate(&self.tokens, ask.authorization.as_deref()) {
            Ok(token) if !self.shared.is_revoked(&token.id) => token,
            // The same words as for one that never was.
            Ok(_) => return Answer::silent(401, "Authentication failed!", UNAUTHORISED_TAKES),
            Err(reason) => return Answer::silent(401, reason, UNAUTHORISED_TAKES),
        };
        let Some((route, named)) = routes::find(ask.method.as_str(), &ask.path) else {
            let what = format!("Method '{} {}' not implemented", ask.method, ask.shown());
            return Answer::fail(501, what);
        };
        let params = match merged(&ask.params, named) {
            Ok(params) => params,
            Err(answer) => return answer,
        };
        let done = self.shared.act(|world| self.in_world(world, member, token, route, &params));
        if ask.method != Method::GET {
            let (method, path) = (&ask.method, ask.shown());
            tracing::debug!(node.name = %member, "simulated Proxmox was told {method} {path}");
        }
        done.unwrap_or_else(|stopped| Answer::fail(500, stopped.to_string()))
    }

    fn in_world(
        &self,
        world: &mut World,
        member: &NodeName,
        token: &Token,
        route: &Route,
        params: &Params,
    ) -> Answer {
        let token = token.in_world(world);
        if let Needs::On(path, privileges) = route.needs {
            let path = filled(path, params);
            if !token.may(&path, privileges) {
                return Answer::forbidden(&path, privileges);
            }
        }
        let at = match place(world, member, route, params) {
            Ok(at) => at,
            Err(refusal) => return refused(refusal),
        };
        let errors = params::check(params, route.all_params().iter());
        if !errors.is_empty() {
            return Answer::wrong(errors);
        }
        let fingerprints = &self.fingerprints;
        // A member without quorum answers questions from its memory; orders meet the world as it is.
        let mut stale = if route.method == "GET" { self.shared.stale(world, &at) } else { None };
        let world = stale.as_mut().unwrap_or(world);
        let mut call = Call { world, token: &token, via: member, at: &at, params, fingerprints };
        call.serve(route.what).unwrap_or_else(refused)
    }
}

/// A refusal of the world, on the wire. Those of the proxying hop are silent and slow.
pub(super) fn refused(refusal: Refusal) -> Answer {
    match (refusal.status, refusal.parameter) {
        (595, _) if refusal.text == REFUSED => Answer::silent(595, REFUSED, Duration::ZERO),
        (596, _) => Answer::silent(596, &refusal.text, PROXY_TIMEOUT),
        (status @ 595..=599, _) => Answer::silent(status, &refusal.text, NO_ROUTE_TAKES),
        (400, Some(name)) => Answer::wrong_param(name, &refusal.text),
        (status, _) => Answer::fail(status, refusal.text),
    }
}

/// Where it is executed: on the member that was asked, or on the node in the path, which must be reached from there.
fn place(world: &World, asked: &NodeName, route: &Route, params: &Params) -> Result<NodeName, Refusal> {
    world.reach(asked)?;
    if !route.goes_to_node() {
        return Ok(asked.clone());
    }
    let node = NodeName(params.text("node").unwrap_or_default());
    if &node == asked {
        return Ok(node);
    }
    match world.proxy(asked, &node) {
        // The machine is there and its daemon is not: refused at once, where a dead machine is looked for in vain.
        Err(_) if there(world, asked, &node) => {
            Err(Refusal { status: 595, text: REFUSED.to_owned(), parameter: None })
        }
        Err(refusal) => Err(refusal),
        Ok(_) => Ok(node),
    }
}

fn there(world: &World, asked: &NodeName, node: &NodeName) -> bool {
    world.nodes.get(node).is_some_and(|found| found.powered()) && world.linked(asked, node)
}

/// Path, query and body in one; a parameter of the path cannot be overruled.
fn merged(given: &Params, named: Vec<(&'static str, String)>) -> Result<Params, Answer> {
    let mut all = given.0.clone();
    for (name, value) in named {
        let value = Value::from(value);
        if all.insert(name.to_owned(), value.clone()).is_some_and(|other| other != value) {
            let text = "duplicate parameter (already defined in URI) with conflicting values!";
            return Err(Answer::wrong_param(name, text));
        }
    }
    Ok(Params(all))
}

/// `/vms/{vmid}` with the number in it.
fn filled(path: &str, params: &Params) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => params.text(name).unwrap_or_default(),
        None => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

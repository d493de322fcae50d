//! What can go wrong between us and a Proxmox cluster, in the classes that ask for different behaviour.
//!
//! A status code says little here: most 500s are facts about a guest ("VM is locked"), and a 59x says that the member we asked
//! could not reach the member that executes. [`super::classify`] reads the texts; this module names what they mean.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::transport::{Cause, TransportError};

/// One failed call.
#[derive(Debug, thiserror::Error)]
pub enum PveError {
    /// Our own side: a file, a certificate, a token that cannot be a header.
    #[error("{what}")]
    Setup {
        what: String,
        #[source]
        source: Cause,
    },
    /// Every member that may be asked was tried, and none took the call. It was certainly not executed.
    #[error("{call}: no member of the cluster can be reached ({})", Attempts(attempts))]
    Unreachable { call: String, attempts: Vec<TransportError> },
    /// Every member is excluded, because it is serviced or was not the one asked for.
    #[error("{call}: no member is left to ask; all are being serviced or excluded")]
    NobodyToAsk { call: String },
    /// A read took longer than its deadline.
    #[error("{call}: no answer within {} s", deadline.as_secs_f32())]
    TooSlow { call: String, deadline: Duration },
    /// The connection failed during a read, twice.
    #[error("{call}: the connection failed")]
    Connection {
        call: String,
        #[source]
        source: TransportError,
    },
    /// An order may or may not have been taken. Look for its task or its effect before giving it again.
    #[error("{call}: it is not known whether the order was taken; look before repeating it")]
    OutcomeUnknown {
        call: String,
        #[source]
        because: Box<PveError>,
    },
    /// 401: the token is missing ("No ticket") or not accepted; wrong, expired, unknown and disabled look the same.
    #[error("{call}: not authenticated: {text}")]
    NotAuthenticated { call: String, text: String, credentials: Credentials },
    /// 403: a privilege is missing.
    #[error("{call}: permission denied: {text}")]
    Forbidden { call: String, text: String, missing: Option<MissingPrivilege> },
    /// 400: a parameter is unknown to this version, missing or wrong.
    #[error("{call}: {text}{}", Named(errors))]
    BadParameters { call: String, text: String, errors: BTreeMap<String, String> },
    /// 400 "no such task": the log was purged, or another node is asked.
    #[error("{call}: the node knows no such task")]
    NoSuchTask { call: String },
    /// 501: this version has no such call.
    #[error("{call}: this node's version does not have the call ({text})")]
    NotImplemented { call: String, text: String },
    /// 595, 596, 597, 599: the member that was asked could not get an answer from the executing node or its daemon.
    #[error("{call}: the executing node did not answer: {failure} ({text})")]
    Proxy { call: String, failure: ProxyFailure, text: String },
    /// The cluster understood and said no.
    #[error("{call}: {text}")]
    Refused { call: String, why: Refusal, text: String },
    /// An answer that cannot be read. It is never taken for an empty one.
    #[error("{call}: the answer makes no sense: {what}")]
    Nonsense { call: String, what: String },
    /// The answer exceeds the size limit.
    #[error("{call}: the answer has more than {limit} bytes")]
    TooLarge { call: String, limit: usize },
}

/// What a 401 says about our credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// "No ticket": no Authorization header arrived.
    Missing,
    /// "Authentication failed!" and the like.
    NotAccepted,
}

/// "Permission check failed (/vms/100, VM.Migrate)", taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPrivilege {
    pub path: String,
    /// Any one of these would do.
    pub any_of: Vec<String>,
}

/// Where the way through the contacted member to the executing node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyFailure {
    /// 595: no connection: the node or its daemon is down, or there is no route.
    NotConnected,
    /// 596: connected, no answer in time.
    NoAnswer,
    /// 597: the answer broke off.
    BrokenOff,
    /// 598 and 599: anything else on the way.
    Other,
}

/// Why the cluster said no, as far as the text of a 500 or of a failed task tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The guest carries a lock. Only a person with root can clear a stale one.
    Locked {
        lock: String,
    },
    /// Another task holds the guest's lock file; the wait ran out.
    LockBusy,
    /// The member that executes has no quorum; its configuration is read-only.
    NoQuorum,
    /// The guest is not on this node: it has just moved, or does not exist.
    GuestNotHere,
    NotRunning,
    AlreadyRunning,
    /// A template cannot be started.
    Template,
    NoSuchNode,
    NoSuchHaResource,
    HaResourceExists,
    /// HA would not take the order, for example because a guest that must stay apart is at the target.
    HaRefused,
    /// A rule contradicts another one.
    BadHaRule,
    /// 9.x: groups became rules and are gone.
    GroupsAreRules,
    /// The monitors have no quorum or are overloaded.
    CephTimeout,
    CephNotConfigured,
    NoGuestAgent,
    /// The member asked would have to pass on what was already passed on.
    ProxyLoop,
    /// The migration failed before its commit point: the guest is still at the source.
    MigrationAborted,
    /// The migration failed at or after its commit point: the guest may be on either side, paused or locked.
    MigrationProblems,
    /// The worker was killed or its node died; nothing is known about what it left behind.
    WorkerDied,
    /// The worker was told to stop.
    Interrupted,
    /// A text we do not know. It stays visible to people.
    Other,
}

impl PveError {
    /// Whether an order may have had an effect although this error came back.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, PveError::OutcomeUnknown { .. })
    }

    /// The reason, when the cluster understood and said no.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            PveError::Refused { why, .. } => Some(why),
            _ => None,
        }
    }
}

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyFailure::NotConnected => "no connection to it",
            ProxyFailure::NoAnswer => "no answer from it in time",
            ProxyFailure::BrokenOff => "its answer broke off",
            ProxyFailure::Other => "the way to it failed",
        })
    }
}

struct Attempts<'a>(&'a [TransportError]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attempt) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            write!(f, "{comma}{attempt}")?;
            if let Some(cause) = attempt.root_cause() {
                write!(f, ": {cause}")?;
            }
        }
        Ok(())
    }
}

struct Named<'a>(&'a BTreeMap<String, String>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, text)| write!(f, " [{name}: {}]", text.trim()))
    }
}

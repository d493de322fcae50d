//! A guest's recoverability card: if the node, or the storage under the guest, were lost now, what would be left, how
//! old is it, and how long would it take to bring back. Only what was seen; the rest says "unknown".

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{GuestId, NodeName};
use super::time::{Period, Time};

/// One guest's card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub guest: GuestId,
    pub name: String,
    pub backup: LastBackup,
    /// Its replication jobs; empty: it has none.
    pub replicas: Vec<ReplicaShown>,
    /// Why nothing is said of replication, if it could not be seen.
    pub replicas_unseen: Option<String>,
    pub restore: RestoreTime,
}

/// The newest backup that counts, or else why none does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "backup")]
pub enum LastBackup {
    /// On something that would not be lost with the guest.
    Good { found: Found },
    /// Good, but older than is allowed.
    Old { found: Found },
    /// It is on what would be lost, so it counts for nothing.
    AtRisk { found: Found, why: String },
    /// The backup server found it broken.
    Broken { found: Found },
    /// Every storage for backups was seen, and none has one.
    Missing,
    /// Not observable.
    Unseen { why: String },
}

/// A backup and its storage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub store: String,
    pub at: Time,
    pub age: Period,
    pub bytes: u64,
    /// `None`: nobody has verified it, or its storage cannot.
    pub verified: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaShown {
    pub target: Option<NodeName>,
    /// How far it is behind; `None`: it never ran.
    pub behind: Option<Period>,
    pub state: ReplicaState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ReplicaState {
    Current,
    Late,
    Failing { times: u32, error: String },
    Disabled,
    Never,
}

/// How long bringing it back would take, with what that is based on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestoreTime {
    /// `None`: unknown.
    pub at_least: Option<Period>,
    pub basis: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verified = match self.verified {
            Some(true) => "verified",
            Some(false) => "found broken",
            None => "not verified",
        };
        write!(f, "{} old on {}, {verified}", self.age, self.store)
    }
}

impl fmt::Display for LastBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { found } => write!(f, "{found}"),
            Self::Old { found } => write!(f, "too old: {found}"),
            Self::AtRisk { found, why } => write!(f, "none that counts: {found}, and {why}"),
            Self::Broken { found } => write!(f, "none that counts: {found}"),
            Self::Missing => f.write_str("none"),
            Self::Unseen { why } => write!(f, "not observable: {why}"),
        }
    }
}

impl fmt::Display for ReplicaShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "to {target}: ")?,
            None => f.write_str("to an unnamed node: ")?,
        }
        let behind = |f: &mut fmt::Formatter<'_>| match self.behind {
            Some(behind) => write!(f, "{behind} behind"),
            None => f.write_str("never done"),
        };
        match &self.state {
            ReplicaState::Current => behind(f),
            ReplicaState::Late => behind(f).and_then(|()| f.write_str(", late")),
            ReplicaState::Failing { times, error } => {
                behind(f)?;
                write!(f, ", failed {times} times")?;
                if error.is_empty() { Ok(()) } else { write!(f, " ({error})") }
            }
            ReplicaState::Disabled => behind(f).and_then(|()| f.write_str(", switched off")),
            ReplicaState::Never => f.write_str("never done"),
        }
    }
}

impl fmt::Display for RestoreTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_least {
            Some(time) => write!(f, "at least {time}: {}", self.basis),
            None => write!(f, "unknown: {}", self.basis),
        }
    }
}

impl Card {
    /// Its replication in one line.
    pub fn replication(&self) -> String {
        match (&self.replicas_unseen, self.replicas.as_slice()) {
            (Some(why), _) => format!("not observable: {why}"),
            (None, []) => "none".to_owned(),
            (None, all) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }
}

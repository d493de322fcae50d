//! Notices: what people are told without asking. A page wakes somebody; a telling can wait for the morning.
//!
//! A notice is written in the commit that decides it, and delivered afterwards, at least once, under the same id. Its
//! words never say that a machine is safe to touch: that is true for seconds, and mail lies around for years.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{CaseId, GuestId, NodeName};
use super::seen::Trouble;
use super::time::Time;

/// Made from case or fault and subject, never from time or chance of ours (a fault's spell is named by its start, as
/// Alertmanager tells it). Goes to the other side as idempotency key and as `Message-ID`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoticeId(pub String);

impl NoticeId {
    pub fn of_case(case: CaseId, subject: &str) -> Self {
        Self(format!("case-{case}/{subject}"))
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A channel's name, from the configuration.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct ChannelName(pub String);

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for ChannelName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// How soon somebody has to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// Now, at any hour.
    Page,
    /// When there is time.
    Tell,
}

impl Urgency {
    pub fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Tell => "tell",
        }
    }
}

/// One message to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub id: NoticeId,
    pub at: Time,
    pub urgency: Urgency,
    /// One line, the node first.
    pub title: String,
    /// What is, what pitlane does, what to do.
    pub body: String,
    pub node: Option<NodeName>,
    pub case: Option<CaseId>,
    /// Empty: remembered and not sent. A recorded fault, or anything in mode observe.
    pub to: Vec<ChannelName>,
}

/// One notice that still has to reach one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    pub notice: Notice,
    pub channel: ChannelName,
    /// Tries so far; all of them failed.
    pub tries: u32,
    /// The last try; when the notice was written where there was none.
    pub at: Time,
}

/// A channel that refuses or does not answer for long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    /// The oldest notice that does not arrive: it names the spell.
    pub first: NoticeId,
    pub trouble: Trouble,
}

/// After so many tries (5 s, 10 s, 20 s, … between them: two minutes and a half) a channel counts as silent.
pub const SILENT_TRIES: u32 = 6;

/// Who is told what, and where the channels themselves live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyRules {
    pub page: Vec<ChannelName>,
    pub tell: Vec<ChannelName>,
    /// Channels that depend on a node or a guest of this very cluster.
    pub homes: BTreeMap<ChannelName, ChannelHome>,
}

/// What a channel runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelHome {
    Node(NodeName),
    Guest(GuestId),
}

/// A policy's own choice, instead of the cluster's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipients {
    pub page: Option<Vec<ChannelName>>,
    pub tell: Option<Vec<ChannelName>>,
}

impl NotifyRules {
    /// Who gets it. `policy`: the policy of the case or fault that it is about.
    pub fn to(&self, urgency: Urgency, policy: Option<&Recipients>) -> Vec<ChannelName> {
        let (own, all) = match urgency {
            Urgency::Page => (policy.and_then(|own| own.page.as_ref()), &self.page),
            Urgency::Tell => (policy.and_then(|own| own.tell.as_ref()), &self.tell),
        };
        own.unwrap_or(all).clone()
    }
}

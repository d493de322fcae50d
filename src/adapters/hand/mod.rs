//! The root helper `pitlane-hand` on the members, over SSH with a forced command: what Proxmox's API cannot do.
//!
//! It must never: ask through a node that is to be avoided (it may be half dead, and the answer with it); ask another
//! member after one has refused; or believe a member that calls itself by another name than the one we dialled.
//!
//! The script itself is `src/adapters/hand/pitlane-hand`; its head lists the verbs and the exit codes.

mod error;
mod ssh;
mod verb;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::Instant;

pub use error::HandError;
pub use ssh::{HandConfig, Member};
pub use verb::Verb;
use verb::word;

use crate::model::ids::{HostName, NodeName};
use crate::model::observed::HandView;
use crate::model::seen::{Seen, Trouble};
use crate::model::step::Switch;
use crate::ports::{Clock, Hand};

/// The helpers of one cluster.
pub struct SshHand {
    config: HandConfig,
    clock: Arc<dyn Clock>,
}

/// What `show` prints, as far as we need it.
#[derive(Debug, Deserialize)]
struct Shown {
    /// The helper's version.
    hand: u64,
    /// The member's own name for itself; null when it does not know.
    node: Option<String>,
    /// null: it cannot say.
    quorate: Option<bool>,
    /// CRUSH bucket → flags; null: no Ceph, or it does not answer there.
    #[serde(default)]
    crush_node_flags: Option<BTreeMap<String, BTreeSet<String>>>,
}

impl SshHand {
    pub fn new(config: HandConfig, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock }
    }

    /// Asks the first member that can be reached. Gives its stdout, and says who it was.
    async fn ask(&self, verb: Verb<'_>, avoid: &BTreeSet<NodeName>) -> Result<(&Member, String), HandError> {
        let words = verb.words();
        let until = Instant::now() + self.config.whole;
        let mut tried = Vec::new();
        for member in self.config.members.iter().filter(|m| !avoid.contains(&m.node)) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.ask_member(member, &words, left.min(self.config.call)).await {
                Ok(stdout) => return Ok((member, stdout)),
                Err(error) if error.unreached() => tried.push(error),
                Err(error) => return Err(error),
            }
        }
        match (tried.len(), tried.pop()) {
            (1, Some(only)) => Err(only),
            (0, _) if self.config.members.is_empty() => Err(HandError::NoMembers),
            (0, _) => Err(HandError::Nobody("every member with the helper is to be avoided".into())),
            (_, last) => {
                let all: Vec<String> = tried.iter().chain(&last).map(HandError::to_string).collect();
                Err(HandError::Nobody(all.join("; ")))
            }
        }
    }

    async fn ask_member(
        &self,
        member: &Member,
        words: &[&str],
        limit: std::time::Duration,
    ) -> Result<String, HandError> {
        let said = self.config.ask(member, words, limit).await?;
        match said.rc {
            0 => Ok(said.stdout),
            _ => Err(HandError::of(&member.node, &words.join(" "), &said)),
        }
    }

    async fn try_show(&self, avoid: &BTreeSet<NodeName>) -> Result<Shown, HandError> {
        let (member, stdout) = self.ask(Verb::Show, avoid).await?;
        let garbled = |why: String| HandError::Garbled { member: member.node.clone(), why };
        let shown: Shown = serde_json::from_str(stdout.trim()).map_err(|e| garbled(e.to_string()))?;
        match shown.node.as_deref() {
            // Else we would go through the very node that is to be avoided, and never notice.
            Some(name) if name == member.node.as_str() => Ok(shown),
            Some(other) => Err(garbled(format!("it calls itself {other}; are the addresses mixed up?"))),
            None => Err(garbled("it does not know its own name".to_owned())),
        }
    }

    /// HA takes up to 20 s to show a request, so that is for the next look; noout can be read back at once.
    async fn try_noout(&self, host: &HostName, to: Switch, avoid: &NodeName) -> Result<(), HandError> {
        let avoid = BTreeSet::from([avoid.clone()]);
        let name = plain(host.as_str())?;
        let doubt = match self.ask(Verb::Noout(to, name), &avoid).await {
            Ok(_) => None,
            Err(doubt) if doubt.leaves_doubt() => Some(doubt),
            Err(error) => return Err(error),
        };
        let shown = self.try_show(&avoid).await;
        let flags = shown.as_ref().ok().and_then(|shown| shown.crush_node_flags.as_ref());
        let held = flags.map(|f| f.get(name).is_some_and(|of_host| of_host.contains("noout")));
        match (held == Some(to == Switch::On), doubt) {
            (true, _) => Ok(()),
            (false, Some(doubt)) => Err(doubt),
            (false, None) => {
                let member = shown?.node.as_deref().unwrap_or_default().into();
                let what = format!("noout {} {host}", word(to));
                Err(match held {
                    Some(_) => HandError::NotDone { member, what },
                    None => {
                        HandError::Garbled { member, why: "it shows no Ceph flags to read back".to_owned() }
                    }
                })
            }
        }
    }
}

fn plain(name: &str) -> Result<&str, HandError> {
    if ssh::is_plain_name(name) { Ok(name) } else { Err(HandError::NotAName(name.to_owned())) }
}

#[async_trait]
impl Hand for SshHand {
    async fn show(&self, avoid: &BTreeSet<NodeName>) -> Seen<HandView> {
        let at = self.clock.now();
        match self.try_show(avoid).await {
            Ok(shown) => {
                let member = shown.node.unwrap_or_default().as_str().into();
                // A member that cannot say whether it has quorum has none to offer.
                let quorate = shown.quorate == Some(true);
                Seen::known(HandView { member, version: shown.hand.to_string(), quorate }, at)
            }
            Err(error) => Trouble::from(error).into(),
        }
    }

    async fn maintenance(&self, node: &NodeName, to: Switch) -> Result<(), Trouble> {
        let verb = Verb::Maintenance(to, plain(node.as_str())?);
        self.ask(verb, &BTreeSet::from([node.clone()])).await?;
        Ok(())
    }

    async fn noout(&self, host: &HostName, to: Switch, avoid: &NodeName) -> Result<(), Trouble> {
        Ok(self.try_noout(host, to, avoid).await?)
    }

    async fn fail_mgr(&self, mgr: &str, avoid: &NodeName) -> Result<(), Trouble> {
        self.ask(Verb::FailMgr(plain(mgr)?), &BTreeSet::from([avoid.clone()])).await?;
        Ok(())
    }
}

//! The second half of a look: wished nodes and guests, in full.
//!
//! A node is asked about itself through another member, because the cluster's list lags and remembers the dead. Guests on a wished
//! node are found in the node's own list, which saves a question each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use futures::{StreamExt, future::join_all, stream};

use super::{
    calls::{self, GuestAt, GuestKind, TaskFilter},
    detail::{self, NodeAnswers},
    error::{PveError, Refusal},
    look::{Found, Round, seen},
    wire::Preconditions,
};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Guest, GuestDetail, LiveState, NodeDetail, Opinion, PveView};
use crate::model::seen::{Seen, Trouble};

/// Guests read side by side; the two places at every node are the real limit.
const GUESTS_AT_ONCE: usize = 16;

/// Rows of a node's task list: some hours of a busy node.
const TASKS_MAX: u32 = 100;

/// What a node that was asked about itself says of its guests.
pub(super) type Lives = BTreeMap<NodeName, Result<BTreeMap<GuestId, LiveState>, Trouble>>;

impl Round<'_> {
    pub(super) async fn closer(
        &self,
        view: &mut PveView,
        nodes: &BTreeSet<NodeName>,
        guests: &BTreeSet<GuestId>,
    ) {
        let opinion = view.first.any_age();
        let asked: Vec<_> = nodes.iter().map(|name| self.node(name, opinion)).collect();
        let mut lives = Lives::new();
        let mut details = BTreeMap::<NodeName, Seen<NodeDetail>>::new();
        for (name, found) in nodes.iter().zip(join_all(asked).await) {
            let (detail, live) = match found {
                Ok(((detail, live), at)) => (Seen::known(detail, at), Ok(live)),
                Err(why) => (Seen::Unknown { why: why.clone() }, Err(why)),
            };
            lives.insert(name.clone(), live);
            details.insert(name.clone(), detail);
        }
        let mut found = self.guests(opinion, nodes, guests, &lives).await;
        let unlisted: Vec<GuestId> = guests.iter().filter(|id| !found.contains_key(id)).copied().collect();
        for (id, why) in self.unlisted(view, &unlisted, &lives).await {
            found.insert(id, Seen::Unknown { why });
        }
        view.nodes = details;
        view.guests = found;
    }

    /// The guests on the wished nodes and those wished for, as far as the cluster's list places them.
    async fn guests(
        &self,
        opinion: Option<&Opinion>,
        nodes: &BTreeSet<NodeName>,
        guests: &BTreeSet<GuestId>,
        lives: &Lives,
    ) -> BTreeMap<GuestId, Seen<GuestDetail>> {
        // Loops and no closures: the compiler cannot yet tell that a closure's future may be sent.
        let mut reads = Vec::new();
        for (id, guest) in opinion.map(|opinion| &opinion.guests).into_iter().flatten() {
            if nodes.contains(&guest.node) || guests.contains(id) {
                reads.push(self.placed_guest(*id, guest, lives, opinion));
            }
        }
        stream::iter(reads).buffer_unordered(GUESTS_AT_ONCE).collect().await
    }

    async fn placed_guest(
        &self,
        id: GuestId,
        guest: &Guest,
        lives: &Lives,
        opinion: Option<&Opinion>,
    ) -> (GuestId, Seen<GuestDetail>) {
        let found = match lives.get(&guest.node) {
            // A node that does not answer for itself does not answer for its guests; one wait is enough.
            Some(Err(why)) => Err(why.clone()),
            Some(Ok(live)) => self.guest(id, guest, live.get(&id).cloned(), opinion).await,
            None => self.guest(id, guest, None, opinion).await,
        };
        (id, seen(found))
    }

    async fn node(
        &self,
        name: &NodeName,
        opinion: Option<&Opinion>,
    ) -> Found<(NodeDetail, BTreeMap<GuestId, LiveState>)> {
        offline(name, opinion)?;
        let node = name.as_str();
        let at = self.pve.clock.now();
        let tasks = TaskFilter { limit: Some(TASKS_MAX), ..TaskFilter::default() };
        // The clock first: what comes after it may wait for a place at the node.
        let time = self.ask(calls::node_time(node), &self.route).await?.value;
        let clock_read = self.pve.clock.now();
        let (qemu, lxc, tasks, services, version) = tokio::try_join!(
            self.ask(calls::guests(node, GuestKind::Qemu), &self.route),
            self.ask(calls::guests(node, GuestKind::Lxc), &self.route),
            self.ask(calls::tasks(node, &tasks), &self.route),
            self.ask(calls::node_services(node), &self.route),
            self.ask(calls::node_version(node), &self.route),
        )?;
        let answers = NodeAnswers {
            qemu: qemu.value,
            lxc: lxc.value,
            tasks: tasks.value,
            services: services.value,
            time,
            version: version.value,
        };
        let detail = detail::node(name, &answers, clock_read);
        let mut ahead = self.pve.clocks_ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.insert(name.clone(), detail.clock_ahead);
        Ok(((detail, answers.live()), at))
    }

    async fn guest(
        &self,
        id: GuestId,
        guest: &Guest,
        live: Option<LiveState>,
        opinion: Option<&Opinion>,
    ) -> Found<GuestDetail> {
        offline(&guest.node, opinion)?;
        let at_node = GuestAt { node: guest.node.as_str(), kind: guest.kind, vmid: id.0 };
        let at = self.pve.clock.now();
        let config = self.ask(calls::guest_config(at_node), &self.route).await?.value;
        let preconditions = self.preconditions(at_node).await?;
        let live = match live {
            Some(live) => live,
            None => {
                detail::live(guest.kind, &self.ask(calls::guest_current(at_node), &self.route).await?.value)
            }
        };
        let none = BTreeMap::new();
        let storages = opinion.and_then(|o| o.nodes.get(&guest.node)).map_or(&none, |node| &node.storages);
        Ok((detail::guest(guest.kind, Some(live), &config, preconditions.as_ref(), storages), at))
    }
    async fn preconditions(&self, at: GuestAt<'_>) -> Result<Option<Preconditions>, Trouble> {
        match self.ask(calls::preconditions(at), &self.route).await {
            Ok(answer) => Ok(Some(answer.value)),
            // 8.x has none for containers; a locked guest has none at all, and its lock is told elsewhere.
            Err(PveError::NotImplemented { .. }) => Ok(None),
            Err(e) if matches!(e.refusal(), Some(Refusal::Locked { .. })) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

/// A question to an offline node waits up to half a minute for nothing.
fn offline(node: &NodeName, opinion: Option<&Opinion>) -> Result<(), Trouble> {
    match opinion {
        Some(opinion) if opinion.quorate && !opinion.online(node) => {
            Err(Trouble::Unreachable(format!("{node} is offline, says {}", opinion.member)))
        }
        _ => Ok(()),
    }
}

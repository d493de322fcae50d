//! What pitlane does to guests through Proxmox: move, stop a move, start, shut down.
//!
//! An order that may have been taken without an answer is looked up by its task, never repeated; the next turn looks again. Success
//! here means "accepted": Proxmox answers 200 to a start of a locked guest and to a migration to a dead node.

use std::sync::PoisonError;

use super::{
    calls::{self, GuestAt, LxcMove, QemuMove, TaskFilter},
    client::Route,
    detail,
    error::PveError,
    proxmox::Proxmox,
    request::Call,
    upid,
    views::is,
    wire::{Preconditions, Text},
};
use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::observed::{GuestKind, Power};
use crate::model::plan::How;
use crate::model::seen::Trouble;
use crate::ports::Migration;

/// How far a node's clock may have run away from what we last saw of it.
const CLOCK_SLACK_SECS: i64 = 5;

/// Seconds a guest has to shut down by itself; Proxmox's own default.
const SHUTDOWN_SECS_MAX: u32 = 180;

impl Proxmox {
    pub(super) async fn order_migration(&self, order: &Migration) -> Result<Upid, Trouble> {
        let route = Route::avoiding([order.avoid.as_str()]);
        let at = GuestAt { node: order.from.as_str(), kind: order.kind, vmid: order.guest.0 };
        let said = self.last_check(at, order, &route).await?;
        let conntrack = self.conntrack(order, said.as_ref(), &route).await;
        let call = migration(order, conntrack)?;
        let since_secs = self.clock_of(&order.from) - CLOCK_SLACK_SECS;
        match self.client.run(&call, &route).await {
            Ok(answer) => Ok(Upid(answer.value.0)),
            Err(e) if e.outcome_unknown() => match self.find_task(order, since_secs, &route).await {
                Some(task) => Ok(task),
                None => Err(e.into()),
            },
            Err(e) => Err(e.into()),
        }
    }

    /// Asks the source once more just before the order: the plan may be minutes old. 8.x cannot be asked about containers.
    async fn last_check(
        &self,
        at: GuestAt<'_>,
        order: &Migration,
        route: &Route,
    ) -> Result<Option<Preconditions>, Trouble> {
        let said = match self.client.run(&calls::preconditions(at), route).await {
            Ok(answer) => answer.value,
            Err(PveError::NotImplemented { .. }) => return Ok(None),
            // Nothing was ordered yet, so no error here may sound as if something might have begun.
            Err(e) => return Err(not_begun(e)),
        };
        match said.not_allowed_nodes.get(order.to.as_str()) {
            Some(obstacles) if !obstacles.none() => {
                let why =
                    format!("guest {} cannot go to {}: {}", order.guest, order.to, detail::words(obstacles));
                Err(Trouble::Refused(why))
            }
            _ => Ok(Some(said)),
        }
    }

    /// Whether to ask for established connections to be carried over the firewalls: only live, and only where the source can and
    /// the target is a 9.x too. An older node refuses the whole order for the unknown word.
    async fn conntrack(
        &self,
        order: &Migration,
        said: Option<&Preconditions>,
        route: &Route,
    ) -> Option<bool> {
        if order.how == How::Offline || !is(said?.has_dbus_vmstate) {
            return None;
        }
        let target = self.client.run(&calls::node_version(order.to.as_str()), route).await.ok()?;
        (target.value.major_minor()?.0 >= 9).then_some(true)
    }

    /// The task that an order without an answer may have started: ours, of this guest, not older than the order.
    async fn find_task(&self, order: &Migration, since_secs: i64, route: &Route) -> Option<Upid> {
        let filter = TaskFilter {
            vmid: Some(order.guest.0),
            since_secs: Some(since_secs),
            limit: Some(20),
            ..TaskFilter::default()
        };
        let rows = self.client.run(&calls::tasks(order.from.as_str(), &filter), route).await.ok()?.value;
        let names = rows.into_iter().filter_map(|row| Some((row.upid.parse::<upid::Upid>().ok()?, row.upid)));
        let ours = names.filter(|(name, _)| {
            matches!(name.kind.as_str(), "qmigrate" | "vzmigrate" | "hamigrate")
                && name.user == self.token_id
                && name.start_secs >= since_secs
        });
        ours.max_by_key(|(name, _)| name.start_secs).map(|(_, text)| Upid(text.0))
    }

    /// Now, by the node's clock as far as it is known.
    fn clock_of(&self, node: &NodeName) -> i64 {
        let ahead = self.clocks_ahead.lock().unwrap_or_else(PoisonError::into_inner);
        self.clock.now().as_second() + ahead.get(node).copied().unwrap_or(0)
    }

    pub(super) async fn order_cancel(
        &self,
        on: &NodeName,
        task: &Upid,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        let name: upid::Upid =
            task.as_str().parse().map_err(|e: upid::BadUpid| Trouble::Nonsense(e.to_string()))?;
        if name.node != on.as_str() {
            return Err(Trouble::Nonsense(format!("task {task} does not run on {on}")));
        }
        match self.client.run(&calls::cancel_task(&name), &Route::avoiding([avoid.as_str()])).await {
            // A task whose log is gone has ended long ago.
            Ok(_) | Err(PveError::NoSuchTask { .. }) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) async fn order_start(
        &self,
        guest: GuestId,
        kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        let route = Route::avoiding([avoid.as_str()]);
        let at = GuestAt { node: on.as_str(), kind, vmid: guest.0 };
        let current = self.client.run(&calls::guest_current(at), &route).await.map_err(not_begun)?.value;
        let live = detail::live(kind, &current);
        match (live.power, live.qemu.as_deref()) {
            (Power::Running, Some("paused" | "postmigrate" | "suspended" | "prelaunch")) => {
                self.accepted(calls::resume(at), &route).await
            }
            // Doing it twice is doing it once.
            (Power::Running, _) => Ok(()),
            _ => self.accepted(calls::start(at), &route).await,
        }
    }

    pub(super) async fn order_shutdown(
        &self,
        guest: GuestId,
        kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        let route = Route::avoiding([avoid.as_str()]);
        let at = GuestAt { node: on.as_str(), kind, vmid: guest.0 };
        let current = self.client.run(&calls::guest_current(at), &route).await.map_err(not_begun)?.value;
        match detail::live(kind, &current).power {
            Power::Stopped => Ok(()),
            _ => self.accepted(calls::shutdown(at, SHUTDOWN_SECS_MAX), &route).await,
        }
    }

    async fn accepted(&self, call: Call<Text>, route: &Route) -> Result<(), Trouble> {
        self.client.run(&call, route).await?;
        Ok(())
    }
}

/// An error before the order was given. "Too slow" would say that it may have begun.
fn not_begun(error: PveError) -> Trouble {
    match Trouble::from(error) {
        Trouble::TooSlow(text) => Trouble::Unreachable(text),
        other => other,
    }
}

fn migration(order: &Migration, conntrack: Option<bool>) -> Result<Call<Text>, Trouble> {
    let (node, target) = (order.from.as_str(), order.to.as_str());
    let qemu = |online, with_local_disks| {
        let how = QemuMove { target, online, with_local_disks, bwlimit: None, conntrack };
        Ok(calls::migrate_qemu(node, order.guest.0, &how))
    };
    let lxc = |restart| {
        let how = LxcMove { target, restart, shutdown_secs_max: Some(SHUTDOWN_SECS_MAX), bwlimit: None };
        Ok(calls::migrate_lxc(node, order.guest.0, &how))
    };
    match (order.kind, order.how) {
        (GuestKind::Qemu, How::Live) => qemu(true, false),
        (GuestKind::Qemu, How::LiveWithDisks) => qemu(true, true),
        (GuestKind::Qemu, How::Offline) => qemu(false, false),
        (GuestKind::Lxc, How::Restart) => lxc(true),
        (GuestKind::Lxc, How::Offline) => lxc(false),
        (GuestKind::Qemu, How::Restart) | (GuestKind::Lxc, How::Live | How::LiveWithDisks) => {
            Err(Trouble::Refused(format!("guest {} cannot move {} in Proxmox", order.guest, order.how)))
        }
    }
}

//! How one guest leaves its node, or why it cannot.

use crate::model::ids::GuestId;
use crate::model::observed::{Guest, GuestDetail, GuestKind, Power};
use crate::model::plan::How;
use crate::model::rules::{ContainerPolicy, ImmovablePolicy, Policy};
use crate::model::wait::Wait;
use crate::model::wait_text::list;

use super::ha;
use super::view::View;

/// How a guest leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// HA moves it once the node is in maintenance.
    Ha,
    Move(How),
    /// Cannot move; the policy allows to shut it down.
    ShutDown(String),
    /// Stopped, and bound to the node: it stays aboard.
    Stays(String),
    /// Neither: it blocks the drain.
    Stuck(String),
}

/// Decides it for one guest. `agreed`: a person reads and approves the plan.
///
/// # Errors
/// Something needed for the answer cannot be seen.
pub fn way(id: GuestId, guest: &Guest, policy: &Policy, agreed: bool, view: &View) -> Result<Way, Wait> {
    if guest.template {
        return Ok(Way::Stays("a template".to_owned()));
    }
    let rules = view.ha_rules()?;
    if guest.ha && !ha::ignored(id, rules) {
        return Ok(if ha::moves(id, view.ha()?, rules) {
            Way::Ha
        } else if guest.power == Power::Stopped {
            Way::Stays("stopped, and managed by HA".to_owned())
        } else {
            Way::Stuck("it runs although HA wants it stopped".to_owned())
        });
    }
    let detail = view.guest(id)?;
    let power = detail.live.as_ref().map_or(guest.power, |live| live.power);
    if power == Power::Stopped {
        return Ok(stopped(detail));
    }
    if let Some(why) = bound(guest.kind, detail) {
        return Ok(match policy.respond.immovable {
            ImmovablePolicy::ShutDown if agreed => Way::ShutDown(why),
            _ => Way::Stuck(why),
        });
    }
    Ok(match guest.kind {
        GuestKind::Qemu if detail.local_disks.is_empty() => Way::Move(How::Live),
        GuestKind::Qemu => Way::Move(How::LiveWithDisks),
        GuestKind::Lxc => match policy.respond.containers {
            ContainerPolicy::Restart => Way::Move(How::Restart),
            ContainerPolicy::Ask if agreed => Way::Move(How::Restart),
            _ => Way::Stuck(
                "a running container has to restart to move, and the policy does not allow it".to_owned(),
            ),
        },
    })
}

fn stopped(detail: &GuestDetail) -> Way {
    if !detail.devices.is_empty() {
        return Way::Stays(format!("stopped, and bound to {}", list(&detail.devices)));
    }
    if let Some(volume) = detail.local_disks.keys().next() {
        return Way::Stays(format!("stopped, and its disk {volume} is on this node"));
    }
    Way::Move(How::Offline)
}

/// What ties a running guest to its machine.
fn bound(kind: GuestKind, detail: &GuestDetail) -> Option<String> {
    if !detail.devices.is_empty() {
        return Some(format!("it uses {}", list(&detail.devices)));
    }
    if let Some(image) = &detail.local_cdrom {
        return Some(format!("its CD drive holds {image}, which only this node has"));
    }
    if kind == GuestKind::Lxc && !detail.local_disks.is_empty() {
        return Some(format!("its volume {} is on this node", list(detail.local_disks.keys())));
    }
    None
}

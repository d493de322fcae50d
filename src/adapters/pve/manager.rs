//! What HA's manager notes down of nodes and guests, in the model's words. Pure.
//!
//! The answer grows with the guests that HA manages, and most of it is results that the local managers keep for themselves: it is
//! read where it lies. [`super::wire::ManagerStatus`] is the same answer as the API describes it.

use super::views::{is, sid_guest, time};
use super::wire::{Flag, Odd, Pull};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{HaNode, HaNodeState, HaService, HaView, LrmMode};
use crate::model::seen::Trouble;

/// A node of which nothing is said yet.
const UNSEEN: HaNode =
    HaNode { state: HaNodeState::Unknown, maintenance_requested: false, lrm: None, lrm_at: None };

/// Reads the body of `/cluster/ha/status/manager_status`.
///
/// # Errors
/// The body cannot be read, in words for people; or the member that was asked has lost quorum: what it shows then is a file that
/// nobody updates.
pub fn ha(body: &[u8]) -> Result<Result<HaView, Trouble>, String> {
    let mut manager = Manager::default();
    Pull::data(body, |data| {
        data.object(|name, value| match name {
            b"manager_status" => manager.status(value),
            b"lrm_status" => manager.lrms(value),
            b"quorum" => manager.quorum(value),
            _ => value.skip(),
        })?;
        if manager.told { Ok(()) } else { Err(data.odd("the manager's own notes are missing")) }
    })?;
    if manager.quorate == Some(Flag(false)) {
        let why = "the member that was asked for HA's state has no quorum";
        return Ok(Err(Trouble::Refused(why.to_owned())));
    }
    manager.view.services = manager.services.into_iter().collect();
    Ok(Ok(manager.view))
}

/// What is read so far.
struct Manager {
    view: HaView,
    services: Vec<(GuestId, HaService)>,
    quorate: Option<Flag>,
    /// The manager's own notes are there.
    told: bool,
}

impl Default for Manager {
    fn default() -> Manager {
        let view = HaView { armed: true, ..HaView::default() };
        Manager { view, services: Vec::new(), quorate: None, told: false }
    }
}

impl Manager {
    fn status(&mut self, pull: &mut Pull) -> Result<(), Odd> {
        self.told = true;
        pull.object(|name, value| {
            match name {
                b"master_node" => self.view.master = value.text()?.as_deref().map(NodeName::from),
                b"timestamp" => self.view.crm_at = time(value.int()?),
                b"disarm" => self.view.armed = !value.present()?,
                b"node_status" => value.table(|node, value| {
                    let state = value.text()?.ok_or_else(|| value.odd("expected a node's state"))?;
                    self.node(node, value)?.state = node_state(&state);
                    Ok(())
                })?,
                b"node_request" => value.table(|node, value| {
                    let request = self.node(node, value)?;
                    value.object(|name, value| match name {
                        b"maintenance" => {
                            request.maintenance_requested = is(value.flag()?);
                            Ok(())
                        }
                        _ => value.skip(),
                    })
                })?,
                b"service_status" => value.table(|sid, value| {
                    let service = service(value)?;
                    if let Some((id, service)) = str(sid, value).map(sid_guest)?.zip(service) {
                        self.services.push((id, service));
                    }
                    Ok(())
                })?,
                _ => value.skip()?,
            }
            Ok(())
        })
    }

    fn lrms(&mut self, pull: &mut Pull) -> Result<(), Odd> {
        pull.table(|node, value| {
            let lrm = self.node(node, value)?;
            value.object(|name, value| {
                match name {
                    b"mode" => lrm.lrm = value.text()?.as_deref().map(lrm_mode),
                    b"timestamp" => lrm.lrm_at = time(value.int()?),
                    _ => value.skip()?,
                }
                Ok(())
            })
        })
    }

    fn quorum(&mut self, pull: &mut Pull) -> Result<(), Odd> {
        if pull.null() {
            return pull.skip();
        }
        pull.object(|name, value| {
            match name {
                b"quorate" => self.quorate = value.flag()?,
                _ => value.skip()?,
            }
            Ok(())
        })
    }

    fn node(&mut self, name: &[u8], pull: &Pull) -> Result<&mut HaNode, Odd> {
        let name = NodeName::from(str(name, pull)?);
        Ok(self.view.nodes.entry(name).or_insert(UNSEEN))
    }
}

fn str<'n>(name: &'n [u8], pull: &Pull) -> Result<&'n str, Odd> {
    std::str::from_utf8(name).map_err(|_| pull.odd("expected text in UTF-8"))
}

/// `None`: nobody says where it is.
fn service(pull: &mut Pull) -> Result<Option<HaService>, Odd> {
    let (mut node, mut state, mut target, mut command, mut maintenance_node) =
        (None, None, None, false, None);
    pull.object(|name, value| {
        match name {
            b"node" => node = value.text()?,
            b"state" => state = value.text()?,
            b"target" => target = value.text()?,
            b"cmd" => command = value.present()?,
            b"maintenance_node" => maintenance_node = value.text()?,
            _ => value.skip()?,
        }
        Ok(())
    })?;
    Ok(node.map(|node| HaService {
        node: NodeName::from(&*node),
        state: state.as_deref().unwrap_or("unknown").to_owned(),
        target: target.as_deref().map(NodeName::from),
        command,
        maintenance_node: maintenance_node.as_deref().map(NodeName::from),
    }))
}

fn node_state(word: &str) -> HaNodeState {
    match word {
        "online" => HaNodeState::Online,
        "maintenance" => HaNodeState::Maintenance,
        "fence" => HaNodeState::Fence,
        "gone" => HaNodeState::Gone,
        _ => HaNodeState::Unknown,
    }
}

fn lrm_mode(word: &str) -> LrmMode {
    match word {
        "active" => LrmMode::Active,
        "maintenance" => LrmMode::Maintenance,
        "restart" | "reboot" => LrmMode::Restart,
        "shutdown" => LrmMode::Shutdown,
        "disarm" => LrmMode::Disarm,
        _ => LrmMode::Other,
    }
}

#[cfg(test)]
mod tests;

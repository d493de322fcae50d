//! What HA's manager notes down of nodes and guests, in the model's words. Pure.

use super::views::{is, sid_guest, time};
use super::wire::{Flag, ManagerStatus, ServiceStatus, Text};
use crate::model::ids::NodeName;
use crate::model::observed::{HaNode, HaNodeState, HaService, HaView, LrmMode};
use crate::model::seen::Trouble;

/// A node of which nothing is said yet.
const UNSEEN: HaNode =
    HaNode { state: HaNodeState::Unknown, maintenance_requested: false, lrm: None, lrm_at: None };

/// # Errors
/// The member that was asked has lost quorum: what it shows then is a file that nobody updates.
pub fn ha(status: ManagerStatus) -> Result<HaView, Trouble> {
    if status.quorum.and_then(|quorum| quorum.quorate) == Some(Flag(false)) {
        let why = "the member that was asked for HA's state has no quorum";
        return Err(Trouble::Refused(why.to_owned()));
    }
    let notes = status.manager_status;
    let mut view = HaView {
        armed: !notes.disarm,
        master: notes.master_node.map(node),
        crm_at: time(notes.timestamp),
        ..HaView::default()
    };
    for (name, word) in notes.node_status.0 {
        row(&mut view, name).state = node_state(&word);
    }
    for (name, request) in notes.node_request.0 {
        row(&mut view, name).maintenance_requested = is(request.maintenance);
    }
    for (name, lrm) in status.lrm_status.0 {
        let row = row(&mut view, name);
        row.lrm = lrm.mode.as_deref().map(lrm_mode);
        row.lrm_at = time(lrm.timestamp);
    }
    let services = notes.service_status.0.into_iter();
    view.services = services.filter_map(|(sid, told)| Some((sid_guest(&sid)?, service(told)?))).collect();
    Ok(view)
}

fn row(view: &mut HaView, node: String) -> &mut HaNode {
    view.nodes.entry(NodeName(node)).or_insert(UNSEEN)
}

fn node(name: Text) -> NodeName {
    NodeName(name.0)
}

/// `None`: nobody says where it is.
fn service(told: ServiceStatus) -> Option<HaService> {
    Some(HaService {
        node: node(told.node?),
        state: told.state.map_or_else(|| "unknown".to_owned(), |state| state.0),
        target: told.target.map(node),
        command: told.cmd,
        maintenance_node: told.maintenance_node.map(node),
    })
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

//! The plain shell that gives everything back when pitlane is dead. For `pitlane owed` and for every work order.

use crate::model::case::Case;
use crate::model::observed::{GuestKind, Power};
use crate::model::owed::Whereabouts;

/// Commands for a root shell on a member of the cluster, in the order in which they are safe.
pub fn commands(case: &Case) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((host, _)) = &case.owed.noout {
        lines.push(format!(
            "ceph osd unset-group noout {host}    # when its OSDs are up again: ceph osd tree"
        ));
    }
    if case.owed.maintenance.is_some() {
        lines.push(format!("ha-manager crm-command node-maintenance disable {}", case.node));
    }
    for (id, debt) in case.owed.away() {
        let tool = match debt.kind {
            GuestKind::Qemu => "qm",
            GuestKind::Lxc => "pct",
        };
        let how = match (debt.kind, debt.was) {
            (_, Power::Stopped) => "",
            (GuestKind::Qemu, _) => " --online",
            (GuestKind::Lxc, _) => " --restart",
        };
        lines.push(match &debt.at {
            Whereabouts::ShutDown => format!("{tool} start {id}    # on {}", debt.home),
            _ if debt.ha => {
                format!("ha-manager migrate {}:{id} {}", if tool == "qm" { "vm" } else { "ct" }, debt.home)
            }
            Whereabouts::Away { node } => format!("{tool} migrate {id} {}{how}    # on {node}", debt.home),
            _ => format!("{tool} migrate {id} {}{how}    # on the node where it is now", debt.home),
        });
    }
    lines
}

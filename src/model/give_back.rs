//! The plain shell that gives back what is owed, for the day when pitlane itself is dead. Run on any member, as root.

use super::ids::NodeName;
use super::observed::{GuestKind, Power};
use super::owed::{GuestDebt, Owed, Whereabouts};
use super::time::to_the_second;

/// In the order in which it is safe: noout first (only once the OSDs are up), then HA, then the guests that HA does
/// not bring.
pub fn shell(node: &NodeName, owed: &Owed) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((host, _)) = &owed.noout {
        lines.push(format!(
            "ceph osd unset-group noout {host}    # only when the OSDs of {host} are up: ceph osd tree"
        ));
    }
    if owed.maintenance.is_some() {
        lines.push(format!("ha-manager crm-command node-maintenance disable {node}"));
    }
    for (guest, debt) in owed.away() {
        lines.push(match place(debt) {
            _ if debt.ha => {
                format!("# HA brings guest {guest} ({}) back to {} by itself", debt.name, debt.home)
            }
            Place::Home => start(guest.0, debt),
            Place::At(at) => {
                let (program, flag) = match (debt.kind, debt.was) {
                    (_, Power::Stopped) => (program(debt.kind), ""),
                    (GuestKind::Qemu, _) => ("qm", " --online"),
                    (GuestKind::Lxc, _) => ("pct", " --restart"),
                };
                format!("ssh root@{at} {program} migrate {guest} {}{flag}    # {}", debt.home, debt.name)
            }
            Place::Unknown => format!(
                "# guest {guest} ({}) belongs on {}; find it with: pvesh get /cluster/resources --type vm",
                debt.name, debt.home
            ),
        });
    }
    for target in owed.locate.keys() {
        lines.push(format!("# put out the locate LED of {node} ({target}) at its BMC"));
    }
    if let Some(held) = owed.silence.as_ref().filter(|held| !held.left) {
        let until = to_the_second(held.until);
        lines.push(match &held.id {
            Some(id) => {
                format!("amtool silence expire {id}    # alarms of {node}; it ends by itself at {until}")
            }
            None => format!("# a silence for {node} in Alertmanager ends by itself at {until}"),
        });
    }
    if let Some(order) = &owed.work_order {
        let ticket = order.ticket.as_ref().map_or("the work order".to_owned(), |t| format!("work order {t}"));
        lines.push(format!("# close {ticket} in its ticket system"));
    }
    lines
}

enum Place<'a> {
    Home,
    At(&'a NodeName),
    Unknown,
}

fn place(debt: &GuestDebt) -> Place<'_> {
    match &debt.at {
        Whereabouts::Aboard | Whereabouts::ShutDown | Whereabouts::Home => Place::Home,
        Whereabouts::Away { node } | Whereabouts::Stays { node: Some(node), .. } => Place::At(node),
        Whereabouts::Leaving { .. } | Whereabouts::Returning { .. } | Whereabouts::Stays { .. } => {
            Place::Unknown
        }
    }
}

fn program(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Qemu => "qm",
        GuestKind::Lxc => "pct",
    }
}

/// It is where it belongs; if it was running, it shall run.
fn start(guest: u32, debt: &GuestDebt) -> String {
    match debt.was {
        Power::Running => format!(
            "ssh root@{home} '{program} status {guest} | grep -q running || {program} start {guest}'    # {name}",
            home = debt.home,
            program = program(debt.kind),
            name = debt.name
        ),
        Power::Stopped | Power::Unknown => format!("# guest {guest} ({}) is where it belongs", debt.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::GuestId;
    use crate::model::owed::Debt;

    fn debt() -> Debt {
        let at = "2026-01-01T00:00:00Z".parse().expect("a valid instant");
        Debt { since: at, reason: "case 1".into(), alarm_at: at, seen: true, unsure: false }
    }

    fn guest(kind: GuestKind, was: Power, ha: bool, at: Whereabouts) -> GuestDebt {
        GuestDebt { name: "web".into(), kind, home: "pve2".into(), was, ha, native: false, at, missing: None }
    }

    #[test]
    fn everything_owed_has_its_line_in_a_safe_order() {
        let away = || Whereabouts::Away { node: "pve3".into() };
        let owed = Owed {
            maintenance: Some(debt()),
            noout: Some(("ceph-2".into(), debt())),
            guests: [
                (GuestId(101), guest(GuestKind::Qemu, Power::Running, false, away())),
                (GuestId(102), guest(GuestKind::Lxc, Power::Running, false, away())),
                (GuestId(103), guest(GuestKind::Qemu, Power::Stopped, false, away())),
                (GuestId(104), guest(GuestKind::Qemu, Power::Running, true, away())),
                (GuestId(105), guest(GuestKind::Qemu, Power::Running, false, Whereabouts::Home)),
            ]
            .into(),
            ..Owed::default()
        };
        let lines = shell(&"pve2".into(), &owed);
        assert!(lines[0].starts_with("ceph osd unset-group noout ceph-2 "), "{lines:?}");
        assert_eq!(lines[1], "ha-manager crm-command node-maintenance disable pve2");
        assert!(lines[2].starts_with("ssh root@pve3 qm migrate 101 pve2 --online"), "{lines:?}");
        assert!(lines[3].starts_with("ssh root@pve3 pct migrate 102 pve2 --restart"), "{lines:?}");
        assert!(lines[4].starts_with("ssh root@pve3 qm migrate 103 pve2    #"), "{lines:?}");
        assert!(lines[5].starts_with("# HA brings guest 104"), "{lines:?}");
        assert_eq!(lines.len(), 6, "what is home has no line: {lines:?}");
    }
}

//! Which nodes a running guest must not go to because of their processor or their version. Proxmox compares neither: a
//! guest that sees its node's own processor (`cpu: host`) arrives well on an unlike one and dies later.
//!
//! Named models need no care of ours: QEMU refuses to start where a feature is missing, and the guest stays where it is.

use std::collections::BTreeMap;

use super::view::View;
use crate::model::ids::NodeName;
use crate::model::observed::{Guest, GuestDetail, GuestKind, Machine, Power, Survey};

/// Configured like this a guest sees what its node has.
const NATIVE: [&str; 2] = ["host", "max"];
/// Features named in a reason; the rest is counted.
const NAMED_MAX: usize = 3;

/// It sees its node's own processor, as far as its configuration says.
pub fn native(detail: &GuestDetail) -> bool {
    detail.cpu.as_deref().is_some_and(|cpu| NATIVE.contains(&cpu))
}

/// Nodes that this guest must not move to live, with the reason. Empty for those that do not run.
pub fn unfit(
    row: &Guest,
    detail: &GuestDetail,
    leaving: Option<&NodeName>,
    view: &View,
) -> BTreeMap<NodeName, String> {
    let power = detail.live.as_ref().map_or(row.power, |live| live.power);
    let Some(leaving) = leaving.filter(|_| row.kind == GuestKind::Qemu && power != Power::Stopped) else {
        return BTreeMap::new();
    };
    let Ok(cluster) = view.cluster() else { return BTreeMap::new() };
    // Asked for every guest against every node: what is the same for all of them is looked up once.
    let (native, survey) = (native(detail), view.survey(leaving).ok());
    let from = survey.and_then(|survey| known(survey, &row.node));
    let others = cluster.nodes.keys().filter(|node| **node != row.node);
    others
        .filter_map(|node| {
            let to = survey.and_then(|survey| known(survey, node));
            Some((node.clone(), why_not(native, from, to)?))
        })
        .collect()
}

fn why_not(native: bool, from: Option<&Machine>, to: Option<&Machine>) -> Option<String> {
    match likeness(native, from, to) {
        Likeness::Alike => None,
        Likeness::Unlike(why) => Some(why),
        // For any other guest QEMU itself refuses; this one would be taken, and crash.
        Likeness::Unseen => {
            native.then(|| "its processor cannot be seen, and the guest needs the same".to_owned())
        }
    }
}

/// Has one node what a guest has on another?
pub enum Likeness {
    Alike,
    Unlike(String),
    /// One of them cannot be seen.
    Unseen,
}

/// May a guest that runs on `from` go live to `to`? `native`: it sees its node's own processor. `of`: whose survey is read.
pub fn compare(native: bool, of: &NodeName, from: &NodeName, to: &NodeName, view: &View) -> Likeness {
    likeness(native, machine(of, from, view), machine(of, to, view))
}

fn likeness(native: bool, from: Option<&Machine>, to: Option<&Machine>) -> Likeness {
    let (Some(from), Some(to)) = (from, to) else { return Likeness::Unseen };
    if older(&to.version, &from.version) {
        return Likeness::Unlike(format!("it runs Proxmox {}, older than {}", to.version, from.version));
    }
    if !native {
        return Likeness::Alike;
    }
    let lacking: Vec<&str> = from.flags.difference(&to.flags).map(String::as_str).collect();
    match lacking.len() {
        0 => Likeness::Alike,
        n if n <= NAMED_MAX => Likeness::Unlike(format!("its processor lacks {}", lacking.join(", "))),
        n => Likeness::Unlike(format!(
            "its processor lacks {} and {} more features",
            lacking[..NAMED_MAX].join(", "),
            n - NAMED_MAX
        )),
    }
}

/// What the survey for `leaving` says of a member.
pub fn machine<'a>(leaving: &NodeName, node: &NodeName, view: &View<'a>) -> Option<&'a Machine> {
    known(view.survey(leaving).ok()?, node)
}

fn known<'a>(survey: &'a Survey, node: &NodeName) -> Option<&'a Machine> {
    let machine = survey.machines.get(node)?.any_age()?;
    (!machine.flags.is_empty()).then_some(machine)
}

/// By the first two numbers: within `9.2` guests go both ways.
fn older(one: &str, other: &str) -> bool {
    if one == other {
        return false;
    }
    let numbers = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    match (numbers(one), numbers(other)) {
        (Some(one), Some(other)) => one < other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::older;

    #[test]
    fn guests_go_forward_and_sideways_never_back() {
        assert!(older("9.1.5", "9.2.11") && older("8.4.21", "9.0.1") && older("9.9.1", "9.10.0"));
        assert!(!older("9.2.3", "9.2.11") && !older("9.3.0", "9.2.11") && !older("", "9.2.11"));
    }
}

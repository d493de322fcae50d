//! Commands on a member's shell, for a test that has a real sshd and the real `pitlane-hand` in front of the world:
//! `ha-manager`, `pvecm` and `ceph`, with the words and exit codes that the hand reads. The state files below `/etc/pve`
//! that it looks into come from here, too. Whatever else a root shell can do, this one cannot.

use std::collections::BTreeSet;

use serde_json::json;

use super::{ceph_json, show};
use crate::model::ids::{HostName, NodeName, OsdId};
use crate::model::observed::CephView;
use crate::model::seen::Trouble;
use crate::model::step::Switch;
use crate::sim::World;
use crate::sim::world::{Actor, Cut};

/// What a command did and said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub out: String,
    pub err: String,
    pub code: i32,
    /// It never ends by itself.
    pub hangs: bool,
}

impl Output {
    fn good(out: impl Into<String>) -> Self {
        Self { out: out.into(), err: String::new(), code: 0, hangs: false }
    }

    fn bad(code: i32, err: impl Into<String>) -> Self {
        Self { out: String::new(), err: err.into(), code, hangs: false }
    }

    fn hanging() -> Self {
        Self { hangs: true, ..Self::good("") }
    }

    /// For a reader without tools: 1 stdout, 2 stderr, 9 hangs, and last 0 with the exit code.
    pub fn lines(&self) -> String {
        let marked =
            |mark: &str, text: &str| text.lines().map(|line| format!("{mark}{line}\n")).collect::<String>();
        let hangs = if self.hangs { "9\n" } else { "" };
        format!("{}{}{hangs}0{}\n", marked("1", &self.out), marked("2", &self.err), self.code)
    }
}

/// Runs one command as root on `member`. The caller is pitlane's hand: what is unsafe panics.
pub(super) fn run(world: &mut World, member: &NodeName, tool: &str, words: &[&str]) -> Output {
    if !world.nodes.get(member).is_some_and(|node| node.powered()) {
        return Output::hanging();
    }
    match tool {
        "ha-manager" => ha_manager(world, member, words),
        "pvecm" => pvecm(world, member, words),
        "ceph" => ceph(world, member, &plain(words)),
        other => Output::bad(127, format!("{other}: command not found")),
    }
}

fn ha_manager(world: &mut World, member: &NodeName, words: &[&str]) -> Output {
    let (to, node) = match words {
        ["crm-command", "node-maintenance", "enable", node] => (Switch::On, node),
        ["crm-command", "node-maintenance", "disable", node] => (Switch::Off, node),
        _ => return Output::bad(255, "ERROR: unknown command"),
    };
    // A wrong name is accepted and dropped later, with a line in a log that nobody reads; the world keeps to that.
    match world.set_maintenance(Actor::Pitlane, member, &NodeName::from(*node), to) {
        Ok(()) => Output::good(""),
        Err(_) => Output::bad(255, "unable to write 'ha/crm_commands' - Permission denied"),
    }
}

fn pvecm(world: &World, member: &NodeName, words: &[&str]) -> Output {
    match words {
        ["status"] => {
            let quorate = if world.quorate(member) { "Yes" } else { "No" };
            let total: u32 = world.nodes.values().map(|node| node.votes).sum::<u32>() + world.qdevice;
            Output::good(format!(
                "Cluster information\n-------------------\nName:             lab\n\n\
                 Quorum information\n------------------\nNodes:            {}\nQuorate:          {quorate}\n\n\
                 Votequorum information\n----------------------\nExpected votes:   {total}\n",
                world.nodes.len()
            ))
        }
        ["nodes"] => {
            let online =
                world.nodes.iter().enumerate().filter(|(_, (name, _))| world.seen_online(member, name));
            let row = |(number, (name, node)): (usize, (&NodeName, &crate::sim::world::Node))| {
                let local = if name == member { " (local)" } else { "" };
                format!("{:>10} {:>10} {name}{local}\n", number + 1, node.votes)
            };
            let rows: String = online.map(row).collect();
            Output::good(format!(
                "\nMembership information\n----------------------\n    Nodeid      Votes Name\n{rows}"
            ))
        }
        _ => Output::bad(255, "ERROR: unknown command"),
    }
}

/// The words without the options of a client: `--conf FILE`, `--format json`, …
fn plain<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            // An option with `=` carries its value itself.
            Some(option) if option.contains('=') => {}
            Some(_) => {
                words.next();
            }
            None => kept.push(*word),
        }
    }
    kept
}

fn ceph(world: &mut World, member: &NodeName, words: &[&str]) -> Output {
    if world.ceph.is_none() {
        return Output::bad(1, "Error initializing cluster client: ObjectNotFound('RADOS object not found')");
    }
    let cut = world.nodes.get(member).is_some_and(|node| node.cut == Some(Cut::Network));
    match words {
        _ if cut => unreachable_monitors(),
        ["osd", "set-group", "noout", host] => change(set_noout(world, host, Switch::On)),
        ["osd", "unset-group", "noout", host] => change(set_noout(world, host, Switch::Off)),
        ["mgr", "fail", name] => change(world.fail_mgr(Actor::Pitlane, name)),
        ["osd", "ok-to-stop", ids @ ..] => ok_to_stop(world, ids),
        _ => match world.see_ceph() {
            Ok(view) => question(&view, words),
            Err(_) => unreachable_monitors(),
        },
    }
}

fn set_noout(world: &mut World, host: &str, to: Switch) -> Result<(), Trouble> {
    world.set_noout(Actor::Pitlane, &HostName::from(host), to)
}

/// What the client says when `--connect-timeout` is over.
fn unreachable_monitors() -> Output {
    Output::bad(1, "[errno 110] RADOS timed out (error connecting to the cluster)")
}

fn change(done: Result<(), Trouble>) -> Output {
    match done {
        Ok(()) => Output::good(""),
        Err(Trouble::TooSlow(_)) => unreachable_monitors(),
        Err(trouble) => Output::bad(22, trouble.to_string()),
    }
}

fn question(view: &CephView, words: &[&str]) -> Output {
    // Two questions are answered by a monitor without quorum, from memory; the rest waits.
    let json = match words {
        ["status"] => ceph_json::status(view),
        ["quorum_status"] => ceph_json::quorum_status(view),
        _ if !view.quorate() => return unreachable_monitors(),
        ["osd", "tree"] => ceph_json::osd_tree(view),
        ["osd", "dump"] => ceph_json::osd_dump(view),
        ["osd", "metadata"] => ceph_json::osd_metadata(view),
        ["osd", "crush", "rule", "dump"] => ceph_json::crush_rules(view),
        ["mgr", "dump"] => ceph_json::mgr_dump(view),
        ["fs", "dump"] => ceph_json::fs_dump(view),
        _ => return Output::bad(22, "Error EINVAL: invalid command"),
    };
    // The real client begins with an empty line.
    Output::good(format!("\n{json}\n"))
}

fn ok_to_stop(world: &World, ids: &[&str]) -> Output {
    let read: Option<BTreeSet<OsdId>> =
        ids.iter().map(|id| id.trim_start_matches("osd.").parse().ok().map(OsdId)).collect();
    let Some(asked) = read.filter(|asked| !asked.is_empty()) else {
        return Output::bad(22, "Error EINVAL: invalid OSD id");
    };
    match world.ask_ok_to_stop(&asked) {
        Ok(answer) => {
            let out = format!("\n{}\n", ceph_json::ok_to_stop(&answer));
            if answer.ok {
                return Output::good(out);
            }
            let pgs = answer.bad_pgs;
            let err = format!(
                "Error EBUSY: unsafe to stop osd(s) at this time ({pgs} PGs are or would become offline)"
            );
            Output { out, ..Output::bad(16, err) }
        }
        Err(Trouble::Refused(text)) => Output::bad(11, format!("Error {text}")),
        Err(_) => Output::hanging(),
    }
}

/// The files that the hand reads, below the root directory, as `member` has them.
pub(super) fn files(world: &World, member: &NodeName) -> Vec<(&'static str, String)> {
    let node = |(number, (name, node)): (usize, (&NodeName, &crate::sim::world::Node))| {
        let online = u8::from(world.seen_online(member, name));
        (name.to_string(), json!({ "id": number + 1, "online": online, "ip": node.address }))
    };
    let nodes: serde_json::Map<String, serde_json::Value> =
        world.nodes.iter().enumerate().map(node).collect();
    let members = json!({
        "nodename": member, "version": 4, "nodelist": nodes,
        "cluster": {
            "name": "lab", "version": nodes.len(), "nodes": nodes.len(), "quorate": u8::from(world.quorate(member)),
        },
    });
    // Commands that the master has not read yet: whoever asks in between must not think that nothing was asked for.
    let queued =
        world.ha.nodes.iter().filter(|(name, known)| world.ha.maintenance_asked(name) && !known.requested);
    let commands = queued.map(|(name, _)| format!("enable-node-maintenance {name}\n")).collect();
    let mut files = vec![
        ("etc/pve/.members", members.to_string()),
        ("etc/pve/ha/manager_status", show::manager_status(world).to_string()),
        ("etc/pve/ha/crm_commands", commands),
    ];
    if world.ceph.is_some() {
        files.push(("etc/pve/ceph.conf", "[global]\n".to_owned()));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_client_are_not_its_words() {
        let words =
            ["--conf", "/c", "--connect-timeout=5", "--format", "json", "osd", "ok-to-stop", "1", "2"];
        assert_eq!(plain(&words), ["osd", "ok-to-stop", "1", "2"]);
        assert_eq!(plain(&["osd", "tree", "--format", "json"]), ["osd", "tree"]);
    }

    #[test]
    fn the_exit_code_is_the_last_line() {
        let output = Output { out: "a\nb".into(), ..Output::bad(16, "no") };
        assert_eq!(output.lines(), "1a\n1b\n2no\n016\n");
    }
}

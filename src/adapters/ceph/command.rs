//! Everything we ever say to Ceph: a closed list. What is not here cannot be asked for, whatever the key allows.

use std::collections::BTreeSet;

use crate::model::ids::{HostName, OsdId};
use crate::model::reach::{Call, Effect, System};
use crate::model::step::Switch;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    QuorumStatus,
    Status,
    OsdTree,
    OsdDump,
    MgrDump,
    OsdMetadata,
    CrushRules,
    FsDump,
    /// One joint question; answers per OSD say nothing about a host.
    OkToStop(BTreeSet<OsdId>),
    /// One name a call: in a list, one bad name is only a line on stderr.
    Noout(HostName, Switch),
    FailMgr(String),
}

impl Command {
    /// The words, spelled out: the client completes abbreviations, so a short form might mean something else one day.
    pub fn words(&self) -> Vec<String> {
        let fixed = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect();
        match self {
            Self::QuorumStatus => fixed(&["quorum_status"]),
            Self::Status => fixed(&["status"]),
            Self::OsdTree => fixed(&["osd", "tree"]),
            Self::OsdDump => fixed(&["osd", "dump"]),
            Self::MgrDump => fixed(&["mgr", "dump"]),
            Self::OsdMetadata => fixed(&["osd", "metadata"]),
            Self::CrushRules => fixed(&["osd", "crush", "rule", "dump"]),
            Self::FsDump => fixed(&["fs", "dump"]),
            Self::OkToStop(ids) => {
                let ids = ids.iter().map(OsdId::to_string);
                ["osd", "ok-to-stop"].map(str::to_owned).into_iter().chain(ids).collect()
            }
            Self::Noout(host, Switch::On) => fixed(&["osd", "set-group", "noout", host.as_str()]),
            Self::Noout(host, Switch::Off) => fixed(&["osd", "unset-group", "noout", host.as_str()]),
            Self::FailMgr(name) => fixed(&["mgr", "fail", name]),
        }
    }

    /// One of each, with what is filled in as capitals.
    pub fn all() -> Vec<Self> {
        let host = || HostName::from("HOST");
        vec![
            Self::QuorumStatus,
            Self::Status,
            Self::OsdTree,
            Self::OsdDump,
            Self::MgrDump,
            Self::FsDump,
            Self::OsdMetadata,
            Self::CrushRules,
            Self::OkToStop([OsdId(0)].into()),
            Self::Noout(host(), Switch::On),
            Self::Noout(host(), Switch::Off),
            Self::FailMgr("MGR".to_owned()),
        ]
    }

    /// The capability that it needs, and whether it changes anything.
    fn needs(&self) -> (&'static str, Effect) {
        match self {
            Self::QuorumStatus | Self::Status | Self::OsdTree | Self::OsdDump | Self::MgrDump => {
                ("mon 'allow r'", Effect::Read)
            }
            Self::OsdMetadata | Self::CrushRules | Self::FsDump => ("mon 'allow r'", Effect::Read),
            Self::OkToStop(_) => ("mon 'allow r', mgr 'allow r'", Effect::Read),
            Self::Noout(_, Switch::On) => {
                (r#"mon 'allow command "osd set-group" with flags=noout'"#, Effect::Change)
            }
            Self::Noout(_, Switch::Off) => {
                (r#"mon 'allow command "osd unset-group" with flags=noout'"#, Effect::Change)
            }
            Self::FailMgr(_) => (r#"mon 'allow command "mgr fail"'"#, Effect::Change),
        }
    }

    /// What pitlane can say to Ceph.
    pub fn statement() -> Vec<Call> {
        let said = |command: Self| {
            let (needs, effect) = command.needs();
            let words = match &command {
                Self::OkToStop(_) => "osd ok-to-stop ID...".to_owned(),
                command => command.text(),
            };
            Call::new(System::Ceph, "run", format!("ceph {words}"), effect, needs)
        };
        Self::all().into_iter().map(said).collect()
    }

    /// For messages, and to find it in a recording.
    pub fn text(&self) -> String {
        self.words().join(" ")
    }
}

/// A name that may stand in a command: nothing that the client could read as an option, a list or a pattern.
pub fn is_plain_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_asked_about_as_a_whole() {
        let both = Command::OkToStop([OsdId(3), OsdId(2)].into());
        assert_eq!(both.text(), "osd ok-to-stop 2 3");
        assert_eq!(Command::Noout("node2".into(), Switch::Off).text(), "osd unset-group noout node2");
    }

    #[test]
    fn a_name_is_neither_an_option_nor_a_list() {
        for good in ["node2", "pve-1.example", "a_b"] {
            assert!(is_plain_name(good), "{good}");
        }
        for bad in ["", "--yes", "a b", "a,b", "node2~hdd", "*", "a\nb", "ä"] {
            assert!(!is_plain_name(bad), "{bad:?}");
        }
    }
}

//! Everything that is ever asked of the helper: a closed list. Its own list of verbs is a second one, on the other side.

use crate::model::reach::{Call, Effect, System};
use crate::model::step::Switch;

/// One request. Names are checked by whoever makes it.
#[derive(Clone, Copy, Debug)]
pub enum Verb<'a> {
    Show,
    /// HA maintenance of a node.
    Maintenance(Switch, &'a str),
    /// noout of one CRUSH host.
    Noout(Switch, &'a str),
    FailMgr(&'a str),
}

impl<'a> Verb<'a> {
    pub fn words(self) -> Vec<&'a str> {
        match self {
            Self::Show => vec!["show"],
            Self::Maintenance(to, node) => vec!["maintenance", word(to), node],
            Self::Noout(to, host) => vec!["noout", word(to), host],
            Self::FailMgr(name) => vec!["mgr-fail", name],
        }
    }

    fn effect(self) -> Effect {
        match self {
            Self::Show => Effect::Read,
            Self::Maintenance(..) | Self::Noout(..) | Self::FailMgr(_) => Effect::Change,
        }
    }

    /// What pitlane can say to the helper.
    pub fn statement() -> Vec<Call> {
        use Switch::{Off, On};
        let all = [
            Verb::Show,
            Verb::Maintenance(On, "NODE"),
            Verb::Maintenance(Off, "NODE"),
            Verb::Noout(On, "HOST"),
            Verb::Noout(Off, "HOST"),
            Verb::FailMgr("MGR"),
        ];
        let said = |verb: Verb| {
            let words = format!("pitlane-hand {}", verb.words().join(" "));
            Call::new(
                System::Hand,
                "run",
                words,
                verb.effect(),
                "the forced command in root's authorized_keys",
            )
        };
        all.map(said).into()
    }
}

pub fn word(to: Switch) -> &'static str {
    match to {
        Switch::On => "on",
        Switch::Off => "off",
    }
}

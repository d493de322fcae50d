//! Who did what: the world's own memory, for audits. No door shows it.

use crate::sim::world::word::Word;
use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::model::time::Time;

use super::World;

/// Who acts. The real cluster does not know: its flags have no owner. The world does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Actor {
    Pitlane,
    Human,
    /// Proxmox's HA manager.
    Ha,
}

/// Something that was done, as it was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub at: Time,
    pub by: Actor,
    /// `migrate`, `maintenance_on`, `noout_off`, `open_work_order`, …: the words of `Action::name`.
    #[serde(deserialize_with = "crate::sim::world::word::known")]
    pub kind: Word,
    /// Guest, node or host; for work orders the step's id.
    pub subject: String,
}

impl World {
    pub(crate) fn note_effect(&mut self, by: Actor, kind: &'static str, subject: impl ToString) {
        let subject = subject.to_string();
        self.effects.push(Effect { at: self.now, by, kind, subject });
        self.stir();
    }

    /// How often pitlane did what: kind → times.
    pub fn effects_of(&self, by: Actor) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for effect in self.effects.iter().filter(|e| e.by == by) {
            *counts.entry(effect.kind).or_default() += 1;
        }
        counts
    }
}

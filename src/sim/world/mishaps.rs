//! What goes wrong between pitlane and the world: answers lost, sources blind, refusals out of the blue.

use serde::{Deserialize, Serialize};

use crate::model::seen::Trouble;
use crate::model::time::Time;

use super::World;

/// A place where something can go wrong. `Pve…` below `PveMigrate` are parts of one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Call {
    PveFirst,
    PveSecond,
    PveHa,
    PveHaRules,
    PveVotes,
    PvePrivileges,
    PveNode,
    PveGuest,
    PveMigrate,
    PveCancel,
    PveStart,
    PveShutdown,
    HandShow,
    HandMaintenance,
    HandNoout,
    HandFailMgr,
    CephLook,
    OkToStop,
    CephNoout,
    CephFailMgr,
    SensorRead,
    TicketOpen,
    TicketTell,
    TicketLook,
    AlarmsPoll,
    Notify,
    PveInventory,
    BmcLook,
    BmcInventory,
    BmcLocate,
    PveTaskLog,
    PveGlance,
    PveSurvey,
    SilenceLook,
    SilenceSet,
    SilenceEnd,
}

impl Call {
    pub const ALL: [Self; 36] = [
        Self::PveFirst,
        Self::PveSecond,
        Self::PveHa,
        Self::PveHaRules,
        Self::PveVotes,
        Self::PvePrivileges,
        Self::PveNode,
        Self::PveGuest,
        Self::PveMigrate,
        Self::PveCancel,
        Self::PveStart,
        Self::PveShutdown,
        Self::HandShow,
        Self::HandMaintenance,
        Self::HandNoout,
        Self::HandFailMgr,
        Self::CephLook,
        Self::OkToStop,
        Self::CephNoout,
        Self::CephFailMgr,
        Self::SensorRead,
        Self::TicketOpen,
        Self::TicketTell,
        Self::TicketLook,
        Self::AlarmsPoll,
        Self::Notify,
        Self::PveInventory,
        Self::BmcLook,
        Self::BmcInventory,
        Self::BmcLocate,
        Self::PveTaskLog,
        Self::PveGlance,
        Self::PveSurvey,
        Self::SilenceLook,
        Self::SilenceSet,
        Self::SilenceEnd,
    ];

    /// It changes the world, so that a lost answer differs from a lost question.
    pub fn acts(self) -> bool {
        matches!(
            self,
            Self::PveMigrate
                | Self::PveCancel
                | Self::PveStart
                | Self::PveShutdown
                | Self::HandMaintenance
                | Self::HandNoout
                | Self::HandFailMgr
                | Self::CephNoout
                | Self::CephFailMgr
                | Self::TicketOpen
                | Self::TicketTell
                | Self::Notify
                | Self::BmcLocate
                | Self::SilenceSet
                | Self::SilenceEnd
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mishap {
    /// It never got there.
    Unreachable,
    Refused(String),
    Nonsense,
    /// No answer in time, and nothing happened.
    Slow,
    /// No answer in time, and it happened all the same.
    AnswerLost,
}

impl Mishap {
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Unreachable => Trouble::Unreachable("no connection".to_owned()),
            Self::Refused(text) => Trouble::Refused(text.clone()),
            Self::Nonsense => Trouble::Nonsense("an answer that is no JSON".to_owned()),
            Self::Slow | Self::AnswerLost => Trouble::TooSlow("no answer in time".to_owned()),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mishaps {
    spells: Vec<Spell>,
    /// Chance in percent that any call goes wrong, in any way.
    pub by_chance: u8,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Spell {
    call: Call,
    mishap: Mishap,
    /// So many calls more.
    times: u32,
    until: Time,
}

impl World {
    /// The next `times` calls of that kind go wrong.
    pub fn spoil(&mut self, call: Call, mishap: Mishap, times: u32) {
        self.mishaps.spells.push(Spell { call, mishap, times, until: Time::MAX });
    }

    /// Every call of that kind goes wrong until then.
    pub fn spoil_until(&mut self, call: Call, mishap: Mishap, until: Time) {
        self.mishaps.spells.push(Spell { call, mishap, times: u32::MAX, until });
    }

    /// All calls go well again.
    pub fn spoil_nothing(&mut self) {
        self.mishaps = Mishaps::default();
    }

    /// Asked by a door at each call: does this one go wrong?
    pub fn mishap(&mut self, call: Call) -> Option<Mishap> {
        let now = self.now;
        self.mishaps.spells.retain(|s| s.times > 0 && now < s.until);
        if let Some(spell) = self.mishaps.spells.iter_mut().find(|s| s.call == call) {
            spell.times = spell.times.saturating_sub(1);
            return Some(spell.mishap.clone());
        }
        if self.mishaps.by_chance == 0 || !self.chance.percent(self.mishaps.by_chance) {
            return None;
        }
        Some(match self.chance.below(if call.acts() { 5 } else { 3 }) {
            0 => Mishap::Unreachable,
            1 => Mishap::Slow,
            2 => Mishap::Nonsense,
            3 => Mishap::Refused("try again later".to_owned()),
            _ => Mishap::AnswerLost,
        })
    }
}

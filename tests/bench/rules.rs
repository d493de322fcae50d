//! The rules of the benches: what a plain cluster has, with every shipped policy.

use pitlane::model::rules::{CephSetup, HandSetup, Mode, Packing, Rules};

pub fn rules() -> Rules {
    Rules {
        mode: Mode::Approve,
        policies: pitlane::config::policy::load(None, &mut Default::default()),
        mapping: Default::default(),
        ceph: CephSetup::None,
        hand: HandSetup::Absent,
        alarms: Default::default(),
        budgets: Default::default(),
        limits: Default::default(),
        packing: Packing { cpu_overcommit: 16.0, ..Packing::default() },
        notify: Default::default(),
        own: pitlane::model::rules::OwnHome::outside(),
        silences: None,
        shared: None,
    }
}

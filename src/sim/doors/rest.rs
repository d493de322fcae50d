//! The other ports: the helper, Ceph, sensors, BMCs, work orders.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::model::fault::FaultKey;
use crate::model::ids::{CaseId, HostName, NodeName, OsdId, TicketRef};
use crate::model::notice::Notice;
use crate::model::observed::{
    AlarmsView, BmcView, CephView, HandView, Inventory, LocateTarget, OkToStop, Reading, WorkOrderView,
};
use crate::model::rules::SensorQuery;
use crate::model::seen::{Seen, Trouble};
use crate::model::silence::{Silence, SilencesView};
use crate::model::step::{StepId, Switch, WorkOrder};
use crate::model::time::Time;
use crate::ports::{Alarms, Bmc, Ceph, EndSilence, Hand, Notifier, Sensors, Tickets};
use crate::sim::World;
use crate::sim::world::board::Telling;
use crate::sim::world::{Actor, Call};

use super::Doors;

/// What the script calls itself.
const HAND_VERSION: &str = "1";

/// A member whose helper answers; one with quorum if there is any.
fn helper(world: &World, avoid: impl Fn(&NodeName) -> bool) -> Result<NodeName, Trouble> {
    if world.hand.is_empty() {
        return Err(Trouble::NotConfigured("the root helper is not installed".into()));
    }
    let answering = || world.hand.iter().filter(|n| !avoid(n) && world.hand_on(n).is_ok());
    answering()
        .find(|n| world.quorate(n))
        .or_else(|| answering().next())
        .cloned()
        .ok_or_else(|| Trouble::Unreachable("no member's helper answers".into()))
}

#[async_trait]
impl Hand for Doors {
    async fn show(&self, avoid: &BTreeSet<NodeName>) -> Seen<HandView> {
        let shown = self.ask(Call::HandShow, |world| {
            let member = helper(world, |n| avoid.contains(n))?;
            let quorate = world.quorate(&member);
            Ok((HandView { member, version: HAND_VERSION.into(), quorate }, world.ours()))
        });
        seen(shown)
    }

    async fn maintenance(&self, node: &NodeName, to: Switch) -> Result<(), Trouble> {
        self.act(Call::HandMaintenance, |world| {
            let via = helper(world, |n| n == node)?;
            world.hand_maintenance(Actor::Pitlane, &via, node, to)
        })
    }

    async fn noout(&self, host: &HostName, to: Switch, avoid: &NodeName) -> Result<(), Trouble> {
        self.act(Call::HandNoout, |world| {
            let via = helper(world, |n| n == avoid)?;
            world.hand_noout(Actor::Pitlane, &via, host, to)
        })
    }

    async fn fail_mgr(&self, mgr: &str, avoid: &NodeName) -> Result<(), Trouble> {
        self.act(Call::HandFailMgr, |world| {
            let via = helper(world, |n| n == avoid)?;
            world.hand_fail_mgr(Actor::Pitlane, &via, mgr)
        })
    }
}

#[async_trait]
impl Ceph for Doors {
    async fn look(&self) -> Seen<CephView> {
        seen(self.ask(Call::CephLook, |world| Ok((world.see_ceph()?, world.ours()))))
    }

    async fn ok_to_stop(&self, host: &HostName, view: &CephView) -> Seen<OkToStop> {
        seen(self.ask(Call::OkToStop, |world| {
            let asked: BTreeSet<_> = view.osds_of(host).map(|(id, _)| *id).collect();
            if asked.is_empty() {
                return Err(Trouble::Refused(format!("the tree has no OSDs under {host}")));
            }
            Ok((world.ask_ok_to_stop(&asked)?, world.ours()))
        }))
    }

    async fn may_stop(&self, osds: &BTreeSet<OsdId>, view: &CephView) -> Seen<OkToStop> {
        seen(self.ask(Call::OkToStop, |world| {
            if let Some(unknown) = osds.iter().find(|id| !view.osds.contains_key(id)) {
                return Err(Trouble::Refused(format!("the tree has no OSD {unknown}")));
            }
            Ok((world.ask_ok_to_stop(osds)?, world.ours()))
        }))
    }

    async fn noout(&self, host: &HostName, to: Switch) -> Result<(), Trouble> {
        self.act(Call::CephNoout, |world| world.set_noout(Actor::Pitlane, host, to))
    }

    async fn fail_mgr(&self, mgr: &str) -> Result<(), Trouble> {
        self.act(Call::CephFailMgr, |world| world.fail_mgr(Actor::Pitlane, mgr))
    }
}

#[async_trait]
impl Sensors for Doors {
    async fn read(&self, fault: &FaultKey, _query: &SensorQuery) -> Seen<Reading> {
        self.ask(Call::SensorRead, |world| Ok(world.read_sensor(fault))).unwrap_or_else(Seen::from)
    }
}

#[async_trait]
impl Alarms for Doors {
    async fn poll(&self) -> Seen<AlarmsView> {
        seen(self.ask(Call::AlarmsPoll, |world| Ok((world.see_alarms()?, world.ours()))))
    }

    async fn silences(&self) -> Seen<SilencesView> {
        seen(self.ask(Call::SilenceLook, |world| Ok((world.see_silences()?, world.ours()))))
    }

    async fn silence(&self, silence: &Silence, until: Time) -> Result<(), Trouble> {
        self.act(Call::SilenceSet, |world| world.pitlane_silences(silence, until))
    }

    async fn end_silence(&self, which: &EndSilence) -> Result<(), Trouble> {
        self.act(Call::SilenceEnd, |world| {
            let ours = world.see_silences()?.silences;
            let meant = ours.into_iter().filter(|silence| {
                silence.active
                    && !silence.edited
                    && match which {
                        EndSilence::Of(mark) => silence.mark == *mark,
                        EndSilence::Id(id) => silence.id == *id,
                    }
            });
            meant.into_iter().try_for_each(|silence| world.end_silence(Actor::Pitlane, &silence.id))
        })
    }
}

#[async_trait]
impl Bmc for Doors {
    async fn look(&self, node: &NodeName) -> Seen<BmcView> {
        seen(self.ask(Call::BmcLook, |world| Ok((world.see_bmc(node)?, world.ours()))))
    }

    async fn inventory(&self, node: &NodeName) -> Seen<Inventory> {
        seen(self.ask(Call::BmcInventory, |world| Ok((world.parts_outside(node)?, world.ours()))))
    }

    async fn locate(&self, node: &NodeName, target: &LocateTarget, to: Switch) -> Result<(), Trouble> {
        self.act(Call::BmcLocate, |world| world.locate(Actor::Pitlane, node, target, to))
    }
}

#[async_trait]
impl Notifier for Doors {
    async fn send(&self, notice: &Notice) -> Result<(), Trouble> {
        self.act(Call::Notify, |world| {
            // Pulling the kill switch does not stop pages: this is the one effect that it lets through.
            *world.heard.entry(notice.id.clone()).or_default() += 1;
            Ok(())
        })
    }
}

#[async_trait]
impl Tickets for Doors {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble> {
        self.act(Call::TicketOpen, |world| Ok(world.open_order(key, case, order)))
    }

    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.act(Call::TicketTell, |world| world.tell_order(key, case, Telling::Reopen, text))
    }

    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.act(Call::TicketTell, |world| world.tell_order(key, case, Telling::Comment, text))
    }

    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.act(Call::TicketTell, |world| world.tell_order(key, case, Telling::Close, text))
    }

    async fn look(&self, case: CaseId) -> Seen<WorkOrderView> {
        seen(self.ask(Call::TicketLook, |world| Ok((world.see_order(case)?, world.ours()))))
    }
}

fn seen<T>(answer: Result<(T, crate::model::time::Time), Trouble>) -> Seen<T> {
    match answer {
        Ok((value, at)) => Seen::known(value, at),
        Err(why) => why.into(),
    }
}

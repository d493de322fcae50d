//! What a decision may look at: the state, one look, the rules, and the instant that the look ended.
//!
//! Every accessor refuses what is unknown, stale or told by a member without quorum; whoever asks gets a [`Wait`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::case::Case;
use crate::model::fault::{Fault, FaultKey, Unplaced};
use crate::model::ids::{CaseId, GuestId, HostName, NodeName, OsdId, PolicyName};
use crate::model::observed::{
    AlarmsView, CephView, GuestDetail, HaRules, HaView, NodeDetail, Observed, OkToStop, Opinion, Survey,
};
use crate::model::rates::Rates;
use crate::model::rules::{CephSetup, Policy, Rules};
use crate::model::seen::{Blind, Seen};
use crate::model::silence::SilencesView;
use crate::model::state::State;
use crate::model::time::{Period, Time, age};
use crate::model::wait::{Source, Wait};

use super::correlate::{self, Storm};
use super::faults;
use super::plan::Planned;
use super::resolve::Cluster;

/// Twice the pace of the polls: one of them may be lost.
const ALARMS_FRESH: Duration = Duration::from_secs(60);

/// Twice as long as one is kept: what changes within minutes is not in it.
const SURVEY_FRESH: Duration = Duration::from_secs(600);

/// The world as one decision sees it.
pub struct View<'a> {
    pub state: &'a State,
    pub seen: &'a Observed,
    pub rules: &'a Rules,
    pub now: Time,
    /// What is broken, as far as its node can be told. Nothing while the members cannot: an alert names a node only if
    /// somebody can say who is a member.
    pub placed: Vec<Fault>,
    /// Why there may be more.
    unplaceable: Option<Wait>,
    pub unplaced: Vec<Unplaced>,
    pub unplaced_more: BTreeMap<String, usize>,
    /// Faults that are one thing, and no hardware.
    pub storms: Vec<Storm>,
    /// Plans made in this turn: several ask, and a large cluster's takes some hundredths of a second.
    pub(super) plans: RefCell<Plans>,
    /// Moves that begin in this very turn: neither the readings nor the state know of them, and the next case has to.
    pub(super) begun: RefCell<BTreeMap<GuestId, (NodeName, NodeName)>>,
}

/// By node, case and policy.
type Plans = BTreeMap<(NodeName, Option<CaseId>, PolicyName), Result<Planned, Wait>>;

impl<'a> View<'a> {
    pub fn new(state: &'a State, seen: &'a Observed, rules: &'a Rules) -> Self {
        let mut view = Self {
            state,
            seen,
            rules,
            now: seen.at,
            placed: Vec::new(),
            unplaceable: None,
            unplaced: Vec::new(),
            unplaced_more: BTreeMap::new(),
            storms: Vec::new(),
            plans: RefCell::default(),
            begun: RefCell::default(),
        };
        match view.cluster() {
            Ok(members) => {
                let cluster = Cluster { members, ceph: seen.ceph.any_age() };
                let derived = faults::derive(seen, cluster, rules, &state.past);
                view.storms = correlate::storms(&derived.all_told, rules, view.now);
                (view.placed, view.unplaced, view.unplaceable) =
                    (derived.faults, derived.unplaced, derived.unseen);
                view.unplaced_more = derived.unplaced_more;
            }
            Err(wait) => view.unplaceable = Some(wait),
        }
        view
    }

    /// Somebody has looked without a break since then. What was good before a break may have been bad in it.
    pub fn watched(&self, since: Time) -> bool {
        // An instant still to come is from before our clock was set back.
        since >= self.seen.watching_since && since <= self.now
    }

    pub fn fresh<T>(&self, source: Source, seen: &'a Seen<T>) -> Result<&'a T, Wait> {
        seen.fresh(self.now, self.rules.limits.fresh_for.0).map_err(|why| Wait::CannotSee { source, why })
    }

    /// What the first member says. Only with quorum: without it a member answers old data.
    pub fn cluster(&self) -> Result<&'a Opinion, Wait> {
        quorate(self.fresh(Source::Cluster, &self.seen.pve.first)?)
    }

    /// What a second member says; `None` where fewer than two members beside `without` are online.
    pub fn second(&self, without: &NodeName) -> Result<Option<&'a Opinion>, Wait> {
        let others =
            self.cluster()?.nodes.iter().filter(|(name, row)| row.online && *name != without).count();
        if others < 2 {
            return Ok(None);
        }
        quorate(self.fresh(Source::SecondMember, &self.seen.pve.second)?).map(Some)
    }

    pub fn ha(&self) -> Result<&'a HaView, Wait> {
        self.fresh(Source::Ha, &self.seen.pve.ha)
    }

    pub fn ha_rules(&self) -> Result<&'a HaRules, Wait> {
        self.fresh(Source::HaRules, &self.seen.pve.ha_rules)
    }

    pub fn node(&self, node: &NodeName) -> Result<&'a NodeDetail, Wait> {
        match self.seen.pve.nodes.get(node) {
            Some(seen) => self.fresh(Source::Node, seen),
            None => Err(not_asked(Source::Node)),
        }
    }

    pub fn guest(&self, guest: GuestId) -> Result<&'a GuestDetail, Wait> {
        match self.seen.pve.guests.get(&guest) {
            Some(seen) => self.fresh(Source::Guest, seen),
            None => Err(not_asked(Source::Guest)),
        }
    }

    /// Backups, replication and processors, as they were read for this node.
    pub fn survey(&self, node: &NodeName) -> Result<&'a Survey, Wait> {
        let survey = self.seen.surveys.get(node).ok_or_else(|| not_asked(Source::Survey))?;
        let old = age(self.now, survey.asked_at);
        if old <= SURVEY_FRESH {
            return Ok(survey);
        }
        let why = Blind::Stale { age: Period::secs(old.as_secs()) };
        Err(Wait::CannotSee { source: Source::Survey, why })
    }

    /// Our token sees every guest. Without the right to, lists are shorter in silence, and an empty list means nothing.
    ///
    /// # Errors
    /// It does not, or that cannot be told.
    pub fn sees_guests(&self) -> Result<(), Wait> {
        let (privilege, path) = ("VM.Audit", "/vms");
        if self.fresh(Source::Privileges, &self.seen.pve.privileges)?.allows(privilege, path) {
            return Ok(());
        }
        Err(Wait::MissingPrivilege { privilege: privilege.to_owned(), path: path.to_owned() })
    }

    pub fn has_ceph(&self) -> bool {
        self.rules.ceph == CephSetup::Hyperconverged
    }

    /// What Ceph shows, if its monitors have quorum: without it everything it shows may be old.
    pub fn ceph(&self) -> Result<&'a CephView, Wait> {
        let ceph = self.fresh(Source::Ceph, &self.seen.ceph)?;
        if ceph.quorate() {
            Ok(ceph)
        } else {
            Err(Wait::CephNoQuorum { have: ceph.quorum.len(), monitors: ceph.monitors.len() })
        }
    }

    /// The node's CRUSH host; `None` for a node that carries no OSD, or without Ceph.
    ///
    /// # Errors
    /// Some host belongs to a member that could not be told: it may be this one, and then it has OSDs.
    pub fn host(&self, node: &NodeName) -> Result<Option<&'a HostName>, Wait> {
        if !self.has_ceph() {
            return Ok(None);
        }
        let ceph = self.ceph()?;
        match ceph.hosts.get(node) {
            None if !ceph.unmatched_hosts().is_empty() => Err(Wait::HostUnknown { node: node.clone() }),
            host => Ok(host),
        }
    }

    pub fn ok_to_stop(&self, host: &HostName) -> Result<&'a OkToStop, Wait> {
        match self.seen.ok_to_stop.get(host) {
            Some(seen) => self.fresh(Source::OkToStop, seen),
            None => Err(not_asked(Source::OkToStop)),
        }
    }

    /// The joint answer about exactly these OSDs of a node that is served in place.
    pub fn may_stop(&self, node: &NodeName, osds: &BTreeSet<OsdId>) -> Result<&'a OkToStop, Wait> {
        match self.seen.may_stop.get(node) {
            Some(seen) => {
                let answer = self.fresh(Source::OkToStop, seen)?;
                // It was asked before the last disk was found: the next look asks about all of them.
                if osds.is_subset(&answer.asked) { Ok(answer) } else { Err(not_asked(Source::OkToStop)) }
            }
            None => Err(not_asked(Source::OkToStop)),
        }
    }

    /// What Alertmanager lists. Old for longer than other facts: it is asked every 30 s at most, and what it lists is
    /// as old as a scrape and an evaluation anyway.
    pub fn alarms(&self) -> Result<&'a AlarmsView, Wait> {
        let fresh = self.seen.alarms.fresh(self.now, ALARMS_FRESH);
        fresh.map_err(|why| Wait::CannotSee { source: Source::Alarms, why })
    }

    /// What Alertmanager shows of our silences; as old as what it lists may be.
    pub fn silences(&self) -> Result<&'a SilencesView, Wait> {
        let fresh = self.seen.silences.fresh(self.now, ALARMS_FRESH);
        fresh.map_err(|why| Wait::CannotSee { source: Source::Alarms, why })
    }

    pub fn faults(&self) -> Result<&[Fault], Wait> {
        match &self.unplaceable {
            Some(wait) => Err(wait.clone()),
            None => Ok(&self.placed),
        }
    }

    pub fn fault(&self, key: &FaultKey) -> Result<Option<&Fault>, Wait> {
        Ok(self.faults()?.iter().find(|fault| &fault.key == key))
    }

    /// An alarm of the case's node that speaks against its return: of the case itself, or of a kind that drains nodes.
    pub fn failing(&self, case: &Case) -> Result<Option<&Fault>, Wait> {
        let drains = |fault: &Fault| {
            self.rules.policy(&fault.policy).is_some_and(|policy| policy.respond.action.opens_a_case())
        };
        let of_case = |fault: &&Fault| {
            fault.key.node == case.node
                && fault.fires()
                && (case.faults.contains(&fault.key) || drains(fault))
        };
        Ok(self.faults()?.iter().find(of_case))
    }

    pub fn policy(&self, case: &Case) -> Result<&'a Policy, Wait> {
        self.rules.policy(&case.policy).ok_or_else(|| Wait::PolicyGone { policy: case.policy.clone() })
    }

    /// The policy that speaks for one fault of a case; see [`Rules::policy_of`].
    pub fn policy_of(&self, case: &Case, fault: &FaultKey) -> Result<&'a Policy, Wait> {
        self.rules
            .policy_of(&case.policy, &fault.class)
            .ok_or_else(|| Wait::PolicyGone { policy: case.policy.clone() })
    }

    /// How fast guests move: as measured, or the defaults. For forecasts and orders, never for what is safe.
    pub fn rates(&self) -> &'a Rates {
        &self.state.rates
    }

    /// Nodes that are out or going out because of another case of ours.
    pub fn held_by_others(&self, node: &NodeName) -> BTreeSet<&'a NodeName> {
        self.state.cases.iter().filter(|c| &c.node != node && c.holds_the_node()).map(|c| &c.node).collect()
    }

    /// Nodes that are off already or may be switched off at any moment, because of another case of ours.
    pub fn off_with_others(&self, node: &NodeName) -> BTreeSet<&NodeName> {
        let whole = self.state.cases.iter().filter(|c| c.in_place.is_none());
        whole.filter(|c| &c.node != node && c.holds_the_node()).map(|c| &c.node).collect()
    }

    /// Monitors in quorum that stay when the node is off. Proxmox names a monitor after its node; another node that we handed
    /// over is on still, and may be switched off at any moment.
    ///
    /// # Errors
    /// Ceph cannot be seen.
    pub fn monitors_without(&self, node: &NodeName) -> Result<usize, Wait> {
        let off = self.off_with_others(node);
        let stays =
            |monitor: &str| monitor != node.as_str() && off.iter().all(|node| monitor != node.as_str());
        Ok(self.ceph()?.quorum.iter().filter(|monitor| stays(monitor.as_str())).count())
    }

    /// Who pulled the kill switch, if it is pulled.
    pub fn paused(&self) -> Option<String> {
        if self.seen.kill_file {
            return Some("the kill file".to_owned());
        }
        self.state.paused.as_ref().map(|pause| pause.by.to_string())
    }
}

fn quorate(opinion: &Opinion) -> Result<&Opinion, Wait> {
    if opinion.quorate { Ok(opinion) } else { Err(Wait::NoQuorum { member: opinion.member.clone() }) }
}

fn not_asked(source: Source) -> Wait {
    Wait::CannotSee { source, why: Blind::NotAsked }
}

//! A small world for the tests of single decisions: four nodes with nothing on them, all seen just now.

use std::collections::BTreeMap;

use crate::model::case::{Case, Origin, Phase};
use crate::model::ids::CaseId;
use crate::model::observed::{
    Capacity, Guest, GuestKind, HaRules, HaView, Maintained, NodeDetail, NodeRow, Observed, Opinion, Power,
    Privileges, Task, TaskEnd,
};
use crate::model::plan::Plan;
use crate::model::proof::Clearance;
use crate::model::rules::{
    CephSetup, Confirm, ContainerPolicy, Correlate, ImmovablePolicy, Mode, OwnHome, Policy, Prove, Respond,
    Response, Rules, Scope, WorkOrderText,
};
use crate::model::seen::Seen;
use crate::model::time::{Period, Time, after};
use crate::model::verdict::{Answer, Check, CheckName, Verdict};

/// So many seconds after noon.
pub fn at(secs: u64) -> Time {
    let noon: Time = "2026-03-01T12:00:00Z".parse().expect("an instant");
    after(noon, std::time::Duration::from_secs(secs))
}

/// Now, in all of these tests.
pub const NOW: u64 = 100_000;

/// Power supplies: three nodes within ten minutes, quiet for an hour is over.
pub fn rules() -> Rules {
    let confirm = Confirm {
        steady_for: Period::mins(5),
        or_episodes: 3,
        within: Period::hours(2),
        clears_after: Period::hours(1),
    };
    let respond = Respond {
        action: Response::Drain,
        mode: Mode::Act,
        when: None,
        time_box: Period::hours(4),
        locate: false,
        containers: ContainerPolicy::Ask,
        immovable: ImmovablePolicy::Block,
        second_person: false,
        canary: false,
        on_overrun: Default::default(),
        move_within: None,
    };
    let psu = Policy {
        name: "psu".into(),
        matchers: Vec::new(),
        or_matchers: Vec::new(),
        class: "psu".into(),
        component_labels: Vec::new(),
        confirm,
        respond,
        work_order: WorkOrderText { title: String::new(), checklist: Vec::new() },
        prove: Prove { soak: Period::hours(2), checks: Vec::new() },
        sensor: None,
        notify: Default::default(),
        memory: Default::default(),
        correlate: Some(Correlate { nodes: 3, within: Period::mins(10), scope: Scope::Cluster }),
    };
    Rules {
        mode: Mode::Act,
        policies: vec![psu],
        mapping: Default::default(),
        ceph: CephSetup::None,
        alarms: Default::default(),
        hand: Default::default(),
        budgets: Default::default(),
        limits: Default::default(),
        notify: Default::default(),
        packing: Default::default(),
        own: OwnHome::outside(),
        silences: Default::default(),
        shared: None,
    }
}

/// `pve1` to `pve4`, of 100 GiB each.
pub fn world() -> Observed {
    let now = at(NOW);
    let capacity = Capacity { cores: 32, memory: 100 << 30, memory_used: 0, uptime: NOW };
    let row = NodeRow { online: true, address: None, capacity: Some(capacity), storages: BTreeMap::new() };
    let nodes = ["pve1", "pve2", "pve3", "pve4"].map(|node| (node.into(), row.clone()));
    let opinion =
        Opinion { member: "pve1".into(), quorate: true, nodes: nodes.into(), guests: BTreeMap::new() };
    let granted = [("/".to_owned(), ["VM.Audit".to_owned()].into())].into();
    let mut seen = Observed::nothing(now);
    seen.watching_since = at(0);
    seen.pve.first = Seen::known(opinion.clone(), now);
    seen.pve.second = Seen::known(Opinion { member: "pve3".into(), ..opinion }, now);
    seen.pve.ha = Seen::known(HaView { armed: true, ..HaView::default() }, now);
    seen.pve.ha_rules = Seen::known(HaRules::default(), now);
    seen.pve.privileges = Seen::known(Privileges { granted }, now);
    for node in ["pve1", "pve2", "pve3", "pve4"] {
        seen.pve.nodes.insert(node.into(), Seen::known(detail(Vec::new()), now));
    }
    seen
}

/// Changes what both members say of the cluster.
pub fn told(seen: &mut Observed, change: impl Fn(&mut Opinion)) {
    for opinion in [&mut seen.pve.first, &mut seen.pve.second] {
        if let Seen::Known { value, .. } = opinion {
            change(value);
        }
    }
}

/// These nodes are off.
pub fn off(seen: &mut Observed, nodes: &[&str]) {
    let off = |row: &mut NodeRow| row.online = false;
    told(seen, |opinion| nodes.iter().for_each(|node| opinion.nodes.get_mut(*node).map_or((), off)));
}

/// What a node tells of itself.
pub fn detail(tasks: Vec<Task>) -> NodeDetail {
    NodeDetail {
        live: BTreeMap::new(),
        tasks,
        services: BTreeMap::new(),
        clock_ahead: 0,
        version: "9.1".into(),
        maintained: Maintained::No,
    }
}

/// A migration of guest 7 off `pve2` that began then, and how it ended.
pub fn migration(started: u64, ended: Option<(u64, &str)>) -> Task {
    Task {
        upid: crate::model::ids::Upid(format!("UPID:pve2:{started}")),
        node: "pve2".into(),
        kind: "qmigrate".into(),
        guest: Some(crate::model::ids::GuestId(7)),
        started: at(started),
        ended: ended.map(|(ended, status)| TaskEnd { at: at(ended), status: status.to_owned() }),
    }
}

/// A virtual machine of 1 GiB that runs.
pub fn guest(node: &str) -> Guest {
    Guest {
        name: "c".into(),
        kind: GuestKind::Qemu,
        node: node.into(),
        power: Power::Running,
        template: false,
        memory: 1 << 30,
        memory_used: 1 << 30,
        cpus: 1,
        lock: None,
        ha: false,
        uptime: NOW,
    }
}

/// Case 1, of `pve2`, opened at noon.
pub fn case(phase: Phase) -> Case {
    let origin = Origin::Person { by: "alice".into(), reason: "fan".into(), yes: true };
    Case {
        id: CaseId(1),
        node: "pve2".into(),
        policy: "psu".into(),
        origin,
        opened_at: at(0),
        faults: Default::default(),
        phase,
        in_place: None,
        owed: Default::default(),
        wait: None,
        overran: false,
        late: false,
        heal: false,
        took: None,
        parts: Default::default(),
        revision: 0,
    }
}

/// Of `pve2`, where nothing is to be done.
pub fn plan() -> Plan {
    Plan {
        node: "pve2".into(),
        maintenance: false,
        noout: None,
        moves: Vec::new(),
        ha: BTreeMap::new(),
        stops: BTreeMap::new(),
        stays: BTreeMap::new(),
        in_place: Default::default(),
        canary: None,
        warnings: Vec::new(),
        forecast: None,
    }
}

/// It leaves since then, by this plan.
pub fn draining(since: u64, plan: Plan) -> Phase {
    let answer = Answer::Pass;
    let pass =
        Check { name: CheckName::Quorum, answer, reading: String::new(), age: None, reasons: Vec::new() };
    let verdict = Verdict { node: plan.node.clone(), at: at(since), checks: vec![pass], cards: Vec::new() };
    let clearance = Clearance::of(&verdict, plan, None).expect("nothing stands in the way");
    let (course, failed_at) = (Vec::new(), BTreeMap::new());
    Phase::Draining { since: at(since), clearance, empty: None, course, failed_at }
}

//! A store, a clock and a looker in memory, with one case that is handed over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};

use crate::model::access::{KnownToken, Role};
use crate::model::alert::{Episode, Episodes};
use crate::model::case::{Case, Handover, Origin, Phase};
use crate::model::fault::FaultKey;
use crate::model::ids::{CaseId, GuestId, NodeName, RequestId};
use crate::model::note::{Note, Noted};
use crate::model::observed::GuestKind;
use crate::model::owed::{Debt, Owed, WorkOrderDebt};
use crate::model::plan::{How, Move, Plan};
use crate::model::rates::{Basis, Forecast, Took};
use crate::model::request::{Reply, Request};
use crate::model::rules::{
    Budgets, CephSetup, Confirm, ContainerPolicy, HandSetup, ImmovablePolicy, Limits, Mapping, Mode, Packing,
    Policy, ProofCheck, Prove, Respond, Response, Rules, WorkOrderText,
};
use crate::model::seen::Trouble;
use crate::model::shown::{InForce, Judged, RefusedConfig, Shown, Unread, Unreadable};
use crate::model::state::{Decision, State};
use crate::model::step::{Attempt, Outcome, StepId};
use crate::model::time::{Period, Time, after};
use crate::model::verdict::{Answer, Check, CheckName, Verdict};
use crate::model::wait::Wait;
use crate::ports::{Archive, Clock, Configuration, Ingested, Looker, Store, Uncommitted};
use crate::telemetry::Metrics;
use crate::web::{Access, App};

pub const NOON: &str = "2026-01-01T12:00:00Z";

/// So many seconds after noon.
pub fn at(secs: u64) -> Time {
    after(NOON.parse().expect("a valid instant"), std::time::Duration::from_secs(secs))
}

pub struct HandClock(Mutex<Time>);

impl HandClock {
    pub fn set(&self, now: Time) {
        *self.0.lock().expect("no test panics holding it") = now;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Time {
        *self.0.lock().expect("no test panics holding it")
    }
}

#[derive(Default)]
pub struct World {
    requests: Mutex<Vec<Request>>,
    /// Of case 7, where it is not handed over.
    phase: Mutex<Option<Phase>>,
}

impl World {
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panics holding it").clone()
    }
}

fn case() -> Case {
    let debt = Debt { since: at(0), reason: "case 7".into(), alarm_at: at(3600), seen: true, unsure: false };
    let order = WorkOrderDebt {
        warning: None,
        warned: 0,
        since: at(0),
        round: 1,
        ticket: None,
        names: Default::default(),
        why: Default::default(),
    };
    Case {
        id: CaseId(7),
        node: "pve2".into(),
        policy: "manual".into(),
        origin: Origin::Person { by: "alice".into(), reason: "fan".into(), yes: false },
        opened_at: at(0),
        faults: [FaultKey { node: "pve2".into(), class: "fan".into(), component: "FAN3".into() }].into(),
        phase: Phase::HandedOver {
            since: at(0),
            handover: Handover::Died { at: at(0) },
            claim: None,
            cancelled: None,
        },
        owed: Owed { maintenance: Some(debt), work_order: Some(order), ..Owed::default() },
        wait: Some(Wait::Technician),
        overran: false,
        late: false,
        heal: false,
        in_place: None,
        took: Some(Took {
            since: at(0),
            until: Some(at(905)),
            planned: Some(Forecast { secs: 840, stream: 1 << 30, basis: Basis::Default }),
        }),
        parts: Default::default(),
        revision: 3,
    }
}

#[async_trait]
impl Store for World {
    async fn load(&self) -> Result<State, Trouble> {
        Ok(State::default())
    }

    async fn episodes(&self, _: Time) -> Result<Episodes, Trouble> {
        Ok(Episodes::default())
    }

    async fn commit(&self, _: &Decision, _: Time) -> Result<(), Uncommitted> {
        panic!("a face committed a decision")
    }

    async fn record(&self, _: &StepId, _: Time, _: &Outcome) -> Result<(), Trouble> {
        panic!("a face took a step")
    }

    async fn ingest(&self, _: Vec<Episode>) -> Result<Ingested, Trouble> {
        Ok(Ingested::default())
    }

    async fn level(
        &self,
        _: Vec<crate::model::alert::Listed>,
        _: Vec<crate::model::alert::EpisodeKey>,
        _: Time,
    ) -> Result<Ingested, Trouble> {
        panic!("a face told what fires")
    }

    async fn poison(&self, _: &[u8], _: &str, _: Time) -> Result<(), Trouble> {
        Ok(())
    }

    async fn learn(&self, _: Vec<crate::model::rates::Measured>) -> Result<(), Trouble> {
        panic!("a face measured something")
    }

    async fn learned(&self) -> Result<Vec<crate::model::rates::Measured>, Trouble> {
        Ok(Vec::new())
    }

    async fn request(&self, request: &Request) -> Result<(), Trouble> {
        let mut all = self.requests.lock().expect("no test panics holding it");
        if all.iter().all(|r| r.id != request.id) {
            all.push(request.clone());
        }
        Ok(())
    }

    async fn reply(&self, id: &RequestId) -> Result<Option<Reply>, Trouble> {
        let known = self.requests().iter().any(|r| &r.id == id);
        Ok(known.then_some(Reply::Accepted { case: Some(CaseId(7)) }))
    }
}

#[async_trait]
impl Archive for World {
    async fn cases(&self, _: usize) -> Result<Vec<Case>, Trouble> {
        Ok(vec![case()])
    }

    async fn case(&self, id: CaseId) -> Result<Option<Case>, Trouble> {
        let phase = self.phase.lock().expect("no test panics holding it").clone();
        let mut case = case();
        case.phase = phase.unwrap_or(case.phase);
        Ok((id == CaseId(7)).then_some(case))
    }

    async fn journal(&self, case: Option<CaseId>, after: u64, _: usize) -> Result<Vec<(u64, Note)>, Trouble> {
        let what = Noted::PersonOpened { node: "pve2".into(), by: "alice".into(), reason: "fan".into() };
        let note = Note { at: at(0), case: Some(CaseId(7)), what };
        Ok(if after < 1 && case != Some(CaseId(8)) { vec![(1, note)] } else { Vec::new() })
    }

    async fn ledger(&self, _: CaseId) -> Result<BTreeMap<StepId, Attempt>, Trouble> {
        Ok(BTreeMap::new())
    }

    async fn unreadable(&self, newest: usize) -> Result<Unreadable, Trouble> {
        let one = Unread { at: at(0), why: "no JSON".into(), size: 5, beginning: "hello".into() };
        Ok(Unreadable { count: 1, newest: vec![one; newest.min(1)] })
    }
}

/// A configuration that was read again and found to be wrong.
struct Wrong;

#[async_trait]
impl Configuration for Wrong {
    async fn reload(&self) -> InForce {
        self.in_force()
    }

    fn in_force(&self) -> InForce {
        let refused = RefusedConfig { at: at(0), mistakes: vec!["pitlane.yaml:1:1: mdoe".into()] };
        InForce { since: at(0), needs_restart: Vec::new(), tickets_lack: Vec::new(), refused: Some(refused) }
    }
}

struct Judge;

#[async_trait]
impl Looker for Judge {
    async fn judge(&self, node: &NodeName) -> Result<Judged, Trouble> {
        if node.as_str() == "gone" {
            return Err(Trouble::Unreachable("no member answers".into()));
        }
        let reasons = match node.as_str() {
            "stranger" => vec![Wait::NotAMember { node: node.clone() }],
            _ => vec![Wait::NodeOffline { node: node.clone() }],
        };
        let check = Check {
            name: CheckName::Quorum,
            answer: Answer::Block,
            reading: "2 of 3".into(),
            age: Some(Period::secs(1)),
            reasons,
        };
        let verdict = Verdict { node: node.clone(), at: at(0), checks: vec![check], cards: Vec::new() };
        Ok(Judged { verdict, plan: None, in_place: None })
    }
}

fn policy() -> Policy {
    let hour = Period::hours(1);
    Policy {
        name: "manual".into(),
        matchers: Vec::new(),
        or_matchers: Vec::new(),
        class: "manual".into(),
        component_labels: Vec::new(),
        confirm: Confirm { steady_for: hour, or_episodes: 1, within: hour, clears_after: hour },
        respond: Respond {
            action: Response::Drain,
            mode: Mode::Approve,
            when: None,
            time_box: hour,
            locate: false,
            second_person: false,
            canary: false,
            on_overrun: Default::default(),
            move_within: None,
            containers: ContainerPolicy::Ask,
            immovable: ImmovablePolicy::Block,
        },
        work_order: WorkOrderText {
            title: "{{ node }}: maintenance".into(),
            checklist: vec!["clean {{ component }}".into()],
        },
        prove: Prove { soak: hour, checks: vec![ProofCheck::AlertsClear] },
        sensor: None,
        notify: Default::default(),
        memory: Default::default(),
        correlate: None,
    }
}

pub struct Parts {
    pub app: App,
    pub world: Arc<World>,
    pub clock: Arc<HandClock>,
    shown: watch::Sender<Arc<Shown>>,
}

impl Parts {
    /// The last turn could not see the cluster.
    pub fn blind(&self, why: &str) {
        let why = Trouble::Unreachable(why.into());
        self.shown.send_modify(|shown| Arc::make_mut(shown).observed.pve.first = why.into());
    }

    /// Case 7 waits with a plan of one move and one guest that is shut down.
    pub fn wait_for_approval(&mut self) {
        self.wait_with_a_guest_called("web1");
    }

    /// The same, and this is what the guest is called, and why another one is shut down.
    pub fn wait_with_a_guest_called(&mut self, name: &str) {
        let step = Move {
            guest: GuestId(101),
            name: name.into(),
            kind: GuestKind::Qemu,
            to: "pve3".into(),
            how: How::Live,
            from: None,
            after: Vec::new(),
        };
        let plan = Plan {
            node: "pve2".into(),
            maintenance: true,
            noout: None,
            moves: vec![step],
            ha: Default::default(),
            stops: [(
                GuestId(102),
                if name == "web1" { "a passed-through device".into() } else { name.into() },
            )]
            .into(),
            stays: Default::default(),
            warnings: Vec::new(),
            in_place: Default::default(),
            canary: None,
            forecast: Some(Forecast { secs: 840, stream: 1 << 30, basis: Basis::Default }),
        };
        let phase = Phase::Preparing {
            since: at(0),
            approval: None,
            shown: Some(plan.hash()),
            room: Default::default(),
        };
        *self.world.phase.lock().expect("no test panics holding it") = Some(phase);
        self.shown.send_modify(|shown| {
            Arc::make_mut(shown).show.plans.insert("pve2".into(), plan);
        });
    }

    /// The next turn makes another plan, and has not ended yet.
    pub fn forget_plans(&self) {
        self.shown.send_modify(|shown| Arc::make_mut(shown).show.plans.clear());
    }
}

/// A token of each role, whose text is the role's name.
fn tokens() -> Vec<KnownToken> {
    Role::ALL
        .map(|role| KnownToken {
            name: role.name().into(),
            role,
            sha256: Sha256::digest(role.name().as_bytes()).into(),
            clusters: None,
        })
        .to_vec()
}

pub fn parts() -> Parts {
    let world = Arc::new(World::default());
    let clock = Arc::new(HandClock(Mutex::new(at(0))));
    let mut shown = Shown::nothing();
    Arc::make_mut(&mut shown.state).cases = vec![case()];
    shown.turn_at = at(0);
    shown.observed.at = at(0);
    shown.pace = Period::secs(10);
    shown.show.safe_to_power_off.insert(CaseId(7), Ok(at(0)));
    let rules = Rules {
        mode: Mode::Approve,
        policies: vec![policy()],
        mapping: Mapping::default(),
        ceph: CephSetup::None,
        hand: HandSetup::Absent,
        alarms: Default::default(),
        budgets: Budgets::default(),
        limits: Limits::default(),
        packing: Packing::default(),
        notify: Default::default(),
        own: crate::model::rules::OwnHome::outside(),
        silences: None,
        shared: None,
    };
    let (sender, shown) = watch::channel(Arc::new(shown));
    let app = App {
        cluster: None,
        store: world.clone(),
        archive: world.clone(),
        shown,
        looker: Arc::new(Judge),
        clock: clock.clone(),
        rules: Arc::new(rules),
        bell: Arc::new(Notify::new()),
        registry: Metrics::new().expect("names differ").registry(),
        access: Arc::new(Access::new(tokens(), false)),
        pace: Arc::default(),
        configuration: Some(Arc::new(Wrong)),
        needed_rights: &[("VM.Audit", "/vms")],
    };
    Parts { app, world, clock, shown: sender }
}

//! The store through its front door, and through SQLite's back door where somebody else's hand is played.

mod board;
mod copies;
mod deciding;
mod journal;
mod keep;
mod kept;
mod spoilt;
mod told;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::case::{Ending, Origin, Phase};
use crate::model::fault::FaultKey;
use crate::model::ids::{Fingerprint, NodeName, Person, TicketRef};
use crate::model::labels::Labels;
use crate::model::note::Noted;
use crate::model::observed::WorkOrderStatus;
use crate::model::owed::{Debt, Owed};
use crate::model::proof::{Drained, EmptyRead, Settled};
use crate::model::request::Ask;
use crate::model::seen::Seen;
use crate::model::state::Pause;
use crate::model::step::{Action, Step, WorkOrder};
use crate::model::time::after;
use crate::ports::Tickets;

struct Hands(Mutex<Time>);

impl Clock for Hands {
    fn now(&self) -> Time {
        *self.0.lock().expect("no test panics with the clock in hand")
    }
}

fn at(secs: u64) -> Time {
    after("2026-03-01T10:00:00Z".parse().expect("a time"), Duration::from_secs(secs))
}

const DAY: u64 = 24 * 3600;

struct Bench {
    dir: TempDir,
    clock: Arc<Hands>,
    store: Option<SqliteStore>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            dir: tempfile::tempdir().expect("a directory"),
            clock: Arc::new(Hands(Mutex::new(at(0)))),
            store: None,
        };
        bench.reopen();
        bench
    }

    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(open(self.dir.path(), self.clock.clone()).expect("opens"));
    }

    fn store(&self) -> &SqliteStore {
        self.store.as_ref().expect("open")
    }

    fn set(&self, now: Time) {
        *self.clock.0.lock().expect("whole") = now;
    }

    async fn commit(&self, decision: Decision) -> Result<(), Uncommitted> {
        self.store().commit(&decision, self.clock.now()).await
    }

    /// What somebody with a shell could do to the file.
    fn meddle(&self, statement: &str) {
        let conn = Connection::open(self.dir.path().join(open::DATABASE)).expect("opens");
        conn.busy_timeout(Duration::from_secs(5)).expect("waits");
        conn.execute_batch(statement).expect(statement);
    }
}

fn case(id: u64, phase: Phase) -> Case {
    let fault = FaultKey { node: "pve1".into(), class: "fan".into(), component: "FAN3".into() };
    Case {
        id: CaseId(id),
        node: "pve1".into(),
        policy: "fan".into(),
        origin: Origin::Alarm { fault: fault.clone() },
        opened_at: at(0),
        faults: BTreeSet::from([fault]),
        phase,
        owed: Owed::default(),
        wait: None,
        overran: false,
        late: false,
        heal: false,
        in_place: None,
        took: None,
        parts: Default::default(),
        revision: 0,
    }
}

fn confirming() -> Phase {
    Phase::Confirming { since: at(0) }
}

fn note(case: u64, what: Noted) -> Note {
    Note { at: at(1), case: Some(CaseId(case)), what }
}

fn remark(text: &str) -> Noted {
    Noted::Remark { by: Person::from("anna"), text: text.into() }
}

fn comment_step(case: u64, subject: &str) -> Step {
    Step {
        id: StepId::new(CaseId(case), subject),
        case: CaseId(case),
        node: "pve1".into(),
        action: Action::Comment { text: "words".into() },
        not_after: at(60),
    }
}

fn request(id: &str, ask: Ask) -> Request {
    Request { id: RequestId::from(id), by: Person::from("anna"), at: at(2), ask }
}

fn episode(alert: u64, start: u64, end: Option<u64>) -> Episode {
    Episode {
        fingerprint: Fingerprint(alert.to_string()),
        labels: Labels::from([("node", format!("pve{alert}"))]),
        starts_at: at(start),
        received_at: at(start + 1),
        ends_at: end.map(at),
    }
}

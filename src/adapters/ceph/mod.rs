//! Ceph, through its own client with a narrow key: looking, the joint question before stopping a host, `noout` for
//! one host, and handing the manager over.
//!
//! It must never: believe anything without asking the monitors for their majority in the same round (they answer
//! with old health and `HEALTH_OK` when they have lost it); ask about OSDs or name buckets that the tree does not
//! show (Ceph says yes to what does not exist); write what is so already; or trust an exit code where it can look.
//!
//! Needed rights, and no more:
//! `mon 'allow r, allow command "osd set-group" with flags=noout, allow command "osd unset-group" with flags=noout,
//! allow command "mgr fail"' mgr 'allow r'`.

mod command;
mod error;
mod hosts;
mod pools;
mod runner;
mod view;
mod wire;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

pub use command::Command;
pub use error::CephError;
pub use runner::{Answer, CephProgram, Runner};

use crate::model::ids::{HostName, OsdId};
use crate::model::observed::{CephView, OkToStop};
use crate::model::seen::{Seen, Trouble};
use crate::model::step::Switch;
use crate::ports::{Ceph, Clock};
use wire::{Dump, Flags, Metadata, MgrDump, OkBody, QuorumStatus, Rule, Status, Tree};

/// How long Ceph may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One call. A read takes 0.4 s, a write 1 s more; without quorum or manager it takes for ever.
    pub call: Duration,
    /// One look, all of its calls together: "unknown" must be said within 15 s.
    pub look: Duration,
    /// The joint question: while a manager takes over it waits 30 s before it answers "ask again".
    pub ok_to_stop: Duration,
    /// A write with the reads before and after it.
    pub write: Duration,
    /// Between two tries of "ask again", and between two looks for an effect.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(15),
            look: Duration::from_secs(14),
            ok_to_stop: Duration::from_secs(45),
            write: Duration::from_secs(45),
            pause: Duration::from_secs(1),
        }
    }
}

/// One cluster.
pub struct CephClient {
    runner: Arc<dyn Runner>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// One call at a time: a monitor in trouble is not helped by more of us.
    turn: Semaphore,
    slow: Mutex<Option<Slow>>,
}

/// What changes only when the map says so, kept with the map's own marks.
#[derive(Clone)]
struct Slow {
    mark: (u64, Vec<(i64, u64)>),
    rules: Vec<Rule>,
    metadata: Vec<Metadata>,
}

impl CephClient {
    pub fn new(runner: Arc<dyn Runner>, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { runner, clock, limits, turn: Semaphore::new(1), slow: Mutex::new(None) }
    }

    /// Any answer with any exit code, before `until`.
    async fn call(&self, command: &Command, until: Instant) -> Result<Answer, CephError> {
        let too_slow = |limit| CephError::TooSlow { command: command.text(), limit };
        let waited = timeout_at(until, self.turn.acquire()).await.map_err(|_| too_slow(self.limits.call))?;
        let _mine = waited.expect("the semaphore is never closed");
        let limit = until.saturating_duration_since(Instant::now()).min(match command {
            Command::OkToStop(_) => self.limits.ok_to_stop,
            _ => self.limits.call,
        });
        // The runner keeps the limit; this one is for a runner that does not.
        let last = Instant::now() + limit + Duration::from_secs(2);
        timeout_at(last, self.runner.run(command, limit)).await.map_err(|_| too_slow(limit))?
    }

    async fn ask<T: DeserializeOwned>(&self, command: &Command, until: Instant) -> Result<T, CephError> {
        let answer = self.call(command, until).await?;
        match answer.rc {
            0 => wire::read(command, &answer.stdout),
            _ => Err(CephError::of(&command.text(), &answer)),
        }
    }

    /// The first question of every round.
    async fn quorum(&self, until: Instant) -> Result<QuorumStatus, CephError> {
        let quorum: QuorumStatus = self.ask(&Command::QuorumStatus, until).await?;
        let all: BTreeSet<&String> = quorum.monmap.mons.iter().map(|mon| &mon.name).collect();
        let have = quorum.quorum_names.iter().filter(|name| all.contains(name)).count();
        if have * 2 > all.len() { Ok(quorum) } else { Err(CephError::NoQuorum { have, all: all.len() }) }
    }

    async fn try_look(&self) -> Result<CephView, CephError> {
        let until = Instant::now() + self.limits.look;
        let quorum = self.quorum(until).await?;
        let tree = self.ask(&Command::OsdTree, until).await?;
        let dump: Dump = self.ask(&Command::OsdDump, until).await?;
        let mgrs = self.ask(&Command::MgrDump, until).await?;
        let Slow { rules, metadata, .. } = self.slow(&dump, until).await?;
        // Last, so that its quorum closes the round.
        let status: Status = self.ask(&Command::Status, until).await?;
        // Most clusters have no filesystem, and each call costs a third of a second of CPU.
        let filesystems = match status.serves_no_filesystem() {
            true => None,
            false => Some(self.ask(&Command::FsDump, until).await?),
        };
        let view = view::Round { quorum, tree, dump, mgrs, rules, metadata, status, filesystems }.view()?;
        if view.quorate() {
            Ok(view)
        } else {
            Err(CephError::NoQuorum { have: view.quorum.len(), all: view.monitors.len() })
        }
    }

    /// Rules change with the CRUSH map, a host name with an OSD's start: asked again only then, for each call costs
    /// a third of a second of CPU.
    async fn slow(&self, dump: &Dump, until: Instant) -> Result<Slow, CephError> {
        let starts: Option<Vec<(i64, u64)>> = dump.osds.iter().map(|o| Some((o.osd, o.up_from?))).collect();
        let mark = dump.crush_version.zip(starts);
        let kept = self.slow.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| Some(&kept.mark) == mark.as_ref()) {
            return Ok(kept);
        }
        let rules = self.ask(&Command::CrushRules, until).await?;
        let metadata = self.ask(&Command::OsdMetadata, until).await?;
        let markless = mark.is_none();
        let fresh = Slow { mark: mark.unwrap_or_default(), rules, metadata };
        let keep = (!markless).then(|| fresh.clone());
        *self.slow.lock().unwrap_or_else(PoisonError::into_inner) = keep;
        Ok(fresh)
    }

    // Ceph would say yes to what does not exist; so we do not ask.
    async fn try_host(&self, host: &HostName, view: &CephView) -> Result<OkToStop, CephError> {
        let asked: BTreeSet<_> = view.osds_of(host).map(|(id, _)| *id).collect();
        if asked.is_empty() {
            return Err(CephError::Unwilling(format!("the tree shows no OSD on a host named {host}")));
        }
        self.try_ok_to_stop(asked).await
    }

    async fn try_osds(&self, osds: &BTreeSet<OsdId>, view: &CephView) -> Result<OkToStop, CephError> {
        if let Some(unknown) = osds.iter().find(|id| !view.osds.contains_key(id)) {
            return Err(CephError::Unwilling(format!("the tree shows no OSD {unknown}")));
        }
        if osds.is_empty() {
            return Err(CephError::Unwilling("no OSD is named".to_owned()));
        }
        self.try_ok_to_stop(osds.clone()).await
    }

    async fn try_ok_to_stop(&self, asked: BTreeSet<OsdId>) -> Result<OkToStop, CephError> {
        let until = Instant::now() + self.limits.ok_to_stop;
        // Without a majority Ceph still says yes.
        self.quorum(until).await?;
        let command = Command::OkToStop(asked.clone());
        let answer = loop {
            let answer = self.call(&command, until).await?;
            match answer.rc {
                0 | 16 => break answer,
                // A manager that just took over; it will know in a moment.
                11 if Instant::now() + self.limits.pause < until => sleep(self.limits.pause).await,
                _ => return Err(CephError::of(&command.text(), &answer)),
            }
        };
        let body: OkBody = wire::read(&command, &answer.stdout)?;
        let garbled = |why: &str| Err(CephError::Garbled { command: command.text(), why: why.to_owned() });
        if body.osds != asked.iter().map(|id| id.0).collect() {
            return garbled("it is about other OSDs than those asked for");
        }
        if body.ok_to_stop != (answer.rc == 0) {
            return garbled("its exit code and its body disagree");
        }
        Ok(OkToStop { asked, ok: body.ok_to_stop, ok_pgs: body.num_ok_pgs, bad_pgs: body.num_not_ok_pgs })
    }

    /// The manager's answer is about the moment of its last try, however long it took to come to that.
    fn seen(&self, answer: Result<OkToStop, CephError>) -> Seen<OkToStop> {
        match answer {
            Ok(answer) => Seen::known(answer, self.clock.now()),
            Err(error) => Trouble::from(error).into(),
        }
    }

    async fn try_noout(&self, host: &HostName, to: Switch) -> Result<(), CephError> {
        let until = Instant::now() + self.limits.write;
        if !command::is_plain_name(host.as_str()) {
            return Err(CephError::Unwilling(format!("{:?} is not the name of a host", host.0)));
        }
        // Every write makes a new map, even one that changes nothing.
        if self.has_noout(host, until).await? == (to == Switch::On) {
            return Ok(());
        }
        // Taking needs a host bucket: `default`, `hdd` or `osd.4` would be taken just as well. Giving back does not.
        if to == Switch::On {
            let tree: Tree = self.ask(&Command::OsdTree, until).await?;
            if !hosts::is_host(&tree, host) {
                return Err(CephError::Unwilling(format!("the tree shows no host named {host}")));
            }
        }
        let command = Command::Noout(host.clone(), to);
        let doubt = self.write(&command, until).await?;
        match (self.has_noout(host, until).await, doubt) {
            (Ok(now), _) if now == (to == Switch::On) => Ok(()),
            (_, Some(doubt)) => Err(doubt),
            (Ok(_), None) => {
                let why = format!("the map shows noout of {host} unchanged");
                Err(CephError::NotDone { command: command.text(), why })
            }
            (Err(blind), None) => Err(blind),
        }
    }

    async fn has_noout(&self, host: &HostName, until: Instant) -> Result<bool, CephError> {
        let flags: Flags = self.ask(&Command::OsdDump, until).await?;
        Ok(flags.crush_node_flags.get(host.as_str()).is_some_and(|flags| flags.contains("noout")))
    }

    async fn try_fail_mgr(&self, mgr: &str) -> Result<(), CephError> {
        let until = Instant::now() + self.limits.write;
        if !command::is_plain_name(mgr) {
            return Err(CephError::Unwilling(format!("{mgr:?} is not the name of a manager")));
        }
        let before: MgrDump = self.ask(&Command::MgrDump, until).await?;
        match (before.active_name == mgr, before.standby(mgr)) {
            (false, true) => return Ok(()),
            (false, false) => return Err(CephError::Unwilling(format!("there is no manager named {mgr}"))),
            (true, _) if before.standbys.is_empty() => {
                return Err(CephError::Unwilling(format!("nobody stands by to take over from {mgr}")));
            }
            (true, _) => {}
        }
        let command = Command::FailMgr(mgr.to_owned());
        let doubt = self.write(&command, until).await?;
        loop {
            let now: MgrDump = self.ask(&Command::MgrDump, until).await?;
            if now.active().is_some_and(|active| active != mgr) {
                return Ok(());
            }
            if Instant::now() + self.limits.pause >= until {
                let why = "no other manager has taken over".to_owned();
                return Err(doubt.unwrap_or(CephError::NotDone { command: command.text(), why }));
            }
            sleep(self.limits.pause).await;
        }
    }

    /// Asks for an effect. `Some`: it gave no clear answer, so only looking can tell.
    async fn write(&self, command: &Command, until: Instant) -> Result<Option<CephError>, CephError> {
        match self.call(command, until).await {
            Ok(answer) if answer.rc == 0 => Ok(None),
            Ok(answer) => Err(CephError::of(&command.text(), &answer)),
            Err(doubt) if doubt.leaves_doubt() => Ok(Some(doubt)),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Ceph for CephClient {
    async fn look(&self) -> Seen<CephView> {
        // True at least since the round began.
        let at = self.clock.now();
        match self.try_look().await {
            Ok(view) => Seen::known(view, at),
            Err(error) => Trouble::from(error).into(),
        }
    }

    async fn ok_to_stop(&self, host: &HostName, view: &CephView) -> Seen<OkToStop> {
        self.seen(self.try_host(host, view).await)
    }

    async fn may_stop(&self, osds: &BTreeSet<OsdId>, view: &CephView) -> Seen<OkToStop> {
        self.seen(self.try_osds(osds, view).await)
    }

    async fn noout(&self, host: &HostName, to: Switch) -> Result<(), Trouble> {
        Ok(self.try_noout(host, to).await?)
    }

    async fn fail_mgr(&self, mgr: &str) -> Result<(), Trouble> {
        Ok(self.try_fail_mgr(mgr).await?)
    }
}

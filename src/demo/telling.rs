//! The story as a person would tell it, or as JSON lines for machines.

use std::cell::Cell;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use crate::model::case::{Case, PhaseName};
use crate::model::note::{Note, Noted};
use crate::model::shown::{Progress, Shown};
use crate::model::time::{Time, age};
use crate::model::verdict::Verdict;
use crate::sim::World;
use crate::sim::world::Actor;

/// A line, as `println!` would write it; but a reader that has gone is no reason to panic.
macro_rules! out {
    ($teller:expr, $($words:tt)*) => { $teller.write(&format!($($words)*)) };
}

pub struct Teller {
    json: bool,
    /// Whoever read has read enough.
    closed: Cell<bool>,
    colour: bool,
    /// The journal's last entry that was told.
    seq: u64,
    now: Time,
    /// The verdict is told once, when it is clear.
    judged: bool,
}

impl Teller {
    pub fn new(json: bool, colour: bool) -> Self {
        Self {
            json,
            closed: Cell::new(false),
            colour: colour && !json,
            seq: 0,
            now: Time::UNIX_EPOCH,
            judged: false,
        }
    }

    /// Nobody reads any more: there is nobody to go on for.
    pub fn closed(&self) -> bool {
        self.closed.get()
    }

    fn write(&self, line: &str) {
        if writeln!(std::io::stdout(), "{line}").is_err() {
            self.closed.set(true);
        }
    }

    /// Up to where the journal was told.
    pub fn told(&self) -> u64 {
        self.seq
    }

    pub fn begin(&mut self, world: &World, case: Option<&Case>) {
        self.now = world.now;
        let running = world.guests.values().filter(|guest| guest.aboard()).count();
        let text = format!(
            "A simulated cluster: {} nodes with Ceph, {} guests, {running} of them running.",
            world.nodes.len(),
            world.guests.len()
        );
        match case {
            Some(case) => self
                .line("cluster", &format!("{text} It goes on with case {}, {}.", case.id, case.phase.name())),
            None => self.line("cluster", &text),
        }
    }

    /// What people do.
    pub fn person(&mut self, text: &str) {
        self.line("people", text);
    }

    /// What pitlane wrote in its journal.
    pub fn tell(&mut self, news: &[(u64, Note)]) {
        for (seq, note) in news {
            self.seq = *seq;
            self.now = note.at;
            if self.json {
                out!(
                    self,
                    "{}",
                    json!({"at": note.at, "who": "pitlane", "case": note.case, "text": note.what.to_string(), "note": note.what})
                );
            } else {
                self.line("pitlane", &note.what.to_string());
            }
            if matches!(note.what, Noted::Phase { .. }) {
                self.judged = false;
            }
        }
    }

    /// The verdict's checks, once, when the node may leave; and how far a drain is.
    pub fn verdict(&mut self, shown: &Shown) {
        self.now = self.now.max(shown.observed.at);
        for verdict in shown.show.verdicts.values() {
            if !self.judged && verdict.clear() {
                self.judged = true;
                self.checks(verdict);
            }
        }
        let Some(case) = shown.state.cases.first() else { return };
        if let (Some(Progress { done, all }), PhaseName::Draining | PhaseName::GivingBack) =
            (Progress::of(case), case.phase.name())
            && self.json
        {
            out!(
                self,
                "{}",
                json!({"at": self.now, "who": "progress", "phase": case.phase.name(), "done": done, "all": all})
            );
        }
    }

    fn checks(&self, verdict: &Verdict) {
        if self.json {
            out!(self, "{}", json!({"at": verdict.at, "who": "verdict", "verdict": verdict}));
            return;
        }
        out!(self, "\n          May {} leave now? Yes.", verdict.node);
        for check in &verdict.checks {
            out!(self, "            {:<4} {:<14} {}", check.answer, check.name, check.reading);
        }
        out!(self, "");
    }

    /// How it ended, for whoever pays for it.
    pub fn end(&mut self, case: &Case, world: &World, wrong: &[String]) {
        let did = world.effects_of(Actor::Pitlane);
        let by_ha = case.owed.guests.values().filter(|debt| debt.ha).count();
        let times = |kind: &str| did.get(kind).copied().unwrap_or(0);
        let out = age(world.now, case.opened_at).as_secs() / 60;
        if self.json {
            out!(
                self,
                "{}",
                json!({"at": world.now, "who": "end", "case": case.id, "minutes": out, "did": did, "by_ha": by_ha, "left_behind": wrong})
            );
            return;
        }
        out!(self, "\nThe invisible work: {out} minutes from the first alarm to the last guest home,");
        out!(
            self,
            "{} moves by pitlane, {by_ha} guests moved and brought back by HA, {} guest shut down with its device and started again,",
            times("migrate"),
            times("shutdown")
        );
        out!(self, "noout held once and given back, one work order.");
        if wrong.is_empty() {
            out!(self, "Nothing is owed.");
        }
        for line in wrong {
            out!(self, "LEFT BEHIND: {line}");
        }
    }

    /// How to go on by hand.
    pub fn serving(&self, address: SocketAddr, secret: &str, token: &Path) {
        if self.json {
            out!(
                self,
                "{}",
                json!({"who": "serving", "url": format!("http://{address}"), "token_file": token})
            );
            return;
        }
        let token = token.display();
        out!(self, "\nThe cluster lives on. The pages are at http://{address}/ (log in with: {secret})");
        out!(self, "From another shell:\n");
        out!(self, "  export PITLANE_URL=http://{address} PITLANE_TOKEN_FILE={token}");
        out!(self, "  pitlane check pve4");
        out!(self, "  pitlane drain pve4 --reason 'new firmware' --yes --wait");
        out!(self, "  pitlane cases; pitlane show CASE; pitlane done CASE; pitlane owed\n");
        out!(self, "Ctrl-C ends it.");
    }

    fn line(&self, who: &str, text: &str) {
        if self.json {
            out!(self, "{}", json!({"at": self.now, "who": who, "text": text}));
            return;
        }
        let clock = self.now.strftime("%H:%M:%S");
        match (who, self.colour) {
            ("people", true) => out!(self, "{clock}  \x1b[1m{text}\x1b[0m"),
            ("people", false) => out!(self, "{clock}  > {text}"),
            _ => out!(self, "{clock}  {text}"),
        }
    }
}

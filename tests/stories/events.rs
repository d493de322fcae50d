//! What a script lets happen to pitlane: alarms, requests, its own death, and a look at its page.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pitlane::model::case::{Case, Phase};
use pitlane::model::fault::FaultKey;
use pitlane::model::ids::{CaseId, NodeName, Person, PlanHash, RequestId};
use pitlane::model::request::{Ask, Request};
use pitlane::model::rules::{Attempts, Rules};
use pitlane::model::time::{Period, after, age};
use pitlane::ports::Clock as _;
use pitlane::sim::world::Sensor;
use pitlane::sim::world::sensor::episode;

use crate::happens::happens;
use crate::harness::Teller;
use crate::script::{Event, When};
use crate::setting::{mode_of, number};

impl Teller {
    /// Everything whose time has come, in the script's order.
    pub async fn happen(&mut self) -> Result<(), String> {
        let now = self.now();
        let (due, later): (Vec<Event>, Vec<Event>) = self
            .events
            .drain(..)
            .collect::<Vec<_>>()
            .into_iter()
            .partition(|e| self.due(e).is_some_and(|at| at <= now));
        self.events = later;
        for event in due {
            let words: Vec<&str> = event.words.iter().map(String::as_str).collect();
            self.event(&words).await.map_err(|why| format!("{}: {why}", event.words.join(" ")))?;
        }
        Ok(())
    }

    async fn event(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["alarm", node, part] => self.alarm(node, part, Sensor::Bad).await,
            // The same part by a second rule, which calls it critical.
            ["alarm", node, part, "critical"] => {
                let told = self.fires(node, part, Sensor::Bad);
                let labels = told.labels.with("severity", "critical");
                let mut told = pitlane::model::alert::Episode { labels, ..told };
                told.fingerprint.0.push_str("-critical");
                self.doors.world().list_alert(&told, false);
                self.ingest(told).await
            }
            // Fires, and nobody is notified: silenced by a colleague, or cut off by max_alerts.
            ["alarm", node, part, how @ ("silenced" | "left-out")] => {
                let told = self.fires(node, part, Sensor::Bad);
                self.doors.world().list_alert(&told, *how == "silenced");
                self.missed.store(*how == "left-out", Ordering::SeqCst);
                Ok(())
            }
            ["clears", node, part] => self.clear(node, part, Some(Sensor::Good)).await,
            // It is over, and Alertmanager never says so: restarted, it knows of nothing that it could resolve.
            ["clears", node, part, "swallowed"] => {
                let key = self.part(node, part);
                let began = self.firing.remove(&key).ok_or("that alarm does not fire")?;
                let mut world = self.doors.world();
                world.set_sensor(&key, Sensor::Good);
                world.unlist_alert(&episode(&key, began, None).key());
                Ok(())
            }
            // Prometheus repeats what fires, also to an Alertmanager that has forgotten everything.
            ["repeated", node, part] => {
                let key = self.part(node, part);
                let began = *self.firing.get(&key).ok_or("that alarm does not fire")?;
                self.doors.world().list_alert(&episode(&key, began, None), false);
                Ok(())
            }
            // A delivery from before it resolved comes late.
            ["stale", node, part] => {
                let key = self.part(node, part);
                let began = *self.fired.get(&key).ok_or("that alarm never fired")?;
                let told = episode(&key, began, None);
                self.ingest(pitlane::model::alert::Episode { received_at: self.now(), ..told }).await
            }
            // The alarm resolves although the part is as broken as before.
            ["resolves", node, part, "unseen"] => self.clear(node, part, Some(Sensor::Blind)).await,
            ["flaps", node, part, "times", times, "every", every] => {
                let every = number(every)?;
                for n in 0..number(times)? {
                    let at = after(self.now(), Duration::from_secs(n * every));
                    let key = self.part(node, part);
                    let told = episode(&key, at, Some(after(at, Duration::from_secs(every / 2))));
                    let told = pitlane::model::alert::Episode { received_at: self.now(), ..told };
                    self.ingest(told).await?;
                    self.doors.world().set_sensor(&key, Sensor::Bad);
                }
                Ok(())
            }
            ["sensor", node, part, to] => {
                let to = match *to {
                    "good" => Sensor::Good,
                    "bad" => Sensor::Bad,
                    "blind" => Sensor::Blind,
                    _ => return Err("good, bad or blind".to_owned()),
                };
                let key = self.part(node, part);
                self.doors.world().set_sensor(&key, to);
                Ok(())
            }
            ["ask", rest @ ..] => self.ask(rest).await,
            ["approver", "looks"] => self.approver_looks().await,
            ["mode", mode] => {
                self.rules.mode = mode_of(mode)?;
                self.restart();
                Ok(())
            }
            // The configuration is read again, with another calendar.
            ["hours", words @ ..] => {
                crate::hours::hours(words, &mut self.rules).ok_or("no such calendar")??;
                self.restart();
                Ok(())
            }
            ["silences", "off"] => {
                self.rules.silences = None;
                self.restart();
                Ok(())
            }
            // The process dies, and nobody starts it again for so long.
            ["pitlane", "dies", "for", secs] => {
                self.dead_until = after(self.now(), Duration::from_secs(number(secs)?));
                self.restart();
                Ok(())
            }
            ["page", node] => self.look_at_page(node),
            ["status"] => self.look_at_status().await,
            ["verdict", node] => self.look_at_verdict(node),
            // Nothing may begin any more: no node may be out, no drain is left for today, and the breaker is tripped.
            ["budgets", "exhausted"] => {
                exhaust(&mut self.rules);
                self.restart();
                Ok(())
            }
            // Our own store, as whoever copies it tells.
            ["store-backup", how @ ("fails" | "works")] => {
                let why = "backups: 3 MiB are free and a copy wants 65 MiB, so none was begun".to_owned();
                let fails = pitlane::model::observed::BackupFails { since: self.now(), why };
                self.reconciler.backup_fails((*how == "fails").then_some(fails));
                Ok(())
            }
            ["report", case] => self.look_at_report(CaseId(number(case)?)).await,
            ["time-box"] => self.look_at_time_box(),
            ["estate", what @ ..] => {
                let what: Vec<String> = what.iter().map(|word| (*word).to_owned()).collect();
                crate::estate::in_world(&mut self.doors.world(), &what)
            }
            ["cards", node] => self.look_at_cards(node),
            ["restart"] => {
                self.restart();
                Ok(())
            }
            ["kill-file", "appears"] => {
                let path = std::env::current_exe().map_err(|e| e.to_string())?;
                self.kill = Some(path);
                self.doors.world().kill_switch = true;
                self.restart();
                Ok(())
            }
            ["kill-file", "goes"] => {
                self.kill = None;
                self.doors.world().kill_switch = false;
                self.restart();
                Ok(())
            }
            ["technician", "opens", node] => self.technician_opens(node),
            ["technician", "pulls", osd, "of", node] => self.technician_pulls(osd, node),
            ["pull-page", node] => self.look_at_pull_page(node),
            ["work-order"] => self.look_at_work_order(),
            _ => {
                let mut world = self.doors.world();
                happens(&mut world, words)
            }
        }
    }

    /// A part by its name, `FAN3` or `disk:sdb`. In a story about another class the fan is of that class.
    fn part(&self, node: &str, word: &str) -> FaultKey {
        let key = pitlane::sim::world::sensor::part(node, word);
        let class = self.rules.policy(&"fan".into()).map_or("fan", |policy| policy.class.as_str());
        if key.class == "fan" { FaultKey { class: class.to_owned(), ..key } } else { key }
    }

    async fn ingest(&self, told: pitlane::model::alert::Episode) -> Result<(), String> {
        self.store.ingest(vec![told]).await.map(|_| ()).map_err(|t| t.to_string())
    }

    async fn alarm(&mut self, node: &str, part: &str, sensor: Sensor) -> Result<(), String> {
        let told = self.fires(node, part, sensor);
        self.doors.world().list_alert(&told, false);
        self.ingest(told).await
    }

    pub fn fires(&mut self, node: &str, part: &str, sensor: Sensor) -> pitlane::model::alert::Episode {
        let key = self.part(node, part);
        let now = self.now();
        self.firing.insert(key.clone(), now);
        self.fired.insert(key.clone(), now);
        self.doors.world().set_sensor(&key, sensor);
        episode(&key, now, None)
    }

    async fn clear(&mut self, node: &str, part: &str, sensor: Option<Sensor>) -> Result<(), String> {
        let key = self.part(node, part);
        let began = self.firing.remove(&key).ok_or("that alarm does not fire")?;
        if let Some(sensor) = sensor {
            self.doors.world().set_sensor(&key, sensor);
        }
        let told = episode(&key, began, Some(self.now()));
        self.doors.world().unlist_alert(&told.key());
        self.ingest(told).await
    }

    /// What the page says of a node at this moment.
    fn look_at_page(&mut self, node: &str) -> Result<(), String> {
        let says = match self.page(node)? {
            Ok(()) => "safe to power off".to_owned(),
            Err(why) => format!("not safe to power off: {why}"),
        };
        self.remarks.push((self.now(), format!("(the page of {node}: {says})")));
        Ok(())
    }

    fn page(&self, node: &str) -> Result<Result<(), String>, String> {
        let shown = self.reconciler.shown().borrow().clone();
        let node = NodeName::from(node);
        let case = shown.state.cases.iter().find(|case| case.node == node).ok_or("no case for that node")?;
        Ok(shown.safe_to_power_off(case.id, self.doors.now()).map(|_| ()))
    }

    /// What each open case waits for, and what a person can do.
    async fn look_at_status(&mut self) -> Result<(), String> {
        let now = self.now();
        for case in self.store.cases(100).await.map_err(|t| t.to_string())?.iter().filter(|c| c.open()) {
            if let Some(wait) = &case.wait {
                self.remarks
                    .push((now, format!("(status of case {}: {wait}; to do: {})", case.id, wait.remedy())));
            }
        }
        Ok(())
    }

    /// The verdict that the last turn showed, check by check.
    fn look_at_verdict(&mut self, node: &str) -> Result<(), String> {
        let shown = self.reconciler.shown().borrow().clone();
        let verdict = shown.show.verdicts.get(&NodeName::from(node)).ok_or("no verdict is shown")?;
        let now = self.now();
        self.remarks.extend(
            verdict
                .checks
                .iter()
                .map(|check| (now, format!("(verdict: {} {}: {})", check.name, check.answer, check.reading))),
        );
        Ok(())
    }

    /// What could be brought back of each guest of a node.
    fn look_at_cards(&mut self, node: &str) -> Result<(), String> {
        let shown = self.reconciler.shown().borrow().clone();
        let verdict = shown.show.verdicts.get(&NodeName::from(node)).ok_or("no verdict is shown")?;
        let now = self.now();
        self.remarks.extend(verdict.cards.iter().map(|card| {
            let (guest, backup, copies) = (card.guest, &card.backup, card.replication());
            (
                now,
                format!("(card of {guest}: backup {backup}; replication {copies}; restore {})", card.restore),
            )
        }));
        Ok(())
    }

    /// The technician trusts what the page says at this moment, and nothing else; who is not told "safe" looks again
    /// ten seconds later, for ten minutes.
    fn technician_opens(&mut self, node: &str) -> Result<(), String> {
        match self.page(node)? {
            Ok(()) => self.doors.world().technician_opens(&node.into()),
            Err(why) if self.looks_left == 0 => return Err(format!("not shown as safe: {why}")),
            Err(_) => {
                self.looks_left -= 1;
                let when = When::At(age(self.now(), self.began) + Duration::from_secs(10));
                let words = ["technician", "opens", node].map(str::to_owned).to_vec();
                self.events.push(Event { when, words });
            }
        }
        Ok(())
    }

    /// A person who agrees to whatever plan is shown, each time that one is, until the node is handed over.
    async fn approver_looks(&mut self) -> Result<(), String> {
        let open = self.open_case().await?;
        match open.as_ref().map(|case| &case.phase) {
            Some(Phase::Preparing { shown: Some(_), approval: None, .. }) => self.ask(&["approve"]).await?,
            Some(Phase::HandedOver { .. } | Phase::Proving { .. } | Phase::GivingBack { .. }) => {
                return Ok(());
            }
            _ => {}
        }
        let when = When::At(age(self.now(), self.began) + Duration::from_secs(10));
        self.events.push(Event { when, words: ["approver", "looks"].map(str::to_owned).to_vec() });
        Ok(())
    }

    /// The same for one disk of a node that works on.
    fn technician_pulls(&mut self, osd: &str, node: &str) -> Result<(), String> {
        match self.pull_page(node)? {
            Ok(()) => {
                let id = pitlane::model::ids::OsdId(number(osd)? as u32);
                self.doors.world().technician_pulls(id);
            }
            Err(why) if self.looks_left == 0 => return Err(format!("not to be taken out: {why}")),
            Err(_) => {
                self.looks_left -= 1;
                let when = When::At(age(self.now(), self.began) + Duration::from_secs(10));
                let words = ["technician", "pulls", osd, "of", node].map(str::to_owned).to_vec();
                self.events.push(Event { when, words });
            }
        }
        Ok(())
    }

    fn pull_page(&self, node: &str) -> Result<Result<(), String>, String> {
        let shown = self.reconciler.shown().borrow().clone();
        let node = NodeName::from(node);
        let case = shown.state.cases.iter().find(|case| case.node == node).ok_or("no case for that node")?;
        Ok(shown
            .safe_to_pull(case.id, self.doors.now())
            .unwrap_or(Err("no disk is served".to_owned()))
            .map(|_| ()))
    }

    fn look_at_pull_page(&mut self, node: &str) -> Result<(), String> {
        let says = match self.pull_page(node)? {
            Ok(()) => "the disk may be taken out".to_owned(),
            Err(why) => format!("do not take the disk out: {why}"),
        };
        self.remarks.push((self.now(), format!("(the page of {node}: {says})")));
        Ok(())
    }

    /// Each line of the report that is no line of the story.
    async fn look_at_report(&mut self, id: CaseId) -> Result<(), String> {
        let now = self.now();
        let case = self.case(id).await?.ok_or("no such case")?;
        let notes = self.store.journal(Some(id), 0, 10_000).await.map_err(|t| t.to_string())?;
        let notes: Vec<_> = notes.into_iter().map(|(_, note)| note).collect();
        let report = pitlane::model::report::Report::of(id, case.node, &notes, now).to_string();
        let head = report.split("## What happened").next().unwrap_or_default();
        let lines = head.lines().filter(|line| !line.is_empty());
        // Remarks of one moment are told in the order of their letters.
        let line = |(n, line): (usize, &str)| (now, format!("(report {n:02}: {line})"));
        self.remarks.extend(lines.enumerate().map(line));
        Ok(())
    }

    /// How each open case stands with its time box, as the last turn judged it.
    fn look_at_time_box(&mut self) -> Result<(), String> {
        let now = self.now();
        let shown = self.reconciler.shown().borrow().clone();
        let boxes = &shown.show.time_boxes;
        self.remarks
            .extend(boxes.iter().map(|(case, told)| (now, format!("(time box of case {case}: {told})"))));
        Ok(())
    }

    /// What the technician reads.
    fn look_at_work_order(&mut self) -> Result<(), String> {
        let now = self.now();
        let world = self.doors.world();
        let order = world.board.orders.values().next_back().ok_or("no work order was written")?;
        let text: Vec<&str> = std::iter::once(order.asked.title.as_str())
            .chain(order.asked.body.lines())
            .chain(order.said.iter().map(String::as_str))
            .filter(|line| !line.is_empty())
            .collect();
        let text = format!("(the work order says: {})", text.join(" | "));
        drop(world);
        self.remarks.push((now, text));
        Ok(())
    }

    async fn ask(&mut self, words: &[&str]) -> Result<(), String> {
        let (person, words) = match words {
            ["by", name, rest @ ..] => (Some(*name), rest),
            rest => (None, rest),
        };
        let (open, words) = match words {
            ["case", id, rest @ ..] => (self.case(CaseId(number(id)?)).await?, rest),
            rest => (self.open_case().await?, rest),
        };
        let case = || open.as_ref().map(|case| case.id).unwrap_or(CaseId(0));
        let ask = match words {
            ["drain", node] => Ask::Drain { node: (*node).into(), reason: "new firmware".into(), yes: false },
            ["drain", node, "yes"] => {
                Ask::Drain { node: (*node).into(), reason: "new firmware".into(), yes: true }
            }
            ["approve"] => Ask::Approve { case: case(), hash: shown_plan(open.as_ref())? },
            ["approve", hash] => Ask::Approve { case: case(), hash: PlanHash((*hash).to_owned()) },
            ["abort", reason] => Ask::Abort { case: case(), reason: (*reason).to_owned() },
            ["done"] => Ask::Done { case: case(), note: String::new(), hands_off: false },
            ["done", note] => Ask::Done { case: case(), note: (*note).to_owned(), hands_off: false },
            ["hands-off"] => Ask::Done { case: case(), note: String::new(), hands_off: true },
            ["note", text] => Ask::Note { case: case(), text: (*text).to_owned() },
            ["retire", reason] => Ask::Retire { case: case(), reason: (*reason).to_owned() },
            ["accept", part, reason] => {
                Ask::Accept { case: case(), part: (*part).to_owned(), reason: (*reason).to_owned() }
            }
            ["heal"] => Ask::Heal { case: case() },
            ["pause", reason] => Ask::Pause { reason: (*reason).to_owned() },
            ["resume"] => Ask::Resume,
            _ => return Err("nobody can ask that".to_owned()),
        };
        let technician = matches!(ask, Ask::Done { .. });
        let by = Person::from(person.unwrap_or(if technician { "technician" } else { "operator" }));
        self.asked += 1;
        let request = Request { id: RequestId(format!("ask-{}", self.asked)), by, at: self.now(), ask };
        match &request.ask {
            Ask::Pause { .. } => self.doors.world().kill_switch = true,
            Ask::Resume => self.doors.world().kill_switch = false,
            _ => {}
        }
        self.store.request(&request).await.map_err(|t| t.to_string())
    }

    async fn case(&self, id: CaseId) -> Result<Option<Case>, String> {
        let cases = self.store.cases(100).await.map_err(|t| t.to_string())?;
        Ok(cases.into_iter().find(|case| case.id == id))
    }

    /// The open case that was opened last.
    async fn open_case(&self) -> Result<Option<Case>, String> {
        let cases = self.store.cases(100).await.map_err(|t| t.to_string())?;
        Ok(cases.into_iter().filter(Case::open).max_by_key(|case| case.id))
    }
}

/// Rules under which nothing may begin.
pub fn exhaust(rules: &mut Rules) {
    let budgets = &mut rules.budgets;
    (budgets.nodes_out_max, budgets.drains_per_day_max, budgets.nodes_alarming_max) = (0, 0, 0);
    budgets.attempts_per_node = Some(Attempts { max: 0, within: Period::hours(24) });
}

fn shown_plan(case: Option<&Case>) -> Result<PlanHash, String> {
    match case.map(|case| &case.phase) {
        Some(Phase::Preparing { shown: Some(hash), .. }) => Ok(hash.clone()),
        _ => Err("no plan is shown".to_owned()),
    }
}

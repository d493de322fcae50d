//! Many reports in one table: what was promised in a month, and how much of it was kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Report;
use crate::model::ids::{CaseId, NodeName};
use crate::model::time::{Period, Time, age, to_the_second};

/// The cases of a span of time, open ones first, then the newest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reports {
    pub since: Time,
    pub until: Time,
    pub cases: Vec<Summary>,
    /// There are more than fit into one answer: an earlier time has to be asked for by a shorter span.
    pub cut: bool,
}

/// A report in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub case: CaseId,
    pub node: NodeName,
    pub opened_at: Option<Time>,
    /// `None`: it is open still.
    pub closed_at: Option<Time>,
    pub ending: String,
    /// From the first thing that was taken to the last that was given back; zero where nothing was taken.
    pub held_for: Period,
    /// Promises that came to their end, and how many of them were kept.
    pub promised: usize,
    pub kept: usize,
    /// Those that were not kept, in words.
    pub broken: Vec<String>,
    pub moved: usize,
    pub restarted: usize,
    pub shut_down: usize,
    pub stay: usize,
}

impl Summary {
    /// `now`: how long what is held still has been held.
    pub fn of(report: &Report, now: Time) -> Self {
        let first = report.held.iter().map(|held| held.since).min();
        let last = report.held.iter().map(|held| held.until.unwrap_or(now)).max();
        let held = first.zip(last).map_or(0, |(first, last)| age(last, first).as_secs());
        let kept = |wanted: bool| report.promises.iter().filter(move |promise| promise.kept == Some(wanted));
        Self {
            case: report.case,
            node: report.node.clone(),
            opened_at: report.opened_at,
            closed_at: report.closed_at,
            ending: report.ending.clone(),
            held_for: Period::secs(held),
            promised: kept(true).count() + kept(false).count(),
            kept: kept(true).count(),
            broken: kept(false).map(ToString::to_string).collect(),
            moved: report.guests.moved,
            restarted: report.guests.restarted,
            shut_down: report.guests.shut_down,
            stay: report.guests.stay,
        }
    }
}

impl fmt::Display for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&Summary) -> usize| self.cases.iter().map(of).sum::<usize>();
        let (since, until) = (to_the_second(self.since), to_the_second(self.until));
        writeln!(f, "# Maintenance from {since} to {until}\n")?;
        writeln!(
            f,
            "- cases: {}, of these open still: {}",
            self.cases.len(),
            sum(|c| usize::from(c.closed_at.is_none()))
        )?;
        writeln!(f, "- promises: {}, kept: {}", sum(|c| c.promised), sum(|c| c.kept))?;
        writeln!(
            f,
            "- guests moved: {}, of these with a restart: {}",
            sum(|c| c.moved),
            sum(|c| c.restarted)
        )?;
        writeln!(
            f,
            "- guests shut down for the work: {}, not at home: {}\n",
            sum(|c| c.shut_down),
            sum(|c| c.stay)
        )?;
        if self.cases.is_empty() {
            return Ok(());
        }
        writeln!(f, "| case | node | opened | ended | held for | kept | moved |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for one in &self.cases {
            let opened = one.opened_at.map_or_else(|| "-".to_owned(), to_the_second);
            let ending = if one.closed_at.is_none() { "open still" } else { &one.ending };
            // An ending may hold what a person wrote.
            let ending = ending.replace('|', "\\|").replace('\n', " ");
            let (case, node, held, kept, all) = (one.case, &one.node, one.held_for, one.kept, one.promised);
            writeln!(
                f,
                "| {case} | {node} | {opened} | {ending} | {held} | {kept} of {all} | {} |",
                one.moved
            )?;
        }
        let broken: Vec<_> = self.cases.iter().filter(|one| !one.broken.is_empty()).collect();
        if !broken.is_empty() {
            writeln!(f, "\n## Not kept\n")?;
        }
        for one in broken {
            for promise in &one.broken {
                writeln!(f, "- case {} ({}): {promise}", one.case, one.node)?;
            }
        }
        if self.cut {
            writeln!(f, "\nThere are more cases than fit; ask for a shorter span.")?;
        }
        Ok(())
    }
}

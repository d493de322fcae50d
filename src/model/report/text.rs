//! The report in Markdown: to be read as it stands, sent by mail, or put into a ticket.

use std::fmt;

use super::{Promise, Report};
use crate::model::time::to_the_second;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Case {}: maintenance of {}\n", self.case, self.node)?;
        let at = |at: Option<crate::model::time::Time>| at.map_or_else(|| "-".to_owned(), to_the_second);
        writeln!(f, "Opened {}, closed {}.", at(self.opened_at), at(self.closed_at))?;
        match self.ending.as_str() {
            "" => writeln!(f, "It is open still.\n")?,
            ending => writeln!(f, "How it ended: {ending}.\n")?,
        }
        self.customers(f)?;
        self.promised(f)?;
        self.stood_in_the_way(f)?;
        self.taken(f)?;
        writeln!(f, "## How long each phase took\n")?;
        for spell in &self.phases {
            writeln!(f, "- {}: {}, from {}", spell.phase, spell.took, to_the_second(spell.since))?;
        }
        writeln!(f, "\n## What happened\n")?;
        for line in &self.timeline {
            writeln!(f, "- {} {}", to_the_second(line.at), line.text)?;
        }
        if self.cut > 0 {
            writeln!(f, "- and {} lines more: pitlane show {}", self.cut, self.case)?;
        }
        Ok(())
    }
}

impl fmt::Display for Promise {
    /// `the time box: promised 4h (people were told 2026-01-01T16:00:00Z), took 5h: NOT kept`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: promised {}", self.what, self.promised)?;
        if let Some(by) = self.by {
            write!(f, " (people were told {})", to_the_second(by))?;
        }
        let took = self.took.map_or_else(|| "not finished".to_owned(), |took| format!("took {took}"));
        let kept = match self.kept {
            Some(true) => "kept",
            Some(false) => "NOT kept",
            None => "open",
        };
        write!(f, ", {took}: {kept}")
    }
}

impl Report {
    fn customers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guests = &self.guests;
        writeln!(f, "## What customers could notice\n")?;
        writeln!(
            f,
            "- moved to other nodes: {}, of these with a restart: {}",
            guests.moved, guests.restarted
        )?;
        writeln!(f, "- shut down for the work: {}", guests.shut_down)?;
        writeln!(f, "- moves that failed and were tried again: {}", guests.moves_failed)?;
        if guests.aboard_when_it_died > 0 {
            writeln!(f, "- aboard when the node died: {}", guests.aboard_when_it_died)?;
        }
        writeln!(f, "- home again: {}, not at home: {}\n", guests.home, guests.stay)
    }

    fn promised(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Promised and kept\n")?;
        if self.promises.is_empty() {
            return writeln!(f, "Nothing was promised.\n");
        }
        for promise in &self.promises {
            writeln!(f, "- {promise}")?;
        }
        writeln!(f)
    }

    fn stood_in_the_way(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## What stood in the way, the longest first\n")?;
        if self.waits.is_empty() {
            return writeln!(f, "Nothing.\n");
        }
        for waited in &self.waits {
            let times = if waited.times > 1 { format!(", {} times", waited.times) } else { String::new() };
            writeln!(f, "- {}: {} since {}{times}", waited.what, waited.took, to_the_second(waited.first))?;
            if let Some(would_have) = &waited.would_have {
                writeln!(f, "  - without this check: {would_have}")?;
            }
        }
        writeln!(f)
    }

    fn taken(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## What was held and given back\n")?;
        if self.held.is_empty() {
            return writeln!(f, "Nothing was held.\n");
        }
        for held in &self.held {
            let since = to_the_second(held.since);
            match held.until {
                Some(until) => writeln!(f, "- {}: {since} to {}", held.what, to_the_second(until))?,
                None => writeln!(f, "- {}: since {since}, HELD STILL", held.what)?,
            }
        }
        writeln!(f)
    }
}

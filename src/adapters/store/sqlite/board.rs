//! The built-in board: work orders for those who have no ticket system, kept in the store's file.
//!
//! It behaves as an outside ticket system does: it knows steps by their ids, so saying something twice is saying it
//! once, and an `open` with another id is another work order. It must never look into cases: what it shows is what it
//! was told, by steps and by the technician's own word.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::Shared;
use super::error::{StoreError, sql};
use super::rows::{from_json, instant, stamp, to_json};
use super::sheet::{Comment, Said, Sheet, status, ticket};
use crate::model::ids::{CaseId, TicketRef};
use crate::model::observed::WorkOrderView;
use crate::model::request::{Ask, Request};
use crate::model::seen::{Seen, Trouble};
use crate::model::step::{StepId, WorkOrder};
use crate::model::time::Time;
use crate::ports::Tickets;

/// Work orders behind the tickets port. Made by [`super::SqliteStore::board`].
#[derive(Clone)]
pub struct Board {
    pub(super) shared: Arc<Shared>,
}

impl Board {
    /// The newest work orders, newest first.
    ///
    /// # Errors
    /// The database could not be read, or a stored work order does not parse.
    pub async fn sheets(&self, limit: usize) -> Result<Vec<Sheet>, Trouble> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |conn: &Connection| sheets(conn, "ORDER BY number DESC LIMIT ?1", limit);
        Ok(self.shared.read("listing work orders", read).await?)
    }

    /// The case's work order; the last one where there are several.
    ///
    /// # Errors
    /// As [`Board::sheets`].
    pub async fn sheet(&self, case: CaseId) -> Result<Option<Sheet>, Trouble> {
        let read = move |conn: &Connection| {
            Ok(sheets(conn, "WHERE case_id = ?1 ORDER BY number DESC LIMIT 1", case.0)?.pop())
        };
        Ok(self.shared.read("reading a work order", read).await?)
    }

    async fn say(&self, key: &StepId, case: CaseId, what: Said, text: &str) -> Result<(), Trouble> {
        let (key, text, at) = (key.clone(), text.to_owned(), self.shared.now());
        let write = move |conn: &Connection| say(conn, &key, case, what, &text, at);
        match (self.shared.write("writing on a work order", write).await?, what) {
            // Called off before it was written: closed is what it is.
            (Some(()), _) | (None, Said::Close) => Ok(()),
            (None, _) => {
                Err(Trouble::Refused(format!("case {case} has no work order on the board; open one first")))
            }
        }
    }
}

#[async_trait]
impl Tickets for Board {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble> {
        let (key, order, at) = (key.clone(), order.clone(), self.shared.now());
        let write = move |conn: &Connection| open(conn, &key, case, &order, at);
        Ok(self.shared.write("opening a work order", write).await?)
    }

    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.say(key, case, Said::Reopen, text).await
    }

    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.say(key, case, Said::Comment, text).await
    }

    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.say(key, case, Said::Close, text).await
    }

    async fn look(&self, case: CaseId) -> Seen<WorkOrderView> {
        // Asked before the read: what is read was true then at the earliest.
        let at = self.shared.now();
        match self.sheet(case).await {
            Ok(Some(sheet)) => Seen::known(WorkOrderView::plain(sheet.ticket, sheet.status), at),
            Ok(None) => Trouble::Refused(format!("case {case} has no work order on the board")).into(),
            Err(why) => why.into(),
        }
    }
}

/// What it does to the work order. Closed without a technician's "done", it was called off.
fn effect(said: Said) -> Option<&'static str> {
    match said {
        Said::Comment => None,
        Said::Reopen => Some("UPDATE work_orders SET status = 'open', closed_at = NULL WHERE number = ?1"),
        Said::Close => Some(
            "UPDATE work_orders SET closed_at = ?2,
             status = CASE status WHEN 'done' THEN 'done' ELSE 'cancelled' END WHERE number = ?1",
        ),
    }
}

/// A technician's "done" came as a request and was accepted: the board shows it, in the same transaction.
pub(super) fn claimed(conn: &Connection, request: &Request) -> Result<(), StoreError> {
    let Ask::Done { case, hands_off, .. } = &request.ask else { return Ok(()) };
    let status = if *hands_off { "cancelled" } else { "done" };
    conn.execute(
        "UPDATE work_orders SET status = ?2 WHERE case_id = ?1 AND closed_at IS NULL",
        params![case.0, status],
    )
    .map(drop)
    .map_err(sql("marking a work order"))
}

fn open(
    conn: &Connection,
    key: &StepId,
    case: CaseId,
    order: &WorkOrder,
    at: Time,
) -> Result<TicketRef, StoreError> {
    let doc = to_json("a work order", order)?;
    let run = || -> rusqlite::Result<i64> {
        let known = "SELECT number FROM work_orders WHERE key = ?1";
        // Looked up first: an insert that is refused uses a number up all the same.
        if let Some(number) = conn.query_row(known, [&key.0], |row| row.get(0)).optional()? {
            return Ok(number);
        }
        let insert =
            "INSERT INTO work_orders (key, case_id, at, status, doc) VALUES (?1, ?2, ?3, 'open', ?4)";
        conn.execute(insert, params![key.0, case.0, stamp(at), doc])?;
        Ok(conn.last_insert_rowid())
    };
    let number = run().map_err(sql("opening a work order"))?;
    Ok(ticket(number))
}

/// `None`: the case has no work order.
fn say(
    conn: &Connection,
    key: &StepId,
    case: CaseId,
    what: Said,
    text: &str,
    at: Time,
) -> Result<Option<()>, StoreError> {
    let run = || -> rusqlite::Result<Option<()>> {
        let newest = "SELECT number FROM work_orders WHERE case_id = ?1 ORDER BY number DESC LIMIT 1";
        let number: Option<i64> = conn.query_row(newest, [case.0], |row| row.get(0)).optional()?;
        let Some(number) = number else { return Ok(None) };
        let heard = conn.execute(
            "INSERT INTO comments (key, number, at, kind, text) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO NOTHING",
            params![key.0, number, stamp(at), what.name(), text],
        )?;
        // Said before: whatever came after it stands.
        if heard > 0
            && let Some(effect) = effect(what)
        {
            let mut change = conn.prepare_cached(effect)?;
            match what {
                Said::Close => change.execute(params![number, stamp(at)])?,
                Said::Comment | Said::Reopen => change.execute(params![number])?,
            };
        }
        Ok(Some(()))
    };
    run().map_err(sql("writing on a work order"))
}

fn sheets<P: rusqlite::ToSql>(conn: &Connection, which: &str, with: P) -> Result<Vec<Sheet>, StoreError> {
    let statement = format!("SELECT number, case_id, at, closed_at, status, doc FROM work_orders {which}");
    type Columns = (i64, u64, String, Option<String>, String, String);
    let rows = || -> rusqlite::Result<Vec<Columns>> {
        conn.prepare_cached(&statement)?
            .query_map([with], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })?
            .collect()
    };
    let mut sheets = Vec::new();
    for (number, case, at, closed_at, state, doc) in rows().map_err(sql("reading work orders"))? {
        let ticket = ticket(number);
        let what = format!("work order {ticket}");
        sheets.push(Sheet {
            case: CaseId(case),
            opened_at: instant(&what, &at)?,
            closed_at: closed_at.map(|text| instant(&what, &text)).transpose()?,
            status: status(&what, &state)?,
            order: from_json(&what, &doc)?,
            comments: comments(conn, &what, number)?,
            ticket,
        });
    }
    Ok(sheets)
}

/// How many there are; each can be read.
pub(super) fn all(conn: &Connection) -> Result<usize, StoreError> {
    sheets(conn, "ORDER BY number LIMIT ?1", i64::MAX).map(|all| all.len())
}

fn comments(conn: &Connection, what: &str, number: i64) -> Result<Vec<Comment>, StoreError> {
    let rows = || -> rusqlite::Result<Vec<(String, String)>> {
        conn.prepare_cached("SELECT at, text FROM comments WHERE number = ?1 ORDER BY rowid")?
            .query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    };
    rows()
        .map_err(sql("reading comments"))?
        .into_iter()
        .map(|(at, text)| Ok(Comment { at: instant(what, &at)?, text }))
        .collect()
}

//! The built-in board: work orders for those who have no ticket system, kept in the same database.
//!
//! It behaves as an outside ticket system does: it knows steps by their ids, so saying something twice is saying it
//! once, and an `open` with another id is another work order. It must never look into cases: what it shows is what it
//! was told, by steps and by the technician's own word.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::super::documents::{from_json, instant, stamp, to_json};
use super::super::sheet::{Comment, Said, Sheet, status, ticket};
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, READ};
use super::lease::begin_fenced;
use crate::model::ids::{CaseId, ClusterName, TicketRef};
use crate::model::request::{Ask as Asked, Request};
use crate::model::step::{StepId, WorkOrder};
use crate::model::time::Time;
use crate::ports::Fence;

/// Which work orders are read.
pub(super) enum Which {
    /// Newest first.
    Newest(usize),
    /// The case's last one.
    Of(CaseId),
}

/// A technician's "done" came as a request and was accepted: the board shows it, in the same transaction.
pub(super) fn claimed(cluster: &ClusterName, request: &Request) -> Option<Ask> {
    let Asked::Done { case, hands_off, .. } = &request.ask else { return None };
    let status = if *hands_off { "cancelled" } else { "done" };
    let update =
        "UPDATE work_orders SET status = $3 WHERE cluster = $1 AND case_id = $2 AND closed_at IS NULL";
    Some(Ask::new(update).text(&cluster.0).count(case.0).text(status))
}

pub(super) async fn open(
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    (key, case, order): (&StepId, CaseId, &WorkOrder),
    at: Time,
) -> Result<TicketRef, Failure> {
    let doc = to_json("a work order", order)?;
    let asks = vec![
        Ask::new("SELECT number FROM work_orders WHERE cluster = $1 AND key = $2")
            .text(&cluster.0)
            .text(&key.0),
        Ask::new("SELECT number FROM work_orders WHERE cluster = $1 ORDER BY number DESC LIMIT 1")
            .text(&cluster.0),
    ];
    let answers = begin_fenced(conn, cluster, fence, asks).await?;
    if let Some(known) = answers[0].first() {
        let number = known.int(0)?;
        conn.end(Vec::new()).await?;
        return Ok(ticket(number));
    }
    let number = answers[1].first().map_or(Ok(0), |row| row.int(0))?.saturating_add(1);
    let insert = Ask::new(
        "INSERT INTO work_orders (cluster, number, key, case_id, at, status, doc) VALUES ($1, $2, $3, $4, $5, 'open', $6)",
    );
    let insert = insert.text(&cluster.0).int(number).text(&key.0).count(case.0).text(&stamp(at)).text(&doc);
    conn.end(vec![insert]).await?;
    Ok(ticket(number))
}

/// `None`: the case has no work order.
pub(super) async fn say(
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    (key, case, what, text): (&StepId, CaseId, Said, &str),
    at: Time,
) -> Result<Option<()>, Failure> {
    let newest =
        "SELECT number FROM work_orders WHERE cluster = $1 AND case_id = $2 ORDER BY number DESC LIMIT 1";
    let asks = vec![
        Ask::new(newest).text(&cluster.0).count(case.0),
        Ask::new("SELECT place FROM comments WHERE cluster = $1 AND key = $2").text(&cluster.0).text(&key.0),
        Ask::new("SELECT place FROM comments WHERE cluster = $1 ORDER BY place DESC LIMIT 1")
            .text(&cluster.0),
    ];
    let answers = begin_fenced(conn, cluster, fence, asks).await?;
    let Some(number) = answers[0].first().map(|row| row.int(0)).transpose()? else {
        conn.end(Vec::new()).await?;
        return Ok(None);
    };
    let mut asks = Vec::new();
    // Said before: whatever came after it stands.
    if answers[1].is_empty() {
        let place = answers[2].first().map_or(Ok(0), |row| row.int(0))?.saturating_add(1);
        let insert = "INSERT INTO comments (cluster, key, number, place, at, kind, text) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let insert = Ask::new(insert).text(&cluster.0).text(&key.0).int(number).int(place);
        asks.push(insert.text(&stamp(at)).text(what.name()).text(text));
        asks.extend(effect(what, cluster, number, at));
    }
    conn.end(asks).await?;
    Ok(Some(()))
}

/// What it does to the work order. Closed without a technician's "done", it was called off.
fn effect(said: Said, cluster: &ClusterName, number: i64, at: Time) -> Option<Ask> {
    let of = |statement| Ask::new(statement).text(&cluster.0).int(number);
    match said {
        Said::Comment => None,
        Said::Reopen => Some(of(
            "UPDATE work_orders SET status = 'open', closed_at = NULL WHERE cluster = $1 AND number = $2",
        )),
        Said::Close => Some(
            of("UPDATE work_orders SET closed_at = $3, status = CASE status WHEN 'done' THEN 'done' ELSE 'cancelled' END
                WHERE cluster = $1 AND number = $2")
            .text(&stamp(at)),
        ),
    }
}

pub(super) async fn sheets(conn: &Conn, cluster: &ClusterName, which: Which) -> Result<Vec<Sheet>, Failure> {
    let ask = match which {
        Which::Newest(limit) => Ask::new(
            "SELECT number, case_id, at, closed_at, status, doc FROM work_orders WHERE cluster = $1
             ORDER BY number DESC LIMIT $2",
        )
        .text(&cluster.0)
        .limit(limit),
        Which::Of(case) => Ask::new(
            "SELECT number, case_id, at, closed_at, status, doc FROM work_orders WHERE cluster = $1 AND case_id = $2
             ORDER BY number DESC LIMIT 1",
        )
        .text(&cluster.0)
        .count(case.0),
    };
    let orders = conn.begin(READ, vec![ask]).await?;
    let numbers = orders[0].iter().map(|row| row.int(0)).collect::<Result<Vec<_>, _>>()?;
    let said = "SELECT number, at, text FROM comments WHERE cluster = $1 AND number = ANY($2) ORDER BY place";
    let said = conn.more(vec![Ask::new(said).text(&cluster.0).ints(numbers)]).await?;
    conn.done().await?;
    let mut comments: BTreeMap<i64, Vec<Comment>> = BTreeMap::new();
    for row in &said[0] {
        let number = row.int(0)?;
        let at = instant(&format!("work order {}", ticket(number)), &row.text(1)?)?;
        comments.entry(number).or_default().push(Comment { at, text: row.text(2)? });
    }
    orders[0].iter().map(|row| sheet(row, comments.remove(&row.int(0)?).unwrap_or_default())).collect()
}

fn sheet(row: &Row, comments: Vec<Comment>) -> Result<Sheet, Failure> {
    let ticket = ticket(row.int(0)?);
    let what = format!("work order {ticket}");
    Ok(Sheet {
        case: CaseId(row.count(1)?),
        opened_at: instant(&what, &row.text(2)?)?,
        closed_at: row.maybe_text(3)?.map(|text| instant(&what, &text)).transpose()?,
        status: status(&what, &row.text(4)?)?,
        order: from_json(&what, &row.text(5)?)?,
        comments,
        ticket,
    })
}

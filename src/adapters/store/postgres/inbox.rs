//! What people ask, and deliveries that nobody could read. Taken in by any instance, whoever decides.

use tokio_postgres::Row;

use super::super::documents::{from_json, instant, stamp, to_json};
use super::super::error::StoreError;
use super::super::poison::{POISON_ROWS_MAX, Poison, WAITING_MAX};
use super::super::seal::of_request;
use super::ask::{Ask, Columns as _};
use super::bells::ring;
use super::conn::{Conn, Failure, READ, WRITE};
use crate::model::ids::{ClusterName, RequestId};
use crate::model::request::{Reply, Request};
use crate::model::shown::Unreadable;
use crate::model::time::Time;

pub(super) async fn request(conn: &Conn, cluster: &ClusterName, request: &Request) -> Result<(), Failure> {
    let what = format!("request {}", request.id);
    let asks = vec![
        Ask::new("SELECT doc FROM requests WHERE cluster = $1 AND id = $2")
            .text(&cluster.0)
            .text(&request.id.0),
        Ask::new("SELECT count(*) FROM requests WHERE cluster = $1 AND replied_at IS NULL").text(&cluster.0),
    ];
    let answers = conn.begin(WRITE, asks).await?;
    if let Some(row) = answers[0].first() {
        let known: Request = from_json(&what, &row.text(0)?)?;
        // Asked again later is the same request; asked otherwise under the same id is a mistake of the asker's.
        if known.by != request.by || known.ask != request.ask {
            return Err(StoreError::OtherRequest(request.id.clone()).into());
        }
        return conn.end(Vec::new()).await.map(drop);
    }
    let waiting = answers[1].first().map_or(Ok(0), |row| row.count(0))?;
    let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
    if waiting >= WAITING_MAX {
        return Err(StoreError::TooManyRequests(waiting).into());
    }
    let (at, doc) = (stamp(request.at), to_json(&what, request)?);
    let sealed = of_request(&request.id.0, &at, &doc);
    let insert = Ask::new("INSERT INTO requests (cluster, id, at, doc, seal) VALUES ($1, $2, $3, $4, $5)");
    let insert = insert.text(&cluster.0).text(&request.id.0).text(&at).text(&doc).bytes(sealed.to_vec());
    conn.end(vec![insert, ring(cluster)]).await.map(drop)
}

pub(super) async fn reply(
    conn: &Conn,
    cluster: &ClusterName,
    id: &RequestId,
) -> Result<Option<Reply>, Failure> {
    let ask =
        Ask::new("SELECT reply FROM requests WHERE cluster = $1 AND id = $2").text(&cluster.0).text(&id.0);
    let answers = conn.whole(READ, vec![ask]).await?;
    let said = answers[0].first().map(|row| row.maybe_text(0)).transpose()?.flatten();
    Ok(said.map(|doc| from_json(&format!("the reply to request {id}"), &doc)).transpose()?)
}

pub(super) fn ask_unanswered(cluster: &ClusterName) -> Ask {
    Ask::new(
        "SELECT id, at, doc, seal FROM requests WHERE cluster = $1 AND replied_at IS NULL ORDER BY at, id",
    )
    .text(&cluster.0)
}

/// Oldest first.
pub(super) fn unanswered(rows: &[Row]) -> Result<Vec<Request>, Failure> {
    let one = |row: &Row| {
        let (id, at, doc) = (row.text(0)?, row.text(1)?, row.text(2)?);
        let what = format!("request {id}");
        if row.maybe_seal(3)?.is_some_and(|seal| seal != of_request(&id, &at, &doc)) {
            return Err(StoreError::spoilt(what).into());
        }
        Ok(from_json(&what, &doc)?)
    };
    rows.iter().map(one).collect()
}

pub(super) async fn poison(
    conn: &Conn,
    cluster: &ClusterName,
    (kept, size, why): &(Vec<u8>, u64, String),
    at: Time,
) -> Result<(), Failure> {
    let last = Ask::new("SELECT id FROM poison WHERE cluster = $1 ORDER BY id DESC LIMIT 1").text(&cluster.0);
    let answers = conn.begin(WRITE, vec![last]).await?;
    let id = answers[0].first().map_or(Ok(0), |row| row.int(0))?.saturating_add(1);
    // Two at the same time want the same number: one of them tries again.
    let insert =
        Ask::new("INSERT INTO poison (cluster, id, at, why, size, body) VALUES ($1, $2, $3, $4, $5, $6)");
    let insert = insert.text(&cluster.0).int(id).text(&stamp(at)).text(why).count(*size).bytes(kept.clone());
    let forget = Ask::new("DELETE FROM poison WHERE cluster = $1 AND id <= $2").text(&cluster.0);
    conn.end(vec![insert, forget.int(id.saturating_sub(POISON_ROWS_MAX))]).await.map(drop)
}

/// How many there are, and the newest.
pub(super) async fn unreadable(
    conn: &Conn,
    cluster: &ClusterName,
    newest: usize,
) -> Result<Unreadable, Failure> {
    let count = Ask::new("SELECT count(*) FROM poison WHERE cluster = $1").text(&cluster.0);
    let answers = conn.whole(READ, vec![count, ask_poisoned(cluster, newest)]).await?;
    let count = answers[0].first().map_or(Ok(0), |row| row.count(0))?;
    let newest = poisons(&answers[1])?.into_iter().map(Poison::shown).collect::<Result<_, StoreError>>()?;
    Ok(Unreadable { count, newest })
}

fn ask_poisoned(cluster: &ClusterName, limit: usize) -> Ask {
    Ask::new("SELECT at, why, size, body FROM poison WHERE cluster = $1 ORDER BY id DESC LIMIT $2")
        .text(&cluster.0)
        .limit(limit)
}

/// Newest first.
fn poisons(rows: &[Row]) -> Result<Vec<Poison>, Failure> {
    let one = |row: &Row| {
        let at = row.text(0)?;
        instant("an unreadable delivery", &at)?;
        Ok(Poison { at, why: row.text(1)?, size: row.count(2)?, body: row.get_as(3)? })
    };
    rows.iter().map(one).collect()
}

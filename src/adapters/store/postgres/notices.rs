//! The outbox: notices as they were decided, and how far each came on each of its channels.
//!
//! An id is written once, so a decision that is made again after a crash tells nobody twice. What is not delivered is
//! never forgotten.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use super::super::documents::{from_json, instant, stamp, to_json};
use super::super::error::StoreError;
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, READ};
use super::lease::begin_fenced;
use crate::model::ids::ClusterName;
use crate::model::notice::{ChannelName, Notice, NoticeId, SILENT_TRIES, Silent, Undelivered};
use crate::model::seen::Trouble;
use crate::model::step::Outcome;
use crate::model::time::Time;
use crate::ports::Fence;

/// Of each channel; more are read with the next round.
const READ_MAX: i64 = 1_000;

pub(super) fn ask_known(cluster: &ClusterName, notices: &[Notice]) -> Ask {
    Ask::new("SELECT id FROM notices WHERE cluster = $1 AND id = ANY($2)")
        .text(&cluster.0)
        .texts(notices.iter().map(|notice| notice.id.0.as_str()))
}

/// The place of the last one that was written.
pub(super) fn ask_last(cluster: &ClusterName) -> Ask {
    Ask::new("SELECT seq FROM notices WHERE cluster = $1 ORDER BY seq DESC LIMIT 1").text(&cluster.0)
}

pub(super) fn write(
    cluster: &ClusterName,
    notices: &[Notice],
    known: &[Row],
    last: &[Row],
) -> Result<Vec<Ask>, Failure> {
    let mut known = known.iter().map(|row| row.text(0)).collect::<Result<BTreeSet<_>, _>>()?;
    let mut seq = last.first().map_or(Ok(0), |row| row.count(0))?;
    let (mut rows, mut owed) = (Vec::new(), Vec::new());
    for notice in notices.iter().filter(|notice| known.insert(notice.id.0.clone())) {
        seq += 1;
        rows.push((seq, notice, stamp(notice.at), to_json(&format!("notice {}", notice.id), notice)?));
        let channels: BTreeSet<&ChannelName> = notice.to.iter().collect();
        owed.extend(channels.into_iter().map(|channel| (notice, channel, stamp(notice.at))));
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let outcome = to_json("an owed delivery", &Outcome::Owed)?;
    Ok(vec![
        Ask::new(
            "INSERT INTO notices (cluster, id, seq, case_id, at, doc) SELECT $1, id, seq, case_id, at, doc
             FROM UNNEST($2, $3, $4, $5, $6) AS it (id, seq, case_id, at, doc)",
        )
        .text(&cluster.0)
        .texts(rows.iter().map(|(_, notice, ..)| notice.id.0.as_str()))
        .counts(rows.iter().map(|(seq, ..)| *seq))
        .maybe_ints(rows.iter().map(|(_, notice, ..)| notice.case.and_then(|case| i64::try_from(case.0).ok())))
        .texts(rows.iter().map(|(_, _, at, _)| at.as_str()))
        .texts(rows.iter().map(|(.., doc)| doc.as_str())),
        Ask::new(
            "INSERT INTO deliveries (cluster, notice, channel, tries, at, outcome, done)
             SELECT $1, notice, channel, 0, at, $5, FALSE FROM UNNEST($2, $3, $4) AS it (notice, channel, at)",
        )
        .text(&cluster.0)
        .texts(owed.iter().map(|(notice, ..)| notice.id.0.as_str()))
        .texts(owed.iter().map(|(_, channel, _)| channel.0.as_str()))
        .texts(owed.iter().map(|(.., at)| at.as_str()))
        .text(&outcome),
    ])
}

/// `horizon`: where the memory of faults begins.
pub(super) fn ask_told(cluster: &ClusterName, horizon: &str) -> Ask {
    Ask::new(
        "SELECT id FROM notices WHERE cluster = $1 AND at >= $2
         UNION SELECT notices.id FROM notices JOIN cases ON cases.cluster = notices.cluster AND cases.id = notices.case_id
         WHERE cases.cluster = $1 AND cases.closed_at IS NULL",
    )
    .text(&cluster.0)
    .text(horizon)
}

pub(super) fn told(rows: &[Row]) -> Result<BTreeSet<NoticeId>, Failure> {
    rows.iter().map(|row| row.text(0).map(NoticeId)).collect()
}

pub(super) fn ask_silent(cluster: &ClusterName) -> Ask {
    Ask::new(
        "SELECT channel, notice, outcome FROM deliveries
         JOIN notices ON notices.cluster = deliveries.cluster AND notices.id = deliveries.notice
         WHERE deliveries.cluster = $1 AND NOT done AND tries >= $2 ORDER BY seq, channel",
    )
    .text(&cluster.0)
    .int(SILENT_TRIES.into())
}

/// Per channel the oldest notice that does not arrive.
pub(super) fn silent(rows: &[Row]) -> Result<BTreeMap<ChannelName, Silent>, Failure> {
    let mut silent = BTreeMap::new();
    for row in rows {
        let (channel, notice) = (row.text(0)?, row.text(1)?);
        if let Outcome::Failed { trouble } = from_json(&format!("the delivery of {notice}"), &row.text(2)?)? {
            silent.entry(ChannelName(channel)).or_insert(Silent { first: NoticeId(notice), trouble });
        }
    }
    Ok(silent)
}

pub(super) async fn undelivered(conn: &Conn, cluster: &ClusterName) -> Result<Vec<Undelivered>, Failure> {
    let ask = Ask::new(
        "SELECT doc, channel, tries, at FROM (
             SELECT notices.doc AS doc, channel, tries, deliveries.at AS at, seq,
                    ROW_NUMBER() OVER (PARTITION BY channel ORDER BY seq) AS place
             FROM deliveries JOIN notices ON notices.cluster = deliveries.cluster AND notices.id = deliveries.notice
             WHERE deliveries.cluster = $1 AND NOT done) AS owed
         WHERE place <= $2 ORDER BY seq, channel",
    );
    let answers = conn.whole(READ, vec![ask.text(&cluster.0).int(READ_MAX)]).await?;
    let one = |row: &Row| {
        let notice: Notice = from_json("a notice", &row.text(0)?)?;
        let at = instant(&format!("the delivery of {}", notice.id), &row.text(3)?)?;
        let tries = u32::try_from(row.count(2)?).unwrap_or(u32::MAX);
        Ok(Undelivered { notice, channel: ChannelName(row.text(1)?), tries, at })
    };
    answers[0].iter().map(one).collect()
}

/// One try. A delivery that is done stays done.
pub(super) async fn delivered(
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    (id, channel): (&NoticeId, &ChannelName),
    at: Time,
    sent: &Result<(), Trouble>,
) -> Result<(), Failure> {
    let (outcome, done) = match sent {
        Ok(()) => (Outcome::Done { ticket: None }, true),
        Err(trouble) => (Outcome::Failed { trouble: trouble.clone() }, false),
    };
    let doc = to_json(&format!("the delivery of {id}"), &outcome)?;
    let known = Ask::new("SELECT done FROM deliveries WHERE cluster = $1 AND notice = $2 AND channel = $3");
    let known = known.text(&cluster.0).text(&id.0).text(&channel.0);
    let answers = begin_fenced(conn, cluster, fence, vec![known]).await?;
    if answers[0].is_empty() {
        return Err(StoreError::NeverTold(id.clone()).into());
    }
    let update = Ask::new(
        "UPDATE deliveries SET tries = tries + 1, at = $4, outcome = $5, done = $6
         WHERE cluster = $1 AND notice = $2 AND channel = $3 AND NOT done",
    );
    let update = update.text(&cluster.0).text(&id.0).text(&channel.0).text(&stamp(at)).text(&doc).yes(done);
    conn.end(vec![update]).await.map(drop)
}

/// Old notices that reached everybody, of cases that are closed.
pub(super) fn prune(cluster: &ClusterName, horizon: &str, at_once: i64) -> [Ask; 2] {
    const OLD: [&str; 2] = [
        "DELETE FROM deliveries WHERE cluster = $1 AND notice IN (SELECT id FROM notices WHERE cluster = $1 AND at < $2
            AND NOT EXISTS (SELECT 1 FROM deliveries AS owed
                            WHERE owed.cluster = $1 AND owed.notice = notices.id AND NOT owed.done)
            AND NOT EXISTS (SELECT 1 FROM cases
                            WHERE cases.cluster = $1 AND cases.id = notices.case_id AND closed_at IS NULL)
            ORDER BY seq LIMIT $3)",
        // Its deliveries are gone: nobody is owed it.
        "DELETE FROM notices WHERE cluster = $1 AND at < $2
            AND NOT EXISTS (SELECT 1 FROM deliveries AS owed WHERE owed.cluster = $1 AND owed.notice = notices.id)
            AND NOT EXISTS (SELECT 1 FROM cases
                            WHERE cases.cluster = $1 AND cases.id = notices.case_id AND closed_at IS NULL)",
    ];
    let first = Ask::new(OLD[0]).text(&cluster.0).text(horizon).int(at_once);
    [first, Ask::new(OLD[1]).text(&cluster.0).text(horizon)]
}

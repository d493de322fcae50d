//! Looking at everything that is stored of a cluster: does the journal's chain hold, are the seals whole, can every row be read?
//! Pages and indexes are the database's own business.

use tokio_postgres::Row;

use super::super::Inspected;
use super::super::documents::from_json;
use super::super::error::StoreError;
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, READ_ALL};
use super::meta::{self, Meta};
use super::{cases, commit, episodes, inbox, journal, load};
use crate::model::ids::ClusterName;
use crate::model::note::Note;
use crate::model::notice::Notice;
use crate::model::request::{Reply, Request};
use crate::model::step::{Outcome, WorkOrder};

pub(super) async fn inspect(conn: &Conn, cluster: &ClusterName) -> Result<Inspected, Failure> {
    conn.begin(READ_ALL, Vec::new()).await?;
    let found = inspected(conn, cluster).await?;
    conn.done().await?;
    Ok(found)
}

/// Inside of a transaction that has begun: one snapshot, so that the counts belong together.
pub(super) async fn inspected(conn: &Conn, cluster: &ClusterName) -> Result<Inspected, Failure> {
    let of = |statement: &'static str| Ask::new(statement).text(&cluster.0);
    let answers = conn
        .more(vec![
            meta::ask(cluster),
            of("SELECT id, node, phase, revision, drained_at, closed_at, doc, seal FROM cases WHERE cluster = $1"),
            of("SELECT id, tries, at, outcome, case_id, seal FROM steps WHERE cluster = $1"),
            of("SELECT id, doc, reply FROM requests WHERE cluster = $1"),
            inbox::ask_unanswered(cluster),
            of("SELECT fingerprint, starts_at, ends_at, received_at, labels, seal FROM episodes WHERE cluster = $1"),
            of("SELECT id, doc, NULL FROM notices WHERE cluster = $1"),
            of("SELECT notice, outcome, NULL FROM deliveries WHERE cluster = $1"),
            of("SELECT key, doc, NULL FROM work_orders WHERE cluster = $1"),
            of("SELECT count(*) FROM poison WHERE cluster = $1"),
        ])
        .await?;
    let meta = Meta::read(&answers[0])?;
    commit::next_case(&meta)?;
    let cases = load::read_cases(&answers[1])?;
    let steps = cases::ledger(&answers[2])?;
    requests(&answers[3])?;
    inbox::unanswered(&answers[4])?;
    let episodes = answers[5].iter().map(episodes::read).collect::<Result<Vec<_>, _>>()?;
    notices(&answers[6])?;
    each::<Outcome>(&answers[7], "the delivery of")?;
    each::<WorkOrder>(&answers[8], "the work order of step")?;
    let unreadable = answers[9].first().map_or(Ok(0), |row| row.count(0))?;
    let entry = |entry: &super::super::chain::Row| {
        from_json::<Note>(&format!("journal entry {}", entry.seq), &entry.doc).map(drop)
    };
    let journal = journal::walk(conn, cluster, &meta, entry).await?;
    let open: Vec<_> = cases.iter().filter(|(case, _)| case.open()).collect();
    Ok(Inspected {
        commits: None,
        cases: cases.len(),
        open_cases: open.len(),
        owing: open.iter().filter(|(case, _)| !case.owed.nothing()).count(),
        steps: steps.len(),
        requests: answers[3].len(),
        episodes: episodes.len(),
        notices: answers[6].len(),
        work_orders: answers[8].len(),
        unreadable: usize::try_from(unreadable).unwrap_or(usize::MAX),
        journal,
    })
}

/// All of them, the answered ones with their answers.
fn requests(rows: &[Row]) -> Result<(), Failure> {
    each::<Request>(rows, "request")?;
    for row in rows {
        if let Some(reply) = row.maybe_text(2)? {
            from_json::<Reply>(&format!("the reply to request {}", row.text(0)?), &reply)?;
        }
    }
    Ok(())
}

fn notices(rows: &[Row]) -> Result<(), Failure> {
    for row in rows {
        let what = format!("notice {}", row.text(0)?);
        let notice: Notice = from_json(&what, &row.text(1)?)?;
        if notice.id.0 != row.text(0)? {
            return Err(StoreError::spoilt(what).into());
        }
    }
    Ok(())
}

fn each<T: serde::de::DeserializeOwned>(rows: &[Row], what: &str) -> Result<(), Failure> {
    for row in rows {
        from_json::<T>(&format!("{what} {}", row.text(0)?), &row.text(1)?)?;
    }
    Ok(())
}

//! The tables, made and changed by whichever instance comes first.
//!
//! A change is backward compatible by one version: while instances are replaced one after the other, those of the version
//! before work on. `oldest_reader` says from which version on; an older one is refused, and loses its leases.

use super::super::error::StoreError;
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, READ, WRITE_ALL};
use super::pool::{PATIENCE, Pool, attempt};

/// One change of the schema.
struct Change {
    statements: &'static str,
    /// Instances that know schemas from this one on can work with the result.
    oldest_reader: i64,
}

/// The schema's history, in order. Never edit one that was released: add the next.
const CHANGES: [Change; 1] = [Change { statements: include_str!("schema/0001_begin.sql"), oldest_reader: 1 }];

/// What this pitlane knows.
pub(super) const KNOWN: i64 = CHANGES.len() as i64;

/// Brings the database to what this pitlane knows, if it is not there yet.
pub(super) async fn ready(pool: &Pool) -> Result<(), StoreError> {
    let doing = "preparing the database";
    let found = attempt!(pool, PATIENCE, doing, conn => version(conn))?;
    match found {
        Some((found, oldest)) if found >= KNOWN => fits(found, oldest),
        _ => attempt!(pool, PATIENCE, doing, conn => upgrade(conn)),
    }
}

/// `None`: nobody was here before.
async fn version(conn: &Conn) -> Result<Option<(i64, i64)>, Failure> {
    let there = Ask::new(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'schema'",
    );
    let answers = conn.whole(READ, vec![there]).await?;
    if answers[0].first().map_or(Ok(0), |row| row.int(0))? == 0 {
        return Ok(None);
    }
    let answers =
        conn.whole(READ, vec![Ask::new("SELECT version, oldest_reader FROM schema WHERE one = 1")]).await?;
    answers[0].first().map(|row| Ok((row.int(0)?, row.int(1)?))).transpose()
}

async fn upgrade(conn: &Conn) -> Result<(), Failure> {
    // Beside a second instance's, this may fail once for a name that is there by now, and is then made again.
    conn.batch(
        "CREATE TABLE IF NOT EXISTS schema (one BIGINT PRIMARY KEY, version BIGINT NOT NULL, oldest_reader BIGINT NOT NULL);
         INSERT INTO schema (one, version, oldest_reader) VALUES (1, 0, 0) ON CONFLICT (one) DO NOTHING",
    )
    .await?;
    // Held until the end: the next one waits, and finds that it is done.
    let lock = Ask::new("SELECT version, oldest_reader FROM schema WHERE one = 1 FOR UPDATE");
    let answers = conn.begin(WRITE_ALL, vec![lock]).await?;
    let (found, oldest) = match answers[0].first() {
        Some(row) => (row.int(0)?, row.int(1)?),
        None => return Err(Failure::Raced("the schema's row is not there yet".to_owned())),
    };
    fits(found, oldest)?;
    let from = usize::try_from(found).unwrap_or_default().min(CHANGES.len());
    for change in &CHANGES[from..] {
        conn.batch(change.statements).await?;
    }
    let mut asks = Vec::new();
    if let Some(last) = CHANGES[from..].last() {
        let note = Ask::new("UPDATE schema SET version = $1, oldest_reader = $2 WHERE one = 1");
        asks.push(note.int(KNOWN).int(last.oldest_reader));
    }
    conn.end(asks).await.map(drop)
}

fn fits(found: i64, oldest_reader: i64) -> Result<(), StoreError> {
    if oldest_reader > KNOWN {
        return Err(StoreError::NewerDatabase { found, known: KNOWN });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_never_shuts_the_version_before_it_out() {
        for (change, version) in CHANGES.iter().zip(1_i64..) {
            assert!(change.oldest_reader <= (version - 1).max(1), "schema {version}");
        }
    }

    #[test]
    fn a_schema_is_refused_only_if_it_says_so() {
        assert!(fits(KNOWN + 1, KNOWN).is_ok(), "one version ahead");
        let said = fits(KNOWN + 2, KNOWN + 1).expect_err("two ahead").to_string();
        assert!(said.contains("upgrade this instance"), "{said}");
    }
}

//! What is remembered, read without the right to write: for `owed` while the service is dead.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::Connection;

use super::reader::DEADLINE;
use super::{Reader, inbox, journal, load};
use crate::model::case::Case;
use crate::model::ids::CaseId;
use crate::model::note::Note;
use crate::model::seen::Trouble;
use crate::model::shown::Unreadable;
use crate::model::step::{Attempt, StepId};
use crate::ports::Archive;

#[async_trait]
impl Archive for Reader {
    async fn cases(&self, limit: usize) -> Result<Vec<Case>, Trouble> {
        Ok(self.readers.read("listing cases", DEADLINE, move |conn| load::cases(conn, limit)).await?)
    }

    async fn case(&self, id: CaseId) -> Result<Option<Case>, Trouble> {
        Ok(self.readers.read("reading a case", DEADLINE, move |conn| load::case(conn, id)).await?)
    }

    async fn journal(
        &self,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Note)>, Trouble> {
        let read = move |conn: &Connection| journal::read(conn, case, after, limit);
        Ok(self.readers.read("reading the journal", DEADLINE, read).await?)
    }

    async fn ledger(&self, case: CaseId) -> Result<BTreeMap<StepId, Attempt>, Trouble> {
        Ok(self
            .readers
            .read("reading the ledger", DEADLINE, move |conn| load::ledger(conn, Some(case)))
            .await?)
    }

    async fn unreadable(&self, newest: usize) -> Result<Unreadable, Trouble> {
        let read = move |conn: &Connection| inbox::unreadable(conn, newest);
        Ok(self.readers.read("listing unreadable deliveries", DEADLINE, read).await?)
    }
}

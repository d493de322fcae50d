//! What the faces read, beside the writer or without one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::Connection;

use super::reader::{DEADLINE, Readers};
use super::{Reader, SqliteStore, journal, load};
use crate::model::case::Case;
use crate::model::ids::CaseId;
use crate::model::note::Note;
use crate::model::seen::Trouble;
use crate::model::step::{Attempt, StepId};
use crate::ports::Archive;

#[async_trait]
impl Archive for Readers {
    async fn cases(&self, limit: usize) -> Result<Vec<Case>, Trouble> {
        Ok(self.read("listing cases", DEADLINE, move |conn| load::cases(conn, limit)).await?)
    }

    async fn case(&self, id: CaseId) -> Result<Option<Case>, Trouble> {
        Ok(self.read("reading a case", DEADLINE, move |conn| load::case(conn, id)).await?)
    }

    async fn journal(
        &self,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Note)>, Trouble> {
        let read = move |conn: &Connection| journal::read(conn, case, after, limit);
        Ok(self.read("reading the journal", DEADLINE, read).await?)
    }

    async fn ledger(&self, case: CaseId) -> Result<BTreeMap<StepId, Attempt>, Trouble> {
        Ok(self.read("reading the ledger", DEADLINE, move |conn| load::ledger(conn, Some(case))).await?)
    }
}

/// Whoever has readers is an archive.
macro_rules! archive {
    ($type:ty, $($readers:ident).+) => {
        #[async_trait]
        impl Archive for $type {
            async fn cases(&self, limit: usize) -> Result<Vec<Case>, Trouble> {
                self.$($readers).+.cases(limit).await
            }

            async fn case(&self, id: CaseId) -> Result<Option<Case>, Trouble> {
                self.$($readers).+.case(id).await
            }

            async fn journal(
                &self,
                case: Option<CaseId>,
                after: u64,
                limit: usize,
            ) -> Result<Vec<(u64, Note)>, Trouble> {
                self.$($readers).+.journal(case, after, limit).await
            }

            async fn ledger(&self, case: CaseId) -> Result<BTreeMap<StepId, Attempt>, Trouble> {
                self.$($readers).+.ledger(case).await
            }
        }
    };
}

archive!(SqliteStore, shared.readers);
archive!(Reader, readers);

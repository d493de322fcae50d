//! How much is kept of what people ask and of deliveries that nobody could read.

use super::documents::instant;
use super::error::StoreError;
use crate::model::shown::Unread;

/// Requests without an answer. The loop answers within a turn; a thousand waiting means that it stands still.
pub(super) const WAITING_MAX: usize = 1000;

/// Of an unreadable delivery, this much is kept: enough to see what it was.
const POISON_BYTES_MAX: usize = 64 * 1024;

/// The newest of them are kept; together at most 64 MiB.
pub(super) const POISON_ROWS_MAX: i64 = 1000;

/// How much of a body people are shown: what it was can be told from its beginning.
const SHOWN_BYTES_MAX: usize = 4 * 1024;

/// An unreadable delivery, as it is kept for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    pub at: String,
    pub why: String,
    /// Bytes of the whole body.
    pub size: u64,
    /// Its beginning, at most 64 KiB.
    pub body: Vec<u8>,
}

/// What is kept of a delivery, with its whole size: cut before it waits for the writer.
pub(super) fn cut(body: &[u8], why: &str) -> (Vec<u8>, u64, String) {
    (body[..body.len().min(POISON_BYTES_MAX)].to_vec(), body.len() as u64, why.to_owned())
}

impl Poison {
    pub(super) fn shown(self) -> Result<Unread, StoreError> {
        let at = instant("an unreadable delivery", &self.at)?;
        let beginning = &self.body[..self.body.len().min(SHOWN_BYTES_MAX)];
        let beginning = String::from_utf8_lossy(beginning).into_owned();
        Ok(Unread { at, why: self.why, size: self.size, beginning })
    }
}

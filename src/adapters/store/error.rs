//! What can go wrong with the store, in words that say what to do, and what the loop is told of it.

use std::path::PathBuf;

use crate::model::ids::{ClusterName, RequestId};
use crate::model::notice::NoticeId;
use crate::model::seen::Trouble;
use crate::model::step::StepId;
use crate::ports::Uncommitted;

/// Why the store could not do what it was asked. Nothing was written, unless it says [`StoreError::Late`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A person at the command line named a file that cannot be used so.
    #[error("{file}: {why}")]
    File { file: PathBuf, why: String },
    #[error("the state directory {dir} cannot be used: {why}")]
    Directory { dir: PathBuf, why: String },
    #[error(
        "another pitlane{holder} holds {file}; two of them would give contradictory orders: stop that one first, or \
         name another state directory"
    )]
    Held { file: PathBuf, holder: String },
    #[error("opening {file}")]
    Open {
        file: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error(
        "{file} is damaged or no database of pitlane's ({why}): stop pitlane, keep a copy of the whole directory, then \
         run `pitlane store restore BACKUP`; without a backup, move it away, start anew, and give back by hand what \
         the cluster still holds"
    )]
    Damaged { file: PathBuf, why: String },
    #[error(
        "{file} has lost what was written to it: it knows {found} commits, and {known} were acknowledged. An older copy was put \
         in its place, or the disk has lost writes, or `pitlane store restore` was broken off: then run it again. Otherwise compare what the cluster holds with `pitlane owed --offline`, then \
         take this file, or a newer backup, with `pitlane store restore`"
    )]
    Behind { file: PathBuf, found: u64, known: u64 },
    #[error(
        "{file} was written by a newer pitlane (schema {found}, this one knows {known}): run that version, or restore the \
         backup from before the upgrade"
    )]
    Newer { file: PathBuf, found: i64, known: i64 },
    #[error(
        "{file} has schema {found} and this pitlane reads {known}: start the service once, it upgrades the file; \
         a backup is upgraded when it is restored"
    )]
    Older { file: PathBuf, found: i64, known: i64 },
    #[error("upgrading {file} to schema {to}; it is unchanged")]
    Migrate {
        file: PathBuf,
        to: i64,
        #[source]
        source: rusqlite::Error,
    },
    #[error("somebody else decided meanwhile")]
    Conflict,
    #[error(
        "{what} is stored in a form that this pitlane does not accept ({why}); nothing is decided until a person has \
         looked at it"
    )]
    Document { what: String, why: String },
    #[error("the journal does not hold together at entry {seq}: {why}")]
    Journal { seq: u64, why: String },
    #[error("step {0} was never planned, so nothing can have become of it")]
    NeverPlanned(StepId),
    #[error("notice {0} was never written for that channel")]
    NeverTold(NoticeId),
    #[error("request {0} was already made, with other contents")]
    OtherRequest(RequestId),
    #[error("{0} requests wait for an answer already; try again when some are answered")]
    TooManyRequests(usize),
    #[error(
        "{doing}: the database file is damaged ({source}). Nothing is decided or done from it any more: stop pitlane, keep a copy \
         of its state directory, then run `pitlane store restore BACKUP`"
    )]
    Rotten { doing: &'static str, source: rusqlite::Error },
    #[error(
        "{doing}: the disk of the state directory is full ({source}). Nothing is begun that cannot be written down; make room, and \
         pitlane goes on by itself"
    )]
    Full { doing: &'static str, source: rusqlite::Error },
    #[error(
        "{doing}: the file system of the state directory does not let us write ({source}). Nothing is begun that cannot be \
         written down; make it writable (`dmesg` tells why it is not), and pitlane goes on by itself"
    )]
    ReadOnly { doing: &'static str, source: rusqlite::Error },
    #[error(
        "{doing}: the disk of the state directory does not do what it is asked ({source}). Nothing is begun that cannot be written \
         down; look at `dmesg` and the disk's health"
    )]
    Disk { doing: &'static str, source: rusqlite::Error },
    /// What a person wrote down to reach the database.
    #[error("store.postgres: {0}")]
    Address(String),
    #[error(
        "PostgreSQL is not reached ({why}). Nothing is begun that cannot be written down; a service that runs goes on by itself \
         when it answers again"
    )]
    Away { why: String },
    #[error("{doing}: PostgreSQL said no ({why})")]
    Remote { doing: &'static str, why: String },
    #[error("{doing}: the connection to PostgreSQL was lost ({why}); it may be written")]
    Unknown { doing: &'static str, why: String },
    #[error(
        "this instance does not hold the lease of cluster {0} any more; whoever does decides, and nothing of this was written"
    )]
    Fenced(ClusterName),
    #[error(
        "the database was brought to schema {found} by a newer pitlane, and this one (schema {known}) cannot work with that: \
         upgrade this instance; the others go on meanwhile"
    )]
    NewerDatabase { found: i64, known: i64 },
    #[error(
        "cluster {cluster} is in the database already ({why}); nothing was moved, and nothing of it is overwritten"
    )]
    There { cluster: ClusterName, why: String },
    #[error(
        "the state in {dir} was moved to PostgreSQL ({to}): configure store.postgres, and start pitlane with that. If the \
         cluster is not there, the move was broken off: remove {dir}/pitlane.moved and move it again"
    )]
    Moved { dir: PathBuf, to: String },
    #[error("{doing}: the database said no")]
    Sql {
        doing: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// The transaction that carried this and others failed as a whole.
    #[error("{0}")]
    Uncommitted(String),
    #[error("{doing}: no answer within {secs} s; it may still be written")]
    Late { doing: &'static str, secs: u64 },
    #[error("the store's thread has ended; restart pitlane")]
    Gone,
}

impl StoreError {
    /// A row that is not what was written.
    pub(super) fn spoilt(what: impl Into<String>) -> Self {
        Self::document(what, "its seal is broken: the disk, or somebody's hand, has changed it")
    }

    /// A document that does not parse or fails its proofs.
    pub(super) fn document(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Document { what: what.into(), why: why.to_string() }
    }

    /// The error with everything below it, for one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        // Those that name what is below them in the middle of their own sentence do not say it twice.
        let said = matches!(
            self,
            Self::Rotten { .. } | Self::Full { .. } | Self::ReadOnly { .. } | Self::Disk { .. }
        );
        let mut below = std::error::Error::source(self).filter(|_| !said);
        while let Some(error) = below {
            text.push_str(&format!(": {error}"));
            below = error.source();
        }
        text
    }
}

/// For `map_err`: says what was being done when SQLite refused.
pub(super) fn sql(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| of(doing, source)
}

/// What SQLite's code means for whoever keeps the machine.
fn of(doing: &'static str, source: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode as Code;
    match source.sqlite_error_code() {
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => StoreError::Rotten { doing, source },
        Some(Code::DiskFull) => StoreError::Full { doing, source },
        Some(Code::ReadOnly) => StoreError::ReadOnly { doing, source },
        Some(Code::SystemIoFailure | Code::CannotOpen) => StoreError::Disk { doing, source },
        _ => StoreError::Sql { doing, source },
    }
}

/// The words for a transaction that failed as a whole.
pub(super) fn in_words(source: rusqlite::Error) -> String {
    of("committing", source).chain()
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let text = error.chain();
        match error {
            StoreError::OtherRequest(_)
            | StoreError::TooManyRequests(_)
            | StoreError::Held { .. }
            | StoreError::Newer { .. }
            | StoreError::Behind { .. }
            | StoreError::File { .. }
            | StoreError::Older { .. }
            | StoreError::Fenced(_)
            | StoreError::NewerDatabase { .. }
            | StoreError::There { .. }
            | StoreError::Moved { .. }
            | StoreError::Conflict => Self::Refused(text),
            StoreError::Address(_) => Self::NotConfigured(text),
            StoreError::NeverPlanned(_)
            | StoreError::NeverTold(_)
            | StoreError::Document { .. }
            | StoreError::Journal { .. }
            | StoreError::Rotten { .. }
            | StoreError::Damaged { .. } => Self::Nonsense(text),
            StoreError::Late { .. } | StoreError::Unknown { .. } => Self::TooSlow(text),
            StoreError::Directory { .. }
            | StoreError::Open { .. }
            | StoreError::Migrate { .. }
            | StoreError::Full { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Disk { .. }
            | StoreError::Sql { .. }
            | StoreError::Away { .. }
            | StoreError::Remote { .. }
            | StoreError::Uncommitted(_)
            | StoreError::Gone => Self::Unreachable(text),
        }
    }
}

impl From<StoreError> for Uncommitted {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            other => Self::Trouble(other.into()),
        }
    }
}

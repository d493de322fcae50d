//! What pitlane remembers, behind the store's ports.
//!
//! [`sqlite`]: one file beside the process, for one instance. [`postgres`]: a database for several instances. What is no SQL
//! lies here, for every store: the documents, the journal's chain, the seals. A store must never decide anything, and never
//! begin anew over what it cannot read.

mod case_row;
mod chain;
mod deciding;
mod documents;
mod error;
mod patience;
mod poison;
mod postgres;
mod rates;
mod seal;
mod sheet;
mod sqlite;

pub use chain::Head;
pub use error::StoreError;
pub use poison::Poison;
pub use postgres::{
    LEASE, Moved, PostgresBoard, PostgresBudgets, PostgresFleet, PostgresLeases, PostgresSettings,
    PostgresStore, postgres_url,
};
pub use sheet::{Comment, Sheet};
pub use sqlite::{
    Board, Copied, Copies, Inspected, Keep, Reader, SqliteFleet, SqliteStore, backup, fit, inspect,
    keep_copying, nothing_left, open, restore,
};

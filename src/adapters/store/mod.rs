//! What pitlane remembers, behind the store's ports.
//!
//! [`sqlite`]: one file beside the process, for one instance. What is no SQL lies here, for every store: the documents, the
//! journal's chain, the seals. A store must never decide anything, and never begin anew over what it cannot read.

mod chain;
mod deciding;
mod documents;
mod error;
mod poison;
mod rates;
mod seal;
mod sheet;
mod sqlite;

pub use chain::Head;
pub use error::StoreError;
pub use poison::Poison;
pub use sheet::{Comment, Sheet};
pub use sqlite::{
    Board, Copied, Copies, Inspected, Reader, SqliteFleet, SqliteStore, backup, fit, inspect, keep_copying, open,
    restore,
};

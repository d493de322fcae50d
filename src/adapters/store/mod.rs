//! What pitlane remembers, behind the store's ports.
//!
//! [`sqlite`]: one file beside the process, for one instance. It must never decide anything, and never begin anew over what it
//! cannot read.

mod sqlite;

pub use sqlite::{
    Board, Comment, Copied, Copies, Head, Inspected, Keep, Poison, Reader, Sheet, SqliteFleet, SqliteStore,
    StoreError, backup, fit, inspect, keep_copying, open, restore,
};

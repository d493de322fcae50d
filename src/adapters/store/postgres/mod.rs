//! What pitlane remembers, in PostgreSQL: for several instances that look after the same clusters.
//!
//! [`PostgresFleet`] is the database; [`PostgresStore`] is one cluster in it, under a tenure. Every row carries its cluster's
//! name. What decides holds the cluster's lease in its own transaction ([`lease`]); what is only taken in does not need one.
//! No SQL in here that a distributed database with PostgreSQL's protocol lacks: see `docs/decisions/postgres.md`.

mod ask;
mod bells;
mod board;
mod budgets;
mod cases;
mod commit;
mod conn;
mod episodes;
mod fleet;
mod inbox;
mod inspect;
mod intake;
mod journal;
mod keep;
mod lease;
mod load;
mod measured;
mod meta;
mod moving;
mod notices;
mod pool;
mod prune;
mod schema;
mod settings;
mod store;
mod tls;

pub use budgets::PostgresBudgets;
pub use fleet::PostgresFleet;
pub use lease::PostgresLeases;
pub use moving::Moved;
pub use settings::{LEASE, PostgresSettings, postgres_url};
pub use store::{PostgresBoard, PostgresStore};

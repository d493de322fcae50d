//! Configuration and policies: YAML files, read once, every mistake told with its place and what to write instead.
//!
//! Secrets never stand in these files: they name files or environment variables that hold them. Reading ends here;
//! nothing in here opens a connection.

mod address;
mod asked;
mod assemble;
pub mod bmc;
mod bounds;
pub mod calendar_test;
pub mod calendars;
mod database;
pub mod file;
mod fleet;
mod formats;
mod hints;
pub mod kept;
pub mod mail;
pub mod mistakes;
pub mod notify;
mod own;
pub mod planning;
pub mod policy;
pub mod policy_test;
mod query;
mod reader;
mod schemas;
mod settings;
mod silences;
mod ticket_template;
mod tickets;
mod tree;
mod witnesses;

pub use address::{ServiceAddress, cluster_file, state_dir, whereabouts};
pub use database::{Database, Whereabouts};
pub use fleet::{Service, serve, state_of};
pub use formats::cluster_name;
pub use hints::{hints, hints_of};
pub use mistakes::{Mistake, Mistakes, Place};
pub use reader::{Read, read};
pub use schemas::{Format, schema_of};
pub use settings::{AlertmanagerSettings, Asked, Config, Http, ProxmoxSettings, Secret, load, read_tokens};
pub use tickets::{TicketKind, TicketSettings, TicketSystem, TicketsFile};

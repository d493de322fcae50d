//! Configuration and policies: YAML files, read once, every mistake told with its place and what to write instead.
//!
//! Secrets never stand in these files: they name files or environment variables that hold them. Reading ends here;
//! nothing in here opens a connection.

mod address;
pub mod file;
mod formats;
pub mod mistakes;
pub mod planning;
pub mod policy;
pub mod policy_test;
mod reader;
mod settings;
mod tree;

pub use address::ServiceAddress;
pub use mistakes::{Mistake, Mistakes, Place};
pub use reader::{Read, read, schema_of};
pub use settings::{Config, Http, ProxmoxSettings, Secret, load, read_tokens};

//! Tickets where teams really work: Request Tracker, and any system that speaks JSON over HTTP, told by a template; and mail.
//!
//! `contract.rs` is what all are held to; a system brings its manners only. It must never believe a "done": that a
//! ticket is done is a technician's claim, and what follows from it is decided elsewhere.

mod both;
mod call;
mod contract;
mod error;
pub mod hook;
mod http;
mod mail;
mod polled;
mod rt;

pub use both::Both;
pub use contract::{Become, Carries, Depth, Desk, Held, Paper, Survey, Ticket};
pub use error::TicketError;
pub use http::{HttpConfig, HttpDesk};
pub use mail::Mailed;
pub use polled::Polled;
pub use rt::{RequestTracker, RtConfig};

#[cfg(test)]
mod tests;

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

use crate::model::reach::{Call, Effect, System};

/// What pitlane can say to ticket systems. What a template says stands in the template, which the operator wrote; the
/// configuration refuses one that would delete anything but its own session.
pub fn statement() -> Vec<Call> {
    let mut all = rt::Asked::statement();
    for method in ["GET", "POST", "PUT", "PATCH"] {
        let effect = if method == "GET" { Effect::Read } else { Effect::Tell };
        all.push(Call::new(System::TicketTemplate, method, "PATH", effect, "as the template in use says"));
    }
    let needs = "session.close of a template that logs in";
    all.push(Call::new(System::TicketTemplate, "DELETE", "SESSION", Effect::Tell, needs));
    all
}

#[cfg(test)]
mod tests;

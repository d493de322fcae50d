//! Alertmanager: its webhook, the way in for alarms, and its API, which says what fires at this moment.
//!
//! A delivery is authenticated, bounded, parsed and made durable, then the bell is rung. It must never act, and never
//! answer 200 for what a power cut could still lose. A poll asks every member, and must never call a list whole to
//! which somebody's part is missing. A silence is looked for before it is set, and none but ours is ended.

mod alerts;
mod calls;
mod directory;
mod error;
mod intake;
mod listing;
mod parse;
mod poll;
mod quick;
mod route;
mod silences;
mod sorter;

pub use calls::Asked;
pub use directory::{Directory, Has, OfCluster, Shelf};
pub use error::PollError;
pub use intake::{Answer, Intake, Limits};
pub use parse::{Bad, NotADelivery, Parsed, fingerprint, parse};
pub use poll::{Alertmanagers, AlertmanagersConfig, Login, Wanted};
pub use route::{Receiver, Tokens, router};
pub use sorter::{Sink, Sorter};

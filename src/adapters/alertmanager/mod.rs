//! Alertmanager's webhook: the one way in for alarms.
//!
//! A delivery is authenticated, bounded, parsed and made durable, then the bell is rung. It must never act, and never
//! answer 200 for what a power cut could still lose.

mod intake;
mod parse;
mod route;

pub use intake::{Answer, Intake, Limits};
pub use parse::{Bad, NotADelivery, Parsed, fingerprint, parse};
pub use route::{Receiver, Tokens, router};

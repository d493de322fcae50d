//! Proxmox VE, over its HTTP API.
//!
//! Read from the bottom up: [`transport`] moves bytes, [`client`] chooses the member that is asked and keeps
//! the limits, [`error`] says what a refusal means, [`wire`] says what an answer means, [`calls`] lists every
//! question and order that pitlane has for a cluster. [`views`] and [`detail`] put answers into the model's words;
//! [`Proxmox`] is the port.
//!
//! This module never asks the node that is being serviced to speak for the cluster, never repeats an order whose
//! outcome it does not know, and never turns an answer it cannot read into an empty one. It has no call that deletes a
//! guest, a disk, a backup or a snapshot.

mod act;
pub mod bindings;
pub mod calls;
pub mod classify;
pub mod client;
pub mod detail;
mod discovery;
pub mod endpoint;
pub mod error;
pub mod https;
mod inventory;
mod look;
mod look_closer;
pub mod manager;
pub mod opinion;
mod proxmox;
pub mod request;
pub mod statement;
mod survey;
mod task_log;
pub mod tls;
pub mod transport;
mod trouble;
mod unlisted;
pub mod upid;
pub mod views;
pub mod wire;

pub use super::pins::Fingerprint;
pub use client::{Answer, Client, Limits, Route};
pub use discovery::{CephFound, TrustOthers, name_behind};
pub use endpoint::Endpoint;
pub use error::{PveError, Refusal};
pub use https::{ConnectionLimits, Https};
pub use proxmox::{Member, Proxmox, Settings};
pub use request::{ApiToken, Call};
pub use tls::Trust;
pub use transport::{HttpTransport, TransportError};
pub use upid::Upid;

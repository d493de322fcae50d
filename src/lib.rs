//! pitlane takes a sick Proxmox VE node off the track, gets it serviced, and puts it back.
//!
//! In reading order: [`model`] holds the nouns, [`decide`] the verbs, both pure; [`ports`] says what the loop needs
//! from outside, [`adapters`] bring it, [`reconcile`] is the loop; [`sim`] is a cluster in memory; [`web`] and [`cli`]
//! are faces. See `docs/ARCHITECTURE.md`.

pub mod adapters;
pub mod cli;
pub mod config;
pub mod decide;
pub mod demo;
pub mod model;
pub mod ports;
pub mod reconcile;
pub mod sim;
pub mod telemetry;
pub mod web;

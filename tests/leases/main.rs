//! The lease protocol of `docs/decisions/leases.md`, checked exhaustively: two instances, one database, two cases, and every
//! order in which what may happen can happen. Printed are the states; what is not in the model is told on that page.
//!
//! A model of the protocol, not of the code: it shows that the rules are enough and that none is one too many.
//!
//! `cargo test --release --test leases -- --nocapture`

mod asks;
mod explore;
mod holds;
mod moves;
mod needed;
mod residue;
mod rules;
mod turns;
mod world;

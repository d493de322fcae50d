//! The outside systems, one folder each; none knows another.

pub mod alertmanager;
pub mod bmc;
pub mod ceph;
mod child;
pub mod hand;
pub mod notify;
pub mod pins;
pub mod pve;
pub mod sensors;
pub mod smtp;
pub mod store;
pub mod tickets;

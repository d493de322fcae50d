//! The outside systems, one folder each; none knows another.

pub mod alertmanager;
pub mod pve;
pub mod store;

//! The outside systems, one folder each, each behind its port.

pub mod pve;

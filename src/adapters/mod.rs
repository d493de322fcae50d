//! The outside systems, one folder each; none knows another.

pub mod pve;

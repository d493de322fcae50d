//! Contract tests: each adapter against the real thing, or against what the real thing was recorded to say.

mod pve_loopback;
mod pve_port;
mod pve_recordings;
mod pve_replay;
mod pve_schema;
mod pve_scripted;
mod pve_server;
mod pve_told;

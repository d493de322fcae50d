//! Contract tests: each adapter against the real thing, or against what the real thing was recorded to say.

mod alarms;
mod ceph_program;
mod ceph_recordings;
mod ceph_replay;
mod ceph_writes;
mod door_ceph;
mod door_manners;
mod door_recordings;
mod door_schema;
mod door_shape;
mod door_shell;
mod door_views;
mod door_world;
mod hand_ssh;
mod pve_loopback;
mod pve_port;
mod pve_recordings;
mod pve_replay;
mod pve_schema;
mod pve_scripted;
mod pve_server;
mod pve_timelines;
mod pve_told;
mod served;
mod stores;
mod webhook;

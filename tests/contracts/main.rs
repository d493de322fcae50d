//! Contract tests: each adapter against the real thing, or against what the real thing was recorded to say.

mod ceph_program;
mod ceph_recordings;
mod ceph_replay;
mod ceph_writes;
mod hand_ssh;

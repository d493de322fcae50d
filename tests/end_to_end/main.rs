//! Real parts: Ceph, sshd. They come from `tests/lab`; where one is not installed, its script says what to install
//! and the test fails with those words. Nothing here is skipped.

mod ceph_real;
mod hand_real;
mod lab;

//! Real parts: Ceph, sshd, a BMC with Prometheus and Alertmanager behind it, and the program itself. They come
//! from `tests/lab`; where one is not installed, its script says what to install and the test fails with those
//! words. Nothing here is skipped.

mod alertmanager_real;
mod away;
mod bmc_real;
mod ceph_real;
mod ceph_verdict;
mod chain;
mod disk;
mod fan_story;
mod flapping;
mod fleet;
mod hand_real;
mod hands;
mod hardship;
mod instances;
mod kills;
mod lab;
mod network;
#[expect(dead_code, reason = "the contract tests use the rest of it")]
#[path = "../lab/postgres.rs"]
mod postgres;
mod proxy;
mod rt_real;
mod seats;
mod shell;
mod site;
mod smtp_real;
mod sources;

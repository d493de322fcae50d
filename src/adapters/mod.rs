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

use crate::model::reach::Call;

/// Everything that pitlane can say to the systems around it.
pub fn statement() -> Vec<Call> {
    let mut all = [
        pve::statement::statement(),
        hand::Verb::statement(),
        ceph::Command::statement(),
        bmc::statement(),
        sensors::statement(),
        alertmanager::Asked::statement(),
        tickets::statement(),
        notify::statement(),
    ]
    .concat();
    all.sort();
    all
}

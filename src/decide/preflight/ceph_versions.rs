//! Is Ceph in the middle of an upgrade or a rolling restart? Then its daemons go down one after another, and whoever
//! restarts them does not know of us.

use std::collections::BTreeSet;

use super::{Found, Question};
use crate::model::seen::{Blind, Trouble};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::{Source, Wait};
use crate::model::wait_text::list;

pub(super) fn check(q: &Question) -> Check {
    if !q.view.has_ceph() {
        return q.not_applicable(CheckName::CephVersions, "declared: no Ceph on the members");
    }
    q.answer(CheckName::CephVersions, &q.view.seen.ceph, find(q))
}

/// Monitors and managers of another version raise a health code of their own, which is not among the benign ones.
fn find(q: &Question) -> Result<Found, Wait> {
    let ceph = q.view.ceph()?;
    if let Some((id, _)) = ceph.osds.iter().find(|(_, osd)| osd.up && osd.version.is_none()) {
        let why = Trouble::Nonsense(format!("Ceph shows no version of osd.{id}"));
        return Err(Wait::CannotSee { source: Source::Ceph, why: Blind::Unknown(why) });
    }
    let versions: BTreeSet<String> = ceph.osds.values().filter_map(|osd| osd.version.clone()).collect();
    let mut found = Found::new(format!("OSDs run {}", list(&versions)));
    if versions.len() > 1 {
        found.block(Wait::CephMixedVersions { versions });
    }
    Ok(found)
}

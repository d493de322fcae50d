//! What `status`, `osd tree`, `osd dump`, `quorum_status` and `mgr dump` show together.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{HostName, OsdId};
use crate::model::observed::{self, CephView, HealthCheck, OkToStop};
use crate::model::seen::Trouble;
use crate::model::time::age;

use super::super::World;
use super::Ceph;

/// For so long a monitor without quorum still lists the old one.
const OLD_QUORUM_SECS: u64 = 7;

impl World {
    /// One round of reading.
    ///
    /// # Errors
    /// There is no Ceph; no monitor answers; an election is on.
    pub fn see_ceph(&self) -> Result<CephView, Trouble> {
        let ceph = self.a_ceph()?;
        if ceph.quorum_was.is_empty() {
            return Err(Trouble::TooSlow("no monitor answers".into()));
        }
        if let Some(lost) = ceph.quorum_lost {
            let mut old = ceph.last.clone().ok_or_else(|| Trouble::TooSlow("no quorum".into()))?;
            if age(self.now, lost).as_secs() >= OLD_QUORUM_SECS {
                old.quorum = BTreeSet::new();
            }
            return Ok(old);
        }
        if self.now < ceph.electing_until {
            return Err(Trouble::TooSlow("the monitors are electing; no answer in time".into()));
        }
        Ok(self.compose(ceph))
    }

    /// `osd ok-to-stop` for a set. Ceph answers from old maps when its monitors have lost quorum: ask for that first.
    ///
    /// # Errors
    /// Without a manager it hangs until it is killed; while one takes over it says "unknown state".
    pub fn ask_ok_to_stop(&self, asked: &BTreeSet<crate::model::ids::OsdId>) -> Result<OkToStop, Trouble> {
        let ceph = self.a_ceph()?;
        match (&ceph.active_mgr, ceph.mgr_lost) {
            (None, _) => Err(Trouble::TooSlow("no manager answers".into())),
            (_, Some(_)) => Err(Trouble::Refused("EAGAIN: PGs have unknown state".into())),
            _ => Ok(ceph.stoppable(asked)),
        }
    }

    pub(super) fn a_ceph(&self) -> Result<&Ceph, Trouble> {
        self.ceph.as_ref().ok_or_else(|| Trouble::NotConfigured("there is no Ceph here".into()))
    }

    pub(super) fn compose(&self, ceph: &Ceph) -> CephView {
        let mgr_alive = |mgr: &String| ceph.mgrs.get(mgr).is_some_and(|node| self.ceph_alive(node));
        CephView {
            quorum: ceph.quorum_was.iter().cloned().collect(),
            monitors: ceph.mons.keys().cloned().collect(),
            active_mgr: ceph.active_mgr.clone(),
            standby_mgrs: ceph
                .mgrs
                .keys()
                .filter(|mgr| Some(*mgr) != ceph.active_mgr.as_ref() && mgr_alive(mgr))
                .cloned()
                .collect(),
            checks: self.checks(ceph),
            pgs: ceph.shown.clone(),
            osds: ceph.osds.iter().map(|(id, o)| (*id, self.osd(ceph, *id, o))).collect(),
            flags: ceph.flags.keys().cloned().collect(),
            host_flags: ceph
                .host_noout
                .keys()
                .map(|host| (host.clone(), BTreeSet::from(["noout".to_owned()])))
                .collect(),
            pools: ceph.pools.iter().map(|placed| placed.pool.clone()).collect(),
            mds: ceph
                .mds
                .iter()
                .filter(|(node, _)| self.ceph_alive(node))
                .map(|(node, serves)| observed::Mds { name: node.to_string(), serves: serves.clone() })
                .collect(),
            hosts: ceph.hosts.iter().map(|(host, node)| (node.clone(), host.clone())).collect(),
        }
    }

    fn osd(&self, ceph: &Ceph, id: OsdId, osd: &super::Osd) -> observed::Osd {
        let version = ceph.versions.get(&id).map_or(super::RELEASE, String::as_str).to_owned();
        observed::Osd { host: osd.host.clone(), up: osd.up, r#in: osd.r#in, version: Some(version) }
    }

    /// After an auto-out the OSDs are named no more, though they are as dead as before.
    fn checks(&self, ceph: &Ceph) -> BTreeMap<String, HealthCheck> {
        let mut found: BTreeMap<String, HealthCheck> = ceph.checks.clone();
        let mut raise = |code: &str, summary: String| {
            let check =
                HealthCheck { severity: "HEALTH_WARN".into(), summary, muted: ceph.muted.contains(code) };
            found.insert(code.to_owned(), check);
        };
        let down: Vec<_> = ceph.osds.values().filter(|o| !o.up && o.r#in).collect();
        if !down.is_empty() {
            raise("OSD_DOWN", format!("{} osds down", down.len()));
        }
        let dead = |host: &HostName| ceph.osds.values().filter(|o| &o.host == host).all(|o| !o.up);
        let hosts: BTreeSet<&HostName> = down.iter().map(|o| &o.host).filter(|host| dead(host)).collect();
        if !hosts.is_empty() {
            raise("OSD_HOST_DOWN", format!("{} host(s) down", hosts.len()));
        }
        let away = ceph.mons.len() - ceph.quorum_was.len();
        if away > 0 {
            raise("MON_DOWN", format!("{away}/{} mons down", ceph.mons.len()));
        }
        if ceph.active_mgr.is_none() {
            raise("MGR_DOWN", "no active mgr".into());
        }
        if !ceph.host_noout.is_empty() {
            raise("OSD_FLAGS", "1 OSDs or CRUSH nodes have flags set".into());
        }
        if !ceph.flags.is_empty() {
            let flags: Vec<&str> = ceph.flags.keys().map(String::as_str).collect();
            raise("OSDMAP_FLAGS", format!("{} flag(s) set", flags.join(",")));
        }
        if ceph.shown.iter().any(|(state, n)| *n > 0 && state.contains("degraded")) {
            raise("PG_DEGRADED", "Degraded data redundancy".into());
        }
        if ceph.shown.iter().any(|(state, n)| *n > 0 && !state.contains("active")) {
            raise("PG_AVAILABILITY", "Reduced data availability".into());
        }
        found
    }
}

//! What can be done to Ceph: flags, the manager, and the things that people and disks do to it.

use crate::model::ids::{HostName, OsdId};
use crate::model::observed::HealthCheck;
use crate::model::seen::Trouble;
use crate::model::step::Switch;

use super::super::{Actor, World};

impl World {
    /// `osd set-group noout HOST` and `unset-group`. Twice is once.
    ///
    /// # Errors
    /// Unknown host bucket; no quorum: then it hangs.
    pub fn set_noout(&mut self, by: Actor, host: &HostName, to: Switch) -> Result<(), Trouble> {
        self.ceph_writable()?;
        let known = self.ceph.as_ref().is_some_and(|c| c.hosts.contains_key(host));
        if !known {
            return Err(Trouble::Refused(format!("Error EINVAL: no such bucket {host}")));
        }
        self.forbid_noout(by, host, to);
        let now = self.now;
        let Some(ceph) = &mut self.ceph else { return Ok(()) };
        let kind = match to {
            Switch::On => {
                ceph.host_noout.entry(host.clone()).or_insert((by, now));
                "noout_on"
            }
            Switch::Off => {
                ceph.host_noout.remove(host);
                ceph.noout_gone.insert(host.clone(), now);
                "noout_off"
            }
        };
        self.note_effect(by, kind, host);
        Ok(())
    }

    /// `mgr fail NAME`: a standby takes over within a second or two. A standby's own name changes nothing.
    ///
    /// # Errors
    /// No quorum: then it hangs.
    pub fn fail_mgr(&mut self, by: Actor, mgr: &str) -> Result<(), Trouble> {
        self.ceph_writable()?;
        self.forbid_killed_by(by, "failing the Ceph manager");
        self.note_effect(by, "fail_mgr", mgr);
        let alive: Vec<String> = self.ceph.as_ref().map_or_else(Vec::new, |c| {
            c.mgrs.iter().filter(|(_, n)| self.ceph_alive(n)).map(|(m, _)| m.clone()).collect()
        });
        if let Some(ceph) = &mut self.ceph
            && ceph.active_mgr.as_deref() == Some(mgr)
            && let Some(next) = alive.into_iter().find(|m| m != mgr)
        {
            ceph.active_mgr = Some(next);
            ceph.mgr_lost = None;
        }
        Ok(())
    }

    fn ceph_writable(&self) -> Result<(), Trouble> {
        let ceph = self.a_ceph()?;
        if !ceph.quorate() || self.now < ceph.electing_until {
            return Err(Trouble::TooSlow("the monitors did not answer in time".into()));
        }
        Ok(())
    }

    /// An operator sets or clears noout on a host.
    pub fn human_noout(&mut self, host: &HostName, to: Switch) {
        // Without quorum the operator's command hangs as well.
        let _ = self.set_noout(Actor::Human, host, to);
    }

    /// An operator sets or clears a cluster-wide flag.
    pub fn human_flag(&mut self, flag: &str, to: Switch) {
        let now = self.now;
        if let Some(ceph) = &mut self.ceph {
            match to {
                Switch::On => {
                    ceph.flags.insert(flag.to_owned(), (Actor::Human, now));
                }
                Switch::Off => {
                    ceph.flags.remove(flag);
                }
            }
        }
        self.stir();
    }

    /// Every manager daemon stops, and none comes back.
    pub fn stop_all_mgrs(&mut self) {
        if let Some(ceph) = &mut self.ceph {
            ceph.mgrs.clear();
        }
        self.stir();
    }

    /// A disk dies, or is replaced.
    pub fn set_osd_failed(&mut self, osd: OsdId, failed: bool) {
        if let Some(osd) = self.ceph.as_mut().and_then(|c| c.osds.get_mut(&osd)) {
            osd.failed = failed;
        }
        self.stir();
    }

    /// A monitor's daemon dies, or is started again; its host works on.
    pub fn set_mon_stopped(&mut self, mon: &str, stopped: bool) {
        if let Some(ceph) = &mut self.ceph {
            match stopped {
                true => drop(ceph.stopped_mons.insert(mon.to_owned())),
                false => drop(ceph.stopped_mons.remove(mon)),
            }
        }
        self.stir();
    }

    /// A health code appears (`None`: goes).
    pub fn set_check(&mut self, code: &str, check: Option<HealthCheck>) {
        if let Some(ceph) = &mut self.ceph {
            match check {
                Some(check) => ceph.checks.insert(code.to_owned(), check),
                None => ceph.checks.remove(code),
            };
        }
    }
}

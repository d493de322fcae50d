//! Ceph through Proxmox: status, flags, tree, and the question that takes one id only.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::ids::OsdId;
use crate::model::observed::CephView;
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::http::{ceph_json, door};
use crate::sim::world::{Actor, Ceph, Cut, Refusal};

/// Without a quorum of monitors every call ends so, after so long.
const TIMEOUT: &str = "got timeout";
const TIMEOUT_TAKES: Duration = Duration::from_secs(5);

const FLAGS: [(&str, &str); 11] = [
    ("nobackfill", "Backfilling of PGs is suspended."),
    ("nodeep-scrub", "Deep Scrubbing is disabled."),
    ("nodown", "OSD failure reports are being ignored, such that the monitors will not mark OSDs down."),
    ("noin", "OSDs that were previously marked out will not be marked back in when they start."),
    ("noout", "OSDs will not automatically be marked out after the configured interval."),
    ("norebalance", "Rebalancing of PGs is suspended."),
    ("norecover", "Recovery of PGs is suspended."),
    ("noscrub", "Scrubbing is disabled."),
    ("notieragent", "Cache tiering activity is suspended."),
    ("noup", "OSDs are not allowed to start."),
    ("pause", "Pauses read and writes."),
];

impl Call<'_> {
    /// Ceph, as the executing member reaches it.
    fn ceph(&self) -> Result<(&Ceph, CephView), Answer> {
        let Some(ceph) = &self.world.ceph else {
            let text = "pveceph configuration not initialized - missing '/etc/pve/ceph.conf', missing '/etc/pve/ceph'";
            return Err(Answer::fail(500, text));
        };
        let cut = self.world.nodes.get(self.at).is_some_and(|node| node.cut == Some(Cut::Network));
        let silent = || Answer::fail(500, TIMEOUT).taking(TIMEOUT_TAKES);
        if cut || !ceph.quorate() {
            return Err(silent());
        }
        let view = self.world.see_ceph().map_err(|_| silent())?;
        Ok((ceph, view))
    }

    /// The answer, or the refusal in its place: a timeout is not a refusal of the world's.
    fn of_ceph(&self, show: impl FnOnce(&Ceph, &CephView) -> Value) -> Said {
        Ok(match self.ceph() {
            Ok((ceph, view)) => Answer::data(show(ceph, &view)),
            Err(answer) => answer,
        })
    }

    pub fn ceph_status(&self) -> Said {
        self.of_ceph(|_, view| ceph_json::status(view))
    }

    pub fn osd_tree(&self) -> Said {
        self.of_ceph(|ceph, view| ceph_json::pve_tree(view, ceph))
    }

    pub fn ceph_flags(&self) -> Said {
        self.of_ceph(|_, view| {
            let row = |(name, text): (&str, &str)| {
                json!({ "name": name, "description": text, "value": u8::from(view.flags.contains(name)) })
            };
            FLAGS.into_iter().map(row).collect()
        })
    }

    pub fn ceph_flag(&self) -> Said {
        let flag = self.params.text("flag").unwrap_or_default();
        self.of_ceph(|_, view| json!(u8::from(view.flags.contains(&flag))))
    }

    /// Sets or clears a flag for the whole cluster. Nobody can see afterwards who did it; the world can.
    pub fn set_ceph_flag(&mut self) -> Said {
        if let Err(answer) = self.ceph() {
            return Ok(answer);
        }
        let (flag, on) = (self.params.text("flag").unwrap_or_default(), self.params.flag("value"));
        let (by, now) = (self.by(), self.world.now);
        let Some(ceph) = &mut self.world.ceph else { return Ok(Answer::data(Value::Null)) };
        let owner = ceph.flags.get(&flag).map(|(who, _)| *who);
        if on {
            ceph.flags.entry(flag.clone()).or_insert((by, now));
        } else {
            ceph.flags.remove(&flag);
        }
        let theirs = !on && by == Actor::Pitlane && owner == Some(Actor::Human);
        self.world.forbid(theirs, || format!("the flag {flag} is taken back, and a human had set it"));
        self.world.note_effect(by, if on { "flag_on" } else { "flag_off" }, flag);
        Ok(Answer::data(Value::Null))
    }

    /// May this one daemon stop? Yes also for those that do not exist, as the real one says.
    pub fn cmd_safety(&self) -> Said {
        let text = |name: &str| self.params.text(name).unwrap_or_default();
        let (service, id, action) = (text("service"), text("id"), text("action"));
        let (ceph, view) = match self.ceph() {
            Ok(found) => found,
            Err(answer) => return Ok(answer),
        };
        let answer = match (service.as_str(), action.as_str()) {
            ("osd", action) => {
                let osd =
                    id.parse().map(OsdId).map_err(|_| Refusal::died(format!("invalid osd id '{id}'")))?;
                if action == "destroy" { destroyable(ceph, osd) } else { return self.stoppable(osd) }
            }
            ("mon", "destroy") => told(true, &format!("safe to remove mon.{id}")),
            ("mon", _) => {
                let left: Vec<&str> =
                    view.quorum.iter().map(String::as_str).filter(|mon| *mon != id).collect();
                let names = left.join(",");
                if left.len() * 2 > view.monitors.len() {
                    told(true, &format!("quorum should be preserved ({names}) after stopping [{id}]"))
                } else {
                    let why = format!(
                        "not enough monitors would be available ({names}) after stopping mons [{id}]"
                    );
                    told(false, &why)
                }
            }
            _ => told(true, &format!("should be safe to {action} [{id}]")),
        };
        Ok(Answer::data(answer))
    }

    fn stoppable(&self, osd: OsdId) -> Said {
        match self.world.ask_ok_to_stop(&BTreeSet::from([osd])) {
            Ok(answer) if answer.ok => Ok(Answer::data(json!({ "safe": true }))),
            Ok(answer) => {
                let pgs = answer.bad_pgs;
                let why =
                    format!("unsafe to stop osd(s) at this time ({pgs} PGs are or would become offline)");
                Ok(Answer::data(told(false, &why)))
            }
            // Without a manager the question hangs until the member gives up on itself.
            Err(_) => Ok(door::refused(Refusal {
                status: 596,
                text: "Connection timed out".into(),
                parameter: None,
            })),
        }
    }
}

fn destroyable(ceph: &Ceph, osd: OsdId) -> Value {
    let places = ceph.pools.iter().flat_map(|placed| &placed.pgs);
    match places.filter(|pg| pg.acting.contains(&osd)).count() {
        0 => json!({ "safe": true }),
        pgs => told(false, &format!("OSD(s) {osd} have {pgs} pgs currently mapped to them. ")),
    }
}

fn told(safe: bool, status: &str) -> Value {
    json!({ "safe": safe, "status": status })
}

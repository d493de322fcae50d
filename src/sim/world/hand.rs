//! The root helper, as its script on a member would answer: it refuses without quorum, for unknown names, and for a
//! second node in maintenance or with noout. Giving back is never refused by it; the tools below it may fail.

use crate::model::ids::{HostName, NodeName};
use crate::model::seen::Trouble;
use crate::model::step::Switch;

use super::{Actor, World};

impl World {
    /// The helper on this member can be called.
    ///
    /// # Errors
    /// It is not installed there; the member is down.
    pub fn hand_on(&self, via: &NodeName) -> Result<(), Trouble> {
        if !self.hand.contains(via) {
            return Err(Trouble::NotConfigured(format!("the root helper is not installed on {via}")));
        }
        match self.nodes.get(via) {
            Some(node) if node.powered() => Ok(()),
            _ => Err(Trouble::Unreachable(format!("{via}: no route to host"))),
        }
    }

    /// `maintenance on|off NODE`.
    ///
    /// # Errors
    /// As the script refuses, or its tools fail.
    pub fn hand_maintenance(
        &mut self,
        by: Actor,
        via: &NodeName,
        node: &NodeName,
        to: Switch,
    ) -> Result<(), Trouble> {
        self.hand_on(via)?;
        // The judge comes first: that a second fence stands behind is no excuse for asking.
        self.forbid_maintenance(by, node, to);
        if to == Switch::On {
            self.hand_quorum(via)?;
            if !self.nodes.contains_key(node) {
                return Err(refused(format!("{node} is not a member of this cluster")));
            }
            let others: Vec<String> = self
                .nodes
                .keys()
                .filter(|other| *other != node && self.ha.maintenance_asked(other))
                .map(ToString::to_string)
                .collect();
            if !others.is_empty() {
                return Err(refused(format!("in maintenance already: {}", others.join(" "))));
            }
        }
        self.set_maintenance(by, via, node, to).map_err(Trouble::from)
    }

    /// `noout on|off HOST`.
    ///
    /// # Errors
    /// As the script refuses, or Ceph does not answer.
    pub fn hand_noout(
        &mut self,
        by: Actor,
        via: &NodeName,
        host: &HostName,
        to: Switch,
    ) -> Result<(), Trouble> {
        self.hand_on(via)?;
        self.forbid_noout(by, host, to);
        if to == Switch::On {
            self.hand_quorum(via)?;
            let seen = self.see_ceph()?;
            if !seen.hosts.values().any(|known| known == host) {
                return Err(refused(format!("{host} is not a CRUSH host")));
            }
            let others: Vec<&str> =
                seen.host_flags.keys().filter(|h| *h != host).map(HostName::as_str).collect();
            if !others.is_empty() {
                return Err(refused(format!("noout is held already by {}", others.join(" "))));
            }
            if seen.has_noout(host) {
                return Ok(());
            }
        }
        self.set_noout(by, host, to)
    }

    /// `mgr-fail NAME`.
    ///
    /// # Errors
    /// No standby; not a manager; Ceph does not answer.
    pub fn hand_fail_mgr(&mut self, by: Actor, via: &NodeName, mgr: &str) -> Result<(), Trouble> {
        self.hand_on(via)?;
        self.hand_quorum(via)?;
        let seen = self.see_ceph()?;
        if seen.active_mgr.as_deref() == Some(mgr) {
            if seen.standby_mgrs.is_empty() {
                return Err(refused("there is no standby manager".into()));
            }
            return self.fail_mgr(by, mgr);
        }
        if seen.standby_mgrs.contains(mgr) {
            Ok(())
        } else {
            Err(refused(format!("{mgr} is not a Ceph manager")))
        }
    }

    fn hand_quorum(&self, via: &NodeName) -> Result<(), Trouble> {
        if self.quorate(via) { Ok(()) } else { Err(refused("this member has no quorum".into())) }
    }
}

fn refused(text: String) -> Trouble {
    Trouble::Refused(format!("pitlane-hand: refused: {text}"))
}

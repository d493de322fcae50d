//! Members that leave the cluster for good, and machines that join it.

use super::ha::Member;
use super::{Node, NodeState, World};
use crate::model::ids::NodeName;
use crate::model::observed::{HaNodeState, LrmMode};

impl World {
    /// `pvecm delnode`, on another member: it is off, and its name is gone. HA forgets it with what was asked of it.
    pub fn human_removes(&mut self, name: &NodeName) {
        self.power_cut(name, true);
        self.nodes.remove(name);
        self.ha.nodes.remove(name);
        self.ha.maintenance_by.remove(name);
        self.hand.remove(name);
        self.stir();
    }

    /// A machine that was installed anew joins under this name, with the figures of `like`.
    ///
    /// # Errors
    /// There is no member to take the figures from.
    pub fn human_joins(&mut self, name: &NodeName, like: &NodeName) -> Result<(), &'static str> {
        let model = self.nodes.get(like).cloned().ok_or("there is no such member")?;
        let (state, since) = (NodeState::Up, self.now);
        let node = Node { state, since, cut: None, technician: false, silent_since: None, ..model };
        self.nodes.insert(name.clone(), node);
        let lrm_at = self.now;
        let member = Member {
            state: HaNodeState::Online,
            requested: false,
            mode: LrmMode::Active,
            lrm_at,
            lost: None,
        };
        self.ha.nodes.insert(name.clone(), member);
        self.hand.insert(name.clone());
        self.stir();
        Ok(())
    }
}

//! Guests that were asked for and that the cluster's list does not have: does any member have them in its own list?
//!
//! Only "every member that is online was asked, and none has it" is [`Trouble::NoTrace`]. A member that does not answer, a
//! guest that one does list, or a token that may not see all of them is another trouble, from which nothing follows. Asked
//! only about what is missing, so almost never; last of all, so that it takes nobody's time.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};

use super::calls::{self, GuestKind};
use super::look::Round;
use super::look_closer::Lives;
use super::views::guest_id;
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::PveView;
use crate::model::seen::{Seen, Trouble};

/// Members asked side by side.
const MEMBERS_AT_ONCE: usize = 16;

/// What each member has, or why that cannot be told.
type Lists = BTreeMap<NodeName, Result<BTreeSet<GuestId>, Trouble>>;

impl Round<'_> {
    pub(super) async fn unlisted(
        &self,
        view: &PveView,
        wanted: &[GuestId],
        lives: &Lives,
    ) -> Vec<(GuestId, Trouble)> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let all = |why: &Trouble| wanted.iter().map(|id| (*id, why.clone())).collect();
        let opinion = match &view.first {
            Seen::Known { value, .. } if value.quorate => value,
            Seen::Known { value, .. } => {
                return all(&Trouble::Refused(format!(
                    "{} has no quorum; its list may be old",
                    value.member
                )));
            }
            Seen::Unknown { why } => return all(why),
            Seen::NotAsked => return all(&Trouble::Refused("nobody was asked for a list".to_owned())),
        };
        if !view.privileges.any_age().is_some_and(|all| all.allows("VM.Audit", "/vms")) {
            return all(&Trouble::Refused("our token may not see every guest".to_owned()));
        }
        // Loops and no closures: the compiler cannot yet tell that a closure's future may be sent.
        let mut reads = Vec::new();
        for name in opinion.nodes.keys().filter(|name| opinion.online(name)) {
            reads.push(self.own_list(name, lives));
        }
        let lists: Lists = stream::iter(reads).buffer_unordered(MEMBERS_AT_ONCE).collect().await;
        wanted.iter().map(|id| (*id, told(*id, &lists))).collect()
    }

    async fn own_list(
        &self,
        name: &NodeName,
        lives: &Lives,
    ) -> (NodeName, Result<BTreeSet<GuestId>, Trouble>) {
        let list = match lives.get(name) {
            Some(known) => known.as_ref().map(|live| live.keys().copied().collect()).map_err(Clone::clone),
            None => self.ask_own_list(name).await,
        };
        (name.clone(), list)
    }

    async fn ask_own_list(&self, name: &NodeName) -> Result<BTreeSet<GuestId>, Trouble> {
        let (qemu, lxc) = tokio::try_join!(
            self.ask(calls::guests(name.as_str(), GuestKind::Qemu), &self.route),
            self.ask(calls::guests(name.as_str(), GuestKind::Lxc), &self.route),
        )?;
        Ok(qemu.value.iter().chain(&lxc.value).filter_map(|row| guest_id(row.vmid)).collect())
    }
}

fn told(id: GuestId, lists: &Lists) -> Trouble {
    for (name, list) in lists {
        match list {
            Ok(has) if has.contains(&id) => {
                return Trouble::Refused(format!(
                    "{name} has guest {id}, and the cluster's list does not show it"
                ));
            }
            Ok(_) => {}
            Err(why) => return why.clone(),
        }
    }
    Trouble::NoTrace(format!("no member has guest {id}"))
}

//! One look at the cluster.
//!
//! Flow: a member with quorum is found → it is asked for everything that concerns the cluster, and another member for its own
//! opinion → the wished nodes are asked about themselves, then the wished guests are read. All within one deadline: what has not
//! come by then is unknown, and the rest stays known. A quiet look is four calls. Caveat: readings are dated by the moment
//! before the question, so their age is never understated.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{
    calls,
    client::{Answer, Route},
    error::{PveError, Refusal},
    manager, opinion,
    proxmox::Proxmox,
    request::Call,
    views,
    wire::{ClusterStatus, HaGroup},
};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{HaRules, HaView, Opinion, Privileges, PveView, Votes};
use crate::model::seen::{Seen, Trouble};
use crate::model::time::Time;

/// A reading and when it was true.
pub(super) type Found<T> = Result<(T, Time), Trouble>;

pub(super) async fn look(
    pve: &Proxmox,
    nodes: &BTreeSet<NodeName>,
    guests: &BTreeSet<GuestId>,
    avoid: &BTreeSet<NodeName>,
) -> PveView {
    let route = Route::avoiding(avoid.iter().map(NodeName::as_str));
    let round = Round { pve, route, until: Instant::now() + pve.look_within };
    let mut view = round.cluster(!nodes.is_empty()).await;
    if !nodes.is_empty() || !guests.is_empty() {
        round.closer(&mut view, nodes, guests).await;
    }
    view
}

pub(super) struct Round<'a> {
    pub(super) pve: &'a Proxmox,
    pub(super) route: Route,
    until: Instant,
}

/// A member's answer to "who is there", from which a round starts.
struct Start {
    member: NodeName,
    status: ClusterStatus,
    at: Time,
}

impl Round<'_> {
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        call: Call<T>,
        route: &Route,
    ) -> Result<Answer<T>, PveError> {
        self.within(&call, self.pve.client.run(&call, route)).await
    }

    async fn within<T, R>(
        &self,
        call: &Call<T>,
        answer: impl Future<Output = Result<R, PveError>>,
    ) -> Result<R, PveError> {
        let late = || PveError::TooSlow { call: call.to_string(), deadline: self.pve.look_within };
        timeout_at(self.until, answer).await.unwrap_or_else(|_| Err(late()))
    }

    async fn cluster(&self, deep: bool) -> PveView {
        let start = match self.start().await {
            Ok(start) => start,
            Err(why) => return blind(&why, deep),
        };
        let through = self.route.only_through(start.member.as_str());
        let quorate = start.status.quorate() != Some(false);
        let (first, second, ha, ha_rules, votes, privileges) = tokio::join!(
            self.opinion(&start),
            self.when(deep, self.second(&start.member)),
            self.ha(&through, quorate, &start.member),
            self.when(deep, self.ha_rules(&through)),
            self.when(deep, self.votes(&through)),
            self.privileges(&through),
        );
        let first = seen(first);
        PveView {
            first,
            second,
            ha: seen(ha),
            ha_rules,
            votes,
            privileges: seen(privileges),
            ..PveView::default()
        }
    }

    async fn when<T>(&self, wanted: bool, reading: impl Future<Output = Found<T>>) -> Seen<T> {
        if wanted { seen(reading.await) } else { Seen::NotAsked }
    }

    /// The first member with quorum; if none has it, the first that answered, who says so itself.
    async fn start(&self) -> Result<Start, Trouble> {
        let mut route = self.route.clone();
        let mut without_quorum = None;
        let mut why = None;
        // Each member at most once.
        for _ in self.pve.client.endpoints().iter() {
            match self.status(&mut route).await {
                Ok(start) if start.status.quorate() != Some(false) => return Ok(start),
                Ok(start) => without_quorum = without_quorum.or(Some(start)),
                Err(trouble) => {
                    why.get_or_insert(trouble);
                }
            }
        }
        let nobody = || Trouble::NotConfigured("no member of the cluster is named".to_owned());
        without_quorum.ok_or_else(|| why.unwrap_or_else(nobody))
    }

    /// Asks the next member that `route` allows who is there, and takes it out of the route.
    async fn status(&self, route: &mut Route) -> Result<Start, Trouble> {
        let at = self.pve.clock.now();
        let answer = self.ask(calls::cluster_status(), route).await?;
        let (via, status) = (answer.via, answer.value);
        route.avoid.insert(via.clone());
        self.pve.meet(&status);
        // A wrong name or a balancer in between would lead us through the very node that is being serviced.
        let local = status.members().find(|row| views::is(row.local)).and_then(|row| row.name.as_deref());
        if let Some(name) = local.filter(|name| *name != via) {
            let why = format!("the address configured for {via} is answered by {name}");
            return Err(Trouble::NotConfigured(format!("{why}; give each member its own address")));
        }
        Ok(Start { member: NodeName(via), status, at })
    }

    async fn opinion(&self, start: &Start) -> Found<Opinion> {
        let through = self.route.only_through(start.member.as_str());
        let call = calls::cluster_resources();
        let read = |body: &[u8]| opinion::opinion(&start.member, &start.status, body);
        let answer = self.within(&call, self.pve.client.read(&call, &through, read)).await?;
        Ok((answer.value?, start.at))
    }

    /// Another member's opinion, whatever it thinks of the quorum.
    async fn second(&self, first: &NodeName) -> Found<Opinion> {
        let mut route = self.route.clone();
        route.avoid.insert(first.0.clone());
        let allowed = self.pve.client.endpoints().iter().any(|endpoint| route.allows(endpoint));
        if !allowed {
            let why =
                format!("beside {first} no other member may be asked; name one more in the configuration");
            return Err(Trouble::NotConfigured(why));
        }
        self.opinion(&self.status(&mut route).await?).await
    }

    async fn ha(&self, through: &Route, quorate: bool, member: &NodeName) -> Found<HaView> {
        if !quorate {
            return Err(Trouble::Refused(format!("{member} has no quorum, so it shows HA's old state")));
        }
        let at = self.pve.clock.now();
        let status = self.ask(calls::ha_manager_status(), through).await?.value;
        Ok((manager::ha(status)?, at))
    }

    async fn ha_rules(&self, through: &Route) -> Found<HaRules> {
        let at = self.pve.clock.now();
        let resources = self.ask(calls::ha_resources(), through).await?.value;
        // 8.x has no rules and 9.x ends with having no groups; in between a cluster may have both.
        let (rules, has_rules) = match self.ask(calls::ha_rules(), through).await {
            Ok(answer) => (answer.value, true),
            Err(PveError::NotImplemented { .. }) => (Vec::new(), false),
            Err(e) => return Err(e.into()),
        };
        let grouped = resources.iter().any(|resource| resource.group.is_some());
        let groups = if !has_rules || grouped { self.ha_groups(through).await? } else { Vec::new() };
        let options = self.ask(calls::cluster_options(), through).await?.value;
        Ok((views::ha_rules(&resources, &rules, &groups, &options), at))
    }

    async fn ha_groups(&self, through: &Route) -> Result<Vec<HaGroup>, PveError> {
        match self.ask(calls::ha_groups(), through).await {
            Ok(answer) => Ok(answer.value),
            Err(e) if e.refusal() == Some(&Refusal::GroupsAreRules) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    async fn votes(&self, through: &Route) -> Found<Votes> {
        let at = self.pve.clock.now();
        let members = self.ask(calls::cluster_members(), through).await?;
        let qdevice = self.ask(calls::qdevice(), through).await?;
        Ok((views::votes(&members.value, &qdevice.value), at))
    }

    async fn privileges(&self, through: &Route) -> Found<Privileges> {
        let at = self.pve.clock.now();
        let permissions = self.ask(calls::permissions(), through).await?;
        Ok((views::privileges(&permissions.value), at))
    }
}

pub(super) fn seen<T>(found: Found<T>) -> Seen<T> {
    match found {
        Ok((value, at)) => Seen::known(value, at),
        Err(why) => Seen::Unknown { why },
    }
}

/// Nobody could be asked: everything that was wanted is unknown, for the same reason.
fn blind(why: &Trouble, deep: bool) -> PveView {
    let mut view = PveView {
        first: why.clone().into(),
        ha: why.clone().into(),
        privileges: why.clone().into(),
        ..PveView::default()
    };
    if deep {
        view.second = why.clone().into();
        view.ha_rules = why.clone().into();
        view.votes = why.clone().into();
    }
    view
}

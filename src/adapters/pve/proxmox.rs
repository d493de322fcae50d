//! The port for Proxmox: one cluster, looked at and acted on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    calls::{self, TaskFilter},
    client::{Client, Limits, Route},
    discovery::{Others, TrustOthers},
    endpoint::Endpoint,
    error::PveError,
    https::{ConnectionLimits, Https},
    request::ApiToken,
    tls::Trust,
    transport::HttpTransport,
    views,
    wire::ClusterStatus,
};
use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::observed::{GuestKind, Inventory, PveView, Survey, TaskLog};
use crate::model::seen::{Seen, Trouble};
use crate::ports::{Clock, Migration, Pve};

/// A member of the cluster that may be asked.
#[derive(Debug, Clone)]
pub struct Member {
    pub node: NodeName,
    /// `https://10.0.0.11:8006`
    pub url: String,
    pub trust: Trust,
}

/// How one cluster is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// In the order in which they are asked. One alone leaves no second opinion, and no way in while it is serviced.
    pub members: Vec<Member>,
    /// Whom to believe among members that are found.
    pub others: TrustOthers,
    pub token: ApiToken,
    pub limits: Limits,
    pub connection: ConnectionLimits,
    /// For one look, everything together: what has not come by then is unknown.
    pub look_within: Duration,
}

impl Settings {
    /// With the usual limits. The look ends before the loop's own 11 s, so that one slow answer, or a node with more than a
    /// hundred guests, does not cost everything that was read beside it.
    pub fn new(members: Vec<Member>, token: ApiToken) -> Settings {
        Settings {
            members,
            others: TrustOthers::Nobody,
            token,
            limits: Limits::default(),
            connection: ConnectionLimits::default(),
            look_within: Duration::from_secs(10),
        }
    }
}

/// One Proxmox cluster.
pub struct Proxmox {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) token_id: String,
    pub(super) look_within: Duration,
    /// Node → its clock minus ours in seconds, as last seen: tasks are dated by the node's clock.
    pub(super) clocks_ahead: Mutex<BTreeMap<NodeName, i64>>,
    others: Option<Others>,
}

impl Proxmox {
    /// Over HTTPS. Nothing is sent yet.
    ///
    /// # Errors
    /// [`PveError::Setup`] when a trust cannot be loaded.
    pub fn connect(settings: Settings, clock: Arc<dyn Clock>) -> Result<Proxmox, PveError> {
        let with_trust = settings.members.iter().map(|member| (endpoint(member), &member.trust));
        let with_trust: Vec<(Endpoint, &Trust)> = with_trust.collect();
        let https =
            Arc::new(Https::new(with_trust.iter().map(|(e, trust)| (e, *trust)), settings.connection)?);
        let configured: Vec<Endpoint> = settings.members.iter().map(endpoint).collect();
        let others = Others::new(https.clone(), settings.others.clone(), &configured);
        Ok(Proxmox { others: Some(others), ..Proxmox::through(https, settings, clock) })
    }

    /// Over any transport.
    pub fn through(transport: Arc<dyn HttpTransport>, settings: Settings, clock: Arc<dyn Clock>) -> Proxmox {
        let endpoints = settings.members.iter().map(endpoint).collect();
        Proxmox {
            token_id: settings.token.id().to_owned(),
            client: Client::new(endpoints, transport, settings.token, settings.limits),
            clock,
            look_within: settings.look_within,
            clocks_ahead: Mutex::default(),
            others: None,
        }
    }

    /// Hears who the members are.
    pub(super) fn meet(&self, status: &ClusterStatus) {
        if let Some(others) = &self.others {
            others.meet(&self.client, status);
        }
    }
}

fn endpoint(member: &Member) -> Endpoint {
    Endpoint::new(member.node.as_str(), member.url.as_str())
}

#[async_trait]
impl Pve for Proxmox {
    async fn look(
        &self,
        nodes: &BTreeSet<NodeName>,
        guests: &BTreeSet<GuestId>,
        avoid: &BTreeSet<NodeName>,
    ) -> PveView {
        super::look::look(self, nodes, guests, avoid).await
    }

    fn not_asked(&self) -> BTreeMap<NodeName, String> {
        self.others.as_ref().map(Others::not_asked).unwrap_or_default()
    }

    async fn inventory(&self, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Seen<Inventory> {
        super::inventory::inventory(self, node, avoid).await
    }

    async fn survey(&self, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Survey {
        super::survey::survey(self, node, avoid).await
    }

    async fn moves_running(
        &self,
        node: &NodeName,
        avoid: &BTreeSet<NodeName>,
    ) -> Result<BTreeSet<GuestId>, Trouble> {
        let filter = TaskFilter { active_only: true, ..TaskFilter::default() };
        let route = Route::avoiding(avoid.iter().map(NodeName::as_str));
        let rows = self.client.run(&calls::tasks(node.as_str(), &filter), &route).await?.value;
        Ok(views::moving(&rows))
    }

    async fn migrate(&self, order: &Migration) -> Result<Upid, Trouble> {
        self.order_migration(order).await
    }

    async fn cancel(&self, on: &NodeName, task: &Upid, avoid: &NodeName) -> Result<(), Trouble> {
        self.order_cancel(on, task, avoid).await
    }

    async fn task_log(&self, task: &Upid, avoid: &BTreeSet<NodeName>) -> Result<TaskLog, Trouble> {
        self.read_log(task, avoid).await
    }

    async fn start(
        &self,
        guest: GuestId,
        kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        self.order_start(guest, kind, on, avoid).await
    }

    async fn shutdown(
        &self,
        guest: GuestId,
        kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        self.order_shutdown(guest, kind, on, avoid).await
    }
}

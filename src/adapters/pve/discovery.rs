//! Members that nobody configured: read from the cluster's own list, and asked as far as they can be trusted.
//!
//! Only a member with quorum is believed about who belongs to the cluster, and it has shown a trusted certificate
//! before it is asked at all. The API token never travels to an address that cannot be checked the same way: a member
//! without trust is not asked, and that is told.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    calls,
    client::{Client, Limits, Route},
    endpoint::Endpoint,
    error::{PveError, Refusal},
    https::{ConnectionLimits, Https},
    proxmox::Proxmox,
    request::ApiToken,
    tls::Trust,
    wire::ClusterStatus,
};
use crate::adapters::pins::Fingerprint;
use crate::model::ids::NodeName;

/// Members found in one cluster; Proxmox allows fewer.
const MEMBERS_MAX: usize = 256;

/// Whom to believe among members that were not configured.
#[derive(Debug, Clone, Default)]
pub enum TrustOthers {
    /// Nobody: only configured members are asked.
    #[default]
    Nobody,
    /// Whoever shows a certificate of this authority for the node's name. Every member's own certificate carries it.
    CaFile(PathBuf),
    /// Those whose certificate is pinned.
    Pinned(BTreeMap<NodeName, Vec<Fingerprint>>),
}

/// The members that were found.
pub(super) struct Others {
    https: Arc<Https>,
    trust: TrustOthers,
    /// Where the configured members listen: a cluster uses one port.
    port: u16,
    configured: Vec<String>,
    not_asked: Mutex<BTreeMap<NodeName, String>>,
}

impl Others {
    pub(super) fn new(https: Arc<Https>, trust: TrustOthers, configured: &[Endpoint]) -> Others {
        let port = configured.first().and_then(|endpoint| endpoint.base.parse::<http::Uri>().ok());
        Others {
            https,
            trust,
            port: port.map_or(8006, |uri| uri.port_u16().unwrap_or(443)),
            configured: configured.iter().map(|endpoint| endpoint.node.clone()).collect(),
            not_asked: Mutex::default(),
        }
    }

    /// Takes the cluster's list: members that joined are asked from the next look on, those that left no more.
    pub(super) fn meet(&self, client: &Client, status: &ClusterStatus) {
        if status.quorate() != Some(true) {
            return;
        }
        let mut found = Vec::new();
        let mut not_asked = BTreeMap::new();
        let rows = status.members().filter_map(|row| Some((row.name.as_deref()?, row.ip.as_deref())));
        for (name, ip) in
            rows.filter(|(name, _)| !self.configured.iter().any(|c| c == name)).take(MEMBERS_MAX)
        {
            match self.endpoint(name, ip) {
                Ok(endpoint) => found.push(endpoint),
                Err(why) => {
                    not_asked.insert(NodeName::from(name), why);
                }
            }
        }
        client.also(found);
        *self.not_asked.lock().unwrap_or_else(PoisonError::into_inner) = not_asked;
    }

    /// A way to ask this member, or why there is none.
    fn endpoint(&self, name: &str, ip: Option<&str>) -> Result<Endpoint, String> {
        let trust = match &self.trust {
            TrustOthers::Nobody => {
                return Err(
                    "nothing says whom to believe; write proxmox.ca_file, or name it as an endpoint".into()
                );
            }
            TrustOthers::CaFile(file) => Trust::CaFile(file.clone()),
            TrustOthers::Pinned(pins) => match pins.get(&NodeName::from(name)) {
                Some(pins) => Trust::Pinned(pins.clone()),
                None => return Err("proxmox.fingerprints has no entry for it".into()),
            },
        };
        let address: IpAddr = ip
            .and_then(|ip| ip.parse().ok())
            .ok_or_else(|| "the cluster does not tell its address; name it as an endpoint".to_owned())?;
        // Named by its node, so that the certificate is checked for the name that every member's own certificate carries.
        let endpoint = Endpoint::new(name, format!("https://{name}:{}", self.port));
        let at = SocketAddr::new(address, self.port);
        self.https.add(&endpoint, at, &trust).map_err(|why| why.to_string())?;
        Ok(endpoint)
    }

    pub(super) fn not_asked(&self) -> BTreeMap<NodeName, String> {
        self.not_asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What Ceph there seems to be, for a configuration that is written for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CephFound {
    None,
    /// Storages of Ceph, and no cluster of its own behind the members.
    External {
        storages: Vec<String>,
    },
    Hyperconverged {
        osds: u64,
    },
    /// It could not be told.
    Unclear {
        why: String,
    },
}

/// The name of the member behind an address that nobody has named yet.
///
/// # Errors
/// Nobody answers there, or it does not say who it is.
pub async fn name_behind(url: &str, trust: &Trust, token: ApiToken) -> Result<NodeName, PveError> {
    let endpoint = Endpoint::new("the member", url);
    let https = Https::new([(&endpoint, trust)], ConnectionLimits::default())?;
    let client = Client::new(vec![endpoint], Arc::new(https), token, Limits::default());
    let call = calls::cluster_status();
    let asked = call.to_string();
    let status = client.run(&call, &Route::default()).await?.value;
    let local = status.members().find(|row| row.local.is_some_and(|flag| flag.0));
    let name = local.and_then(|row| row.name.as_deref());
    name.map(NodeName::from)
        .ok_or(PveError::Nonsense { call: asked, what: "no member calls itself local".into() })
}

impl Proxmox {
    /// Which Ceph is here? Asked once, by a person; never by the loop.
    pub async fn ceph_found(&self) -> CephFound {
        let route = Route::default();
        let unclear = |e: PveError| CephFound::Unclear { why: e.to_string() };
        match self.client.run(&calls::ceph_status(), &route).await {
            Ok(answer) => {
                let osds = answer.value.osdmap.and_then(|map| map.num_osds).map_or(0, |n| n.0);
                CephFound::Hyperconverged { osds: u64::try_from(osds).unwrap_or(0) }
            }
            Err(e) if e.refusal() == Some(&Refusal::CephNotConfigured) => {
                match self.client.run(&calls::storages(), &route).await {
                    Ok(answer) => {
                        let of_ceph = answer.value.iter().filter(|s| matches!(&*s.kind, "rbd" | "cephfs"));
                        external(of_ceph.map(|storage| storage.storage.to_string()))
                    }
                    Err(e) => unclear(e),
                }
            }
            Err(e) => unclear(e),
        }
    }

    /// The release of the member that answers.
    pub async fn version_found(&self) -> Option<String> {
        let answer = self.client.run(&calls::version(), &Route::default()).await.ok()?;
        Some(answer.value.version.to_string())
    }
}

fn external(storages: impl Iterator<Item = String>) -> CephFound {
    let storages: Vec<String> = storages.collect();
    if storages.is_empty() { CephFound::None } else { CephFound::External { storages } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = r#"[{"type":"cluster","name":"c","quorate":1,"nodes":3},
        {"type":"node","name":"pve1","online":1,"local":1,"ip":"192.0.2.11"},
        {"type":"node","name":"pve2","online":1,"ip":"192.0.2.12"},
        {"type":"node","name":"pve3","online":0}]"#;

    fn client() -> (Client, Arc<Https>, Vec<Endpoint>) {
        let endpoint = Endpoint::new("pve1", "https://192.0.2.11:8006");
        let trust = Trust::Pinned(vec!["AA".repeat(32).parse().expect("64 digits")]);
        let https = Arc::new(Https::new([(&endpoint, &trust)], ConnectionLimits::default()).expect("good"));
        let token = ApiToken::new("pitlane@pve!ctl", "secret");
        let client = Client::new(vec![endpoint.clone()], https.clone(), token, Limits::default());
        (client, https, vec![endpoint])
    }

    fn asked(client: &Client) -> Vec<String> {
        client.endpoints().iter().map(|e| format!("{} {}", e.node, e.base)).collect()
    }

    fn pins(of: &str) -> TrustOthers {
        TrustOthers::Pinned([(NodeName::from(of), vec!["BB".repeat(32).parse().expect("64 digits")])].into())
    }

    #[test]
    fn a_member_that_can_be_trusted_is_asked_and_the_others_are_told_of() {
        let (client, https, configured) = client();
        let others = Others::new(https, pins("pve2"), &configured);
        let status: ClusterStatus = serde_json::from_str(THREE).expect("a status");
        others.meet(&client, &status);
        assert_eq!(asked(&client), ["pve1 https://192.0.2.11:8006", "pve2 https://pve2:8006"]);
        let told = others.not_asked();
        assert_eq!(told.keys().map(NodeName::as_str).collect::<Vec<_>>(), ["pve3"], "{told:?}");
        assert!(told[&NodeName::from("pve3")].contains("fingerprints"), "{told:?}");
    }

    #[test]
    fn without_trust_nobody_new_is_asked() {
        let (client, https, configured) = client();
        let others = Others::new(https, TrustOthers::Nobody, &configured);
        others.meet(&client, &serde_json::from_str(THREE).expect("a status"));
        assert_eq!(asked(&client).len(), 1);
        assert_eq!(others.not_asked().len(), 2);
    }

    #[test]
    fn a_member_without_quorum_is_not_believed_and_one_that_left_is_forgotten() {
        let (client, https, configured) = client();
        let others = Others::new(https, pins("pve2"), &configured);
        let alone = THREE.replace("\"quorate\":1", "\"quorate\":0");
        others.meet(&client, &serde_json::from_str(&alone).expect("a status"));
        assert_eq!(asked(&client).len(), 1, "the list of a member that is cut off may be old");
        others.meet(&client, &serde_json::from_str(THREE).expect("a status"));
        assert_eq!(asked(&client).len(), 2);
        let left = THREE.replace("pve2", "pve4");
        others.meet(&client, &serde_json::from_str(&left).expect("a status"));
        assert_eq!(asked(&client).len(), 1);
    }
}

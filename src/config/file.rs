//! `pitlane.yaml` as it is written. What it means is in `settings.rs`; these types are its schema.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bmc::BmcFile;
use super::bounds::{BudgetsFile, LimitsFile, PackingFile};
use super::fleet::SharedBudgetFile;
use super::notify::NotifyFile;
use super::policy::LabelName;
use crate::model::access::{KnownClient, Role};
use crate::model::ids::{ClusterName, NodeName};
use crate::model::rules::{CephSetup, Mapping, Mode};
use crate::model::time::Period;

/// The service's one configuration file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane configuration")]
pub struct ConfigFile {
    /// The cluster's name, as `pvecm status` shows it. Stands in tickets: once written, it stays.
    #[schemars(extend("examples" = ["lab"]))]
    pub name: Option<String>,
    /// How freely pitlane acts at most. `observe` touches nothing.
    #[serde(default)]
    pub mode: Mode,
    /// Where the database lives. Only this program writes there.
    #[serde(default = "state_dir")]
    pub state: PathBuf,
    /// Where pitlane itself runs: one of the three. A node is not drained from under it. In mode act no node is
    /// drained while this is not said.
    #[serde(rename = "self")]
    pub own: Option<SelfFile>,
    /// A directory of policy files; the shipped policies if not given.
    pub policies: Option<PathBuf>,
    /// While this file exists nothing new is begun.
    #[serde(default = "kill_file")]
    pub kill_file: PathBuf,
    #[serde(default)]
    pub log: LogFormat,
    pub proxmox: Option<ProxmoxFile>,
    pub hand: Option<HandFile>,
    #[serde(default)]
    pub ceph: CephFile,
    pub prometheus: Option<PrometheusFile>,
    pub alertmanager: Option<AlertmanagerFile>,
    /// Where work orders go beside the built-in board.
    pub tickets: Option<super::tickets::TicketsFile>,
    #[serde(default)]
    pub bmc: BmcFile,
    #[serde(default)]
    pub http: HttpFile,
    #[serde(default)]
    pub mapping: MappingFile,
    #[serde(default)]
    pub budgets: BudgetsFile,
    #[serde(default)]
    pub limits: LimitsFile,
    #[serde(default)]
    pub packing: PackingFile,
    #[serde(default)]
    pub notify: NotifyFile,
    #[serde(default)]
    pub store: super::kept::StoreFile,
    /// Many clusters: a directory with a file for each, `NAME.yaml`, of this same format. Then this file says only what they
    /// share: `state`, `log`, `http`, `store`, `kill_file`, `cluster_labels`, `shared_budgets`.
    pub clusters: Option<PathBuf>,
    /// Labels of an alert that name its cluster; the first that it carries counts. Where an alert names none, the cluster is
    /// the only one that has its node.
    #[serde(default = "cluster_labels")]
    pub cluster_labels: Vec<String>,
    /// Budgets that count over several clusters, beside each cluster's own.
    #[serde(default)]
    pub shared_budgets: Vec<SharedBudgetFile>,
}

pub fn state_dir() -> PathBuf {
    "/var/lib/pitlane".into()
}

pub fn cluster_labels() -> Vec<String> {
    vec!["cluster".to_owned()]
}

pub fn kill_file() -> PathBuf {
    "/run/pitlane/stop".into()
}

/// Where pitlane itself runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelfFile {
    /// In this guest of the cluster.
    #[schemars(range(min = 100, max = 999_999_999))]
    pub vmid: Option<u32>,
    /// On this node itself.
    pub node: Option<NodeName>,
    /// On a machine that is no part of the cluster.
    pub outside: Option<bool>,
}

/// How log lines look. `--log-format` and `PITLANE_LOG_FORMAT` come before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// How Proxmox's API is reached. One of `token_file` and `token_env`; `ca_file`, `fingerprints` or neither (then the
/// system's certificate authorities count).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxmoxFile {
    /// Members to ask, in order. One is enough: the others are found through it, and asked as far as they can be
    /// trusted (by `ca_file`, or by a fingerprint of their own).
    #[schemars(length(min = 1))]
    pub endpoints: Vec<Endpoint>,
    /// A file with one line: USER@REALM!NAME=UUID.
    pub token_file: Option<PathBuf>,
    /// Or the environment variable that holds it.
    pub token_env: Option<String>,
    pub ca_file: Option<PathBuf>,
    /// Node → SHA-256 of the certificates that it may show.
    #[serde(default)]
    pub fingerprints: BTreeMap<NodeName, Vec<Fingerprint>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    pub node: NodeName,
    #[schemars(extend("format" = "https-url", "examples" = ["https://192.0.2.11:8006"]))]
    pub url: String,
}

/// A certificate's SHA-256, as Proxmox shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "sha256"))]
pub struct Fingerprint(pub String);

/// The root helper on the members, over SSH with a forced command.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandFile {
    #[schemars(length(min = 1))]
    pub members: Vec<HandMember>,
    #[serde(default = "root")]
    pub user: String,
    pub key: PathBuf,
    pub known_hosts: PathBuf,
}

fn root() -> String {
    "root".to_owned()
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandMember {
    pub node: NodeName,
    pub address: String,
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
}

fn ssh_port() -> u16 {
    22
}

/// What Ceph there is, and how it is asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CephFile {
    #[serde(default)]
    pub setup: CephSetup,
    /// Ceph's own client. Without it Ceph cannot be seen, and unknown is no.
    pub client: Option<CephClient>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CephClient {
    #[serde(default = "ceph_program")]
    pub program: PathBuf,
    #[serde(default = "ceph_conf")]
    pub conf: PathBuf,
    #[serde(default = "ceph_name")]
    pub name: String,
    pub keyring: PathBuf,
}

fn ceph_program() -> PathBuf {
    "ceph".into()
}

fn ceph_conf() -> PathBuf {
    "/etc/ceph/ceph.conf".into()
}

fn ceph_name() -> String {
    "client.pitlane".to_owned()
}

/// Where sensors are read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusFile {
    #[schemars(extend("format" = "url", "examples" = ["http://127.0.0.1:9090"]))]
    pub url: String,
    /// A file with one line: the bearer token to show. Over HTTPS only, except on loopback.
    pub token_file: Option<PathBuf>,
    /// Certificate authorities (PEM) to believe, in place of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Alertmanager, asked what fires at this moment. Without it only what is delivered is known, and a delivered alarm
/// is believed without asking back.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerFile {
    /// Every member of the pair: alerts are not gossiped between them.
    #[schemars(length(min = 1, max = 8))]
    pub urls: Vec<Url>,
    /// The receiver that delivers to pitlane, as Alertmanager's configuration names it. Without it all alerts of the
    /// house are read.
    pub receiver: Option<String>,
    /// Certificate authorities (PEM) to believe, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with one line: the bearer token to show. Over HTTPS only, except on loopback.
    pub token_file: Option<PathBuf>,
    /// Or a user's name …
    pub user: Option<String>,
    /// … and a file with one line: the password.
    pub password_file: Option<PathBuf>,
    /// Silences while a node is drained and serviced. Without it none is ever set.
    pub silences: Option<SilencesFile>,
}

/// A short silence for a node that is out, renewed while it is, ended before its repair is proved. Needs `name`, by
/// which ours are told from those of other clusters.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SilencesFile {
    /// How long one lasts when nobody renews it, 10m to 4h.
    #[serde(default = "lease", rename = "for")]
    pub lease: Period,
    /// What the work itself raises, by its whole name: no patterns. Alerts of other names are never silenced.
    #[schemars(length(min = 1, max = 50), extend("examples" = [["NodeDown", "TargetDown"]]))]
    pub alertnames: Vec<String>,
    /// The label that holds the member's name. Without it the first of `mapping.node_labels`.
    pub label: Option<LabelName>,
}

fn lease() -> Period {
    Period::mins(30)
}

/// Where something is asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "url", "examples" = ["http://127.0.0.1:9093"]))]
pub struct Url(pub String);

/// Our own surface for operators.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    #[serde(default = "listen")]
    #[schemars(extend("format" = "socket-address", "examples" = ["127.0.0.1:9690"]))]
    pub listen: String,
    /// Certificate and key, PEM. Needed unless it listens on loopback.
    pub tls: Option<TlsFile>,
    /// Who may ask what. Without it nobody may.
    pub tokens_file: Option<PathBuf>,
}

fn listen() -> String {
    "127.0.0.1:9690".to_owned()
}

impl Default for HttpFile {
    fn default() -> Self {
        Self { listen: listen(), tls: None, tokens_file: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// The authority (PEM) of clients that show a certificate.
    pub client_ca: Option<PathBuf>,
    /// Names in such certificates (DNS names or addresses) that may deliver alerts without a token.
    #[serde(default)]
    pub alert_clients: Vec<ClientName>,
    /// People and programs that come with such a certificate in place of a token.
    #[serde(default)]
    pub clients: Vec<ClientFile>,
}

impl TlsFile {
    /// Names in certificates, and whom each stands for.
    pub fn known_clients(&self) -> Vec<(String, KnownClient)> {
        let alerts = self
            .alert_clients
            .iter()
            .map(|name| (name.0.clone(), KnownClient { name: name.0.clone(), role: Role::Alerts }));
        let people = self.clients.iter().map(|client| {
            (client.certificate.0.clone(), KnownClient { name: client.name.clone(), role: client.role })
        });
        alerts.chain(people).collect()
    }
}

/// Somebody who comes with a certificate in place of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientFile {
    /// A name in the certificate (DNS name or address).
    pub certificate: ClientName,
    /// Shown in the journal as the person who asked. Whoever has a token, too, has the same name there.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    pub role: Role,
}

/// A name that a certificate carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "client-name", "examples" = ["alertmanager.example.org"]))]
pub struct ClientName(pub String);

/// How an alert names a node.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingFile {
    /// Labels whose value may be a member's name, in order.
    pub node_labels: Option<Vec<LabelName>>,
    /// BMC address or chassis serial → node.
    #[serde(default)]
    pub map: BTreeMap<String, NodeName>,
}

impl From<MappingFile> for Mapping {
    fn from(file: MappingFile) -> Self {
        let labels = file.node_labels.map(|all| all.into_iter().map(|label| label.0).collect());
        Self { node_labels: labels.unwrap_or_else(|| Self::default().node_labels), map: file.map }
    }
}

/// Who may ask what: a file of its own, readable by the service alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane tokens")]
pub struct TokensFile {
    pub tokens: Vec<TokenEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Shown in the journal as the person who asked.
    pub name: String,
    pub role: Role,
    /// SHA-256 (hex) of the token: `printf %s "$TOKEN" | sha256sum`.
    #[schemars(extend("format" = "sha256"))]
    pub sha256: String,
    /// Where there are many clusters: the only ones that it is good for. All if not given.
    pub clusters: Option<Vec<ClusterName>>,
}

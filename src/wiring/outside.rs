//! Which adapter stands behind which port.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::alertmanager::{self, Alertmanagers, AlertmanagersConfig};
use pitlane::adapters::bmc::{self, BmcConfig, Bmcs, IpmiConfig, RedfishConfig};
use pitlane::adapters::ceph::{self, CephClient, CephProgram};
use pitlane::adapters::hand::{self, HandConfig, SshHand};
use pitlane::adapters::pve::{self, ApiToken, Proxmox, Trust, TrustOthers};
use pitlane::adapters::sensors::{Prometheus, PrometheusConfig};
use pitlane::adapters::tickets::Held;
use pitlane::cli::Stop;
use pitlane::config::bmc::BmcWay;
use pitlane::config::{self, AlertmanagerSettings, Asked, Config, ProxmoxSettings};
use pitlane::model::ids::NodeName;
use pitlane::model::rules::Rules;
use pitlane::ports::{Alarms, Bmc, Ceph, Clock, Hand, Sensors};
use pitlane::reconcile::World;

use super::stored::Stored;
use super::tickets::{self, Wired};
use super::{Lasting, failed, usage};

/// One call to one member's helper; a healthy one answers in two seconds.
const HAND_CALL: Duration = Duration::from_secs(20);
/// One request, all the members that it took together; below the loop's own deadline for an effect.
const HAND_WHOLE: Duration = Duration::from_secs(60);

/// Everything outside, as long as this configuration counts: the same for every loop of the cluster.
pub struct Outside {
    /// With what is stored as anybody may read it.
    world: World,
    tickets: Wired,
}

impl Outside {
    /// The world of a loop that decides by the right that `stored` has.
    pub fn world(&self, stored: &Stored) -> World {
        World {
            tickets: self.tickets.over(stored.board.clone()),
            store: stored.store.clone(),
            fleet: stored.fleet.clone(),
            tenure: stored.tenure.clone(),
            ..self.world.clone()
        }
    }

    /// The ticket system's way to ring; empty where none is configured.
    pub fn hook(&self) -> axum::Router {
        self.tickets.hook.clone()
    }

    /// The ticket system, where it can be asked what it lacks.
    pub fn asked(&self) -> Option<Arc<Held>> {
        self.tickets.asked.clone()
    }
}

/// # Errors
/// A matter of configuration. Whether anybody out there answers is no matter here.
pub fn outside(config: &Config, lasting: &Lasting) -> Result<Outside, Stop> {
    let (stored, clock) = (&lasting.stored, lasting.clock.clone());
    let board = stored.board.clone();
    let tickets =
        tickets::tickets(config.tickets.as_ref(), board.clone(), clock.clone(), lasting.bell.clone())?;
    let proxmox = config.proxmox.as_ref().ok_or_else(|| {
        usage(
            "there is no cluster to look at; add proxmox: {endpoints: …, token_file: …} to the configuration",
        )
    })?;
    let pve =
        Proxmox::connect(proxmox_settings(proxmox)?, clock.clone()).map_err(|e| failed("proxmox", e))?;
    let world = World {
        pve: Arc::new(pve),
        hand: hand(config, &clock),
        ceph: ceph(config, &clock),
        sensors: sensors(config, &clock)?,
        alarms: config
            .alertmanager
            .as_ref()
            .map(|told| alarms(told, &config.rules, clock.clone()))
            .transpose()?
            .map(|all| ours(all, lasting)),
        alerts_missed: lasting.alerts_missed.clone(),
        tenure: stored.tenure.clone(),
        bmc: bmc(config, &clock)?,
        tickets: tickets.over(board),
        store: stored.store.clone(),
        clock,
        meter: lasting.meter.clone(),
        fleet: stored.fleet.clone(),
        kill_files: config.kill_files.clone(),
    };
    Ok(Outside { world, tickets })
}

/// Several clusters of a fleet may share an Alertmanager.
fn ours(all: Arc<dyn Alarms>, lasting: &Lasting) -> Arc<dyn Alarms> {
    let Some(me) = lasting.cluster.clone() else { return all };
    Arc::new(alertmanager::OfCluster { me, all, shelf: lasting.shelf.clone() })
}

fn hand(config: &Config, clock: &Arc<dyn Clock>) -> Option<Arc<dyn Hand>> {
    let hand = config.hand.as_ref()?;
    let member = |m: &config::file::HandMember| hand::Member {
        node: m.node.clone(),
        address: m.address.clone(),
        port: m.port,
    };
    let settings = HandConfig {
        ssh: "/usr/bin/ssh".into(),
        key: hand.key.clone(),
        known_hosts: hand.known_hosts.clone(),
        user: hand.user.clone(),
        members: hand.members.iter().map(member).collect(),
        call: HAND_CALL,
        whole: HAND_WHOLE,
    };
    Some(Arc::new(SshHand::new(settings, clock.clone())))
}

fn ceph(config: &Config, clock: &Arc<dyn Clock>) -> Option<Arc<dyn Ceph>> {
    let client = config.ceph.client.as_ref()?;
    let program = CephProgram {
        program: client.program.clone(),
        conf: client.conf.clone(),
        keyring: client.keyring.clone(),
        name: client.name.clone(),
    };
    Some(Arc::new(CephClient::new(Arc::new(program), clock.clone(), ceph::Limits::default())))
}

fn sensors(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<Arc<dyn Sensors>>, Stop> {
    let Some(asked) = &config.prometheus else { return Ok(None) };
    let Asked { url, token, ca_pem } = asked.clone();
    let url = url.parse().map_err(|e| usage(format!("prometheus.url: {e}")))?;
    let settings = PrometheusConfig { url, bearer: token.map(|secret| secret.0), ca_pem };
    let prometheus = Prometheus::new(settings, clock.clone()).map_err(|e| failed("prometheus", e))?;
    Ok(Some(Arc::new(prometheus)))
}

fn bmc(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<Arc<dyn Bmc>>, Stop> {
    let nodes = bmcs(config)?;
    if nodes.is_empty() {
        return Ok(None);
    }
    let bmcs = Bmcs::new(nodes, config.state.join("bmc"), clock.clone()).map_err(|e| failed("bmc", e))?;
    Ok(Some(Arc::new(bmcs)))
}

/// Those who are asked what fires.
fn alarms(
    told: &AlertmanagerSettings,
    rules: &Rules,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Alarms>, Stop> {
    let urls = told.urls.iter().map(|url| url.parse());
    let urls = urls.collect::<Result<_, _>>().map_err(|e| usage(format!("alertmanager.urls: {e}")))?;
    let login = match (&told.token, &told.basic) {
        (Some(token), _) => alertmanager::Login::Bearer(token.0.clone()),
        (None, Some((user, password))) => {
            alertmanager::Login::Basic { user: user.clone(), password: password.0.clone() }
        }
        (None, None) => alertmanager::Login::None,
    };
    let policies = rules.policies.clone();
    let settings = AlertmanagersConfig {
        urls,
        receiver: told.receiver.clone(),
        login,
        ca_pem: told.ca_pem.clone(),
        wanted: Arc::new(move |labels| policies.iter().any(|policy| policy.wants(labels))),
    };
    let asked = Alertmanagers::new(settings, clock).map_err(|e| failed("alertmanager", e))?;
    Ok(Arc::new(asked))
}

fn bmcs(config: &Config) -> Result<BTreeMap<NodeName, BmcConfig>, Stop> {
    let mut nodes = BTreeMap::new();
    for (node, settings) in &config.bmc {
        let (user, password) = (settings.user.clone(), settings.password.0.clone());
        let config = match settings.way.clone() {
            BmcWay::Redfish { url, ca_pem, fingerprint, system } => {
                let url = url.parse().map_err(|e| usage(format!("bmc.nodes.{node}.redfish: {e}")))?;
                let trust = match (ca_pem, fingerprint) {
                    (Some(pem), _) => bmc::Trust::Ca(pem.into_bytes()),
                    (None, Some(pin)) => bmc::Trust::Pinned(
                        pin.parse()
                            .map_err(|e| usage(format!("bmc.nodes.{node}.redfish.fingerprint: {e}")))?,
                    ),
                    (None, None) => bmc::Trust::System,
                };
                BmcConfig::Redfish(RedfishConfig { url, user, password, trust, system })
            }
            BmcWay::Ipmi { address, workarounds } => {
                BmcConfig::Ipmi(IpmiConfig { address, user, password, workarounds, programs: None })
            }
        };
        nodes.insert(node.clone(), config);
    }
    Ok(nodes)
}

pub(super) fn proxmox_settings(proxmox: &ProxmoxSettings) -> Result<pve::Settings, Stop> {
    let mut members = Vec::new();
    for endpoint in &proxmox.endpoints {
        let trust = match (&proxmox.ca_file, proxmox.fingerprints.get(&endpoint.node)) {
            (Some(file), _) => Trust::CaFile(file.clone()),
            (None, Some(pins)) => {
                let pins: Result<Vec<pve::Fingerprint>, _> = pins.iter().map(|pin| pin.parse()).collect();
                Trust::Pinned(pins.map_err(|e| usage(format!("proxmox.fingerprints: {e}")))?)
            }
            (None, None) => Trust::SystemRoots,
        };
        members.push(pve::Member { node: endpoint.node.clone(), url: endpoint.url.clone(), trust });
    }
    let (id, secret) =
        proxmox.token.0.split_once('=').ok_or_else(|| usage("the API token must be USER@REALM!NAME=UUID"))?;
    let mut settings = pve::Settings::new(members, ApiToken::new(id, secret));
    settings.others = others(proxmox)?;
    Ok(settings)
}

/// Members that are found are believed as the configured ones are; by the system's authorities nobody new is, because
/// they do not say that a machine belongs to this cluster.
fn others(proxmox: &ProxmoxSettings) -> Result<TrustOthers, Stop> {
    if let Some(file) = &proxmox.ca_file {
        return Ok(TrustOthers::CaFile(file.clone()));
    }
    let mut pinned = std::collections::BTreeMap::new();
    for (node, pins) in &proxmox.fingerprints {
        let pins: Result<Vec<pve::Fingerprint>, _> = pins.iter().map(|pin| pin.parse()).collect();
        pinned.insert(node.clone(), pins.map_err(|e| usage(format!("proxmox.fingerprints: {e}")))?);
    }
    Ok(if pinned.is_empty() { TrustOthers::Nobody } else { TrustOthers::Pinned(pinned) })
}

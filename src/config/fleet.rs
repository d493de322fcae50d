//! A fleet: one file for what the process needs, and a directory with a file for each cluster.
//!
//! A cluster's file is the file that a pitlane of its own would have, without what the fleet's file says for all. So a cluster
//! joins a fleet by moving its file, and its state, there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::ConfigFile;
use super::mistakes::{Mistakes, Place};
use super::reader::Read;
use super::settings::{Config, Http, of_file, open};
use crate::model::ids::{BudgetName, ClusterName, NodeName};
use crate::model::shared::{Counted, SharedBudget, SharedRules};

/// Keys that count for the whole process, so only the fleet's file has them.
const OF_THE_FLEET: [&str; 7] =
    ["state", "log", "http", "store", "clusters", "cluster_labels", "shared_budgets"];
/// May stand in both files: the fleet's stops all.
const OF_BOTH: &str = "kill_file";

/// A budget that counts over several clusters, such as one row of racks, or one technician.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedBudgetFile {
    /// Stands in the reasons that a verdict gives.
    #[schemars(extend("examples" = ["row-7"]))]
    pub name: BudgetName,
    /// Nodes that may be out at once, of all these clusters together.
    #[schemars(range(min = 1))]
    pub nodes_out_max: u32,
    /// Clusters all of whose nodes count.
    #[serde(default)]
    pub clusters: Vec<ClusterName>,
    /// Cluster → those of its nodes that count.
    #[serde(default)]
    pub nodes: std::collections::BTreeMap<ClusterName, Vec<NodeName>>,
}

/// What one process serves.
#[derive(Clone, Debug)]
pub enum Service {
    One(Box<Config>),
    Fleet {
        /// The listener, the log, the state: what the clusters share. Of a cluster it says nothing.
        front: Box<Config>,
        /// By name.
        clusters: Vec<Config>,
    },
}

impl Service {
    /// What the process needs.
    pub fn front(&self) -> &Config {
        match self {
            Self::One(config) | Self::Fleet { front: config, .. } => config,
        }
    }

    pub fn clusters(&self) -> &[Config] {
        match self {
            Self::One(config) => std::slice::from_ref(config),
            Self::Fleet { clusters, .. } => clusters,
        }
    }

    /// The cluster of that name; without one, the only one there is.
    ///
    /// # Errors
    /// Which name to write.
    pub fn cluster(&self, name: Option<&str>) -> Result<&Config, String> {
        match (self, name) {
            (Self::One(config), None) => Ok(config),
            (Self::One(config), Some(name)) if config.cluster.as_deref() == Some(name) => Ok(config),
            (Self::One(_), Some(name)) => Err(only_one(name)),
            (Self::Fleet { clusters, .. }, Some(name)) => {
                let named = clusters.iter().find(|config| config.cluster.as_deref() == Some(name));
                named.ok_or_else(|| format!("there is no cluster {name}; there are {}", self.names()))
            }
            (Self::Fleet { .. }, None) => {
                Err(format!("which cluster? Write --cluster NAME; there are {}", self.names()))
            }
        }
    }

    fn names(&self) -> String {
        let names = self.clusters().iter().filter_map(|config| config.cluster.as_deref());
        crate::model::wait_text::list(names)
    }
}

/// Reads the configuration of a process: of one cluster, or of a fleet.
///
/// # Errors
/// All mistakes of all files together.
pub fn serve(path: &Path) -> Result<Service, Mistakes> {
    let mut mistakes = Mistakes::of(path.display().to_string());
    let Some(read) = open(path, &mut mistakes, Place::START) else { return mistakes.or(None) };
    let service = match read.json.get("clusters") {
        None => {
            alone(&read, &mut mistakes);
            of_file(read, path, &mut mistakes).map(|config| Service::One(Box::new(config)))
        }
        Some(_) => fleet(read, path, &mut mistakes),
    };
    mistakes.or(service)
}

/// What a file of one cluster must not say.
pub(super) fn alone(read: &Read<ConfigFile>, mistakes: &mut Mistakes) {
    if read.json.get("clusters").is_some() {
        let text = "clusters: this is the file of a fleet; name one of its clusters with --cluster";
        mistakes.add(read.root.at("clusters").place, text);
        return;
    }
    for (key, text) in [
        ("shared_budgets", "they count over several clusters, and here is one; write budgets"),
        ("cluster_labels", "they tell alerts of several clusters apart, and here is one; leave it out"),
    ] {
        if read.json.get(key).is_some() {
            mistakes.add(read.root.at(key).place, format!("{key}: {text}"));
        }
    }
}

fn fleet(read: Read<ConfigFile>, path: &Path, mistakes: &mut Mistakes) -> Option<Service> {
    let base = path.parent().unwrap_or(Path::new("."));
    for key in keys(&read) {
        if key != OF_BOTH && !OF_THE_FLEET.contains(&key.as_str()) {
            let text = format!("{key} belongs in each cluster's own file, since this file names clusters");
            mistakes.add(read.root.at(&key).place, text);
        }
    }
    let dir = base.join(read.json["clusters"].as_str()?);
    let place = read.root.at("clusters").place;
    let files = match files(&dir) {
        Ok(files) if files.is_empty() => {
            mistakes.add(place, format!("clusters: no NAME.yaml is in {}", dir.display()));
            return None;
        }
        Ok(files) => files,
        Err(why) => {
            mistakes.add(place, format!("clusters: cannot read {}: {why}", dir.display()));
            return None;
        }
    };
    // Also where something else in the file is wrong.
    let budgets = read.json.get("shared_budgets").cloned().map(serde_json::from_value);
    let budgets: Vec<SharedBudgetFile> = budgets.and_then(Result::ok).unwrap_or_default();
    for (name, file) in files.iter().filter(|(_, file)| file.extension().is_some_and(|e| e == "yml")) {
        mistakes.add(place, format!("clusters: {} is not read; call it {name}.yaml", file.display()));
    }
    let names: BTreeSet<ClusterName> = files.iter().map(|(name, _)| name.clone()).collect();
    budgets_across(&read, &budgets, &names, mistakes);
    let front = of_file(read, path, mistakes);
    if let Some(front) = &front {
        tokens_across(front, &names, path, mistakes);
    }
    let clusters: Vec<Option<Config>> = files
        .iter()
        .map(|(name, file)| {
            mistakes.turn_to(path.display().to_string());
            member(name, file, place, mistakes)
        })
        .collect();
    one_each(&files, &clusters, mistakes);
    let front = front?;
    let clusters = clusters.into_iter().zip(&names).filter_map(|(config, name)| {
        let mut config = config?;
        config.rules.shared = shared(name, &budgets);
        Some(joined(config, name, &front))
    });
    let clusters: Vec<Config> = clusters.collect();
    Some(Service::Fleet { clusters, front: Box::new(front) })
}

/// Two that look after one cluster would undo each other's work: a file was copied, most likely.
fn one_each(files: &[(ClusterName, PathBuf)], clusters: &[Option<Config>], mistakes: &mut Mistakes) {
    let mut known: BTreeMap<&str, &ClusterName> = BTreeMap::new();
    for ((name, file), config) in files.iter().zip(clusters) {
        let endpoints = config.iter().filter_map(|config| config.proxmox.as_ref()).flat_map(|p| &p.endpoints);
        for endpoint in endpoints {
            if let Some(other) = known.insert(&endpoint.url, name).filter(|other| *other != name) {
                mistakes.turn_to(file.display().to_string());
                let text = format!(
                    "proxmox.endpoints: {} is in the file of {other} as well; a cluster has one file",
                    endpoint.url
                );
                mistakes.add(Place::START, text);
            }
        }
    }
}

/// The keys that were written.
fn keys(read: &Read<ConfigFile>) -> Vec<String> {
    read.json.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// By name. What is neither a `.yaml` nor, by mistake, a `.yml` file is somebody else's.
fn files(dir: &Path) -> std::io::Result<Vec<(ClusterName, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| yaml) {
            found.push((ClusterName(name.to_owned()), path));
        }
    }
    found.sort();
    Ok(found)
}

/// One cluster's file.
fn member(name: &ClusterName, file: &Path, named: Place, mistakes: &mut Mistakes) -> Option<Config> {
    let read = open(file, mistakes, named)?;
    if super::formats::cluster_name(name.as_str()).is_err() {
        let text =
            format!("the file's name {name}.yaml is the cluster's name; write letters, digits, - and _");
        mistakes.add(Place::START, text);
    }
    if let Some(written) = read.json["name"].as_str()
        && written != name.as_str()
    {
        let text = format!("name is {written}, and the file is {name}.yaml; give both the same name");
        mistakes.add(read.root.at("name").place, text);
    }
    for key in keys(&read) {
        if OF_THE_FLEET.contains(&key.as_str()) {
            let text = format!("{key} counts for all clusters, so it belongs in the fleet's file");
            mistakes.add(read.root.at(&key).place, text);
        }
    }
    of_file(read.named(name.as_str()), file, mistakes)
}

/// What the fleet's file says for all of them.
fn joined(config: Config, name: &ClusterName, front: &Config) -> Config {
    let backup = front
        .backup
        .clone()
        .map(|backup| super::kept::BackupFile { dir: backup.dir.join(name.as_str()), ..backup });
    let mut rules = config.rules;
    if let Some(silences) = &mut rules.silences {
        silences.cluster_label = front.cluster_labels.first().cloned();
    }
    let kill_files = front.kill_files.iter().chain(&config.kill_files).cloned().collect();
    Config {
        cluster: Some(name.to_string()),
        rules,
        state: state_of(&front.state, name.as_str()),
        database: front.database.clone(),
        http: Http { ..front.http.clone() },
        log: front.log,
        backup,
        keep: front.keep.clone(),
        kill_files,
        ..config
    }
}

pub(super) fn only_one(name: &str) -> String {
    format!("there is one cluster, and its name is not {name}; leave --cluster out")
}

/// Where a cluster's state lives below the fleet's.
pub fn state_of(fleet: &Path, cluster: &str) -> PathBuf {
    fleet.join("clusters").join(cluster)
}

fn shared(cluster: &ClusterName, budgets: &[SharedBudgetFile]) -> Option<SharedRules> {
    let part = |budget: &SharedBudgetFile| {
        let nodes = match budget.nodes.get(cluster) {
            _ if budget.clusters.contains(cluster) => Counted::All,
            Some(nodes) => Counted::These(nodes.iter().cloned().collect()),
            None => return None,
        };
        Some(SharedBudget { name: budget.name.clone(), nodes_out_max: budget.nodes_out_max, nodes })
    };
    let budgets: Vec<SharedBudget> = budgets.iter().filter_map(part).collect();
    (!budgets.is_empty()).then(|| SharedRules { cluster: cluster.clone(), budgets })
}

fn budgets_across(
    read: &Read<ConfigFile>,
    budgets: &[SharedBudgetFile],
    names: &BTreeSet<ClusterName>,
    mistakes: &mut Mistakes,
) {
    for (i, budget) in budgets.iter().enumerate() {
        let at = |key: &str| read.root.at(&format!("shared_budgets.{i}{key}")).place;
        if budgets[..i].iter().any(|earlier| earlier.name == budget.name) {
            mistakes.add(at(".name"), format!("shared_budgets: {} is there twice; keep one", budget.name));
        }
        for cluster in budget.clusters.iter().chain(budget.nodes.keys()).filter(|name| !names.contains(*name))
        {
            let text =
                format!("shared_budgets: there is no cluster {cluster}; its file would be {cluster}.yaml");
            mistakes.add(at(""), text);
        }
        if let Some(twice) = budget.clusters.iter().find(|name| budget.nodes.contains_key(*name)) {
            let text = format!("shared_budgets: {twice} counts as a whole and by its nodes; keep one");
            mistakes.add(at(""), text);
        }
        if budget.clusters.len() + budget.nodes.len() == 0 {
            mistakes.add(at(""), "shared_budgets: it counts nobody; write clusters or nodes");
        }
    }
}

/// Tokens that are good for clusters which are not there open nothing: a mistake, most likely in the name.
fn tokens_across(front: &Config, names: &BTreeSet<ClusterName>, path: &Path, mistakes: &mut Mistakes) {
    let file = front.http.tokens_file.as_deref().unwrap_or(path).display().to_string();
    for token in &front.http.tokens {
        for cluster in token.clusters.iter().flatten().filter(|name| !names.contains(*name)) {
            mistakes.turn_to(file.clone());
            mistakes.add(
                Place::START,
                format!("the token of {} is for cluster {cluster}, which is not there", token.name),
            );
        }
    }
    mistakes.turn_to(path.display().to_string());
}

#[cfg(test)]
mod tests;

//! The section `bmc:`: how each machine's management controller is reached, and the mistakes that one can make there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::{ConfigFile, Fingerprint};
use super::formats;
use super::mistakes::Mistakes;
use super::reader::Read;
use super::settings::{Secret, text_of};
use crate::model::ids::NodeName;

/// The machines' management controllers. A node that is not here has none that pitlane may ask.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BmcFile {
    #[serde(default)]
    pub nodes: BTreeMap<NodeName, BmcNode>,
}

/// One controller: `redfish` with its address, or `ipmi` with its address. One account of its own for pitlane; it needs
/// to read, and an operator's right if `respond.locate` is to light the LED.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BmcNode {
    #[schemars(extend("format" = "https-url", "examples" = ["https://192.0.2.21"]))]
    pub redfish: Option<String>,
    /// `192.0.2.21`, with a port if it is not 623.
    #[schemars(extend("examples" = ["192.0.2.21"]))]
    pub ipmi: Option<String>,
    pub user: String,
    /// A file with the password and nothing else.
    pub password_file: PathBuf,
    /// Redfish: a certificate (PEM) to trust, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Redfish: the SHA-256 of the one certificate that it may show. Most controllers sign their own.
    pub fingerprint: Option<Fingerprint>,
    /// Redfish: the id of the system, where the controller shows several.
    pub system: Option<String>,
    /// IPMI: FreeIPMI's workaround flags for this controller, such as `opensesspriv`.
    #[serde(default)]
    pub workarounds: Vec<String>,
}

/// A controller, with its secrets read.
#[derive(Clone, Debug)]
pub struct BmcSettings {
    pub way: BmcWay,
    pub user: String,
    pub password: Secret,
}

#[derive(Clone, Debug)]
pub enum BmcWay {
    Redfish { url: String, ca_pem: Option<String>, fingerprint: Option<String>, system: Option<String> },
    Ipmi { address: String, workarounds: Vec<String> },
}

/// Every controller whose description is right; all mistakes of the others.
pub(super) fn settings(
    read: &Read<ConfigFile>,
    base: &Path,
    mistakes: &mut Mistakes,
) -> BTreeMap<NodeName, BmcSettings> {
    let Some(nodes) = read.json.pointer("/bmc/nodes").and_then(|nodes| nodes.as_object()).cloned() else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (name, value) in nodes {
        let Ok(node) = serde_json::from_value::<BmcNode>(value) else { continue };
        let path = format!("bmc.nodes.{name}");
        let place = |key: &str| read.root.at(&format!("{path}.{key}")).place;
        // What is written and wrong was told already.
        let written = |key: &str| place(key) != read.root.at(&path).place;
        if written("redfish") == written("ipmi") {
            let text = format!("{path}: write redfish: https://… or ipmi: ADDRESS, one of them");
            mistakes.add(read.root.at(&path).place, text);
            continue;
        }
        if node.ca_file.is_some() && node.fingerprint.is_some() {
            let text = format!("{path}: write ca_file or fingerprint, not both: which one should count?");
            mistakes.add(place("fingerprint"), text);
        }
        let foreign: &[(&str, bool)] = match written("redfish") {
            true => &[("workarounds", !node.workarounds.is_empty())],
            false => &[
                ("ca_file", node.ca_file.is_some()),
                ("fingerprint", node.fingerprint.is_some()),
                ("system", node.system.is_some()),
            ],
        };
        for (key, _) in foreign.iter().filter(|(_, written)| *written) {
            let other = if written("redfish") { "ipmi" } else { "redfish" };
            mistakes.add(place(key), format!("{path}.{key} belongs to {other}; take it out"));
        }
        let password = text_of(&base.join(&node.password_file), mistakes, place("password_file"));
        let Some(password) = password.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()) else {
            continue;
        };
        if password.is_empty() || password.contains(['\r', '\n']) {
            let text = format!("{path}.password_file: what it holds is no password; it must be one line");
            mistakes.add(place("password_file"), text);
            continue;
        }
        let ca_pem =
            node.ca_file.as_ref().and_then(|file| text_of(&base.join(file), mistakes, place("ca_file")));
        let fingerprint = node.fingerprint.as_ref().and_then(|pin| formats::sha256(&pin.0).ok());
        let way = match (node.redfish, node.ipmi) {
            (None, None) => continue,
            (Some(url), _) => BmcWay::Redfish { url, ca_pem, fingerprint, system: node.system },
            (None, address) => {
                BmcWay::Ipmi { address: address.unwrap_or_default(), workarounds: node.workarounds }
            }
        };
        all.insert(NodeName(name), BmcSettings { way, user: node.user, password: Secret(password) });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(bmc: &str) -> Result<crate::config::Config, Mistakes> {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("writable");
        put("password", "secret\n");
        put("two-lines", "secret\nmore\n");
        put("pitlane.yaml", &format!("mode: observe\n{bmc}"));
        crate::config::load(&dir.path().join("pitlane.yaml"))
    }

    #[test]
    fn each_machine_is_reached_in_its_own_way() {
        let pin = "ab".repeat(32);
        let config = load(&format!(
            "bmc:\n  nodes:\n    pve1: {{redfish: \"https://192.0.2.21\", user: pitlane, password_file: password, \
             fingerprint: {pin}}}\n    pve2: {{ipmi: 192.0.2.22, user: pitlane, password_file: password, \
             workarounds: [opensesspriv]}}\n"
        ))
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(config.bmc["pve1"].password, Secret("secret".to_owned()));
        let BmcWay::Redfish { fingerprint, .. } = &config.bmc["pve1"].way else { panic!("Redfish") };
        assert_eq!(fingerprint.as_ref(), Some(&pin));
        let BmcWay::Ipmi { workarounds, .. } = &config.bmc["pve2"].way else { panic!("IPMI") };
        assert_eq!(workarounds, &["opensesspriv"]);
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place() {
        let told = load(
            "bmc:\n  nodes:\n    pve1: {user: pitlane, password_file: password}\n    pve2: {redfish: \
             \"http://192.0.2.21\", user: pitlane, password_file: password}\n    pve3: {ipmi: 192.0.2.22, user: \
             pitlane, password_file: two-lines, fingerprint: \"00\"}\n    pve4: {ipmi: 192.0.2.23, user: pitlane, \
             password_file: nowhere, system: \"1\"}\n",
        )
        .expect_err("nothing of it is right")
        .to_string();
        for words in [
            "pitlane.yaml:4:11: bmc.nodes.pve1: write redfish: https://… or ipmi: ADDRESS",
            "write https://",
            "it must be one line",
            "no SHA-256",
            "nowhere",
            "bmc.nodes.pve4.system belongs to redfish",
        ] {
            assert!(told.contains(words), "{words}?\n{told}");
        }
    }
}

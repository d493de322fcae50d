//! `config discover`: what a cluster says of itself, as a whole configuration file to begin with.
//!
//! It writes nothing and asks nothing but what the token may see. What cannot be found out (the helper's key, Ceph's
//! key, the people's tokens) stands there as a comment that says where it is made.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::Say;
use super::args::DiscoverArgs;
use crate::model::ids::NodeName;

/// What was found, in words that need no Proxmox.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Discovered {
    /// The member that answered.
    pub member: NodeName,
    pub version: Option<String>,
    pub quorate: bool,
    /// Member → its address in the cluster's network, where that is told.
    pub nodes: BTreeMap<NodeName, Option<String>>,
    pub guests: usize,
    /// Guests that HA manages; `None`: HA could not be seen.
    pub ha_guests: Option<usize>,
    pub ceph: Ceph,
    /// Privilege and path that a drain needs and the token lacks.
    pub lacking: Vec<(String, String)>,
}

/// What Ceph there is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "setup")]
pub enum Ceph {
    None,
    External { storages: Vec<String> },
    Hyperconverged { osds: u64 },
    Unclear { why: String },
}

/// Prints the configuration; with `--json` what was found.
pub fn print(found: &Discovered, args: &DiscoverArgs, say: Say) {
    say.print(&json!({"found": found, "configuration": yaml(found, args)}), || yaml(found, args));
}

/// The configuration file. Every line of it is one that `config check` accepts.
pub fn yaml(found: &Discovered, args: &DiscoverArgs) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    let version = found.version.as_deref().unwrap_or("(version not told)");
    line(&format!(
        "# Found through {}: Proxmox VE {version}, {} members, {} guests.",
        found.member,
        found.nodes.len(),
        found.guests
    ));
    if !found.quorate {
        line("# WARNING: this member has no quorum; what it says may be old. Ask another one.");
    }
    line(&match found.ha_guests {
        Some(0) => "# HA manages no guest.".to_owned(),
        Some(n) => format!("# HA manages {n} of the guests: HA maintenance needs the helper below."),
        None => "# HA could not be seen.".to_owned(),
    });
    for (privilege, path) in &found.lacking {
        line(&format!("# WARNING: the token lacks {privilege} on {path}; see docs/INSTALL.md, section 1."));
    }
    line("");
    line("mode: observe                 # touches nothing; approve and act come later");
    line("# Where pitlane itself runs: {outside: true}, {vmid: N} or {node: NAME}. Mode act needs it.");
    line("# self: {outside: true}");
    line("");
    line("proxmox:");
    line("  endpoints:                  # one is enough: the other members are found through it");
    line(&format!("    - {{node: {}, url: {:?}}}", found.member, args.endpoint));
    line(&format!("  token_file: {:?}", args.api_token_file.display().to_string()));
    match (&args.api_ca_file, &args.fingerprint) {
        (Some(file), _) => line(&format!("  ca_file: {:?}", file.display().to_string())),
        (None, Some(pin)) => {
            line("  fingerprints:               # a member without one is not asked:");
            line("  # openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256");
            line(&format!("    {}: [{pin:?}]", found.member));
            for node in found.nodes.keys().filter(|node| **node != found.member) {
                line(&format!("    # {node}: [\"AB:CD:…\"]"));
            }
        }
        (None, None) => line("  # ca_file: pve-root-ca.pem  # without it only named endpoints are asked"),
    }
    line("");
    line(
        "# The root helper does what the API cannot: HA maintenance. docs/INSTALL.md, section 4, makes its key.",
    );
    line("# hand:");
    line("#   key: secrets/hand");
    line("#   known_hosts: known_hosts");
    line("#   members:");
    for (node, address) in &found.nodes {
        let address = address.as_deref().unwrap_or("ADDRESS");
        line(&format!("#     - {{node: {node}, address: {address:?}}}"));
    }
    line("");
    for text in ceph(&found.ceph) {
        line(&text);
    }
    line("");
    line("# Sensors are read here; without it checks with sensors_ok never pass.");
    line("# prometheus: {url: \"http://127.0.0.1:9090\"}");
    line("");
    line("http:");
    line("  listen: 127.0.0.1:9690");
    line("  # tokens_file: tokens.yaml  # who may ask what; docs/INSTALL.md, section 5");
    out
}

fn ceph(found: &Ceph) -> Vec<String> {
    let mut out = String::new();
    let _ = match found {
        Ceph::None => writeln!(out, "ceph: {{setup: none}}          # no Ceph was found"),
        Ceph::External { storages } => {
            writeln!(
                out,
                "# Storages of a Ceph elsewhere: {}.\nceph: {{setup: external}}",
                storages.join(", ")
            )
        }
        Ceph::Hyperconverged { osds } => writeln!(
            out,
            "# Ceph runs on the members: {osds} OSDs. Until its key is there Ceph cannot be seen, and unknown is no.\n\
             ceph:\n  setup: hyperconverged\n  # client: {{keyring: secrets/ceph.client.pitlane.keyring}}   # \
             docs/INSTALL.md, section 3"
        ),
        Ceph::Unclear { why } => writeln!(
            out,
            "# Whether there is Ceph could not be told ({}). Write none, external or hyperconverged.\n# ceph: {{setup: \
             none}}",
            why.replace('\n', " ")
        ),
    };
    out.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::ConfigFile;
    use crate::config::{Mistakes, read};

    fn found(ceph: Ceph) -> Discovered {
        Discovered {
            member: "pve1".into(),
            version: Some("9.2.11".into()),
            quorate: true,
            nodes: [("pve1".into(), Some("192.0.2.11".into())), ("pve2".into(), None)].into(),
            guests: 40,
            ha_guests: Some(12),
            ceph,
            lacking: vec![("VM.Migrate".into(), "/vms".into())],
        }
    }

    fn args(ca: Option<&str>, pin: Option<&str>) -> DiscoverArgs {
        DiscoverArgs {
            endpoint: "https://192.0.2.11:8006".into(),
            api_token_file: "secrets/proxmox".into(),
            api_ca_file: ca.map(Into::into),
            fingerprint: pin.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_printed_is_a_configuration_whatever_was_found() {
        let pin = "AB".repeat(32);
        for ceph in [
            Ceph::None,
            Ceph::External { storages: vec!["rbd".into()] },
            Ceph::Hyperconverged { osds: 9 },
            Ceph::Unclear { why: "got\ntimeout".into() },
        ] {
            for args in [args(Some("ca.pem"), None), args(None, Some(&pin)), args(None, None)] {
                let text = yaml(&found(ceph.clone()), &args);
                let mut mistakes = Mistakes::of("found.yaml");
                let read = read::<ConfigFile>(&text, &mut mistakes);
                assert!(mistakes.is_empty() && read.is_some(), "{mistakes}\n{text}");
                // What is commented out must be right, too, once it is wanted.
                let whole = text
                    .replace("\n# hand", "\nhand")
                    .replace("\n#   ", "\n  ")
                    .replace("\n#     ", "\n    ");
                let mut mistakes = Mistakes::of("whole.yaml");
                crate::config::read::<ConfigFile>(&whole, &mut mistakes);
                assert!(mistakes.is_empty(), "{mistakes}\n{whole}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let text = yaml(&found(Ceph::Hyperconverged { osds: 9 }), &args(None, None));
        for words in
            ["lacks VM.Migrate on /vms", "HA manages 12", "9 OSDs", "# prometheus", "# hand:", "pve2"]
        {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
    }
}

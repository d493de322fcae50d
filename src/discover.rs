//! Looks at a cluster that no configuration names yet: the asking half of `config discover`.

use std::collections::BTreeSet;
use std::sync::Arc;

use pitlane::adapters::pve::{ApiToken, CephFound, Member, Proxmox, Settings, Trust, name_behind};
use pitlane::cli::{Ceph, DiscoverArgs, Discovered, Exit, Stop};
use pitlane::decide::NEEDED_PRIVILEGES;
use pitlane::model::seen::Seen;
use pitlane::ports::{Clock, Pve};

use crate::wiring::usage;

/// # Errors
/// A wrong file or address, or a cluster that cannot be seen.
pub async fn ask(args: &DiscoverArgs, clock: Arc<dyn Clock>) -> Result<Discovered, Stop> {
    let unseen = |why: String| Stop::new(Exit::Unseen, why);
    let file = &args.api_token_file;
    let text =
        std::fs::read_to_string(file).map_err(|e| usage(format!("cannot read {}: {e}", file.display())))?;
    let (id, secret) = text.trim().split_once('=').filter(|(id, _)| id.contains('!')).ok_or_else(|| {
        usage(format!("{} holds no API token; it must be one line, USER@REALM!NAME=UUID", file.display()))
    })?;
    if !args.endpoint.starts_with("https://") {
        return Err(usage(format!(
            "{:?} is no member's address; write for example https://192.0.2.11:8006",
            args.endpoint
        )));
    }
    let trust = match (&args.api_ca_file, &args.fingerprint) {
        (Some(file), _) => Trust::CaFile(file.clone()),
        (None, Some(pin)) => {
            Trust::Pinned(vec![pin.parse().map_err(|e| usage(format!("--fingerprint: {e}")))?])
        }
        (None, None) => Trust::SystemRoots,
    };
    let token = || ApiToken::new(id, secret);
    let node = name_behind(&args.endpoint, &trust, token()).await.map_err(|e| unseen(chain(&e)))?;
    let member = Member { node: node.clone(), url: args.endpoint.clone(), trust };
    let pve = Proxmox::connect(Settings::new(vec![member], token()), clock).map_err(|e| unseen(chain(&e)))?;
    let (no_nodes, no_guests) = (BTreeSet::new(), BTreeSet::new());
    let (view, ceph, version) =
        tokio::join!(pve.look(&no_nodes, &no_guests, &no_nodes), pve.ceph_found(), pve.version_found(),);
    let opinion = match view.first {
        Seen::Known { value, .. } => value,
        Seen::Unknown { why } => return Err(unseen(why.to_string())),
        Seen::NotAsked => return Err(unseen("the cluster was not asked".to_owned())),
    };
    let lacking = match &view.privileges {
        Seen::Known { value, .. } => NEEDED_PRIVILEGES
            .iter()
            .filter(|(privilege, path)| !value.allows(privilege, path))
            .map(|(privilege, path)| ((*privilege).to_owned(), (*path).to_owned()))
            .collect(),
        _ => Vec::new(),
    };
    Ok(Discovered {
        member: node,
        version,
        quorate: opinion.quorate,
        nodes: opinion.nodes.iter().map(|(node, row)| (node.clone(), row.address.clone())).collect(),
        guests: opinion.guests.len(),
        ha_guests: matches!(view.ha, Seen::Known { .. })
            .then(|| opinion.guests.values().filter(|guest| guest.ha).count()),
        ceph: match ceph {
            CephFound::None => Ceph::None,
            CephFound::External { storages } => Ceph::External { storages },
            CephFound::Hyperconverged { osds } => Ceph::Hyperconverged { osds },
            CephFound::Unclear { why } => Ceph::Unclear { why },
        },
        lacking,
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(&format!(": {cause}"));
        below = cause.source();
    }
    text
}

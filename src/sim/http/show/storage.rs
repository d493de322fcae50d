//! Storages: as configured, and as each node sees them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{digest, object};
use crate::model::ids::NodeName;
use crate::model::observed::Storage;
use crate::sim::World;
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::world::backups::DIRECTORIES;

impl Call<'_> {
    /// The storages' rows of `/cluster/resources`.
    pub fn storage_resources(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for (name, node) in &self.world.nodes {
            let silent = self.silent(name, node);
            let seen =
                storages_of(self.world, name).into_iter().filter(|(storage, _)| self.sees_storage(storage));
            for (storage, has) in seen {
                // What a silent node last said of its storages lives as long as what it said of itself.
                let free = has.free.filter(|_| !silent);
                rows.push(object([
                    ("id", Some(json!(format!("storage/{name}/{storage}")))),
                    ("type", Some(json!("storage"))),
                    ("storage", Some(json!(storage))),
                    ("node", Some(json!(name))),
                    ("status", Some(json!(if silent { "unknown" } else { "available" }))),
                    ("shared", Some(json!(u8::from(has.shared)))),
                    ("plugintype", Some(json!(plugin(has.shared)))),
                    ("content", Some(json!(CONTENT))),
                    ("maxdisk", free.map(|free| json!(free * 2))),
                    ("disk", free.map(|free| json!(free))),
                ]));
            }
        }
        rows
    }

    /// `/storage`: the configuration.
    pub fn storages(&self) -> Said {
        let wanted = self.params.text("type");
        let nodes = self.world.nodes.keys();
        let mut on: BTreeMap<String, (Storage, Vec<&str>)> = BTreeMap::new();
        for (name, (storage, has)) in
            nodes.flat_map(|name| storages_of(self.world, name).into_iter().map(move |found| (name, found)))
        {
            on.entry(storage).or_insert((has, Vec::new())).1.push(name.as_str());
        }
        let rows = on.iter().filter(|(storage, (has, _))| {
            self.sees_storage(storage) && wanted.as_deref().is_none_or(|wanted| wanted == plugin(has.shared))
        });
        let rows = rows.map(|(storage, (has, on))| {
            object([
                ("storage", Some(json!(storage))),
                ("type", Some(json!(plugin(has.shared)))),
                ("content", Some(json!(CONTENT))),
                ("digest", Some(json!(digest("storage.cfg")))),
                ("shared", has.shared.then(|| json!(1))),
                ("nodes", (on.len() < self.world.nodes.len()).then(|| json!(on.join(",")))),
            ])
        });
        let stores = self.world.backups.stores.iter().filter(|(storage, store)| {
            self.sees_storage(storage) && wanted.as_deref().is_none_or(|wanted| wanted == store.kind)
        });
        let stores = stores.map(|(storage, store)| {
            let path = (store.kind == "dir").then(|| json!(format!("{DIRECTORIES}/{storage}")));
            object([
                ("storage", Some(json!(storage))),
                ("type", Some(json!(store.kind))),
                ("content", Some(json!("backup"))),
                ("digest", Some(json!(digest("storage.cfg")))),
                ("shared", store.shared.then(|| json!(1))),
                ("server", store.server.as_ref().map(|server| json!(server))),
                ("path", path),
            ])
        });
        Ok(Answer::data(rows.chain(stores).collect::<Vec<_>>()))
    }

    /// `/nodes/N/storage`.
    pub fn node_storages(&self) -> Said {
        let wanted = self.params.text("storage");
        let stored = self.params.text("content");
        let mut rows = Vec::new();
        for (storage, has) in storages_of(self.world, self.at) {
            if !self.sees_storage(&storage)
                || wanted.as_deref().is_some_and(|wanted| wanted != storage)
                || stored.as_deref().is_some_and(|kind| !CONTENT.split(',').any(|one| one == kind))
            {
                continue;
            }
            rows.push(object([
                ("storage", Some(json!(storage))),
                ("type", Some(json!(plugin(has.shared)))),
                ("content", Some(json!(CONTENT))),
                ("active", Some(json!(1))),
                ("enabled", Some(json!(1))),
                ("shared", Some(json!(u8::from(has.shared)))),
                ("total", has.free.map(|free| json!(free * 2))),
                ("used", has.free.map(|free| json!(free))),
                ("avail", has.free.map(|free| json!(free))),
                ("used_fraction", has.free.map(|_| json!(0.5))),
            ]));
        }
        Ok(Answer::data(rows))
    }
}

/// Shared storage is Ceph's, the rest is the node's own.
fn plugin(shared: bool) -> &'static str {
    if shared { "rbd" } else { "lvmthin" }
}

/// The world has storage for guests only.
const CONTENT: &str = "images,rootdir";

/// Storages of a node: its own, and those that only some nodes have and that a guest lies on.
pub(super) fn storages_of(world: &World, name: &NodeName) -> BTreeMap<String, Storage> {
    let mut found = world.nodes.get(name).map(|node| node.storages.clone()).unwrap_or_default();
    for (storage, on) in world.guests.values().filter_map(|guest| guest.storage_on.as_ref()) {
        if on.contains(name) {
            found.entry(storage.clone()).or_insert(Storage { shared: true, free: None });
        }
    }
    found
}

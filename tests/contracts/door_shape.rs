//! The shape of JSON: which members an object always has, which it may have, and of which types. Learned from many
//! recorded answers, then held against a simulated one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What was seen at one place of a document. Places are written `data[].status`; a list's items share a place, split by
/// their class (`[online]`), and the values of a map with free keys share one, too (`{}`).
#[derive(Debug, Default)]
struct Place {
    types: BTreeSet<&'static str>,
    /// In every object that was seen here.
    always: Option<BTreeSet<String>>,
    ever: BTreeSet<String>,
}

/// Everything that was learned about the answers of one call.
#[derive(Debug, Default)]
pub struct Shape {
    places: BTreeMap<String, Place>,
}

/// Splits a list's items into classes: a node that is off has other members than one that is on.
pub type Classify = fn(&Value) -> String;

/// Members whose keys are names of nodes, guests, checks: the keys say nothing about the shape.
const FREE_KEYS: [&str; 10] = [
    "node_status",
    "node_request",
    "service_status",
    "lrm_status",
    "results",
    "checks",
    "not_allowed_nodes",
    "not-allowed-nodes",
    "permissions",
    "always_on_modules",
];

impl Shape {
    pub fn learn(&mut self, value: &Value, classify: Classify) {
        let mut seen = Vec::new();
        walk("data", value, classify, &mut seen);
        for (place, value) in seen {
            let place = self.places.entry(place).or_default();
            place.types.insert(kind(value));
            if let Value::Object(map) = value {
                let keys: BTreeSet<String> = map.keys().cloned().collect();
                place.ever.extend(keys.iter().cloned());
                let always = place.always.get_or_insert_with(|| keys.clone());
                always.retain(|key| keys.contains(key));
            }
        }
    }

    /// Where an answer differs, in words that an argued difference can repeat: `missing PLACE.member`, `extra
    /// PLACE.member`, `PLACE: string, never seen as that`.
    pub fn differences(&self, value: &Value, classify: Classify) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut seen = Vec::new();
        walk("data", value, classify, &mut seen);
        for (at, value) in seen {
            // A place that was never seen is told where its parent has it as an extra member.
            let Some(place) = self.places.get(&at) else { continue };
            if !place.types.contains(kind(value)) {
                found.insert(format!("{at}: {}, seen as {:?}", kind(value), place.types));
            }
            let (Value::Object(map), false) = (value, free(&at)) else { continue };
            let always = place.always.iter().flatten().filter(|key| !map.contains_key(*key));
            found.extend(always.map(|key| format!("missing {at}.{key}")));
            let extra = map.keys().filter(|key| !place.ever.contains(*key));
            found.extend(extra.map(|key| format!("extra {at}.{key}")));
        }
        found
    }
}

fn free(place: &str) -> bool {
    let last = place.rsplit('.').next().unwrap_or(place);
    FREE_KEYS.contains(&last)
}

fn walk<'a>(place: &str, value: &'a Value, classify: Classify, into: &mut Vec<(String, &'a Value)>) {
    into.push((place.to_owned(), value));
    match value {
        Value::Object(map) if free(place) => {
            for value in map.values() {
                walk(&format!("{place}{{}}"), value, classify, into);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                walk(&format!("{place}.{key}"), value, classify, into);
            }
        }
        Value::Array(items) => {
            for item in items {
                walk(&format!("{place}[{}]", classify(item)), item, classify, into);
            }
        }
        _ => {}
    }
}

/// Whole and broken numbers are one: `cpu` is 0 while nothing runs.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

//! What `alertmanager.silences` says, and what it may not say: a silence is short, names what it silences, and can be
//! told from those of another cluster that shares the Alertmanager.

use super::file::ConfigFile;
use super::mistakes::Mistakes;
use super::reader::Read;
use crate::model::rules::Mapping;
use crate::model::silence::{ALERTNAMES_MAX, LEASE_MAX, LEASE_MIN, SilenceRules};
use crate::model::tickets::fit_for_correlation;
use crate::model::time::Period;

const HERE: &str = "alertmanager.silences";

/// Rules across fields.
pub(super) fn across(read: &Read<ConfigFile>, mistakes: &mut Mistakes) {
    let Some(written) = read.json.pointer("/alertmanager/silences").filter(|it| it.is_object()) else {
        return;
    };
    let place = |path: &str| read.root.at(path).place;
    let named = read.root.at("name").place != read.root.place;
    match read.json["name"].as_str() {
        None if !named => {
            let text = "name is missing; silences of ours are told from another cluster's by it: write the one that \
                        pvecm status shows";
            mistakes.add(place(HERE), text);
        }
        // What tickets say of the same name is not said twice.
        Some(name) if !fit_for_correlation(name) && read.json.get("tickets").is_none() => {
            let text = format!(
                "name: {name:?} cannot stand in a silence; write letters, digits, ., _ and -, 40 at most"
            );
            mistakes.add(place("name"), text);
        }
        _ => {}
    }
    if let Some(lease) = read.get::<Period>("/alertmanager/silences/for")
        && !(LEASE_MIN..=LEASE_MAX).contains(&lease)
    {
        let text = format!(
            "{HERE}.for: {lease} is no lease that can be renewed in time and ends soon by itself; write {LEASE_MIN} to {LEASE_MAX}"
        );
        mistakes.add(place(&format!("{HERE}.for")), text);
    }
    let names = written["alertnames"].as_array().map(Vec::as_slice).unwrap_or_default();
    if names.len() > ALERTNAMES_MAX {
        let text = format!("{HERE}.alertnames: at most {ALERTNAMES_MAX} alerts can be named");
        mistakes.add(place(&format!("{HERE}.alertnames")), text);
    }
    for (i, name) in names.iter().enumerate() {
        let at = place(&format!("{HERE}.alertnames.{i}"));
        let Some(name) = name.as_str() else { continue };
        if !is_name(name) {
            let text = format!(
                "{HERE}.alertnames: {name:?} is no alert's name; write each as its rule has it, without patterns"
            );
            mistakes.add(at, text);
        } else if names[..i].iter().any(|other| other == name) {
            mistakes.add(at, format!("{HERE}.alertnames: {name} is there twice; keep one"));
        }
    }
}

/// Names of rules are free text; what looks like a pattern was meant as one, and would match nothing.
fn is_name(name: &str) -> bool {
    let pattern = |c: char| "*+?|^$[]{}\\".contains(c) || c.is_control();
    !name.trim().is_empty() && name.trim() == name && name.chars().count() <= 200 && !name.contains(pattern)
}

/// As the rules have it.
pub(super) fn of(file: &ConfigFile) -> Option<SilenceRules> {
    let written = file.alertmanager.as_ref()?.silences.as_ref()?;
    let first = || match &file.mapping.node_labels {
        Some(labels) => labels.first().map(|label| label.0.clone()),
        None => Mapping::default().node_labels.into_iter().next(),
    };
    Some(SilenceRules {
        cluster: file.name.clone()?,
        cluster_label: None,
        lease: written.lease,
        label: written
            .label
            .as_ref()
            .map(|label| label.0.clone())
            .or_else(first)
            .unwrap_or_else(|| "node".to_owned()),
        alertnames: written.alertnames.clone(),
    })
}

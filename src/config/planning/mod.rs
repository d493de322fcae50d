//! Files of the offline planner: an instance is read, a plan is written.
//!
//! Large instances are read by serde alone, which is fast and stops at the first mistake. Only when something is wrong is
//! the file read again, slowly, so that all mistakes come out at once, each with its line and column.

mod convert;
mod wire;
mod written;

pub use wire::{InstanceFile, PlanFile};
pub use written::plan as plan_file;

use super::mistakes::{Mistakes, Place};
use super::reader::read;
use super::tree;
use crate::decide::planner::Instance;

/// Told of one file, at most: whoever has made more of them sees the pattern.
const TOLD_MAX: usize = 40;

/// Reads an instance.
///
/// # Errors
/// All that is wrong, with places.
pub fn instance(text: &str, name: &str) -> Result<Instance, Mistakes> {
    let mut mistakes = Mistakes::of(name);
    let file: InstanceFile = match serde_json::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            slowly(text, &error, &mut mistakes);
            return mistakes.or(None);
        }
    };
    match convert::instance(&file) {
        Ok(instance) => Ok(instance),
        Err(wrong) => {
            let root = tree::parse(text, &mut Mistakes::default());
            let more = wrong.len().saturating_sub(TOLD_MAX);
            for one in wrong.into_iter().take(TOLD_MAX) {
                let place = root.as_ref().map_or(Place::START, |root| root.at(&one.path).place);
                mistakes.add(place, format!("{}: {}", one.path, one.text));
            }
            if more > 0 {
                mistakes.add(Place { line: usize::MAX, column: 1 }, format!("and {more} more of the kind"));
            }
            mistakes.or(None)
        }
    }
}

/// Says everything that is wrong with a text that serde refused.
fn slowly(text: &str, error: &serde_json::Error, mistakes: &mut Mistakes) {
    let place = Place { line: error.line().max(1), column: error.column().max(1) };
    if !matches!(error.classify(), serde_json::error::Category::Data) {
        let want = "write a pitlane-plan-instance/1 as JSON";
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or(&said);
        mistakes.add(place, format!("this is no JSON: {said}; {want}"));
        return;
    }
    let mut all = Mistakes::default();
    read::<InstanceFile>(text, &mut all);
    // Configuration files have no nulls, instances do. And serde sees what the schema cannot say: pairs.
    let told: Vec<_> = all
        .list()
        .iter()
        .filter(|one| {
            !(one.text.ends_with("found nothing") && NULLABLE.iter().any(|key| one.text.contains(key)))
        })
        .filter(|one| !one.text.starts_with("cannot be read"))
        .collect();
    if told.is_empty() {
        mistakes.add(place, error.to_string());
    }
    let more = told.len().saturating_sub(TOLD_MAX);
    for one in told.into_iter().take(TOLD_MAX) {
        mistakes.add(one.place, one.text.clone());
    }
    if more > 0 {
        mistakes.add(Place { line: usize::MAX, column: 1 }, format!("and {more} more of the kind"));
    }
}

/// Where null may stand.
const NULLABLE: [&str; 5] = ["params.max_parallel", ".storages.", ".allowed", ".prefer", ".home"];

#[cfg(test)]
mod tests;

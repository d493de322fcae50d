//! An instance from anybody: refused with a reason, or planned, and then the planner's own check of its plan agrees. A plan
//! that its check refuses is a finding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::config::planning::{instance, plan_file};
use pitlane::decide::planner::{Wishes, plan};

fuzz_target!(|text: &str| {
    let Ok(instance) = instance(text, "instance.json") else { return };
    let wishes = Wishes { canary: text.len() % 2 == 1, ..Wishes::default() };
    match plan(&instance, &wishes) {
        Ok(planned) => drop(serde_json::to_string(&plan_file(&instance, &planned)).expect("a plan can be written")),
        Err(refused) => panic!("the planner broke a rule: {refused}"),
    }
});

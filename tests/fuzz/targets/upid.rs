//! The name of a task. What is read can be written, and is the same task then.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::adapters::pve::Upid;

fuzz_target!(|text: &str| {
    let Ok(task) = text.parse::<Upid>() else { return };
    let again: Upid = task.to_string().parse().expect("what was written can be read");
    assert_eq!(again, task);
    // It becomes a part of a path.
    assert!(!task.to_string().contains(char::is_whitespace));
});

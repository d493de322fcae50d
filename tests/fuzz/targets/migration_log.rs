//! The log of a migration: text from a member, read for forecasts. No figure may come out that a forecast chokes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::decide::learning::measured;
use pitlane::model::ids::{GuestId, Upid};
use pitlane::model::observed::{Task, TaskEnd, TaskLog};
use pitlane::model::rates::{Measured, Rates};
use pitlane::model::time::{Time, after};

fuzz_target!(|text: &str| {
    let log = TaskLog { lines: text.lines().map(str::to_owned).collect(), cut: text.len() % 2 == 1 };
    let started = Time::UNIX_EPOCH;
    let ended = after(started, std::time::Duration::from_secs(600));
    let task = Task {
        upid: Upid("UPID:pve1:00000BB9:0005BD43:6B022668:qmigrate:100:pitlane@pve!ctl:".into()),
        node: "pve1".into(),
        kind: "qmigrate".into(),
        guest: Some(GuestId(100)),
        started,
        ended: Some(TaskEnd { at: ended, status: "OK".into() }),
    };
    for used in [None, Some(0), Some(4 << 30), Some(u64::MAX)] {
        let Some(told) = measured(&task, &log, used) else { continue };
        let stored = serde_json::to_string(&told).expect("a measurement can be written");
        let back: Measured = serde_json::from_str(&stored).expect("what was written can be read");
        assert_eq!(back, told);
        // Many of them, as a forecast takes them.
        let many = vec![told.clone(); 5];
        let _ = Rates::of(&many, ended);
        let _ = Rates::of(&[told], ended);
    }
});

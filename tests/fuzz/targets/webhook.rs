//! A delivery from anybody who can reach the port. What is taken from it must be storable, told once, and named by its
//! own labels.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use pitlane::adapters::alertmanager::{fingerprint, parse};
use pitlane::model::alert::Episode;
use pitlane::model::time::Time;

fuzz_target!(|body: &[u8]| {
    let Ok(parsed) = parse(body, Time::UNIX_EPOCH) else { return };
    let mut seen = BTreeSet::new();
    for episode in &parsed.episodes {
        // Alertmanager names it; what it leaves unnamed is named by its labels.
        let named = body.windows(11).any(|word| word == b"fingerprint");
        assert!(
            named || episode.fingerprint == fingerprint(&episode.labels),
            "an alert is named by its labels"
        );
        assert!(seen.insert((episode.fingerprint.clone(), episode.starts_at)), "told twice: {episode:?}");
        // What is stored must be readable again, or it stops every later turn.
        let stored = serde_json::to_string(episode).expect("an episode can be written");
        let back: Episode = serde_json::from_str(&stored).expect("what was written can be read");
        assert_eq!(&back, episode);
    }
    assert!(parsed.bad.kept.len() <= 64 * 1024, "what is kept for people is bounded");
});

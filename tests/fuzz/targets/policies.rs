//! A policy file or a calendar as somebody wrote it: a policy, or mistakes with places, never both and never neither.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::config::{Mistakes, calendars, policy};
use pitlane::model::matcher::{Labels, Matcher};

fuzz_target!(|text: &str| {
    let mut mistakes = Mistakes::of("x.calendar.yaml");
    let calendar = calendars::parse(text, &mut mistakes);
    assert_eq!(calendar.is_some(), mistakes.is_empty(), "{mistakes}");
    if let Some(calendar) = calendar {
        let now = "2026-03-28T12:00:00Z".parse().expect("an instant");
        let opens = calendar.opens_at(now);
        assert!(opens.is_none_or(|at| at >= now && calendar.is_open(at)), "{calendar:?}");
    }
    let mut mistakes = Mistakes::of("policy.yaml");
    let parsed = policy::parse(text, &mut mistakes);
    assert_eq!(parsed.is_some(), mistakes.is_empty(), "{mistakes}");
    // YAML's lines end at a carriage return as well.
    let lines = text.split(['\n', '\r']).count();
    for mistake in mistakes.list() {
        assert!(mistake.place.line >= 1 && mistake.place.column >= 1, "{mistake}");
        assert!(mistake.place.line <= lines + 1, "{mistake} of {lines} lines");
        assert!(!mistake.text.is_empty());
    }
    let Some(policy) = parsed else { return };
    let labels = Labels::from([("alarm_class".into(), "fan".into()), ("severity".into(), "critical".into())]);
    let _ = policy.wants(&labels);
    for matcher in &policy.matchers {
        let again: Matcher = matcher.to_string().parse().expect("what is shown can be written");
        assert_eq!(&again, matcher);
    }
});

//! What a calendar file may get wrong, each with its place.

use super::*;

const GOOD: &str = "calendar: staffed-hours
zone: Europe/Berlin
open:
  - {days: [mon, fri], from: 07:00, to: 17:00}
closed:
  - {day: 2026-12-24, until: 2027-01-01, why: Christmas}
also_open:
  - {day: 2026-11-28, from: 22:00, to: 04:00}
";

fn mistakes_in(text: &str) -> String {
    let mut mistakes = Mistakes::of("x.calendar.yaml");
    let calendar = parse(text, &mut mistakes);
    mistakes
        .or(calendar)
        .map(|c| panic!("{} should not be right", c.name))
        .expect_err("panics first")
        .to_string()
}

#[test]
fn a_good_file_becomes_a_calendar() {
    let mut mistakes = Mistakes::of("x.calendar.yaml");
    let calendar = parse(GOOD, &mut mistakes);
    let calendar = mistakes.or(calendar).expect("a good file");
    assert_eq!(calendar.zone.to_string(), "Europe/Berlin");
    let opens = calendar.opens_at("2026-12-23T12:00:00Z".parse().expect("an instant"));
    // A Wednesday, then closed until the new year; the first Monday or Friday after it is the 4th.
    assert_eq!(opens, Some("2027-01-04T06:00:00Z".parse().expect("an instant")));
}

#[test]
fn the_shipped_ones_are_good_and_are_not_named_by_shipped_policies() {
    let mut mistakes = Mistakes::default();
    let (policies, calendars) = crate::config::policy::load_all(None, &mut mistakes);
    assert!(mistakes.is_empty(), "{mistakes}");
    let names: Vec<&str> = calendars.iter().map(|calendar| calendar.name.as_str()).collect();
    assert_eq!(names, ["nights", "staffed-hours"]);
    assert!(policies.iter().all(|policy| policy.respond.when.is_none()));
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    let mut wrong = Vec::new();
    for (from, to, expected) in [
        (
            "Europe/Berlin",
            "Europe/Berlni",
            "2:7: zone: there is no time zone \"Europe/Berlni\"; did you mean Europe/Berlin?",
        ),
        (
            "Europe/Berlin",
            "Berlin",
            "2:7: zone: there is no time zone \"Berlin\"; did you mean Europe/Berlin?",
        ),
        ("Europe/Berlin", "UTC+1", "2:7: zone: there is no time zone \"UTC+1\"; "),
        ("Europe/Berlin", "localtime", "2:7: zone: there is no time zone \"localtime\"; "),
        ("zone: Europe/Berlin\n", "", "1:1: zone is missing; write for example Europe/Berlin"),
        ("fri]", "fir]", "4:18: open.0.days.1 cannot be \"fir\"; did you mean fri?"),
        ("fri]", "mon]", "4:18: open.0.days.1: mon is there twice; keep one"),
        ("[mon, fri]", "[]", "4:12: open.0.days needs at least 1 entry"),
        (
            "from: 07:00, to: 17:00",
            "from: 7:00, to: 17:00",
            "4:30: open.0.from: \"7:00\" is no time of day; write for example 07:00",
        ),
        ("to: 17:00", "to: 25:00", "open.0.to: \"25:00\" is no time of day"),
        (
            "to: 17:00",
            "to: 07:00",
            "4:41: open.0.to: a window from 07:00 to 07:00 has no length; for the whole day write from: 00:00 and to: 24:00",
        ),
        ("from: 22:00", "from: 24:00", "8:29: also_open.0.from: a window cannot begin at 24:00"),
        (
            "day: 2026-12-24",
            "day: 2026-02-30",
            "6:11: closed.0.day: there is no 2026-02-30: that month has 28 days",
        ),
        (
            "day: 2026-12-24",
            "day: 24.12.2026",
            "6:11: closed.0.day: \"24.12.2026\" is no date; write year, month and day",
        ),
        (
            "until: 2027-01-01",
            "until: 2026-01-01",
            "6:30: closed.0.until: it ends before it begins; write 2026-12-24 or later",
        ),
        ("closed:", "closd:", "5:1: closd is not known; did you mean closed?"),
        (
            "calendar: staffed-hours",
            "calendar: staffed hours",
            "1:11: calendar: \"staffed hours\" is not a calendar's name",
        ),
    ] {
        let said = mistakes_in(&GOOD.replacen(from, to, 1));
        if !said.contains(&format!("x.calendar.yaml:{expected}")) && !said.contains(expected) {
            wrong.push(format!("{to:?}: expected {expected:?}, said {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let said = mistakes_in(
        "calendar: x\nzone: Mars\nopen:\n  - {days: [mon], from: 9, to: 10:00}\n  - {days: [mno], from: 09:00, to: 09:00}\n",
    );
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn one_that_never_opens_is_told() {
    for text in ["calendar: x\nzone: UTC\n", "calendar: x\nzone: UTC\nopen: []\n"] {
        let said = mistakes_in(text);
        assert!(said.contains("this calendar never opens"), "{said}");
    }
    // A window that is wrong is told alone.
    let said = mistakes_in("calendar: x\nzone: UTC\nopen: 7\n");
    assert!(!said.contains("never opens"), "{said}");
}

/// A directory with a policy that names `named`, and these files beside it.
fn beside(named: &str, files: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let fan = crate::config::policy::shipped("fan").expect("it is shipped");
    let fan = fan.replace("mode: approve", &format!("mode: approve, when: {named}"));
    std::fs::write(dir.path().join("fan.yaml"), fan).expect("writable");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("writable");
    }
    let mut mistakes = Mistakes::default();
    let (policies, _) = crate::config::policy::load_all(Some(dir.path()), &mut mistakes);
    let when = policies.iter().find(|p| p.name.as_str() == "fan").and_then(|p| p.respond.when.clone());
    match mistakes.or(Some(())) {
        Ok(()) => when.map_or_else(|| "no calendar".to_owned(), |calendar| calendar.name.to_string()),
        Err(mistakes) => mistakes.to_string().replace(&format!("{}/", dir.path().display()), ""),
    }
}

#[test]
fn a_policy_gets_the_calendar_that_it_names() {
    assert_eq!(beside("staffed-hours", &[("staffed-hours.calendar.yaml", GOOD)]), "staffed-hours");
    let line = "fan.yaml:7:47: respond.when: there is no calendar";
    assert_eq!(
        beside("nights", &[]),
        format!("{line} nights; put nights.calendar.yaml beside the policies, or take `when` out")
    );
    assert_eq!(
        beside("stafed-hours", &[("staffed-hours.calendar.yaml", GOOD)]),
        format!("{line} stafed-hours; did you mean staffed-hours?")
    );
    assert_eq!(
        beside("weekends", &[("staffed-hours.calendar.yaml", GOOD)]),
        format!(
            "{line} weekends; put weekends.calendar.yaml beside the policies, or write one of: staffed-hours"
        )
    );
    let said = beside("two words", &[]);
    assert!(said.contains("respond.when: \"two words\" is not a calendar's name"), "{said}");
}

#[test]
fn a_calendar_that_is_wrong_is_not_said_to_be_missing() {
    let wrong = GOOD.replace("Europe/Berlin", "Europe/Berlni");
    let said = beside("staffed-hours", &[("staffed-hours.calendar.yaml", &wrong)]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("staffed-hours.calendar.yaml:2:7: zone: "), "{said}");
}

#[test]
fn the_same_calendar_twice_and_a_calendar_under_a_policys_name_are_told() {
    let said = beside("staffed-hours", &[("a.calendar.yaml", GOOD), ("b.calendar.yaml", GOOD)]);
    assert!(
        said.contains("b.calendar.yaml:1:1: another file already holds the calendar staffed-hours"),
        "{said}"
    );
    let said = beside("staffed-hours", &[("staffed-hours.yaml", GOOD)]);
    assert!(said.contains("staffed-hours.yaml:1:1: this is a calendar"), "{said}");
}

proptest::proptest! {
    /// Whatever somebody leaves in such a file: a calendar that answers, or mistakes with places; never both, never neither.
    #[test]
    fn any_file_is_a_calendar_or_a_mistake(
        cut in 0_usize..GOOD.len(),
        length in 0_usize..12,
        put in "(:|-|, |[0-9]{1,4}|24:00|00:00|9999-12-31|0000-01-01|mon|UTC|\\[|\\]|\\{|\\}|\n|[ -~]{0,6}|é|\u{2028})",
    ) {
        let until = (cut + length).min(GOOD.len());
        let text = format!("{}{put}{}", &GOOD[..cut], &GOOD[until..]);
        let mut mistakes = Mistakes::of("x.calendar.yaml");
        let parsed = parse(&text, &mut mistakes);
        proptest::prop_assert_eq!(parsed.is_some(), mistakes.is_empty(), "{}", mistakes);
        let Some(calendar) = parsed else { return Ok(()) };
        for now in ["2026-12-23T12:00:00Z", "9999-12-28T00:00:00Z", "-009999-01-05T00:00:00Z"] {
            let now = now.parse().expect("an instant");
            if let Some(span) = calendar.first(now, |_| true) {
                proptest::prop_assert!(calendar.is_open(span.opens) && span.opens >= now);
                proptest::prop_assert!(span.closes.is_none_or(|closes| !calendar.is_open(closes)));
            }
            let _ = calendar.moment(now);
        }
    }
}

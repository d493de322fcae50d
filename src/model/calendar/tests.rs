//! Clocks that are set, days that are closed, and calendars by the dozen against a look at each minute.

use jiff::civil;

use super::*;

fn at(text: &str) -> Time {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn hours(from: &str, to: &str) -> Hours {
    Hours { from: from.parse().expect("a time"), to: to.parse().expect("a time") }
}

const WORKDAYS: [Day; 5] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];
const WEEK: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

fn calendar(zone: &str, days: &[Day], from: &str, to: &str) -> Calendar {
    Calendar {
        name: "x".into(),
        zone: zone.parse().expect("a zone"),
        open: vec![Weekly { days: days.iter().copied().collect(), hours: hours(from, to) }],
        closed: Vec::new(),
        also_open: Vec::new(),
    }
}

fn closed(day: &str, until: &str) -> Closed {
    Closed { day: day.parse().expect("a date"), until: until.parse().expect("a date"), why: None }
}

/// The first stretches from there on.
fn spans(calendar: &Calendar, from: &str, count: usize) -> Vec<String> {
    let told = |span: &Span| {
        let closes = span.closes.map_or_else(|| "…".to_owned(), |at| at.to_string());
        format!("{} {closes}", span.opens)
    };
    calendar.spans(at(from), NEAR_DAYS).iter().take(count).map(told).collect()
}

#[test]
fn a_week_opens_and_closes_by_the_zones_clock() {
    let staffed = calendar("Europe/Berlin", &WORKDAYS, "07:00", "17:00");
    // A Friday evening in winter, then a Monday morning.
    assert_eq!(staffed.opens_at(at("2026-01-09T20:00:00Z")), Some(at("2026-01-12T06:00:00Z")));
    assert!(staffed.is_open(at("2026-01-12T06:00:00Z")) && !staffed.is_open(at("2026-01-12T05:59:59Z")));
    assert!(staffed.is_open(at("2026-01-12T15:59:59Z")) && !staffed.is_open(at("2026-01-12T16:00:00Z")));
    assert_eq!(staffed.moment(at("2026-01-12T06:00:00Z")).wall, "Mon 2026-01-12 07:00 Europe/Berlin");
    // What has begun counts from now on.
    let left = staffed.first(at("2026-01-12T15:30:00Z"), |_| true).expect("it is open");
    assert_eq!((left.opens, left.lasts()), (at("2026-01-12T15:30:00Z"), Duration::from_secs(1800)));
}

#[test]
fn an_hour_that_a_spring_leaves_out_is_not_there() {
    // Berlin, 29 March 2026: after 01:59:59 comes 03:00:00.
    let night = calendar("Europe/Berlin", &WEEK, "02:00", "03:00");
    assert_eq!(
        spans(&night, "2026-03-27T12:00:00Z", 2),
        ["2026-03-28T01:00:00Z 2026-03-28T02:00:00Z", "2026-03-30T00:00:00Z 2026-03-30T01:00:00Z"]
    );
    // Of a window that begins in it, what lies behind it is left.
    let half = calendar("Europe/Berlin", &[Day::Sun], "02:30", "04:00");
    assert_eq!(spans(&half, "2026-03-28T12:00:00Z", 1), ["2026-03-29T01:00:00Z 2026-03-29T02:00:00Z"]);
    let into = calendar("Europe/Berlin", &[Day::Sun], "01:00", "02:30");
    assert_eq!(spans(&into, "2026-03-28T12:00:00Z", 1), ["2026-03-29T00:00:00Z 2026-03-29T01:00:00Z"]);
}

#[test]
fn an_hour_that_an_autumn_repeats_is_there_twice() {
    // Berlin, 25 October 2026: 02:00 to 03:00 comes at 00:00Z and again at 01:00Z.
    let whole = calendar("Europe/Berlin", &[Day::Sun], "02:00", "03:00");
    assert_eq!(spans(&whole, "2026-10-24T12:00:00Z", 1), ["2026-10-25T00:00:00Z 2026-10-25T02:00:00Z"]);
    let part = calendar("Europe/Berlin", &[Day::Sun], "02:30", "02:45");
    assert_eq!(
        spans(&part, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z 2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z 2026-10-25T01:45:00Z"]
    );
    assert_eq!(part.moment(at("2026-10-25T00:30:00Z")).wall, "Sun 2026-10-25 02:30 (+02) Europe/Berlin");
    assert_eq!(part.moment(at("2026-10-25T01:30:00Z")).wall, "Sun 2026-10-25 02:30 (+01) Europe/Berlin");
}

#[test]
fn a_night_over_the_change_is_an_hour_shorter_or_longer() {
    let night = calendar("Europe/Berlin", &[Day::Sat], "22:00", "06:00");
    let lasts = |from: &str| night.first(at(from), |_| true).expect("a night").lasts().as_secs() / 3600;
    assert_eq!(lasts("2026-03-21T12:00:00Z"), 8);
    assert_eq!(lasts("2026-03-28T12:00:00Z"), 7);
    assert_eq!(lasts("2026-10-24T12:00:00Z"), 9);
    let day = calendar("Europe/Berlin", &[Day::Sun], "00:00", "24:00");
    let lasts = |from: &str| day.first(at(from), |_| true).expect("a day").lasts().as_secs() / 3600;
    assert_eq!((lasts("2026-03-28T12:00:00Z"), lasts("2026-10-24T12:00:00Z")), (23, 25));
}

#[test]
fn clocks_that_are_set_at_midnight_are_followed() {
    // Beirut, 29 March 2026: after 23:59:59 on Saturday comes 01:00:00, so that day has no midnight.
    let beirut = calendar("Asia/Beirut", &[Day::Sun], "00:00", "02:00");
    assert_eq!(spans(&beirut, "2026-03-28T12:00:00Z", 1), ["2026-03-28T22:00:00Z 2026-03-28T23:00:00Z"]);
    // St. John's, 7 November 2010: at 00:01 the clock went back to 23:01, so Sunday began twice.
    let johns = calendar("America/St_Johns", &[Day::Sun], "00:00", "00:30");
    assert_eq!(
        spans(&johns, "2010-11-06T12:00:00Z", 2),
        ["2010-11-07T02:30:00Z 2010-11-07T02:31:00Z", "2010-11-07T03:30:00Z 2010-11-07T04:00:00Z"]
    );
    // Samoa had no 30 December 2011 at all.
    let samoa = calendar("Pacific/Apia", &[Day::Fri], "00:00", "24:00");
    assert_eq!(spans(&samoa, "2011-12-28T00:00:00Z", 1), ["2012-01-05T10:00:00Z …"]);
}

#[test]
fn zones_with_half_hours_and_without_summers() {
    let kolkata = calendar("Asia/Kolkata", &WORKDAYS, "09:00", "18:00");
    assert_eq!(spans(&kolkata, "2026-06-01T00:00:00Z", 1), ["2026-06-01T03:30:00Z 2026-06-01T12:30:00Z"]);
    // Lord Howe sets its clocks by half an hour: 4 October 2026, 02:00 becomes 02:30.
    let howe = calendar("Australia/Lord_Howe", &[Day::Sun], "01:00", "03:00");
    assert_eq!(spans(&howe, "2026-10-03T12:00:00Z", 1), ["2026-10-03T14:30:00Z 2026-10-03T16:00:00Z"]);
}

#[test]
fn a_closed_day_takes_its_windows_with_it() {
    let mut night = calendar("Europe/Berlin", &WEEK, "22:00", "04:00");
    night.closed = vec![closed("2026-12-24", "2026-12-25")];
    assert_eq!(
        spans(&night, "2026-12-23T12:00:00Z", 2),
        // The 23rd's ends at midnight; those of the 24th and 25th are not there, not even their ends after midnight.
        ["2026-12-23T21:00:00Z 2026-12-23T23:00:00Z", "2026-12-26T21:00:00Z 2026-12-27T03:00:00Z"]
    );
    // An extra window is open all the same.
    night.also_open =
        vec![Extra { day: "2026-12-24".parse().expect("a date"), hours: hours("23:00", "01:00"), why: None }];
    assert_eq!(spans(&night, "2026-12-23T23:00:00Z", 1), ["2026-12-24T22:00:00Z 2026-12-25T00:00:00Z"]);
}

#[test]
fn windows_that_meet_are_one() {
    let mut staffed = calendar("UTC", &[Day::Mon], "20:00", "24:00");
    staffed.open.push(Weekly { days: [Day::Tue].into(), hours: hours("00:00", "06:00") });
    assert_eq!(spans(&staffed, "2026-01-12T00:00:00Z", 1), ["2026-01-12T20:00:00Z 2026-01-13T06:00:00Z"]);
}

#[test]
fn never_and_always_are_answers() {
    let mut never = calendar("UTC", &WEEK, "00:00", "24:00");
    let always = never.first(at("2026-01-01T00:00:00Z"), |_| true).expect("it is open");
    assert_eq!(always.closes, None);
    assert_eq!(always.lasts(), Duration::MAX);
    never.closed = vec![closed("2026-01-01", "2029-01-01")];
    assert_eq!(never.opens_at(at("2026-01-01T00:00:00Z")), None);
    // Far away is found where it is not too far.
    never.closed = vec![closed("2026-01-01", "2026-12-31")];
    assert_eq!(never.opens_at(at("2026-01-01T00:00:00Z")), Some(at("2027-01-01T00:00:00Z")));
}

#[test]
fn a_stretch_that_is_long_enough_is_looked_for() {
    let mut week = calendar("UTC", &WORKDAYS, "12:00", "13:00");
    week.open.push(Weekly { days: [Day::Sat].into(), hours: hours("08:00", "20:00") });
    let wanted = |span: &Span| span.lasts() >= Duration::from_secs(3 * 3600);
    let found = week.first(at("2026-01-12T12:30:00Z"), wanted).expect("a Saturday");
    assert_eq!(found.opens, at("2026-01-17T08:00:00Z"));
    let wanted = |span: &Span| span.lasts() >= Duration::from_secs(13 * 3600);
    assert_eq!(week.first(at("2026-01-12T12:30:00Z"), wanted), None);
}

#[test]
fn a_calendar_is_read_as_it_was_written() {
    let mut written = calendar("Europe/Berlin", &WORKDAYS, "07:00", "24:00");
    written.closed = vec![closed("2026-12-24", "2027-01-01")];
    let text = serde_json::to_string(&written).expect("it can be written");
    assert_eq!(serde_json::from_str::<Calendar>(&text).expect("it can be read"), written, "{text}");
    assert!("Localtime".parse::<Zone>().is_err() && "Europe/Berlni".parse::<Zone>().is_err());
    for wrong in ["7:00", "07:60", "24:01", "0700", "-1:00", "+7:00", ""] {
        assert!(wrong.parse::<ClockTime>().is_err(), "{wrong}");
    }
    for wrong in ["2026-02-30", "26-02-03", "2026-13-01", "2026-2-3", "2026-02-03T00:00"] {
        assert!(wrong.parse::<Date>().is_err(), "{wrong}");
    }
}

/// Zones with every kind of change, and moments around their changes.
const ZONES: [(&str, &str); 8] = [
    ("Europe/Berlin", "2026-03-28T00:00:00Z"),
    ("Europe/Berlin", "2026-10-24T00:00:00Z"),
    ("America/St_Johns", "2026-11-01T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T00:00:00Z"),
    ("Asia/Beirut", "2026-03-28T00:00:00Z"),
    ("America/Havana", "2026-10-31T00:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T00:00:00Z"),
    ("UTC", "2026-12-30T00:00:00Z"),
];

/// Another way to say the same: each minute's answer from a table of the week, without any arithmetic of instants.
fn open_by_table(calendar: &Calendar, wall: civil::DateTime) -> bool {
    let shut = |day: civil::Date| calendar.closed.iter().any(|c| c.day.0 <= day && day <= c.until.0);
    let minute = wall.hour() as u32 * 60 + wall.minute() as u32;
    let inside = |h: Hours, day: civil::Date| {
        let (from, to) = (h.from.minutes(), h.to.minutes());
        if to > from {
            wall.date() == day && from <= minute && minute < to
        } else {
            wall.date() == day && minute >= from
                || day.tomorrow().is_ok_and(|next| wall.date() == next) && minute < to
        }
    };
    if calendar.also_open.iter().any(|extra| inside(extra.hours, extra.day.0)) {
        return true;
    }
    if shut(wall.date()) {
        return false;
    }
    let mut days = vec![wall.date()];
    days.extend(wall.date().yesterday().ok());
    days.iter().any(|day| {
        let begins = |w: &Weekly| w.days.contains(&WEEK[day.weekday().to_monday_zero_offset() as usize]);
        !shut(*day) && calendar.open.iter().any(|w| begins(w) && inside(w.hours, *day))
    })
}

proptest::prop_compose! {
    fn any_hours()(from in 0_u32..96, length in 1_u32..=96) -> Hours {
        // Quarters of an hour; as long as a day at most.
        let shown = |quarter: u32| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
        let to = if from + length <= 96 { from + length } else { from + length - 96 };
        let to = if to == from { from + 1 } else { to };
        hours(&shown(from), &shown(to))
    }
}

proptest::prop_compose! {
    fn any_calendar()(
        zone in 0..ZONES.len(),
        open in proptest::collection::vec((proptest::collection::btree_set(0_usize..7, 1..7), any_hours()), 0..4),
        shut in proptest::collection::vec((0_i64..9, 0_i64..3), 0..3),
        extra in proptest::collection::vec((0_i64..9, any_hours()), 0..3),
        offset in 0_i64..4320,
    ) -> (Calendar, Time) {
        let (name, around) = ZONES[zone];
        let first = at(around).to_zoned(jiff::tz::TimeZone::UTC).date();
        let day = |n: i64| Date(first + jiff::Span::new().days(n));
        let calendar = Calendar {
            name: "x".into(),
            zone: name.parse().expect("a zone"),
            open: open
                .into_iter()
                .map(|(days, hours)| Weekly { days: days.into_iter().map(|d| WEEK[d]).collect(), hours })
                .collect(),
            closed: shut
                .into_iter()
                .map(|(from, more)| Closed { day: day(from), until: day(from + more), why: None })
                .collect(),
            also_open: extra.into_iter().map(|(d, hours)| Extra { day: day(d), hours, why: None }).collect(),
        };
        // Not on the minute: a look comes when it comes.
        (calendar, at(around) + jiff::SignedDuration::from_secs(offset * 60 / 2 + 7))
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 200, ..Default::default() })]

    /// The first opening, and the first closing after it, are those that a look at every minute finds.
    #[test]
    fn it_opens_when_a_look_at_every_minute_says_so((calendar, from) in any_calendar()) {
        let minute = |n: i64| {
            let whole = from.as_second() - from.as_second().rem_euclid(60);
            Time::from_second(whole + n * 60).expect("within time")
        };
        let by_table = |at: Time| open_by_table(&calendar, calendar.zone.wall(at));
        proptest::prop_assert_eq!(calendar.is_open(from), by_table(from));
        let days = 5;
        let opens = if by_table(from) { Some(from) } else {
            (1..days * 1440).map(minute).find(|at| by_table(*at))
        };
        let until = minute(days * 1440);
        let found = calendar.first(from, |_| true).filter(|span| span.opens < until);
        proptest::prop_assert_eq!(found.map(|span| span.opens), opens);
        proptest::prop_assert_eq!(calendar.opens_at(from).filter(|at| *at < until), opens);
        if let Some(span) = found {
            let after_it = (1..days * 1440).map(minute).filter(|at| *at > span.opens);
            let closes = after_it.into_iter().find(|at| !by_table(*at));
            proptest::prop_assert_eq!(span.closes.filter(|at| *at < until), closes);
        }
    }
}

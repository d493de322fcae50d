//! A delivery's body becomes episodes. Lenient: only what we need is read, unknown fields are skipped as they stream
//! by, and one bad alert spoils nobody but itself. It must never guess: what cannot be read is said to be so.
//!
//! Each alert's own `status` counts, not the envelope's, which says `firing` as long as any of its alerts fires.

use std::collections::HashMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::alerts::Alerts;
use super::quick;
use crate::model::alert::Episode;
use crate::model::ids::Fingerprint;
use crate::model::matcher::Labels;
use crate::model::time::Time;

/// Of the bad alerts of one body, this much is kept for people.
const BAD_BYTES_MAX: usize = 64 * 1024;

/// An alert that began earlier is not from any Prometheus: Go's zero time says "not set".
pub(super) const START_MIN: Time = Time::UNIX_EPOCH;

/// Bytes of a fingerprint; Alertmanager's has sixteen.
const FINGERPRINT_MAX: usize = 200;

/// What a body told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// At most one for each (fingerprint, start), in the order first told.
    pub episodes: Vec<Episode>,
    pub bad: Bad,
    /// Alerts that Alertmanager left out (`max_alerts`): these were never told to us.
    pub truncated: u64,
}

/// Alerts that could not be read, one JSON document a line, as far as there was room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bad {
    pub count: usize,
    pub kept: Vec<u8>,
    /// What was wrong with the first one.
    pub why: String,
}

/// The whole body is unreadable: not JSON, or not a delivery.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Alertmanager delivery: {why}")]
pub struct NotADelivery {
    why: String,
}

/// Reads a whole body. `received_at`: our clock, when it arrived.
///
/// # Errors
/// The body is no JSON object with a list of `alerts`. Nothing of it is used then.
pub fn parse(body: &[u8], received_at: Time) -> Result<Parsed, NotADelivery> {
    match quick::read(body, received_at) {
        Some((episodes, truncated)) => Ok(Parsed { episodes, bad: Bad::default(), truncated }),
        None => patient(body, received_at),
    }
}

/// Alert by alert, whatever they look like.
fn patient(body: &[u8], received_at: Time) -> Result<Parsed, NotADelivery> {
    let mut gathered = Gathered { received_at, parsed: Parsed::default(), known: HashMap::new() };
    let mut json = serde_json::Deserializer::from_slice(body);
    let wrong = |e: serde_json::Error| NotADelivery { why: e.to_string() };
    Envelope(&mut gathered).deserialize(&mut json).map_err(wrong)?;
    json.end().map_err(wrong)?;
    Ok(gathered.parsed)
}

struct Gathered {
    received_at: Time,
    parsed: Parsed,
    known: HashMap<(Fingerprint, Time), usize>,
}

impl Gathered {
    fn alert(&mut self, alert: &Value) {
        match episode(alert, self.received_at) {
            Ok(told) => self.told(told),
            Err(why) => self.bad(alert, &why),
        }
    }

    /// A body may name an alert twice; the order of its alerts means nothing.
    fn told(&mut self, told: Episode) {
        let next = self.parsed.episodes.len();
        let at = *self.known.entry((told.fingerprint.clone(), told.starts_at)).or_insert(next);
        match self.parsed.episodes.get_mut(at) {
            Some(known) => known.hear(&told),
            None => self.parsed.episodes.push(told),
        }
    }

    fn bad(&mut self, alert: &Value, why: &str) {
        let bad = &mut self.parsed.bad;
        bad.count += 1;
        if bad.count == 1 {
            bad.why = why.to_owned();
        }
        let text = alert.to_string();
        let room = BAD_BYTES_MAX.saturating_sub(bad.kept.len());
        bad.kept.extend(text.bytes().chain([b'\n']).take(room));
    }
}

/// The outer object: `alerts` and `truncatedAlerts`, everything else skipped without being kept.
struct Envelope<'a>(&'a mut Gathered);

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of alerts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                "alerts" => {
                    map.next_value_seed(Alerts(|alert: &Value| self.0.alert(alert)))?;
                    found = true;
                }
                // A number; but if it ever is not, the alerts are what matters.
                "truncatedAlerts" => {
                    self.0.parsed.truncated = map.next_value::<Value>()?.as_u64().unwrap_or(0)
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if found { Ok(()) } else { Err(de::Error::custom("it has no list of alerts")) }
    }
}

fn episode(alert: &Value, received_at: Time) -> Result<Episode, String> {
    let labels = labels(alert)?;
    let starts_at = starts_at(alert)?;
    let ends_at = match alert.get("status").and_then(Value::as_str) {
        // While it fires, endsAt is Go's zero time, or a time at which it would resolve by itself.
        Some("firing") => None,
        Some("resolved") => Some(end(alert, starts_at, received_at)?),
        Some(other) => return Err(format!("status {other:?} is neither firing nor resolved")),
        None => return Err("it has no status".into()),
    };
    Ok(Episode { fingerprint: identity(alert, &labels), labels, starts_at, received_at, ends_at })
}

/// In whole milliseconds: the API shows no finer ones, and an episode has one key wherever it was heard of.
pub(super) fn starts_at(alert: &Value) -> Result<Time, String> {
    let told = time(alert, "startsAt")?
        .filter(|start| *start >= START_MIN)
        .ok_or("startsAt is not set, so the episode cannot be told from others")?;
    Ok(whole_millis(told))
}

pub(super) fn whole_millis(told: Time) -> Time {
    Time::from_millisecond(told.as_millisecond()).unwrap_or(told)
}

pub(super) fn identity(alert: &Value, labels: &Labels) -> Fingerprint {
    known_by(alert.get("fingerprint").and_then(Value::as_str), labels)
}

/// The fingerprint as it was told, or as Prometheus makes it where none was told that could be one: it is a key in the store and
/// a word in the log.
pub(super) fn known_by(told: Option<&str>, labels: &Labels) -> Fingerprint {
    let could_be = |told: &&str| {
        (1..=FINGERPRINT_MAX).contains(&told.len()) && told.bytes().all(|b| b.is_ascii_graphic())
    };
    told.filter(could_be).map_or_else(|| fingerprint(labels), |told| Fingerprint(told.to_owned()))
}

/// An empty label is an absent one. An alert without any is nobody's.
pub(super) fn labels(alert: &Value) -> Result<Labels, String> {
    let told = alert.get("labels").and_then(Value::as_object).ok_or("it has no labels")?;
    let mut labels = Vec::with_capacity(told.len());
    for (name, value) in told {
        let value = value.as_str().ok_or_else(|| format!("label {name:?} is not a text"))?;
        if !value.is_empty() {
            labels.push((name.as_str(), value));
        }
    }
    let labels = Labels::of(labels);
    if labels.is_empty() { Err("its labels are empty".into()) } else { Ok(labels) }
}

/// It is resolved; when, if that is not told, is when we heard of it.
fn end(alert: &Value, starts_at: Time, received_at: Time) -> Result<Time, String> {
    let told = time(alert, "endsAt")?.filter(|end| *end >= START_MIN);
    Ok(told.unwrap_or(received_at).max(starts_at))
}

/// `None` where the field is missing or null.
pub(super) fn time(alert: &Value, field: &str) -> Result<Option<Time>, String> {
    match alert.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{field} {text:?} is not a time such as 2026-01-31T12:00:00Z")),
        Some(_) => Err(format!("{field} is not a text")),
    }
}

/// Prometheus' own hash of a label set, in Alertmanager's spelling: 64-bit FNV-1a over every label in order of its
/// name, a byte 255 after each name and each value, as sixteen hex digits. So an alert that comes once with its
/// fingerprint and once without is one alert.
pub fn fingerprint(labels: &Labels) -> Fingerprint {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = labels
        .iter()
        .flat_map(|(name, value)| name.bytes().chain([u8::MAX]).chain(value.bytes()).chain([u8::MAX]));
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    Fingerprint(format!("{hash:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-03-01T10:00:00Z";

    fn at() -> Time {
        AT.parse().expect(AT)
    }

    fn read(alerts: &str) -> Parsed {
        parse(format!(r#"{{"version":"4","alerts":[{alerts}]}}"#).as_bytes(), at()).expect("a delivery")
    }

    const FIRING: &str = r#"{"status":"firing","labels":{"node":"a"},"startsAt":"2026-03-01T09:00:00Z","endsAt":"0001-01-01T00:00:00Z"}"#;

    #[test]
    fn an_alert_s_own_status_counts() {
        let body = format!(
            r#"{{"status":"firing","alerts":[{FIRING},
            {{"status":"resolved","labels":{{"node":"b"}},"startsAt":"2026-03-01T09:00:00Z","endsAt":"2026-03-01T09:30:00+00:00"}}]}}"#
        );
        let told = parse(body.as_bytes(), at()).expect("a delivery").episodes;
        assert!(told[0].fires());
        assert_eq!(told[1].ends_at, Some("2026-03-01T09:30:00Z".parse().expect("a time")));
    }

    #[test]
    fn a_future_end_of_a_firing_alert_is_no_end() {
        let alert = FIRING.replace("0001-01-01T00:00:00Z", "2026-03-01T10:05:00Z");
        assert!(read(&alert).episodes[0].fires());
    }

    #[test]
    fn a_resolved_alert_without_an_end_ended_when_we_heard_of_it() {
        let told = read(&FIRING.replace("firing", "resolved")).episodes;
        assert_eq!(told[0].ends_at, Some(at()));
    }

    #[test]
    fn one_bad_alert_spoils_nobody_else() {
        let bad = [
            r#"{}"#,
            r#""text""#,
            "7",
            "null",
            r#"{"status":"firing","labels":{},"startsAt":"2026-03-01T09:00:00Z"}"#,
            r#"{"status":"firing","labels":{"a":""},"startsAt":"2026-03-01T09:00:00Z"}"#,
            r#"{"status":"firing","labels":{"a":1},"startsAt":"2026-03-01T09:00:00Z"}"#,
            r#"{"status":"firing","labels":{"a":"b"}}"#,
            r#"{"status":"firing","labels":{"a":"b"},"startsAt":"0001-01-01T00:00:00Z"}"#,
            r#"{"status":"firing","labels":{"a":"b"},"startsAt":"yesterday"}"#,
            r#"{"status":"pending","labels":{"a":"b"},"startsAt":"2026-03-01T09:00:00Z"}"#,
            r#"{"labels":{"a":"b"},"startsAt":"2026-03-01T09:00:00Z"}"#,
        ];
        for alert in bad {
            let parsed = read(&format!("{alert},{FIRING}"));
            assert_eq!((parsed.episodes.len(), parsed.bad.count), (1, 1), "{alert}");
            assert!(!parsed.bad.why.is_empty() && parsed.bad.kept.ends_with(b"\n"), "{alert}");
        }
    }

    #[test]
    fn what_is_kept_of_bad_alerts_is_bounded() {
        let parsed = read(&vec![format!(r#""{}""#, "x".repeat(1000)); 1000].join(","));
        assert_eq!((parsed.bad.count, parsed.bad.kept.len()), (1000, BAD_BYTES_MAX));
    }

    #[test]
    fn a_body_that_is_no_delivery_is_refused_whole() {
        for body in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"alerts":null}"#,
            r#"{"alerts":{}}"#,
            "\u{0}",
            "{\"alerts\":[]} x",
        ] {
            assert!(parse(body.as_bytes(), at()).is_err(), "{body:?}");
        }
        let cut = format!(r#"{{"alerts":[{FIRING},"#);
        assert!(parse(cut.as_bytes(), at()).is_err());
        assert!(parse(b"{\"alerts\":[\"\xff\"]}", at()).is_err());
    }

    #[test]
    fn twice_in_one_body_is_once_and_resolved_wins_wherever_it_stands() {
        let resolved = FIRING.replace("firing", "resolved").replace("0001-01-01T00", "2026-03-01T10");
        for alerts in [format!("{FIRING},{resolved},{FIRING}"), format!("{resolved},{FIRING}")] {
            let told = read(&alerts).episodes;
            assert_eq!(told.len(), 1);
            assert!(!told[0].fires());
        }
    }

    #[test]
    fn what_was_left_out_is_said() {
        let body = br#"{"alerts":[],"truncatedAlerts":35,"routeLabels":{"new":"field"}}"#;
        assert_eq!(parse(body, at()).expect("a delivery").truncated, 35);
        let odd = br#"{"truncatedAlerts":"many","alerts":[]}"#;
        assert_eq!(parse(odd, at()).expect("a delivery").truncated, 0);
    }

    #[test]
    fn long_and_foreign_labels_pass() {
        let long = "ü".repeat(5000);
        let told =
            read(&FIRING.replace(r#""node":"a""#, &format!(r#""node":"{long}","\u0026x":"1""#))).episodes;
        assert_eq!(told[0].labels["node"], *long);
        assert_eq!(&told[0].labels["&x"], "1");
    }

    #[test]
    fn the_quick_way_and_the_patient_way_say_the_same_or_the_quick_one_says_nothing() {
        let resolved = FIRING.replace("firing", "resolved").replace("0001-01-01T00", "2026-03-01T10");
        let other = FIRING.replace(r#""node":"a""#, r#""b":"\u003c\n","node":"a","alpha":"ü""#);
        let told = FIRING.replace("{\"status", "{\"fingerprint\":\"00ff\",\"status");
        let long =
            FIRING.replace("{\"status", &format!("{{\"fingerprint\":\"{}\",\"status", "f".repeat(9_000)));
        let coloured = FIRING.replace("{\"status", "{\"fingerprint\":\"\\u001b[31m\",\"status");
        for told in [&long, &coloured] {
            assert_eq!(
                read(told).episodes[0].fingerprint,
                read(FIRING).episodes[0].fingerprint,
                "{told:.60}"
            );
        }
        let zoned = FIRING.replace("09:00:00Z", "09:00:00.123456789+01:00");
        let usual = [
            FIRING.to_owned(),
            resolved.clone(),
            format!("{FIRING},{other}"),
            format!("{told},{zoned}"),
            long,
            coloured,
            other,
        ];
        for alerts in usual {
            let body = format!(r#"{{"truncatedAlerts":3,"alerts":[{alerts}],"x":[{{}}]}}"#);
            let (episodes, truncated) = quick::read(body.as_bytes(), at()).expect(&body);
            let patient = patient(body.as_bytes(), at()).expect(&body);
            assert_eq!((episodes, truncated), (patient.episodes, patient.truncated), "{body}");
        }
        let unusual = [
            r#"{"alerts":[],"alerts":[]}"#.to_owned(),
            format!(r#"{{"alerts":[{FIRING},{resolved}]}}"#),
            format!(r#"{{"alerts":[{}]}}"#, FIRING.replace("\"a\"", "\"\"")),
            format!(r#"{{"alerts":[{}]}}"#, FIRING.replace("\"a\"", "7")),
            format!(r#"{{"alerts":[{}]}}"#, FIRING.replace("firing", "pending")),
            format!(r#"{{"alerts":[{}]}}"#, FIRING.replace("2026", "0001")),
            format!(r#"{{"alerts":[{}]}}"#, FIRING.replace("firing", "resolved")),
            format!(r#"{{"alerts":[{FIRING}]}} x"#),
            r#"{"truncatedAlerts":"many","alerts":[]}"#.to_owned(),
            "[]".to_owned(),
        ];
        for body in unusual {
            assert_eq!(quick::read(body.as_bytes(), at()), None, "{body}");
        }
    }

    #[test]
    fn ten_thousand_alerts_are_one_body() {
        let alerts: Vec<String> =
            (0..10_000).map(|n| FIRING.replace(r#""node":"a""#, &format!(r#""n":"{n}""#))).collect();
        assert_eq!(read(&alerts.join(",")).episodes.len(), 10_000);
    }
}

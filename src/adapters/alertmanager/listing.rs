//! The body of `GET /api/v2/alerts` becomes listed alerts, one in memory at a time: a hundred thousand are 58 MB.
//!
//! What nobody wants is dropped as it streams by. What cannot be read is counted, because a list with a hole is not
//! whole.

use std::io::Read;

use serde::de::DeserializeSeed;
use serde_json::Value;

use super::alerts::Alerts;
use super::parse::{identity, labels, starts_at, time};
use crate::model::alert::{Episode, Listed};
use crate::model::matcher::Labels;
use crate::model::time::Time;

/// What one member lists.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listing {
    pub listed: Vec<Listed>,
    /// What was wrong with the first alert that could not be read.
    pub bad: Option<String>,
}

/// Reads a whole answer. `at`: our clock, when it was asked for.
///
/// # Errors
/// It is no list, or it breaks off.
pub(super) fn read(
    body: impl Read,
    at: Time,
    wanted: &(dyn Fn(&Labels) -> bool + Send + Sync),
) -> Result<Listing, serde_json::Error> {
    let mut listing = Listing::default();
    let mut json = serde_json::Deserializer::from_reader(body);
    let each = |alert: &Value| match listed(alert, at) {
        Ok(one) if wanted(&one.episode.labels) => listing.listed.push(one),
        Ok(_) => {}
        Err(why) => {
            listing.bad.get_or_insert(why);
        }
    };
    Alerts(each).deserialize(&mut json)?;
    json.end()?;
    Ok(listing)
}

fn listed(alert: &Value, at: Time) -> Result<Listed, String> {
    let labels = labels(alert)?;
    let updated_at = time(alert, "updatedAt")?.ok_or("it has no updatedAt")?;
    let suppressed = match alert.pointer("/status/state").and_then(Value::as_str) {
        Some("suppressed") => true,
        // `unprocessed`: came a moment ago, and no group has looked at it yet.
        Some("active" | "unprocessed") => false,
        Some(other) => return Err(format!("state {other:?} is not known")),
        None => return Err("it has no state".into()),
    };
    let episode = Episode {
        fingerprint: identity(alert, &labels),
        labels,
        starts_at: starts_at(alert)?,
        received_at: at,
        ends_at: None,
    };
    Ok(Listed { episode, updated_at, suppressed })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = r#"{"annotations":{"summary":"lab"},"endsAt":"2026-11-21T22:44:28.466Z",
        "fingerprint":"530583933b3b7240","receivers":[{"name":"fast"}],"startsAt":"2026-11-21T22:39:28.464Z",
        "status":{"inhibitedBy":[],"silencedBy":["e94c6f4d"],"state":"suppressed"},
        "updatedAt":"2026-11-21T22:39:28.466Z","labels":{"alarm_class":"fan","node":"pve9"}}"#;

    fn at() -> Time {
        "2026-11-21T22:40:00Z".parse().expect("a time")
    }

    fn all(body: &str) -> Result<Listing, serde_json::Error> {
        read(body.as_bytes(), at(), &|_: &Labels| true)
    }

    #[test]
    fn a_suppressed_alert_is_listed_and_fires() {
        let listing = all(&format!("[{LISTED}]")).expect("a list");
        assert_eq!(listing.bad, None);
        let [listed] = &listing.listed[..] else { panic!("one alert") };
        assert!(listed.suppressed && listed.episode.fires());
        assert_eq!(listed.episode.fingerprint.as_str(), "530583933b3b7240");
        assert_eq!(listed.updated_at, "2026-11-21T22:39:28.466Z".parse().expect("a time"));
    }

    #[test]
    fn what_nobody_wants_is_dropped() {
        let body = format!("[{LISTED},{}]", LISTED.replace("\"fan\"", "\"disk\""));
        let fans = |labels: &Labels| labels.get("alarm_class").is_some_and(|class| class == "fan");
        assert_eq!(read(body.as_bytes(), at(), &fans).expect("a list").listed.len(), 1);
    }

    #[test]
    fn one_bad_alert_makes_a_hole_and_spoils_nobody_else() {
        for (good, bad) in [
            ("\"suppressed\"", "\"asleep\""),
            ("\"updatedAt\"", "\"updated\""),
            ("\"startsAt\"", "\"starts\""),
            ("\"labels\"", "\"tags\""),
        ] {
            let listing = all(&format!("[{},{LISTED}]", LISTED.replace(good, bad))).expect("a list");
            assert_eq!(listing.listed.len(), 1, "{bad}");
            assert!(listing.bad.is_some(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_list_is_no_answer() {
        let cut = format!("[{LISTED},");
        for body in ["", "{}", "null", "\"error\"", cut.as_str(), "[] x"] {
            assert!(all(body).is_err(), "{body}");
        }
        assert_eq!(all("[]").expect("a list"), Listing::default());
    }
}

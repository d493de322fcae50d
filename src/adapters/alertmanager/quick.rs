//! The quick way through a delivery in which everything is as it should be: nothing is copied that is not kept, and a field
//! that nobody needs is not looked at. Whatever it does not expect it leaves, the whole body, to the patient way, which
//! says what is wrong with which alert. So it never judges: it is sure, or it says nothing.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::alerts::ALERTS_MAX;
use super::parse::{START_MIN, known_by, whole_millis};
use crate::model::alert::Episode;
use crate::model::labels::Labels;
use crate::model::text::Text;
use crate::model::time::Time;

/// All of its alerts, and how many Alertmanager left out. `None`: something is unusual about it.
pub(super) fn read(body: &[u8], received_at: Time) -> Option<(Vec<Episode>, u64)> {
    let mut all = All { received_at, episodes: Vec::new(), truncated: 0, last: None };
    // To be asked once for the whole body instead of for each text.
    let mut json = serde_json::Deserializer::from_str(std::str::from_utf8(body).ok()?);
    Envelope(&mut all).deserialize(&mut json).ok()?;
    json.end().ok()?;
    all.once().then_some((all.episodes, all.truncated))
}

struct All<'a> {
    received_at: Time,
    episodes: Vec<Episode>,
    truncated: u64,
    /// The last start and what it means: alerts of one group often began together.
    last: Option<(Text<'a>, Time)>,
}

#[derive(Deserialize)]
struct Alert<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    labels: Labels,
    #[serde(rename = "startsAt", borrow)]
    starts_at: Text<'a>,
    #[serde(rename = "endsAt", borrow)]
    ends_at: Option<Text<'a>>,
    #[serde(borrow)]
    fingerprint: Option<Text<'a>>,
}

impl<'a> All<'a> {
    /// `None`: it is not as it should be.
    fn add(&mut self, alert: Alert<'a>) -> Option<()> {
        let labels = alert.labels;
        if labels.is_empty() || labels.values().any(str::is_empty) {
            return None;
        }
        let starts_at = self.start(alert.starts_at)?;
        let ends_at = match alert.status.as_ref() {
            "firing" => None,
            "resolved" => {
                let end: Time = alert.ends_at?.as_ref().parse().ok().filter(|end| *end >= START_MIN)?;
                Some(end.max(starts_at))
            }
            _ => return None,
        };
        let fingerprint = known_by(alert.fingerprint.as_ref().map(AsRef::as_ref), &labels);
        self.episodes.push(Episode {
            fingerprint,
            labels,
            starts_at,
            received_at: self.received_at,
            ends_at,
        });
        Some(())
    }

    fn start(&mut self, told: Text<'a>) -> Option<Time> {
        if let Some((text, start)) = &self.last
            && *text == told
        {
            return Some(*start);
        }
        let start = whole_millis(told.as_ref().parse().ok().filter(|start| *start >= START_MIN)?);
        self.last = Some((told, start));
        Some(start)
    }

    /// No alert was told twice.
    fn once(&self) -> bool {
        if self.episodes.len() < 2 {
            return true;
        }
        let mut keys: Vec<(&str, Time)> =
            self.episodes.iter().map(|episode| (episode.fingerprint.0.as_str(), episode.starts_at)).collect();
        keys.sort_unstable();
        keys.windows(2).all(|pair| pair[0] != pair[1])
    }
}

/// As in the patient way, but for a list that comes twice.
struct Envelope<'m, 'a>(&'m mut All<'a>);

impl<'a> DeserializeSeed<'a> for Envelope<'_, 'a> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Envelope<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of alerts")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<Text<'a>>()? {
            match key.as_ref() {
                "alerts" if found => return Err(de::Error::custom("two lists of alerts")),
                "alerts" => {
                    map.next_value_seed(List(self.0))?;
                    found = true;
                }
                "truncatedAlerts" => self.0.truncated = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if found { Ok(()) } else { Err(de::Error::custom("no list of alerts")) }
    }
}

struct List<'m, 'a>(&'m mut All<'a>);

impl<'a> DeserializeSeed<'a> for List<'_, 'a> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for List<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of alerts")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        let unusual = || de::Error::custom("an unusual alert");
        while let Some(alert) = list.next_element::<Alert<'a>>()? {
            if self.0.episodes.len() >= ALERTS_MAX {
                return Err(unusual());
            }
            self.0.add(alert).ok_or_else(unusual)?;
        }
        Ok(())
    }
}

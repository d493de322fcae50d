//! The list of alerts as both roads bring it, delivered or polled: one alert in memory at a time, and an end to them.

use std::fmt;

use serde::de::{self, DeserializeSeed, SeqAccess, Visitor};
use serde_json::Value;

/// Alerts in one body. The largest genuine ones measured have 10,000 in 4.6 MB; 64 MiB hold some 150,000.
pub(super) const ALERTS_MAX: usize = 200_000;

/// Shows each alert of the list to this function.
pub(super) struct Alerts<F>(pub F);

impl<'de, F: FnMut(&Value)> DeserializeSeed<'de> for Alerts<F> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&Value)> Visitor<'de> for Alerts<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of alerts")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(alert) = list.next_element::<Value>()? {
            count += 1;
            if count > ALERTS_MAX {
                return Err(de::Error::custom(format!("it has more than {ALERTS_MAX} alerts")));
            }
            (self.0)(&alert);
        }
        Ok(())
    }
}

//! What a text in a file may look like, beyond being text: the schema names a format, this says whether it holds.

use std::borrow::Cow;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::calendar_test::Wall;
use crate::model::calendar::{ClockTime, Date, Zone};
use crate::model::ids::{BudgetName, CalendarName, ClusterName, NodeName, PolicyName};
use crate::model::matcher::Matcher;
use crate::model::time::Period;

/// Does `text` hold to the format that the schema names? Formats of numbers are not ours.
pub fn check(schema: &Value, text: &str) -> Result<(), String> {
    match schema["format"].as_str() {
        Some("duration") => text.parse::<Period>().map(drop).map_err(|why| why.to_string()),
        Some("matcher") => text.parse::<Matcher>().map(drop).map_err(|why| why.to_string()),
        Some("size") => text.parse::<Bytes>().map(drop),
        Some("url") => url(text, schema),
        Some("https-url") if text.starts_with("http://") => {
            Err(format!("{:?} would send the token in the clear; write https://", without_user(text)))
        }
        Some("https-url") => url(text, schema),
        Some("node-name") => word(text, "a node's name", &['-'], 63),
        Some("cluster-name") => cluster_name(text),
        Some("budget-name") => word(text, "a budget's name", &['-', '_'], 63),
        Some("policy-name") => word(text, "a policy's name", &['-', '_'], 63),
        Some("calendar-name") => word(text, "a calendar's name", &['-', '_'], 63),
        Some("time-of-day") => text.parse::<ClockTime>().map(drop),
        Some("day") => text.parse::<Date>().map(drop),
        Some("wall-time") => text.parse::<Wall>().map(drop),
        Some("time-zone") => super::calendars::zone(text),
        Some("label-name") => label(text),
        Some("socket-address") => text
            .parse::<SocketAddr>()
            .map(drop)
            .map_err(|_| format!("{text:?} is no address with a port; write for example 127.0.0.1:9690")),
        Some("client-name") => rustls::pki_types::ServerName::try_from(text).map(drop).map_err(|_| {
            format!("{text:?} is no name of a machine; write one as the certificate has it, alertmanager.example.org")
        }),
        Some("sha256") => sha256(text).map(drop),
        _ => Ok(()),
    }
}

/// Part of an address and of a directory's name.
pub fn cluster_name(text: &str) -> Result<(), String> {
    word(text, "a cluster's name", &['-', '_'], 63)
}

fn url(text: &str, schema: &Value) -> Result<(), String> {
    // Each key's own example: Prometheus does not listen where Proxmox does.
    let example = schema["examples"][0].as_str().unwrap_or("https://192.0.2.11:8006");
    let wrong = || format!("{:?} is no URL; write for example {example}", without_user(text));
    let parsed: http::Uri = text.parse().map_err(|_| wrong())?;
    let schemed = matches!(parsed.scheme_str(), Some("http" | "https"));
    if !schemed || parsed.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if parsed.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err("a URL here carries no user or password; secrets belong in files".into());
    }
    Ok(())
}

/// An address as it may be shown: mistakes are told in logs and on pages, and somebody may have written a password.
fn without_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

fn word(text: &str, what: &str, also: &[char], max: usize) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || also.contains(&c);
    if (1..=max).contains(&text.len()) && text.chars().all(fine) {
        return Ok(());
    }
    Err(format!("{text:?} is not {what}; write letters, digits and {also:?}, at most {max} in all"))
}

fn label(text: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !text.is_empty() && text.chars().all(fine) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!("{text:?} is no label name; write for example node or serial_number"))
}

/// A SHA-256 in hex, with or without colons between the bytes, in either case: 64 lower-case digits.
pub fn sha256(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    if digits.len() == 64 && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    // Not repeated: it may well be the token itself that somebody put here.
    Err("this is no SHA-256; write its 64 hexadecimal digits, with or without colons".to_owned())
}

/// An amount of memory: `2GiB`, `256MiB`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        SIZES
            .into_iter()
            .find_map(|(unit, size)| text.strip_suffix(unit).map(|count| (count.trim(), size)))
            .and_then(|(count, size)| count.parse::<u64>().ok()?.checked_mul(size))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no size; write for example 2GiB or 256MiB"))
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (unit, size) =
            SIZES.into_iter().find(|(_, size)| self.0.is_multiple_of(*size)).unwrap_or(("", 1));
        serializer.collect_str(&format_args!("{}{unit}", self.0 / size))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Gives a type that is written as text its format in the schema.
macro_rules! text_format {
    ($type:ty, $name:literal, $format:literal, $example:literal) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "format": $format, "examples": [$example]})
            }
        }
    };
}

text_format!(Period, "Period", "duration", "10m");
text_format!(Matcher, "Matcher", "matcher", r#"alarm_class="fan""#);
text_format!(NodeName, "NodeName", "node-name", "pve1");
text_format!(ClusterName, "ClusterName", "cluster-name", "lab");
text_format!(BudgetName, "BudgetName", "budget-name", "row-7");
text_format!(PolicyName, "PolicyName", "policy-name", "fan");
text_format!(CalendarName, "CalendarName", "calendar-name", "staffed-hours");
text_format!(ClockTime, "ClockTime", "time-of-day", "07:00");
text_format!(Date, "Date", "day", "2026-12-24");
text_format!(Wall, "Wall", "wall-time", "2026-03-30 07:00");
text_format!(Zone, "Zone", "time-zone", "Europe/Berlin");
text_format!(Bytes, "Bytes", "size", "2GiB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_show() {
        for (text, bytes) in [("2GiB", 2 << 30), ("256MiB", 256 << 20), ("7", 7), ("1 KiB", 1024)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
        }
        assert_eq!(serde_json::json!(Bytes(2 << 30)), "2GiB");
        for wrong in ["", "GiB", "2GB", "-1", "99999999TiB"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong} must be refused");
        }
    }

    #[test]
    fn each_format_says_what_to_write() {
        for (format, good, bad) in [
            ("duration", "1h30m", "90"),
            ("matcher", r#"a="b""#, "a"),
            ("url", "https://pve1.example.org:8006", "pve1:8006"),
            ("https-url", "https://pve1.example.org:8006", "http://pve1.example.org:8006"),
            ("node-name", "pve-1", "pve_1"),
            ("calendar-name", "staffed-hours", "staffed hours"),
            ("time-of-day", "24:00", "7:00"),
            ("day", "2026-02-28", "2026-02-29"),
            ("time-zone", "UTC", "Moon/Tycho"),
            ("label-name", "node", "9node"),
            ("socket-address", "127.0.0.1:9690", "localhost"),
        ] {
            let schema = serde_json::json!({"format": format});
            assert_eq!(check(&schema, good), Ok(()), "{format}");
            let said = check(&schema, bad).expect_err(format);
            assert!(said.contains("write"), "{said}");
        }
        let url = serde_json::json!({"format": "url"});
        assert!(check(&url, "https://root:secret@pve1:8006").is_err_and(|why| why.contains("no user")));
        let prometheus = serde_json::json!({"format": "url", "examples": ["http://127.0.0.1:9090"]});
        assert!(
            check(&prometheus, "prometheus:9090")
                .is_err_and(|why| why.contains("example http://127.0.0.1:9090"))
        );
    }

    #[test]
    fn a_fingerprint_is_read_as_people_copy_it() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(sha256(&colons), Ok(plain.clone()));
        assert_eq!(sha256(&plain), Ok(plain));
        assert!(sha256("ab:cd").is_err());
    }
}

//! The JSON Schemas of all file formats, as published for editors and as checked when a file is read. Each is made from its type
//! and kept as text beside this: a service that starts has better things to do than describing types.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::calendar_test::CalendarTests;
use super::calendars::CalendarFile;
use super::file::{ConfigFile, TokensFile};
use super::planning::InstanceFile;
use super::policy::PolicyFile;
use super::policy_test::PolicyTests;
use crate::model::ticket_template::TicketTemplate;

/// What a file is read into.
pub trait Format: DeserializeOwned {
    /// Its JSON Schema.
    const SCHEMA: &'static str;
}

/// The schema of a file format.
pub fn schema_of<T: Format>() -> Value {
    // A test compares it with the type.
    serde_json::from_str(T::SCHEMA).unwrap_or_default()
}

macro_rules! formats {
    ($($type:ty: $name:literal),+ $(,)?) => {
        $(impl Format for $type {
            const SCHEMA: &'static str = include_str!(concat!("schemas/", $name, ".json"));
        })+

        /// Name, as kept, and as the type says now.
        #[cfg(test)]
        fn all() -> Vec<(&'static str, &'static str, Value)> {
            vec![$(($name, <$type>::SCHEMA, schemars::schema_for!($type).to_value())),+]
        }
    };
}

formats! {
    CalendarFile: "calendar",
    CalendarTests: "calendar-tests",
    ConfigFile: "configuration",
    InstanceFile: "instance",
    PolicyFile: "policy",
    PolicyTests: "policy-tests",
    TicketTemplate: "ticket-template",
    TokensFile: "tokens",
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PITLANE_BLESS=1 cargo test --lib config::schemas` writes them anew.
    #[test]
    fn each_schema_is_what_its_type_says() {
        for (name, kept, now) in all() {
            let now = serde_json::to_string_pretty(&now).expect("JSON") + "\n";
            if std::env::var_os("PITLANE_BLESS").is_some() {
                let file = format!("{}/src/config/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
                std::fs::write(file, now).expect("writable");
            } else {
                assert!(
                    kept == now,
                    "{name}.json is stale; PITLANE_BLESS=1 writes it, then read what changed"
                );
            }
        }
    }
}

//! From Redfish's resources to parts: fans and power supplies in their old and new shapes, drives, memory, processors,
//! network cards.

use std::collections::BTreeMap;

use serde_json::Value;

use super::http::Round;
use crate::adapters::bmc::error::BmcError;
use crate::model::observed::{Inventory, Part, PartKey, PartKind};

/// Parts as they are found, and where the bays' resources are.
#[derive(Default)]
pub(super) struct Parts {
    parts: BTreeMap<PartKey, Part>,
    bays: BTreeMap<PartKey, String>,
}

impl Parts {
    /// Two parts of one name are two parts.
    pub fn add(&mut self, kind: PartKind, slot: &str, part: Part) -> PartKey {
        let mut key = PartKey::new(kind, slot);
        let mut n = 1;
        while self.parts.contains_key(&key) {
            n += 1;
            key.slot = format!("{slot} #{n}");
        }
        self.parts.insert(key.clone(), part);
        key
    }

    /// A resource that stands for a part; an empty place is none.
    fn found(&mut self, kind: PartKind, resource: &Value, names: &[&str]) -> Option<PartKey> {
        if absent(resource) {
            return None;
        }
        let name = names.iter().find_map(|name| word(resource, name)).unwrap_or("unnamed");
        Some(self.add(kind, name, part(resource)))
    }

    pub fn whole(self) -> (Inventory, BTreeMap<PartKey, String>) {
        (Inventory { parts: self.parts }, self.bays)
    }
}

/// What every resource tells in the same words.
pub(super) fn part(resource: &Value) -> Part {
    let health = word(&resource["Status"], "Health");
    let reading = resource["Reading"].as_f64().or_else(|| resource["ReadingCelsius"].as_f64());
    let units = word(resource, "ReadingUnits").unwrap_or_default();
    let low = resource["LowerThresholdCritical"].as_f64();
    let starved = reading.zip(low).is_some_and(|(reading, low)| reading < low);
    let mut text: Vec<String> = health.map(str::to_owned).into_iter().collect();
    text.extend(reading.map(|reading| format!("{reading} {units}").trim_end().to_owned()));
    let size = resource["CapacityBytes"]
        .as_u64()
        .or_else(|| resource["CapacityMiB"].as_u64().and_then(|mib| mib.checked_mul(1 << 20)));
    Part {
        model: word(resource, "Model")
            .or_else(|| word(resource, "PartNumber"))
            .unwrap_or_default()
            .to_owned(),
        serial: word(resource, "SerialNumber").map(str::to_owned),
        good: health.map(|health| health == "OK" && !starved),
        text: if text.is_empty() { "health not told".to_owned() } else { text.join(", ") },
        size: size.or_else(|| resource["TotalCores"].as_u64()),
        ..Part::default()
    }
}

fn word<'a>(resource: &'a Value, name: &str) -> Option<&'a str> {
    let text = resource[name].as_str()?.trim();
    // What vendors write where nothing is known.
    let untold = ["", "n/a", "na", "unknown", "not available", "none", "null"];
    (!untold.contains(&text.to_ascii_lowercase().as_str())).then_some(text)
}

fn absent(resource: &Value) -> bool {
    matches!(resource["Status"]["State"].as_str(), Some("Absent"))
}

/// Fans and temperatures: `ThermalSubsystem`, or `Thermal` where there is none.
pub(super) async fn cooling(round: &Round<'_>, chassis: &Value, parts: &mut Parts) -> Result<(), BmcError> {
    let mut fans = Vec::new();
    if let Some(thermal) = round.follow(&chassis["ThermalSubsystem"]).await? {
        fans = round.members(&thermal["Fans"]).await?;
        if let Some(metrics) = round.follow(&thermal["ThermalMetrics"]).await? {
            for reading in metrics["TemperatureReadingsCelsius"].as_array().into_iter().flatten() {
                parts.found(PartKind::Sensor, reading, &["DeviceName", "DataSourceUri"]);
            }
        }
    }
    if fans.is_empty()
        && let Some(thermal) = round.follow(&chassis["Thermal"]).await?
    {
        fans = list(&thermal["Fans"]);
        for temperature in list(&thermal["Temperatures"]) {
            parts.found(PartKind::Sensor, &temperature, &["Name", "MemberId"]);
        }
    }
    for fan in fans {
        parts.found(PartKind::Fan, &fan, &["Name", "FanName", "MemberId", "Id"]);
    }
    Ok(())
}

/// Power supplies: `PowerSubsystem`, or `Power` where there is none.
pub(super) async fn power(round: &Round<'_>, chassis: &Value, parts: &mut Parts) -> Result<(), BmcError> {
    let mut supplies = match round.follow(&chassis["PowerSubsystem"]).await? {
        Some(power) => round.members(&power["PowerSupplies"]).await?,
        None => Vec::new(),
    };
    if supplies.is_empty()
        && let Some(power) = round.follow(&chassis["Power"]).await?
    {
        supplies = list(&power["PowerSupplies"]);
    }
    for supply in supplies {
        parts.found(PartKind::PowerSupply, &supply, &["Name", "MemberId", "Id"]);
    }
    Ok(())
}

pub(super) async fn cards(round: &Round<'_>, chassis: &Value, parts: &mut Parts) -> Result<(), BmcError> {
    for card in round.members(&chassis["NetworkAdapters"]).await? {
        parts.found(PartKind::Nic, &card, &["Id", "Name"]);
    }
    Ok(())
}

/// What belongs to the system: memory, processors, drives.
pub(super) async fn inside(round: &Round<'_>, system: &Value, parts: &mut Parts) -> Result<(), BmcError> {
    for module in round.members(&system["Memory"]).await? {
        parts.found(PartKind::Memory, &module, &["DeviceLocator", "Id", "Name"]);
    }
    for processor in round.members(&system["Processors"]).await? {
        parts.found(PartKind::Cpu, &processor, &["Socket", "Id", "Name"]);
    }
    for storage in round.members(&system["Storage"]).await? {
        for drive in round.all(&list(&storage["Drives"])).await? {
            if let Some(key) = parts.found(PartKind::Disk, &drive, &["Name", "Id"])
                && let Some(path) = drive["@odata.id"].as_str()
            {
                parts.bays.insert(key, path.to_owned());
            }
        }
    }
    Ok(())
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_place_is_no_part_and_two_of_one_name_are_two() {
        let mut parts = Parts::default();
        let fan = json!({"Name": "Fan", "Status": {"State": "Enabled", "Health": "OK"}});
        parts.found(PartKind::Fan, &fan, &["Name"]);
        parts.found(PartKind::Fan, &fan, &["Name"]);
        parts.found(PartKind::Fan, &json!({"Name": "Fan", "Status": {"State": "Absent"}}), &["Name"]);
        let slots: Vec<String> = parts.whole().0.parts.into_keys().map(|key| key.slot).collect();
        assert_eq!(slots, ["Fan", "Fan #2"]);
    }

    #[test]
    fn a_fan_below_its_own_limit_is_not_good_whatever_its_health_says() {
        let slow = json!({"Reading": 0, "ReadingUnits": "RPM", "LowerThresholdCritical": 800, "Status": {"Health": "OK"}});
        assert_eq!(part(&slow).good, Some(false));
        assert_eq!(part(&slow).text, "OK, 0 RPM");
        assert_eq!(part(&json!({"SerialNumber": "N/A"})).serial, None);
        assert_eq!(part(&json!({})).good, None, "silence is no health");
    }
}

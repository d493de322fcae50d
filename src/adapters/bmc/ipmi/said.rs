//! What FreeIPMI's programs print, as parts. Pure.
//!
//! The traps: a power supply that is out of the machine is still listed, in state "Nominal", without the event
//! "Presence detected"; and a sensor that cannot be read is listed with "N/A". Neither is a part that is there.

use std::collections::BTreeMap;

use crate::adapters::bmc::error::BmcError;
use crate::model::observed::{BmcView, LocateTarget, Part, PartKey, PartKind};
use crate::model::step::Switch;

/// Columns: id, name, type, state, reading, units, event. An event may have commas; nothing before it has.
const COLUMNS: usize = 7;

/// Lines of `ipmi-sensors --comma-separated-output --no-header-output --output-sensor-state`.
pub(super) fn sensors(text: &str) -> Result<BTreeMap<PartKey, Part>, BmcError> {
    let mut parts = BTreeMap::new();
    let mut lines = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        lines += 1;
        let columns: Vec<&str> = line.splitn(COLUMNS, ',').collect();
        let [id, name, class, state, reading, units, event] = columns.as_slice() else {
            return Err(BmcError::Garbled(format!("a sensor's line has {} columns", columns.len())));
        };
        if let Some((kind, part)) = sensor(class, state, reading, units, event) {
            let mut key = PartKey::new(kind, *name);
            if parts.contains_key(&key) {
                key.slot = format!("{name} #{id}");
            }
            parts.insert(key, part);
        }
    }
    // Every controller has sensors: none at all is a cache or a right that is missing.
    if lines == 0 {
        return Err(BmcError::Garbled("it lists no sensor at all".to_owned()));
    }
    Ok(parts)
}

fn sensor(class: &str, state: &str, reading: &str, units: &str, event: &str) -> Option<(PartKind, Part)> {
    let measured = reading != "N/A";
    let kind = match class {
        "Fan" => PartKind::Fan,
        "Power Supply" if !measured => PartKind::PowerSupply,
        "Drive Slot" | "Drive Slot (Bay)" if !measured => PartKind::Disk,
        "Memory" if !measured => PartKind::Memory,
        "Processor" if !measured => PartKind::Cpu,
        _ => PartKind::Sensor,
    };
    let events = event.trim_matches('\'');
    let there = match kind {
        PartKind::PowerSupply | PartKind::Disk => !matches!(events, "OK" | "" | "N/A"),
        PartKind::Fan => measured,
        // A sensor of events has no reading; it is there if it has a state.
        _ => state != "N/A",
    };
    let good = match state {
        "Nominal" => Some(true),
        "Warning" | "Critical" => Some(false),
        _ => None,
    };
    let text = if measured { format!("{reading} {units}, {state}") } else { format!("{events}, {state}") };
    there.then(|| (kind, Part { good, text, ..Part::default() }))
}

/// The heading of a device.
pub(super) const DEVICE: &str = "FRU Inventory Device: ";

/// What `ipmi-fru` prints: a heading for each device, and its serials below.
pub(super) fn serials(text: &str) -> BTreeMap<PartKey, Part> {
    let mut parts = BTreeMap::<PartKey, Part>::new();
    let mut device = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix(DEVICE) {
            let name = name.split(" (ID ").next().unwrap_or(name).trim();
            device = Some(name);
            // Named, and perhaps it tells no more: without this line it would look like a part that is not there.
            parts.entry(PartKey::new(PartKind::Board, name)).or_default().text = "listed".to_owned();
            continue;
        }
        let (Some(name), Some((what, value))) = (device, line.split_once(": ")) else { continue };
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let serial = matches!(what, "FRU Product Serial Number" | "FRU Board Serial Number");
        let model = matches!(what, "FRU Product Name" | "FRU Board Product Name");
        if serial || model {
            let part = parts.entry(PartKey::new(PartKind::Board, name)).or_default();
            match serial {
                // The product's own serial is told after the board's, and is the one on the sticker.
                true => part.serial = Some(value.to_owned()),
                false => part.model = value.to_owned(),
            }
        }
    }
    parts
}

/// What `ipmi-chassis --get-chassis-status` prints.
pub(super) fn chassis(text: &str) -> Result<BmcView, BmcError> {
    let value = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(k, v)| (k.trim(), v.trim())).find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    };
    let power = match value("System Power") {
        Some("on") => Some(Switch::On),
        Some("off") => Some(Switch::Off),
        Some(_) => None,
        None => return Err(BmcError::Garbled("it does not tell the chassis' power".to_owned())),
    };
    let lit =
        value("Chassis Identify state").map(str::to_ascii_lowercase).and_then(|state| match state.as_str() {
            "off" => Some(Switch::Off),
            // `Temporary (timed) on`, `Indefinite on`.
            on if on.ends_with("on") => Some(Switch::On),
            _ => None,
        });
    let lit = lit.map(|state| (LocateTarget::Chassis, state)).into_iter().collect();
    Ok(BmcView { power, lit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supply_that_is_out_is_listed_as_nominal_and_is_not_there() {
        let text = "10,PS1 Status,Power Supply,Nominal,N/A,N/A,'OK'\n\
                    11,PS2 Status,Power Supply,Nominal,N/A,N/A,'Presence detected'\n\
                    15,Drive 0,Drive Slot,Nominal,N/A,N/A,'OK'\n\
                    16,Drive 1,Drive Slot,Critical,N/A,N/A,'Drive Presence' 'Drive Fault'\n";
        let parts = sensors(text).expect("four lines");
        let there: Vec<String> = parts.keys().map(ToString::to_string).collect();
        assert_eq!(there, ["disk Drive 1", "power supply PS2 Status"]);
        assert_eq!(parts[&PartKey::new(PartKind::Disk, "Drive 1")].good, Some(false));
    }

    #[test]
    fn a_fan_without_a_reading_is_not_there_and_no_line_at_all_is_no_list() {
        let parts =
            sensors("1,FAN1,Fan,Nominal,8000.00,RPM,'OK'\n2,FAN2,Fan,N/A,N/A,RPM,N/A\n").expect("two lines");
        assert_eq!(parts.keys().map(|key| key.slot.as_str()).collect::<Vec<_>>(), ["FAN1"]);
        assert!(sensors("").is_err());
        assert!(sensors("1,FAN1,Fan").is_err());
    }

    #[test]
    fn serials_are_those_of_the_device_above_them() {
        let text = "FRU Inventory Device: Default FRU Device (ID 00h)\n\n  FRU Board Manufacturer: ACME\n  \
                    FRU Board Product Name: Board-1\n  FRU Board Serial Number: SER-1\n\n\
                    FRU Inventory Device: PSU 2 (ID 04h)\n\n  FRU Product Serial Number: P2\n";
        let parts = serials(text);
        let serial =
            |name| parts.get(&PartKey::new(PartKind::Board, name)).and_then(|part| part.serial.as_deref());
        assert_eq!((serial("Default FRU Device"), serial("PSU 2")), (Some("SER-1"), Some("P2")));
    }

    #[test]
    fn a_lamp_that_is_not_told_cannot_be_read_back() {
        let off = chassis("System Power  : off\nChassis Identify state              : Indefinite on\n")
            .expect("a status");
        assert_eq!((off.power, off.lit.get(&LocateTarget::Chassis)), (Some(Switch::Off), Some(&Switch::On)));
        assert!(chassis("System Power : on\n").expect("a status").lit.is_empty());
        assert!(chassis("").is_err());
    }
}

//! The usual witnesses of each alarm class: what the common exporters call a healthy part.
//!
//! A policy that names its own queries replaces them. They may overlap: whoever has no sample of a part says nothing.
//! Each class asks for the part by its name; the queries about all of its kind beside that may only call it bad.

use super::policy::{Queries, SensorFile};
use crate::model::rules::SensorQuery;

/// The witnesses of a class under what the policy says. `None`: there are none, so nothing of the kind can be proved.
pub(super) fn of(class: &str, file: Option<SensorFile>) -> Option<SensorQuery> {
    let usual = || usual(class).iter().map(|query| (*query).to_owned()).collect::<Vec<_>>();
    let (promql, bmc) = match file {
        Some(SensorFile { promql: Some(Queries::One(query)), bmc }) => (vec![query], bmc),
        Some(SensorFile { promql: Some(Queries::Several(queries)), bmc }) => (queries, bmc),
        Some(SensorFile { promql: None, bmc }) => (usual(), bmc),
        None => (usual(), true),
    };
    let none = promql.is_empty() && !(bmc && known_to_a_bmc(class));
    (!none).then_some(SensorQuery { promql, bmc })
}

/// Is there anything that tells a good part of this class from a bad one, without a word in the policy?
pub(super) fn known(class: &str) -> bool {
    of(class, None).is_some()
}

fn known_to_a_bmc(class: &str) -> bool {
    matches!(class, "fan" | "temperature" | "psu" | "power" | "ecc" | "memory" | "disk" | "nic" | "cpu")
}

fn usual(class: &str) -> &'static [&'static str] {
    match class {
        "fan" => &[
            r#"ipmi_fan_speed_state{node="{{ node }}", name="{{ component }}"} == bool 0"#,
            r#"node_hwmon_fan_alarm{node="{{ node }}", sensor="{{ component }}"} == bool 0"#,
            r#"idrac_sensors_fan_health{node="{{ node }}", name="{{ component }}"} == bool 0"#,
        ],
        "temperature" => &[
            r#"ipmi_temperature_state{node="{{ node }}", name="{{ component }}"} == bool 0"#,
            r#"node_hwmon_temp_crit_alarm_celsius{node="{{ node }}", sensor="{{ component }}"} == bool 0"#,
        ],
        // A supply that was pulled out reads 0, too: that it is there is for the inventory to say.
        "psu" => &[
            r#"ipmi_sensor_state{node="{{ node }}", type="Power Supply", name="{{ component }}"} == bool 0"#,
            r#"idrac_power_supply_health{node="{{ node }}", id="{{ component }}"} == bool 0"#,
        ],
        // The kernel's counters start anew with the kernel; what counts is whether they still grow.
        "ecc" => &[
            r#"ipmi_sensor_state{node="{{ node }}", type="Memory", name="{{ component }}"} == bool 0"#,
            r#"(increase(node_edac_uncorrectable_errors_total{node="{{ node }}", controller="{{ component }}"}[30m]) == bool 0) and node_edac_uncorrectable_errors_total{node="{{ node }}", controller="{{ component }}"}"#,
            r#"idrac_memory_module_health{node="{{ node }}", id="{{ component }}"} == bool 0"#,
            r#"ipmi_sensor_state{node="{{ node }}", type="Memory"} == bool 0"#,
            r#"(increase(node_edac_uncorrectable_errors_total{node="{{ node }}"}[30m]) == bool 0) and node_edac_uncorrectable_errors_total{node="{{ node }}"}"#,
            r#"(increase(node_edac_correctable_errors_total{node="{{ node }}"}[30m]) == bool 0) and node_edac_correctable_errors_total{node="{{ node }}"}"#,
            r#"idrac_memory_module_health{node="{{ node }}"} == bool 0"#,
        ],
        "disk" => &[
            r#"smartctl_device_smart_status{node="{{ node }}", device="{{ component }}"} == bool 1"#,
            r#"smartmon_device_smart_healthy{node="{{ node }}", disk="{{ component }}"} == bool 1"#,
            r#"idrac_storage_drive_health{node="{{ node }}", id="{{ component }}"} == bool 0"#,
        ],
        "storage-controller" => &[
            r#"megaraid_healthy{node="{{ node }}", controller="{{ component }}"} == bool 1"#,
            r#"idrac_storage_controller_health{node="{{ node }}", id="{{ component }}"} == bool 0"#,
            r#"megaraid_healthy{node="{{ node }}"} == bool 1"#,
            r#"idrac_storage_controller_health{node="{{ node }}"} == bool 0"#,
        ],
        "raid" => {
            &[r#"node_md_disks{node="{{ node }}", device="{{ component }}", state="failed"} == bool 0"#]
        }
        // A leg that fell off the bus is no leg of the bond any more: the most there were within a week count.
        "nic" => &[
            r#"node_bonding_active{node="{{ node }}", master="{{ component }}"} == bool max_over_time(node_bonding_slaves{node="{{ node }}", master="{{ component }}"}[7d])"#,
            r#"node_network_carrier{node="{{ node }}", device="{{ component }}"} == bool 1"#,
            r#"idrac_network_port_health{node="{{ node }}", id="{{ component }}"} == bool 0"#,
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policys_own_queries_replace_the_usual_ones() {
        let file = |text: &str| serde_json::from_str::<SensorFile>(text).expect("a sensor");
        let own = of("fan", Some(file(r#"{"promql": "mine"}"#))).expect("a witness");
        assert_eq!((own.promql.as_slice(), own.bmc), (["mine".to_owned()].as_slice(), true));
        let two = of("fan", Some(file(r#"{"promql": ["a", "b"], "bmc": false}"#))).expect("witnesses");
        assert_eq!((two.promql.len(), two.bmc), (2, false));
        let usual = of("fan", Some(file(r#"{"bmc": false}"#))).expect("witnesses");
        assert_eq!(usual.promql.len(), 3);
    }

    #[test]
    fn a_class_that_nobody_sees_has_no_witness() {
        assert_eq!(of("manual", None), None);
        assert!(known("cpu"), "a BMC knows processors");
    }
}

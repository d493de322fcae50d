//! A fan that comes and goes, and a BMC that falls silent, through the real chain of alarms: one case, one work order,
//! and silence closes nothing.

use std::sync::Arc;
use std::time::Duration;

use pitlane::sim::World;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::chain::{alarms, must};
use crate::site::{QUICK, SOON, Site};

/// Three failures within a minute, or most of a minute without a break: one short failure is neither.
const FAN: &str = r#"policy: fan
match: ['alarm_class="fan"', 'severity=~"warning|critical"']
component_labels: [component, name, sensor, fan]
confirm: {steady_for: 55s, or_episodes: 3, within: 1m, clears_after: 5s}
respond: {action: drain, mode: act, time_box: 4h, containers: restart}
work_order: {title: "{{ node }}: {{ component }} failing intermittently", checklist: [clean the fan and its duct]}
sensor:
  promql: 'ipmi_fan_speed_state{node="{{ node }}", name="{{ component }}"} == bool 0'
prove: {soak: 1m, checks: [alerts_clear, sensors_ok, node_services]}
"#;

/// Four seconds still, four turning, so many times.
const FLAPS: &str = "9";

fn world() -> World {
    World::builder(3)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .ct(102, "pve1")
        .vm(201, "pve2")
        .vm(301, "pve3")
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_flaps_is_one_case_and_what_is_silent_is_not_good() {
    let mut site = Site::open(world(), 5.0).await;
    let alarms = Arc::new(alarms(&site, &[]).await);
    site.put("policies/fan.yaml", FAN);
    let prometheus = alarms.fact("prometheus");
    site.configure(&format!(
        "mode: act\n{QUICK}prometheus: {{url: \"{prometheus}\"}}\nceph: {{setup: none}}\n"
    ));
    site.start().await;

    let lab = Arc::clone(&alarms);
    let flaps = spawn_blocking(move || must(&lab, "flap", &["pve1", "2", "--period", "4", "--times", FLAPS]));
    let view = site.phase(1, "handed-over", SOON * 2).await;
    assert!(view["case"]["faults"].as_array().is_some_and(|faults| faults.len() == 1), "{view}");
    flaps.await.expect("it flaps to its end");
    let ordered = async || site.work_orders();
    site.until("a work order is written", SOON, ordered, |orders| !orders.is_empty()).await;
    assert!(site.story(1).await.contains("Believed"), "{}", site.story(1).await);
    assert_eq!(site.work_orders(), [(1, "open".to_owned())]);
    assert_eq!(cases(&site).await, 1);

    silence(&site, &alarms).await;
    assert_eq!(site.work_orders(), [(1, "done".to_owned())], "one, and not closed");
    assert_eq!(site.door.violation(), None);
}

async fn cases(site: &Site) -> usize {
    site.get("/api/v1/cases").await.and_then(|cases| cases.as_array().map(Vec::len)).expect("a list")
}

/// Both fans stand still, and both BMCs hang: Alertmanager says that all is well again.
async fn silence(site: &Site, alarms: &crate::lab::Lab) {
    must(alarms, "fan", &["pve1", "2", "0"]);
    must(alarms, "fan", &["pve3", "5", "0"]);
    site.phase(2, "confirming", SOON).await;
    for node in ["pve1", "pve3"] {
        must(alarms, "bmc", &[node, "hang"]);
    }
    let http = reqwest::Client::new();
    let firing = async || {
        let url = format!("{}/api/v2/alerts?filter=alarm_class%3D%22fan%22", alarms.fact("alertmanager"));
        let said = http.get(url).timeout(Duration::from_secs(10)).send().await.ok()?.text().await.ok()?;
        serde_json::from_str::<Value>(&said).ok()?.as_array().map(Vec::len)
    };
    site.until("every fan's alert is resolved", SOON * 2, firing, |alerts| *alerts == Some(0)).await;

    // The case that nobody believed yet: quiet for long enough, and still no false alarm.
    let case = async |case: u64| site.get(&format!("/api/v1/cases/{case}")).await.map(|v| v["case"].clone());
    let waits = |name: &'static str| {
        move |case: &Option<Value>| case.as_ref().is_some_and(|case| case["wait"].to_string().contains(name))
    };
    let seen =
        site.until("quiet but unproved", SOON, async || case(2).await, waits("quiet-but-unproved")).await;
    assert_eq!(seen.expect("seen")["phase"]["phase"], "confirming");

    // The one that is the technician's: "done" proves nothing while nobody can read the fan.
    let said = site.said("tom", &["done", "1", "--note", "looks fine"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let seen = site.until("done, and not proved", SOON, async || case(1).await, waits("sensors_ok")).await;
    let seen = seen.expect("seen");
    assert_eq!((&seen["phase"]["phase"], &seen["phase"]["good_since"]), (&json!("proving"), &json!(null)));

    // The BMC of the first one speaks again, and its fan turns: that was all that was missing for the soak to begin.
    must(alarms, "fan", &["pve1", "2", "8000"]);
    must(alarms, "bmc", &["pve1", "ok"]);
    let soaks = |case: &Option<Value>| case.as_ref().is_some_and(|c| c["phase"]["good_since"].is_string());
    site.until("the soak begins", SOON, async || case(1).await, soaks).await;
    let seen = case(2).await.expect("an answer");
    assert_eq!(seen["phase"]["phase"], "confirming", "still silent, still open: {seen}");
    assert_eq!(cases(site).await, 2);
}

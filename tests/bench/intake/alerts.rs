//! Alerts as a cluster with management controllers tells them: distinct label sets, the same for both receivers.

use std::fmt::Write;

/// Label sets and annotations of one alert; `n` makes it distinct.
fn told(n: usize, out: &mut String) {
    let (node, fan) = (n / 8, n % 8);
    let _ = write!(
        out,
        "\"labels\":{{\"alertname\":\"IpmiFanFailed\",\"alarm_class\":\"fan\",\"severity\":\"warning\",\
         \"node\":\"pve{node}\",\"instance\":\"10.7.{}.{}:9290\",\"job\":\"ipmi\",\"name\":\"FAN{fan}\",\
         \"type\":\"Fan\",\"id\":\"{}\",\"rack\":\"r{}\",\"site\":\"fra1\"}},\
         \"annotations\":{{\"summary\":\"Fan FAN{fan} of pve{node} reports 0 rpm\",\"description\":\"The controller of \
         pve{node} has reported the fan FAN{fan} below its critical threshold for two minutes.\",\
         \"runbook_url\":\"https://runbooks.example.net/hardware/fan\"}}",
        node / 250 % 250,
        node % 250,
        40 + fan,
        node / 40,
    );
}

const LINK: &str = "http://prometheus.example.net:9090/graph?g0.expr=ipmi_fan_speed_state+%3D%3D+2&g0.tab=1";

/// What Alertmanager takes: `POST /api/v2/alerts`.
pub fn posted(first: usize, count: usize, starts_at: &str) -> String {
    let mut out = String::from("[");
    for n in first..first + count {
        out.push_str(if n > first { ",{" } else { "{" });
        told(n, &mut out);
        let _ = write!(out, ",\"startsAt\":\"{starts_at}\",\"generatorURL\":\"{LINK}\"}}");
    }
    out.push(']');
    out
}

/// What Alertmanager sends to a webhook, and pitlane takes.
pub fn delivered(first: usize, count: usize, starts_at: &str) -> String {
    let mut out = String::from("{\"receiver\":\"pitlane\",\"status\":\"firing\",\"alerts\":[");
    for n in first..first + count {
        out.push_str(if n > first { ",{\"status\":\"firing\"," } else { "{\"status\":\"firing\"," });
        told(n, &mut out);
        let _ = write!(
            out,
            ",\"startsAt\":\"{starts_at}\",\"endsAt\":\"0001-01-01T00:00:00Z\",\"generatorURL\":\"{LINK}\",\
             \"fingerprint\":\"{:016x}\"}}",
            scattered(n)
        );
    }
    out.push_str(
        "],\"groupLabels\":{\"alertname\":\"IpmiFanFailed\"},\"commonLabels\":{\"alertname\":\"IpmiFanFailed\",\
         \"alarm_class\":\"fan\",\"job\":\"ipmi\",\"severity\":\"warning\",\"site\":\"fra1\",\"type\":\"Fan\"},\
         \"commonAnnotations\":{\"runbook_url\":\"https://runbooks.example.net/hardware/fan\"},\
         \"externalURL\":\"http://alertmanager.example.net:9093\",\"version\":\"4\",\
         \"groupKey\":\"{}/{alarm_class=~\\\"fan|psu\\\"}:{alertname=\\\"IpmiFanFailed\\\"}\",\"truncatedAlerts\":0}",
    );
    out
}

/// Fingerprints are hashes: neighbours in time are none in order, which is what a tree of keys pays for.
fn scattered(n: usize) -> u64 {
    let mut x = (n as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

//! Rows read where they lie are the rows that the usual reading finds, in every spelling; and what cannot be read is no answer.

use std::borrow::Cow;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::adapters::pve::wire::{Envelope, Resource, Row, Text, rows};

fn owned(text: Text) -> Cow<'static, str> {
    Cow::Owned(text.0)
}

/// The usual reading: serde's.
fn usual(body: &[u8]) -> Result<Vec<Row<'static>>, String> {
    let row = |row: Resource| Row {
        kind: owned(row.kind),
        id: owned(row.id),
        node: row.node.map(owned),
        vmid: row.vmid,
        name: row.name.map(owned),
        status: row.status.map(owned),
        lock: row.lock.map(owned),
        template: row.template,
        managed: row.hastate.is_some(),
        maxcpu: row.maxcpu,
        maxmem: row.maxmem,
        mem: row.mem,
        disk: row.disk,
        maxdisk: row.maxdisk,
        uptime: row.uptime,
        storage: row.storage.map(owned),
        shared: row.shared,
    };
    Ok(Envelope::<Vec<Resource>>::read(body)?.data.into_iter().map(row).collect())
}

fn ours(body: &[u8]) -> Result<Vec<Row<'_>>, String> {
    let mut all = Vec::new();
    rows(body, |row| all.push(row))?;
    Ok(all)
}

/// Bodies of all recorded answers whose file's name says so.
pub(in crate::adapters::pve) fn recorded(named: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pve/recordings");
    let files = std::fs::read_dir(dir).expect("the recordings");
    let names = files.map(|file| file.expect("a file").path());
    let named = names.filter(|path| path.to_string_lossy().contains(named));
    let body = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a recording");
        let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let body = &told["response"]["body"];
        body.is_object().then(|| (path.display().to_string(), body.to_string().into_bytes()))
    };
    named.filter_map(body).collect()
}

#[test]
fn recorded_rows_are_read_as_usual() {
    let all = recorded("cluster-resources");
    assert!(all.len() >= 5, "{} recordings", all.len());
    for (name, body) in all {
        let usual = usual(&body);
        assert_eq!(ours(&body).ok(), usual.clone().ok(), "{name}: {usual:?}");
    }
}

#[test]
fn what_is_no_whole_answer_is_none() {
    let good = r#"{"data":[{"type":"qemu","id":"qemu/1","node":"a","cpu":0.5,"tags":"x;\"y\"","x":[{"y":[]}]}],"total":1}"#;
    assert_eq!(ours(good.as_bytes()).map(|rows| rows.len()), Ok(1));
    for length in 0..good.len() {
        assert!(ours(&good.as_bytes()[..length]).is_err(), "{}", &good[..length]);
    }
    for bad in [
        r#"{"data":null}"#,
        r#"{"data":{}}"#,
        r#"{"total":1}"#,
        r#"{"data":[]}{"data":[]}"#,
        r#"{"data":[]} trailing"#,
        r#"{"data":[],"data":[]}"#,
        r#"{"data":[{"id":"qemu/1"}]}"#,
        r#"{"data":[{"type":"qemu"}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1",}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1"},]}"#,
        r#"{"data":[{"type":"qemu" "id":"qemu/1"}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1","x":{"y":[1}}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1","x":}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1","vmid":"one"}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1","vmid":01}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1","vmid":1:,"node":"aaaaaaaaaaaaaaaa"}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1","template":"maybe"}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1","node":{}}]}"#,
        r#"{"data":[{"type":"qemu","id":"qemu/1","node":"a\x"}]}"#,
    ] {
        assert!(ours(bad.as_bytes()).is_err(), "{bad}");
        assert!(usual(bad.as_bytes()).is_err(), "{bad}: so is the usual reading");
    }
    let unclosed = format!(r#"{{"data":[{{"type":"a","id":"b","x":{}"#, "[".repeat(100_000));
    assert!(ours(unclosed.as_bytes()).is_err());
    assert!(ours(b"{\"data\":[{\"type\":\"a\",\"id\":\"b\",\"name\":\"\xff\"}]}").is_err(), "no UTF-8");
}

#[test]
fn a_guest_without_a_place_fails_the_opinion() {
    let status = serde_json::from_str(r#"[{"type":"node","name":"a","online":1}]"#).expect("a status");
    let read = |body: &str| opinion(&"a".into(), &status, body.as_bytes()).expect("rows");
    let lost = read(r#"{"data":[{"type":"qemu","id":"qemu/7"},{"type":"qemu","id":"qemu/8","node":"a"}]}"#);
    assert_eq!(lost, Err(Trouble::Nonsense("a lists qemu/7 without a place".to_owned())));
    let seen = read(
        r#"{"data":[{"type":"lxc","id":"lxc/9","node":"a"},{"type":"qemu","vmid":"8","id":"x","node":"a"}]}"#,
    );
    let seen = seen.expect("an opinion");
    assert_eq!(seen.guests.keys().map(|id| id.0).collect::<Vec<_>>(), [8, 9]);
    assert!(seen.quorate && seen.guests[&GuestId(9)].name == "lxc/9");
}

const OTHERS: [&str; 25] = [
    "node",
    "vmid",
    "name",
    "status",
    "lock",
    "template",
    "hastate",
    "tags",
    "pool",
    "maxcpu",
    "cpu",
    "maxmem",
    "mem",
    "memhost",
    "disk",
    "maxdisk",
    "uptime",
    "storage",
    "shared",
    "plugintype",
    "netin",
    "content",
    "network-type",
    "st\\u0061tus",
    "x",
];

/// What Perl may write.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_u64..3_000_000_000_000).prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| format!("\"{n}\"")),
        1 => any::<f64>().prop_filter("JSON has no others", |x| x.is_finite()).prop_map(|x| format!("{x:?}")),
        4 => "[a-z0-9äß/;-]{0,20}".prop_map(|text| format!("\"{text}\"")),
        1 => any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a text")),
        2 => word(vec!["0", "1", "true", "false", "null", "\"yes\"", "-0", "1e3", "7.0", "\"qemu\"", "\"lxc\""]),
    ]
}

fn word(words: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

/// What a member of this name may be, as a rule; now and then something else.
fn value(name: &'static str) -> impl Strategy<Value = String> {
    let usual = match name {
        "vmid" | "uptime" => prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<u64>().prop_map(|n| (n >> (n % 64)).to_string()),
            any::<i64>().prop_map(|n| format!("\" {n}\"")),
            word(vec!["3.0", "true", "null", "-0", "1e3", "\"007\""]),
        ]
        .boxed(),
        "template" | "shared" => {
            word(vec!["0", "1", "\"\"", "\"on\"", "\" OFF \"", "true", "false", "2", "null"]).boxed()
        }
        _ => scalar().boxed(),
    };
    // What nobody asks for is only passed, and may be what it likes.
    let odd = match name {
        "tags" | "pool" | "cpu" | "memhost" | "plugintype" | "netin" | "content" | "network-type" | "x" => {
            vec!["7"]
        }
        _ => vec!["[]", "{}", "01", "1.", "tru", "+1", "\"\\q\""],
    };
    prop_oneof![40 => usual, 1 => scalar(), 1 => word(odd)]
}

/// A row with each member at most once, in any order, its spaces as they fall.
fn row() -> impl Strategy<Value = String> {
    let others = prop::sample::subsequence(OTHERS.to_vec(), 0..10);
    let always = prop_oneof![20 => Just(vec!["type", "id"]), 1 => Just(vec!["id"]), 1 => Just(vec!["t\\u0079pe", "id"])];
    let names = (others, always).prop_map(|(mut others, always)| {
        // The same name in another spelling is the same name.
        if others.contains(&"status") {
            others.retain(|name| !name.contains('\\'));
        }
        [always, others].concat()
    });
    let gap = || prop::sample::select(vec!["", "", "", "", " ", "\n\t"]);
    let member = move |name: &'static str| {
        let all = (gap(), gap(), value(name), gap());
        all.prop_map(move |(before, between, value, after)| {
            format!("{before}\"{name}\"{between}:{between}{value}{after}")
        })
    };
    let nested = prop_oneof![5 => Just(""), 1 => Just(r#","nested":{"a":[1,{"b":"}]\\\""}],"c":{}}"#)];
    let members =
        names.prop_shuffle().prop_flat_map(move |names| names.into_iter().map(member).collect::<Vec<_>>());
    (members, nested).prop_map(|(members, nested)| format!("{{{}{nested}}}", members.join(",")))
}

proptest! {
    #[test]
    fn rows_are_read_as_usual(rows in prop::collection::vec(row(), 0..4)) {
        let body = format!("{{\"data\":[{}]}}", rows.join(","));
        prop_assert_eq!(ours(body.as_bytes()).ok(), usual(body.as_bytes()).ok(), "{}", body);
    }

    /// One byte is another: no panic, and nothing that the usual reading takes is read differently.
    #[test]
    fn a_spoilt_body_is_not_misread(row in row(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = format!("{{\"data\":[{row}]}}").into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if let (Ok(usual), ours) = (usual(&body), ours(&body)) {
            prop_assert_eq!(ours, Ok(usual), "{}", String::from_utf8_lossy(&body));
        }
    }
}

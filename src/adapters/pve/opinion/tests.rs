//! Rows that borrow their texts are the rows that the API's own description finds, in every spelling; and what cannot be read is no
//! answer.

use std::borrow::Cow;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::adapters::pve::wire::{Envelope, Resource, Row, Text, Word};

fn word(text: Text) -> Word<'static> {
    Word(Cow::Owned(text.0))
}

/// As the API describes them.
fn described(body: &[u8]) -> Result<Vec<Row<'static>>, String> {
    let row = |row: Resource| Row {
        kind: word(row.kind),
        id: word(row.id),
        node: row.node.map(word),
        vmid: row.vmid,
        name: row.name.map(word),
        status: row.status.map(word),
        lock: row.lock.map(word),
        template: row.template,
        hastate: row.hastate.map(word),
        maxcpu: row.maxcpu,
        maxmem: row.maxmem,
        mem: row.mem,
        disk: row.disk,
        maxdisk: row.maxdisk,
        uptime: row.uptime,
        storage: row.storage.map(word),
        shared: row.shared,
    };
    Ok(Envelope::<Vec<Resource>>::read(body)?.data.into_iter().map(row).collect())
}

fn rows(body: &[u8]) -> Result<Vec<Row<'_>>, String> {
    Ok(Envelope::read(body)?.data)
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
fn recorded_rows_are_read_as_described() {
    let all = recorded("cluster-resources");
    assert!(all.len() >= 5, "{} recordings", all.len());
    for (name, body) in all {
        let described = described(&body);
        assert_eq!(rows(&body).ok(), described.clone().ok(), "{name}: {described:?}");
    }
}

#[test]
fn what_is_no_whole_answer_is_none() {
    let good = r#"{"data":[{"type":"qemu","id":"qemu/1","node":"a","cpu":0.5,"tags":"x;\"y\"","x":[{"y":[]}]}],"total":1}"#;
    assert_eq!(rows(good.as_bytes()).map(|rows| rows.len()), Ok(1));
    for length in 0..good.len() {
        assert!(rows(&good.as_bytes()[..length]).is_err(), "{}", &good[..length]);
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
        assert!(rows(bad.as_bytes()).is_err(), "{bad}");
    }
    let unclosed = format!(r#"{{"data":[{{"type":"a","id":"b","x":{}"#, "[".repeat(100_000));
    assert!(rows(unclosed.as_bytes()).is_err());
    assert!(rows(b"{\"data\":[{\"type\":\"a\",\"id\":\"b\",\"name\":\"\xff\"}]}").is_err(), "no UTF-8");
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
        2 => one_of(vec!["0", "1", "true", "false", "null", "\"yes\"", "-0", "1e3", "7.0", "\"qemu\"", "\"lxc\""]),
    ]
}

fn one_of(words: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

/// What a member of this name may be, as a rule; now and then something else.
fn value(name: &'static str) -> impl Strategy<Value = String> {
    let usual = match name {
        "vmid" | "uptime" => prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<u64>().prop_map(|n| (n >> (n % 64)).to_string()),
            any::<i64>().prop_map(|n| format!("\" {n}\"")),
            one_of(vec!["3.0", "true", "null", "-0", "1e3", "\"007\""]),
        ]
        .boxed(),
        "template" | "shared" => {
            one_of(vec!["0", "1", "\"\"", "\"on\"", "\" OFF \"", "true", "false", "2", "null"]).boxed()
        }
        _ => scalar().boxed(),
    };
    let odd = match name {
        "tags" | "pool" | "cpu" | "memhost" | "plugintype" | "netin" | "content" | "network-type" | "x" => {
            vec!["7"]
        }
        _ => vec!["[]", "{}", "01", "1.", "tru", "+1", "\"\\q\""],
    };
    prop_oneof![40 => usual, 1 => scalar(), 1 => one_of(odd)]
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
    fn rows_are_read_as_described(all in prop::collection::vec(row(), 0..4)) {
        let body = format!("{{\"data\":[{}]}}", all.join(","));
        prop_assert_eq!(rows(body.as_bytes()).ok(), described(body.as_bytes()).ok(), "{}", body);
    }
}

use super::*;
use crate::decide::planner::instance::NPlusOne;
use crate::decide::planner::{Admission, Wishes, check, plan};

const SMALL: &str = r#"{"format":"pitlane-plan-instance/1","id":"t","kind":"drain",
"params":{"cpu_overcommit":4,"n_plus_one":"off","slots_out":4,"slots_in":2,"max_parallel":null,"stream_mbps":8000,"setup_s":3,"restart_s":12,"cold_s":45,"offline_s":2},
"storages":{"ceph":{"shared":true},"zfs":{"shared":false}},
"nodes":[
{"id":"a","cpu":16,"mem_mib":1000,"mem_reserved_mib":0,"nic_mbps":10000,"state":"drain","storages":{"ceph":null,"zfs":10}},
{"id":"b","cpu":16,"mem_mib":1000,"mem_reserved_mib":0,"nic_mbps":10000,"state":"online","storages":{"ceph":null,"zfs":10}}],
"drain":["a"],
"guests":[
{"id":"g1","type":"qemu","node":"a","running":true,"cpu":2,"mem_mib":100,"mem_used_mib":80,"cpu_used":1,"dirty_mbps":5,"migrate":"live","ha":true,"disks":[["ceph",10]]}],
"rules":[]}"#;

fn said(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from} is not in the sample");
    let text = SMALL.replacen(from, to, 1);
    instance(&text, "x.json").expect_err(to).to_string()
}

#[test]
fn a_good_file_is_read() {
    let inst = instance(SMALL, "x.json").expect("good");
    assert_eq!((inst.nodes.len(), inst.guests.len()), (2, 1));
    assert_eq!(inst.leavers().collect::<Vec<_>>(), [0]);
}

#[test]
fn each_mistake_has_its_place_and_says_what_to_write() {
    for (from, to, expected) in [
        (
            "\"node\":\"a\"",
            "\"node\":\"c\"",
            "x.json:9:33: guests.0.node: there is no node \"c\" among nodes",
        ),
        ("[[\"ceph\",10]]", "[[\"cehp\",10]]", "there is no storage \"cehp\" among storages"),
        ("\"mem_mib\":100,", "\"mem_mib\":-1,", "guests.0.mem_mib"),
        ("\"mem_mib\":100,", "\"mem_mib\":\"1G\",", "guests.0.mem_mib needs a number, found \"1G\""),
        ("\"mem_mib\":100,", "\"mem_mb\":100,", "guests.0.mem_mb is not known; did you mean mem_mib?"),
        ("\"mem_mib\":100,", "\"mem_mib\":100.5,", "no whole number of MiB"),
        ("\"migrate\":\"live\"", "\"migrate\":\"life\"", "did you mean live?"),
        ("\"drain\":[\"a\"]", "\"drain\":[]", "kind is drain, but no node is named"),
        ("\"drain\":[\"a\"]", "\"drain\":[\"z\"]", "there is no node \"z\""),
        ("\"id\":\"b\"", "\"id\":\"a\"", "stands here twice"),
        ("\"zfs\":10}},", "\"zfs\":null}},", "storage zfs is local"),
        ("plan-instance/1", "plan-instance/2", "pitlane-plan-instance/1"),
        ("\"rules\":[]", "\"rules\":[}", "x.json:10:10: this is no JSON: expected value; write"),
        ("\"slots_in\":2", "\"slots_in\":0", "params.slots_in"),
        ("\"stream_mbps\":8000", "\"stream_mbps\":0", "params.stream_mbps"),
    ] {
        let said = said(from, to);
        assert!(said.contains(expected), "{to} said {said:?}");
    }
}

#[test]
fn a_disk_without_a_size_is_told_where_it_stands() {
    let said = said("[[\"ceph\",10]]", "[[\"ceph\",\"big\"]]");
    assert!(said.starts_with("x.json:9:"), "{said}");
}

#[test]
fn all_mistakes_come_at_once() {
    let text =
        SMALL.replacen("\"node\":\"a\"", "\"node\":\"c\"", 1).replace("[[\"ceph\",10]]", "[[\"x\",1.5]]");
    let said = instance(&text, "x.json").expect_err("three mistakes").to_string();
    assert_eq!(said.lines().count(), 3, "{said}");
}

/// The public instances, and how near to the bound a plan has to come.
const PUBLIC: [(&str, f64); 6] = [
    ("p1-n3-u50", 1.03),
    ("p2-n8-u70", 1.03),
    ("p3-n32-u70", 1.03),
    ("p4-n100-u85", 1.03),
    ("p5-n8-tight", 1.03),
    ("p6-n8-return", 1.05),
];

#[test]
fn the_public_instances_are_planned_close_to_the_bound() {
    for (name, ratio) in PUBLIC {
        let path = format!("{}/tests/data/planner/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect(&path);
        let inst = instance(&text, name).unwrap_or_else(|wrong| panic!("{wrong}"));
        let planned = plan(&inst, &Wishes::default()).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        let f = planned.forecast;
        assert!(planned.left.is_empty() && f.throttled == 0.0, "{name}: {:?}, {f:?}", planned.left);
        assert!(f.makespan <= ratio * f.bound, "{name}: {:.4}", f.makespan / f.bound);
        if inst.params.n_plus_one == NPlusOne::Required {
            assert_eq!(f.n_plus_one_fails, 0, "{name}");
        }
        for admission in [Admission::Guarded, Admission::Blind] {
            assert_eq!(check(&inst, &planned, admission).violations, [], "{name}");
        }
        assert_eq!(plan(&inst, &Wishes::default()), Ok(planned), "{name}: twice the same");
    }
}

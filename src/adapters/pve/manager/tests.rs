//! What the manager's notes mean, in odd spellings and where they say little; and what cannot be read is no answer.

use super::*;
use crate::adapters::pve::opinion::tests::recorded;
use crate::adapters::pve::wire::Envelope;
use crate::model::ids::GuestId;
use crate::model::time::Time;

fn read(body: &str) -> Result<Result<HaView, Trouble>, String> {
    Ok(ha(Envelope::<ManagerStatus>::read(body.as_bytes())?.data))
}

fn view(body: &str) -> HaView {
    read(body).expect(body).expect(body)
}

#[test]
fn recorded_states_are_read() {
    let all = recorded("manager-status");
    assert!(all.len() >= 4, "{} recordings", all.len());
    for (name, body) in all {
        let view = view(&String::from_utf8(body).expect("text"));
        // A cluster that never used HA has no notes.
        assert_eq!(view.nodes.is_empty(), name.contains("empty"), "{name}: {view:?}");
    }
}

#[test]
fn without_its_heart_it_is_no_answer_and_without_quorum_it_is_old() {
    for body in [
        r#"{"data":{"quorum":{}}}"#,
        r#"{"data":{"manager_status":null}}"#,
        r#"{"data":{"manager_status":{},"lrm_status":null}}"#,
        r#"{"data":{"manager_status":{"service_status":["vm:1"]}}}"#,
        r#"{"data":{"manager_status":{"node_status":{"a":{}}}}}"#,
        r#"{"data":{"manager_status":{}}"#,
    ] {
        assert!(read(body).is_err(), "{body}");
    }
    let old = read(r#"{"data":{"manager_status":{},"quorum":{"quorate":"0"}}}"#).expect("an answer");
    assert!(matches!(old, Err(Trouble::Refused(_))), "{old:?}");
    let never_used = r#"{"data":{"manager_status":{"node_status":[]},"quorum":null}}"#;
    assert_eq!(view(never_used), HaView { armed: true, ..HaView::default() });
}

#[test]
fn a_node_is_what_all_three_lists_say_of_it() {
    let view = view(
        r#"{"data":{
        "lrm_status":{"a":{"mode":"maintenance","timestamp":"1795302400","results":{"x":[1]}},"c":{"mode":null,"timestamp":0}},
        "manager_status":{"master_node":"b","timestamp":1795302398,"disarm":{"mode":"freeze"},
            "node_status":{"a":"maintenance","pve\u0031":"online","b":"fence"},
            "node_request":{"a":{"maintenance":"1"},"b":{},"d":{"maintenance":0}}},
        "quorum":{"quorate":true}}}"#,
    );
    let at = |secs| Time::from_second(secs).ok();
    assert_eq!((view.armed, view.crm_at, view.master), (false, at(1_795_302_398), Some("b".into())));
    let node =
        |state, maintenance_requested, lrm, lrm_at| HaNode { state, maintenance_requested, lrm, lrm_at };
    let expected = [
        ("a", node(HaNodeState::Maintenance, true, Some(LrmMode::Maintenance), at(1_795_302_400))),
        ("b", node(HaNodeState::Fence, false, None, None)),
        ("c", UNSEEN),
        ("d", UNSEEN),
        ("pve1", node(HaNodeState::Online, false, None, None)),
    ];
    assert_eq!(view.nodes, expected.map(|(name, row)| (name.into(), row)).into());
}

#[test]
fn a_service_is_where_somebody_says_that_it_is() {
    let view = view(
        r#"{"data":{"manager_status":{"disarm":null,"service_status":{
        "vm:1":{"node":"a","state":"migrate","target":"b","cmd":["migrate","b"],"maintenance_node":"c","uid":"x","running":1},
        "ct:\u0032":{"node":7,"cmd":null},
        "vm:3":{"state":"started"},
        "vm:x":{"node":"a"},
        "fa:4":{"node":"a"}}}}}"#,
    );
    assert!(view.armed);
    let moving = HaService {
        node: "a".into(),
        state: "migrate".to_owned(),
        target: Some("b".into()),
        command: true,
        maintenance_node: Some("c".into()),
    };
    let still = HaService {
        node: "7".into(),
        state: "unknown".to_owned(),
        target: None,
        command: false,
        maintenance_node: None,
    };
    assert_eq!(view.services, [(GuestId(1), moving), (GuestId(2), still)].into());
}
